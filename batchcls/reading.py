"""Reading: a file opened with care, and what tells whether it is still the same.

Nothing here knows of images. Why a file can't be read ends as a :class:`DecodeError`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Protocol

from batchcls.errors import DecodeError
from batchcls.locations import is_url
from batchcls.text import shown

# Up to this size a file is held in memory, so that what is decoded is what the digest is of.
IN_MEMORY = 32 * 2**20
_BLOCK = 2**20
# A file may be changed again within one tick of the clock that stamps it, and look the same. What
# was stamped this recently is not taken for known (git's "racily clean"). A whole number of
# seconds tells of a file system that counts in seconds, or, as FAT does, in two.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_100_000_000
_SECOND_NS = 1_000_000_000
# Volumes by device, for this process; and an odd number that spreads theirs over 64 bits.
_volumes: dict[int, int] = {}
_SPREAD = 0x9E37_79B9_7F4A_7C15
# What tells a page of ours from any other, and how far from its beginning at most
# (pages/templates/base.html.j2).
_MARK_OF_PAGE = b'<meta name="generator" content="batchcls">'
_HEAD_OF_PAGE = 4096

_CANT_BE_READ = "can't be read: "
_REASONS = {
    errno.ENOENT: "no such file: it may have vanished, or be a dangling link",
    errno.ENOTDIR: "no such file: it may have vanished",
    errno.ESTALE: "no such file: it may have vanished",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ELOOP: "a link that leads back to itself",
}
_NOT_FILES = {
    stat.S_IFDIR: "a folder, not an image file",
    stat.S_IFIFO: "a named pipe, not a regular file",
    stat.S_IFSOCK: "a socket, not a regular file",
    stat.S_IFCHR: "a device, not a regular file",
    stat.S_IFBLK: "a device, not a regular file",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What changes with a file's content. Times are in nanoseconds since 1970.

    ``changed`` is that of the inode (ctime), which no program can set: it tells of a content that
    was replaced and given its old size and modification time. (On Windows: of the creation.)
    ``inode`` is mixed with the volume's number.
    """

    size: int
    modified: int
    changed: int
    inode: int


@dataclass(slots=True)
class Content:
    """An opened file: ``file`` at its beginning, ``digest`` the SHA-256 of its bytes.

    ``identity`` is None where the file may have changed without a trace. The digest is empty once
    it is known that what was decoded may not be what it is of.
    """

    file: IO[bytes]
    digest: bytes
    identity: Identity | None


class Files(Protocol):
    """Where files are looked up, and read."""

    def opened(self, path: str, max_bytes: int) -> AbstractContextManager[Content]:
        """Open a file of at most ``max_bytes``; DecodeError with the reason if it can't be."""
        ...

    def identify(self, path: str) -> Identity | None:
        """Look a file up without opening it; None if it can't be."""
        ...


class LocalFiles:
    """Those on this machine, by their paths."""

    def opened(self, path: str, max_bytes: int) -> AbstractContextManager[Content]:
        """Open a file; see :func:`opened`."""
        return opened(path, max_bytes)

    def identify(self, path: str) -> Identity | None:
        """Look a file up; see :func:`identify`."""
        return identify(path)


def identify(path: str) -> Identity | None:
    """Look a file up without opening it; None if it isn't a regular file, or can't be looked up."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return identity_of(status, path) if stat.S_ISREG(status.st_mode) else None


def identity_of(status: os.stat_result, path: str) -> Identity:
    """Take from a file's status what identifies its content."""
    number = status.st_ino ^ (_volume(status.st_dev, path) * _SPREAD)
    # Inodes of some file systems have 64 bits, and SQLite's integers a sign.
    inode = (number & 0xFFFF_FFFF_FFFF_FFFF) - (1 << 63)
    return Identity(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)


def _volume(device: int, path: str) -> int:
    """Give the number of the volume that a file is on, if it has one that stays, and otherwise 0.

    Another disk at the same place may have a file of the same inode, size and times, as the cards
    of cameras without a clock do. What is on no disk (its major number is 0: networks, memory) is
    numbered anew with each mount.
    """
    number = _volumes.get(device)
    if number is None:
        try:
            number = os.statvfs(path).f_fsid if os.major(device) else 0
        except (AttributeError, OSError, ValueError):  # AttributeError: Windows
            return 0
        _volumes[device] = number
    return number


def stamp_of(path: str) -> tuple[int, int, int] | None:
    """Give what tells whether another file has come to ``path``, None where there is none.

    A new link to the file, or a new mode, changes nothing.
    """
    found = identify(path)
    return None if found is None else (found.inode, found.size, found.modified)


