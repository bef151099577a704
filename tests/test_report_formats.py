"""The formats of the report: each says the same, whatever files are called, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import HOLD, Result, picture
from .reports import HOSTILE, SUFFIXES, TYPED, bytes_of, rows_of
from .warm import Warm


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        picture(number).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"nonsense")
    return folder


@pytest.fixture
def held(images: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a run over more images, and give it while it is held in the midst of them."""
    for number in range(10, 30):
        picture(number).save(images / f"{number}.png")
    (tmp_path / "hold.py").write_text(HOLD)
    (tmp_path / "hold.toml").write_text('plugins = ["hold.py"]\n')
    (tmp_path / "hold").touch()

    def start(*options: str, **more: Any) -> subprocess.Popen[bytes]:
        run = ("run", "images", "--no-store", "--config", "hold.toml", *options)
        process = subprocess.Popen([sys.executable, "-m", "batchcls", *run], **more)
        while not (tmp_path / "held").exists():
            assert process.poll() is None
            time.sleep(0.005)
        return process

    return start


class TestRun:
    """The real command on real files."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_any_name_is_told_from_any_other(self, tmp_path, batchcls, suffix):
        folder = tmp_path / "images"
        folder.mkdir()
        picture(1).save(tmp_path / "one.png")
        for name in HOSTILE:
            shutil.copy(os.fsencode(tmp_path / "one.png"), os.path.join(os.fsencode(folder), name))
        result = batchcls("run", "images", "--all-files", "-o", f"r{suffix}", "-q")
        assert result.status == 0, result.err
        rows = rows_of(tmp_path / f"r{suffix}")
        assert [bytes_of(row["path"], suffix) for row in rows] == sorted(HOSTILE)
        assert {row["status"] for row in rows} == {"ok"}
        assert len({row["label"] for row in rows}) == 1

    def test_every_format_says_the_same(self, images, tmp_path, batchcls):
        found = {}
        for suffix in SUFFIXES:
            options = ("--scores", "--top", "3", "-o", f"r{suffix}")
            assert batchcls("run", "images", *options).status == 3
            found[suffix] = rows_of(tmp_path / f"r{suffix}")
            assert [list(row) for row in found[suffix]] == [list(found[".csv"][0])] * 7
        assert found[".csv"] == found[".jsonl"] == found[".parquet"]
        assert len(found[".csv"][0]) == 5 + 4 + 1000
        [bad] = [row for row in found[".jsonl"] if row["status"] == "error"]
        assert bad.pop("path") == "broken.png"
        assert bad.pop("status") == "error"
        assert bad.pop("error")
        assert set(bad.values()) == {None}

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_the_bytes_depend_neither_on_threads_nor_on_the_store(self, images, batchcls, suffix):
        for number in range(10, 30):
            picture(number).save(images / f"{number}.png")
        found = set()
        for options in (("--no-store", "--jobs", "1"), ("--jobs", "4"), ()):
            assert batchcls("run", "images", "-o", f"r{suffix}", *options).status == 3
            found.add(Path(f"r{suffix}").read_bytes())
        assert len(found) == 1

    def test_the_ending_counts_in_any_case_and_standard_output_is_csv(self, images, batchcls):
        assert batchcls("run", "images/1.png", "-o", "R.JSONL").status == 0
        assert json.loads(Path("R.JSONL").read_text())["path"] == "images/1.png"
        result = batchcls("run", "images/1.png", "-o", "-")
        assert result.out.startswith("path,label,score,status,error\r\n")

    @pytest.mark.parametrize("suffix", TYPED)
    def test_no_more_is_asked_of_the_model_than_for_csv(self, images, batchcls, suffix):
        batchcls("run", "images")
        run = ("run", "images", "--summary", "s.json")
        assert batchcls(*run, "-o", f"r{suffix}").status == 3
        assert json.loads(Path("s.json").read_text())["counts"]["recalled"] == 7

    @pytest.mark.parametrize("suffix", TYPED)
    def test_no_images_are_no_rows(self, tmp_path, batchcls, suffix):
        (tmp_path / "images").mkdir()
        assert batchcls("run", "images", "-o", f"r{suffix}").status == 0
        assert rows_of(f"r{suffix}") == []

    @pytest.mark.parametrize("suffix", TYPED)
    def test_a_full_disk_leaves_the_old_report(self, images, tmp_path, warm, suffix):
        report = tmp_path / f"r{suffix}"
        report.write_bytes(b"old")
        code = (
            "import resource, runpy, sys;"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
            f"sys.argv = ['batchcls', 'run', 'images', '-o', 'r{suffix}', '--scores'];"
            "runpy.run_module('batchcls', run_name='__main__')"
        )
        done = warm.run(["-c", code], cwd=tmp_path, env=os.environ, timeout=60)
        said = done.stderr.decode()
        assert done.returncode == 1, said
        assert f"batchcls: error: r{suffix}: can't be written: File too large" in said
        assert "Traceback" not in said
        assert "ignored" not in said
        assert report.read_bytes() == b"old"
        assert sorted(os.listdir(tmp_path)) == ["images", report.name]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_killed_it_leaves_the_old_report_and_the_next_run_sweeps_up(
        self, tmp_path, batchcls, held, suffix
    ):
        report = tmp_path / f"r{suffix}"
        report.write_bytes(b"old")
        process = held("-o", report.name, "-q", start_new_session=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert report.read_bytes() == b"old"
        assert list(tmp_path.glob(".batchcls-*.tmp"))
        assert batchcls("run", "images", "-o", report.name, "-q").status == 3
        assert len(rows_of(report)) == 27
        assert not list(tmp_path.glob(".batchcls-*"))

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_told_to_end_it_leaves_the_old_report(self, tmp_path, held, suffix):
        report = tmp_path / f"r{suffix}"
        report.write_bytes(b"old")
        process = held("-o", report.name, stderr=subprocess.PIPE)
        assert list(tmp_path.glob(".batchcls-*.tmp"))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM, said
        assert b"Traceback" not in said
        assert b"ignored" not in said
        assert report.read_bytes() == b"old"
        assert not list(tmp_path.glob(".batchcls-*"))


class TestNewOnly:
    """Reports are read back to learn what a former one had."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_what_a_former_report_had_is_not_new(self, images, tmp_path, batchcls, suffix):
        picture(50).save(os.fsencode(images) + b"/caf\xe9.png")
        picture(51).save(images / '"51".png')
        assert batchcls("run", "images", "-o", f"r{suffix}").status == 3
        (images / "7.png").write_bytes((images / "1.png").read_bytes())
        assert batchcls("run", "images", "-o", f"r{suffix}", "--new-only").status == 3
        # What could not be read might be cured: of that, the store alone tells more.
        assert [row["path"] for row in rows_of(f"r{suffix}")] == ["7.png", "broken.png"]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_second_run_of_the_same_night_keeps_what_the_first_one_had(
        self, images, batchcls, suffix
    ):
        night = time.strftime(f"%Y-%m-%d{suffix}")
        for name in ("", "new.png"):
            if name:
                picture(90).save(images / name)
            batchcls("run", "images", "--new-only", "-o", f"{{date}}{suffix}")
            found = {row["path"] for row in rows_of(night)}
            assert found >= {"0.png", "broken.png", *([name] if name else [])}

    @pytest.mark.parametrize("suffix", TYPED)
    def test_another_file_at_its_place_is_no_former_report(self, images, batchcls, suffix):
        contents = (b"", b"\xff\n", b'{"path": 1}\n', b"[1]\n", b"PAR1PAR1", b'{"path": "x"}')
        for number, content in enumerate(contents):  # each at another place, where all is new
            report = Path(f"{number}{suffix}")
            report.write_bytes(content)
            assert batchcls("run", "images", "-o", report, "--new-only").status == 3
            assert len(rows_of(report)) == 7, content


