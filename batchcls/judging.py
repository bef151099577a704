"""Judging: which labels a person is to look at, and which are withheld.

A prediction is kept as the model gave it; the settings decide each night anew what it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from batchcls.records import Prediction, Status
from batchcls.text import shown


@dataclass(frozen=True, slots=True)
class Judge:
    """Gives ``review`` where the score is below ``review_below``.

    And, with ``unknown``, that status to images beyond the model's threshold.
    """

    review_below: float = 0.0
    unknown: bool = True

    def __call__(self, prediction: Prediction) -> Prediction:
        """Judge one prediction."""
        if prediction.status is not Status.OK:
            return prediction
        distance, score = prediction.distance, prediction.score or 0.0
        if self.unknown and distance is not None and distance > 1:
            nearest = shown(prediction.label or "")
            return replace(
                prediction,
                status=Status.UNKNOWN,
                label=None,
                score=None,
                error=f"unlike the training images: {distance:.2f} times as far from them as the "
                f"model allows; it would have been {nearest}, {score:.2f}",
            )
        if score < self.review_below:
            return replace(
                prediction,
                status=Status.REVIEW,
                error=f"the score is below {self.review_below:g} (report.review_below)",
            )
        return prediction
