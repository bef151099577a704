"""Whatever happens to a run, the next one goes on from there, and the report is the same."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import SOAK, make_classes, picture
from .warm import Warm

# The embedded network, slowed down; it writes down each image before it works on it.
COUNTING = """
import os, time
from batchcls import hookimpl
from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0

class Counting:
    def __init__(self, inner):
        self.inner = inner
        self.name = "counting"
        self.digest, self.input_size = inner.digest[::-1], inner.input_size
        self.dimension = inner.dimension

    def featurize(self, pixels):
        with open(os.environ["COUNTED"], "a") as file:
            file.write("x" * len(pixels))
        time.sleep(len(pixels) * float(os.environ.get("PAUSE", "0.012")))
        return self.inner.featurize(pixels)

    def to_files(self):
        return self.inner.to_files()

class Provider:
    name = "counting"
    description = "counts"

    def create(self, context):
        return Counting(EfficientNetLite0().create(context))

    def restore(self, files):
        return Counting(EfficientNetLite0().restore(files))

@hookimpl
def batchcls_featurizers():
    return [Provider()]
"""
# A chunk is kept as soon as it is done: what is lost is the one that each thread is at.
BATCH = 8
THREADS = 2


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A folder with a model of the counting network."""
    folder = tmp_path_factory.mktemp("ready")
    make_classes(folder / "tagged")
    (folder / "counting.py").write_text(COUNTING)
    (folder / "config.toml").write_text(
        'plugins = ["counting.py"]\n'
        f'[run]\nimages = ["images"]\nmodel = "model.batchcls"\njobs = {THREADS}\n'
        '[train]\nfeaturizer = "counting"\nframing = "square"\n[report]\nunknown = false\n'
    )
    env = {**os.environ, "BATCHCLS_INSTALLED_PLUGINS": "", "BATCHCLS_STORE_ENABLED": "false"}
    train = ["-m", "batchcls", "train", "tagged/tags.tsv", "-q"]
    env["COUNTED"] = os.devnull
    warm.run(train, cwd=folder, env=env, timeout=120).check_returncode()
    return folder


