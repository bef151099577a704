"""``batchcls run``, as a user runs it."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import make_classes, picture
from .images import chunk, huge_png, saved

HEADER = ["path", "label", "score", "status", "error"]


def rows(report: Path) -> list[dict[str, str]]:
    with report.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def by_path(report: Path) -> dict[str, dict[str, str]]:
    found = rows(report)
    table = {row["path"]: row for row in found}
    assert len(table) == len(found), "a path stands twice in the report"
    return table


def test_every_image_has_its_row_with_the_right_label(batchcls, model, tmp_path):
    make_classes(tmp_path / "images")
    result = batchcls("run", "images", "--model", model, "--output", "out.csv", "--no-unknown")
    assert result.status == 0, result.err
    table = by_path(tmp_path / "out.csv")
    assert sorted(table) == sorted(f"{c}/{n}.jpg" for c in ("dark", "light") for n in range(4))
    for path, row in table.items():
        assert row["label"] == path.split("/", maxsplit=1)[0]
        assert row["status"] == "ok"
        assert row["error"] == ""
        assert 0.5 < float(row["score"]) <= 1.0
    assert "dark" in result.out
    assert "8 images" in result.out
    assert "report: out.csv" in result.out
    assert result.err == ""


def test_hostile_folder_every_file_has_row_and_reason_and_the_rest_is_classified(
    batchcls, model, tmp_path
):
    images = make_classes(tmp_path / "images", count=2)
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.jpg").write_text("not an image")
    whole = (images / "dark" / "0.jpg").read_bytes()
    (images / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (images / "huge.png").write_bytes(huge_png())
    (images / "x.jpg").mkdir()
    shutil.copy(images / "dark" / "0.jpg", images / "x.jpg" / "inside.jpg")
    (images / "dangling.jpg").symlink_to("nowhere.jpg")
    (images / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(images / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(images)
        server.bind("socket.jpg")
        result = batchcls("run", "images", "--model", model, "--output", "out.csv", "--no-unknown")
    assert result.status == 3, result.err
    table = by_path(tmp_path / "out.csv")
    reasons = {
        "empty.jpg": "empty",
        "text.jpg": "not an image",
        "truncated.jpg": "truncated",
        "huge.png": "too large",
        "x.jpg": "folder",
        "dangling.jpg": "dangling link",
        "circle.jpg": "back to itself",
        "pipe.jpg": "not a regular file",
        "socket.jpg": "not a regular file",
    }
    for path, reason in reasons.items():
        assert table[path]["status"] == "error"
        assert reason in table[path]["error"], table[path]
        assert table[path]["label"] == table[path]["score"] == ""
    good = {path for path, row in table.items() if row["status"] == "ok"}
    assert good == {"dark/0.jpg", "dark/1.jpg", "light/0.jpg", "light/1.jpg", "x.jpg/inside.jpg"}
    assert set(table) == good | set(reasons)
    assert "(unreadable)" in result.out
    assert "Traceback" not in result.err


@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="needs setpriv to give up root's rights"
)
def test_file_without_permission_is_a_row(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "images", count=1)
    secret = images / "dark" / "0.jpg"
    secret.chmod(0)
    drop = "-dac_override,-dac_read_search"
    done = subprocess.run(
        ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"] * (os.geteuid() == 0)
        + [sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-o", "out.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "setpriv" in done.stderr:
        pytest.skip(f"setpriv: {done.stderr}")
    assert done.returncode == 3, done.stderr
    table = by_path(tmp_path / "out.csv")
    assert table["dark/0.jpg"]["error"] == "permission denied"
    assert table["light/0.jpg"]["status"] == "ok"


# A plugin of Pillow: an image that is not decoded before there is a file `go`.
WAITING = """
import os, time
from PIL import Image, ImageFile

class Waiting(ImageFile.ImageFile):
    format = "WAITING"

    def _open(self):
        self._size, self._mode, self.tile = (64, 64), "RGB", []

    def load(self):
        open("begun", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.01)
        self.im = Image.new("RGB", (64, 64)).im

