"""Convert a network that TensorFlow has read into a ``.tflite`` that LiteRT runs, and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from batchcls.errors import BatchclsError
from batchcls.networks.contract import to_contract
from batchcls.networks.litert import LiteRTFeaturizer
from batchcls.networks.quiet import quiet, tensorflow
from batchcls.networks.tables import Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.networks.preprocessing import Preprocessing
    from batchcls.networks.sources import Source

Precision = Literal["float32", "int8"]
Sample = Callable[[int], "NDArray[np.uint8]"]

# How alike the features must be to TensorFlow's own, for the image that is least so.
LEAST_COSINE = {"float32": 0.999, "int8": 0.99}
# Images to measure the ranges of activations with; more gain nothing (8 did as well, measured).
_CALIBRATION_IMAGES = 64
_CHECKED_IMAGES = 6


class ConversionError(BatchclsError):
    """A network that LiteRT can't run as TensorFlow does: says why, in one line."""


def convert(
    source: Source,
    preprocessing: Preprocessing,
    precision: Precision = "float32",
    sample: Sample | None = None,
) -> bytes:
    """Give a ``.tflite`` from RGB pixels, uint8 ``[1, S, S, 3]``, to features, float32 ``[1, D]``.

    ``sample(size)`` gives images as they will come, uint8 ``[M, size, size, 3]`` RGB; it is needed
    for int8, whose ranges are measured with it. What comes out is run, and compared with what
    TensorFlow makes of the same images. Raises ConversionError.
    """
    pictures = synthetic_pictures(_CHECKED_IMAGES, source.size)
    if precision == "int8":
        if sample is None:
            raise ConversionError("int8 needs images to measure ranges with")
        seen = sample(source.size)
        if not len(seen):
            raise ConversionError("int8 needs images to measure ranges with")
        # Spread over the sample, which may be sorted by class.
        pictures = seen[np.linspace(0, len(seen) - 1, _CHECKED_IMAGES).astype(int)]
        chosen = np.linspace(0, len(seen) - 1, min(len(seen), _CALIBRATION_IMAGES)).astype(int)
        network = _compile(source, [preprocessing.apply(one) for one in _calibration(seen[chosen])])
    else:
        network = _compile(source, None)
    try:
        network = to_contract(Tables(network), preprocessing)
        featurizer = LiteRTFeaturizer("converted", network)
    except ValueError as error:
        raise ConversionError(f"LiteRT can't run what it was converted to: {error}") from error
    expected = source.run(np.stack([preprocessing.apply(one) for one in pictures]))
    check_alike(expected, featurizer.featurize(pictures), precision)
    return network


def check_alike(
    expected: NDArray[np.float32], found: NDArray[np.float32], precision: Precision
) -> None:
    """Check that features, float32 ``[N, D]``, are as expected; ConversionError if not."""
    if expected.shape != found.shape:
        raise ConversionError(f"LiteRT gives {found.shape[1]} features, not {expected.shape[1]}")
    cosine = least_cosine(expected, found)
    if not cosine >= LEAST_COSINE[precision]:
        raise ConversionError(
            f"as {precision} on LiteRT its features are unlike TensorFlow's "
            f"(cosine {cosine:.4f}, {LEAST_COSINE[precision]} is the least)"
        )


def least_cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Give the least cosine between rows: 0 with a row of zeros, NaN where not finite."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(axis=1) / np.where(lengths == 0, 1.0, lengths)
    cosines[(a == b).all(axis=1)] = 1.0  # two rows of zeros have no direction, but are alike
    return float(cosines.min())


def synthetic_pictures(count: int, size: int) -> NDArray[np.uint8]:
    """Make pictures, uint8 ``[count, size, size, 3]``, of blobs of colour with some noise.

    They are the same each time.
    """
    random = np.random.default_rng(0)
    pictures = np.empty((count, size, size, 3), np.uint8)
    for picture in pictures:
        cells = int(random.integers(3, 12))
        blobs = random.uniform(0, 255, (cells, cells, 3))
        for axis in (0, 1):
            places = np.linspace(0, cells - 1, size)
            low = np.minimum(places.astype(int), cells - 2)
            part = (places - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
            blobs = blobs.take(low, axis) * (1 - part) + blobs.take(low + 1, axis) * part
        noise = random.normal(0, random.uniform(0, 25), blobs.shape)
        picture[:] = np.clip(blobs + noise, 0, 255).round()
    return pictures


def _calibration(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make sure that the darkest and the brightest level are there, so that the input spans them.

    Then it is quantised in steps of whole levels, and no bright picture is cut off.
    """
    spanning = pictures.copy()
    spanning[0, 0, 0], spanning[0, -1, -1] = 0, 255
    return spanning


def _compile(source: Source, calibration: list[NDArray[np.float32]] | None) -> bytes:
    """Run TensorFlow's converter: float32 pixels, preprocessed, in; features out."""
    tf = tensorflow()

    def represent() -> Iterator[list[NDArray[np.float32]]]:
        for picture in calibration or ():
            yield [picture[np.newaxis]]

    try:
        with quiet():
            function = source.freeze(1)
            converter: Any = tf.lite.TFLiteConverter.from_concrete_functions([function], function)
            if calibration is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = represent
                # The second is for the few operations that have no int8 kernel (LRN).
                converter.target_spec.supported_ops = [
                    tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                    tf.lite.OpsSet.TFLITE_BUILTINS,
                ]
            network: bytes = converter.convert()
    except Exception as error:  # the converter raises whatever it likes
        raise ConversionError(_reason(str(error))) from error
    return network


def _reason(said: str) -> str:
    """Find what matters in the pages that the converter says."""
    import re

    lacking = sorted(set(re.findall(r"tf\.(\w+) op is neither|'tf\.(\w+)' op is neither", said)))
    if lacking:
        names = ", ".join(sorted({a or b for a, b in lacking}))
        return f"LiteRT lacks operations that it has: {names}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"TensorFlow's converter fails: {(lines or ['no reason given'])[0][:200]}"
