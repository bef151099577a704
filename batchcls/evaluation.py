"""Evaluate: how good a model is on labelled images that it has not seen.

The metrics are those of ML.NET's MulticlassClassificationMetrics, by its documented definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.confidence import Confidence, confidence_of
from batchcls.crossvalidation import losses
from batchcls.errors import PluginFailedError, TagsError
from batchcls.pipeline import chunked
from batchcls.records import ImageFile, Prediction, TaggedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.classification import ChunkClassifier
    from batchcls.interfaces import Engine
    from batchcls.selection import Selection


@dataclass(frozen=True)
class Metrics:
    """What the predictions are worth.

    ``log_loss`` is the mean of -ln(probability of the true class), in nats, 0 being perfect;
    ``per_class_log_loss`` the same over the images of each class, None where there are none.
    ``log_loss_reduction`` is (prior - log_loss) / prior, the prior being the log-loss of always
    answering with the shares that the classes have among these images: 1 is perfect, 0 no better
    than that; None with one class only, where the prior is 0. ``micro_accuracy`` is the share of
    images that are right, ``macro_accuracy`` the mean of that share over the classes that occur.
    ``top_k_accuracy`` is the share whose true class is among the k highest scores, by k.
    ``confusion_matrix[i][j]`` counts the images of class i that were given class j.
    """

    classes: list[str]
    log_loss: float
    per_class_log_loss: dict[str, float | None]
    log_loss_reduction: float | None
    micro_accuracy: float
    macro_accuracy: float
    top_k_accuracy: dict[int, float]
    confusion_matrix: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Give the object of ``--json``."""
        return {
            "classes": self.classes,
            "log_loss": self.log_loss,
            "per_class_log_loss": self.per_class_log_loss,
            "log_loss_reduction": self.log_loss_reduction,
            "micro_accuracy": self.micro_accuracy,
            "macro_accuracy": self.macro_accuracy,
            "top_k_accuracy": {str(k): share for k, share in self.top_k_accuracy.items()},
            "confusion_matrix": self.confusion_matrix,
        }


@dataclass(frozen=True)
class Evaluation:
    """The metrics, and the prediction of each image beside its tag."""

    metrics: Metrics
    tags: Sequence[TaggedImage]
    predictions: Sequence[Prediction]

    @property
    def unknown(self) -> int | None:
        """Count the images whose label a run would withhold; None where the model can't tell.

        All are of classes that it knows, so these are false alarms.
        """
        distances = [one.distance for one in self.predictions if one.distance is not None]
        return sum(distance > 1 for distance in distances) if distances else None

    def confidence(self, *, unknown: bool = True) -> Confidence:
        """Say how far labels and scores can be relied on.

        With ``unknown``, images whose label a run would withhold are checked by a person anyway.
        """
        classes = self.metrics.classes
        index = {name: number for number, name in enumerate(classes)}
        best = [one.leading[0] for one in self.predictions]
        distances = [one.distance or 0.0 for one in self.predictions]
        return confidence_of(
            classes,
            targets=np.array([index[tag.label] for tag in self.tags], dtype=np.intp),
            labels=np.array([label for label, _ in best], dtype=np.intp),
            scores=np.array([score for _, score in best]),
            withheld=np.array(distances) > 1 if unknown else np.zeros(len(best), dtype=np.bool_),
        )

    @property
    def mistakes(self) -> list[tuple[TaggedImage, Prediction]]:
        """Give the images that got another label than their tag's."""
        pairs = zip(self.tags, self.predictions, strict=True)
        return [(tag, prediction) for tag, prediction in pairs if prediction.label != tag.label]


def unknown_classes(tags: Sequence[TaggedImage], classes: Sequence[str]) -> list[str]:
    """Name the tags with a class that is not among ``classes``."""
    known = set(classes)
    listed = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
    return [
        f"{tag.named}: the model does not know the class {tag.label!r} (it knows {listed})"
        for tag in tags
        if tag.label not in known
    ]


def evaluate(
    tags: Sequence[TaggedImage],
    classes: Sequence[str],
    work: ChunkClassifier,
    engine: Engine,
    *,
    top: int,
    on_progress: Callable[[int], None] = lambda _: None,
    selection: Selection | None = None,
) -> Evaluation:
    """Classify labelled images and compare. ``selection`` keeps those that are to be shown.

    Raises TagsError that lists every tag with a class that the model does not know, and every
    image that can't be read.
    """
    if problems := unknown_classes(tags, classes):
        raise TagsError(problems)
    files = [ImageFile(tag.path, tag.path) for tag in tags]
    predictions: list[Prediction] = []
    for outcomes in engine.map(work, chunked(files)):
        if selection is not None:
            selection.add(outcomes, len(predictions))
        chunk = [outcome.prediction for outcome in outcomes]
        for prediction in chunk:
            if prediction.fault is not None:  # no tag is to blame
                raise PluginFailedError(
                    f"{prediction.path}: {prediction.error}", trace=prediction.fault
                )
        predictions += chunk
        on_progress(len(chunk))
    problems = [
        f"{tag.named}: {prediction.error}"
        for tag, prediction in zip(tags, predictions, strict=True)
        if prediction.error is not None
    ]
    if problems:
        raise TagsError(problems, hint="Mend or replace these images, or take out their tags.")
    index = {name: number for number, name in enumerate(classes)}
    targets = np.array([index[tag.label] for tag in tags], dtype=np.intp)
    scores = np.stack(
        [prediction.scores for prediction in predictions if prediction.scores is not None]
    )
    return Evaluation(metrics_of(scores, targets, classes, top=top), tags, predictions)


def metrics_of(
    scores: NDArray[np.float64], targets: NDArray[np.intp], classes: Sequence[str], *, top: int
) -> Metrics:
    """Compute the metrics of ``scores``, float64 ``[N, C]``, and true classes, int ``[N]``."""
    count = len(classes)
    loss = losses(scores, targets)
    images = np.bincount(targets, minlength=count)
    occurring = images > 0
    shares = images[occurring] / len(targets)
    prior = float(-(shares * np.log(shares)).sum())
    confusion = np.zeros((count, count), dtype=np.intp)
    np.add.at(confusion, (targets, scores.argmax(axis=1)), 1)
    recall = confusion.diagonal()[occurring] / images[occurring]
    # The place of the true class, 0 being first; equal scores stand in the order of the classes.
    order = np.argsort(-scores, axis=1, kind="stable")
    place = (order == targets[:, np.newaxis]).argmax(axis=1)
    log_loss = float(loss.mean())
    return Metrics(
        classes=list(classes),
        log_loss=log_loss,
        per_class_log_loss={
            name: float(loss[targets == number].mean()) if images[number] else None
            for number, name in enumerate(classes)
        },
        log_loss_reduction=(prior - log_loss) / prior if prior > 0 else None,
        micro_accuracy=float(confusion.diagonal().sum() / len(targets)),
        macro_accuracy=float(recall.mean()),
        top_k_accuracy={k: float((place < k).mean()) for k in range(1, min(top, count) + 1)},
        confusion_matrix=confusion.tolist(),
    )
