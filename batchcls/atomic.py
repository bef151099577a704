"""A file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import weakref
import zlib
from collections.abc import Iterator
from typing import IO, Protocol

from batchcls.errors import BatchclsError, UsageError
from batchcls.locations import is_url, normalised, without_secrets
from batchcls.text import shown

STDOUT = "-"

# What a file system says that can't sync; the others mean that the bytes are not safe.
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
# What the system says where there is no room; EDQUOT is of a user's share of it.
FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


class OutputFile(Protocol):
    """A file that is begun, and appears at ``path`` whole, or not at all."""

    path: str
    file: IO[bytes]

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        ...

    def commit(self) -> None:
        """Put the file in its place. After a failure nothing of it is left."""
        ...

    def discard(self) -> None:
        """Remove what was written; once it is in its place this does nothing."""
        ...


def output_file(path: str) -> OutputFile:
    """Begin the file at ``path``: a path on this machine, ``-``, or a URL.

    Raises UsageError where ``path`` can't be a file, BatchclsError where writing fails; at once,
    as far as can be asked before the work.
    """
    return _begun(path)


def _begun(path: str, *, check: bool = True, retries: int | None = None) -> OutputFile:
    path = normalised(path)  # file://
    if not is_url(path):
        return AtomicFile(path)
    from batchcls.remote.writing import RemoteFile

    return RemoteFile(path, check=check, retries=retries)


class AtomicFile:
    """Bytes written next to ``path`` and moved there by :meth:`commit`, in one step.

    Until then, and after :meth:`discard`, whatever stood at ``path`` is untouched. A new file
    has the mode that the umask gives; one that takes another's place has that one's mode, and its
    owner where the system allows. ``-`` is standard output; that, and a device or a pipe at
    ``path``, is written to at once, as there is nothing to replace. Raises UsageError where
    ``path`` can't be a file, BatchclsError where writing fails; at once, as far as the system can
    be asked before the work.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary: str | None = None
        self._replaces = False
        if is_url(path):
            raise UsageError(
                f"{shown(without_secrets(path))}: a URL, where a file on this machine is needed",
                hint="Name a file, and copy it.",
            )
        if path != STDOUT and ("\0" in path or os.path.basename(path) in {"", ".", ".."}):
            raise UsageError(
                f"{shown(path) or 'an empty path'}: not a file's name",
                hint="Name a file to be written.",
            )
        self._target = os.path.realpath(path)  # a link stays, and its target is replaced
        with self._explained():
            self.file = self._open()

    def _open(self) -> IO[bytes]:
        if self.path == STDOUT:
            return _standard_output()
        before = _status(self.path)
        if before is not None and not stat.S_ISREG(before.st_mode):
            if stat.S_ISDIR(before.st_mode):
                raise UsageError(
                    f"{shown(self.path)}: a folder, where a file is to be written",
                    hint="Name a file.",
                )
            return open(self.path, "wb")  # what /dev/stdout leads to has no other name
        self._replaces = before is not None
        folder = os.path.dirname(self._target)
        inside = _status(folder)
        if inside is None or not stat.S_ISDIR(inside.st_mode):
            raise UsageError(
                f"{shown(self.path)}: the folder {shown(folder)} does not exist",
                hint="Create it, or name a file elsewhere.",
            )
        if before is not None:
            _check_replaceable(self._target)
        beginning, ending = _temporary_name(self._target)
        temporary = os.path.join(folder, f"{beginning}{secrets.token_hex(8)}{ending}")
        # Before the file is there, so that no interruption, nor the end of the process, leaves it.
        self._cleanup = weakref.finalize(self, _remove, temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        # Nobody reads a secret file's successor before it has the mode of the secret file.
        file = os.fdopen(os.open(temporary, flags, 0o666 if before is None else 0o600), "wb")
        self._temporary = temporary
        if before is not None:
            _take_over(temporary, before)
        return file

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        with self._explained():
            self.file.write(data)

    def commit(self) -> None:
        """Put the file in its place. After a failure nothing of it is left."""
        try:
            with self._explained():
                self.file.flush()
                if self._temporary is not None:
                    sync(self.file.fileno())
                self.file.close()
                if self._temporary is not None:
                    os.replace(self._temporary, self._target)
                    self._temporary = None
                    self._cleanup.detach()
                    sync_folder(os.path.dirname(self._target))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            self._cleanup()
            self._temporary = None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise  # the reader of standard output has had enough
        except OSError as error:
            what = "standard output" if self.path == STDOUT else shown(self.path)
            raise BatchclsError(
                f"{what}: can't be written: {error.strerror or error}",
                hint=self._advice(error),
            ) from error

    def _advice(self, error: OSError) -> str:
        """Say what is left of what was there, and what to do."""
        if self.path == STDOUT:
            return "Let it lead elsewhere, or name a file."
        what = "Make room, or name" if error.errno in FULL else "Name"
        untouched = "What stood there before is untouched. " if self._replaces else ""
        return f"{untouched}{what} a file elsewhere."


def _temporary_name(target: str) -> tuple[str, str]:
    """Give what the name of an unfinished ``target`` begins and ends with."""
    name = os.fsencode(os.path.basename(target))
    return f".batchcls-{zlib.crc32(name):08x}-", ".tmp"


def remove_left_over(path: str) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left of it.

    To be called only while nobody writes it. At a URL nothing is looked for: of most storages
    nothing is left, and in a folder of another machine somebody else may be writing.
    """
    if is_url(path):
        return
    target = os.path.realpath(path)
    folder, (beginning, ending) = os.path.dirname(target), _temporary_name(target)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(beginning) and entry.name.endswith(ending):
                _remove(entry.path)


def write_atomically(path: str, data: bytes, *, retries: int | None = None) -> None:
    """Write a whole file, at a path or a URL, in one step. Raises as output_file does.

    ``retries`` is how often more to try it at a URL, by default as often as the settings say.
    """
    file = _begun(path, check=False, retries=retries)
    try:
        file.write(data)
        file.commit()
    except BaseException:
        file.discard()
        raise


def _standard_output() -> IO[bytes]:
    if sys.stdout is None:  # the process was started with it closed
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.flush()
    return os.fdopen(os.dup(sys.stdout.fileno()), "wb")


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_replaceable(path: str) -> None:
    """Raise OSError if no file may take the place of the one at ``path``, as would :meth:`commit`.

    So it is with another user's file in a folder like /tmp, and with one that was made immutable.
    Linux checks the same things before it removes a folder, and then refuses what is none.
    """
    if sys.platform == "linux":
        with contextlib.suppress(NotADirectoryError, FileNotFoundError):
            os.rmdir(path)


def _take_over(path: str, before: os.stat_result) -> None:
    """Give ``path`` the owner, as far as that is allowed, and the mode of the file before it."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no owners
        os.chown(path, before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):  # some file systems have no modes
        os.chmod(path, stat.S_IMODE(before.st_mode) & 0o777)


def sync(descriptor: int) -> None:
    """Make written bytes survive a power cut, where the file system can. Raises OSError."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync_folder(folder: str) -> None:
    """Make the new name survive a power cut, where the system knows how."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
