"""The local engine: chunks of images on threads, through joblib.

A chunk is the unit of work: its thread reads, decodes, featurizes and classifies it. Decoding and
the network release the interpreter lock, so while some threads decode, others run the network, and
every core is busy without a queue of pixels that could grow. What comes back is small.

Importing joblib takes 0.1 s; until then one plain thread works, and a few chunks are done by then.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, count, islice
from typing import TypeVar

from batchcls.blas import held_from_the_start, one_blas_thread
from batchcls.engines.ahead import FirstThread, Outcome, Pace, Task

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
        iteration is given up, no new chunk is begun, and those in work are waited for; ``chunks``
        that are read ahead are closed, so that no work waits for a storage then.
        """
        source = _Guarded(chunks)
        stream = iter(source)
        head = list(islice(stream, 2))
        if len(head) < 2 or self.jobs == 1 or (self.jobs == 0 and _has_one_core()):
            # No threads, and joblib is not imported. A StopIteration that `work` raises becomes a
            # RuntimeError here, where `yield from map(...)` would end, and lose what follows.
            for chunk in chain(head, stream):
                yield work(chunk)
        else:
            yield from self._threads(work, chain(head, stream), source.let_go)
        if source.error is not None:
            raise source.error

    def _threads(
        self,
        work: Callable[[Chunk], Result],
        chunks: Iterator[Chunk],
        let_go: Callable[[], object],
    ) -> Iterator[Result]:
        pace = Pace(AHEAD)
        first = FirstThread(Task(work, pace), chunks)
        others: Iterator[Outcome[Result] | None] = iter(())
        owner = threading.get_ident()
        with contextlib.ExitStack() as limits:
            if not held_from_the_start():
                limits.enter_context(one_blas_thread())
            first.start()
            try:
                _import_joblib(first.wake)
                # Until joblib is there, or was not needed.
                for outcome in first.outcomes():
                    pace.taken()
                    yield outcome.result()
                left = first.hand_over()
                if not first.at_end:
                    limits.enter_context(one_blas_thread())
                    others = self._others(first, chunks, pace)
                for outcome in first.outcomes(left):
                    pace.taken()
                    yield outcome.result()
                for other in others:
                    if other is not None:
                        pace.taken()
                        yield other.result()
            finally:
                first.stop()
                pace.stop()
                let_go()
                # Taking the rest, which comes to an end at once, is how joblib finishes without
                # a warning. At the end of the process, or where the garbage collector gives up
                # for us on a thread of its own choice, there is nobody left to wait for.
                if threading.get_ident() == owner and not sys.is_finalizing():
                    first.thread.join()
                    for _ in others:
                        pass

    def _others(
        self, first: FirstThread[Chunk, Result], chunks: Iterator[Chunk], pace: Pace
    ) -> Iterator[Outcome[Result] | None]:
        """Have joblib work on the chunks that ``first`` has left; for that one it gives None."""
        from joblib import Parallel, cpu_count, delayed

        jobs = self.jobs or cpu_count()  # honours the affinity and the container's quota
        pace.widen(AHEAD * (jobs - 1))
        parallel = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator")
        # One of its threads begins by waiting for the first thread: no more than `jobs` work.
        wait, task = delayed(first.thread.join)(), delayed(first.task)
        numbered = zip(count(first.begun), pace.while_wanted(chunks))
        outcomes: Iterator[Outcome[Result] | None] = parallel(
            chain([wait], (task(number, chunk) for number, chunk in numbered))
        )
        return outcomes


def _has_one_core() -> bool:
    """Tell whether this process may use but one; of a container's quota only joblib knows."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) == 1
    return os.cpu_count() == 1


def _import_joblib(at_end: Callable[[], object]) -> None:
    """Import joblib on a thread that nobody has to wait for; ``at_end`` tells of its end."""

    def load() -> None:
        # What goes wrong is raised where it is imported again.
        with contextlib.suppress(BaseException):
            import joblib  # noqa: F401
            import threadpoolctl  # noqa: F401
        at_end()

    if "joblib" not in sys.modules:
        # Where there are no semaphores, processes can't be had; threads are all that is wanted.
        # It stays: filters can't be put back as they were while other threads run.
        warnings.filterwarnings("ignore", ".*serial mode", UserWarning)
    threading.Thread(target=load, daemon=True).start()


class _Guarded(Iterable[Chunk]):
    """Ends where its source raises, and keeps the error.

    joblib draws from its input on its own threads, where an exception would be lost.
    """

    def __init__(self, source: Iterable[Chunk]) -> None:
        self._source = source
        self._owner = threading.get_ident()
        self.error: BaseException | None = None

    def let_go(self) -> None:
        """Close the source, but for a generator, which may be at work."""
        close = getattr(self._source, "close", None)
        if close is not None and not isinstance(self._source, Generator):
            close()

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._source
        except GeneratorExit:
            raise  # it is closed
        except BaseException as error:  # raised again by the consumer
            if isinstance(error, KeyboardInterrupt) and threading.get_ident() == self._owner:
                raise  # meant for the thread that it comes to
            self.error = error
