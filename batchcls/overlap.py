"""One run at a time writes a report; another one waits, or steps aside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

from batchcls import locking
from batchcls.atomic import STDOUT, remove_left_over
from batchcls.errors import BusyError
from batchcls.locations import is_url
from batchcls.text import shown

# The scan leaves out what has a name like this.
_PREFIX, _SUFFIX = ".batchcls-", ".lock"
_LONGEST_NAME = 255 - len(_PREFIX) - len(_SUFFIX)  # in bytes
_POLL = 0.2  # seconds
_MOST_BYTES = 500  # of what the lock file says; a larger one is not ours


@contextlib.contextmanager
def alone_on(
    report: str, wait: float, say: Callable[[str], None], *, named: str = ""
) -> Iterator[bool]:
    """Let no other run write ``report`` meanwhile, if it can be: give whether none does.

    For that a lock file lies beside the report. ``named`` is what messages call it.

    Another one's end is waited for up to ``wait`` seconds; then BusyError says who it is. Two names
    of one report, by links, have one lock. Where there can be no lock (standard output, a device, a
    folder that can't be written to, a file system without locks) the run goes on without.

    A process that is forked meanwhile holds the lock, too: it is free when the last of them has
    ended, however they do. The process that has taken it removes the file, and so must wait for its
    children before it leaves; a child that leaves first changes nothing.
    """
    lock = _lock_of(report)
    descriptor = None if lock is None else _acquire(lock, named or report, wait, say)
    if lock is None or descriptor is None:
        yield False
        return
    taker = os.getpid()
    try:
        _sign(descriptor)
        yield True
    finally:
        if os.getpid() == taker:
            locking.release(lock, descriptor)
        else:
            os.close(descriptor)


def sweep(report: str) -> None:
    """Remove what runs that were killed have left of reports in the folder of this one.

    To be called while this one is locked. At a URL nothing is ever left.
    """
    if is_url(report):
        return
    remove_left_over(report)
    own = _lock_of(report)
    folder = os.path.dirname(os.path.realpath(report))
    try:
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX)]
    except OSError:
        return
    for name in names:
        lock = os.path.join(folder, name)
        if not name.endswith(_SUFFIX) or lock == own:
            continue
        with contextlib.suppress(OSError, locking.TakenError, locking.NoLocksError):
            descriptor = locking.acquire(lock)
            try:
                remove_left_over(os.path.join(folder, name[len(_PREFIX) : -len(_SUFFIX)]))
            finally:
                locking.release(lock, descriptor)


def _lock_of(report: str) -> str | None:
    if report == STDOUT or "\0" in report or os.path.basename(report) in {"", ".", ".."}:
        return None
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.stat(report).st_mode):
            return None
    folder, name = os.path.split(os.path.realpath(report))
    raw = os.fsencode(name)
    if len(raw) > _LONGEST_NAME:
        name = hashlib.sha256(raw).hexdigest()
    return os.path.join(folder, f"{_PREFIX}{name}{_SUFFIX}")


def _acquire(lock: str, report: str, wait: float, say: Callable[[str], None]) -> int | None:
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            return locking.acquire(lock)
        except locking.TakenError:
            pass
        except (OSError, locking.NoLocksError):  # the report has its own error, if it has one
            return None
        left = deadline - time.monotonic()
        if left <= 0:
            raise BusyError(
                f"another run{_holder(lock)} is writing {shown(report)}",
                hint="To wait for its end: --wait SECONDS. To work beside it: another --output.",
            )
        if not told:
            say(f"Another run{_holder(lock)} is writing {shown(report)}; waiting for its end.")
            told = True
        time.sleep(min(_POLL, left))


def _sign(descriptor: int) -> None:
    """Say in the lock file whose it is."""
    about = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # another user's file, a full disk: then nobody is named
        status = os.fstat(descriptor)
        if status.st_nlink <= 1 and status.st_size <= _MOST_BYTES:  # else not ours to change
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(about).encode())


def _holder(lock: str) -> str:
    """Say whose lock it is, as far as the file tells: whoever made it may have been killed."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(lock, os.O_RDONLY | flags)
        try:
            about = json.loads(os.read(descriptor, _MOST_BYTES))
        finally:
            os.close(descriptor)
        process, host = int(about["process"]), str(about["host"])
        since = datetime.fromisoformat(about["since"]).astimezone()
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ""
    if host == socket.gethostname() and not _lives(process):
        return ""
    where = "" if host == socket.gethostname() else f" on {shown(host)}"
    today = since.date() == datetime.now().astimezone().date()
    return f" (process {process}{where}, since {since:{'%H:%M' if today else '%Y-%m-%d %H:%M'}})"


def _lives(process: int) -> bool:
    if os.name == "nt":  # there, this call would end it
        return True
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
