"""The command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks.contenders import NAMES
from benchmarks.workspace import ROOT

SHARED_VARIABLE = "BATCHCLS_SHARED"


def read(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options, or end with what is wrong with them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this project beside what else one would write; a table in Markdown.",
        epilog=f"The pipelines: {', '.join(NAMES)}.",
    )
    add_places(parser)
    parser.add_argument("--images", type=_count, default=1000, help="photographs (%(default)s)")
    parser.add_argument(
        "--large", type=_count, default=50, help="photographs of 12 megapixels (%(default)s)"
    )
    parser.add_argument(
        "--rounds", type=_positive, default=5, help="rounds that count (%(default)s)"
    )
    parser.add_argument("--only", type=_names, default=list(NAMES), metavar="NAME,NAME")
    parser.add_argument("--no-labels", action="store_true", help="don't compare labels")
    parser.add_argument("--no-start-up", action="store_true", help="don't measure starting up")
    parser.add_argument("--growth", action="store_true", help="many images instead (long)")
    parser.add_argument(
        "--sizes", type=_sizes, metavar="N,N", help="numbers of images for --growth"
    )
    parser.add_argument("--out", type=Path, help="a file for the table, too")
    return parser.parse_args(arguments)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add what to start from, and where to keep what is made of it."""
    parser.add_argument(
        "--photos",
        type=Path,
        default=_photographs(),
        help="photographs to make the others of (default: %(default)s)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=user_cache_path("batchcls") / "benchmark",
        help="where photographs and networks are kept (default: %(default)s)",
    )


def _photographs() -> Path:
    shared = os.environ.get(SHARED_VARIABLE)
    photos = Path(shared) / "photos" if shared else None
    return photos if photos is not None and photos.is_dir() else ROOT / "assets" / "images"


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{count} is below 0")
    return count


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is below 1")
    return count


def _sizes(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    known = {name.casefold(): name for name in NAMES}
    wanted = [part.strip().casefold() for part in text.split(",")]
    for name in wanted:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there is: {', '.join(NAMES)}")
    return [name for name in NAMES if name.casefold() in wanted]