@pytest.fixture
def project(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of the counting network, and where it counts."""
    for name in ("counting.py", "config.toml", "model.batchcls"):
        shutil.copy(ready / name, tmp_path / name)
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    (tmp_path / "images").mkdir()
    return tmp_path


COMMAND = [sys.executable, "-m", "batchcls"]


def fill(project: Path, count: int) -> None:
    for number in range(count):
        picture(number).save(project / "images" / f"{number:04}.png")
    (project / "images" / "0500 broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    (project / "counted").write_text("")


def counted(project: Path) -> int:
    return (project / "counted").stat().st_size


def start(project: Path, *options: str, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "run", *options],
        cwd=project,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


@pytest.mark.fuzz
@pytest.mark.timeout(7200 if SOAK > 1 else 300)
@pytest.mark.parametrize("victim", ["guardian", "all"])
def test_killed_at_random_moments_it_ends_with_the_same_report(project, batchcls, victim):
    """The guardian alone, or all of its processes at once; `make soak`: 20 times in 1,000 files."""
    kills, images = (20, 1000) if SOAK > 1 else (3, 120) if victim == "guardian" else (3, 100)
    fill(project, images)
    chance = random.Random(victim if SOAK == 1 else None)
    killed = 0
    while killed < kills:
        process = start(project)
        # From before its start is over to well within the work, which is to last for all kills.
        time.sleep(chance.uniform(0.0, 0.3))
        enough = counted(project) + chance.randrange(images // (2 * kills))
        while counted(project) < enough and process.poll() is None:
            time.sleep(chance.uniform(0.0, 0.01))
        if process.poll() is not None:
            process.communicate()
            break
        victims = [*(children(process.pid) if victim == "all" else []), process.pid]
        for one in victims:
            os.kill(one, signal.SIGKILL)
        process.communicate()
        assert not (project / "report.csv").exists()
        killed += 1
    process = start(project)
    _, said = process.communicate()
    assert process.returncode == 3, said.decode()
    assert killed == kills, "it was done before it could be killed as often"
    redone = counted(project) - images
    assert 0 <= redone <= kills * BATCH * THREADS
    report = (project / "report.csv").read_bytes()
    assert report.count(b"\n") == images + 2
    batchcls("run", "--no-store", "-o", "alone.csv")
    assert report == (project / "alone.csv").read_bytes()
    assert not list(project.glob(".batchcls-*")), "what was left over is swept up"


def test_what_killed_runs_left_is_swept_up_whatever_their_reports_were_called(project):
    fill(project, 40)
    for number in range(2):
        process = start(project, "-o", f"{number}-{{time}}.csv")
        while not list(project.glob(".batchcls-*.tmp")):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert len(list(project.glob(".batchcls-*"))) == 2 * (number + 1) - number * 2
    other = start(project, "-o", "other.csv", PAUSE="0.1")  # which outlasts the next one
    while len(list(project.glob(".batchcls-*.tmp"))) < 1:
        time.sleep(0.01)
    process = start(project, "-o", "last-{date}.csv")
    assert process.communicate() and process.returncode == 3
    assert other.communicate() and other.returncode == 3, "one that lives is left alone"
    assert not list(project.glob(".batchcls-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end_it_does_so_soon_and_keeps_its_work(project, batchcls, number):
    fill(project, 80)
    process = start(project)
    while counted(project) < 24:
        time.sleep(0.02)
        assert process.poll() is None
    at = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - at < 3
    assert process.returncode == 128 + number
    word = "interrupted" if number is signal.SIGINT else f"ended by {number.name}"
    assert word in said.decode()
    assert "Traceback" not in said.decode()
    assert not (project / "report.csv").exists()
    assert not list(project.glob(".batchcls-*"))
    before = counted(project)
    assert batchcls("run", "--summary", "summary.json").status == 3
    counts = json.loads((project / "summary.json").read_text())["counts"]
    assert counts["recalled"] >= before - BATCH * THREADS
    assert counted(project) - 80 <= BATCH * THREADS


def test_a_worker_that_is_killed_is_replaced(project):
    fill(project, 80)
    process = start(project)
    while counted(project) < 24:
        time.sleep(0.02)
    [worker] = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "the worker was killed" in said.decode()
    assert counted(project) - 80 <= BATCH * THREADS
    assert (project / "report.csv").read_bytes().count(b"\n") == 82


@pytest.mark.fuzz
@pytest.mark.timeout(7200 if SOAK > 1 else 300)
@pytest.mark.parametrize("times", [10 if SOAK > 1 else 3])
def test_two_runs_at_once(project, batchcls, times):
    """On other folders with one store, and on the same one: whole reports, a sound store."""
    fill(project, 24)
    (project / "other").mkdir()
    for number in range(12, 36):
        picture(number).save(project / "other" / f"{number}.png")
    batchcls("run", "--no-store")
    alone = (project / "report.csv").read_bytes()
    for turn in range(times):
        if turn % 3 != 1:
            assert batchcls("cache", "clear").status == 0
        for report in project.glob("*.csv"):
            report.unlink()
        same = "report.csv" if turn % 2 else "second.csv"
        first = start(project, "--wait", "60")
        second = start(project, "images", "--wait", "60", "-o", same)
        third = start(project, "other", "-o", "other.csv")
        for process, status in ((first, 3), (second, 3), (third, 0)):
            _, said = process.communicate(timeout=100)
            assert process.returncode == status, said.decode()
            assert "store" not in said.decode()
        assert (project / "report.csv").read_bytes() == alone
        assert (project / same).read_bytes() == alone
        assert (project / "other.csv").read_bytes().count(b"\n") == 25
        assert sound()


def sound() -> bool:
    import sqlite3

    database = sqlite3.connect(Path(os.environ["BATCHCLS_STORE_FOLDER"]) / "store.sqlite")
    [answer] = database.execute("PRAGMA integrity_check").fetchone()
    database.close()
    return bool(answer == "ok")
