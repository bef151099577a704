"""The local engine: chunks of images on threads, through joblib.

A chunk is the unit of work: its thread reads, decodes, featurizes and classifies it. Decoding and
the network release the interpreter lock, so while some threads decode, others run the network, and
every core is busy without a queue of pixels that could grow. What comes back is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class LocalEngine:
    """Threads on this machine; ``jobs`` of them, or for 0 as many as there are cores to use."""

    def __init__(self, jobs: int = 0) -> None:
        self.jobs = jobs

    def map(self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]) -> Iterator[Result]:
        """Yield ``work(chunk)`` for each chunk, in their order, working ahead.

        What ``work`` or ``chunks`` raise is raised here, after the results before it.
        """
        stream = iter(chunks)
        head = list(islice(stream, 2))
        if len(head) < 2 or self.jobs == 1:
            yield from map(work, chain(head, stream))  # no threads, and joblib is not imported
            return
        yield from self._threads(work, chain(head, stream))

    def _threads(
        self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]
    ) -> Iterator[Result]:
        from joblib import Parallel, cpu_count, delayed

        jobs = self.jobs or cpu_count()  # honours the affinity and the container's quota
        source = _Guarded(chunks)
        parallel = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator")
        yield from parallel(delayed(work)(chunk) for chunk in source)
        if source.error is not None:
            raise source.error


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
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            self.error = error
