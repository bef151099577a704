"""From files to labels: the work on a chunk of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from batchcls.classify import Scored, classify
from batchcls.errors import BatchclsError, Fault, PluginFailedError, Terminated, fault_of
from batchcls.extraction import Extractor
from batchcls.records import LEADING, ImageFile, Outcome, Prediction, Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.extraction import Extracted
    from batchcls.interfaces import Classifier
    from batchcls.novelty import Novelty

_NO_REPORT = "No report was written; the former one is untouched."


class Recorder(Protocol):
    """What keeps what was found out."""

    def record(
        self, files: Sequence[ImageFile], extracted: Extracted, predictions: Sequence[Prediction]
    ) -> None:
        """Keep what came of a chunk."""
        ...


class Picks(Protocol):
    """What says which images are to have a thumbnail; asked on the threads that work."""

    def wants(self, prediction: Prediction) -> bool:
        """Tell whether a picture of this one is wanted."""
        ...


class NoRecorder:
    """Keeps nothing."""

    def record(
        self, files: Sequence[ImageFile], extracted: Extracted, predictions: Sequence[Prediction]
    ) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class ChunkClassifier:
    """Files → outcomes, one for each file, in their order.

    With ``training_images``, the names of the images that the classifier was fitted to, in that
    order, a prediction says because of which of them it is what it is. ``picks`` says which images
    are to have a thumbnail, for which the extractor has to ``shrink``.
    """

    extractor: Extractor
    classifier: Classifier
    classes: Sequence[str]
    training_images: Sequence[str] | None = None
    novelty: Novelty | None = None
    recorder: Recorder = field(default_factory=NoRecorder)
    picks: Picks | None = None

    def __call__(self, files: Sequence[ImageFile]) -> list[Outcome]:
        """Work on one chunk."""
        if not files:
            return []
        extracted = self.extractor(files)
        predictions = self._predictions(files, extracted)
        if self.picks is not None:
            self._make_thumbnails(predictions, extracted, self.picks)
        self.recorder.record(files, extracted, predictions)
        return [
            Outcome(
                prediction,
                source.digest,
                source.recalled,
                source.lasting,
                file.path,
                source.thumbnail,
            )
            for file, prediction, source in zip(files, predictions, extracted.sources, strict=True)
        ]

    def _make_thumbnails(
        self, predictions: Sequence[Prediction], extracted: Extracted, picks: Picks
    ) -> None:
        from batchcls.thumbnails import thumbnail

        for prediction, source in zip(predictions, extracted.sources, strict=True):
            pixels, source.pixels = source.pixels, None
            if pixels is None or source.reason is not None or not picks.wants(prediction):
                continue
            with contextlib.suppress(MemoryError, OSError):  # then it is shown without
                source.thumbnail = thumbnail(pixels)

    def _predictions(self, files: Sequence[ImageFile], extracted: Extracted) -> list[Prediction]:
        features = extracted.features[0]
        scored = iter(classify(self.classifier, self.classes, features))
        because = iter(self._because(features)) if self.training_images is not None else None
        distances = iter(self._distances(features))
        predictions = []
        for file, source in zip(files, extracted.sources, strict=True):
            if source.reason is not None:
                predictions.append(_failed(file, source.reason, source.fault))
                continue
            one = next(scored)
            why = next(because) if because is not None else None
            distance = next(distances)
            if isinstance(one, Fault):
                predictions.append(_failed(file, one.reason, one))
            else:
                predictions.append(_classified(file, one, why, distance))
        return predictions

    def _distances(self, features: NDArray[np.float32]) -> list[float | None]:
        if self.novelty is None or not len(features):
            return [None] * len(features)
        return [float(distance) for distance in self.novelty.distance(features)]

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
    file: ImageFile,
    scored: Scored,
    because: tuple[tuple[str, float], ...] | None,
    distance: float | None,
) -> Prediction:
    return Prediction(
        file.key,
        Status.OK,
        label=scored.label,
        score=scored.score,
        scores=scored.scores,
        because=because,
        leading=_leading(scored.scores),
        distance=distance,
    )


def _leading(scores: NDArray[np.float64]) -> tuple[tuple[int, float], ...]:
    """Give index and score of the first LEADING classes, best first, ties in their order.

    Sorting only those: of 1,000 classes it takes 10 µs in place of 55.
    """
    chosen = np.arange(len(scores))
    if len(scores) > LEADING:
        least = np.partition(scores, -LEADING)[-LEADING]
        chosen = np.flatnonzero(scores >= least)
    order = chosen[np.argsort(-scores[chosen], kind="stable")[:LEADING]]
    return tuple(zip(order.tolist(), scores[order].tolist(), strict=True))


def _failed(file: ImageFile, reason: str, fault: Fault | None) -> Prediction:
    trace = fault.trace if fault is not None else None
    return Prediction(file.key, Status.ERROR, error=reason, fault=trace)
