"""Novelty: how unlike the images that a model was trained on an image is.

The distance of an image is that of its features to the nearest training image's: 1 - cosine of the
angle between them (deep nearest neighbours: Sun et al., "Out-of-Distribution Detection with Deep
Nearest Neighbors", ICML 2022, with the cosine and one neighbour). ``noveltyfitting.py`` chooses
what is kept and the threshold; docs/performance.md has what was tried, and how often it errs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.arrays import expected_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is kept is rounded to float16, so a distance is right to about 1e-5. A threshold as small as
# that would tell nothing but rounding.
LEAST_THRESHOLD = 1e-4
_MOST = 2.0  # of 1 - cosine
# How much float16 may change a length of 1, and rounding to float32 after it.
_LENGTH_TOLERANCE = 0.01


class Novelty:
    """Distances to the nearest of the ``exemplars``, in units of ``threshold``.

    ``exemplars`` are features of training images, or centres of groups of them, of length 1,
    float16 ``[M, D]``; ``threshold`` is the 1 - cosine beyond which an image is unknown. It is only
    read, so any number of threads may use one at once.
    """

    def __init__(self, exemplars: NDArray[np.float16], threshold: float) -> None:
        self.threshold = threshold
        self._exemplars = exemplars.astype(np.float32, order="C")

    def distance(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give each image's distance by the threshold, float64 ``[N]``: above 1 it is unknown.

        ``features`` is float32 ``[N, D]``. An image's distance does not depend on the others, to
        the last bit. Features that are all 0 are like nothing.
        """
        distances = np.empty(len(features), dtype=np.float64)
        for index, one in enumerate(features):
            distances[index] = self.cosine_distances(one).min() / self.threshold
        return distances

    def cosine_distances(self, one: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give 1 - cosine of one image's features ``[D]`` to each exemplar's, float64 ``[M]``."""
        # One image at a time, and not through BLAS, which sums in another order for another
        # number of images or threads: a distance must not depend on them.
        cosines = np.einsum("md,d->m", self._exemplars, unit(one))
        distances: NDArray[np.float64] = 1.0 - cosines.astype(np.float64)
        return np.maximum(distances, 0.0)

    def to_state(self) -> Mapping[str, NDArray[Any]]:
        """Give ``exemplars``, float16 ``[M, D]``, and ``threshold``, float64 ``[1]``."""
        return {
            "exemplars": self._exemplars.astype(np.float16),
            "threshold": np.array([self.threshold], dtype=np.float64),
        }

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any] | bytes], dimension: int) -> Novelty:
        """Make it of what ``to_state`` gave; ValueError where it is not that."""
        arrays = expected_arrays(
            state, {"exemplars": (np.float16, (None, dimension)), "threshold": (np.float64, (1,))}
        )
        exemplars, threshold = arrays["exemplars"], float(arrays["threshold"][0])
        if not len(exemplars):
            raise ValueError("exemplars holds none")
        lengths = np.linalg.norm(exemplars.astype(np.float64), axis=1)
        if np.abs(lengths - 1).max() > _LENGTH_TOLERANCE:
            raise ValueError("exemplars holds features that are not of length 1")
        if not LEAST_THRESHOLD <= threshold <= _MOST:
            raise ValueError(f"threshold is {threshold:g}, not {LEAST_THRESHOLD:g} to {_MOST:g}")
        return cls(exemplars, threshold)


def unit(one: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring one image's features, ``[D]``, to length 1; those of no length stay 0."""
    wide = one.astype(np.float64)  # a square may be too large, or too small, for float32
    length = np.sqrt(np.square(wide).sum())
    return (wide / length if length > 0 else wide).astype(np.float32)
