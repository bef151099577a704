"""EfficientNet-Lite0 as layers, made of the published weights; and its float32 forward pass.

EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and
with ReLU6 in place of swish, which is what makes the "Lite" variants quantise well. Every batch
normalisation is folded into the convolution before it, so what remains is convolutions with biases,
ReLU6 and additions.

The conversion needs the layers only. TensorFlow runs them in float32 for the checks, and is
imported only there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import tensorflow as tf

Array = npt.NDArray[Any]

INPUT_SIZE = 224
FEATURES = 1280
BATCH_NORM_EPSILON = 1e-3
# The network was trained on (pixel - 127) / 128.
PIXEL_ZERO = 127
PIXEL_SCALE = 1 / 128

# Table 1 of the paper: repeats, kernel size, stride of the first, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


class Convolution(NamedTuple):
    """One convolution, its batch normalisation folded in.

    ``kernel`` is float64 [out, height, width, in], with an ``in`` of 1 where ``depthwise``;
    ``bias`` is float64 [out]. ``mean`` and ``deviation``, float64 [out], describe the output before
    ReLU6 over the training data: batch normalisation leaves every channel with mean beta and
    standard deviation gamma.
    """

    name: str
    kernel: Array
    bias: Array
    stride: int
    depthwise: bool
    relu6: bool
    mean: Array
    deviation: Array


class Block(NamedTuple):
    """Convolutions in sequence; where ``residual``, the block's input is added to its output."""

    name: str
    convolutions: tuple[Convolution, ...]
    residual: bool = False


class Network(NamedTuple):
    """The network up to its features, and the classes' head that makes logits of them."""

    blocks: tuple[Block, ...]
    head_weights: Array  # float32 [1280, 1000]
    head_bias: Array  # float32 [1000]


def _convolution(
    weights: Mapping[str, Array], kernel: str, norm: str, *, stride: int = 1, relu6: bool = True
) -> Convolution:
    """Fold a batch normalisation into the bias-free convolution before it."""
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    raw = weights[f"{kernel}.weight"].astype(np.float64)  # PyTorch's [out, in, height, width]
    return Convolution(
        name=kernel.replace("._", "/").lstrip("_"),
        kernel=raw.transpose(0, 2, 3, 1) * factor[:, None, None, None],
        bias=beta - mean * factor,
        stride=stride,
        depthwise=kernel.endswith("_depthwise_conv"),
        relu6=relu6,
        mean=beta,
        deviation=np.abs(gamma),
    )


def _inverted_bottlenecks(weights: Mapping[str, Array]) -> Iterator[Block]:
    """Yield the MBConv blocks: expand 1x1, depthwise, project 1x1 with no activation behind it."""
    index, channels = 0, STEM_CHANNELS
    for repeats, size, first_stride, expansion, out in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            at = f"_blocks.{index}"
            parts = [
                _convolution(weights, f"{at}._depthwise_conv", f"{at}._bn1", stride=stride),
                _convolution(weights, f"{at}._project_conv", f"{at}._bn2", relu6=False),
            ]
            if expansion != 1:
                parts.insert(0, _convolution(weights, f"{at}._expand_conv", f"{at}._bn0"))
            if parts[-2].kernel.shape != (channels * expansion, size, size, 1):
                raise ValueError(f"{at}: the weights have another shape than the architecture")
            residual = stride == 1 and channels == out
            yield Block(f"blocks.{index}", tuple(parts), residual)
            index, channels = index + 1, out


def build(weights: Mapping[str, Array]) -> Network:
    """Build the network from arrays by their published names, see :func:`weights.load`."""
    return Network(
        blocks=(
            Block("stem", (_convolution(weights, "_conv_stem", "_bn0", stride=2),)),
            *_inverted_bottlenecks(weights),
            Block("head", (_convolution(weights, "_conv_head", "_bn1"),)),
        ),
        head_weights=np.ascontiguousarray(weights["_fc.weight"].T),
        head_bias=weights["_fc.bias"],
    )


def forward(network: Network, pixels: Array) -> Array:
    """Pixels uint8 [N, 224, 224, 3], RGB -> features float32 [N, 1280], in float32 throughout."""
    import tensorflow as tf

    features: Array = layers(network, tf.constant(pixels)).numpy()
    return features


def layers(network: Network, pixels: tf.Tensor) -> tf.Tensor:
    """Do as :func:`forward` from tensor to tensor, also inside a ``tf.function``."""
    import tensorflow as tf

    x = (tf.cast(pixels, tf.float32) - PIXEL_ZERO) * PIXEL_SCALE
    for block in network.blocks:
        shortcut = x
        for layer in block.convolutions:
            x = _convolve(x, layer)
        if block.residual:
            x += shortcut
    return tf.reduce_mean(x, axis=(1, 2))


def _convolve(x: tf.Tensor, layer: Convolution) -> tf.Tensor:
    import tensorflow as tf

    operation = tf.nn.depthwise_conv2d if layer.depthwise else tf.nn.conv2d
    # To [height, width, in, out], or [height, width, channels, 1] for a depthwise one.
    order = (1, 2, 0, 3) if layer.depthwise else (1, 2, 3, 0)
    kernel = layer.kernel.transpose(order).astype(np.float32)
    x = operation(x, kernel, strides=[1, layer.stride, layer.stride, 1], padding="SAME")
    x = tf.nn.bias_add(x, layer.bias.astype(np.float32))
    return tf.nn.relu6(x) if layer.relu6 else x
