"""Colour: any mode of Pillow → RGB as an image viewer shows it.

In two steps, since the second is costly and is done on the small, framed image:
:func:`displayable` before the resize, :func:`to_rgb` after it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
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
_BAND = 2**20  # samples that are worked on at a time
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


def tag(image: Image.Image, number: int) -> Any:  # noqa: ANN401 - as many types as tags
    """Give what a TIFF file says of its samples; None for other formats."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _bands(image: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give the samples some rows at a time, each with the number of its first row.

    Working on them all at once would take several times the memory of the image.
    """
    rows = max(1, _BAND // max(1, image.width))
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield top, np.asarray(image.crop((0, top, image.width, bottom)))


def _grey16(image: Image.Image) -> Image.Image:
    grey = Image.new("L", image.size)
    transparent = image.info.get("transparency")
    alpha = Image.new("L", image.size) if isinstance(transparent, int) else None
    few_bits = tag(image, _BITS) == 12
    inverted = tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    for top, band in _bands(image):
        samples = band.astype(np.uint16)
        values = samples << 4 if few_bits else samples
        if inverted:
            values = np.iinfo(np.uint16).max - values
        grey.paste(Image.fromarray((values >> 8).astype(np.uint8)), (0, top))
        if alpha is not None:
            opaque = np.where(samples == transparent, 0, 255).astype(np.uint8)
            alpha.paste(Image.fromarray(opaque), (0, top))
    return grey if alpha is None else Image.merge("LA", (grey, alpha))


def _grey(image: Image.Image) -> Image.Image:
    unsigned = image.mode == "I" and ((tag(image, _BITS), tag(image, _SAMPLE_FORMAT)) in _UNSIGNED)

    def bands() -> Iterator[tuple[int, NDArray[np.float32]]]:
        for top, band in _bands(image):
            yield top, (band.view(np.uint32) if unsigned else band).astype(np.float32)

    lowest, highest = _range(values for _, values in bands())
    low, high = lowest, highest
    if image.format in _FULL_SCALE_FORMATS and image.mode == "I":
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    inverted = tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO
    grey = Image.new("L", image.size)
    for top, values in bands():
        np.nan_to_num(values, copy=False, nan=lowest, posinf=highest, neginf=lowest)
        pixels = _to_bytes(values, low, high)
        if inverted:
            pixels = np.iinfo(np.uint8).max - pixels
        grey.paste(Image.fromarray(pixels), (0, top))
    return grey


def _range(bands: Iterable[NDArray[np.float32]]) -> tuple[float, float]:
    """Give the lowest and the highest finite value; zeros if there is none."""
    low, high = np.inf, -np.inf
    for values in bands:
        finite = np.isfinite(values)
        seen = values if finite.all() else values[finite]
        if seen.size:
            low, high = min(low, float(seen.min())), max(high, float(seen.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _to_bytes(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    with np.errstate(over="ignore", invalid="ignore"):  # a span too large or small for float32
        values -= low
        values *= 255.0 / (high - low) if high > low else 0.0
    np.nan_to_num(values, copy=False)
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return values.astype(np.uint8)
