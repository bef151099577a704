"""Files that crash, hang or exhaust the decoder cost only themselves; the night goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Result, picture
from .deadmount import dead_mount

# A plugin of Pillow: a format whose files say what their decoding does.
HARMFUL = """
import ctypes, numpy, os, time
from PIL import Image, ImageFile

class Harmful(ImageFile.ImageFile):
    format = "HARM"

    def _open(self):
        self.what = self.fp.read(100).split()[1].decode()
        self._size, self._mode, self.tile = (64, 64), "RGB", []

    def load(self):
        if self.what == "segfault":
            ctypes.string_at(0)
        elif self.what == "abort":
            os.abort()
        elif self.what == "hang":
            time.sleep(1000)
        elif self.what == "hang-in-c":
            open("hangs", "w").close()
            ctypes.PyDLL(None).sleep(1000)
        elif self.what == "memory":
            held = []
            while True:
                held.append(numpy.empty(500_000_000, "u1"))  # nothing touches it
        elif self.what == "once" and not os.path.exists("once"):
            open("once", "w").close()
            ctypes.string_at(0)
        if getattr(self, "done", None) is None:
            self.done = True
            self.im = Image.new("RGB", (64, 64), (200, 30, 30)).im

Image.register_open("HARM", Harmful, lambda prefix: prefix.startswith(b"HARM "))
Image.register_extension("HARM", ".harm")
"""

GOOD = 16  # images with nothing wrong about them
Run = Callable[..., tuple[Result, dict[str, dict[str, str]]]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(GOOD):
        picture(number).save(folder / f"{number:02}.png")
    (tmp_path / "harmful.py").write_text(HARMFUL)
    time.sleep(0.1)
    return folder


@pytest.fixture
def run(batchcls, images, tmp_path) -> Run:
    def running(*options: str, **env: str) -> tuple[Result, dict[str, dict[str, str]]]:
        given = {
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "BATCHCLS_DECODE_PILLOW_PLUGINS": "harmful",
            "BATCHCLS_DECODE_MAX_SECONDS": "1.5",
            **env,
        }
        result = batchcls("run", "images", "-m", "imagenet", *options, **given)
        report = tmp_path / "report.csv"
        found = list(csv.DictReader(io.StringIO(report.read_text()))) if report.exists() else []
        table = {row["path"]: row for row in found}
        assert len(table) == len(found)
        return result, table

    return running


def harm(images: Path, name: str, what: str) -> None:
    (images / name).write_bytes(b"HARM " + what.encode() + b" " + name.encode())


CRASHED = "the decoder crashed on it ({})"
LATE = "could not be decoded within 1.5 s (decode.max_seconds)"
HARM = {
    "03a.harm": ("segfault", CRASHED.format("SIGSEGV")),
    "07a.harm": ("abort", CRASHED.format("SIGABRT")),
    "07b.harm": ("abort", CRASHED.format("SIGABRT")),
    "12a.harm": ("hang-in-c", LATE),
    "15a.harm": ("hang", LATE),
}


@pytest.mark.parametrize(
    ("store", "names"),
    [("--store", list(HARM)), ("--no-store", ["03a.harm", "12a.harm"])],
    ids=["--store", "--no-store"],
)
def test_each_costs_only_itself(run, images, store, names):
    for name in names:
        harm(images, name, HARM[name][0])
    harm(images, "15b.harm", "fine")
    result, table = run(store)
    assert result.status == 3, result.err
    assert len(table) == GOOD + len(names) + 1
    reasons = {path: row["error"] for path, row in table.items() if row["status"] == "error"}
    assert reasons == {name: HARM[name][1] for name in names}
    assert "Traceback" not in result.err
    assert "Fatal Python error" not in result.err
    assert "crashed" in result.err


def test_what_crashed_is_known_the_next_time(run, images, tmp_path):
    harm(images, "03a.harm", "segfault")
    _, first = run()
    report = (tmp_path / "report.csv").read_bytes()
    result, second = run()
    assert result.err.count("warning") == 1, result.err
    assert (tmp_path / "report.csv").read_bytes() == report
    run("--no-store")
    assert (tmp_path / "report.csv").read_bytes() == report
    assert first == second


def test_what_hung_twice_is_not_tried_a_third_time(run, images, tmp_path):
    """Once may be the machine's fault; each time costs as long as a file may take."""
    harm(images, "03a.harm", "hang")
    for turn in range(3):
        result, table = run()
        assert table["03a.harm"]["error"].startswith("could not be decoded within 1.5 s")
        assert ("took more than" in result.err) == (turn < 2), result.err
    result, table = run(BATCHCLS_DECODE_MAX_SECONDS="2.5")
    assert table["03a.harm"]["error"].startswith("could not be decoded within 2.5 s")