Image.register_open("WAITING", Waiting, lambda prefix: prefix.startswith(b"WAITING"))
Image.register_extension("WAITING", ".waiting")
"""


def test_file_that_vanishes_between_scan_and_decode_is_a_row(batchcls, model, tmp_path):
    """The last one is deleted while the first one is decoded."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "00.waiting").write_bytes(b"WAITING")
    for number in range(1, 20):
        picture(number).save(images / f"{number:02}.png")
    (tmp_path / "waiting.py").write_text(WAITING)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-o", "out.csv"),
            *("-j1", "--no-unknown"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "BATCHCLS_DECODE_PILLOW_PLUGINS": "waiting",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    (images / "19.png").unlink()
    (tmp_path / "go").touch()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    table = by_path(tmp_path / "out.csv")
    assert len(table) == 20
    assert "vanished" in table["19.png"]["error"]
    assert all(row["status"] == "ok" for path, row in table.items() if path != "19.png")


def test_names_that_are_not_utf8_keep_their_bytes_and_formulas_are_defused(
    batchcls, model, tmp_path
):
    images = tmp_path / "images"
    images.mkdir()
    names = [
        b"caf\xe9.jpg",
        b"=1+1.jpg",
        b"@x.jpg",
        b"-n.jpg",
        b'quote",comma.jpg',
        b"line\nbreak.jpg",
    ]
    for name in names:
        picture().save(os.fsencode(images) + b"/" + name, "JPEG")
    result = batchcls("run", "images", "--model", model, "--output", "out.csv", "--no-unknown")
    assert result.status == 0, result.err
    data = (tmp_path / "out.csv").read_bytes()
    assert b"caf\xe9.jpg," in data
    table = by_path(tmp_path / "out.csv")
    assert set(table) == {
        "caf\udce9.jpg",
        "./=1+1.jpg",
        "./@x.jpg",
        "./-n.jpg",
        'quote",comma.jpg',
        "line\nbreak.jpg",
    }
    assert all(row["status"] == "ok" for row in table.values())


def test_report_is_rfc_4180(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "images", count=1)
    (images / 'a "b".jpg').write_bytes(b"")
    assert batchcls("run", "images", "-m", model, "-o", "out.csv").status == 3
    data = (tmp_path / "out.csv").read_bytes()
    lines = data.split(b"\r\n")
    assert lines[0] == b"path,label,score,status,error"
    assert lines[1] == b'"a ""b"".jpg",,,error,an empty file'
    assert lines[-1] == b""
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_scores_and_runners_up(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "images", count=1)
    (images / "empty.jpg").write_bytes(b"")
    result = batchcls("run", "images", "-m", model, "-o", "out.csv", "--scores", "--top", "2")
    assert result.status == 3
    table = by_path(tmp_path / "out.csv")
    row = table["dark/0.jpg"]
    assert list(row) == [*HEADER, "label_2", "score_2", "score:dark", "score:light"]
    assert row["label_2"] == "light"
    assert row["score"] == row["score:dark"]
    assert row["score_2"] == row["score:light"]
    assert float(row["score"]) + float(row["score_2"]) == pytest.approx(1, abs=2e-6)
    assert [table["empty.jpg"][name] for name in list(row)[5:]] == ["", "", "", ""]


def test_several_folders_keep_apart_and_no_image_stands_twice(batchcls, model, tmp_path):
    make_classes(tmp_path / "a", count=1)
    make_classes(tmp_path / "b", count=1)
    result = batchcls("run", "a", "b", "a", "a/dark", "b/light/0.jpg", "-m", model, "-o", "out.csv")
    assert result.status == 0, result.err
    assert sorted(by_path(tmp_path / "out.csv")) == [
        "a/dark/0.jpg",
        "a/light/0.jpg",
        "b/dark/0.jpg",
        "b/light/0.jpg",
    ]


def test_report_to_standard_output_is_the_same_and_nothing_else_is_there(batchcls, model, tmp_path):
    make_classes(tmp_path / "images")
    assert batchcls("run", "images", "-m", model, "-o", "out.csv").status == 0
    result = batchcls("run", "images", "-m", model, "-o", "-")
    assert result.out.encode() == (tmp_path / "out.csv").read_bytes()
    assert "8 images" in result.err


def test_two_runs_give_the_same_bytes_whatever_the_number_of_threads(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=12)
    options = ("-m", model, "--scores", "--no-store")
    for jobs in ("1", "2", "5"):
        batchcls("run", "images", *options, "-o", f"{jobs}.csv", "--jobs", jobs)
    reports = {(tmp_path / f"{jobs}.csv").read_bytes() for jobs in ("1", "2", "5")}
    assert len(reports) == 1


def test_all_files_lets_the_content_decide_and_leaves_the_report_out(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "images", count=1)
    (images / "dark" / "0.jpg").rename(images / "dark" / "no_extension")
    for _ in range(2):  # the second time, the report of the first lies in the folder
        result = batchcls("run", "images", "-m", model, "-o", "images/out.csv", "--all-files")
        table = by_path(images / "out.csv")
        assert set(table) == {"dark/no_extension", "light/0.jpg", "tags.tsv"}
        assert table["dark/no_extension"]["label"] == "dark"
        assert "not an image" in table["tags.tsv"]["error"]
        assert result.status == 3


def test_include_exclude_and_hidden(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "images", count=2)
    (images / ".hidden").mkdir()
    picture().save(images / ".hidden" / "h.jpg")

    def found(*options: str) -> list[str]:
        batchcls("run", "images", "-m", model, "-o", "out.csv", *options)
        return [row["path"] for row in rows(tmp_path / "out.csv")]

    assert found("--include", "dark/") == ["dark/0.jpg", "dark/1.jpg"]
    assert found("--exclude", "1.*", "--exclude", "light") == ["dark/0.jpg"]
    assert found("--hidden", "--include", "*.jpg")[0] == ".hidden/h.jpg"


def test_failed_run_leaves_the_old_report(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    (tmp_path / "out.csv").write_text("the old one")
    (tmp_path / "bad.batchcls").write_text("no model")
    assert batchcls("run", "images", "-m", "bad.batchcls", "-o", "out.csv").status == 2
    assert batchcls("run", "nowhere", "-m", model, "-o", "out.csv").status == 2
    assert (tmp_path / "out.csv").read_text() == "the old one"
    assert not list(tmp_path.glob(".batchcls-*"))


def run_in_work(model: Path, folder: Path) -> subprocess.Popen[str]:
    """Start a run over many images in ``folder``, and wait until its report has been begun."""
    (folder / "images").mkdir()
    whole = saved(picture(1, (1200, 900)), "PNG", compress_level=1)
    for number in range(100):
        # Of each other content, that all of them are decoded.
        comment = chunk(b"tEXt", b"Comment\0%d" % number)
        (folder / "images" / f"{number:02}.png").write_bytes(whole[:-12] + comment + whole[-12:])
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-o", "out.csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    while not list(folder.glob(".batchcls-*.tmp")):
        assert process.poll() is None
        time.sleep(0.001)
    return process


def test_killed_run_leaves_the_old_report(model, tmp_path):
    (tmp_path / "out.csv").write_text("the old one")
    process = run_in_work(model, tmp_path)
    process.kill()
    process.communicate()
    assert (tmp_path / "out.csv").read_text() == "the old one"


def test_interrupted_run_says_so_at_once_and_leaves_the_old_report(model, tmp_path):
    (tmp_path / "out.csv").write_text("the old one")
    process = run_in_work(model, tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == "batchcls: interrupted; what was done is kept, no report was written\n"
    assert (tmp_path / "out.csv").read_text() == "the old one"
    assert not list(tmp_path.glob(".batchcls-*"))


def test_without_a_model_imagenet_is_used_and_it_says_so(batchcls, tmp_path):
    (tmp_path / "images").mkdir()
    picture().save(tmp_path / "images" / "a.jpg")
    result = batchcls("run", "images")
    assert result.status == 0
    assert "imagenet" in result.err
    assert (tmp_path / "report.csv").exists()


def test_empty_folder_warns_and_writes_an_empty_report(batchcls, model, tmp_path):
    (tmp_path / "images").mkdir()
    result = batchcls("run", "images", "-m", model)
    assert result.status == 0
    assert "no images found in images" in result.err
    assert rows(tmp_path / "report.csv") == []


def test_what_can_not_be_done_is_one_clear_error(batchcls, model, tmp_path):
    (tmp_path / "images").mkdir()
    cases = {
        ("run",): "no images",
        ("run", "nowhere"): "nowhere: No such file",
        ("run", "images", "-m", "none.batchcls"): "none.batchcls: no such file",
        ("run", "images", "-m", model, "-o", "no/such/out.csv"): "does not exist",
        ("run", "images", "-m", model, "-o", "images"): "a folder",
        ("run", "images", "-m", model, "-o", "out.xyz"): "no report format '.xyz'",
        ("run", "images", "--config", "none.toml"): "none.toml: No such file",
    }
    for arguments, message in cases.items():
        result = batchcls(*arguments)
        assert result.status == 2, (arguments, result)
        assert message in result.err, (arguments, result)
        assert result.err.startswith("batchcls: error: ")
        assert "Traceback" not in result.err
        assert result.out == ""


def test_model_of_the_configuration_is_trained_first_and_only_once(batchcls, tmp_path):
    images = make_classes(tmp_path / "data" / "images")
    (tmp_path / "data" / "config.toml").write_text(
        "[run]\nimages = ['images']\nmodel = 'm.batchcls'\noutput = 'r.csv'\n"
        "[train]\ntags = 'images/tags.tsv'\nframing = 'pad'\n"
    )
    (tmp_path / "elsewhere").mkdir()
    arguments = ("run", "--config", tmp_path / "data" / "config.toml")
    first = batchcls(*arguments, cwd=tmp_path / "elsewhere")
    assert first.status == 0, first.err
    assert "training it from" in first.err
    assert len(rows(tmp_path / "data" / "r.csv")) == 8
    before = (tmp_path / "data" / "m.batchcls").stat().st_mtime_ns
    (images / "tags.tsv").unlink()
    second = batchcls(*arguments, cwd=tmp_path / "elsewhere")
    assert second.status == 0, second.err
    assert "training" not in second.err
    assert (tmp_path / "data" / "m.batchcls").stat().st_mtime_ns == before


def test_configured_ready_model_is_used_although_tags_are_configured(batchcls, tmp_path):
    make_classes(tmp_path / "images", count=2)
    (tmp_path / "config.toml").write_text(
        "[run]\nimages = ['images']\nmodel = 'imagenet'\n[train]\ntags = 'images/tags.tsv'\n"
    )
    result = batchcls("run")
    assert result.status == 0, result.err
    assert "training" not in result.err
    assert not (tmp_path / "imagenet").exists()
    assert batchcls("train", "--framing", "pad").status == 0
    assert (tmp_path / "model.batchcls").exists()
    assert not (tmp_path / "imagenet").exists()


def test_options_win_over_environment_and_that_over_the_configuration(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    (tmp_path / "config.toml").write_text(
        f"[run]\nimages = ['images']\nmodel = '{model}'\noutput = 'config.csv'\n"
    )
    assert batchcls("run").status == 0
    assert (tmp_path / "config.csv").exists()
    assert batchcls("run", BATCHCLS_RUN_OUTPUT="variable.csv").status == 0
    assert (tmp_path / "variable.csv").exists()
    assert batchcls("run", "-o", "option.csv", BATCHCLS_RUN_OUTPUT="other.csv").status == 0
    assert (tmp_path / "option.csv").exists()
    assert not (tmp_path / "other.csv").exists()


def test_run_with_a_trained_model_imports_neither_tensorflow_nor_scikit_learn(model, tmp_path):
    make_classes(tmp_path / "images")
    code = (
        "import sys; from batchcls.cli import app\n"
        f"try: app(['run', 'images', '-m', {str(model)!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print({'tensorflow', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_progress_only_on_a_terminal(model, tmp_path):
    """On a pseudo-terminal there is a bar with a rate; the report is the same."""
    import pty

    make_classes(tmp_path / "images", count=30)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "images", "-m", model],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(follower)
    shown = io.BytesIO()
    try:
        while chunk := os.read(leader, 4096):
            shown.write(chunk)
    except OSError:  # how a pseudo-terminal ends
        pass
    process.communicate()
    assert process.returncode == 0
    assert b"classifying" in shown.getvalue()
    assert b"images/s" in shown.getvalue()
    assert b"/60" in shown.getvalue()
    assert len(rows(tmp_path / "report.csv")) == 60


def test_quiet_says_nothing_when_all_is_well(batchcls, model, tmp_path):
    make_classes(tmp_path / "images")
    result = batchcls("run", "images", "-m", model, "--quiet")
    assert (result.status, result.out, result.err) == (0, "", "")


def test_unexpected_error_keeps_its_traceback_and_the_old_report(model, tmp_path):
    """A bug in a plugin is no row and no exit status of its own."""
    make_classes(tmp_path / "images")
    (tmp_path / "report.csv").write_text("the old one")
    code = (
        "import batchcls.builtin.logistic as l\n"
        "def broken(self, features): raise ZeroDivisionError('a bug')\n"
        "l.LogisticRegression.predict_proba = broken\n"
        f"from batchcls.cli import app; app(['run', 'images', '-m', {str(model)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: a bug" in done.stderr
    assert (tmp_path / "report.csv").read_text() == "the old one"
    assert not list(tmp_path.glob(".batchcls-*"))


def test_terminated_run_ends_with_the_shells_status_and_leaves_nothing_behind(model, tmp_path):
    process = run_in_work(model, tmp_path)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


@pytest.mark.parametrize("sink", ["/dev/full", "closed pipe"])
def test_table_that_nobody_reads_changes_nothing_about_the_report(model, tmp_path, sink):
    make_classes(tmp_path / "images", count=1)
    command = [sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-o", "out.csv"]
    done = into(sink, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(tmp_path / "out.csv")) == 2


def test_result_that_can_not_be_printed_is_one_clear_error(model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    python = [sys.executable, "-m", "batchcls"]
    full = "batchcls: error: standard output: can't be written: No space left on device\n"
    for sink, said, command in (
        ("/dev/full", full, ["predict", "images/dark/0.jpg"]),
        ("/dev/full", full, ["predict", "images/dark/0.jpg", "--json"]),
        ("closed pipe", "", ["predict", "images/dark/0.jpg"]),
        ("/dev/full", full, ["evaluate", "images/tags.tsv"]),
        ("/dev/full", full, ["evaluate", "images/tags.tsv", "--json"]),
        ("closed pipe", "", ["evaluate", "images/tags.tsv", "--json"]),
    ):
        done = into(sink, [*python, *command, "-m", model])
        assert (done.returncode, done.stderr) == (1, said), (sink, command)


def into(sink: str, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run a command with standard output that takes nothing."""
    if sink == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(sink, os.O_WRONLY)
    try:
        return subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120
        )
    finally:
        os.close(writer)


def test_report_to_what_standard_output_is_called(model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    command = [sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-q", "-o"]
    outputs = [
        subprocess.run([*command, name], capture_output=True, check=True).stdout
        for name in ("-", "/dev/stdout")
    ]
    assert outputs[0] == outputs[1] != b""


def test_configured_name_that_is_no_model_is_an_error_that_lists_the_ready_ones(batchcls, tmp_path):
    make_classes(tmp_path / "images", count=1)
    (tmp_path / "config.toml").write_text(
        "[run]\nmodel = 'imagenett'\n[train]\ntags = 'images/tags.tsv'\n"
    )
    result = batchcls("run", "images")
    assert result.status == 2
    assert "run -> model" in result.err
    assert "imagenett" in result.err
    assert "There is: imagenet, inception-imagenet." in result.err
