"""The local engine: order, errors, how far it works ahead, and how it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchcls.engines import local
from batchcls.engines.local import AHEAD, LocalEngine

from .conftest import picture

JOBS = [0, 1, 2, 4]


# Those that were there before a test: of servers that other tests have started.
_others: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _note_threads() -> None:
    _others.clear()
    _others.update(threading.enumerate())


def nobody_works() -> bool:
    """Whether no thread is left, some moments being allowed for their farewell."""
    deadline = time.monotonic() + 30
    while set(threading.enumerate()) - _others and time.monotonic() < deadline:
        time.sleep(0.01)
    return not set(threading.enumerate()) - _others


@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_results_come_in_the_order_of_the_chunks(jobs, count):
    def work(number: int) -> int:
        time.sleep(random.random() / 500)
        return number * number

    results = LocalEngine(jobs).map(work, iter(range(count)))
    assert list(results) == [number * number for number in range(count)]
    assert nobody_works()


@pytest.mark.parametrize("jobs", JOBS)
def test_a_result_may_be_none(jobs):
    assert list(LocalEngine(jobs).map(lambda _: None, range(5))) == [None] * 5


class OddError(Exception):
    pass


@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("place", [0, 1, 7, 49])
def test_an_error_in_the_work_is_raised_as_it_is_after_the_results_before_it(jobs, place):
    def work(number: int) -> int:
        if number == place:
            raise OddError("this one")
        time.sleep(0.002)
        return number

    results = []
    with pytest.raises(OddError, match="this one") as caught:
        for result in LocalEngine(jobs).map(work, range(50)):
            results.append(result)  # noqa: PERF402 - what came before the error counts
    assert results == list(range(place))
    assert "work" in [entry.name for entry in caught.traceback]
    assert nobody_works()


@pytest.mark.parametrize("jobs", JOBS)
@pytest.mark.parametrize("place", [0, 1, 2, 30])
def test_an_error_in_the_chunks_is_raised_as_it_is_after_the_results_before_it(jobs, place):
    def chunks() -> Iterator[int]:
        yield from range(place)
        raise OddError("in the scan")

    results = []
    with pytest.raises(OddError, match="in the scan"):
        for result in LocalEngine(jobs).map(lambda number: number, chunks()):
            results.append(result)  # noqa: PERF402 - what came before the error counts
    assert results == list(range(place))
    assert nobody_works()


def test_it_works_ahead_of_the_consumer():
    done = []
    results = LocalEngine(2).map(done.append, range(20))
    next(results)
    deadline = time.monotonic() + 30
    while len(done) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(done) == list(range(20))
    results.close()


def test_it_does_not_run_away_from_a_slow_consumer():
    drawn = []

    def chunks() -> Iterator[int]:
        for number in range(100_000):
            drawn.append(number)
            yield number

    results = LocalEngine(2).map(lambda number: number, chunks())
    for taken in range(1, 4):
        next(results)
        before = -1
        while before != len(drawn):  # until it stands still
            before = len(drawn)
            time.sleep(0.1)
        assert AHEAD < len(drawn) <= 2 * AHEAD + taken + 8
    results.close()
    assert nobody_works()


def test_a_slow_chunk_does_not_keep_the_other_thread_from_working():
    release = threading.Event()
    done = []

    def work(number: int) -> None:
        if number == 0:
            release.wait(10)
        done.append(number)

    results = LocalEngine(2).map(work, range(AHEAD))
    waiter = threading.Thread(target=lambda: list(results))
    waiter.start()
    deadline = time.monotonic() + 30
    while len(done) < AHEAD - 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(done) == AHEAD - 1
    release.set()
    waiter.join()
    assert sorted(done) == list(range(AHEAD))


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_giving_up_stops_the_work_and_leaves_no_thread(jobs):
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        time.sleep(0.01)
        return number

    results = LocalEngine(jobs).map(work, range(10_000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    results.close()
    assert nobody_works()
    at_close = len(begun)
    time.sleep(0.05)
    assert len(begun) == at_close < 3 + AHEAD * jobs


@pytest.mark.parametrize("jobs", JOBS)
def test_an_error_of_the_consumer_stops_the_work(jobs):
    def consume() -> None:
        for number in LocalEngine(jobs).map(lambda number: number, range(10_000)):
            if number == 5:
                raise OddError("the disk is full")

    with pytest.raises(OddError):
        consume()
    assert nobody_works()


def test_the_calls_of_one_engine_do_not_disturb_each_other():
    engine = LocalEngine(2)
    first = engine.map(lambda number: number, range(300))
    second = engine.map(lambda number: -number, range(300))
    pairs = list(zip(first, second, strict=True))
    assert pairs == [(number, -number) for number in range(300)]


@pytest.fixture(params=[0, 1, 5, 10**9])
def late(request, monkeypatch):
    """joblib is there once so many chunks are done, which gives what is to be called for each."""
    done = threading.Semaphore(0)

    def import_late(at_end):
        def wait():
            for _ in range(request.param):
                done.acquire()
            at_end()

        threading.Thread(target=wait, daemon=True).start()

    monkeypatch.setattr(local, "_import_joblib", import_late)
    yield done.release
    for _ in range(min(request.param, 10_000)):
        done.release()  # the thread ends


def seen(results: Iterator[int]) -> tuple[list[int], BaseException | None]:
    """Give the results, and what was raised after them."""
    found = []
    try:
        for result in results:
            found.append(result)  # noqa: PERF402 - what came before the error counts
    except OddError as error:
        return found, error
    return found, None


class TestWhileJoblibIsImported:
    @pytest.mark.parametrize("jobs", [0, 2, 4])
    @pytest.mark.parametrize("count", [2, 5, 6, 150])
    def test_the_order_is_kept(self, late, jobs, count):
        def work(number: int) -> int:
            time.sleep(random.random() / 500)
            late()
            return number * number

        results = LocalEngine(jobs).map(work, iter(range(count)))
        assert list(results) == [number * number for number in range(count)]

    @pytest.mark.parametrize("place", [0, 1, 4, 5, 6, 49])
    def test_an_error_in_the_work_comes_after_the_results_before_it(self, late, place):
        def work(number: int) -> int:
            late()
            if number == place:
                raise OddError("this one")
            return number

        found, error = seen(LocalEngine(2).map(work, range(50)))
        assert found == list(range(place))
        assert str(error) == "this one"

    @pytest.mark.parametrize("place", [2, 4, 5, 6, 49])
    def test_an_error_in_the_chunks_comes_after_the_results_before_it(self, late, place):
        def chunks() -> Iterator[int]:
            yield from range(place)
            raise OddError("in the scan")

        def work(number: int) -> int:
            late()
            return number

        found, error = seen(LocalEngine(2).map(work, chunks()))
        assert found == list(range(place))
        assert str(error) == "in the scan"

    @pytest.mark.parametrize("taken", [1, 5, 6, 7])
    def test_giving_up_stops_the_work_and_waits_for_what_is_begun(self, late, taken):
        begun, ended = [], []

        def work(number: int) -> int:
            begun.append(number)
            late()
            time.sleep(0.002)
            ended.append(number)
            return number

        results = LocalEngine(2).map(work, range(10_000))
        assert [next(results) for _ in range(taken)] == list(range(taken))
        results.close()
        assert sorted(begun) == sorted(ended)
        at_close = len(begun)
        time.sleep(0.05)
        assert len(begun) == at_close < taken + 2 * AHEAD

    def test_there_is_never_more_work_at_once_than_was_asked_for(self, late):
        working, most = [], []

        def work(number: int) -> None:
            working.append(number)
            most.append(len(working))
            time.sleep(0.005)
            working.remove(number)
            late()

        assert len(list(LocalEngine(2).map(work, range(40)))) == 40
        assert max(most) <= 2

    def test_it_does_not_run_away_from_a_slow_consumer(self, late):
        begun = []

        def work(number: int) -> int:
            begun.append(number)
            late()
            return number

        results = LocalEngine(2).map(work, range(10_000))
        for taken in range(1, 12):
            next(results)
            time.sleep(0.02)
            assert len(begun) <= 2 * AHEAD + taken
        results.close()

    def test_one_slow_chunk_at_the_start_does_not_keep_the_others_waiting(self, monkeypatch):
        monkeypatch.setattr(local, "_import_joblib", lambda at_end: at_end())
        release = threading.Event()
        done = []

        def work(number: int) -> int:
            if number == 0:
                assert release.wait(30)
            done.append(number)
            if len(done) == 20:
                release.set()
            return number

        assert list(LocalEngine(2).map(work, range(40))) == list(range(40))
        assert 0 not in done[:20]


SLOW_JOBLIB = """
    import sys, time

    class Slow:
        def find_spec(self, name, path=None, target=None):
            if name == "joblib":
                {what}

    sys.meta_path.insert(0, Slow())
    from batchcls.engines.local import LocalEngine
    results = LocalEngine(2).map(lambda number: number, iter(range({count})))
