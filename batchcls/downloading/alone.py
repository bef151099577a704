"""One process at a time, without waiting for one that hangs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from batchcls import locking
from batchcls.errors import BatchclsError
from batchcls.text import shown

_POLL = 0.1  # seconds


@contextlib.contextmanager
def alone(
    lock: str, *, watched: str, patience: float, say: Callable[[str], None]
) -> Iterator[bool]:
    """Hold the lock file ``lock`` meanwhile; give whether it is held.

    Another's lock is waited for as long as the file ``watched``, which it writes, changes its size
    every ``patience`` seconds. It isn't held where that one seems to hang, or where the file system
    has no locks: be ready to work beside others then. Raises BatchclsError where the file can't be
    made.
    """
    descriptor = _acquire(lock, watched, patience, say)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            locking.release(lock, descriptor)


def _acquire(lock: str, watched: str, patience: float, say: Callable[[str], None]) -> int | None:
    told = False
    size, changed = _size(watched), time.monotonic()
    while True:
        try:
            return locking.acquire(lock)
        except locking.NoLocksError:
            return None
        except locking.TakenError:
            pass
        except OSError as error:
            raise BatchclsError(
                f"{shown(lock)}: can't be written: {error.strerror or error}",
                hint="Make the folder writable, or use another one.",
            ) from error
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


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
