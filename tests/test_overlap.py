"""Two runs that would write one report: with real processes, some of which are killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from batchcls import locking
from batchcls.errors import BusyError, ExitStatus
from batchcls.overlap import alone_on
from batchcls.scan import ScanRules, scan

HOLD = """
import os, sys, time
from batchcls.overlap import alone_on
with alone_on(sys.argv[1], 0, print):
    print("held", flush=True)
    {work}
"""
WAIT_FOR_INPUT = "sys.stdin.read()"


@contextlib.contextmanager
def another_run(report: Path | str, work: str = WAIT_FOR_INPUT) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the report until its standard input is closed, or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(work=work), report],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tried(report: Path | str, wait: float = 0) -> list[str]:
    """Take it and leave; give what was said."""
    said: list[str] = []
    with alone_on(str(report), wait, said.append):
        pass
    return said


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".*"))


def test_second_run_steps_aside_and_says_who_the_first_is(tmp_path):
    report = tmp_path / "report.csv"
    with another_run(report) as process:
        with pytest.raises(BusyError) as caught:
            tried(report)
        message = str(caught.value)
        match = re.search(
            r"another run \(process (\d+), since (\d\d:\d\d)\) is writing (.*)", message
        )
        assert match, message
        assert int(match[1]) == process.pid
        now = datetime.now()
        assert match[2] in {f"{at:%H:%M}" for at in (now, now - timedelta(minutes=1))}
        assert match[3] == str(report)
        assert "--wait" in caught.value.hint
        assert caught.value.exit_status is ExitStatus.BUSY == 4
        assert leftovers(tmp_path) == [".batchcls-report.csv.lock"]
        process.communicate("")
        assert process.returncode == 0
    assert leftovers(tmp_path) == []
    assert tried(report) == []


def test_waiting_ends_when_the_other_run_ends_and_is_said_once(tmp_path):
    report = tmp_path / "report.csv"
    with another_run(report) as process:
        end = threading.Timer(1.0, process.communicate, [""])
        end.start()
        start = time.monotonic()
        [said] = tried(report, wait=60)
        end.join()
        assert 0.9 < time.monotonic() - start < 30
        assert f"process {process.pid}" in said
        assert "waiting" in said


def test_waiting_has_an_end(tmp_path):
    with another_run(tmp_path / "report.csv"):
        start = time.monotonic()
        with pytest.raises(BusyError):
            tried(tmp_path / "report.csv", wait=0.5)
        assert 0.4 < time.monotonic() - start < 10


def test_other_reports_are_nobodys_business(tmp_path):
    with another_run(tmp_path / "report.csv"):
        assert tried(tmp_path / "other.csv") == []
        (tmp_path / "sub").mkdir()
        assert tried(tmp_path / "sub" / "report.csv") == []


def test_killed_run_holds_nothing_and_its_file_is_no_lock(tmp_path):
    report = tmp_path / "report.csv"
    with another_run(report) as process:
        process.kill()
        process.wait()
    assert leftovers(tmp_path) == [".batchcls-report.csv.lock"]
    assert tried(report) == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, ValueError])
def test_lock_is_let_go_whatever_ends_the_run(tmp_path, end):
    report = tmp_path / "report.csv"
    with pytest.raises(end), alone_on(str(report), 0, print):
        assert leftovers(tmp_path) != []
        raise end
    assert leftovers(tmp_path) == []
    assert tried(report) == []


def test_terminated_run_removes_its_file(tmp_path):
    work = (
        "import signal; from batchcls.cli import _terminated\n"
        "    signal.signal(signal.SIGTERM, _terminated); print('ready', flush=True)\n"
        "    sys.stdin.read()"
    )
    with another_run(tmp_path / "report.csv", work) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert leftovers(tmp_path) == []


def test_names_that_lead_to_one_report_have_one_lock(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link.csv").symlink_to("real/report.csv")  # which need not be there yet
    monkeypatch.chdir(tmp_path / "real")
    names = [
        tmp_path / "folder" / "report.csv",
        tmp_path / "link.csv",
        "report.csv",
        "./report.csv",
    ]
    with another_run(tmp_path / "real" / "report.csv"):
        for name in names:
            with pytest.raises(BusyError):
                tried(name)


def test_fork_shares_the_lock_and_the_last_one_frees_it(tmp_path):
    """Of a process that watches another, the first may be killed: the other still writes."""
    report = tmp_path / "report.csv"
    work = "print(os.fork() or '', flush=True); time.sleep(60)"
    with another_run(report, work) as process:
        assert process.stdout is not None
        lines = {process.stdout.readline().strip(), process.stdout.readline().strip()}
        [child] = [int(line) for line in lines if line]
        try:
            process.kill()
            process.wait()
            with pytest.raises(BusyError):
                tried(report)
        finally:
            os.kill(child, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(BusyError):
                tried(report)
                break
            assert time.monotonic() < deadline
    assert leftovers(tmp_path) == []


def test_child_that_leaves_first_frees_nothing(tmp_path):
    report = tmp_path / "report.csv"
    work = (
        "child = os.fork()\n"
        "    if child:\n"
        "        os.waitpid(child, 0); print('alone', flush=True); sys.stdin.read()"
    )
    with another_run(report, work) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "alone\n"
        assert leftovers(tmp_path) == [".batchcls-report.csv.lock"]
        with pytest.raises(BusyError):
            tried(report)
        process.communicate("")
        assert process.returncode == 0
    assert leftovers(tmp_path) == []


def test_programs_that_a_run_starts_do_not_hold_its_lock(tmp_path):
    report = tmp_path / "report.csv"
    with alone_on(str(report), 0, print):
        sleeper = subprocess.Popen(["sleep", "60"])
    try:
        assert tried(report) == []
    finally:
        sleeper.kill()
        sleeper.wait()


def test_never_two_at_once_whoever_removes_the_file(tmp_path):
    """Many processes take and leave the lock as fast as they can; a second one inside would see
    the mark of the first."""
    code = (
        "import os, sys\n"
        "from batchcls.overlap import alone_on\n"
        "for _ in range(60):\n"
        "    with alone_on(sys.argv[1], 600, lambda _: None):\n"
        "        os.close(os.open('mark', os.O_CREAT | os.O_EXCL))\n"
        "        os.unlink('mark')\n"
    )
    command = [sys.executable, "-c", code.replace("alone_on(", "quick("), tmp_path / "report.csv"]
    command[2] = "import batchcls.overlap as o; o._POLL = 0.0005; quick = o.alone_on\n" + command[2]
    processes = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) for _ in range(4)
    ]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("length", [240, 241, 251])
def test_long_names_have_locks(tmp_path, length):
    report = tmp_path / ("é" + "r" * (length - 6) + ".csv")
    assert len(os.fsencode(report.name)) == length
    with alone_on(str(report), 0, print):
        assert len(leftovers(tmp_path)) == 1
        with pytest.raises(BusyError):
            tried(report)


def test_where_there_can_be_no_lock_the_run_goes_on(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for report in ("-", "/dev/null", tmp_path / "pipe.csv", tmp_path / "no/such/x.csv", "a\0b", ""):
        assert tried(report) == []
        with alone_on(str(report), 0, print):
            assert tried(report) == []
    assert leftovers(tmp_path) == []
    assert not Path("/dev/.batchcls-null.lock").exists()


def test_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(_descriptor: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locking, "_lock", refuse)
    with alone_on(str(tmp_path / "report.csv"), 0, print):
        assert tried(tmp_path / "report.csv") == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes another user")
def test_another_users_file_is_locked_all_the_same():
    """Two users who may both write to a folder: neither may write to the other's lock file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        report = Path(folder) / "report.csv"
        assert as_nobody(report) == 0
        with another_run(report) as process:
            assert as_nobody(report) == ExitStatus.BUSY
            process.kill()
            process.wait()
        assert leftovers(Path(folder)) == [".batchcls-report.csv.lock"]
        assert as_nobody(report) == 0


