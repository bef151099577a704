"""A TensorFlow SavedModel: batch normalisation folded, pixels in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.networks.pretrained import script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# TensorFlow is untyped.
Tensor: TypeAlias = Any


def save(arrays: Mapping[str, NDArray[np.generic]], target: Path) -> None:
    """Write the folder ``target``."""
    import tensorflow as tf

    network = script("network")
    layers = network.build(arrays)

    def classify(pixels: Tensor) -> Tensor:
        features = network.layers(layers, pixels)
        return tf.nn.softmax(features @ layers.head_weights + layers.head_bias)

    size = network.INPUT_SIZE
    module = tf.Module()
    module.classify = tf.function(
        classify, input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)]
    )
    tf.saved_model.save(module, str(target))


def run(target: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the probabilities, ``[N, 1000]``."""
    import tensorflow as tf

    probabilities: NDArray[np.float32] = tf.saved_model.load(str(target)).classify(pixels).numpy()
    return probabilities
