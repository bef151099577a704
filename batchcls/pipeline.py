"""The way of the data: the one place that joins the stages and knows their order.

scan → decode → frame → featurize → classify → report
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchcls.classify import Scored, classify
from batchcls.errors import DecodeError
from batchcls.featurize import featurize
from batchcls.framing import Framing, frame
from batchcls.records import ImageFile, Prediction, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.interfaces import Classifier, Featurizer, ReportWriter

# Images in a chunk, the unit of work: large enough that handing it out costs nothing, small
# enough that the cores finish together and the first rows come soon.
CHUNK = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Where chunks are worked on; results come back in the order of the chunks."""

    def map(
        self, work: Callable[[list[ImageFile]], Result], chunks: Iterable[list[ImageFile]]
    ) -> Iterator[Result]:
        """Yield ``work(chunk)`` for each chunk."""
        ...


@dataclass(frozen=True, slots=True)
class Extracted:
    """The features of a chunk: float32 ``[M, D]`` for each framing, M the readable files.

    ``reasons`` has an entry for each file of the chunk, None for the readable ones.
    """

    features: list[NDArray[np.float32]]
    reasons: list[str | None]


@dataclass(frozen=True)
class Extractor:
    """Files → features, in each of ``framings``; each file is decoded once."""

    decoder: Decoder
    featurizer: Featurizer
    framings: Sequence[Framing]

    def __call__(self, files: Sequence[ImageFile]) -> Extracted:
        """Work on one chunk."""
        pixels: list[list[NDArray[np.uint8]]] = [[] for _ in self.framings]
        reasons: list[str | None] = []
        for file in files:
            try:
                if file.problem is not None:
                    raise DecodeError(file.problem)
                framed = self._framed(file.path)
            except DecodeError as error:
                reasons.append(str(error))
                continue
            reasons.append(None)
            for batch, square in zip(pixels, framed, strict=True):
                batch.append(square)
        return Extracted([featurize(self.featurizer, batch) for batch in pixels], reasons)

    def _framed(self, path: str) -> list[NDArray[np.uint8]]:
        size = self.featurizer.input_size
        picture = self.decoder.decode(path, size)
        try:
            return [frame(picture, framing, size) for framing in self.framings]
        except MemoryError:
            raise DecodeError("not enough memory to resize it") from None


@dataclass(frozen=True)
class ChunkClassifier:
    """Files → predictions, one for each file, in their order."""

    extractor: Extractor
    classifier: Classifier
    classes: Sequence[str]

    def __call__(self, files: Sequence[ImageFile]) -> list[Prediction]:
        """Work on one chunk."""
        extracted = self.extractor(files)
        scored = iter(classify(self.classifier, self.classes, extracted.features[0]))
        return [
            _readable(file, next(scored)) if reason is None else _unreadable(file, reason)
            for file, reason in zip(files, extracted.reasons, strict=True)
        ]


def _readable(file: ImageFile, scored: Scored) -> Prediction:
    return Prediction(
        file.key, Status.OK, label=scored.label, score=scored.score, scores=scored.scores
    )


def _unreadable(file: ImageFile, reason: str) -> Prediction:
    return Prediction(file.key, Status.ERROR, error=reason)


@dataclass
class Summary:
    """What a run did."""

    labels: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    seconds: float = 0.0

    @property
    def images(self) -> int:
        """Rows in the report."""
        return self.labels.total() + self.unreadable


def unreadable(
    files: Iterable[ImageFile], decoder: Decoder, engine: Engine
) -> Iterator[tuple[ImageFile, str]]:
    """Decode files for nothing but to learn which can't be, and why."""

    def check(chunk: list[ImageFile]) -> list[tuple[ImageFile, str]]:
        bad = []
        for file in chunk:
            try:
                decoder.decode(file.path)
            except DecodeError as error:
                bad.append((file, str(error)))
        return bad

    for bad in engine.map(check, chunked(files)):
        yield from bad


def chunked(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """Cut a stream into lists of ``size``, the last one shorter."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def run(
    files: Iterable[ImageFile],
    work: Callable[[list[ImageFile]], list[Prediction]],
    engine: Engine,
    report: ReportWriter,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Classify all ``files`` into ``report``, which appears whole at the end or not at all."""
    summary = Summary()
    start = time.perf_counter()
    try:
        for predictions in engine.map(work, chunked(files)):
            report.write(predictions)
            for prediction in predictions:
                if prediction.label is None:
                    summary.unreadable += 1
                else:
                    summary.labels[prediction.label] += 1
            on_progress(len(predictions))
        summary.seconds = time.perf_counter() - start
        report.commit()
    except BaseException:
        report.discard()
        raise
    return summary
