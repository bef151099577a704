"""Confidence: how far labels and scores can be relied on, by images whose class is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from batchcls.reviewcurve import ENOUGH, Judged, ReviewPoint
from batchcls.text import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 10
# So many points of the review curve: more can't be seen in a chart.
_CURVE_POINTS = 200
# Below so few errors, one more or less changes what is suggested.
_FEW_ERRORS = 10
# The quantile of the normal distribution that 95 % lie within, on both sides.
_Z = 1.959963984540054


class ClassQuality(NamedTuple):
    """How well one class is told from the others.

    With the true positives TP, false positives FP and false negatives FN: ``precision`` is
    TP / (TP + FP), the share that is right of the images given this label; ``recall`` is
    TP / (TP + FN), the share of the class's images that were given it; ``f1`` is
    2 TP / (2 TP + FP + FN), the harmonic mean of both. Each is None where it would be 0 / 0.
    ``support`` is TP + FN, the images of the class, ``labelled`` TP + FP, ``right`` TP.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    labelled: int
    right: int


class ReliabilityBin(NamedTuple):
    """The images with a score above ``low`` and up to ``high``.

    Their number, the mean of their scores, and the share of them that is right; these two are None
    where there are no images.
    """

    low: float
    high: float
    images: int
    score: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Confidence:
    """How far labels and scores can be relied on.

    ``interval`` holds the accuracy on other such images, with 95 % certainty;
    ``calibration_error`` is the expected calibration error over the bins of ``reliability``, 0
    being perfect. ``withheld`` images are unknown: a person sees them whatever their score.
    ``curve`` and ``table`` say what thresholds mean, lowest first; ``suggestion`` is the lowest one
    that catches nine of ten errors, None where there are no errors, or no such threshold.
    """

    images: int
    errors: int
    withheld: int
    interval: tuple[float, float]
    classes: Sequence[ClassQuality]
    reliability: Sequence[ReliabilityBin]
    calibration_error: float
    curve: Sequence[ReviewPoint]
    table: Sequence[ReviewPoint]
    suggestion: ReviewPoint | None

    def to_dict(self) -> dict[str, Any]:
        """Give what ``--json`` has of it."""
        suggestion = self.suggestion
        return {
            "accuracy_interval": list(self.interval),
            "per_class_precision": {one.name: one.precision for one in self.classes},
            "per_class_recall": {one.name: one.recall for one in self.classes},
            "per_class_f1": {one.name: one.f1 for one in self.classes},
            "per_class_support": {one.name: one.support for one in self.classes},
            "expected_calibration_error": self.calibration_error,
            "reliability": [one._asdict() for one in self.reliability],
            "errors": self.errors,
            "review": [one._asdict() for one in self.table],
            "suggested_review": None if suggestion is None else suggestion._asdict(),
        }

    @property
    def advice(self) -> str:
        """Say in words which ``review_below`` is worth it, and what it would mean."""
        point, images = self.suggestion, plural(self.images, "image")
        if not self.errors:
            return (
                f"No label is wrong among {images}, so these do not tell what to set "
                "review_below to."
            )
        if point is None:
            return (
                f"No review_below catches {ENOUGH:.0%} of the errors: the model is as sure as can "
                "be of too many of them. Look at the worst: are their tags right?"
            )
        setting = f"With review_below = {point.threshold:g}"
        if not point.threshold:
            setting = "Without review_below, as unknown"
        checked = f"{point.checked:,} of {images} {'is' if point.checked == 1 else 'are'}"
        caught = f"{point.caught:,} of {plural(self.errors, 'error')}"
        caution = ""
        if 2 * point.checked > self.images:
            caution = " That is most of them: the score tells little of what is wrong."
        elif self.errors < _FEW_ERRORS:
            caution = " With so few errors to go by, this is a rough guess."
        return f"{setting}, {checked} to be checked by hand, which catches {caught}.{caution}"


def confidence_of(
    classes: Sequence[str],
    targets: NDArray[np.intp],
    labels: NDArray[np.intp],
    scores: NDArray[np.float64],
    withheld: NDArray[np.bool_],
) -> Confidence:
    """Compute it of N images, 1 or more: true classes and labels, int ``[N]``, indices of classes.

    ``scores`` are the labels', float64 ``[N]``, 0 to 1; ``withheld``, bool ``[N]``, tells the
    unknown images.
    """
    right = labels == targets
    judged = Judged(scores, right, withheld)
    bins = reliability(scores, right)
    hits = int(right.sum())
    return Confidence(
        images=len(targets),
        errors=len(targets) - hits,
        withheld=int(withheld.sum()),
        interval=wilson(hits, len(targets)),
        classes=class_qualities(classes, targets, labels),
        reliability=bins,
        calibration_error=calibration_error(bins),
        curve=judged.curve(_CURVE_POINTS),
        table=judged.usual(),
        suggestion=judged.suggested(),
    )


def class_qualities(
    classes: Sequence[str], targets: NDArray[np.intp], labels: NDArray[np.intp]
) -> list[ClassQuality]:
    """Give precision, recall and F1 of each class, by true classes and labels, int ``[N]``."""
    count = len(classes)
    supports = np.bincount(targets, minlength=count).tolist()
    given = np.bincount(labels, minlength=count).tolist()
    hits = np.bincount(targets[labels == targets], minlength=count).tolist()
    return [
        ClassQuality(
            name,
            precision=_share(right, labelled),
            recall=_share(right, support),
            f1=_share(2 * right, labelled + support),
            support=support,
            labelled=labelled,
            right=right,
        )
        for name, support, labelled, right in zip(classes, supports, given, hits, strict=True)
    ]


def reliability(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Sort N images into BINS equal parts of 0 to 1, by their score, float64 ``[N]``.

    A bin holds its upper edge, and the first one both: Guo, Pleiss, Sun, Weinberger, "On
    Calibration of Modern Neural Networks", ICML 2017, section 2. ``right`` is bool ``[N]``.
    """
    edges = np.arange(BINS + 1) / BINS
    places = np.digitize(scores, edges[1:-1], right=True)
    counts = np.bincount(places, minlength=BINS).tolist()
    sums = np.bincount(places, weights=scores, minlength=BINS).tolist()
    hits = np.bincount(places, weights=right, minlength=BINS).tolist()
    limits = edges.tolist()
    return [
        ReliabilityBin(low, high, count, _share(total, count), _share(hit, count))
        for low, high, count, total, hit in zip(
            limits[:-1], limits[1:], counts, sums, hits, strict=True
        )
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Give the expected calibration error: Guo et al., equation 3.

    The mean over all images of |accuracy - mean score| of the bin that an image is in.
    """
    images = sum(one.images for one in bins)
    return sum(
        one.images * abs(one.accuracy - one.score) / images
        for one in bins
        if one.accuracy is not None and one.score is not None
    )


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Give the 95 % confidence interval of a share, of one trial or more.

    The score interval, without continuity correction: Wilson, "Probable Inference, the Law of
    Succession, and Statistical Inference", Journal of the American Statistical Association, 1927.
    """
    share = hits / trials
    middle = share + _Z**2 / (2 * trials)
    width = _Z * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
