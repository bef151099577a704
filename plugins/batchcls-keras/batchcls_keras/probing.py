"""What a function does to pixels, found by trying it.

Keras gives each family of networks a function ``preprocess_input``, and does not tell what is in
it. All of them are a sum for each channel, some with the channels turned round, and that is settled
by four plain pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from batchcls.errors import UsageError
from batchcls.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDERS: dict[tuple[int, ...], Literal["rgb", "bgr"]] = {(0, 1, 2): "rgb", (2, 1, 0): "bgr"}
_BRIGHT = 255.0
_TOLERANCE = 1e-5


def probed(name: str, function: Callable[[NDArray[Any]], Any]) -> Preprocessing:
    """Give what ``function`` does: RGB levels 0 to 255, float ``[N, H, W, 3]``, → the same shape.

    ``name`` is the network's. What is found is tried on random pixels, and must be right to 1e-5
    (of the value, where that is more than 1). Raises UsageError for a function that does anything
    but turn the channels round, subtract and multiply.
    """
    try:
        found = _solved(function)
        pixels = np.random.default_rng(0).integers(0, 256, (3, 7, 5, 3), np.uint8)
        given = np.asarray(function(pixels.astype(np.float32)))
        if not np.allclose(found.apply(pixels), given, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ValueError("it does more than subtract and multiply")
    except Exception as error:  # the function may raise anything
        said = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{name}: what Keras does to pixels for it can't be taken over: {said}",
            hint="Take another network, or save this one with its preprocessing inside, and use "
            "it as --featurizer tensorflow.",
        ) from error
    return found


def _solved(function: Callable[[NDArray[Any]], Any]) -> Preprocessing:
    """Solve ``value = (pixel - mean) * scale`` for each channel; ValueError where it has others."""
    # Black, and one of the three channels at its brightest. The function may write to them.
    pictures = np.zeros((4, 2, 2, 3))
    for channel in range(3):
        pictures[channel + 1, ..., channel] = _BRIGHT
    made = np.asarray(function(pictures.copy()), np.float64)
    if made.shape != pictures.shape or not np.isfinite(made).all():
        raise ValueError(f"of {list(pictures.shape)} it makes {list(made.shape)}")
    black, *colours = made[:, 0, 0]
    slopes = np.stack([colour - black for colour in colours], axis=1) / _BRIGHT
    sources = tuple(int(row.argmax()) for row in np.abs(slopes))
    scale = slopes[range(3), sources]
    slopes[range(3), sources] = 0.0
    if sources not in _ORDERS or not scale.all() or np.abs(slopes).max() > _TOLERANCE / _BRIGHT:
        raise ValueError("it mixes channels")
    mean = 0.0 - black / scale  # and not -black: that may be -0.0
    return Preprocessing(_ORDERS[sources], _triple(mean), _triple(scale))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    one, two, three = values.tolist()
    return (one, two, three)
