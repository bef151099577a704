"""The board: memory that guardian and worker share, and that outlives both where it is a file.

It holds a slot for each thread of the worker. The sequence number of a slot tells, by its last two
bits, whether it is idle (0), being written (1, 3) or holds a record (2), and changes with all that
is written there, so that what two looks at it have in common was there in between.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import secrets
import stat
import struct
import sys
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from batchcls import locking
from batchcls.locations import is_url

# One for each of the engine's threads at most, and some for others.
SLOTS = 1088
LONGEST_PATH = 4096
DIGEST = 32

IDLE, WRITING, HELD, STEP = 0, 1, 2, 4  # in the last two bits of a sequence number, and beyond
STATES = 3

_MAGIC = f"batchcls flight 1 {sys.byteorder}".encode().ljust(32, b"\0")
# Numbers behind the magic, by their index.
_PROGRESS, _LANDED, _STATUS, _USED = range(4, 8)
_FIRST = 16
_RECORDS = (_FIRST + SLOTS) * 8
_HEAD = struct.Struct("=BBH")  # stage, and the lengths of digest and path, which follow
_RECORD = _HEAD.size + DIGEST + LONGEST_PATH
_SIZE = _RECORDS + SLOTS * _RECORD
_NAME = re.compile(r"flight-[0-9a-f]{16}\.journal")


class Stage(IntEnum):
    """What a thread does to a file, or a folder."""

    LISTING = 1
    """Lists a folder."""
    READING = 2
    """Looks a file up, opens or reads it."""
    DECODING = 3
    """Makes pixels of it, in this process."""
    DRAWING = 4
    """Reads or decodes it for nothing but a picture on a page."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a thread was at. ``path`` is as :func:`named` has it, ``content`` a digest or empty."""

    stage: Stage
    path: str
    content: bytes = b""


def named(path: str) -> bytes:
    """Give the name under which a file is known here: its absolute path, links not followed.

    A URL is its own name. One longer than any system takes is cut, and marked by its digest.
    """
    simple = path.startswith("/") and not ("/." in path or "//" in path or path.endswith("/"))
    if not simple and not is_url(path):
        with contextlib.suppress(OSError):  # a current folder that was removed
            path = os.path.abspath(path)
    name = os.fsencode(path)
    if len(name) > LONGEST_PATH:
        digest = sha256(name).hexdigest().encode()
        name = name[: LONGEST_PATH - len(digest)] + digest
    return name


def record_of(stage: Stage, name: bytes, content: bytes) -> bytes:
    """Give what stands in a slot."""
    return _HEAD.pack(stage, len(content), len(name)) + content + name


def with_stage(record: bytes, stage: Stage, content: bytes | None) -> bytes:
    """Give a record of the same file at another stage."""
    _, digest, _ = _HEAD.unpack_from(record)
    name = _HEAD.size + digest
    return record_of(
        stage, record[name:], record[_HEAD.size : name] if content is None else content
    )


def _parsed(record: bytes) -> InFlight | None:
    try:
        stage, digest, length = _HEAD.unpack_from(record)
        name = _HEAD.size + digest
        if digest > DIGEST or not 0 < length <= LONGEST_PATH or len(record) < name + length:
            return None
        path = os.fsdecode(record[name : name + length])
        return InFlight(Stage(stage), path, record[_HEAD.size : name])
    except (ValueError, struct.error):
        return None


