"""Keras, imported when it is needed, and without its chatter."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from batchcls.errors import UsageError
from batchcls.networks.quiet import quiet, tensorflow

_BACKEND_HINT = "Unset KERAS_BACKEND, or set it to tensorflow."


def load_keras() -> Any:  # noqa: ANN401 - Keras is untyped
    """Import Keras (5 s the first time) and give it; UsageError where it can't be used."""
    tf = tensorflow()
    try:
        with quiet():
            import keras

            tf.zeros(1)  # what TensorFlow says at its first operation, it says here
    except ImportError as error:
        raise UsageError(f"Keras can't be imported: {error}", hint=_BACKEND_HINT) from error
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras runs on {keras.backend.backend()} here, not on TensorFlow", hint=_BACKEND_HINT
        )
    if keras.config.image_data_format() != "channels_last":
        raise UsageError(
            "Keras is set to put channels first, which LiteRT can't run",
            hint='Set "image_data_format" to "channels_last" in ~/.keras/keras.json.',
        )
    return keras


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Keep Keras's warnings, and its progress bars, off standard error and standard output.

    Unlike ``quiet()`` this lets through what batchcls says meanwhile.
    """
    config = load_keras().config
    talked = config.is_interactive_logging_enabled()
    config.disable_interactive_logging()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if talked:
            config.enable_interactive_logging()
