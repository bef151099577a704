"""A run that is guarded, as processes that crash, hang, and are told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .guarding import Guarded, is_gone, until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no guardian here")


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guarded]:
    started = Guarded(tmp_path)
    yield started
    started.tidy()


# The end of the work


@pytest.mark.parametrize("status", [0, 1, 3, 4])
def test_the_status_is_the_workers(guard, status):
    done = guard.run(f"def work(flight, verdicts): life(); print('done'); return {status}")
    assert (done.status, done.out, done.err) == (status, "started\ndone\n", "")
    assert done.lives == 1
    assert guard.journals() == []


def test_an_expected_failure_is_told_once(guard):
    done = guard.run("def work(flight, verdicts): life(); raise BatchclsError('no model')")
    assert (done.status, done.out, done.err) == (1, "started\n", "error: no model\n")
    assert done.lives == 1
    assert guard.journals() == []


def test_a_bug_keeps_its_traceback_and_is_not_tried_again(guard):
    done = guard.run("def work(flight, verdicts): life(); raise RuntimeError('a bug')")
    assert done.status == 1
    assert done.err.startswith("Traceback") and done.err.endswith("RuntimeError: a bug\n")
    assert done.err.count("Traceback") == 1
    assert done.lives == 1


def test_the_worker_tidies_up_as_ever(guard):
    work = """
import weakref
class Thing: pass
def work(flight, verdicts):
    life()
    thing = work.thing = Thing()
    weakref.finalize(thing, lambda: os.write(1, b"removed\\n"))
    if {how!r} == "return":
        return 0
    if {how!r} == "exit":
        sys.exit(5)
    raise KeyboardInterrupt
"""
    for how, status in (("return", 0), ("exit", 5), ("interrupt", 130)):
        done = guard.run(work.format(how=how))
        assert done.status == status
        assert sorted(done.out.split()) == ["removed", "started"]


def test_output_before_the_fork_is_written_once(guard):
    work = "def work(flight, verdicts): life(); flight.entering(Stage.READING,'/a').__enter__(); "
    done = guard.run(work + "life() < 6 and crash(); return 0")
    assert done.status == 0
    assert done.out == "started\n"


def test_the_end_of_a_worker_is_noticed_at_once(guard):
    work = """
def work(flight, verdicts):
    time.sleep(0.5)
    flight._board.landed = 0
    open("ended", "w").write(str(time.monotonic()))
    os._exit(0)

real = guarded
def guarded(*arguments, **named):
    status = real(*arguments, **named)
    open("noticed", "w").write(str(time.monotonic()))
    return status
"""
    took = []
    for _ in range(5):
        assert guard.run(work).status == 0
        ended, noticed = (float((guard.folder / x).read_text()) for x in ("ended", "noticed"))
        took.append(noticed - ended)
    assert min(took) < 0.05  # some milliseconds, where the machine is not busy


# Crashes

CRASHES = {
    "SIGSEGV": "ctypes.string_at(0)",
    "SIGABRT": "os.abort()",
    "SIGBUS": "os.kill(os.getpid(), signal.SIGBUS)",
    "SIGILL": "os.kill(os.getpid(), signal.SIGILL)",
    "SIGFPE": "os.kill(os.getpid(), signal.SIGFPE)",
}
FOUR_FILES = """
def work(flight, verdicts):
    life()
    print(sorted(verdicts.suspects), flush=True)
    for name in ("/a", "/b", "/c", "/d"):
        with flight.entering(Stage.READING, name):
            if name == "/c" and not verdicts.is_suspect(name):
                flight.stage(Stage.DECODING, b"c" * 32)
                {crash}
        flight.progressed()
    return 3
"""


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_costs_a_worker_and_no_more(guard, name):
    done = guard.run(FOUR_FILES.format(crash=CRASHES[name]))
    assert done.status == 3
    assert done.out == "started\n[]\n['/c']\n"
    assert done.err == (
        f"warning: a decoder crashed ({name}) with 1 file in work; "
        "going on, and decoding those apart\n"
    )
    assert done.lives == 2
    assert guard.journals() == []


def test_a_library_that_ends_the_process(guard):
    done = guard.run(FOUR_FILES.format(crash="os._exit(0)"))
    assert done.status == 3
    assert done.err == (
        "warning: a decoder ended the process, with status 0, with 1 file in work; "
        "going on, and decoding those apart\n"
    )


def test_all_files_that_are_in_work_are_suspects_but_no_folder(guard):
    work = """
def hold(flight, stage, path, content, entered):
    with flight.entering(stage, path, content):
        entered.wait()
        time.sleep(60)
