"""A file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from typing import IO

from batchcls.errors import BatchclsError, UsageError

STDOUT = "-"


class AtomicFile:
    """Bytes written next to ``path`` and moved there by :meth:`commit`, in one step.

    Until then, and after :meth:`discard`, whatever stood at ``path`` is untouched. ``-`` is
    standard output; that, and a device or a pipe at ``path``, is written to at once, as there is
    nothing to replace. Raises UsageError where ``path`` can't be a file, BatchclsError where
    writing fails.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._target = os.path.realpath(path)  # a link stays, and its target is replaced
        self._temporary: str | None = None
        with self._explained():
            self.file = self._open()

    def _open(self) -> IO[bytes]:
        if self.path == STDOUT:
            return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        mode = 0o666
        if os.path.exists(self._target):
            status = os.stat(self._target)
            if stat.S_ISDIR(status.st_mode):
                raise UsageError(
                    f"{self.path}: a folder, where a file is to be written",
                    hint="Name a file.",
                )
            if not stat.S_ISREG(status.st_mode):
                return open(self._target, "wb")
            mode = stat.S_IMODE(status.st_mode)
        folder = os.path.dirname(self._target)
        if not os.path.isdir(folder):
            raise UsageError(
                f"{self.path}: the folder {folder} does not exist",
                hint="Create it, or name a file elsewhere.",
            )
        temporary = os.path.join(folder, f".batchcls-{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        file = os.fdopen(os.open(temporary, flags, mode), "wb")
        self._temporary = temporary
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
                    os.fsync(self.file.fileno())
                self.file.close()
                if self._temporary is not None:
                    os.replace(self._temporary, self._target)
                    self._temporary = None
                    _sync_folder(os.path.dirname(self._target))
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise  # the reader of standard output has had enough
        except OSError as error:
            raise BatchclsError(
                f"{self.path}: can't be written: {error.strerror or error}",
                hint="What stood there before is untouched.",
            ) from error


def write_atomically(path: str, data: bytes) -> None:
    """Write a whole file in one step. Raises as AtomicFile does."""
    file = AtomicFile(path)
    try:
        file.write(data)
        file.commit()
    except BaseException:
        file.discard()
        raise


def _sync_folder(folder: str) -> None:
    """Make the new name survive a power cut, where the system knows how."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
