"""Resizing: one antialiased kernel, Catmull-Rom, for every image on every machine.

Where the package cykooz_resizer is, it does the work with the processor's vector instructions, four
times as fast as Pillow, which does it elsewhere, and for what that package is not made for. The two
differ by rounding. docs/performance.md has what other kernels cost and what they are worth.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    Box = tuple[float, float, float, float]
    Resize = Callable[[Image.Image, tuple[int, int], Box], Image.Image]

# Modes without transparency, whose samples Pillow keeps as the package expects them.
_MODES = frozenset({"L", "RGB"})
# What is larger is left to Pillow: the package keeps the interpreter lock, so that a large image
# would hold up all other threads. This many pixels take it 2 ms. No photograph is larger, since
# JPEGs are decoded at a reduced size.
_LARGEST = 4_000_000


def resized(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """Resize a part of an image, antialiased: ``box`` is left, top, right, bottom, in pixels.

    The mode stays: L, LA, RGB, RGBA or CMYK.
    """
    resize = _with_package() if _suits(image) else None
    return (resize or _with_pillow)(image, size, box)


def _suits(image: Image.Image) -> bool:
    return image.mode in _MODES and image.width * image.height <= _LARGEST


def _with_pillow(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box)  # with -0.5: Catmull-Rom


@cache
def _with_package() -> Resize | None:
    try:
        from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer
    except ImportError:
        return None
    kernel = ResizeAlg.convolution(FilterType.catmull_rom)
    own = threading.local()  # a resizer has buffers of its own, and belongs to one thread

    def resize(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        left, top, right, bottom = box
        resizer: Any = getattr(own, "resizer", None)
        if resizer is None:
            resizer = own.resizer = Resizer()
        part = CropBox(left, top, right - left, bottom - top)
        target = Image.new(image.mode, size)
        resizer.resize_pil(image, target, ResizeOptions(resize_alg=kernel, crop_box=part))
        return target

    return resize
