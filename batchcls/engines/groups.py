"""Groups of chunks, a task of a cluster each: drawn in bounds, some of them more than once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Chunk = TypeVar("Chunk", bound=Sized)

# A chunk may be empty, and stand for many images that are known already: so many chunks at most are
# in a group, and so many may be out whatever the size of the cluster.
_CHUNKS = 1024
_CHUNKS_OUT = 4096
# How far, in groups for each thread of the cluster, the work may run ahead of whoever takes the
# results: enough that a slow one idles nobody, bounded, as what waits for it fills the memory.
_AHEAD = 4
_LEAST = 16
_FAREWELL = 5.0  # seconds that the source has to come to its end


@dataclass(eq=False)
class Group(Generic[Chunk]):
    """Some chunks.

    ``losses``: how often it was lost, ``delays``: how often it was late; ``sent``: when, by the
    monotonic clock, ``fit``: to which workers alone; ``careful``: whether it may have done harm, or
    hangs; ``when_done``: what is called when it is done.
    """

    number: int
    chunks: list[Chunk]
    losses: int = 0
    delays: int = 0
    attempt: int = 0
    careful: bool = False
    sent: float | None = None
    fit: set[str] | None = None
    done: bool = False
    when_done: list[Callable[[], object]] = field(default_factory=list)

    def end(self) -> None:
        """Tell all who have it in work that it is done."""
        self.done = True
        called, self.when_done = self.when_done, []
        for call in called:
            call()

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
    _chunks_out: int = 0
    _ended: bool = False
    _stopped: bool = False
    _drawing: bool = False
    _again: list[Group[Chunk]] = field(default_factory=list)
    _out: dict[int, Group[Chunk]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    # The source may take its time, for which nobody else is to wait.
    _source_lock: threading.Lock = field(default_factory=threading.Lock)

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
            group = self._out.pop(self.taken, None)
            if group is not None:
                self._chunks_out -= len(group.chunks)
            self.taken += 1

    def begin_late_anew(self, now: float, seconds: float) -> None:
        """Have the one drawn once more that holds up the others, if it was sent so long ago.

        Each time it has twice as long: where it is the images that take their time, not a worker,
        the cluster is not to be filled with them.
        """
        with self._lock:
            group = self._out.get(self.taken)
            if group is None or group.sent is None:
                return
            if now - group.sent > seconds * 2**group.delays:
                group.delays += 1
                group.careful = True
                self.again(group)

    def out(self, which: Callable[[Group[Chunk]], bool]) -> list[Group[Chunk]]:
        """Give those that were sent, of which ``which`` is true."""
        with self._lock:
            sent = [group for group in self._out.values() if group.sent is not None]
        return [group for group in sent if not group.done and which(group)]

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
            groups, chunks = self._drawn - self.taken, self._chunks_out
            room = groups <= self._limit // 2 and chunks <= self._most_chunks // 2
            if self._drawing or self._ended or not room:
                return None
            self._drawing = True
            return self._new(self._threads)

    def stop(self) -> None:
        """Let nothing more be drawn, and wait a moment for what is being drawn."""
        with self._lock:
            self._stopped = True
        if self._source_lock.acquire(timeout=_FAREWELL):
            self._source_lock.release()

    def _new(self, threads: int) -> Iterator[Group[Chunk]]:
        while (group := self._next(threads)) is not None:
            yield group

    def _next(self, threads: int) -> Group[Chunk] | None:
        with self._source_lock:
            if self._has_room(threads):
                chunks, ended = self._chunks()
                with self._lock:
                    group = Group(self._drawn, chunks)
                    self._ended = ended
                    if chunks and not self._stopped:
                        self._out[group.number] = group
                        self._drawn += 1
                        self._chunks_out += len(chunks)
                        return group
            with self._lock:
                self._drawing = False
            return None

    def _has_room(self, threads: int) -> bool:
        with self._lock:
            if self._stopped or self._ended or threads < self._threads:
                return False
            return self._drawn - self.taken < self._limit and self._chunks_out < self._most_chunks

    @property
    def _most_chunks(self) -> int:
        return max(_CHUNKS_OUT, self._limit * (self.images // 8))

    def _chunks(self) -> tuple[list[Chunk], bool]:
        """Draw chunks; tell whether there are no more."""
        # One chunk of 8 more for each round that all threads have had.
        most = min(self.images, 8 * (1 + self._drawn // (2 * self._threads)))
        found: list[Chunk] = []
        images = 0
        try:
            while images < most and len(found) < _CHUNKS and not self._stopped:
                chunk = next(self._source)
                images += len(chunk)
                found.append(chunk)
        except StopIteration:
            return found, True
        except BaseException as error:  # noqa: BLE001 - raised where results are taken
            self.error = error
            return found, True
        return found, False
