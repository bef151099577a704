"""Colour: any mode of Pillow → RGB as an image viewer shows it.

In two steps, since the second is costly and is done on the small, framed image:
:func:`displayable` before the resize, :func:`to_rgb` after it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITE = (255, 255, 255, 255)
_READY = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_PHOTOMETRIC = 262  # TIFF tag; 0 is "white is zero"
_FULL_SCALE_FORMATS = frozenset({"PNG", "PPM"})  # their integers span 0 to 65535 by definition


def displayable(image: Image.Image) -> Image.Image:
    """Bring a loaded image to a mode that can be resized: L, LA, RGB, RGBA or CMYK.

    16-bit grey is scaled from its full range. Other integers and floats have no defined white:
    they are taken as they are where they fit a byte, floats in [0, 1] as a share of white, and
    anything else from its lowest to its highest value, as viewers of such data do.
    """
    if image.mode.startswith("I;16"):
        return _grey16(image)
    if image.mode in {"I", "F"}:
        return _grey(image)
    if image.has_transparency_data:
        return image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    if image.mode in _READY:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def to_rgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Turn what :func:`displayable` gave into RGB; transparency is laid on white.

    ``profile``, the embedded ICC profile, is used for CMYK, where doing without it shows.
    """
    if image.mode in {"LA", "RGBA"}:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image).convert("RGB")
    if image.mode == "CMYK" and profile:
        try:
            managed = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
            managed = None  # a broken profile: do as if there were none
        if managed is not None:
            return managed
    return image.convert("RGB")


def _grey16(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint16)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:
        values = np.iinfo(np.uint16).max - values
    return Image.fromarray((values >> 8).astype(np.uint8))


def _grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.format in _FULL_SCALE_FORMATS and image.mode == "I":
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    return _to_bytes(values, low, high)


def _to_bytes(values: NDArray[np.float32], low: float, high: float) -> Image.Image:
    values -= low
    values *= 255.0 / (high - low) if high > low else 0.0
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return Image.fromarray(values.astype(np.uint8))
