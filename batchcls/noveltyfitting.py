"""Which training images novelty compares with, and beyond which distance an image is unknown.

The threshold comes from training images that were left out: how far from all the others they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.blas import one_thread
from batchcls.crossvalidation import stratified_sample
from batchcls.novelty import LEAST_THRESHOLD, Novelty, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The share of images like those of training that may be called unknown.
FALSE_ALARMS = 0.03
# With fewer images that can be left out nothing is said: one in six or more would be a false alarm.
FEWEST = 6
# So many images are all kept; of more, this many centres. It bounds time and the model file.
MOST_EXEMPLARS = 600
# The centres of more images than this are those of a sample; held out are at most as many.
_MOST_GROUPED = 6000
_MOST_HELD_OUT = 2000
_HELD_OUT = 5  # one in so many
_ROUNDS = 10  # of k-means; the distances hardly change after a few
_SEED = 0
# Few images: this quantile of the distances between classes is taken for how far apart they are.
# An image stands alone where it is at least _FAR of that from all others, and they at most _NEAR.
_NEAR_CLASSES = 0.1
_FAR, _NEAR = 0.9, 0.8


@dataclass(frozen=True)
class FittedNovelty:
    """What was found: ``beyond`` of the ``checked`` images that were left out are too far off.

    ``grouped`` tells whether the exemplars are centres of groups of images, not images.
    """

    novelty: Novelty
    checked: int
    beyond: int
    grouped: bool

    def to_dict(self) -> dict[str, Any]:
        """Give what a manifest tells of it."""
        return {
            "threshold": self.novelty.threshold,
            "distance": "1 - cosine to the nearest "
            + ("centre of like training images" if self.grouped else "training image"),
            "checked": self.checked,
            "beyond": self.beyond,
        }


def fit_novelty(features: NDArray[np.float32], targets: NDArray[np.intp]) -> FittedNovelty | None:
    """Learn from ``features`` ``[N, D]`` and ``targets`` ``[N]``; None where they can't tell.

    That is where fewer than ``FEWEST`` images have another of their class, or where all are alike.
    Copies of an image count once, and features that are all 0 not at all.
    """
    features, targets = _distinct(features, targets)
    if len(features) <= MOST_EXEMPLARS:
        return _of_few(features, targets)
    return _of_many(features, targets)


def threshold_of(left_out: NDArray[np.float64], between: NDArray[np.float64]) -> float:
    """Choose the threshold by distances of left-out images to the nearest of all other images.

    ``between`` are all images' distances to the nearest image of *another class*. Enough images:
    the conformal quantile, the (k + 1)-th largest of the n distances with k = floor(a (n + 1)):
    a new image that is like them exceeds it with a probability of at most a (Vovk, Gammerman &
    Shafer, "Algorithmic Learning in a Random World", 2005; a = ``FALSE_ALARMS``; exact where they
    were held out, and near enough where each was left out in turn). Fewer than 1/a - 1 images
    can't say that much. Then it is the largest distance, or, where that is less than the
    classes are apart, half-way to the distance of classes. One image which is about as far from
    all others as classes are, while the rest are much nearer, stands alone and does not count: it
    is like a class with one image.
    """
    ordered = np.sort(left_out)
    allowed = int(FALSE_ALARMS * (len(ordered) + 1))
    if allowed:
        return float(ordered[-1 - allowed])
    apart = float(np.quantile(between, _NEAR_CLASSES))
    largest, second = float(ordered[-1]), float(ordered[-2])
    if largest >= _FAR * apart and second <= _NEAR * apart:
        largest = second
    return (largest + apart) / 2 if largest < apart else largest


def _of_few(features: NDArray[np.float32], targets: NDArray[np.intp]) -> FittedNovelty | None:
    """Keep all images, and leave each out in turn."""
    usable = np.bincount(targets)[targets] > 1 if len(targets) else np.zeros(0, np.bool_)
    if usable.sum() < FEWEST:
        return None
    exemplars = np.stack([unit(row) for row in features]).astype(np.float16)
    novelty = Novelty(exemplars, 1.0)
    left_out, between = np.empty(len(features)), np.empty(len(features))
    for index, row in enumerate(features):
        distances = novelty.cosine_distances(row)
        between[index] = distances[targets != targets[index]].min()
        distances[index] = np.inf
        left_out[index] = distances.min()
    return _fitted(exemplars, left_out[usable], between, grouped=False)


def _of_many(features: NDArray[np.float32], targets: NDArray[np.intp]) -> FittedNovelty | None:
    """Keep centres of all images but some, which are held out (split conformal prediction)."""
    random = np.random.default_rng(_SEED)
    held_out = np.zeros(len(targets), dtype=np.bool_)
    for target in np.unique(targets):
        members = random.permutation(np.flatnonzero(targets == target))
        held_out[members[: len(members) // _HELD_OUT or len(members) > 1]] = True
    kept = np.flatnonzero(~held_out)
    kept = kept[stratified_sample(targets[kept], _MOST_GROUPED)]
    held = np.flatnonzero(held_out)
    held = held[stratified_sample(targets[held], _MOST_HELD_OUT)]
    if len(held) < FEWEST:
        return None
    exemplars = _centres(features[kept], targets[kept], random).astype(np.float16)
    novelty = Novelty(exemplars, 1.0)
    left_out = np.array([novelty.cosine_distances(row).min() for row in features[held]])
    return _fitted(exemplars, left_out, left_out, grouped=True)


def _fitted(
    exemplars: NDArray[np.float16],
    left_out: NDArray[np.float64],
    between: NDArray[np.float64],
    *,
    grouped: bool,
) -> FittedNovelty | None:
    threshold = threshold_of(left_out, between)
    if threshold < LEAST_THRESHOLD:
        return None
    beyond = int((left_out > threshold).sum())
    return FittedNovelty(Novelty(exemplars, threshold), len(left_out), beyond, grouped)


def _distinct(
    features: NDArray[np.float32], targets: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Take out copies, which are no distance from what is left, and what has no direction."""
    first: dict[bytes, int] = {}
    for index, row in enumerate(features):
        if row.any():
            first.setdefault(row.tobytes(), index)
    rows = np.fromiter(first.values(), dtype=np.intp, count=len(first))
    _, numbers = np.unique(targets[rows], return_inverse=True)
    return features[rows], numbers.astype(np.intp)


def _centres(
    features: NDArray[np.float32], targets: NDArray[np.intp], random: np.random.Generator
) -> NDArray[np.float32]:
    """Give about ``MOST_EXEMPLARS`` centres, ``[M, D]``, each class its share and one at least."""
    units = np.stack([unit(row) for row in features])
    centres = []
    with one_thread():
        for target in np.unique(targets):
            members = units[targets == target]
            share = max(1, round(MOST_EXEMPLARS * len(members) / len(units)))
            centres.append(_spherical_k_means(members, share, random))
    return np.concatenate(centres)


def _spherical_k_means(
    units: NDArray[np.float32], count: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Give ``count`` centres of length 1 (Dhillon & Modha, Machine Learning 42, 2001).

    A centre is the direction of the sum of the images that are nearest to it, by the cosine.
    """
    centres = units[random.permutation(len(units))[:count]]
    if len(centres) == len(units):
        return centres
    for _ in range(_ROUNDS):
        nearest = (units @ centres.T).argmax(axis=1)
        order = nearest.argsort(kind="stable")
        numbers, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(units[order], starts, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = centres.copy()  # a centre that no image is nearest to stays where it is
        centres[numbers] = np.divide(sums, lengths, out=centres[numbers], where=lengths > 0)
    return centres
