"""Images for the checks, framed as the network was evaluated. Needs NumPy and Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 224
# The usual evaluation crop: scale the short side to 256, take the middle 224.
CROP = 224 / 256
SUFFIXES = {".jpg", ".jpeg", ".png"}


def load(folder: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Return the sorted file names of a folder's images, and uint8 pixels [N, 224, 224, 3], RGB."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no images in {folder}")
    return [path.name for path in paths], np.stack([_frame(path) for path in paths])


def _frame(path: Path) -> npt.NDArray[Any]:
    with Image.open(path) as image:
        width, height = image.size
        side = min(width, height) * CROP
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        # BILINEAR in Pillow is antialiased: its support grows with the reduction.
        framed = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
        return np.asarray(framed)
