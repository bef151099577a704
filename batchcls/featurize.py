"""Featurize: pixels → features, and a check that the featurizer keeps its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from batchcls.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchcls.interfaces import Featurizer


def featurize(featurizer: Featurizer, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Run framed images, each uint8 ``[S, S, 3]``, as one batch: features, float32 ``[N, D]``.

    Raises PluginError where the featurizer gives another shape, or values that are not finite.
    """
    if not pixels:
        return np.empty((0, featurizer.dimension), dtype=np.float32)
    features = featurizer.featurize(np.stack(pixels))
    expected = (len(pixels), featurizer.dimension)
    if features.shape != expected or features.dtype != np.float32:
        raise PluginError(
            f"the featurizer {featurizer.name} gave {features.dtype} {list(features.shape)} "
            f"where float32 {list(expected)} was due"
        )
    if not np.isfinite(features).all():
        raise PluginError(f"the featurizer {featurizer.name} gave values that are not finite")
    return features
