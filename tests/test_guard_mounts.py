"""Which mount a file is on, what is said of dead ones, and real ones that do not answer."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchcls.guard import InFlight, Stage, Verdicts, mounts, verdicts
from batchcls.guard.mounts import lies_in, mount_points, place_of

from .conftest import SOAK
from .deadmount import dead_mount
from .guarding import Guarded

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no guardian here")

# What nothing can kill takes seconds to be given up: once in the suite, and all in a soak.
KILLABLE = [True, False] if SOAK > 1 else [True]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guarded]:
    started = Guarded(tmp_path)
    yield started
    started.tidy()


def reading(*paths: str) -> list[InFlight]:
    return [InFlight(Stage.READING, path) for path in paths]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The mount points that the system is taken to have."""
    points: list[str] = ["/mnt/x/deep", "/mnt/x", "/home", "/"]
    monkeypatch.setattr(verdicts, "mount_points", lambda: points)
    return points


def test_the_table_of_mounts(tmp_path):
    table = tmp_path / "mounts"
    table.write_bytes(
        b"proc /proc proc rw 0 0\n"
        b"server:/a\\040b /mnt/with\\040space\\011tab\\012line\\134back nfs rw 0 0\n"
        b"/dev/sda1 / ext4 rw 0 0\n"
        b"x /mnt/\xff\xc3\xa9 fuse rw 0 0\n"
        b"garbage\n\n"
    )
    points = mount_points(str(table))
    assert points is not None
    assert set(points) == {"/mnt/with space\ttab\nline\\back", "/proc", "/", "/mnt/\udcffé"}
    assert points[0] == "/mnt/with space\ttab\nline\\back"


def test_a_system_without_such_a_table(tmp_path):
    assert mount_points(str(tmp_path / "none")) is None
    assert place_of("/a/b.jpg", "/a", None) == ("/a", "/a")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_the_table_of_this_system():
    points = mount_points()
    assert points is not None
    assert "/" in points
    assert "/proc" in points


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("/a/b", "/a", True),
        ("/a", "/a", True),
        ("/ab", "/a", False),
        ("/", "/a", False),
        ("/a", "/", True),
    ],
)
def test_what_lies_in_what(path, place, expected):
    assert lies_in(path, place) is expected


def test_the_longest_mount_counts(table):
    assert place_of("/mnt/x/a.jpg", "/mnt/x", table) == ("/mnt/x", "/mnt/x")
    assert place_of("/mnt/x/deep/b/a.jpg", "/mnt/x/deep/b", table) == ("/mnt/x/deep", "/mnt/x/deep")
    assert place_of("/mnt/xy/a.jpg", "/mnt/xy", table) is None
    assert place_of("/a.jpg", "/", table) is None


def test_a_mount_that_a_link_leads_to(tmp_path):
    home = tmp_path / "home"
    (home / "photos").mkdir(parents=True)
    (tmp_path / "nas" / "photos").mkdir(parents=True)
    (home / "direct").symlink_to(tmp_path / "nas" / "photos")
    (home / "relative").symlink_to("../nas")
    (home / "chain").symlink_to("./relative/photos")
    (home / "loop").symlink_to("loop")
    nas = str(tmp_path / "nas")
    points = [nas, str(home), "/"]
    for link, rest in (("direct", "a.jpg"), ("relative", "photos/a.jpg"), ("chain", "x/a.jpg")):
        path = f"{home}/{link}/{rest}"
        assert place_of(path, str(home), points) == (f"{home}/{link}", nas)
    for name in ("loop/a.jpg", "photos/a.jpg", "none/a.jpg"):
        assert place_of(f"{home}/{name}", str(home), points) == (str(home), str(home))


def test_three_files_that_do_not_answer_condemn_the_mount(table):
    told = Verdicts().overdue(reading("/mnt/x/1"), 60)
    assert told.reason("/mnt/x/1") == "did not answer within 60 s"
    told = told.overdue([*reading("/mnt/x/2"), InFlight(Stage.DECODING, "/mnt/x/d")], 60)
    assert told.reason("/mnt/x/3") is None
    told = told.overdue([InFlight(Stage.LISTING, "/mnt/x/folder")], 60)
    dead = "on /mnt/x, which did not answer within 60 s"
    assert told.reason("/mnt/x/3") == told.reason("/mnt/x") == dead
    assert told.reason("/mnt/x/d") == "could not be decoded within 60 s (decode.max_seconds)"
    assert told.reason("/mnt/y") is told.reason("/home/a") is told.reason("/mnt") is None


def test_the_root_is_never_condemned(table):
    told = Verdicts().overdue(reading("/1", "/2", "/3", "/4"), 1.5)
    assert told.reason("/4") == "did not answer within 1.5 s"
    assert told.reason("/5") is None
    assert not told.places


def test_without_a_table_the_folder_is_condemned(monkeypatch):
    monkeypatch.setattr(verdicts, "mount_points", lambda: None)
    told = Verdicts().overdue(reading("/a/1", "/a/2", "/b/1", "/a/3"), 60)
    assert told.reason("/a/4") == "on /a, which did not answer within 60 s"
    assert told.reason("/b/4") is None
    listing = [InFlight(Stage.LISTING, "/c")] * 3
    assert told.overdue(listing, 60).reason("/c/x") is not None


