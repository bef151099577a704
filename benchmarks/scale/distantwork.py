"""Work for a cluster that is none: what comes back is there already, and as large as real results.

It is a module of its own, since workers import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from batchcls import fingerprint
from batchcls.distant import Done
from batchcls.records import ImageFile, Outcome
from batchcls.store.memory import Ways, store_path
from batchcls.store.rows import packed_features, packed_prediction
from batchcls.store.store import Finding
from benchmarks.scale.rows import Made, digest_of, identity_of, number_of

# So many are different objects: those of a task would travel as one if they were the same.
DIFFERENT = 1024


class NoWork:
    """A DistantWork, for files of ``Made``. With ``ways`` what the store is to keep comes, too."""

    def __init__(self, classes: int, ways: Ways | None) -> None:
        self._classes, self._ways = classes, ways
        self.folders: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[type[NoWork], tuple[int, Ways | None]]:
        return NoWork, (self._classes, self._ways)

    @cached_property
    def needs(self) -> Mapping[str, str]:
        """The versions that a worker must have."""
        return fingerprint.installed()

    def check(self) -> None:
        """Make what is sent, before the work begins; there is nothing to be found wrong."""
        self._made.scored, self._kept  # noqa: B018

    def __call__(self, chunk: Sequence[ImageFile]) -> Done:
        """Give the results of a chunk."""
        numbers = [number_of(file) for file in chunk]
        outcomes = [
            Outcome(self._made.prediction(number), digest_of(number), file=file.path)
            for number, file in zip(numbers, chunk, strict=True)
        ]
        if self._ways is None:
            return Done(outcomes, [], "a worker")
        findings = []
        for number, file in zip(numbers, chunk, strict=True):
            features, prediction = self._kept[number % DIFFERENT]
            findings.append(
                Finding(
                    store_path(file.path),
                    digest_of(number),
                    identity_of(number),
                    {self._ways.featurizing[0]: features},
                    prediction,
                )
            )
        return Done(outcomes, findings, "a worker")

    def many(self, chunks: Iterable[Sequence[ImageFile]]) -> Iterator[Done]:
        """Give the results of several."""
        return map(self, chunks)

    def carefully(self, chunk: Sequence[ImageFile]) -> Done:
        """Give the results of one whose worker has died."""
        return self(chunk)

    @cached_property
    def _made(self) -> Made:
        return Made(self._classes, DIFFERENT)

    @cached_property
    def _kept(self) -> list[tuple[bytes, bytes]]:
        if self._ways is None:
            return []
        made = self._made
        return [
            (packed_features(features), packed_prediction(leading, scores, None))
            for features, (scores, leading) in zip(made.features, made.scored, strict=True)
        ]
