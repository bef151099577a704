"""The way of the data: the one place that joins the stages and knows their order.

scan → decode → frame → featurize → classify → report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchcls.classify import Scored, classify
from batchcls.errors import (
    BatchclsError,
    DecodeError,
    Fault,
    PluginFailedError,
    Terminated,
    fault_of,
)
from batchcls.featurize import featurize_each
from batchcls.framing import Framing, frame
from batchcls.records import ImageFile, Prediction, RunSummary, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.interfaces import Classifier, Featurizer, ReportWriter

# Images in a chunk, the unit of work: large enough that handing it out costs nothing, small
# enough that the cores finish together and the first rows come soon.
CHUNK = 8
# A plugin that fails for this many images, and has worked for none, will work for none.
HOPELESS = 200
_NO_REPORT = "No report was written; the former one is untouched."

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

    ``reasons`` has an entry for each file of the chunk, None for the readable ones; ``faults``
    tells, by index, of those for which not the file is to blame, but the featurizer.
    """

    features: list[NDArray[np.float32]]
    reasons: list[str | None]
    faults: Mapping[int, Fault] = field(default_factory=dict)


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
        readable: list[int] = []
        for index, file in enumerate(files):
            try:
                if file.problem is not None:
                    raise DecodeError(file.problem)
                framed = self._framed(file.path)
            except DecodeError as error:
                reasons.append(str(error))
                continue
            reasons.append(None)
            readable.append(index)
            for batch, square in zip(pixels, framed, strict=True):
                batch.append(square)
        results = [featurize_each(self.featurizer, batch) for batch in pixels]
        features = [matrix for matrix, _ in results]
        faults = {row: fault for _, failed in results for row, fault in failed.items()}
        if not faults:
            return Extracted(features, reasons)
        for row, fault in faults.items():
            reasons[readable[row]] = fault.reason
        kept = [row for row in range(len(readable)) if row not in faults]
        by_file = {readable[row]: fault for row, fault in faults.items()}
        return Extracted([matrix[kept] for matrix in features], reasons, by_file)

    def _framed(self, path: str) -> list[NDArray[np.uint8]]:
        size = self.featurizer.input_size
        picture = self.decoder.decode(path, size)
        try:
            return [frame(picture, framing, size) for framing in self.framings]
        except MemoryError:
            raise DecodeError("not enough memory to resize it") from None


@dataclass(frozen=True)
class ChunkClassifier:
    """Files → predictions, one for each file, in their order.

    With ``training_images``, the names of the images that the classifier was fitted to, in that
    order, a prediction says because of which of them it is what it is.
    """

    extractor: Extractor
    classifier: Classifier
    classes: Sequence[str]
    training_images: Sequence[str] | None = None

    def __call__(self, files: Sequence[ImageFile]) -> list[Prediction]:
        """Work on one chunk."""
        extracted = self.extractor(files)
        features = extracted.features[0]
        scored = iter(classify(self.classifier, self.classes, features))
        because = iter(self._because(features)) if self.training_images is not None else None
        predictions = []
        for index, (file, reason) in enumerate(zip(files, extracted.reasons, strict=True)):
            if reason is not None:
                predictions.append(_failed(file, reason, extracted.faults.get(index)))
                continue
            one = next(scored)
            why = next(because) if because is not None else None
            if isinstance(one, Fault):
                predictions.append(_failed(file, one.reason, one))
            else:
                predictions.append(_classified(file, one, why))
        return predictions

    def _because(self, features: NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
        names = self.training_images or ()
        if not len(features):
            return []
        who = f"the classifier {self.classifier.name}, asked to explain,"
        try:
            explained = list(self.classifier.explain(features))  # type: ignore[attr-defined]
            decided = [
                tuple((int(index), float(weight)) for index, weight in one) for one in explained
            ]
        except (BatchclsError, Terminated):
            raise
        except (Exception, SystemExit) as error:
            fault = fault_of(who, error)
            raise PluginFailedError(fault.reason, hint=_NO_REPORT, trace=fault.trace) from error
        if len(decided) != len(features):
            raise PluginFailedError(
                f"{who} gave {len(decided)} reasons for {len(features)} images", hint=_NO_REPORT
            )
        if any(not 0 <= index < len(names) for one in decided for index, _ in one):
            raise PluginFailedError(
                f"{who} named an image that is none of the model's {len(names)} training images",
                hint=_NO_REPORT,
            )
        return [tuple((names[index], weight) for index, weight in one) for one in decided]


def _classified(
    file: ImageFile, scored: Scored, because: tuple[tuple[str, float], ...] | None
) -> Prediction:
    return Prediction(
        file.key,
        Status.OK,
        label=scored.label,
        score=scored.score,
        scores=scored.scores,
        because=because,
    )


def _failed(file: ImageFile, reason: str, fault: Fault | None) -> Prediction:
    trace = fault.trace if fault is not None else None
    return Prediction(file.key, Status.ERROR, error=reason, fault=trace)


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
    summary: RunSummary,
    on_batch: Callable[[list[Prediction]], None] = lambda _: None,
) -> None:
    """Classify all ``files`` into ``report``, which appears whole at the end or not at all.

    ``summary`` is filled on the way. Raises PluginFailedError where a plugin fails for every image.
    """
    start = time.perf_counter()
    try:
        for predictions in engine.map(work, chunked(files)):
            report.write(predictions)
            for prediction in predictions:
                if prediction.label is not None:
                    summary.labels[prediction.label] += 1
                    continue
                summary.unreadable += 1
                if prediction.fault is not None:
                    summary.faults += 1
                    summary.first_fault = summary.first_fault or prediction
            on_batch(predictions)
            if summary.faults >= HOPELESS and not summary.labels:
                break
        first = summary.first_fault
        if first is not None and not summary.labels:
            message = f"not one image could be classified: {first.error}"
            raise PluginFailedError(message, hint=_NO_REPORT, trace=first.fault or "")
        summary.seconds = time.perf_counter() - start
        report.commit()
    except BaseException:
        summary.seconds = time.perf_counter() - start
        report.discard()
        raise