def test_a_mount_is_shown_as_any_terminal_can(table):
    table.insert(0, "/mnt/\udcff\n")
    told = Verdicts().overdue(reading(*(f"/mnt/\udcff\n/{n}" for n in range(3))), 60)
    assert told.reason("/mnt/\udcff\n/9") == r"on /mnt/\xff\n, which did not answer within 60 s"


def test_suspects_are_what_was_read_or_decoded():
    told = Verdicts().crashed(
        [
            InFlight(Stage.LISTING, "/l"),
            InFlight(Stage.READING, "/r"),
            InFlight(Stage.DECODING, "/d", b"digest"),
        ]
    )
    assert [told.is_suspect(path) for path in ("/l", "/r", "/d", "/x/../d")] == [False] + [True] * 3
    assert told.is_suspect("/copy", b"digest")
    assert not told.is_suspect("/copy", b"other")
    assert not told.is_suspect("/copy")
    assert told.reason("/d") is None
    assert told.crashed([]) == told


def test_paths_may_be_relative(tmp_path):
    told = Verdicts(suspects=frozenset({str(tmp_path / "a")}), reasons={str(tmp_path / "b"): "no"})
    assert told.is_suspect("a")
    assert told.reason("./b") == "no"


def test_everything_may_be_suspect():
    assert Verdicts(everything=True).is_suspect("/any")
    assert not Verdicts().is_suspect("/any")


def test_verdicts_can_be_pickled(table):
    told = Verdicts(suspects=frozenset({"/\udcff"})).overdue(reading("/1", "/2"), 1)
    assert pickle.loads(pickle.dumps(told)) == told


# Mounts that do not answer

READ = """
def look(flight, verdicts, path, stage=Stage.READING):
    reason = verdicts.reason(path)
    if reason is None:
        with flight.entering(stage, path):
            if stage is Stage.LISTING:
                return str(sorted(os.listdir(path)))
            return str(len(open(path, "rb").read()))
    return reason
"""


def test_where_a_path_is_stuck_is_found_without_being_stuck(tmp_path):
    (tmp_path / "link").symlink_to("dead")
    points = [str(tmp_path / "dead"), str(tmp_path), "/"]
    with dead_mount(tmp_path / "dead", {"lost-1": b""}, killable=False):
        start = time.monotonic()
        found = place_of(f"{tmp_path}/link/lost-1/a.jpg", "", points)
        assert found == (f"{tmp_path}/link", f"{tmp_path}/dead")
        assert time.monotonic() - start < 10
    assert mounts.place_of(f"{tmp_path}/other", "", points) == (str(tmp_path), str(tmp_path))


@pytest.mark.parametrize("killable", [True, False], ids=["killable", "unkillable"])
def test_a_file_that_is_never_read_costs_only_itself(guard, killable):
    """Even where nothing can end the process that waits for it."""
    work = """
def work(flight, verdicts):
    life()
    for name in ("dead/a.jpg", "dead/mute-1.jpg", "dead/b.jpg"):
        print(name, look(flight, verdicts, name), flush=True)
    return 3
"""
    files = {"a.jpg": b"12", "mute-1.jpg": b"1", "b.jpg": b"123"}
    with dead_mount(guard.folder / "dead", files, killable=killable):
        done = guard.run(READ + work, seconds="1")
    assert (done.status, done.lives) == (3, 2)
    assert done.out.splitlines()[-3:] == [
        "dead/a.jpg 2",
        "dead/mute-1.jpg did not answer within 1 s",
        "dead/b.jpg 3",
    ]


@pytest.mark.fuzz
@pytest.mark.parametrize("killable", KILLABLE)
def test_a_dead_mount_is_left_alone(guard, killable):
    work = """
from concurrent.futures import ThreadPoolExecutor
def work(flight, verdicts):
    life()
    names = [f"link/lost-{number}" for number in range(100)] + ["here"]
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(lambda name: look(flight, verdicts, name), names))[-2:], flush=True)
    return 3
"""
    (guard.folder / "here").write_bytes(b"12345")
    (guard.folder / "link").symlink_to("dead")
    with dead_mount(guard.folder / "dead", {}, killable=killable):
        done = guard.run(READ + work, seconds="2")
    assert (done.status, done.lives) == (3, 2)
    dead = guard.folder / "dead"
    assert done.out.splitlines()[-1] == str([f"on {dead}, which did not answer within 2 s", "5"])
    assert done.err.splitlines()[-1] == (
        f"warning: {guard.folder}/link does not answer; going on without what is there"
    )


def test_a_folder_that_is_never_listed(guard):
    work = """
def work(flight, verdicts):
    life()
    for name in ("dead", "dead/silent"):
        print(look(flight, verdicts, name, Stage.LISTING), flush=True)
    return 3
"""
    with dead_mount(guard.folder / "dead", {"a.jpg": b""}):
        done = guard.run(READ + work, seconds="1")
    assert (done.status, done.lives) == (3, 2)
    assert done.out.splitlines()[-2:] == ["['a.jpg', 'silent']", "did not answer within 1 s"]
