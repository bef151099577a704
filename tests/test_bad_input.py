"""A folder of everything that may be wrong with a file, through the real command."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.badinput import EITHER, ERROR, OK, PILLOW, Kind, kinds, whole, write
from tests.conftest import SOAK, fuzzed, make_classes, picture
from tests.warm import Warm

TIME_LIMIT = 100.0
# What a process may hold at most with two threads, in megabytes. The largest image has 225 million
# pixels; in a soak, there is one of 80 million floats, too.
MEMORY_LIMIT, MEMORY_LIMIT_OF_A_SOAK = 900, 1500
WARNING = re.compile(r"batchcls: warning: [\d,]+ images? could not be read; the report says why")
# The highest memory of the command and of what it started, measured by a small process, as a fork
# begins with that of its parent.
MEASURED = (
    "import resource, subprocess, sys\n"
    "done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL)\n"
    "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
    "open(sys.argv[1], 'w').write(str(peak // (1024 if sys.platform == 'linux' else 1024**2)))\n"
    "sys.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)\n"
)


@dataclass(frozen=True)
class Done:
    """What a run did: ``rows`` by the bytes of their paths, ``memory`` in megabytes."""

    status: int
    report: bytes
    rows: dict[bytes, dict[str, str]]
    err: str
    memory: int


# Instead of a network, which would take most of the time: all that is shown, made small.
SMALL = """
import numpy as np
from batchcls import hookimpl

class Small:
    name, digest, input_size, dimension = "small", "0" * 64, 16, 16 * 16 * 3
    def featurize(self, pixels):
        return pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    def to_files(self):
        return {"small": b""}

class Provider:
    name, description = "small", "the pixels"
    def create(self, context):
        return Small()
    def restore(self, files):
        return Small()

