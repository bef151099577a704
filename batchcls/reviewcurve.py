"""The review curve: what a threshold on the score leaves to a person, and what that catches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of the errors, the suggested threshold has to catch at least this share.
ENOUGH = 0.9
# What people try first.
USUAL = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# With so many digits a threshold is still one that a person would write.
_MOST_DIGITS = 6


class ReviewPoint(NamedTuple):
    """What ``review_below`` = ``threshold`` means.

    ``checked`` images are left to a person: those with a score below it, and those that are
    withheld as unknown anyway; ``caught`` of the errors are among them. ``accuracy`` is the share
    of the others that is right, None where there are none.
    """

    threshold: float
    checked: int
    caught: int
    accuracy: float | None


@dataclass(frozen=True, eq=False)
class Judged:
    """N images with a label.

    ``scores``, float64 ``[N]``, are those of the labels, 0 to 1; ``right``, bool ``[N]``, tells
    whether it is the true class, ``withheld``, bool ``[N]``, whether the image is unknown.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    withheld: NDArray[np.bool_]

    def at(self, threshold: float) -> ReviewPoint:
        """Say what one threshold means."""
        checked = (self.scores < threshold) | self.withheld
        rest = self.right[~checked]
        return ReviewPoint(
            threshold,
            checked=int(checked.sum()),
            caught=int((checked & ~self.right).sum()),
            accuracy=float(rest.mean()) if len(rest) else None,
        )

    def curve(self, most: int) -> list[ReviewPoint]:
        """Say what the thresholds mean that make a difference: the distinct scores, and 1.

        Of more than ``most``, 2 or more, so many of them, evenly: the first and the last, too.
        """
        thresholds = np.unique(np.append(self.scores, 1.0))
        if len(thresholds) > most:
            thresholds = thresholds[np.linspace(0, len(thresholds) - 1, most).round().astype(int)]
        return [self.at(threshold) for threshold in thresholds.tolist()]

    def suggested(self) -> ReviewPoint | None:
        """Give the lowest threshold that catches ENOUGH of the errors, rounded up.

        To two digits where that leaves it below 1. None where nothing is wrong, or where so many
        errors have a score so near to 1 that no threshold catches them.
        """
        wrong = ~self.right
        needed = math.ceil(round(ENOUGH * int(wrong.sum()), 6))
        lacking = needed - int((wrong & self.withheld).sum())
        if not needed:
            return None
        if lacking <= 0:
            return self.at(0.0)
        last = float(np.sort(self.scores[wrong & ~self.withheld])[lacking - 1])
        for digits in range(2, _MOST_DIGITS + 1):
            # It has to be above that score, as what is below a threshold is checked.
            # The product may fall just short: 0.29 * 100 < 29.
            number = math.floor(last * 10**digits)
            steps = (step / 10**digits for step in (number + 1, number + 2))
            threshold = next(step for step in steps if step > last)
            if threshold < 1:
                return self.at(threshold)
        return None

    def usual(self) -> Sequence[ReviewPoint]:
        """Say what the USUAL thresholds mean."""
        return [self.at(threshold) for threshold in USUAL]
