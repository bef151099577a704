"""The bytes of an object as they come: in memory, or beyond some size in a file without a name."""

from __future__ import annotations

import hashlib
import io
import tempfile
from dataclasses import dataclass
from typing import IO

from batchcls.errors import DecodeError
from batchcls.reading import IN_MEMORY, Identity, too_many_bytes
from batchcls.remote.retrying import Policy
from batchcls.remote.troubles import CutError, TooSlowError

BLOCK = 2**20
# Of what comes more slowly, in bytes a second over as long as a server may be silent, nothing is
# waited for.
_SLOWEST = 1024


@dataclass(slots=True)
class Fetched:
    """What was read: ``file`` at its beginning, and ``size`` bytes of it.

    ``identity`` is that of what was read, None where it may have been changed meanwhile.
    """

    file: IO[bytes]
    size: int
    identity: Identity | None = None

    def digest(self) -> bytes:
        """Give the SHA-256 of the bytes."""
        if isinstance(self.file, io.BytesIO):
            return hashlib.sha256(self.file.getbuffer()).digest()
        digest = hashlib.sha256()
        while block := self.file.read(BLOCK):
            digest.update(block)
        self.file.seek(0)
        return digest.digest()

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


class Body:
    """Takes blocks, of ``max_bytes`` in all at most; ``size`` is what is promised, if it is known.

    Raises DecodeError for what is too large, or can't be kept.
    """

    def __init__(self, policy: Policy, max_bytes: int, size: int | None = None) -> None:
        if size is not None and size > max_bytes:
            raise too_many_bytes(size, max_bytes)
        self._policy, self._max_bytes, self._promised = policy, max_bytes, size
        self.size = 0
        self._file: IO[bytes] = io.BytesIO()
        if size is not None and size > IN_MEMORY:
            self._file = _without_name()
        self._window = (policy.clock(), 0)

    def write(self, block: bytes) -> None:
        """Add some bytes; TooSlowError where so few come that it might never end."""
        self.size += len(block)
        if self.size > self._max_bytes:
            raise too_many_bytes(self.size, self._max_bytes)
        try:
            if self.size > IN_MEMORY and isinstance(self._file, io.BytesIO):
                spooled = _without_name()
                spooled.write(self._file.getbuffer())
                self._file = spooled
            self._file.write(block)
        except MemoryError:
            raise DecodeError("not enough memory to read it", lasting=False) from None
        except OSError as error:
            raise _no_room(error) from error
        self._watch()

    def _watch(self) -> None:
        began, before = self._window
        now = self._policy.clock()
        if now - began < self._policy.timeout:
            return
        if self.size - before < _SLOWEST * (now - began):
            raise TooSlowError
        self._window = (now, self.size)

    def done(self, identity: Identity | None) -> Fetched:
        """Give what came. Raises CutError where it is not as many bytes as were promised."""
        if self._promised is not None and self.size != self._promised:
            raise CutError(f"{self.size:,} bytes of {self._promised:,}")
        try:
            self._file.seek(0)  # which writes what is still in a buffer
        except OSError as error:
            raise _no_room(error) from error
        return Fetched(self._file, self.size, identity)

    def close(self) -> None:
        """Let go of what came so far."""
        self._file.close()


def _without_name() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(prefix="batchcls-")
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> DecodeError:
    why = error.strerror or error
    return DecodeError(f"can't be kept in {tempfile.gettempdir()}: {why}", lasting=False)
