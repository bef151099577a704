"""Classify: features → label and score for each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchcls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier


class Scored(NamedTuple):
    """The label with the highest probability, that probability, and all, float64 ``[C]``."""

    label: str
    score: float
    scores: NDArray[np.float64]


def classify(
    classifier: Classifier, classes: Sequence[str], features: NDArray[np.float32]
) -> list[Scored]:
    """Classify ``features``, float32 ``[N, D]``; of equal scores the first class wins.

    Raises PluginError where the classifier gives another shape than ``[N, C]``.
    """
    if not len(features):
        return []
    probabilities = classifier.predict_proba(features)
    expected = (len(features), len(classes))
    if probabilities.shape != expected:
        raise PluginError(
            f"the classifier {classifier.name} gave {list(probabilities.shape)} "
            f"where {list(expected)} was due"
        )
    best = probabilities.argmax(axis=1)
    return [
        Scored(classes[index], float(row[index]), row)
        for index, row in zip(best, probabilities, strict=True)
    ]
