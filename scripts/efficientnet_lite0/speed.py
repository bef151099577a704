"""Measure images per second of the embedded featurizer: one thread, and two side by side.

    python scripts/efficientnet_lite0/speed.py

Inference alone, on noise: the time does not depend on the pixels.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import network
import numpy as np
from convert import DATA
from litert import Featurizer

BATCHES = (1, 4, 8, 16)
IMAGES = 128
ROUNDS = 5


def images_per_second(model: Path, batch: int, threads: int) -> float:
    """Return the best of several rounds, ``threads`` interpreters working at once."""
    shape = (IMAGES, network.INPUT_SIZE, network.INPUT_SIZE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    featurizers = [Featurizer(model, batch) for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS + 1):  # the first one warms up and is never the best
            start = time.perf_counter()
            list(pool.map(lambda featurizer: featurizer.features(pixels), featurizers))
            best = max(best, threads * IMAGES / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure images per second of the embedded featurizer."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, default=DATA / "efficientnet-lite0.tflite")
    model = parser.parse_args().model
    for batch in BATCHES:
        one, two = (images_per_second(model, batch, threads) for threads in (1, 2))
        print(f"batch {batch:2}: {one:.0f} images/s with one thread, {two:.0f} with two")


if __name__ == "__main__":
    main()