class TestWithoutPyarrow:
    CODE = (
        "import sys, runpy; sys.modules['pyarrow'] = None;"
        "sys.argv = ['batchcls', *{arguments!r}];"
        "runpy.run_module('batchcls', run_name='__main__')"
    )

    @pytest.fixture
    def run(self, tmp_path: Path, warm: Warm) -> Callable[..., Result]:
        def running(*arguments: str) -> Result:
            code = self.CODE.format(arguments=arguments)
            done = warm.run(["-c", code], cwd=tmp_path, env=os.environ, timeout=60)
            return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

        return running

    @pytest.mark.parametrize("options", [(), ("--new-only",)])
    def test_parquet_says_what_to_install(self, run, images, tmp_path, options):
        done = run("run", "images", "-o", "r.parquet", *options)
        assert done.status == 2, done.err
        assert "r.parquet: a report in Parquet needs pyarrow" in done.err
        assert "pip install 'batchcls[parquet]'" in done.err
        assert "Traceback" not in done.err
        assert os.listdir(tmp_path) == ["images"]

    def test_all_else_is_as_ever(self, run, images):
        for name in ("r.csv", "r.jsonl"):
            assert run("run", "images", "-o", name).status == 3
        done = run("plugins")
        assert done.status == 0, done.err
        assert "failed" not in done.out


def test_pyarrow_is_loaded_for_parquet_alone(images, monkeypatch):
    monkeypatch.setenv("BATCHCLS_DECODE_GUARD", "false")
    code = """
import sys
sys.argv = ["batchcls", "run", "images", "-o", "r{suffix}", "-q"]
from batchcls.__main__ import main
try:
    main()
except SystemExit:
    print("pyarrow" in sys.modules)
"""
    found = {}
    for suffix in SUFFIXES:
        command = [sys.executable, "-c", code.format(suffix=suffix)]
        found[suffix] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found == {".csv": "False\n", ".jsonl": "False\n", ".parquet": "True\n"}


def test_what_ships_keeps_its_endings(tmp_path, images, batchcls):
    (tmp_path / "mine.py").write_text(
        "from batchcls import hookimpl\n"
        "class Mine:\n"
        "    suffix = '.parquet'\n"
        "@hookimpl(tryfirst=True)\n"
        "def batchcls_report_formats():\n"
        "    return [Mine()]\n"
    )
    (tmp_path / "config.toml").write_text('plugins = ["mine.py"]\n')
    result = batchcls("run", "images", "-o", "r.parquet")
    assert result.status == 3
    assert "its report format '.parquet' is not used" in result.err
    assert len(rows_of("r.parquet")) == 7
