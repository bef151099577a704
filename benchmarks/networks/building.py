"""Build the networks, each once, and check that all give the same probabilities.

    python -m benchmarks.networks.building FOLDER PIXELS.npy tensorflow keras onnx

A network is only kept where it agrees with the TensorFlow graph, so what is there is right.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.networks import keras_model, onnx_graph, pretrained, tensorflow_graph
from benchmarks.workspace import NETWORK_FILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What saves and runs each; all are compared with the first.
MODULES: dict[str, Any] = {
    "tensorflow": tensorflow_graph,
    "keras": keras_model,
    "onnx": onnx_graph,
}
REFERENCE = "tensorflow"
# What another order of the same float32 sums may make of a probability.
TOLERANCE = 1e-4
CHECKED = 8


class DisagreementError(Exception):
    """A network that does not compute what it should."""


def require_agreement(
    name: str, expected: NDArray[np.float32], found: NDArray[np.float32]
) -> float:
    """Give the largest difference of two networks' probabilities; DisagreementError for more."""
    if found.shape != expected.shape:
        raise DisagreementError(f"{name} gives {found.shape} where {expected.shape} is due")
    difference = float(np.abs(expected - found).max())
    if not difference <= TOLERANCE:
        raise DisagreementError(
            f"{name}: probabilities differ from those of {REFERENCE} by up to {difference:.2g}; "
            f"{TOLERANCE:.2g} is allowed"
        )
    return difference


def build(name: str, folder: Path, pixels: NDArray[np.uint8]) -> None:
    """Build the network ``name`` in ``folder``, unless it is there. DisagreementError if wrong."""
    target = folder / NETWORK_FILES[name]
    if target.exists():
        return
    unchecked = folder / f"unchecked-{NETWORK_FILES[name]}"
    shutil.rmtree(unchecked, ignore_errors=True)
    module = MODULES[name]
    module.save(pretrained.arrays(folder), unchecked)
    found = module.run(unchecked, pixels)
    if name == REFERENCE:
        _require_probabilities(name, found)
    else:
        expected = MODULES[REFERENCE].run(folder / NETWORK_FILES[REFERENCE], pixels)
        difference = require_agreement(name, expected, found)
        print(f"{name}: differs from {REFERENCE} by {difference:.2g} at most")
    os.replace(unchecked, target)


def _require_probabilities(name: str, found: NDArray[np.float32]) -> None:
    if not np.allclose(found.sum(axis=1), 1, atol=1e-4):
        raise DisagreementError(f"{name} gives no probabilities")


def main() -> None:
    """Build networks."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pixels", type=Path)
    parser.add_argument("names", nargs="+", choices=NETWORK_FILES)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    pixels = np.load(options.pixels)[:CHECKED]
    for name in dict.fromkeys([REFERENCE, *options.names]):
        try:
            build(name, options.folder, pixels)
        except (DisagreementError, ImportError) as error:
            sys.exit(f"the network {name} can't be built: {error}")
        except subprocess.CalledProcessError:  # pip's, which has said why
            sys.exit(f"the network {name} can't be built: its weights can't be downloaded")


if __name__ == "__main__":
    main()
