"""Framing: how a picture of any shape becomes the square that the network sees.

Which way is best depends on the images, so training chooses it and the model keeps it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Picture


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

# The EXIF orientations but for the upright one, and the method of Pillow's that mends each.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def frame(picture: Picture, framing: Framing, size: int) -> NDArray[np.uint8]:
    """Frame a picture: RGB pixels, uint8 ``[size, size, 3]``, upright.

    One antialiased resize does it; the orientation is applied to the small result, which
    is the same, as every way of framing is symmetric.
    """
    import numpy as np
    from PIL import Image

    from batchcls.colour import to_rgb
    from batchcls.resizing import resized

    image = picture.image
    width, height = image.size
    if framing is Framing.PAD:
        inner = (_inner(width, height, size), _inner(height, width, size))
        part = to_rgb(resized(image, inner, (0, 0, width, height)), picture.profile)
        framed = Image.new("RGB", (size, size), PAD_GREY)
        framed.paste(part, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    else:
        box = _box(width, height, framing)
        framed = to_rgb(resized(image, (size, size), box), picture.profile)
    if picture.orientation in _TURNS:
        framed = framed.transpose(Image.Transpose[_TURNS[picture.orientation]])
    return np.asarray(framed)


def _inner(edge: int, other: int, size: int) -> int:
    """Give an edge inside the padding; the margins are equal, so that turning changes nothing."""
    margin = round((size - size * edge / max(edge, other)) / 2)
    return max(size - 2 * margin, 2 - size % 2)


def _box(width: int, height: int, framing: Framing) -> tuple[float, float, float, float]:
    if framing is Framing.STRETCH:
        return (0, 0, width, height)
    edge = min(width, height) * (CROP_SHARE if framing is Framing.CROP else 1)
    left, top = (width - edge) / 2, (height - edge) / 2
    return (left, top, left + edge, top + edge)
