"""The other half of this project, at its best: network and head, on every core.

    python -m benchmarks.pipelines.inference_only FOLDER PIXELS.npy --threads 2

It classifies the framed photographs of a file over and over, as many as the folder has.
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from batchcls import Model
from batchcls.pipeline import CHUNK
from benchmarks.pipelines.common import batches, paths_in, timed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def main() -> None:
    """Classify framed photographs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("pixels")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    pixels: NDArray[np.uint8] = np.load(options.pixels)
    places = [number % len(pixels) for number in range(len(paths_in(options.folder)))]
    model = Model.load("imagenet")
    together = threading.Barrier(options.threads)

    def classify(images: NDArray[np.uint8]) -> None:
        model.classifier.predict_proba(model.featurizer.featurize(images))

    def begin(_: int) -> None:
        together.wait()
        classify(pixels[:1])

    with ThreadPoolExecutor(options.threads) as pool:
        # The network is set up once for each thread, which is no part of the rate.
        list(pool.map(begin, range(options.threads)))
        with timed():
            list(pool.map(lambda chunk: classify(pixels[list(chunk)]), batches(places, CHUNK)))


if __name__ == "__main__":
    main()