class Board:
    """The shared memory; a file in ``folder``, made if need be, or without a name if that fails.

    The file is locked as long as the process that made the board lives, and no longer: the lock is
    not inherited. It goes with :meth:`close`.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._owner = os.getpid()
        self._journal: tuple[str, int] | None = None
        self.memory = self._in(folder) or mmap.mmap(-1, _SIZE)
        self.numbers = memoryview(self.memory)[:_RECORDS].cast("Q")

    def _in(self, folder: str | None) -> mmap.mmap | None:
        if folder is None:
            return None
        path = os.path.join(folder, f"flight-{secrets.token_hex(8)}.journal")
        try:
            os.makedirs(folder, exist_ok=True)
            lock = locking.acquire(path)
        except (OSError, ValueError, locking.TakenError, locking.NoLocksError):
            return None
        try:
            # Opened once more, so that who inherits the memory does not inherit the lock.
            file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
            try:
                _fill(file)
                memory = mmap.mmap(file, _SIZE)
            finally:
                os.close(file)
        except (OSError, ValueError):
            locking.release(path, lock)
            return None
        self._journal = (path, lock)
        return memory

    def inherit(self) -> None:
        """Tell, in a process that was forked, that the lock is another's."""
        if self._journal is not None:
            os.close(self._journal[1])
            self._journal = None

    def close(self) -> None:
        """Remove the file, unless this process has inherited the board."""
        if self._journal is not None and self._owner == os.getpid():
            path, lock = self._journal
            self._journal = None
            locking.release(path, lock)

    def clear(self) -> None:
        """Make ready for another worker; what was got done still counts."""
        for index in (_LANDED, _STATUS, *range(_FIRST, _FIRST + self.numbers[_USED])):
            self.numbers[index] = 0

    def use(self, count: int) -> None:
        """Tell how many slots are in use, at most."""
        self.numbers[_USED] = max(self.numbers[_USED], count)

    def sequences(self) -> list[int]:
        """Give the sequence numbers of the slots in use."""
        return self.numbers[_FIRST : _FIRST + self.numbers[_USED]].tolist()

    def place(self, slot: int) -> tuple[int, int]:
        """Give where a slot's sequence number stands in ``numbers``, its record in ``memory``."""
        return _FIRST + slot, _RECORDS + slot * _RECORD

    def read(self, slot: int) -> tuple[int, InFlight] | None:
        """Give a slot's sequence number and record; None if it's idle or just being written."""
        number, start = self.place(slot)
        before = self.numbers[number]
        if before & STATES != HELD:
            return None
        record = self.memory[start : start + _RECORD]
        found = _parsed(record) if self.numbers[number] == before else None
        return (before, found) if found is not None else None

    def in_flight(self) -> list[InFlight]:
        """Give all that is in work."""
        found = map(self.read, range(self.numbers[_USED]))
        return [each[1] for each in found if each is not None]

    @property
    def progress(self) -> int:
        """What was got done by all workers, in a unit of theirs."""
        return self.numbers[_PROGRESS]

    @progress.setter
    def progress(self, count: int) -> None:
        self.numbers[_PROGRESS] = count

    @property
    def landed(self) -> int | None:
        """The status that the work ended with; None as long as it hasn't."""
        return self.numbers[_STATUS] if self.numbers[_LANDED] else None

    @landed.setter
    def landed(self, status: int) -> None:
        self.numbers[_STATUS] = status & 0xFF
        self.numbers[_LANDED] = 1


def _fill(file: int) -> None:
    # The blocks must be there: writing to memory that has none on a full disk is a crash.
    try:
        os.posix_fallocate(file, 0, _SIZE)
    except (AttributeError, OSError):
        os.write(file, bytes(_SIZE))
        os.lseek(file, 0, os.SEEK_SET)
    os.write(file, _MAGIC)
    if os.fstat(file).st_size < _SIZE:
        raise OSError("the file could not be made as long as it has to be")


def left_over(folder: str | None) -> list[InFlight]:
    """Give what was in work when other runs died, and remove their journals from ``folder``.

    Those of living runs, and files that have nothing to do with this, are left alone.
    """
    found: list[InFlight] = []
    try:
        names = sorted(os.listdir(folder)) if folder is not None else []
    except OSError:
        return found
    for name in names:
        path = os.path.join(folder or "", name)
        if not _NAME.fullmatch(name) or not _is_file(path):
            continue
        try:
            lock = locking.acquire(path)
        except (OSError, locking.TakenError, locking.NoLocksError):
            continue
        try:
            with open(path, "rb") as file:
                found += _entries(file.read(_SIZE))
        except OSError:
            pass
        finally:
            locking.release(path, lock)
    return found


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _entries(journal: bytes) -> list[InFlight]:
    if len(journal) != _SIZE or not journal.startswith(_MAGIC):
        return []
    numbers = struct.unpack_from(f"={SLOTS}Q", journal, _FIRST * 8)
    found = []
    for slot, number in enumerate(numbers):
        if number & STATES == HELD:
            start = _RECORDS + slot * _RECORD
            entry = _parsed(journal[start : start + _RECORD])
            if entry is not None:
                found.append(entry)
    return found