"""


def test_nobody_waits_for_the_import_where_the_work_ends_before_it():
    code = textwrap.dedent(SLOW_JOBLIB).format(what="time.sleep(600)", count=20)
    process = python(code + "print(sum(results), 'joblib.parallel' in sys.modules)")
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("190 False\n", "", 0)


def test_an_import_that_fails_is_raised_where_the_results_are_taken():
    what = "raise ImportError('a library is missing')"
    code = textwrap.dedent(SLOW_JOBLIB).format(what=what, count=10**7)
    code += "try:\n    for _ in results: pass\nexcept ImportError as error:\n    print(error)"
    process = python(code)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("a library is missing\n", "", 0)


@pytest.mark.parametrize("count", [2, 3, 30])
def test_a_process_may_end_while_joblib_is_imported(count):
    code = f"""
        from batchcls.engines.local import LocalEngine
        print(sum(LocalEngine(2).map(lambda number: 1, iter(range({count})))))
    """
    for _ in range(5):
        process = python(code)
        out, err = process.communicate(timeout=30)
        assert (out, err, process.returncode) == (f"{count}\n", "", 0)


def test_a_lack_of_semaphores_is_not_told():
    process = python("""
        import _multiprocessing
        del _multiprocessing.SemLock
        from batchcls.engines.local import LocalEngine
        import time
        print(sum(LocalEngine(2).map(lambda _: time.sleep(0.05) or 1, iter(range(40)))))
        import joblib
    """)
    out, err = process.communicate(timeout=60)
    assert (out, err) == ("40\n", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs to be held to one core")
def test_on_one_core_joblib_is_not_imported():
    process = python("""
        import os, sys
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        from batchcls.engines.local import LocalEngine
        print(sum(LocalEngine().map(lambda number: number, iter(range(20)))))
        print("joblib" in sys.modules)
    """)
    out, _ = process.communicate(timeout=30)
    assert out == "190\nFalse\n"


def python(code: str, *, cwd: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_iteration_soon_and_without_noise():
    process = python("""
        import time
        from batchcls.engines.local import LocalEngine

        def work(number):
            time.sleep(0.05)
            return number

        try:
            for number in LocalEngine(2).map(work, iter(range(100_000))):
                print(number, flush=True)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "interrupted"
    assert err == ""
    assert time.monotonic() - start < 30


