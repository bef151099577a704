"""Working ahead of whoever takes the results, in bounds; and the thread that begins with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of a chunk. joblib would raise an error ahead of the results before it."""

    value: Result | None = None
    error: BaseException | None = None

    def result(self) -> Result:
        """Give the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None only where Result allows it


@dataclass(frozen=True, slots=True)
class Task(Generic[Chunk, Result]):
    """The work on a chunk, once it may begin."""

    work: Callable[[Chunk], Result]
    pace: Pace

    def __call__(self, number: int, chunk: Chunk) -> Outcome[Result]:
        """Work on chunk ``number``."""
        if not self.pace.may_begin(number):
            return Outcome()
        try:
            return Outcome(self.work(chunk))
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            return Outcome(error=error)


class FirstThread(Generic[Chunk, Result]):
    """Works on the first chunks, until it is to leave the rest to others."""

    def __init__(self, task: Task[Chunk, Result], chunks: Iterator[Chunk]) -> None:
        self.task = task
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.begun = 0
        self.at_end = False
        """Whether there are no more chunks."""
        self._chunks = chunks
        self._drawing = threading.Lock()
        self._stopped = False
        self._taken = 0
        self._found: SimpleQueue[Outcome[Result] | None] = SimpleQueue()

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def outcomes(self, count: int | None = None) -> Iterator[Outcome[Result]]:
        """Yield what became of ``count`` chunks; without it, as far as to the next ``wake``."""
        while count is None or count > 0:
            outcome = self._found.get()
            if outcome is not None:
                self._taken += 1
                count = None if count is None else count - 1
                yield outcome
            elif count is None:
                return

    def wake(self) -> None:
        """Let whoever takes the outcomes look round; it is done, too, when the thread ends."""
        self._found.put(None)

    def stop(self) -> None:
        """Let it begin no more chunks."""
        self._stopped = True

    def hand_over(self) -> int:
        """Stop it, and give how many outcomes are to come; others may draw from the chunks."""
        self.stop()
        with self._drawing:
            return self.begun - self._taken

    def _run(self) -> None:
        try:
            for number, chunk in self._drawn():
                self._found.put(self.task(number, chunk))
        finally:
            self.wake()

    def _drawn(self) -> Iterator[tuple[int, Chunk]]:
        while True:
            with self._drawing:
                if self._stopped:
                    return
                try:
                    chunk = next(self._chunks)
                except StopIteration:
                    self.at_end = True
                    return
                self.begun += 1
            yield self.begun - 1, chunk


class Pace:
    """Holds back work that would run more than ``ahead`` chunks ahead of the consumer.

    joblib itself begins a new chunk whenever one is finished, taken or not. The chunk that the
    consumer waits for is never held back, and it was begun before all later ones.
    """

    def __init__(self, ahead: int) -> None:
        self._limit = ahead
        self._stopped = False
        self._changed = threading.Condition()

    def may_begin(self, number: int) -> bool:
        """Wait until chunk ``number`` may begin; False where no result is wanted any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or number < self._limit)
            return not self._stopped

    def taken(self) -> None:
        """Tell that one more result was taken."""
        with self._changed:
            self._limit += 1
            self._changed.notify_all()

    def widen(self, more: int) -> None:
        """Let the work run further ahead."""
        with self._changed:
            self._limit += more
            self._changed.notify_all()

    def stop(self) -> None:
        """Tell that no more results are wanted."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def while_wanted(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield the chunks, none once no more results are wanted."""
        for chunk in chunks:
            if self._stopped:
                return
            yield chunk
