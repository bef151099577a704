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
        self.changed = threading.Condition()  # whose lock is all that guards what is here

    def add(self, chunk: Iterable[object]) -> None:
        """Have the files of a chunk read."""
        with self.changed:
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
        with self.changed:
            if path in self._given_up:
                raise DecodeError(GIVEN_UP, lasting=False)
            read = self._reads.pop(path, None)
            if read is not None and read.future is not None:
                self._held -= read.size
                self._begin()
            elif read is not None and read in self._waiting:
                self._waiting.remove(read)
            self.changed.notify_all()
            return read

    def close(self) -> None:
        """Give up what was to be read, and was not taken."""
        with self.changed:
            left = [read.future for read in self._reads.values() if read.future is not None]
            self._given_up.update(self._reads)
            self._reads.clear()
            self._waiting.clear()
            self._held = 0
            self.changed.notify_all()
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
        with self.changed:
            self._running -= 1
            self._begin()


class Stream(Iterator[list[Item]], Generic[Item]):
    """Chunks, what is in which ``ahead`` reads. To be drawn from by any threads.

    They are drawn from their source on a thread of its own: a listing may take its time, too. What
    the source raises comes after the chunks before it. ``close`` ends it, and calls ``give_up``.
    """

    def __init__(
        self, ahead: Ahead, chunks: Iterable[list[Item]], give_up: Callable[[], object]
    ) -> None:
        self._feed = _Feed(ahead, iter(chunks))
        self._ahead, self._give_up = ahead, give_up
        self._started = False

    def __next__(self) -> list[Item]:
        feed, changed = self._feed, self._ahead.changed
        with changed:
            if not self._started:
                self._started = True
                threading.Thread(target=feed.run, daemon=True, name="batchcls-ahead").start()
            changed.wait_for(lambda: feed.chunks or feed.ended)
            if feed.chunks:
                chunk = feed.chunks.popleft()
                changed.notify_all()
                return chunk
            error, feed.error = feed.error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End it, and give up what is under way: whoever waits for that gets an error.

        What draws from the source is not waited for.
        """
        self._feed.end()
        self._ahead.close()
        self._give_up()

    def __del__(self) -> None:
        self._feed.end()


class _Feed(Generic[Item]):
    """Draws chunks as long as there is room. It knows nothing of the stream, which may be gone."""

    def __init__(self, ahead: Ahead, source: Iterator[list[Item]]) -> None:
        self._ahead, self._source = ahead, source
        self.chunks: deque[list[Item]] = deque()
        self.ended = False
        self.error: BaseException | None = None

    def run(self) -> None:
        """Draw them all."""
        changed = self._ahead.changed
        error: BaseException | None = None
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: self.ended or self._has_room)
                if self.ended:
                    break
                chunk = next(self._source)
                with changed:
                    if not self.ended:
                        self._ahead.add(chunk)
                        self.chunks.append(chunk)
                        changed.notify_all()
        except StopIteration:
            pass
        except BaseException as raised:  # noqa: BLE001 - raised in its turn
            error = raised
        finally:
            with changed:
                self.error = None if self.ended else error
                self.ended = True
                changed.notify_all()
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def end(self) -> None:
        """Draw no more, and forget what was drawn."""
        with self._ahead.changed:
            if not self.ended:
                self.ended = True
                self._ahead.changed.notify_all()
            self.chunks.clear()

    @property
    def _has_room(self) -> bool:
        return not self.chunks or (len(self.chunks) < _CHUNKS and not self._ahead.is_full)