@hookimpl
def batchcls_featurizers():
    return [Provider()]
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A configuration with a model that takes next to no time."""
    folder = make_classes(tmp_path_factory.mktemp("small"))
    (folder / "small.py").write_text(SMALL)
    (folder / "config.toml").write_text(
        'plugins = ["small.py"]\n[run]\nmodel = "model.batchcls"\n[report]\nunknown = false\n'
        '[train]\nfeaturizer = "small"\nframing = "stretch"\n'
    )
    env = {**os.environ, "BATCHCLS_INSTALLED_PLUGINS": "", "BATCHCLS_STORE_ENABLED": "false"}
    train = ["-m", "batchcls", "train", "tags.tsv", "-q"]
    warm.run(train, cwd=folder, env=env, timeout=120).check_returncode()
    return folder / "config.toml"


def run(
    folder: Path,
    *options: str,
    bound: Sequence[str] = (),
    model: Sequence[str | Path] = ("-m", "imagenet"),
    **env: str,
) -> Done:
    """Classify a folder and read the report; a path may not stand in it twice."""
    with tempfile.TemporaryDirectory() as place:
        report, memory = Path(place) / "report.csv", Path(place) / "memory"
        command = [sys.executable, "-c", MEASURED, memory, *bound, sys.executable, "-m", "batchcls"]
        command += ["run", folder, *model, "-o", report, "-q", "--all-files", *options]
        done = subprocess.run(
            command, env={**os.environ, **env}, capture_output=True, timeout=TIME_LIMIT, check=False
        )
        err = done.stderr.decode("utf-8", "backslashreplace")
        assert done.returncode in {0, 3}, f"status {done.returncode}: {err[-3000:]}"
        assert done.stdout == b""
        data, peak = report.read_bytes(), int(memory.read_text())
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    found = list(csv.DictReader(text))
    rows = {os.fsencode(row["path"]): row for row in found}
    assert len(rows) == len(found), Counter(row["path"] for row in found).most_common(3)
    return Done(done.returncode, data, rows, err, peak)


def bound_by_permissions() -> list[str] | None:
    """Give what to put before a command, so that permissions bind it; None if nothing does."""
    if os.geteuid() != 0:
        return []
    without = "-dac_override,-dac_read_search"
    bound = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
    try:
        subprocess.run([*bound, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return bound


def no_store() -> list[str]:
    """Give the option that lets nothing be known from a former run."""
    command = [sys.executable, "-m", "batchcls", "run", "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    told = subprocess.run(command, env=wide, capture_output=True, check=True).stdout
    return ["--no-store"] if b"--no-store" in told else []


def good_images(folder: Path) -> list[str]:
    """Write images with nothing wrong about them."""
    folder.mkdir(parents=True)
    names = ["a.jpg", "b.png", "c.gif", "d.tif", "e.bmp", "f.webp", "g.jpg", "h.png"]
    for number, name in enumerate(names):
        picture(100 + number, (320 + 40 * number, 260)).save(folder / name)
    return names


def wrong_with_row(row: dict[str, str]) -> str:
    """Say what a row has that it must not; empty if nothing."""
    if row["status"] == "error":
        reason = row["error"]
        if row["label"] or row["score"]:
            return "a label in spite of the error"
        if not reason or not reason.isprintable() or len(reason) >= 400:
            return f"a reason that is no short printable line: {reason!r}"
        return ""
    if row["error"]:
        return "an error in spite of the status"
    return "" if row["label"] and 0 < float(row["score"]) <= 1 else "no label, or no score"


def wrong_with(kind: Kind, rows: dict[bytes, dict[str, str]], paths: dict[str, bytes]) -> str:
    """Say how a row is not what is to be expected of its kind; empty if it is."""
    row = rows[kind.key]
    if kind.expected in {ERROR, OK} and row["status"] != kind.expected:
        return f"{kind.expected} was to be expected, not {row['status']}"
    if row["status"] == "error":
        return "" if kind.reason in row["error"] else f"the reason does not say {kind.reason!r}"
    if kind.like:
        like = rows[paths[kind.like]]
        if (like["label"], like["score"]) != (row["label"], row["score"]):
            return f"another label or score than {kind.like}, which shows the same"
    return ""


@cache
def usual_kinds() -> tuple[Kind, ...]:
    """Give them all, which takes some seconds."""
    return tuple(kinds())


def test_there_is_a_file_of_every_kind() -> None:
    found = usual_kinds()
    assert len({kind.key for kind in found}) == len({(k.family, k.name) for k in found})
    assert len({kind.key for kind in found}) == len(found) >= 3000
    assert len({kind.family for kind in found}) >= 75
    assert {kind.expected for kind in found if kind.family == "no image"} == {ERROR}
    assert {kind.expected for kind in found if kind.family == "names" and kind.data} == {OK}
    expected = Counter(kind.expected for kind in found)
    assert set(expected) == {ERROR, OK, EITHER}
    assert expected[ERROR] >= 1500
    assert expected[OK] >= 450
    assert expected[ERROR] + expected[OK] > 0.45 * len(found), "most of it is left to the decoder"


@pytest.mark.parametrize(
    "everything", [False, pytest.param(True, marks=pytest.mark.fuzz)], ids=["usual", "everything"]
)
def test_every_file_has_its_row_and_a_good_one_its_label(
    everything: bool, tmp_path: Path, small: Path
) -> None:
    if everything and SOAK == 1:
        pytest.skip("only in a soak")
    bound = bound_by_permissions()
    model = ("-m", "imagenet") if everything else ("--config", small)
    folder = tmp_path / "images"
    good = good_images(folder / "good")
    another = os.fspath(tmp_path / "another")
    alone = run(folder / "good", model=model, BATCHCLS_STORE_FOLDER=another)
    assert (alone.status, alone.err) == (0, "")
    written = [
        kind
        for kind in (kinds(everything=True) if everything else usual_kinds())
        if (bound is not None or kind.reason != "permission denied")
        and write(kind, os.fsencode(folder))
    ]
    assert len(written) >= 300
    options = ["--jobs", "2"]
    first = run(folder, *options, bound=bound or (), model=model)
    assert first.status == 3
    assert first.memory < (MEMORY_LIMIT_OF_A_SOAK if everything else MEMORY_LIMIT)
    if PILLOW >= (13, 0):  # before it, the decoder of AVIF prints, and can't be told not to
        assert WARNING.fullmatch(first.err.strip()), first.err[:3000]
    expected = {kind.key for kind in written} | {os.fsencode(f"good/{name}") for name in good}
    assert set(first.rows) == expected
    for name in good:
        row, other = first.rows[os.fsencode(f"good/{name}")], alone.rows[os.fsencode(name)]
        assert {**row, "path": ""} == {**other, "path": ""}
        assert row["status"] == "ok"
    paths = {f"{kind.family}/{kind.name}": kind.key for kind in written}
    problems = {}
    for kind in written:
        row = first.rows[kind.key]
        problem = wrong_with_row(row) or wrong_with(kind, first.rows, paths)
        if problem:
            problems[kind.key] = f"{problem}: {row}"
    assert problems == {}
    second = run(folder, *options, bound=bound or (), model=model)
    assert second.report == first.report
    option = no_store()
    if option:
        parts = ["odd jpeg", "odd text", "odd tiff", "no *", "names", "good"]
        options += [*option, *(word for part in parts for word in ("--include", part + "/"))]
        third = run(folder, *options, bound=bound or (), model=model)
        assert len(third.rows) > 400
        assert third.rows == {path: first.rows[path] for path in third.rows}


TELLING = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(chance: random.Random) -> bytes:
    """Give a whole image after some accidents."""
    data = bytearray(chance.choice(whole()).data)
    for _ in range(chance.choice([1, 1, 2, 3, 8])):
        reach = min(len(data), chance.choice([32, 128, 1024, 1 << 20]))
        start = chance.randrange(reach + 1)
        end = min(len(data), start + chance.choice([1, 2, 4, 16, 256, 2048]))
        accident = chance.choice(["cut", "flip", "set", "zero", "out", "twice", "splice", "noise"])
        if accident == "cut":
            del data[start:]
        elif accident == "flip":
            data[start:end] = bytes(byte ^ 1 << chance.randrange(8) for byte in data[start:end])
        elif accident == "set":
            value = chance.choice(TELLING)
            data[start : min(end, start + 4)] = bytes([value]) * (min(end, start + 4) - start)
        elif accident == "zero":
            data[start:end] = bytes(end - start)
        elif accident == "out":
            del data[start:end]
        elif accident == "twice":
            data[start:start] = data[start:end] * chance.choice([1, 2, 50])
        elif accident == "splice":
            other = chance.choice(whole()).data
            data[start:end] = other[chance.randrange(len(other)) :][:4096]
        else:
            data[start:end] = chance.randbytes(end - start)
    return bytes(data)


@given(number=st.integers(0, 2**32 - 1))
@fuzzed(3)
def test_files_after_accidents_have_a_row_each(number: int) -> None:
    """50 at a time: what one does to the process is felt by the others."""
    chance = random.Random(number)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        for name in range(50):
            suffix = chance.choice(whole()).suffix
            (folder / f"{name}{suffix}").write_bytes(mutated(chance))
        done = run(
            folder,
            BATCHCLS_DECODE_MAX_PIXELS="20000000",
            BATCHCLS_STORE_FOLDER=os.fspath(Path(place) / "store"),
        )
        assert set(done.rows) == {os.fsencode(name) for name in os.listdir(folder)}
    assert done.status == (3 if any(row["status"] == "error" for row in done.rows.values()) else 0)
    assert {
        path: wrong_with_row(row) for path, row in done.rows.items() if wrong_with_row(row)
    } == {}
    if PILLOW >= (13, 0):
        assert not done.err or WARNING.fullmatch(done.err.strip()), done.err[:3000]
