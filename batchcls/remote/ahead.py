"""Reading ahead: while some images are worked on, the next ones are on their way.

A storage takes its time to answer, and a connection gives but a part of what the line can carry. So
many reads are under way at once, as far ahead as the memory for them allows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from batchcls.errors import DecodeError
from batchcls.reading import IN_MEMORY
from batchcls.records import ImageFile

if TYPE_CHECKING:
    from batchcls.remote.bodies import Fetched

MOST_BYTES = 256 * 2**20
# What an object is taken to have where no listing says it.
_UNKNOWN = 8 * 2**20
# How many objects are to be had ahead, for each connection; and how many chunks at most, as there
# may be nothing to read in them.
_FILES = 3
_CHUNKS = 64
GIVEN_UP = "reading it was given up"

Item = TypeVar("Item")


@dataclass(eq=False, slots=True)
class Read:
    """An object that is to be read. ``future`` is None where that was not begun."""

    file: ImageFile
    size: int
    future: Future[Fetched] | None = None


class Ahead:
    """Begins reads by ``fetch``, on so many ``connections``; each is to be taken by its path.

    ``wants`` tells which files will be read at all. Not more than ``max_bytes`` are held, and no
    object larger than ``largest``. Safe to share among threads.
    """

    def __init__(
        self,
        fetch: Callable[[ImageFile], Future[Fetched]],
        wants: Callable[[ImageFile], bool],
        connections: int,
        max_bytes: int = MOST_BYTES,
        largest: int = IN_MEMORY,
    ) -> None:
        self._fetch, self._wants = fetch, wants
        self._connections, self._max_bytes = connections, max_bytes
        self._largest = min(largest, max_bytes)
        self._reads: dict[str, Read] = {}
        self._waiting: deque[Read] = deque()
        self._given_up: set[str] = set()
        self._running = 0
        self._held = 0
        self._lock = threading.RLock()  # a read may be done while it is begun

    def add(self, chunk: Iterable[object]) -> None:
        """Have the files of a chunk read."""
        with self._lock:
            for file in chunk:
                if not isinstance(file, ImageFile) or not self._wants(file):
                    continue
                self._given_up.discard(file.path)
                known = file.identity is not None and file.identity.size
                size = known or min(_UNKNOWN, self._largest)
                read = self._reads[file.path] = Read(file, size)
                if size <= self._largest:
                    self._waiting.append(read)
            self._begin()

    @property
    def is_full(self) -> bool:
        """Whether enough is on its way."""
        return len(self._reads) >= _FILES * self._connections

    def take(self, path: str) -> Read | None:
        """Give the read of an object, which is then the caller's; None where it is not known.

        Raises DecodeError for one that was given up.
        """
        with self._lock:
            if path in self._given_up:
                raise DecodeError(GIVEN_UP, lasting=False)
            read = self._reads.pop(path, None)
            if read is not None and read.future is not None:
                self._held -= read.size
                self._begin()
            elif read is not None and read in self._waiting:
                self._waiting.remove(read)
            return read

    def close(self) -> None:
        """Give up what was to be read, and was not taken."""
        with self._lock:
            left = [read.future for read in self._reads.values() if read.future is not None]
            self._given_up.update(self._reads)
            self._reads.clear()
            self._waiting.clear()
            self._held = 0
        for future in left:
            if not future.cancel() and future.done() and future.exception() is None:
                future.result().close()

    def _begin(self) -> None:
        while self._waiting and self._running < self._connections:
            read = self._waiting[0]
            if self._held and self._held + read.size > self._max_bytes:
                return
            self._waiting.popleft()
            self._held += read.size
            self._running += 1
            read.future = self._fetch(read.file)
            read.future.add_done_callback(self._done)

    def _done(self, _: object) -> None:
        with self._lock:
            self._running -= 1
            self._begin()


class Stream(Iterator[list[Item]], Generic[Item]):
    """Chunks, what is in which ``ahead`` reads. To be drawn from by any threads.

    What the source raises comes after the chunks before it. ``close`` ends it, and calls
    ``give_up``.
    """

    def __init__(
        self, ahead: Ahead, chunks: Iterable[list[Item]], give_up: Callable[[], object]
    ) -> None:
        self._ahead, self._source, self._give_up = ahead, iter(chunks), give_up
        self._chunks: deque[list[Item]] = deque()
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._drawing = threading.Lock()
        self._changing = threading.Lock()

    def __next__(self) -> list[Item]:
        with self._drawing:
            while not self._ended and (
                not self._chunks or (len(self._chunks) < _CHUNKS and not self._ahead.is_full)
            ):
                self._draw()
            if self._closed:
                self._close_source()
            elif self._chunks:
                return self._chunks.popleft()
            elif self._error is not None:
                error, self._error = self._error, None
                raise error
            raise StopIteration

    def _draw(self) -> None:
        try:
            chunk = next(self._source)
        except StopIteration:
            self._ended = True
        except Exception as error:  # noqa: BLE001 - raised in its turn
            self._ended, self._error = True, error
        else:
            with self._changing:
                if not self._closed:
                    self._ahead.add(chunk)
                    self._chunks.append(chunk)

    def close(self) -> None:
        """End it, and give up what is under way: whoever waits for that gets an error.

        A thread that is drawing is not waited for.
        """
        with self._changing:
            self._ended = self._closed = True
        self._ahead.close()
        self._give_up()
        if self._drawing.acquire(blocking=False):
            try:
                self._close_source()
            finally:
                self._drawing.release()

    def _close_source(self) -> None:
        self._chunks.clear()
        close = getattr(self._source, "close", None)
        if close is not None:
            close()
