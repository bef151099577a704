"""Framing: how a picture of any shape becomes the square that the network sees.

Which way is best depends on the images, so training chooses it and the model keeps it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.picture import Picture, Samples

    Box = tuple[float, float, float, float]


class Framing(str, Enum):
    """The ways to frame."""

    CROP = "crop"
    """The centre square of 7/8 of the short side: what ImageNet networks are evaluated with."""
    SQUARE = "square"
    """The centre square of the whole short side."""
    STRETCH = "stretch"
    """The whole picture, its shape distorted."""
    PAD = "pad"
    """The whole picture in its shape, on a grey square."""


# The number of this way from a file to pixels; a model keeps it, since its classifier was trained
# on what it gives. To be raised with every change that alters pixels.
PREPROCESSING = 2

# EfficientNet's evaluation: resize the short side to 256, then crop 224.
CROP_SHARE = 224 / 256
# The networks' zero: (127 - 127) / 128.
PAD_GREY = (127, 127, 127)


def frame(picture: Picture | Samples, framing: Framing, size: int) -> NDArray[np.uint8]:
    """Frame a picture: RGB pixels, uint8 ``[size, size, 3]``, upright.

    One antialiased resize does it; the orientation is applied to the small result, which
    is the same, as every way of framing is symmetric.
    """
    import numpy as np

    width, height = picture.size
    if framing is Framing.PAD:
        inner = (_inner(width, height, size), _inner(height, width, size))
        part = _rgb(picture, inner, (0, 0, width, height))
        left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
        framed = np.full((size, size, 3), PAD_GREY, np.uint8)
        framed[top : top + inner[1], left : left + inner[0]] = part
    else:
        framed = _rgb(picture, (size, size), _box(width, height, framing))
    return np.ascontiguousarray(_upright(framed, picture.orientation))


def fitted(picture: Picture | Samples, long_side: int) -> NDArray[np.uint8]:
    """Give a whole picture in its shape, upright, no larger than ``long_side``, nor than it is.

    RGB pixels, uint8 ``[height, width, 3]``.
    """
    import numpy as np

    width, height = picture.size
    scale = min(1.0, long_side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = _rgb(picture, size, (0, 0, width, height))
    return np.ascontiguousarray(_upright(pixels, picture.orientation))


def _rgb(picture: Picture | Samples, size: tuple[int, int], box: Box) -> NDArray[np.uint8]:
    """Resize a part of a picture: RGB pixels, uint8 ``[height, width, 3]``."""
    import numpy as np

    from batchcls.colour import to_rgb
    from batchcls.picture import Samples
    from batchcls.resizing import resized, resized_samples

    if isinstance(picture, Samples):
        part = resized_samples(picture, size, box)
        return part if picture.channels == 3 else np.repeat(part, 3, axis=2)
    return np.asarray(to_rgb(resized(picture.image, size, box), picture.profile))


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo what an EXIF orientation (1 to 8) tells of."""
    if orientation > 4:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _inner(edge: int, other: int, size: int) -> int:
    """Give an edge inside the padding; the margins are equal, so that turning changes nothing."""
    margin = round((size - size * edge / max(edge, other)) / 2)
    return max(size - 2 * margin, 2 - size % 2)


def _box(width: int, height: int, framing: Framing) -> Box:
    if framing is Framing.STRETCH:
        return (0, 0, width, height)
    edge = min(width, height) * (CROP_SHARE if framing is Framing.CROP else 1)
    left, top = (width - edge) / 2, (height - edge) / 2
    return (left, top, left + edge, top + edge)
