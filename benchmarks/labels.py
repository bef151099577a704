"""Whether the labels are those that full precision and full decoding give, as JSON.

    python -m benchmarks.labels PHOTOGRAPHS ENLARGED NETWORK

*int8*: the photographs of a folder, the same pixels through this project's network and through
the float32 graph. *Reduced*: photographs of 12 megapixels, decoded at reduced scale, as this
project does, and in full; and what either takes, on one thread, taking turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import Model
from batchcls.decode import Decoder
from benchmarks.figures import ratio
from benchmarks.framed import IN_FULL, SIZE, framed
from benchmarks.networks import tensorflow_graph
from benchmarks.photographs import sources_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Scores = NDArray[np.floating[Any]]

ROUNDS = 3


def compare_int8(model: Model, network: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Compare the first labels of int8 and float32."""
    decoder = Decoder()
    pixels = np.stack([framed(decoder, str(path)) for path in paths])
    exact = tensorflow_graph.run(network, pixels)
    return compare(model.classes, [path.name for path in paths], scores_of(model, pixels), exact)


def compare_reduced(model: Model, paths: Sequence[Path]) -> dict[str, Any]:
    """Compare the first labels after decoding at reduced scale and in full; time both."""
    decoder = Decoder()
    pixels: dict[int, list[Pixels]] = {SIZE: [], IN_FULL: []}
    seconds: dict[int, list[float]] = {SIZE: [], IN_FULL: []}
    for path in paths:
        last: dict[int, Pixels] = {}
        took: dict[int, list[float]] = {SIZE: [], IN_FULL: []}
        for _ in range(ROUNDS):
            for decode_for, times in took.items():
                start = time.perf_counter()
                last[decode_for] = framed(decoder, str(path), decode_for)
                times.append(time.perf_counter() - start)
        for decode_for, times in took.items():
            pixels[decode_for].append(last[decode_for])
            seconds[decode_for].append(median(times))
    reduced, full = (scores_of(model, np.stack(pixels[size])) for size in (SIZE, IN_FULL))
    return {
        **compare(model.classes, [path.name for path in paths], reduced, full),
        "milliseconds": median(seconds[SIZE]) * 1e3,
        "milliseconds_in_full": median(seconds[IN_FULL]) * 1e3,
        "times": ratio(seconds[IN_FULL], seconds[SIZE]),
    }


def scores_of(model: Model, pixels: Pixels) -> Scores:
    """Give this project's probabilities."""
    return model.classifier.predict_proba(model.featurizer.featurize(pixels))


def compare(
    classes: Sequence[str], names: Sequence[str], scores: Scores, exact: Scores
) -> dict[str, Any]:
    """Count the same first labels, and list those that differ, each with its score."""
    differing = []
    for name, row, exact_row in zip(names, scores, exact, strict=True):
        ours, best = int(np.argmax(row)), int(np.argmax(exact_row))
        if ours != best:
            differing.append(
                {
                    "name": name,
                    "ours": [classes[ours], float(row[ours])],
                    "exact": [classes[best], float(exact_row[best])],
                    "exact_of_ours": float(exact_row[ours]),
                }
            )
    return {"images": len(names), "same": len(names) - len(differing), "differing": differing}


def main() -> None:
    """Compare labels."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("enlarged", type=Path)
    parser.add_argument("network", type=Path)
    options = parser.parse_args()
    model = Model.load("imagenet")
    found = {
        "int8": compare_int8(model, options.network, sources_in(options.photographs)),
        "reduced": compare_reduced(model, sources_in(options.enlarged)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
