"""The local engine: chunks of images on threads, through joblib.

A chunk is the unit of work: its thread reads, decodes, featurizes and classifies it. Decoding and
the network release the interpreter lock, so while some threads decode, others run the network, and
every core is busy without a queue of pixels that could grow. What comes back is small.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

# More threads than any machine has a use for; some systems refuse as many.
MAX_JOBS = 1024
# How far, in chunks for each thread, the work may run ahead of whoever takes the results. Enough
# that one slow chunk (a huge image) never idles the other cores; bounded, since a slow reader of
# the report must not make the results pile up in memory.
AHEAD = 64


class LocalEngine:
    """Threads on this machine; ``jobs`` of them, or for 0 as many as there are cores to use.

    Raises ValueError for a number that is negative or beyond MAX_JOBS.
    """

    def __init__(self, jobs: int = 0) -> None:
        if not 0 <= jobs <= MAX_JOBS:
            raise ValueError(f"jobs is {jobs}; it is 0, for one thread a core, to {MAX_JOBS}")
        self.jobs = jobs

    def map(self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]) -> Iterator[Result]:
        """Yield ``work(chunk)`` for each chunk, in their order, working ahead.

        What ``work`` or ``chunks`` raise is raised here, after the results before it. When the
        iteration is given up, no new chunk is begun, and those in work are waited for.
        """
        source = _Guarded(chunks)
        stream = iter(source)
        head = list(islice(stream, 2))
        if len(head) < 2 or self.jobs == 1:
            # No threads, and joblib is not imported. A StopIteration that `work` raises becomes a
            # RuntimeError here, where `yield from map(...)` would end, and lose what follows.
            for chunk in chain(head, stream):
                yield work(chunk)
        else:
            yield from self._threads(work, chain(head, stream))
        if source.error is not None:
            raise source.error

    def _threads(
        self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]
    ) -> Iterator[Result]:
        with warnings.catch_warnings():
            # Where there are no semaphores, processes can't be had; threads are all that is wanted.
            warnings.filterwarnings("ignore", ".*serial mode", UserWarning)
            from joblib import Parallel, cpu_count, delayed
        from threadpoolctl import threadpool_limits

        jobs = self.jobs or cpu_count()  # honours the affinity and the container's quota
        pace = _Pace(AHEAD * jobs)
        task = delayed(_Task(work, pace))
        parallel = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator")
        owner = threading.get_ident()
        # The chunks keep the cores busy; the threads of a matrix product would only fight them
        # (measured: a third of the speed with 1,000 classes).
        with threadpool_limits(limits=1, user_api="blas"):
            outcomes: Iterator[_Outcome[Result]] = parallel(
                task(number, chunk) for number, chunk in enumerate(pace.while_wanted(chunks))
            )
            try:
                for outcome in outcomes:
                    pace.taken()
                    yield outcome.result()
            finally:
                pace.stop()
                # Taking the rest, which comes to an end at once, is how joblib finishes without
                # a warning. At the end of the process, or where the garbage collector gives up
                # for us on a thread of its own choice, there is nobody left to wait for.
                if threading.get_ident() == owner and not sys.is_finalizing():
                    for _ in outcomes:
                        pass


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Result]):
    """What became of a chunk. joblib would raise an error ahead of the results before it."""

    value: Result | None = None
    error: BaseException | None = None

    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None only where Result allows it


@dataclass(frozen=True, slots=True)
class _Task(Generic[Chunk, Result]):
    work: Callable[[Chunk], Result]
    pace: _Pace

    def __call__(self, number: int, chunk: Chunk) -> _Outcome[Result]:
        if not self.pace.may_begin(number):
            return _Outcome()
        try:
            return _Outcome(self.work(chunk))
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            return _Outcome(error=error)


class _Pace:
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

    def stop(self) -> None:
        """Tell that no more results are wanted."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def while_wanted(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            if self._stopped:
                return
            yield chunk


class _Guarded(Iterable[Chunk]):
    """Ends where its source raises, and keeps the error.

    joblib draws from its input on its own threads, where an exception would be lost.
    """

    def __init__(self, source: Iterable[Chunk]) -> None:
        self._source = source
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._source
        except (GeneratorExit, KeyboardInterrupt):
            raise  # meant for the thread that they come to
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self.error = error
