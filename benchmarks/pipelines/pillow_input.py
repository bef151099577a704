"""Pillow opens, decodes and frames one photograph after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from benchmarks.pipelines.common import SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

CROP_SHARE = 7 / 8


def pixels_of(paths: Sequence[str]) -> NDArray[np.uint8]:
    """Give a batch, uint8 ``[N, 224, 224, 3]``."""
    return np.stack([_framed(path) for path in paths])


def _framed(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        width, height = image.size
        edge = min(width, height) * CROP_SHARE
        left, top = (width - edge) / 2, (height - edge) / 2
        box = (left, top, left + edge, top + edge)
        # In Pillow it is antialiased, and the quickest that is.
        resized = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
        return np.asarray(resized)
