"""What stands on the board, who reads it, and what of it outlives its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batchcls.guard import Flight, InFlight, Stage, left_over
from batchcls.guard.board import LONGEST_PATH, SLOTS, Board, named
from batchcls.guard.watching import Ages

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths are POSIX's here")

DIGEST = bytes(range(32))


def flight(folder: str | None = None) -> tuple[Board, Flight]:
    board = Board(folder)
    return board, Flight(board)


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("flight-*.journal"))


def dead_run(folder: Path, code: str) -> None:
    """A run that ends without a chance to tidy up, with ``code`` done before."""
    start = f"""
import os, signal
from batchcls.guard import Flight, Stage
from batchcls.guard.board import Board
board = Board({str(folder)!r})
flight = Flight(board)
{code}
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", start], check=False)
    assert done.returncode == -signal.SIGKILL


def test_nothing_is_in_flight_at_first():
    board, _ = flight()
    assert board.in_flight() == []


def test_what_a_thread_does_is_there_until_it_is_done():
    board, recorder = flight()
    with recorder.entering(Stage.READING, "/a/b.jpg"):
        assert board.in_flight() == [InFlight(Stage.READING, "/a/b.jpg")]
        recorder.stage(Stage.DECODING, DIGEST)
        assert board.in_flight() == [InFlight(Stage.DECODING, "/a/b.jpg", DIGEST)]
        recorder.stage(Stage.READING)
        assert board.in_flight() == [InFlight(Stage.READING, "/a/b.jpg", DIGEST)]
    assert board.in_flight() == []


def test_an_error_clears_the_slot():
    board, recorder = flight()
    with pytest.raises(ValueError, match="no"), recorder.entering(Stage.READING, "/a"):
        raise ValueError("no")
    assert board.in_flight() == []


def test_nested():
    board, recorder = flight()
    with recorder.entering(Stage.LISTING, "/a"):
        with recorder.entering(Stage.READING, "/a/b", DIGEST):
            recorder.stage(Stage.DECODING)
            assert board.in_flight() == [InFlight(Stage.DECODING, "/a/b", DIGEST)]
        assert board.in_flight() == [InFlight(Stage.LISTING, "/a")]
    recorder.stage(Stage.DECODING)
    recorder.touch()
    assert board.in_flight() == []


@pytest.mark.parametrize(
    "path",
    [
        "/with a\nnewline\tand tab",
        "/with a\0nul",
        "/not UTF-8: \udcff\udc80",
        "/ünïcödé/😀",
        "/" + "a" * (LONGEST_PATH - 1),
    ],
    ids=["newline", "nul", "bytes", "unicode", "longest"],
)
def test_any_path_comes_back_as_it_was(path, tmp_path):
    board, recorder = flight()
    with recorder.entering(Stage.DECODING, path, DIGEST):
        assert board.in_flight() == [InFlight(Stage.DECODING, path, DIGEST)]
    dead_run(tmp_path, f"flight.entering(Stage.DECODING, {path!a}, {DIGEST!r}).__enter__()")
    assert left_over(str(tmp_path)) == [InFlight(Stage.DECODING, path, DIGEST)]


def test_paths_that_are_too_long_for_a_slot_are_told_apart():
    one, other = (b"/" + b"a" * 5000 + end for end in (b"1", b"2"))
    assert len(named(one.decode())) == LONGEST_PATH
    assert named(one.decode()) != named(other.decode())
    board, recorder = flight()
    with recorder.entering(Stage.READING, one.decode()):
        assert os.fsencode(board.in_flight()[0].path) == named(one.decode())


@pytest.mark.parametrize(
    "path", ["a.jpg", "./a.jpg", "x/../a.jpg", ".//a.jpg", "{cwd}/./a.jpg", "{cwd}/a.jpg/"]
)
def test_paths_are_absolute_and_tidy(path, tmp_path):
    cwd = os.getcwd()
    assert os.fsdecode(named(path.format(cwd=cwd))) == f"{cwd}/a.jpg"