def test_without_a_guardian_the_next_run_deals_with_it(run, images):
    harm(images, "03a.harm", "segfault")
    result, table = run(BATCHCLS_DECODE_GUARD="false")
    assert result.status < 0
    assert table == {}
    result, table = run(BATCHCLS_DECODE_GUARD="false")
    assert result.status == 3, result.err
    assert table["03a.harm"]["error"] == "the decoder crashed on it (SIGSEGV)"
    assert sum(row["status"] == "ok" for row in table.values()) == GOOD
    result, table = run(BATCHCLS_DECODE_GUARD="false")
    assert result.status == 3


def test_told_to_end_while_a_decoder_hangs(images, tmp_path):
    """The worker can't tell of its end then; the guardian does, and nothing is left."""
    for number in range(2):
        harm(images, f"00a{number}.harm", "hang-in-c")
    (tmp_path / "tell").write_text('#!/bin/sh\necho "$BATCHCLS_STATUS" > told\n')
    (tmp_path / "tell").chmod(0o755)
    (tmp_path / "c.toml").write_text(
        '[run]\nimages = ["images"]\nmodel = "imagenet"\nsummary = "s.json"\n'
        'on_end = ["./tell"]\n[decode]\npillow_plugins = ["harmful"]\nmax_seconds = 4\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "--config", "c.toml"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"}
        if "PYTHONPATH" in os.environ
        else {**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "hangs").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "ended by SIGTERM" in said.decode()
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "interrupted"
    assert (tmp_path / "told").read_text() == "interrupted\n"
    assert not list(tmp_path.glob(".batchcls-*"))


def test_what_did_no_harm_again_has_its_label(run, images, tmp_path):
    harm(images, "03a.harm", "once")
    result, table = run()
    assert result.status == 0, result.err
    assert table["03a.harm"]["status"] == "ok"
    assert len(table) == GOOD + 1


def test_a_file_that_takes_all_memory(run, images, tmp_path):
    """Under a limit, so that this machine's own memory is not put to the test."""
    harm(images, "03a.harm", "memory")
    (tmp_path / "sitecustomize.py").write_text(
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000,) * 2)"
    )
    result, table = run()
    assert result.status == 3, result.err
    assert table["03a.harm"]["error"] == "not enough memory to decode it"
    assert sum(row["status"] == "ok" for row in table.values()) == GOOD


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def test_a_mount_that_does_not_answer(run, images, tmp_path):
    place = images / "mounted"
    place.mkdir()
    files = {f"mute-{number}.png": png(number) for number in range(6)}
    files |= {"alive.png": png(51)}
    with dead_mount(place, files):
        start = time.monotonic()
        result, table = run()
        took = time.monotonic() - start
    assert result.status == 3, result.err
    assert took < 25
    good = {path for path, row in table.items() if row["status"] == "ok"}
    assert {f"{number:02}.png" for number in range(GOOD)} <= good
    bad = {path: row["error"] for path, row in table.items() if row["status"] == "error"}
    # Once it is taken for dead, its folder stands for all that may be on it.
    files = {f"mounted/mute-{number}.png" for number in range(6)}
    assert "mounted/" in bad or files <= set(bad)
    assert all("did not answer within 1.5 s" in reason for reason in bad.values())
