"""JPEGs as cameras and programs write them, decoded without Pillow, which takes twice the calls.

Whatever is not common, or gives libjpeg cause for as much as a warning, is left to Pillow: it has
the last word on what can be read. Both decode with libjpeg-turbo, to the same samples.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from batchcls.picture import Samples
from batchcls.room import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable

_BEGINNING = b"\xff\xd8\xff"
_CHANNELS = {"Gray": (1, "GRAY"), "YCbCr": (3, "RGB")}
_SMALLEST = 8

# Markers, as ITU T.81 has them, table B.1.
_FILL, _START_OF_SCAN, _APP1 = 0xFF, 0xDA, 0xE1
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: Huffman, 8 bits
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_ORIENTATION = 0x0112


class _Header(NamedTuple):
    progressive: bool
    exif: bytes


def is_jpeg(data: bytes) -> bool:
    """Tell by how it begins."""
    return data.startswith(_BEGINNING)


def decode_common(data: bytes, short_side: int, max_pixels: int) -> Samples | None:
    """Decode a JPEG; None where it is Pillow's to do that, or to say why it can't be done.

    At 1/2, 1/4 or 1/8 of its size, as long as its short side keeps ``short_side`` pixels.
    """
    library = _library()
    header = _header(data) if library is not None else None
    if library is None or header is None:
        return None
    try:
        height, width, colours, _ = library.decode_jpeg_header(data)
        if colours not in _CHANNELS or not 0 < width * height <= max_pixels:
            return None
        scale = scale_for(width, height, short_side)
        size = -(-width // scale), -(-height // scale)
        # What is large has to wait for room. What is progressive is held in full.
        if (width * height if header.progressive else size[0] * size[1]) >= SMALL:
            return None
        orientation = _orientation(header.exif)
        channels, name = _CHANNELS[colours]
        samples = library.decode_jpeg(data, name, min_width=size[0], min_height=size[1])
        if samples.shape != (size[1], size[0], channels):
            return None
        return Samples(samples.tobytes(), size, channels, orientation)
    except Exception:  # noqa: BLE001 - of a warning, too, or of what it has no name for
        return None


def scale_for(width: int, height: int, short_side: int) -> int:
    """Give 1, 2, 4 or 8: by how much an image is reduced, as Pillow's `draft` has it."""
    scale = _SMALLEST
    while scale > 1 and min(width // scale, height // scale) < short_side:
        scale //= 2
    return scale


@cache
def _library() -> Any:  # noqa: ANN401 - it is untyped
    try:
        import simplejpeg
    except ImportError:  # it is required where resizing.py gains by it, too
        return None
    return simplejpeg


def _header(data: bytes) -> _Header | None:
    """Read what comes before the first scan; None for what isn't common, or is damaged."""
    at, exif, frame = len(_BEGINNING) - 1, b"", 0
    while at + 4 <= len(data) and data[at] == _FILL:
        marker = data[at + 1]
        if marker == _FILL:  # any number of them may come before a marker
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return _Header(frame == _PROGRESSIVE, exif) if frame else None
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _OTHER_FRAMES or (marker in _FRAMES and frame):
            return None
        if marker in _FRAMES:
            frame = marker
        elif marker == _APP1:
            if data.startswith(_EXIF, at + 4):
                if exif:
                    return None
                exif = data[at + 4 : end]
            elif data.startswith(_XMP, at + 4) and b"tiff:Orientation" in data[at + 4 : end]:
                return None
        at = end
    return None


def _orientation(exif: bytes) -> int:
    if not exif:
        return 1
    from PIL import Image

    return exif_orientation(lambda: _loaded(Image.Exif(), exif))


def _loaded(exif: Any, data: bytes) -> Any:  # noqa: ANN401 - a class of Pillow's
    exif.load(data)
    return exif


def exif_orientation(exif: Callable[[], Any]) -> int:
    """Read the EXIF orientation; 1, upright, where there is none or the EXIF data is broken."""
    try:
        value = exif().get(_EXIF_ORIENTATION, 1)
        return int(value) if value in range(1, 9) else 1
    except Exception:  # noqa: BLE001 - broken metadata is no reason to lose the image
        return 1
