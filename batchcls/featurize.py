"""Featurize: pixels → features, and a check that the featurizer keeps its word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from batchcls.errors import Fault, PluginFailedError, Terminated, fault_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchcls.interfaces import Featurizer


def featurize(featurizer: Featurizer, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Run framed images, each uint8 ``[S, S, 3]``, as one batch: features, float32 ``[N, D]``.

    Raises PluginFailedError where the featurizer gives another shape, or values that are not
    finite.
    """
    if not pixels:
        return np.empty((0, featurizer.dimension), dtype=np.float32)
    features = featurizer.featurize(np.stack(pixels))
    expected = (len(pixels), featurizer.dimension)
    if not isinstance(features, np.ndarray):
        kind = type(features).__name__
        raise PluginFailedError(f"the featurizer {featurizer.name} gave {kind}, not an array")
    if features.shape != expected or features.dtype != np.float32:
        raise PluginFailedError(
            f"the featurizer {featurizer.name} gave {features.dtype} {list(features.shape)} "
            f"where float32 {list(expected)} was due"
        )
    if not np.isfinite(features).all():
        raise PluginFailedError(f"the featurizer {featurizer.name} gave values that are not finite")
    return features


def featurize_each(
    featurizer: Featurizer, pixels: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.float32], dict[int, Fault]]:
    """Do as :func:`featurize`, but let an image that the featurizer raises for cost only itself.

    The second result says why, by index; the features of such an image are 0.
    """
    try:
        return featurize(featurizer, pixels), {}
    except (PluginFailedError, Terminated):  # it does not keep its word: no image is to blame
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - a plugin's code; which image it is about shows below
        features = np.zeros((len(pixels), featurizer.dimension), dtype=np.float32)
    faults = {}
    for index, square in enumerate(pixels):
        try:
            features[index] = featurize(featurizer, [square])[0]
        except (PluginFailedError, Terminated):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            faults[index] = fault_of(f"the featurizer {featurizer.name}", error)
    return features, faults