def test_a_current_folder_that_is_gone_is_no_reason_to_fail(tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert named("a.jpg") == b"a.jpg"
    os.chdir(tmp_path)


def test_threads_have_slots_of_their_own_and_give_them_back():
    board, recorder = flight()
    seen = []

    def work(number: int, barrier: threading.Barrier) -> None:
        with recorder.entering(Stage.DECODING, f"/{number}"):
            barrier.wait()
            if number == 0:
                seen.append({each.path for each in board.in_flight()})
            barrier.wait()

    for _ in range(3):
        barrier = threading.Barrier(20)
        threads = [threading.Thread(target=work, args=(i, barrier)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert board.in_flight() == []
    assert seen == [{f"/{number}" for number in range(20)}] * 3
    assert len(board.sequences()) <= 40  # a slot may be given back a little later than its thread


def test_more_threads_than_slots_work_all_the_same(monkeypatch):
    monkeypatch.setattr("batchcls.guard.flight.SLOTS", 2)
    board, recorder = flight()
    barrier = threading.Barrier(5)
    nested = []

    def work(number: int) -> None:
        with recorder.entering(Stage.DECODING, f"/{number}"):
            barrier.wait()
            with recorder.entering(Stage.READING, f"/{number}/x"):
                recorder.touch()
                nested.append(len(board.in_flight()))
                barrier.wait()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert nested == [2] * 5
    assert board.in_flight() == []
    with recorder.entering(Stage.DECODING, "/after"):
        assert [each.path for each in board.in_flight()] == ["/after"]


def test_as_many_threads_as_the_engine_may_have():
    board, recorder = flight()
    entered = threading.Barrier(1025)
    done = threading.Event()

    def work(number: int) -> None:
        with recorder.entering(Stage.DECODING, f"/{number}"):
            entered.wait()
            done.wait()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1024)]
    for thread in threads:
        thread.start()
    entered.wait()
    assert {each.path for each in board.in_flight()} == {f"/{number}" for number in range(1024)}
    done.set()
    for thread in threads:
        thread.join()
    assert SLOTS > 1024


def test_a_reader_in_another_process_never_sees_a_torn_slot(tmp_path):
    board, recorder = flight()
    child = os.fork()
    if child == 0:  # writes two records of different lengths, as fast as it can
        try:
            while True:
                with recorder.entering(Stage.READING, "/" + "a" * 4000, b"a" * 32):
                    for _ in range(100):
                        pass
                with recorder.entering(Stage.DECODING, "/" + "b" * 30):
                    for _ in range(100):
                        pass
        finally:
            os._exit(1)
    try:
        whole = {
            InFlight(Stage.READING, "/" + "a" * 4000, b"a" * 32),
            InFlight(Stage.DECODING, "/" + "b" * 30),
        }
        seen: set[InFlight] = set()
        start = time.monotonic()
        while time.monotonic() < start + (0.5 if seen == whole else 20):
            seen |= set(board.in_flight())
        assert seen == whole
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_slot_that_changes_while_it_is_read_is_not_believed():
    board, recorder = flight()
    memory = board.memory

    class Busy:
        def __getitem__(self, index: slice) -> bytes:
            half = memory[index][:20]
            recorder.stage(Stage.DECODING, DIGEST)
            return half + memory[index][20:]

    with recorder.entering(Stage.READING, "/a" * 20):
        board.memory = Busy()  # type: ignore[assignment]
        assert board.in_flight() == []
        board.memory = memory
        assert board.in_flight() == [InFlight(Stage.DECODING, "/a" * 20, DIGEST)]


def test_a_slot_that_its_writer_died_in_is_not_read():
    board, recorder = flight()
    with recorder.entering(Stage.READING, "/a"):
        number, _ = board.place(0)
        board.numbers[number] |= 1
        assert board.in_flight() == []
        board.numbers[number] &= ~1
        assert len(board.in_flight()) == 1


def test_ages_count_only_what_was_watched():
    board, recorder = flight()
    ages = Ages(board)
    with recorder.entering(Stage.READING, "/a"):
        ages.advance(5)
        assert ages.oldest() == 0
        ages.advance(5)
        ages.advance(5)
        assert ages.oldest() == 10
        assert list(ages.older_than(9)) == [0]
        assert list(ages.older_than(10)) == []
        recorder.touch()
        ages.advance(5)
        assert ages.oldest() == 0
        ages.advance(5)
        recorder.stage(Stage.DECODING)
        ages.advance(5)
        assert ages.oldest() == 0
    ages.advance(5)
    ages.advance(5)
    assert ages.oldest() == 0


def test_clearing_keeps_what_was_got_done():
    board, recorder = flight()
    entry = recorder.entering(Stage.READING, "/a")
    entry.__enter__()
    recorder.progressed(3)
    recorder.progressed()
    board.landed = 3
    board.clear()
    assert board.in_flight() == []
    assert (board.progress, board.landed) == (4, None)
    del recorder, entry


def test_a_journal_goes_with_its_run(tmp_path):
    folder = tmp_path / "store"
    board, recorder = flight(str(folder))
    assert len(journals(folder)) == 1
    with recorder.entering(Stage.READING, "/a"):
        assert left_over(str(folder)) == []  # of a living run
        assert len(journals(folder)) == 1
    board.close()
    board.close()
    assert list(folder.iterdir()) == []


def test_runs_in_the_same_folder_do_not_disturb_each_other(tmp_path):
    dead_run(tmp_path, "flight.entering(Stage.DECODING, '/dead').__enter__()")
    first, one = flight(str(tmp_path))
    second, two = flight(str(tmp_path))
    with one.entering(Stage.READING, "/1"), two.entering(Stage.READING, "/2"):
        assert [each.path for each in left_over(str(tmp_path))] == ["/dead"]
        assert left_over(str(tmp_path)) == []
        assert [each.path for each in first.in_flight()] == ["/1"]
        assert [each.path for each in second.in_flight()] == ["/2"]
    assert len(journals(tmp_path)) == 2
    first.close()
    second.close()
    assert journals(tmp_path) == []


def test_what_dead_runs_had_in_work(tmp_path):
    code = """
import threading
flight.entering(Stage.LISTING, "/folder").__enter__()
def work():
    flight.entering(Stage.DECODING, "/folder/a.jpg", b"d" * 32).__enter__()
    entered.set()
    threading.Event().wait()
entered = threading.Event()
threading.Thread(target=work, daemon=True).start()
entered.wait()
with flight.entering(Stage.READING, "/done"):
    pass
"""
    dead_run(tmp_path, code)
    dead_run(tmp_path, "")
    dead_run(tmp_path, "flight.entering(Stage.READING, '/other').__enter__()")
    found = left_over(str(tmp_path))
    assert sorted(found, key=lambda each: each.path) == [
        InFlight(Stage.LISTING, "/folder"),
        InFlight(Stage.DECODING, "/folder/a.jpg", b"d" * 32),
        InFlight(Stage.READING, "/other"),
    ]
    assert list(tmp_path.glob("*.journal")) == []


def test_the_lock_is_not_inherited(tmp_path):
    """A worker that the system can't end must not keep the journal of a run that is dead."""
    code = """
flight.entering(Stage.DECODING, "/a").__enter__()
if os.fork() == 0:
    board.inherit()
    print(os.getpid(), flush=True)
    import time
    time.sleep(60)
"""
    start = f"""
import os, signal
from batchcls.guard import Flight, Stage
from batchcls.guard.board import Board
board = Board({str(tmp_path)!r})
flight = Flight(board)
{code}
signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", start], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert left_over(str(tmp_path)) == []
        process.kill()
        process.wait()
        assert left_over(str(tmp_path)) == [InFlight(Stage.DECODING, "/a")]
        os.kill(child, signal.SIGKILL)


def test_garbage_in_the_folder(tmp_path):
    dead_run(tmp_path, "flight.entering(Stage.DECODING, '/a').__enter__()")
    journal = journals(tmp_path)[0].read_bytes()

    def make(number: int, content: bytes) -> None:
        (tmp_path / f"flight-{number:016x}.journal").write_bytes(content)

    make(1, b"")
    make(2, b"garbage")
    make(3, journal[:-1])
    make(4, journal[:5000])
    make(5, journal.replace(b"flight 1", b"flight 9", 1))
    make(6, journal[:32] + os.urandom(len(journal) - 32))
    (tmp_path / "flight-other.journal").write_text("not ours")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / f"flight-{7:016x}.journal").mkdir()
    os.mkfifo(tmp_path / f"flight-{8:016x}.journal")
    (tmp_path / f"flight-{9:016x}.journal").symlink_to(tmp_path / "notes.txt")
    assert InFlight(Stage.DECODING, "/a") in left_over(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "flight-0000000000000007.journal",
        "flight-0000000000000008.journal",
        "flight-0000000000000009.journal",
        "flight-other.journal",
        "notes.txt",
    ]
    assert (tmp_path / "notes.txt").read_text() == "not ours"


@pytest.mark.parametrize("what", ["file", "missing", "nul"])
def test_without_a_usable_folder_there_is_no_journal(what, tmp_path):
    (tmp_path / "file").write_text("")
    folder = {"file": tmp_path / "file", "missing": "/proc/none/such", "nul": "a\0b"}[what]
    if what != "nul":
        assert left_over(str(folder)) == []
    board, recorder = flight(str(folder))
    with recorder.entering(Stage.READING, "/a"):
        assert len(board.in_flight()) == 1
    board.close()


def test_a_read_only_folder(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o500)
    board, recorder = flight(str(tmp_path))
    with recorder.entering(Stage.READING, "/a"):
        assert len(board.in_flight()) == 1
    assert left_over(str(tmp_path)) == []
    board.close()


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    from batchcls import locking

    def none(path: str) -> int:
        Path(path).touch()
        raise locking.NoLocksError

    monkeypatch.setattr(locking, "acquire", none)
    board, recorder = flight(str(tmp_path))
    with recorder.entering(Stage.READING, "/a"):
        assert len(board.in_flight()) == 1
    assert left_over(str(tmp_path)) == []
    board.close()


def test_what_it_costs():
    """Far less than anything that is done to a file; the bound is for a machine that is busy."""
    _, recorder = flight()
    path = "/mnt/pictures/2024/some folder/IMG_20240101_123456.jpg"
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(1000):
            with recorder.entering(Stage.READING, path):
                recorder.stage(Stage.DECODING, DIGEST)
        best = min(best, (time.perf_counter() - start) / 1000)
    assert best < 50e-6