def beginning_of(path: str, count: int) -> bytes:
    """Give the first bytes of a regular file; none where it can't be read, or is not there.

    It is to be replaced: writing it tells what is wrong, if anything. Raises BatchclsError where
    a storage does not say what it has at a URL.
    """
    if is_url(path):
        from batchcls.remote import fetching

        return fetching.beginning_of(path, count)
    try:
        with open_regular(path) as file:
            return file.read(count)
    except (OSError, ValueError, DecodeError):
        return b""


def is_no_page(path: str) -> bool:
    """Tell whether a file is there that is no page of ours: it would be lost if one replaced it.

    An empty file, and one that can't be read, is none: see ``beginning_of``.
    """
    beginning = beginning_of(path, _HEAD_OF_PAGE)
    return beginning != b"" and _MARK_OF_PAGE not in beginning


@contextlib.contextmanager
def opened(path: str, max_bytes: int) -> Iterator[Content]:
    """Open a regular file of at most ``max_bytes``, and take its digest.

    Raises DecodeError with the reason if that can't be done. Errors of whoever uses the file pass
    through.
    """
    now = time.time_ns()
    try:
        file = open_regular(path)
    except OSError as error:
        raise DecodeError(read_reason(error), lasting=False) from error
    except ValueError as error:  # a NUL in the name
        raise DecodeError(f"can't be read: {error}", lasting=False) from error
    with file:
        try:
            before = os.fstat(file.fileno())
            if before.st_size > max_bytes:
                raise too_many_bytes(before.st_size, max_bytes)
            content = _content(file, before.st_size, max_bytes)
            content.identity = _settled(before, os.fstat(file.fileno()), path, now)
        except OSError as error:
            raise DecodeError(read_reason(error), lasting=False) from error
        except MemoryError:
            raise DecodeError("not enough memory to read it", lasting=False) from None
        try:
            yield content
        finally:
            if content.file is file and not _is_as_it_was(file, path, before):
                content.identity = None
                content.digest = b""


def _is_as_it_was(file: IO[bytes], path: str, before: os.stat_result) -> bool:
    """Tell whether a file was left alone while it was decoded."""
    try:
        return identity_of(os.fstat(file.fileno()), path) == identity_of(before, path)
    except (OSError, ValueError):  # it is out of reach, or a decoder has closed it
        return False


def too_many_bytes(size: int, max_bytes: int) -> DecodeError:
    """Say that a file has more bytes than allowed."""
    return DecodeError(
        f"too large: {size:,} bytes, more than {max_bytes:,} (decode.max_bytes)", lasting=False
    )


def _content(file: IO[bytes], size: int, max_bytes: int) -> Content:
    if size <= IN_MEMORY:
        data = file.read(size + 1)
        if len(data) <= size:
            return Content(io.BytesIO(data), hashlib.sha256(data).digest(), None)
        file.seek(0)  # it grew
    digest = hashlib.sha256()
    length = 0
    while block := file.read(_BLOCK):
        digest.update(block)
        length += len(block)
        if length > max_bytes:  # it grows as fast as we read
            raise too_many_bytes(length, max_bytes)
    file.seek(0)
    return Content(file, digest.digest(), None)


def _settled(before: os.stat_result, after: os.stat_result, path: str, now: int) -> Identity | None:
    """Give the identity, if it is sure to change with any later change of the file."""
    identity = identity_of(before, path)
    if identity != identity_of(after, path):
        return None
    stamp = max(identity.modified, identity.changed)
    coarse = identity.changed % _SECOND_NS == 0
    return identity if now - stamp > (_COARSE_TICK_NS if coarse else _TICK_NS) else None


def open_regular(path: str) -> IO[bytes]:
    """Open a regular file, and no other: a named pipe would wait, a device might do things."""
    _require_regular(os.stat(path))
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - the caller's to close
    try:
        _require_regular(os.fstat(file.fileno()))  # it may have been replaced meanwhile
    except BaseException:
        file.close()
        raise
    return file


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = stat.S_IFMT(status.st_mode)
        raise DecodeError(_NOT_FILES.get(kind, "not a regular file"), lasting=False)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_of_access(reason: str) -> bool:
    """Tell whether a reason is one of :func:`read_reason`: another machine may read the file."""
    return reason in _REASONS.values() or reason.startswith(_CANT_BE_READ)


def read_reason(error: OSError) -> str:
    """Say in a line why the system can't read a file."""
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    return shown(" ".join(f"{_CANT_BE_READ}{error.strerror or error}".split()))[:300]
