"""The store: keeping what was found out of many contents, and recalling it all, unchanged.

    python -m benchmarks.scale.storing record 1000000 FOLDER
    python -m benchmarks.scale.storing recall 1000000 FOLDER

Each prints its figures as JSON. Seconds are those in the store, and in packing what goes into it.
"""

from __future__ import annotations

import argparse
import os
import time

from batchcls.store.memory import StoreMemory, Ways, findings_of
from batchcls.store.store import Store
from benchmarks.scale.probe import Work, tell
from benchmarks.scale.rows import BLOCK, CHUNK, DIMENSION, Made, blocks, identity_of

# The rate is told of such a part at the beginning and at the end, too.
PART = 0.1


def opened(folder: str, classes: int) -> StoreMemory:
    """Open the store for a model of so many classes."""

    def warn(text: str) -> None:
        raise RuntimeError(text)

    store = Store(folder, warn)
    ids = [store.way(name, name) for name in ("decoding", "featurizing", "predicting")]
    ways = Ways(ids[0], (ids[1],), ids[2])
    return StoreMemory(store, ways, DIMENSION, Made(classes).classes)


def record(count: int, folder: str) -> dict[str, float]:
    """Keep so many contents, in chunks, each with its features and its labels."""
    made = Made()
    memory = opened(folder, made.class_count)
    work, seconds = Work(count), []
    for numbers in blocks(count, CHUNK):
        files = [made.file(one) for one in numbers]
        extracted = made.extracted(numbers)
        predictions = [made.prediction(one) for one in numbers]
        began = time.perf_counter()
        memory.keep(findings_of(memory.ways, files, extracted, predictions))
        seconds.append(time.perf_counter() - began)
        work.did(len(numbers))
    memory.store.close()
    size = sum(entry.stat().st_size for entry in os.scandir(folder))
    return {**work.figures(), **_rates(seconds, CHUNK), "bytes": size}


def recall(count: int, folder: str) -> dict[str, float]:
    """Ask for all of them. RuntimeError where one is not known."""
    made = Made()
    memory = opened(folder, made.class_count)
    work, seconds = Work(count), []
    for numbers in blocks(count, BLOCK):
        files = [made.file(one) for one in numbers]
        identities = [identity_of(one) for one in numbers]
        began = time.perf_counter()
        found = memory.recall(files, identities)
        seconds.append(time.perf_counter() - began)
        if not all(getattr(one, "recalled", False) for one in found):
            raise RuntimeError(f"{files[0].path}, or one of those after it, is not known")
        work.did(len(numbers))
    memory.store.close()
    return {**work.figures(), **_rates(seconds, BLOCK)}


def _rates(seconds: list[float], size: int) -> dict[str, float]:
    part = max(1, int(PART * len(seconds)))
    first, last = seconds[:part], seconds[-part:]
    return {
        "seconds": sum(seconds),
        "early_rate": size * len(first) / sum(first),
        "late_rate": size * len(last) / sum(last),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=["record", "recall"])
    parser.add_argument("count", type=int)
    parser.add_argument("folder")
    asked = parser.parse_args()
    tell((record if asked.what == "record" else recall)(asked.count, asked.folder))


if __name__ == "__main__":
    main()
