"""k nearest neighbours: an image gets the label of the training images that it is most like.

How alike two images are is the cosine of the angle between their features. Nothing is fitted: what
is kept are the training images' features, so a model can name the images that decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta

from batchcls.arrays import expected_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

# All classes share a tenth of a vote, so that no probability is 0 and a lone neighbour is not
# believed altogether. A half raises the log-loss of small, clean sets, a twentieth of all others.
_SHARED_VOTE = 0.1
# What has less than a hundredth of the nearest image's vote has decided nothing.
_LEAST_VOTE = 0.01


class NearestNeighbors:
    """The ``neighbors`` most similar training images vote, the more similar the more.

    A vote is ``exp(sharpness * (s - s_nearest))``, s being the cosine similarity; with a sharpness
    of 0 all votes are equal. A probability is the class's share of the votes, after all classes
    got the same part of a tenth of a vote. Images as similar as the last neighbour vote, too, so
    that nothing depends on the order of the training images.
    """

    name: ClassVar[str] = "knn"

    def __init__(
        self,
        neighbors: Annotated[int, Meta(ge=1)] = 9,
        sharpness: Annotated[float, Meta(ge=0, le=1000)] = 40.0,
    ) -> None:
        self.neighbors = neighbors
        self.sharpness = sharpness
        self._class_count = 0
        self._targets: NDArray[np.int32] = np.zeros(0, np.int32)
        self._images: NDArray[np.float32] = np.zeros((0, 0), np.float32)

    @classmethod
    def candidates(cls) -> Sequence[Mapping[str, Any]]:
        """List what cross-validation chooses among; the first where both do as well.

        Fewer than 9 did better only by chance, which is what would choose among few images.
        """
        return [{"neighbors": 9}, {"neighbors": 25}]

    def fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        """Keep ``features`` ``[N, D]``, each brought to length 1, and ``targets`` ``[N]``."""
        self._class_count = class_count
        self._targets = targets.astype(np.int32)
        # Rounded to float16 at once, as in the model file: a loaded model says just the same.
        units = np.stack([_unit(row) for row in features])
        self._images = units.astype(np.float16).astype(np.float32)

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities, float64 ``[N, C]``."""
        shares = np.full((len(features), self._class_count), _SHARED_VOTE / self._class_count)
        for share, one in zip(shares, features, strict=True):
            images, _, votes = self._nearest(one)
            np.add.at(share, self._targets[images], votes)
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def explain(self, features: NDArray[np.float32]) -> list[list[tuple[int, float]]]:
        """Name the training images that decided, the nearest first, for each of N images.

        A pair is the image's index in the order of ``fit`` and its cosine similarity: 1 is the
        same picture, and where even the first is low, nothing like the image was in training.
        There are at most ``neighbors``; those whose vote counted for nothing are left out.
        """
        explanations = []
        for one in features:
            images, similarities, votes = self._nearest(one)
            decided = list(zip(images.tolist(), similarities.tolist(), strict=True))
            count = min(self.neighbors, int((votes >= _LEAST_VOTE).sum()))
            explanations.append(decided[:count])
        return explanations

    def to_state(self) -> Mapping[str, NDArray[Any]]:
        """Give the training images' features, float16 ``[N, D]``, and classes, int32 ``[N]``."""
        return {"images": self._images.astype(np.float16), "targets": self._targets}

    def restore(
        self, state: Mapping[str, NDArray[Any] | bytes], dimension: int, class_count: int
    ) -> None:
        """Take back what ``to_state`` gave; ValueError if it is not that."""
        arrays = expected_arrays(
            state, {"images": (np.float16, (None, dimension)), "targets": (np.int32, (None,))}
        )
        images, targets = arrays["images"], arrays["targets"]
        if len(images) != len(targets):
            raise ValueError(f"{len(images)} images, but the classes of {len(targets)}")
        if not np.array_equal(np.unique(targets), np.arange(class_count)):
            raise ValueError(f"targets are not of {class_count} classes, each of which occurs")
        self._class_count = class_count
        self._targets = targets
        self._images = images.astype(np.float32)

    def _nearest(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Give the neighbours of one image, the nearest first: indices, similarities and votes."""
        # One image at a time, so that memory is bounded, and not through BLAS, which sums in
        # another order for another number of images or threads: a score must not depend on them.
        similarities = np.einsum("nd,d->n", self._images, _unit(features))
        count = min(self.neighbors, len(similarities))
        last = np.partition(similarities, -count)[-count]
        images = np.flatnonzero(similarities >= last)
        images = images[(-similarities[images]).argsort(kind="stable")]
        nearest = similarities[images].astype(np.float64)
        return images, nearest, np.exp(self.sharpness * (nearest - nearest[0]))


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring one image's features to length 1; those of no length stay 0."""
    wide = features.astype(np.float64)  # a square may be too large, or too small, for float32
    length = np.sqrt(np.square(wide).sum())
    return (wide / length if length > 0 else wide).astype(np.float32)
