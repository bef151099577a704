"""A Keras model as most people would write it: layers of their own for batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.networks.pretrained import script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

# Keras is untyped.
Tensor: TypeAlias = Any


class _Builder:
    """Adds layers, each with its weights, to what there is so far."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        import keras

        self._arrays = arrays
        self._layers = keras.layers
        self._weights: list[tuple[Any, list[Array]]] = []

    def convolution(
        self, x: Tensor, kernel: str, norm: str, *, stride: int = 1, activation: bool = True
    ) -> Tensor:
        """Add a convolution without a bias, batch normalisation, and ReLU6."""
        weights = self._arrays[f"{kernel}.weight"]  # [out, in, height, width]
        edge = weights.shape[2]
        same: dict[str, Any] = {"strides": stride, "padding": "same", "use_bias": False}
        if kernel.endswith("_depthwise_conv"):
            layer = self._layers.DepthwiseConv2D(edge, **same)
            order = (2, 3, 0, 1)
        else:
            layer = self._layers.Conv2D(weights.shape[0], edge, **same)
            order = (2, 3, 1, 0)
        normalise = self._layers.BatchNormalization(epsilon=script("network").BATCH_NORM_EPSILON)
        parts = ("weight", "bias", "running_mean", "running_var")
        self._weights += [
            (layer, [weights.transpose(order)]),
            (normalise, [self._arrays[f"{norm}.{part}"] for part in parts]),
        ]
        x = normalise(layer(x))
        return self._layers.ReLU(max_value=6.0)(x) if activation else x

    def block(self, x: Tensor, index: int, expansion: int, stride: int) -> Tensor:
        """Add an inverted bottleneck; where its shape stays the same, its input is added."""
        at = f"_blocks.{index}"
        before = x
        if expansion != 1:
            x = self.convolution(x, f"{at}._expand_conv", f"{at}._bn0")
        x = self.convolution(x, f"{at}._depthwise_conv", f"{at}._bn1", stride=stride)
        x = self.convolution(x, f"{at}._project_conv", f"{at}._bn2", activation=False)
        return self._layers.Add()([before, x]) if before.shape == x.shape else x

    def head(self, x: Tensor) -> Tensor:
        """Add the classes."""
        bias = self._arrays["_fc.bias"]
        layer = self._layers.Dense(len(bias), activation="softmax")
        self._weights.append((layer, [self._arrays["_fc.weight"].T, bias]))
        return layer(self._layers.GlobalAveragePooling2D()(x))

    def set_weights(self) -> None:
        """Fill in the weights, which the layers take once they are part of a model."""
        for layer, weights in self._weights:
            layer.set_weights(weights)


def save(arrays: Mapping[str, Array], target: Path) -> None:
    """Write the file ``target``, whose name ends in ``.keras``."""
    import keras

    network = script("network")
    build = _Builder(arrays)
    inputs = keras.Input((network.INPUT_SIZE, network.INPUT_SIZE, 3))
    scale = network.PIXEL_SCALE
    x = keras.layers.Rescaling(scale, offset=-network.PIXEL_ZERO * scale)(inputs)
    x = build.convolution(x, "_conv_stem", "_bn0", stride=2)
    index = 0
    for repeats, _, stride, expansion, _ in network.STAGES:
        for repeat in range(repeats):
            x = build.block(x, index, expansion, stride if repeat == 0 else 1)
            index += 1
    x = build.convolution(x, "_conv_head", "_bn1")
    model = keras.Model(inputs, build.head(x))
    build.set_weights()
    model.save(target)


def run(target: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the probabilities, ``[N, 1000]``."""
    import keras

    model = keras.saving.load_model(target, compile=False)
    probabilities: NDArray[np.float32] = model.predict(pixels, verbose=0)
    return probabilities
