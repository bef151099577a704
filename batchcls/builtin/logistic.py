"""Multinomial logistic regression on standardised features.

scikit-learn fits it; what was learnt are two arrays, so that classifying needs NumPy alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta

from batchcls.arrays import expected_arrays
from batchcls.blas import one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_ITERATIONS = 1000
# A feature that hardly varies among a few images may vary widely elsewhere; dividing by its small
# deviation would let it drown the others. So a variance counts as at least this share of the mean
# one. docs/performance.md has what it does for log-loss.
_VARIANCE_FLOOR = 0.1
# Beyond so many multiplications a step (images x coordinates x classes) a fit is in float32: half
# the time, for a log-loss that differs by a thousandth. 10,000 images in 10 classes are below it.
_LARGE = 150_000_000


class LogisticRegression:
    """Probabilities are softmax(features @ weights + bias).

    ``weights`` is float32 ``[D, C]``, ``bias`` float32 ``[C]``; the standardisation is folded in.
    ``C`` is the inverse strength of the L2 penalty, as in scikit-learn: the loss is
    ``C * sum(cross-entropy) + |weights|^2 / 2`` over the standardised features.
    """

    name: ClassVar[str] = "logistic"

    def __init__(self, C: Annotated[float, Meta(gt=0)] = 1e-2) -> None:  # noqa: N803 - scikit-learn's name
        self.C = C
        self.weights: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self.bias: NDArray[np.float32] = np.zeros(0, np.float32)

    @classmethod
    def candidates(cls) -> Sequence[Mapping[str, float]]:
        """List the strengths that cross-validation chooses among, the strongest first."""
        return [{"C": 10.0**power} for power in range(-5, 2)]

    def fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        """Learn from ``features`` ``[N, D]`` and ``targets`` ``[N]``; every class must occur."""
        with one_thread():
            self._fit(features, targets, class_count)

    @classmethod
    def _fit_each(
        cls,
        candidates: Sequence[Mapping[str, Any]],
        features: NDArray[np.float32],
        targets: NDArray[np.intp],
        class_count: int,
    ) -> list[LogisticRegression]:
        """Give one for each of the candidates, all fitted to these images.

        As if one after the other, but what does not depend on the penalty is done once.
        """
        fitted = [cls(**options) for options in candidates]
        with one_thread():
            prepared = _Prepared.of(features, class_count)
            for one in fitted:
                one._learn(prepared, targets, class_count)
        return fitted

    def _fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        self._learn(_Prepared.of(features, class_count), targets, class_count)

    def _learn(self, prepared: _Prepared, targets: NDArray[np.intp], class_count: int) -> None:
        from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

        solver = SklearnLogisticRegression(C=self.C, max_iter=_MAX_ITERATIONS)
        with warnings.catch_warnings():
            # That there are half as many classes as images: it would be said for every fold.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            solver.fit(prepared.coordinates, targets)
        coefficients = solver.coef_.T.astype(np.float64)
        intercept = solver.intercept_.astype(np.float64)
        if prepared.basis is not None:
            coefficients = prepared.basis @ coefficients
        if class_count == 2:
            # scikit-learn keeps one column: the log-odds of the second class against the first.
            coefficients = np.hstack([-coefficients / 2, coefficients / 2])
            intercept = np.concatenate([-intercept / 2, intercept / 2])
        weights = coefficients / prepared.scale[:, np.newaxis]
        self.bias = (intercept - prepared.mean @ weights).astype(np.float32)
        # In the order that a model file has: the sums of predict_proba depend on it.
        self.weights = weights.astype(np.float32, order="C")

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities, float64 ``[N, C]``."""
        # Not through BLAS, which sums in another order for another number of rows, or another
        # place among them: a score must not depend on what else is in the batch.
        products = np.einsum("nd,dc->nc", features, self.weights)
        logits: NDArray[np.float64] = products.astype(np.float64) + self.bias
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def to_state(self) -> Mapping[str, NDArray[Any]]:
        """Give the two arrays."""
        return {"weights": self.weights, "bias": self.bias}

    def restore(
        self, state: Mapping[str, NDArray[Any] | bytes], dimension: int, class_count: int
    ) -> None:
        """Take the two arrays back; ValueError if they are not what ``to_state`` gives."""
        expected = {
            "weights": (np.float32, (dimension, class_count)),
            "bias": (np.float32, (class_count,)),
        }
        arrays = expected_arrays(state, expected)
        self.weights, self.bias = arrays["weights"], arrays["bias"]


@dataclass(frozen=True)
class _Prepared:
    """The images as the solver sees them, whatever the penalty.

    ``coordinates`` ``[N, M]`` are the standardised features, or, with fewer images than features,
    their coordinates in ``basis``, ``[D, M]``.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    coordinates: NDArray[Any]
    basis: NDArray[np.float64] | None
    large: bool

    @classmethod
    def of(cls, features: NDArray[np.float32], class_count: int) -> _Prepared:
        images, dimension = features.shape
        mean = features.mean(axis=0, dtype=np.float64)
        variance = features.var(axis=0, dtype=np.float64)
        floor = _VARIANCE_FLOOR * float(variance.mean()) or 1.0
        scale = np.sqrt(np.maximum(variance, floor))
        large = images * min(images, dimension) * class_count > _LARGE
        coordinates: NDArray[Any]
        if large and images >= dimension:
            coordinates = np.subtract(features, mean, dtype=np.float32, casting="same_kind")
            np.divide(coordinates, scale, out=coordinates, casting="same_kind")
            return cls(mean, scale, coordinates, None, large)
        coordinates = features - mean
        coordinates /= scale
        basis: NDArray[np.float64] | None = None
        if images < dimension:
            # With an L2 penalty the weights lie in the span of the images (representer theorem),
            # so N coordinates in an orthonormal basis of it give the same fit as D features.
            basis, triangle = np.linalg.qr(coordinates.T)
            # In the order that scikit-learn wants, or it would copy them for each fit.
            coordinates = np.ascontiguousarray(triangle.T, np.float32 if large else np.float64)
        return cls(mean, scale, coordinates, basis, large)
