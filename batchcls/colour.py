"""Colour: any mode of Pillow → RGB as an image viewer shows it.

In two steps, since the second is costly and is done on the small, framed image:
:func:`displayable` before the resize, :func:`to_rgb` after it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITE = (255, 255, 255, 255)
_READY = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_MAY_BE_TRANSPARENT = frozenset({"1", "L", "P", "PA", "RGB"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
_WHITE_IS_ZERO = 0
_UNSIGNED = frozenset({(32, 1), (32, None)})  # bits and sample format; Pillow gives int32
_FULL_SCALE_FORMATS = frozenset({"PNG", "PPM"})  # their integers span 0 to 65535 by definition


def displayable(image: Image.Image) -> Image.Image:
    """Bring a loaded image to a mode that can be resized: L, LA, RGB, RGBA or CMYK.

    16-bit grey is scaled from its full range. Other integers and floats have no defined white:
    they are taken as they are where they fit a byte, floats in [0, 1] as a share of white, and
    anything else from its lowest to its highest value, as viewers of such data do.
    """
    mode = image.mode
    if mode.startswith("I;16"):
        return _grey16(image)
    if mode in {"I", "F"}:
        return _grey(image)
    if mode in _PREMULTIPLIED:
        return image.convert(_PREMULTIPLIED[mode])
    if mode in _MAY_BE_TRANSPARENT and image.has_transparency_data:
        try:
            return image.convert("RGBA")
        except (TypeError, ValueError):  # a broken transparent colour: do as if there were none
            image.info.pop("transparency", None)
    return image if mode in _READY else image.convert("L" if mode == "1" else "RGB")


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


def _tag(image: Image.Image, number: int) -> Any:  # noqa: ANN401 - as many types as tags
    """Give what a TIFF file says of its samples; None for other formats."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _grey16(image: Image.Image) -> Image.Image:
    samples = np.asarray(image).astype(np.uint16)
    values = samples << 4 if _tag(image, _BITS) == 12 else samples
    if _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = np.iinfo(np.uint16).max - values
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    alpha = np.where(samples == transparent, 0, 255).astype(np.uint8)
    return Image.merge("LA", (grey, Image.fromarray(alpha)))


def _grey(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    if image.mode == "I" and (_tag(image, _BITS), _tag(image, _SAMPLE_FORMAT)) in _UNSIGNED:
        samples = samples.view(np.uint32)
    values = samples.astype(np.float32)
    finite = np.isfinite(values)
    seen = values if finite.all() else values[finite]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    if image.format in _FULL_SCALE_FORMATS and image.mode == "I":
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    pixels = _to_bytes(values, low, high)
    if _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = np.iinfo(np.uint8).max - pixels
    return Image.fromarray(pixels)


def _to_bytes(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    with np.errstate(over="ignore", invalid="ignore"):  # a span too large or small for float32
        values -= low
        values *= 255.0 / (high - low) if high > low else 0.0
    np.nan_to_num(values, copy=False)
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return values.astype(np.uint8)