def test_a_process_that_ends_amid_the_iteration_does_not_hang():
    process = python("""
        from batchcls.engines.local import LocalEngine
        results = LocalEngine(2).map(lambda number: number, iter(range(10_000_000)))
        print(next(results), next(results))
    """)
    out, _ = process.communicate(timeout=30)
    assert out == "0 1\n"
    assert process.returncode == 0


def test_ctrl_c_ends_the_command_and_leaves_the_old_report(tmp_path):
    (tmp_path / "in").mkdir()
    picture().save(tmp_path / "in/0.jpg")
    for number in range(1, 6000):
        os.link(tmp_path / "in/0.jpg", tmp_path / f"in/{number}.jpg")
    (tmp_path / "report.csv").write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "in"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".batchcls-*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode not in {0, 3}
    assert "Traceback" not in err
    assert "Warning" not in err
    assert (tmp_path / "report.csv").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["in", "report.csv"]


def test_what_the_source_raises_on_another_thread_is_raised(monkeypatch):
    def chunks(stop):
        for number in range(100):
            if number == stop:
                raise KeyboardInterrupt
            yield [number]

    for stop in (0, 1, 3):
        taken = LocalEngine(2).map(lambda chunk: chunk[0], chunks(stop))
        with pytest.raises(KeyboardInterrupt):
            list(taken)


def test_blas_has_one_thread_from_the_first_chunk_on():
    code = """
import time
from threadpoolctl import threadpool_info
from batchcls.engines.local import LocalEngine
import numpy

def work(chunk):
    time.sleep(0.05)
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

found = list(LocalEngine(2).map(work, ([number] for number in range(12))))
assert all(one <= {1} for one in found), found
"""
    subprocess.run([sys.executable, "-c", code], check=True)
