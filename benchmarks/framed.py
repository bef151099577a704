"""Photographs as this project's network sees them: read, decoded and framed by this project.

    python -m benchmarks.framed FOLDER PIXELS.npy 64

That keeps the first 64 of a folder, for what needs pixels and not the time to get them.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from batchcls.decode import Decoder
from batchcls.framing import Framing, frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 224
# Where an input of this size is asked for, the decoder reduces no photograph.
IN_FULL = 100_000


def framed(decoder: Decoder, path: str, decode_for: int = SIZE) -> NDArray[np.uint8]:
    """Give the pixels, uint8 ``[224, 224, 3]``, of a file.

    ``decode_for`` is the size of the input that it is decoded for, which may be ``IN_FULL``.
    """
    with open(path, "rb") as file:
        data = io.BytesIO(file.read())
    picture = decoder.decode_file(data, path, decode_for)
    try:
        return frame(picture, Framing.CROP, SIZE)
    finally:
        picture.close()


def main() -> None:
    """Frame the first photographs of a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pixels", type=Path)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    decoder = Decoder()
    paths = sorted(options.folder.glob("*.jpg"))[: options.count]
    np.save(options.pixels, np.stack([framed(decoder, str(path)) for path in paths]))


if __name__ == "__main__":
    main()
