"""tf.data reads, decodes and frames photographs, many at a time, while the network works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from benchmarks.pipelines.common import BATCH, SIZE

# TensorFlow is untyped.
Dataset: TypeAlias = Any
Tensor: TypeAlias = Any


def dataset(paths: Sequence[str]) -> Dataset:
    """Give batches, uint8 ``[N, 224, 224, 3]``, in the order of ``paths``."""
    return (
        tf.data.Dataset.from_tensor_slices(list(paths))
        .map(_framed, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )


def _framed(path: Tensor) -> Tensor:
    """Decode the middle alone, which takes two thirds of the time that the whole would."""
    data = tf.io.read_file(path)
    shape = tf.image.extract_jpeg_shape(data)
    height, width = shape[0], shape[1]
    edge = tf.minimum(height, width) * 7 // 8
    window = tf.stack([(height - edge) // 2, (width - edge) // 2, edge, edge])
    square = tf.image.decode_and_crop_jpeg(data, window, channels=3)
    # The mean of what falls on a pixel: antialiased, as Pillow's is, and a quarter of the time of
    # TensorFlow's antialiased bilinear.
    resized = tf.image.resize(square, (SIZE, SIZE), method="area")
    return tf.cast(tf.round(resized), tf.uint8)