def as_nobody(report: Path) -> int:
    """Take the lock as another user, who may not even be allowed to start Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that are not there in the child
        child = os.fork()
    if child == 0:
        status = 9
        try:
            os.setgid(65534)
            os.setuid(65534)
            tried(report)
            status = 0
        except BusyError:
            status = ExitStatus.BUSY
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_link_or_foreign_file_in_the_place_of_the_lock_is_not_written_to(tmp_path):
    report, lock = tmp_path / "report.csv", tmp_path / ".batchcls-report.csv.lock"
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    lock.symlink_to(victim)
    with alone_on(str(report), 0, print):
        assert victim.read_text() == "precious"
    lock.unlink()
    os.link(victim, lock)
    with alone_on(str(report), 0, print):
        assert victim.read_text() == "precious"
    assert victim.read_text() == "precious"
    lock.write_text("x" * 1000)
    with alone_on(str(report), 0, print):
        assert lock.read_text() == "x" * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[1]",
        "{}",
        '{"process": "x", "host": 1, "since": 1}',
        '{"process": 1, "host": "h", "since": "tomorrow"}',
        "[" * 400,
        "\0\xff",
    ],
)
def test_lock_that_says_nothing_sensible_is_a_lock(tmp_path, text):
    lock = tmp_path / ".batchcls-report.csv.lock"
    with another_run(tmp_path / "report.csv"):
        lock.write_text(text)
        with pytest.raises(BusyError, match=r"^another run is writing"):
            tried(tmp_path / "report.csv")


def test_holder_on_another_machine_and_another_day(tmp_path):
    lock = tmp_path / ".batchcls-report.csv.lock"
    since = datetime.now(timezone.utc) - timedelta(days=3)
    about = {"process": 77, "host": "elsewhere\x1b", "since": since.isoformat()}
    with another_run(tmp_path / "report.csv"):
        lock.write_text(json.dumps(about))
        local = f"{since.astimezone():%Y-%m-%d %H:%M}"
        with pytest.raises(BusyError) as caught:
            tried(tmp_path / "report.csv")
    assert rf"(process 77 on elsewhere\x1b, since {local})" in caught.value.message


def test_holder_that_is_dead_is_not_named(tmp_path):
    """Another user's file of a run that was killed, which the next one could not sign."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock = tmp_path / ".batchcls-report.csv.lock"
    with another_run(tmp_path / "report.csv"):
        about = json.loads(lock.read_text())
        lock.write_text(json.dumps({**about, "process": dead.pid}))
        with pytest.raises(BusyError, match=r"^another run is writing"):
            tried(tmp_path / "report.csv")


def test_scan_takes_no_lock_for_an_image(tmp_path):
    rules = ScanRules(suffixes=frozenset(), all_files=True, hidden=True)
    with alone_on(str(tmp_path / "report.csv"), 0, print):
        assert leftovers(tmp_path) == [".batchcls-report.csv.lock"]
        assert list(scan([str(tmp_path)], rules)) == []
