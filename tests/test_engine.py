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

from batchcls.engines.local import AHEAD, LocalEngine

from .conftest import picture

JOBS = [0, 1, 2, 4]


def nobody_works() -> bool:
    """Whether no thread is left, some moments being allowed for their farewell."""
    deadline = time.monotonic() + 30
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count() == 1


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
