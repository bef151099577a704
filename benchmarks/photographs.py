"""The photographs to classify: many different files, made from a few photographs at hand.

    python -m benchmarks.photographs SOURCES FOLDER small 1000

A file depends on its number and its source alone, so the same command makes the same files (as far
as Pillow's and NumPy's versions are the same), and a folder that was left half made is completed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# To be raised when other files are made of the same sources.
FORMAT = 2
SEED = 20_260_000
SUFFIXES = {".jpg", ".jpeg"}
COMPLETE = ".complete"


@dataclass(frozen=True)
class Kind:
    """What files to make: of how many pixels, in their source's shape.

    ``noise`` is its standard deviation, in levels; ``coloured`` whether each channel has its own.
    ``varied`` ones are cropped and brightened a little, each in its own way, so that any number of
    them are different photographs; the others are their source, enlarged.
    """

    pixels: int
    noise: float
    coloured: bool
    varied: bool
    encoding: dict[str, Any]


# Noise and quality are such that files have the size of ImageNet's, 110 kB on average, and of what
# a camera makes of 12 megapixels in soft light, 1.5 to 2 MB.
KINDS = {
    "small": Kind(500 * 375, 2.0, True, True, {"quality": 95, "subsampling": "4:4:4"}),
    "large": Kind(4000 * 3000, 2.0, False, True, {"quality": 90, "subsampling": "4:2:0"}),
    "enlarged": Kind(4000 * 3000, 2.0, False, False, {"quality": 90, "subsampling": "4:2:0"}),
}


def sources_in(folder: Path) -> list[Path]:
    """Give the photographs to start from. FileNotFoundError if there are none."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{folder}: there are no JPEG files to make photographs of")
    return found


def folder_name(kind: str, count: int, sources: list[Path]) -> str:
    """Name a folder by all that its files depend on: whatever changes, it is another folder."""
    digest = hashlib.sha256(repr((FORMAT, KINDS[kind])).encode())
    for source in sources:
        digest.update(f"{source.name} {source.stat().st_size}\n".encode(errors="surrogateescape"))
    return f"{kind}-{count}-{digest.hexdigest()[:8]}"


def is_complete(folder: Path) -> bool:
    """Tell whether all files of a folder are made."""
    return (folder / COMPLETE).exists()


def make(kind: str, count: int, sources: list[Path], folder: Path) -> None:
    """Make ``count`` files, unless they are there. Each source has its turn, over and over."""
    if is_complete(folder):
        return
    from concurrent.futures import ThreadPoolExecutor

    folder.mkdir(parents=True, exist_ok=True)

    def one(number: int) -> None:
        source = sources[number % len(sources)]
        _save(KINDS[kind], source, number, folder / f"{number:06}-{source.stem}.jpg")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(count)))
    (folder / COMPLETE).touch()


def _save(kind: Kind, source: Path, number: int, target: Path) -> None:
    """Make the file ``number`` of its source."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng([SEED, number])
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    contrast, brightness = 1.0, 0.0
    if kind.varied:
        share = random.uniform(0.94, 1.0, 2)
        left, top = random.uniform(0.0, 1.0, 2) * (1 - share) * (width, height)
        box = (left, top, left + share[0] * width, top + share[1] * height)
        contrast, brightness = random.uniform(0.9, 1.1), random.uniform(-8.0, 8.0)
    factor = (kind.pixels / (width * height)) ** 0.5
    size = round(width * factor), round(height * factor)
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box), np.float32)
    shape = pixels.shape if kind.coloured else (*pixels.shape[:2], 1)
    changed = (pixels - 127.5) * np.float32(contrast) + np.float32(127.5 + brightness)
    changed += np.float32(kind.noise) * random.standard_normal(shape, np.float32)
    levels = changed.round().clip(0, 255).astype(np.uint8)
    Image.fromarray(levels).save(target, "JPEG", **kind.encoding)


def main() -> None:
    """Make a folder of photographs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    make(options.kind, options.count, sources_in(options.sources), options.folder)


if __name__ == "__main__":
    main()
