"""A file at a URL that appears whole or not at all.

Bytes go to a temporary file on this machine that has no name, so that a process that is killed
leaves nothing. What is in it is sent at the end, in one request where the storage has such.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO, NoReturn

from batchcls.atomic import FULL
from batchcls.errors import BatchclsError, UsageError
from batchcls.locations import read_only, without_secrets
from batchcls.remote.calling import Access, StorageError
from batchcls.remote.placing import place_of
from batchcls.text import shown


class RemoteFile:
    """An :class:`~batchcls.atomic.OutputFile` at a URL.

    With ``check`` it is asked at once, as far as that leaves nothing behind, whether it can be
    written: of S3, whether the bucket is there and takes objects. Raises UsageError where the URL
    can't be a file, or what opens it is not installed; BatchclsError where it can't be written.
    """

    def __init__(self, path: str, *, check: bool = True, retries: int | None = None) -> None:
        self.path = path
        what = shown(without_secrets(path))
        if read_only(path):
            raise UsageError(
                f"{what}: {read_only(path)}:// can only be read",
                hint="Name a file on this machine, or a URL such as s3://bucket/report.csv",
            )
        self._access = Access(path, retries=retries)
        self._place = place_of(self._access)
        name = self._access.path.rpartition("/")[2]
        if (
            name in {"", ".", ".."}
            or path.endswith("/")
            or "/" not in self._access.path
            or "\0" in path
        ):
            raise UsageError(f"{what}: not a file's name", hint="Name a file to be written.")
        self._sent = False
        if check:
            with self._explained():
                self._place.check()
        with self._explained():
            self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until the end

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        with self._explained():
            self.file.write(data)

    def commit(self) -> None:
        """Put the file in its place. After a failure nothing of it is left."""
        try:
            with self._explained():
                self.file.flush()
                self._sent = True
                self._place.put(self.file)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was written."""
        with contextlib.suppress(OSError):
            self.file.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._fail(error)
        except OSError as error:  # of the temporary file
            folder = shown(tempfile.gettempdir())
            full = f"Make room in {folder}, or set" if error.errno in FULL else "Set"
            raise BatchclsError(
                f"{self._access.what}: can't be gathered in {folder}: {error.strerror or error}",
                hint=f"What stood there before is untouched. {full} TMPDIR to another folder.",
            ) from error

    def _fail(self, error: StorageError) -> NoReturn:
        what = self._access.what
        if error.missing:
            raise UsageError(
                f"{what}: there is no {self._place.holder}",
                hint="Create it, check the spelling, or name a file elsewhere.",
            ) from error
        before = (
            "Either it is there whole, or what stood there before is untouched. "
            if error.unclear and self._sent
            else "What stood there before is untouched. "
        )
        advice = (
            "Check the credentials, and what they allow, or name" if error.forbidden else "Name"
        )
        raise BatchclsError(
            f"{what}: can't be written: {error}", hint=f"{before}{advice} a file elsewhere."
        ) from error
