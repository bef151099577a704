"""Thumbnails: small pictures for the pages, made of pixels that were decoded anyway."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

from batchcls.framing import fitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.picture import Picture, Samples

# The longest edge, in pixels: sharp at half of that on a screen, and a few KB.
LONG_SIDE = 192
# To be raised with every change to what a thumbnail is; those of another form are made anew.
FORM = 1
# Photographs take 3.9 KB on the mean.
_QUALITY = 55
# WebP's effort, 0 to 6: half the time of 4, and 4 % more bytes.
_METHOD = 2


def shrunk(picture: Picture | Samples) -> NDArray[np.uint8]:
    """Give the whole picture, upright, as RGB pixels, uint8 ``[height, width, 3]``."""
    return fitted(picture, LONG_SIDE)


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """Give RGB ``pixels``, uint8 ``[height, width, 3]``, as a WebP image.

    Where Pillow was built without it, as a JPEG.
    """
    from PIL import Image

    file = io.BytesIO()
    image = Image.fromarray(pixels)
    if _has_webp():
        image.save(file, "WEBP", quality=_QUALITY, method=_METHOD)
    else:
        image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


@cache
def _has_webp() -> bool:
    from PIL import features

    return bool(features.check("webp"))
