"""Whether speed and memory stay the same, however many images a folder has.

Many images are made of a few, in folders of 1,000: as copies with a few bytes added at the end,
which a decoder does not look at and a store takes for other contents; or, where those would fill
the disk, as links to the same files, classified without a store.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.contenders import growing
from benchmarks.figures import Spread, spread
from benchmarks.measuring import Measured, measure

SIZES = (1_000, 10_000, 100_000)
# More copies than this are not made, and more images than this are classified once only.
MOST_COPIES = 10_000
FOLDER = 1_000
# Rare enough to cost nothing.
SAMPLING = 0.5
# Of the free disk, what may be filled.
SHARE_OF_DISK = 0.5

COPIES, LINKS = "distinct copies, fresh store", "hard links, no store"


@dataclass(frozen=True)
class Grown:
    """The figures of one number of images."""

    way: str
    images: int
    wall: Spread
    inner_images_per_second: float
    resident: int
    proportional: int | None


def measure_growth(
    photographs: Path, sizes: Sequence[int], rounds: int, scratch: Path, say: Callable[[str], None]
) -> list[Grown]:
    """Measure each number of images, taking turns."""
    sources = sorted(photographs.glob("*.jpg"))
    folders: dict[tuple[str, int], Path] = {}
    for size in sizes:
        for way, put in ((COPIES, copy_with_number), (LINKS, link)):
            folder = scratch / f"{way} {size}"
            if way == COPIES and not _room_for(sources, size, scratch):
                say(f"{size:,} images: no copies, as they would take too much of the disk")
                continue
            say(f"{size:,} images: {way}")
            fill(folder, sources, size, put)
            folders[way, size] = folder
    measured: dict[tuple[str, int], list[Measured]] = {key: [] for key in folders}
    for number in range(rounds):
        for (way, size), folder in folders.items():
            if number and size > MOST_COPIES:
                continue
            name = f"{way}, {size:,} images"
            one = growing(name, folder, size, scratch, stored=way == COPIES)
            measured[way, size].append(measure(one, str(scratch), SAMPLING))
            say(f"round {number + 1} of {rounds}: {name}, {measured[way, size][-1].wall:.1f} s")
    return [_grown(way, size, runs) for (way, size), runs in sorted(measured.items())]


def fill(
    folder: Path, sources: Sequence[Path], size: int, put: Callable[[Path, Path, int], None]
) -> None:
    """Put ``size`` files there, FOLDER of them in each folder."""
    for number in range(size):
        inner = folder / f"{number // FOLDER:03}"
        if number % FOLDER == 0:
            inner.mkdir(parents=True)
        put(sources[number % len(sources)], inner / f"{number:06}.jpg", number)


def copy_with_number(source: Path, target: Path, number: int) -> None:
    """Copy a photograph, and put a number behind its end, so that the content is another."""
    target.write_bytes(source.read_bytes() + b"%08d" % number)


def link(source: Path, target: Path, number: int) -> None:  # noqa: ARG001 - as the other
    """Give a photograph another name."""
    os.link(source, target)


def _room_for(sources: Sequence[Path], size: int, scratch: Path) -> bool:
    mean = sum(path.stat().st_size for path in sources) / len(sources)
    free = shutil.disk_usage(scratch).free
    return size <= MOST_COPIES and size * mean < free * SHARE_OF_DISK


def _grown(way: str, size: int, runs: Sequence[Measured]) -> Grown:
    return Grown(
        way=way,
        images=size,
        wall=spread([one.wall for one in runs]),
        inner_images_per_second=size / median(one.inner or one.wall for one in runs),
        resident=max(one.resident for one in runs),
        proportional=max(one.proportional or 0 for one in runs) or None,
    )