def work(flight, verdicts):
    life()
    if verdicts.suspects:
        print(sorted(verdicts.suspects), verdicts.is_suspect("/x", b"1"), verdicts.reasons)
        return 0
    entered = threading.Barrier(4)
    for stage, path in ((Stage.LISTING, "/f"), (Stage.READING, "/r"), (Stage.DECODING, "/d")):
        content = b"1" if stage is Stage.DECODING else b""
        arguments = (flight, stage, path, content, entered)
        threading.Thread(target=hold, args=arguments, daemon=True).start()
    entered.wait()
    crash()
"""
    done = guard.run(work)
    assert (done.status, done.out) == (0, "started\n['/d', '/r'] True {}\n")
    assert "a decoder crashed (SIGSEGV) with 2 files in work" in done.err


def test_files_that_crash_one_after_another(guard):
    work = """
def work(flight, verdicts):
    life()
    for name in map("/{}".format, range(20)):
        with flight.entering(Stage.DECODING, name):
            if not verdicts.is_suspect(name):
                crash()
        flight.progressed()
    return 0
"""
    done = guard.run(work)
    assert (done.status, done.lives) == (0, 21)
    assert done.err.count("warning: a decoder crashed (SIGSEGV) with 1 file in work") == 20


def test_where_nothing_gets_done_between_crashes_all_is_decoded_apart(guard):
    work = """
def work(flight, verdicts):
    number = life()
    if not verdicts.is_suspect("/new"):
        with flight.entering(Stage.DECODING, f"/{number}"):
            crash()
    return 0
"""
    done = guard.run(work)
    assert (done.status, done.lives) == (0, 4)
    assert done.err.endswith("between the last crashes; decoding all files apart\n")


def test_a_worker_that_dies_whatever_is_decoded_apart_is_given_up(guard):
    work = """
def work(flight, verdicts):
    number = life()
    with flight.entering(Stage.READING, f"/{number}"):
        crash()
"""
    done = guard.run(work)
    assert (done.status, done.lives) == (1, 6)
    assert done.err.splitlines()[-1] == (
        "error: the worker crashed (SIGSEGV), 3 times in a row, and no file could be found that is "
        "to blame"
    )
    assert guard.journals() == []


def test_a_worker_that_dies_without_a_file_in_work_is_given_up(guard):
    done = guard.run("def work(flight, verdicts): life(); os.abort()")
    assert (done.status, done.lives) == (1, 3)
    assert done.err.splitlines() == [
        "warning: the worker crashed (SIGABRT); going on",
        "warning: the worker crashed (SIGABRT); going on",
        "error: the worker crashed (SIGABRT), 3 times in a row, and no file could be found that is "
        "to blame",
    ]


def test_a_run_that_gets_on_is_not_given_up(guard):
    work = "def work(flight, verdicts): flight.progressed(); return life() >= 9 or crash()"
    done = guard.run(work)
    assert (done.status, done.lives) == (1, 9)
    assert "error" not in done.err


def test_a_worker_that_is_killed_costs_a_restart(guard):
    work = """
def work(flight, verdicts):
    if life() == 1:
        with flight.entering(Stage.READING, "/a"):
            time.sleep(60)
    print(sorted(verdicts.suspects))
    return 0
"""
    process = guard.start(work)
    os.kill(guard.worker(), signal.SIGKILL)
    done = guard.end(process)
    assert (done.status, done.lives) == (0, 2)
    assert "the worker was killed, most likely for want of memory" in done.err


def test_a_crash_at_the_exit_changes_nothing(guard):
    work = """
import atexit
def work(flight, verdicts):
    life()
    atexit.register(crash)
    return 3
"""
    done = guard.run(work)
    assert (done.status, done.err, done.lives) == (3, "", 1)


def test_no_stack_is_dumped_where_nobody_asked_for_it(guard):
    done = guard.run(FOUR_FILES.format(crash="crash()"))
    assert len(done.err.splitlines()) == 1


# Files that hang

HANG = """
def work(flight, verdicts):
    life()
    for name in ("/x/a", "/x/b", "/x/c"):
        reason = verdicts.reason(name)
        if reason:
            print(name, reason)
            continue
        with flight.entering(Stage.{stage}, name):
            if name == "/x/b":
                {hang}
    return 3
