"""What has come of a download so far, kept for another try, and for another process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from typing import IO

import msgspec

from batchcls.atomic import sync, sync_folder
from batchcls.errors import BatchclsError
from batchcls.text import shown

_FULL = frozenset(
    {errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else [])}
)


class Note(msgspec.Struct, frozen=True):
    """Where the bytes came from, kept beside them."""

    sha256: str
    """What the whole file shall have."""
    origin: str
    """SHA-256 of the address: the address itself may hold a password."""
    validator: str
    """What to send as If-Range to that address: an ETag, a date, or nothing."""
    total: int | None
    """Bytes of the whole file, where the server said so."""


def partial_path(target: str) -> str:
    """Give the path of the hidden file in which ``target`` grows."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.partial")


def sha256_of(file: IO[bytes]) -> str:
    """Give the SHA-256, hex, of what is left to read of ``file``."""
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


class Partial:
    """The hidden file beside ``target``, and the note beside that; one process's at a time.

    ``private``: under a name of its own, for where another process may be at the same file.
    Bytes are in the file at once, so that a killed process leaves what it got. What is left of
    an earlier try is taken up if it was for the same ``sha256``. Raises BatchclsError where the
    folder can't be written to; a full disk also removes what has come.
    """

    def __init__(self, target: str, sha256: str, *, private: bool) -> None:
        self._target = target
        self._path = partial_path(f"{target}.{secrets.token_hex(8)}" if private else target)
        self._note_path = f"{self._path}.json"
        self._file: IO[bytes] | None = None
        self.size = 0
        self.pieced = False
        """Whether it came in several answers, whose bytes may not belong together."""
        self.note = Note(sha256, "", "", None)
        """Of what is there; without an origin where nothing is."""
        with self._explained():
            found = self._found()
            if found is not None and found.sha256 == sha256:
                self.note = found
            else:
                self.discard()

    def begin(self, origin: str, validator: str, total: int | None) -> None:
        """Start anew."""
        self.discard()
        self.note = Note(self.note.sha256, origin, validator, total)
        with self._explained(), open(self._note_path, "wb") as file:
            file.write(msgspec.json.encode(self.note))

    def append(self, block: bytes) -> None:
        """Add ``block``."""
        with self._explained():
            if self._file is None:
                self._file = open(self._path, "ab")  # noqa: SIM115 - closed by close()
            self._file.write(block)
            self._file.flush()
            self.size += len(block)

    def close(self) -> None:
        """Close the file; it can be taken up again."""
        if self._file is not None:
            file, self._file = self._file, None
            with self._explained():
                file.close()

    def sha256(self) -> str:
        """Read all of it back, for its SHA-256, hex."""
        self.close()
        with self._explained(), open(self._path, "ab+") as file:
            file.seek(0)
            return sha256_of(file)

    def place(self) -> None:
        """Make it ``target``, in one step that a power cut does not undo."""
        self.close()
        with self._explained():
            with open(self._path, "ab") as file:
                sync(file.fileno())
            os.replace(self._path, self._target)
            sync_folder(os.path.dirname(self._target) or ".")
        self.discard()

    def discard(self) -> None:
        """Remove all that there is."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                file.close()
        self.size = 0
        self.pieced = False
        self.note = Note(self.note.sha256, "", "", None)
        for path in (self._path, self._note_path):
            with self._explained(), contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _found(self) -> Note | None:
        """Give the note, if there is one, and set the size."""
        try:
            self.size = os.stat(self._path).st_size
            with open(self._note_path, "rb") as file:
                return msgspec.json.decode(file.read(), type=Note)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeError):  # cut off with the power
            return None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in _FULL
            if full:
                # A disk that is full harms whatever else runs on the machine.
                with contextlib.suppress(BatchclsError):
                    self.discard()
            raise BatchclsError(
                f"{shown(str(error.filename or self._target))}: can't be written: "
                f"{error.strerror or error}",
                hint="Nothing of it is left; make room, and try again."
                if full
                else f"Make the folder {shown(os.path.dirname(self._target) or '.')} and what is "
                "in it writable.",
            ) from error
