"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from platformdirs import user_cache_path

NAMES = ("listing", "folders", "objects", "store", "reports", "scheduler", "costs")


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured."""

    names: int = 200_000
    """Names in a bucket; with a shard, a fifth of them."""
    files: int = 100_000
    """Files in folders of this machine."""
    objects: int = 4_000
    """Objects that are read."""
    contents: int = 1_000_000
    """Contents that are kept in a store, and recalled."""
    rows: int = 1_000_000
    """Rows of a report."""
    shards: int = 16
    """Reports that are merged."""
    images: int = 40_000
    """Images that go through a cluster, each time."""


QUICK = Sizes(
    names=20_000, files=10_000, objects=300, contents=10_000, rows=20_000, shards=16, images=4_000
)


def read(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, Sizes]:
    """Read the options, or end with what is wrong with them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Measure what a run of millions meets besides the images; tables in Markdown.",
    )
    parser.add_argument(
        "what", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="little of each: a minute")
    for one in fields(Sizes):
        parser.add_argument(
            f"--{one.name}", type=_positive, metavar="N", help=f"(default: {one.default:,})"
        )
    parser.add_argument(
        "--folder",
        type=Path,
        default=user_cache_path("batchcls") / "benchmark",
        help="where stores and reports are made, and deleted again (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="a file for the tables, too")
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.what if name not in NAMES]
    if unknown:
        parser.error(f"there is no {unknown[0]!r}; there is: {', '.join(NAMES)}")
    asked.what = [name for name in NAMES if name in (asked.what or NAMES)]
    base = QUICK if asked.quick else Sizes()
    given = {one.name: getattr(asked, one.name) for one in fields(Sizes)}
    chosen = {name: given[name] or getattr(base, name) for name in given}
    return asked, Sizes(**chosen)


def _positive(text: str) -> int:
    count = int(text.replace("_", "").replace(",", ""))
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is below 1")
    return count