"""


@pytest.mark.parametrize(
    "hang",
    [
        "time.sleep(60)",
        "exec('while True: pass')",
        "ctypes.PyDLL(None).sleep(60)",  # which no other thread can run beside
    ],
)
def test_a_decoder_that_hangs(guard, hang):
    start = time.monotonic()
    done = guard.run(HANG.format(stage="DECODING", hang=hang), seconds="0.5")
    assert time.monotonic() - start < 20
    assert (done.status, done.lives) == (3, 2)
    reason = "could not be decoded within 0.5 s (decode.max_seconds)"
    assert done.out == f"started\n/x/b {reason}\n"
    assert done.err == "warning: /x/b took more than 0.5 s; going on without\n"


@pytest.mark.parametrize("stage", ["READING", "LISTING"])
def test_a_file_that_does_not_answer(guard, stage):
    done = guard.run(HANG.format(stage=stage, hang="time.sleep(60)"), seconds="0.5")
    assert (done.status, done.out) == (3, "started\n/x/b did not answer within 0.5 s\n")


def test_what_gets_on_may_take_its_time(guard):
    work = """
def work(flight, verdicts):
    life()
    with flight.entering(Stage.LISTING, "/x"):
        for _ in range(20):
            time.sleep(0.1)
            flight.touch()
    for number in range(20):
        with flight.entering(Stage.READING, f"/x/{number}"):
            time.sleep(0.1)
    time.sleep(2)
    return 0
"""
    done = guard.run(work, seconds="1")
    assert (done.status, done.err, done.lives) == (0, "", 1)


def test_without_a_limit_nothing_is_overdue(guard):
    work = """
def work(flight, verdicts):
    life()
    with flight.entering(Stage.DECODING, "/x"):
        time.sleep(1)
    return 0
"""
    assert guard.run(work, seconds="math.inf").lives == 1


def test_files_that_hang_together_are_found_together(guard):
    work = """
def hang(flight, number):
    with flight.entering(Stage.DECODING, f"/x/{number}"):
        time.sleep(60)
def work(flight, verdicts):
    life()
    if verdicts.reasons:
        print(len(verdicts.reasons))
        return 0
    for number in range(8):
        threading.Thread(target=hang, args=(flight, number), daemon=True).start()
        time.sleep(0.01)
    time.sleep(60)
"""
    done = guard.run(work, seconds="2")
    assert (done.out, done.lives) == ("started\n8\n", 2)
    assert done.err == "warning: /x/0, and 7 more, took more than 2 s; going on without\n"


def test_a_worker_that_never_learns_is_given_up(guard):
    work = """
def work(flight, verdicts):
    life()
    with flight.entering(Stage.READING, "/x"):
        time.sleep(60)
"""
    done = guard.run(work, seconds="0.3")
    assert (done.status, done.lives) == (1, 4)
    assert "error: the worker was stuck, 3 times in a row" in done.err


@pytest.mark.parametrize("whole", [False, True], ids=["worker", "job"])
def test_what_was_stopped_is_not_overdue(guard, whole):
    work = """
def work(flight, verdicts):
    with flight.entering(Stage.DECODING, "/x"):
        life()
        time.sleep({})
    return 0
"""
    process = guard.start(work.format(0.5), seconds="1.5")
    worker = guard.worker()
    send = os.killpg if whole else os.kill
    target = process.pid if whole else worker
    send(target, signal.SIGSTOP)
    time.sleep(3)
    send(target, signal.SIGCONT)
    done = guard.end(process)
    assert (done.status, done.err, done.lives) == (0, "", 1)


def test_a_thread_that_hangs_after_the_work_does_not_keep_the_run(guard):
    work = """
def hang(flight):
    with flight.entering(Stage.LISTING, "/x"):
        time.sleep(60)
def work(flight, verdicts):
    life()
    threading.Thread(target=hang, args=(flight,)).start()
    return 3
"""
    done = guard.run(work, seconds="1")
    assert (done.status, done.err, done.lives) == (3, "", 1)


# Signals

WAITS = """
def work(flight, verdicts):
    try:
        life()
        time.sleep(60)
    finally:
        print("tidy", flush=True)
        time.sleep(0.5)
        print("done", flush=True)
    return 0
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("to", ["guardian", "worker", "both"])
def test_told_to_end(guard, number, to):
    process = guard.start(WAITS)
    worker = guard.worker()
    if to == "both":
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid if to == "guardian" else worker, number)
    done = guard.end(process)
    assert done.status == 128 + number
    assert done.out == "started\ntidy\ndone\n"
    assert done.err == ("interrupted\n" if number == signal.SIGINT else "")
    assert (done.lives, is_gone(worker)) == (1, True)
    assert guard.journals() == []


def test_a_second_ctrl_c_is_a_second_one(guard):
    work = """
def work(flight, verdicts):
    try:
        life()
        time.sleep(60)
    except KeyboardInterrupt:
        print("once", flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("twice", flush=True)
    return 7
"""
    process = guard.start(work)
    guard.worker()
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)
    done = guard.end(process)
    assert (done.status, done.out) == (7, "started\nonce\ntwice\n")


