"""What the pipelines share: their arguments, their report, and what they print of themselves."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIZE = 224
BATCH = 32
LABELS = Path(__file__).resolve().parents[2] / "batchcls/builtin/data/imagenet-labels.txt"

Item = TypeVar("Item")


def arguments(about: str | None) -> argparse.Namespace:
    """Read ``folder``, ``out`` and ``network`` from the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder")
    parser.add_argument("out", help="the CSV")
    parser.add_argument("--network", required=True)
    return parser.parse_args()


def paths_in(folder: str) -> list[str]:
    """Give the photographs of a folder, in the order of their names."""
    return sorted(str(path) for path in Path(folder).glob("*.jpg"))


def batches(items: Sequence[Item], size: int = BATCH) -> Iterator[Sequence[Item]]:
    """Cut into batches of ``size``, the last one shorter."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@contextlib.contextmanager
def timed() -> Iterator[None]:
    """Print how long it took, for :func:`printed_seconds`."""
    start = time.perf_counter()
    yield
    print(json.dumps({"seconds": time.perf_counter() - start}))


def printed_seconds(output: str) -> float:
    """Read from the output of a pipeline how long it took without starting up."""
    return float(json.loads(output.splitlines()[-1])["seconds"])


def write_report(
    out: str, paths: Sequence[str], probabilities: Sequence[NDArray[np.float32]]
) -> None:
    """Write path, label and score of each photograph; ``probabilities`` come in batches."""
    labels = LABELS.read_text(encoding="utf-8").splitlines()
    rows = (row for batch in probabilities for row in batch)
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "score"])
        for path, row in zip(paths, rows, strict=True):
            best = int(row.argmax())
            writer.writerow([Path(path).name, labels[best], f"{row[best]:.6f}"])
