"""Resizing: one antialiased kernel, Catmull-Rom, for every image on every machine.

Where the package cykooz_resizer is, it does the work with the processor's vector instructions, four
times as fast as Pillow, which does it elsewhere, and for what that package is not made for. The two
differ by rounding, and by a few levels at sharp edges. docs/performance.md has what other kernels
cost and what they are worth.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.picture import Samples

    Box = tuple[float, float, float, float]

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
    package = _package()
    suits = image.mode in _MODES and image.width * image.height <= _LARGEST
    if package is None or not suits:
        return image.resize(size, Image.Resampling.BICUBIC, box=box)  # with -0.5: Catmull-Rom
    return package.resize_image(image, size, box)


def resized_samples(samples: Samples, size: tuple[int, int], box: Box) -> NDArray[np.uint8]:
    """Resize a part of what is no image of Pillow's, in the same way: uint8 ``[H, W, channels]``.

    It is small enough for the package.
    """
    package = _package()
    if package is None:
        return np.atleast_3d(np.asarray(resized(samples.image, size, box)))
    return package.resize_samples(samples, size, box)


class _Package:
    """The package, to be used from many threads: a resizer has buffers, and belongs to one."""

    def __init__(self) -> None:
        import cykooz_resizer

        self._its = cykooz_resizer
        self._kernel = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.catmull_rom)
        types = cykooz_resizer.PixelType
        self._types = {1: types.U8, 3: types.U8x3}
        self._own = threading.local()

    def resize_image(self, image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
        target = Image.new(image.mode, size)
        self._resizer().resize_pil(image, target, self._options(box))
        return target

    def resize_samples(
        self, samples: Samples, size: tuple[int, int], box: Box
    ) -> NDArray[np.uint8]:
        type_ = self._types[samples.channels]
        source = self._its.ImageData(*samples.size, type_, samples.data)
        target = self._its.ImageData(*size, type_)
        self._resizer().resize(source, target, self._options(box))
        shape = (size[1], size[0], samples.channels)
        return np.frombuffer(target.get_buffer(), np.uint8).reshape(shape)

    def _resizer(self) -> Any:  # noqa: ANN401 - the package is untyped
        resizer = getattr(self._own, "resizer", None)
        if resizer is None:
            resizer = self._own.resizer = self._its.Resizer()
        return resizer

    def _options(self, box: Box) -> Any:  # noqa: ANN401
        left, top, right, bottom = box
        part = self._its.CropBox(left, top, right - left, bottom - top)
        return self._its.ResizeOptions(resize_alg=self._kernel, crop_box=part)


@cache
def _package() -> _Package | None:
    try:
        return _Package()
    except ImportError:
        return None