def test_a_worker_without_a_handler_is_ended_by_the_signal(guard):
    work = "def work(flight, verdicts): signal.signal(15, signal.SIG_DFL); life(); time.sleep(60)"
    process = guard.start(work)
    guard.worker()
    process.terminate()
    done = guard.end(process)
    assert (done.status, done.err, done.lives) == (143, "", 1)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGQUIT])
def test_a_signal_that_is_no_crash_ends_the_run(guard, number):
    process = guard.start(WAITS)
    os.kill(guard.worker(), number)
    done = guard.end(process)
    assert (done.status, done.err, done.lives) == (128 + number, "", 1)


def test_what_is_ignored_stays_ignored(guard):
    work = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
def work(flight, verdicts):
    life()
    time.sleep(1)
    return 0
"""
    process = guard.start(work)
    guard.worker()
    os.killpg(process.pid, signal.SIGINT)
    assert guard.end(process).status == 0


def test_a_run_that_hangs_can_be_told_to_end(guard, monkeypatch):
    """It waits for what is in work, but not for what never ends."""
    work = """
import batchcls.guard.guardian
batchcls.guard.guardian._TO_LEAVE = 1.0
def work(flight, verdicts):
    with flight.entering(Stage.READING, "/x"):
        life()
        ctypes.PyDLL(None).sleep(60)
"""
    process = guard.start(work)
    guard.worker()
    time.sleep(0.3)
    process.terminate()
    done = guard.end(process, timeout=20)
    assert (done.status, done.lives) == (143, 1)


def test_told_to_end_between_two_workers(guard):
    work = """
def work(flight, verdicts):
    number = life()
    with flight.entering(Stage.DECODING, f"/{number}"):
        os.kill(os.getppid(), signal.SIGTERM)
        crash()
"""
    done = guard.run(work)
    assert done.lives == 1
    assert done.status in {143, 128 + signal.SIGSEGV}


# Ends of the guardian


@pytest.mark.parametrize("portable", [False, True], ids=["system", "portable"])
def test_the_worker_dies_with_the_guardian(guard, portable):
    work = """
import batchcls.guard.forking
if {}:
    batchcls.guard.forking.dies_with_parent = lambda: False
def work(flight, verdicts):
    with flight.entering(Stage.DECODING, "/a", b"d"):
        life()
        time.sleep(60)
"""
    process = guard.start(work.format(portable))
    worker = guard.worker()
    assert not is_gone(worker)
    process.kill()
    until(lambda: is_gone(worker), seconds=1)
    guard.end(process)
    assert len(guard.journals()) == 1
    look = "def work(flight, verdicts): print(sorted(verdicts.suspects)); return 0"
    assert guard.run(look).out == "started\n['/a']\n"
    assert guard.run(look).out == "started\n[]\n"
    assert guard.journals() == []


def test_two_runs_share_the_folder(guard):
    work = """
def work(flight, verdicts):
    with flight.entering(Stage.DECODING, "/" + str(os.getppid())):
        life()
        time.sleep(60)
"""
    one, other = guard.start(work), guard.start(work)
    until(lambda: len(guard.lives()) == 2)
    assert len(guard.journals()) == 2
    one.kill()
    one.wait()
    look = "def work(flight, verdicts): print(sorted(verdicts.suspects)); return 0"
    found = guard.run(look)
    assert found.out == f"started\n['/{one.pid}']\n"
    other.terminate()
    assert guard.end(other).status == 143
    guard.end(one)
    assert guard.journals() == []


# Where there is no guardian


@pytest.mark.parametrize("why", ["asked", "threads", "no fork", "another thread"])
def test_without_a_guardian(why, monkeypatch, tmp_path):
    from batchcls.guard import Flight, Verdicts, guarded

    def work(flight: Flight, verdicts: Verdicts) -> int:
        assert len(list(tmp_path.glob("*.journal"))) == 1
        seen.append(os.getpid())
        return 3

    def call() -> None:
        seen.append(
            guarded(work, seconds=60, folder=str(tmp_path), warn=seen.append, guard=why != "asked")
        )

    seen: list[object] = []
    if why == "no fork":
        monkeypatch.delattr(os, "fork")
    if why == "threads":
        end = threading.Event()
        thread = threading.Thread(target=end.wait)
        thread.start()
        call()
        end.set()
        thread.join()
    elif why == "another thread":
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    else:
        call()
    assert seen == [os.getpid(), 3]
    assert list(tmp_path.glob("*.journal")) == []


def test_the_guardian_stays_small():
    code = "import batchcls.guard, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"numpy", "PIL", "joblib", "rich", "typer"} & set(done.stdout.split()) == set()
