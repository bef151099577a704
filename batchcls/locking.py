"""Lock files: the system frees the lock of a process that dies, however it does."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

if sys.platform == "win32":
    import msvcrt

    # Nobody can read the bytes that are locked: so not those that say whose lock it is.
    _BEYOND_THE_TEXT = 1 << 30

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BEYOND_THE_TEXT, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


# What the systems say of a lock that another has; the rest means that there are no locks here.
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})


class TakenError(Exception):
    """Another process has the lock."""


class NoLocksError(Exception):
    """The file system has no locks."""


def acquire(path: str) -> int:
    """Take the lock file ``path``, made if need be; give what :func:`release` wants.

    Raises TakenError, NoLocksError, or OSError where the file can't be opened.
    """
    while True:
        descriptor = _open(path)
        try:
            _lock(descriptor)
            if _is_still(path, descriptor):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            raise (TakenError if error.errno in _TAKEN else NoLocksError) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder has removed it: try the one that is there now


def release(path: str, descriptor: int) -> None:
    """Let go of a lock, and remove its file."""
    if sys.platform == "win32":  # an open file can't be removed, and so none that another has
        os.close(descriptor)
        _remove(path)
    else:  # while it is held, so that nobody loses a lock
        if _is_still(path, descriptor):
            _remove(path)
        os.close(descriptor)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _open(path: str) -> int:
    # A link at this place is a stranger's: what it leads to is not ours to make or write.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError as error:  # another user's, which can be locked all the same
        try:
            return os.open(path, os.O_RDONLY | flags)
        except FileNotFoundError:
            raise error from None


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
