"""One process at a time, without waiting for one that hangs."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator

from batchcls.errors import BatchclsError
from batchcls.text import shown

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


# What the systems say of a lock that another has; the rest means that there are no locks here.
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})
_POLL = 0.1  # seconds


@contextlib.contextmanager
def alone(
    lock: str, *, watched: str, patience: float, say: Callable[[str], None]
) -> Iterator[bool]:
    """Hold the lock file ``lock`` meanwhile; give whether it is held.

    Another's lock is waited for as long as the file ``watched``, which it writes, changes its size
    every ``patience`` seconds. It isn't held where that one seems to hang, or where the file system
    has no locks: be ready to work beside others then. The system frees the lock of a process that
    dies, however it does. Raises BatchclsError where the file can't be made.
    """
    descriptor = _acquire(lock, watched, patience, say)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(lock, descriptor)


def _acquire(lock: str, watched: str, patience: float, say: Callable[[str], None]) -> int | None:
    told = False
    size, changed = _size(watched), time.monotonic()
    while True:
        descriptor = _open(lock)
        try:
            _lock(descriptor)
            if _is_still(lock, descriptor):
                return descriptor
            os.close(descriptor)  # its last holder has removed it: try the one that is there now
            continue
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _TAKEN:
                return None
        if not told:
            say("Another process is at it; waiting for that.")
            told = True
        time.sleep(_POLL)
        now = _size(watched)
        if now != size:
            size, changed = now, time.monotonic()
        elif time.monotonic() - changed > patience:
            say("The other process does not get on; going ahead without it.")
            return None


def _release(lock: str, descriptor: int) -> None:
    # Removed while it is held, so that nobody loses a lock; Windows keeps the empty file.
    with contextlib.suppress(OSError):
        os.unlink(lock)
    os.close(descriptor)


def _open(lock: str) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise BatchclsError(
            f"{shown(lock)}: can't be written: {error.strerror or error}",
            hint="Make the folder writable, or use another one.",
        ) from error


def _is_still(lock: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
