"""Classify: features → label and score for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from batchcls.errors import BatchclsError, Fault, PluginError, fault_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier


class Scored(NamedTuple):
    """The label with the highest probability, that probability, and all, float64 ``[C]``."""

    label: str
    score: float
    scores: NDArray[np.float64]


def classify(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> list[Scored | Fault]:
    """Classify ``features``, float32 ``[N, D]``; of equal scores the first class wins.

    An image that the classifier raises for costs only itself. Raises PluginError where it gives
    another shape than ``[N, C]``, or values that are no probabilities.
    """
    if not len(features):
        return []
    try:
        return [*_scored(classifier, classes, features)]
    except BatchclsError:  # it does not keep its word: no image is to blame
        raise
    except Exception:  # noqa: BLE001 - a plugin's code; which image it is about shows below
        return [_one(classifier, classes, row) for row in features]


def _one(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> Scored | Fault:
    try:
        [scored] = _scored(classifier, classes, features[np.newaxis])
    except BatchclsError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        return fault_of(f"the classifier {classifier.name}", error)
    return scored


def _scored(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> list[Scored]:
    probabilities = classifier.predict_proba(features)
    expected = (len(features), len(classes))
    if probabilities.shape != expected:
        raise PluginError(
            f"the classifier {classifier.name} gave {list(probabilities.shape)} "
            f"where {list(expected)} was due"
        )
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise PluginError(f"the classifier {classifier.name} gave values that are no probabilities")
    best = probabilities.argmax(axis=1)
    return [
        Scored(classes[index], float(row[index]), row)
        for index, row in zip(best, probabilities, strict=True)
    ]
