"""Groups of chunks, a task of a cluster each: drawn in bounds, some of them more than once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Chunk = TypeVar("Chunk", bound=Sized)

# Chunks of which nothing is to be worked on, and that go along with the others, at most.
_CHUNKS = 1024
# How far, in groups for each thread of the cluster, the work may run ahead of whoever takes the
# results: enough that a slow one idles nobody, bounded, as what waits for it fills the memory.
_AHEAD = 4
_LEAST = 16


@dataclass(eq=False)
class Group(Generic[Chunk]):
    """Some chunks.

    ``losses``: how often it was lost; ``sent``: when, by the monotonic clock; ``careful``: whether
    it may have done harm, or hangs.
    """

    number: int
    chunks: list[Chunk]
    losses: int = 0
    attempt: int = 0
    careful: bool = False
    sent: float | None = None

    @property
    def images(self) -> int:
        """How many images are in it."""
        return sum(map(len, self.chunks))


@dataclass(eq=False)
class Groups(Generic[Chunk]):
    """Draws groups of at most about ``images`` images. The first ones are small, to begin soon.

    To be drawn from by several threads; all else is for the one that takes the results.
    """

    chunks: Iterable[Chunk]
    images: int
    taken: int = 0
    """How many have been taken, in order; the next one's number."""
    error: BaseException | None = None
    """What the chunks raised, after which there are no more."""
    _limit: int = _LEAST
    _threads: int = 1
    _drawn: int = 0
    _ended: bool = False
    _stopped: bool = False
    _drawing: bool = False
    _again: list[Group[Chunk]] = field(default_factory=list)
    _out: dict[int, Group[Chunk]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._source = iter(self.chunks)

    def limit(self, threads: int) -> None:
        """Allow as much to be out as keeps so many threads busy."""
        self._threads = threads
        self._limit = max(_LEAST, _AHEAD * threads)

    @property
    def threads(self) -> int:
        """How many are at work."""
        return self._threads

    @property
    def all_taken(self) -> bool:
        """Whether there is nothing left, drawn or not."""
        with self._lock:
            return self._ended and self.taken == self._drawn

    def take(self) -> None:
        """Tell that the next one's results were taken."""
        with self._lock:
            self._out.pop(self.taken, None)
            self.taken += 1

    def begin_late_anew(self, before: float) -> None:
        """Have the one drawn once more that holds up the others, if it was sent before a time."""
        with self._lock:
            group = self._out.get(self.taken)
            if group is not None and group.sent is not None and group.sent < before:
                group.careful = True
                self.again(group)

    def again(self, group: Group[Chunk]) -> None:
        """Have a group drawn once more."""
        with self._lock:
            group.attempt += 1
            group.sent = None
            self._again.append(group)

    def begin(self) -> Iterator[Group[Chunk]] | None:
        """Give groups that may be begun, if it is time for them; None if not.

        Those once more; or new ones, as long as there are any and no more threads than now.
        """
        with self._lock:
            if self._stopped:
                return None
            if self._again:
                again, self._again = self._again, []
                return iter(again)
            room = self._drawn - self.taken <= self._limit // 2
            if self._drawing or self._ended or not room:
                return None
            self._drawing = True
            return self._new(self._threads)

    def stop(self) -> None:
        """Let nothing more be drawn."""
        with self._lock:
            self._stopped = True

    def _new(self, threads: int) -> Iterator[Group[Chunk]]:
        while (group := self._next(threads)) is not None:
            yield group

    def _next(self, threads: int) -> Group[Chunk] | None:
        with self._lock:
            room = self._drawn - self.taken < self._limit
            if room and threads >= self._threads and not self._stopped and not self._ended:
                chunks = self._chunks()
                if chunks:
                    group = Group(self._drawn, chunks)
                    self._out[group.number] = group
                    self._drawn += 1
                    return group
            self._drawing = False
            return None

    def _chunks(self) -> list[Chunk]:
        # One chunk of 8 more for each round that all threads have had.
        most = min(self.images, 8 * (1 + self._drawn // (2 * self._threads)))
        found: list[Chunk] = []
        images = 0
        try:
            while images < most and len(found) < _CHUNKS:
                chunk = next(self._source)
                images += len(chunk)
                found.append(chunk)
        except StopIteration:
            self._ended = True
        except BaseException as error:  # noqa: BLE001 - raised where results are taken
            self._ended, self.error = True, error
        return found
