"""What a network wants its pixels to be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Triple = tuple[float, float, float]


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """RGB pixels → a network's input: ``(pixel - mean) * scale``, float32, channels last.

    ``order`` is the order of the channels in the network's input; ``mean`` (in levels, 0 to 255)
    and ``scale`` are in that order too: first the channels change places, then the sum is done.
    Raises ValueError for a number that is not finite, or a scale of 0.
    """

    order: Literal["rgb", "bgr"] = "rgb"
    mean: Triple = (0.0, 0.0, 0.0)
    scale: Triple = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.scale))):
            raise ValueError("mean and scale must be finite numbers")
        if 0.0 in self.scale:
            raise ValueError("a scale of 0 leaves nothing of the pixels")

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Do it: uint8 ``[..., 3]`` RGB → float32 ``[..., 3]``."""
        ordered = pixels[..., ::-1] if self.order == "bgr" else pixels
        mean, scale = np.array(self.mean, np.float32), np.array(self.scale, np.float32)
        made: NDArray[np.float32] = (ordered.astype(np.float32) - mean) * scale
        return made


def preprocessing(
    order: Literal["rgb", "bgr"] = "rgb", mean: float | Triple = 0.0, scale: float | Triple = 1.0
) -> Preprocessing:
    """Make a Preprocessing; one number for ``mean`` or ``scale`` is for all three channels."""
    return Preprocessing(order, _triple(mean), _triple(scale))


def _triple(value: float | Triple) -> Triple:
    if isinstance(value, (int, float)):
        return (float(value),) * 3
    one, two, three = value
    return (float(one), float(two), float(three))
