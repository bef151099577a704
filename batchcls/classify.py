"""Classify: features → label and score for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from batchcls.errors import Fault, PluginFailedError, Terminated, fault_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier


# What sums of float32 may be off by, whatever the number of classes.
_CLOSE = 1e-3


class Scored(NamedTuple):
    """The label with the highest probability, that probability, and all, float64 ``[C]``."""

    label: str
    score: float
    scores: NDArray[np.float64]


def classify(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> list[Scored | Fault]:
    """Classify ``features``, float32 ``[N, D]``; of equal scores the first class wins.

    An image that the classifier raises for costs only itself. Raises PluginFailedError where it
    gives another shape than ``[N, C]``, or values that are no probabilities.
    """
    if not len(features):
        return []
    try:
        return [*_scored(classifier, classes, features)]
    except (PluginFailedError, Terminated):  # it does not keep its word: no image is to blame
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's code; which image it is about shows below
        return [_one(classifier, classes, row) for row in features]


def _one(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> Scored | Fault:
    try:
        [scored] = _scored(classifier, classes, features[np.newaxis])
    except (PluginFailedError, Terminated):
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
        return fault_of(f"the classifier {classifier.name}", error)
    return scored


def _scored(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> list[Scored]:
    probabilities = checked_probabilities(classifier, features, len(classes))
    best = probabilities.argmax(axis=1)
    return [
        Scored(classes[index], float(row[index]), row)
        for index, row in zip(best, probabilities, strict=True)
    ]


def checked_probabilities(
    classifier: Classifier, features: NDArray[np.float32], class_count: int
) -> NDArray[np.float64]:
    """Ask a classifier for probabilities, float64 ``[N, C]``, each row summing to 1.

    Raises PluginFailedError where it gives anything else.
    """
    probabilities = classifier.predict_proba(features)
    who = f"the classifier {classifier.name} gave"
    if not isinstance(probabilities, np.ndarray):
        raise PluginFailedError(f"{who} {type(probabilities).__name__}, not an array")
    expected = (len(features), class_count)
    if probabilities.shape != expected:
        raise PluginFailedError(f"{who} {list(probabilities.shape)} where {list(expected)} was due")
    sums = probabilities.sum(axis=1)
    if not ((probabilities >= 0).all() and (np.abs(sums - 1) < _CLOSE).all()):
        raise PluginFailedError(f"{who} values that are no probabilities: their sum is not 1")
    return probabilities
