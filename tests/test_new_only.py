"""Only what is new: ``--new-only`` and ``--since``."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import HOLD, picture

Reported = Callable[..., set[str]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        picture(number).save(folder / f"{number}.png")
    time.sleep(0.1)
    return folder


@pytest.fixture
def reported(batchcls, images, tmp_path) -> Reported:
    """Run, and give the paths that the report has."""

    def run(*options: str, output: str = "report.csv", status: int = 0, **env: str) -> set[str]:
        result = batchcls("run", "images", "-m", "imagenet", "-o", output, *options, **env)
        assert result.status == status, result.err
        with (tmp_path / output).open(newline="", errors="surrogateescape") as file:
            return {row["path"] for row in csv.DictReader(file)}

    return run


ALL = {f"{number}.png" for number in range(4)}


class TestNewOnly:
    def test_each_image_once(self, reported, images):
        assert reported("--new-only") == ALL
        assert reported("--new-only") == set()
        picture(50).save(images / "new.png")
        (images / "sub").mkdir()
        picture(51).save(images / "sub" / "=too.png")
        picture(52).save(images / "=formula.png")
        assert reported("--new-only") == {"new.png", "sub/=too.png", "./=formula.png"}
        assert reported("--new-only") == set()

    def test_after_reports_of_everything(self, reported, images):
        assert reported() == ALL
        assert reported("--new-only") == set()
        picture(50).save(images / "50.png")
        assert reported() == {*ALL, "50.png"}
        picture(51).save(images / "51.png")
        assert reported("--new-only") == {"51.png"}
        picture(52).save(images / "52.png")
        assert reported("--new-only") == {"52.png"}

    def test_a_change_is_new(self, reported, images):
        assert reported("--new-only") == ALL
        picture(60).save(images / "1.png")
        assert reported("--new-only") == {"1.png"}
        os.utime(images / "2.png")  # touched, but the same
        assert reported("--new-only") == set()

    def test_what_can_not_be_read_is_new_until_it_can(self, reported, images):
        (images / "dangling.png").symlink_to("later.jpeg")
        (images / "broken.png").write_bytes(b"nonsense")
        assert reported("--new-only", status=3) == {*ALL, "dangling.png", "broken.png"}
        assert reported("--new-only", status=3) == {"dangling.png"}
        picture(70).save(images / "broken.png")
        picture(71).save(images / "later.jpeg")
        assert reported("--new-only") == {"dangling.png", "later.jpeg", "broken.png"}
        assert reported("--new-only") == set()

    def test_a_change_after_a_report_of_everything(self, reported, images):
        assert reported() == ALL
        assert reported("--new-only") == set()
        picture(60).save(images / "1.png")
        assert reported("--new-only") == {"1.png"}

    def test_an_error_that_a_setting_cures(self, reported):
        limit = {"BATCHCLS_DECODE_MAX_PIXELS": "100"}
        assert reported("--new-only", status=3, **limit) == ALL
        assert reported("--new-only", **limit) == set()
        assert reported("--new-only") == ALL

    def test_a_second_run_of_the_same_night_keeps_what_the_first_one_had(self, batchcls, images):
        night = time.strftime("%Y-%m-%d.csv")
        run = ("run", "images", "-m", "imagenet", "--new-only", "-o", "{date}.csv")
        (images / "broken.png").write_bytes(b"nonsense")
        for names in (set(), {"new.png"}, set()):
            for name in names:
                picture(90).save(images / name)
            assert batchcls(*run).status == 3
        text = Path(night).read_text()
        assert {line.split(",")[0] for line in text.splitlines()[1:]} == {
            *ALL,
            "new.png",
            "broken.png",
        }

    def test_two_at_once_lose_nothing(self, images, tmp_path):
        """Whatever their reports are called, one of them steps aside, even if it is killed."""
        for number in range(100, 120):
            picture(number).save(images / f"{number}.png")
        (tmp_path / "hold.py").write_text(HOLD)
        (tmp_path / "config.toml").write_text('plugins = ["hold.py"]\n')
        (tmp_path / "hold").touch()
        run = ("run", "images", "-m", "imagenet", "--new-only", "-o", "{date}-{time}.csv")
        command = [sys.executable, "-m", "batchcls", *run]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        while not (tmp_path / "held").exists():
            assert first.poll() is None
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGSTOP)
        time.sleep(1.1)
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        (tmp_path / "hold").unlink()
        os.killpg(first.pid, signal.SIGCONT)
        assert second.returncode == 4, second.stderr
        assert "{date}-{time}.csv" in second.stderr
        assert first.wait() == 0

    def test_clearing_the_store_does_not_forget(self, reported, batchcls):
        assert reported("--new-only") == ALL
        assert batchcls("cache", "clear").status == 0
        assert reported("--new-only") == set()
        assert batchcls("cache", "clear", "--reported").status == 0
        assert reported("--new-only", output="other.csv") == ALL

    def test_reports_elsewhere_are_others(self, reported):
        assert reported("--new-only") == ALL
        assert reported("--new-only", output="other.csv") == ALL
        assert reported("--new-only", output="other.csv") == set()

    def test_with_a_report_for_each_night(self, reported, images, tmp_path, batchcls):
        (tmp_path / "reports").mkdir()
        former = "path,label,score,status,error\n0.png,a,1.0,ok,\n1.png,,,error,gone\n"
        (tmp_path / "reports" / "2026-01-01.csv").write_text(former)
        run = ("run", "images", "-m", "imagenet", "--new-only", "-o", "reports/{date}.csv")
        assert batchcls(*run).status == 0
        [report] = [path for path in (tmp_path / "reports").iterdir() if "01-01" not in path.name]
        lines = report.read_text().splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == ["1.png", "2.png", "3.png"]

    def test_a_run_that_fails_reports_nothing(self, reported, batchcls, tmp_path):
        code = (
            "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65536,) * 2);"
            "sys.argv = ['batchcls', 'run', 'images', '-m', 'imagenet', '--new-only', '--scores'];"
            "runpy.run_module('batchcls', run_name='__main__')"
        )
        for number in range(20):
            picture(number + 100).save(tmp_path / "images" / f"{number + 100}.png")
        reported(output="warm.csv")  # the store may not grow any more
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == 1, done.stderr.decode()
        assert len(reported("--new-only")) == 24

    def test_it_needs_the_store(self, batchcls, images, tmp_path):
        run = ("run", "images", "-m", "imagenet", "--new-only")
        result = batchcls(*run, "--no-store")
        assert result.status == 2
        assert "new_only: needs the store" in result.err
        assert batchcls(*run, "-o", "-").status == 2
        Path(os.environ["BATCHCLS_STORE_FOLDER"]).write_text("in the way")
        result = batchcls(*run)
        assert result.status == 2
        assert "the store, which can't be used" in result.err
        assert not (tmp_path / "report.csv").exists()

    def test_nothing_new_is_no_problem(self, batchcls, reported):
        reported("--new-only")
        result = batchcls("run", "images", "-m", "imagenet", "--new-only")
        assert result.status == 0
        assert "4 were reported before" in result.out
        assert "no images found" not in result.err


class TestSince:
    def test_by_the_time_of_modification(self, reported, images):
        day = 86_400
        for number in range(4):
            at = time.time() - number * day - 60
            os.utime(images / f"{number}.png", (at, at))
        (images / "dangling.png").symlink_to("nowhere")
        assert reported("--since", "36h", status=3) == {"0.png", "1.png", "dangling.png"}
        (images / "dangling.png").unlink()
        assert reported("--since", "3d") == {"0.png", "1.png", "2.png"}
        assert reported("--since", "2020-01-01") == ALL
        date = time.strftime("%Y-%m-%dT%H:%M", time.localtime(time.time() - day))
        assert reported("--since", date) == {"0.png"}
        assert reported("--since", "3d", "--no-store") == {"0.png", "1.png", "2.png"}
        assert reported("--since", "10s") == set()

    def test_no_moment(self, batchcls, images):
        result = batchcls("run", "images", "--since", "yesteryear")
        assert result.status == 2
        assert "run -> since" in result.err
