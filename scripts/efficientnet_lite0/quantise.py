"""Quantise the network to int8 with no images at all, from what batch normalisation knows.

Scheme: https://ai.google.dev/edge/litert/models/quantization_spec, that is int8 weights with a
scale per output channel, int8 activations with a scale and a zero point per tensor, int32 biases.

After training, every batch normalisation says how each channel of its output is distributed over
the training data: mean beta, standard deviation gamma. Taken as normal distributions, these numbers
give the ranges of the activations and the mean input of every convolution (Nagel et al. 2019,
"Data-Free Quantization Through Weight Equalization and Bias Correction",
https://arxiv.org/abs/1906.04721). Photographs to calibrate on did no better, see README.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from network import PIXEL_SCALE, PIXEL_ZERO
from writer import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from network import Convolution

Array = npt.NDArray[Any]

INT8_MIN, INT8_MAX = -128, 127
# Symmetric weights: LiteRT wants the range without -128.
WEIGHT_MAX = 127
# How many standard deviations of its widest channel a tensor without ReLU6 can hold. With 4 the
# clipping, with 6 the coarseness is a little worse.
DEVIATIONS = 5.0
# No bias may come near the end of int32; it grows without bounds where a channel's weights vanish.
BIAS_MAX = 2.0**30

# The pixels themselves: uint8 as they come, and the same values as int8.
PIXELS = Scale(PIXEL_SCALE, PIXEL_ZERO)
NORMALISED = Scale(PIXEL_SCALE, PIXEL_ZERO + INT8_MIN)
# Always the whole of [0, 6]: a range that ends where some images end clips others.
RELU6 = Scale(6 / (INT8_MAX - INT8_MIN), INT8_MIN)


class Channels(NamedTuple):
    """How the channels of an activation are distributed: mean and deviation, float64 [channels]."""

    mean: Array
    deviation: Array


class QuantisedConvolution(NamedTuple):
    """What the file carries for a convolution."""

    kernel: Array  # int8 [out, height, width, in]
    scales: Array  # float32 [out]
    bias: Array  # int32 [out], in units of input scale times kernel scale


def added(first: Channels, second: Channels) -> Channels:
    """Return the distribution of a sum; the two are taken as independent."""
    return Channels(first.mean + second.mean, np.hypot(first.deviation, second.deviation))


def linear_scale(channels: Channels) -> Scale:
    """Choose the scale of an activation that no ReLU6 bounds."""
    reach = DEVIATIONS * channels.deviation
    low = min(float(np.min(channels.mean - reach)), 0.0)
    high = max(float(np.max(channels.mean + reach)), 0.0)
    scale = (high - low) / (INT8_MAX - INT8_MIN)
    return Scale(scale, round(INT8_MIN - low / scale))


def relu6_mean(channels: Channels) -> Array:
    """Return the mean of ReLU6 of normally distributed channels, float64 [channels].

    The integral of clip(x, 0, 6) over the density, in parts: between the bounds a truncated normal
    distribution, above them 6 times the tail.
    """
    deviation = np.maximum(channels.deviation, 1e-9)
    low, high = -channels.mean / deviation, (6 - channels.mean) / deviation
    between = channels.mean * (_normal_cdf(high) - _normal_cdf(low))
    between -= deviation * (_normal_density(high) - _normal_density(low))
    result: Array = between + 6 * (1 - _normal_cdf(high))
    return result


def _normal_cdf(x: Array) -> Array:
    return np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x])


def _normal_density(x: Array) -> Array:
    return np.asarray(np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi))


def round_keeping_sums(values: Array, axes: Sequence[int]) -> Array:
    """Round so that sums along ``axes`` stay within one half of what they were.

    The largest-remainder method: round everything down, then round up as many as the sum lacks,
    those with the largest fractions first. Over the window of a kernel this keeps its answer to an
    even area, and even areas are most of what images and ReLU6 activations consist of; errors that
    rounding to nearest leaves there do not average out.
    """
    moved = np.moveaxis(values, axes, range(-len(axes), 0))
    rows = moved.reshape(-1, math.prod(moved.shape[-len(axes) :]))
    floors = np.floor(rows)
    fractions = rows - floors
    lacking = np.rint(fractions.sum(axis=1, keepdims=True))
    rank = np.argsort(np.argsort(-fractions, axis=1, kind="stable"), axis=1, kind="stable")
    rounded = (floors + (rank < lacking)).reshape(moved.shape)
    return np.moveaxis(rounded, range(-len(axes), 0), axes)


def quantise(layer: Convolution, input_scale: float, input_mean: Array) -> QuantisedConvolution:
    """Quantise kernel and bias; ``input_mean`` is float64 [in], the mean input by channel.

    The bias takes up what rounding the kernel does to the mean of the output ("bias correction").
    Borders, where a kernel reaches into the padding, are left out of the account.
    """
    largest = np.abs(layer.kernel).max(axis=(1, 2, 3))
    smallest_scale = np.maximum(np.abs(layer.bias) / (input_scale * BIAS_MAX), 1e-12)
    scales = np.maximum(largest / WEIGHT_MAX, smallest_scale).astype(np.float32)
    exact = scales.astype(np.float64)[:, None, None, None]

    kernel = round_keeping_sums(layer.kernel / exact, axes=(1, 2)).clip(-WEIGHT_MAX, WEIGHT_MAX)
    error = (kernel * exact - layer.kernel).sum(axis=(1, 2))  # [out, in], or [channels, 1]
    shift = error[:, 0] * input_mean if layer.depthwise else error @ input_mean
    bias = (layer.bias - shift) / (input_scale * exact.ravel())
    return QuantisedConvolution(kernel.astype(np.int8), scales, np.rint(bias).astype(np.int32))
