"""Any TensorFlow network by path: SavedModel, ``.keras``, frozen graph or ``.tflite``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from batchcls.errors import UsageError
from batchcls.records import NetworkInfo
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Featurizer
    from batchcls.networks.sources import Source

NAME = "tensorflow"
KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_BLOCK = 2**20


class TensorFlowNetwork:
    """Provider of a network that the user has.

    The path is needed for training alone: a model carries its network.
    """

    name = NAME
    description = "Your own network: a SavedModel, a .keras file, a frozen graph, or a .tflite"

    def create(
        self,
        context: Context,
        *,
        path: str,
        input: str | None = None,
        output: str | None = None,
        signature: str | None = None,
        size: int | None = None,
        order: Literal["rgb", "bgr"] = "rgb",
        mean: float | tuple[float, ...] = 0.0,
        scale: float | tuple[float, ...] = 1.0,
        precision: Literal["float32", "int8"] = "float32",
        runtime: Literal["litert", "tensorflow"] = "litert",
    ) -> Featurizer:
        """Read the network, and convert it unless that was done before.

        ``input`` and ``output`` are names in it, needed where there are several; ``signature`` is
        a SavedModel's; ``size`` the edge of its input in pixels, needed where it takes any. What
        it is fed is (pixel - ``mean``) * ``scale``, one number or one for each channel, the
        channels in ``order``. Raises UsageError for what can't be used.
        """
        from batchcls.networks.featurizer import network_featurizer
        from batchcls.networks.preprocessing import preprocessing

        path = os.path.expanduser(path)
        if not os.path.exists(path):
            raise UsageError(
                f"{shown(path)}: no such file or folder",
                hint="Give the path of a network: -F path=network.keras",
            )
        asked = preprocessing(order, _numbers(mean), _numbers(scale))
        if path.lower().endswith(".tflite"):
            return _tflite(path, asked, input, output, signature, size, precision, runtime)
        settings = (input, output, signature, size, asked, precision)
        key = hashlib.sha256(f"{_digest(path)} {settings}".encode()).hexdigest()
        return network_featurizer(
            NAME,
            _source(path, input, output, signature, size),
            asked,
            runtime=runtime,
            precision=precision,
            sample=context.sample,
            say=context.say,
            cache_path=os.path.join(context.models_folder, f"{NAME}-{key[:32]}.tflite"),
        )

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        from batchcls.networks.featurizer import restore_featurizer

        return restore_featurizer(NAME, files)

    def about(self, context: Context) -> NetworkInfo:
        """Tell of the network that the configuration names, if it does."""
        path = context.settings.featurizer.get(NAME, {}).get("path")
        if not isinstance(path, str):
            return NetworkInfo(at_hand=None, note="To use yours: -F path=network.keras")
        return NetworkInfo(at_hand=os.path.exists(path), place=path)


def _numbers(value: float | tuple[float, ...]) -> float | tuple[float, float, float]:
    """Take one number, or one for each channel. ValueError for another count."""
    if isinstance(value, (int, float)):
        return value
    if len(value) == 1:
        return value[0]
    if len(value) != 3:
        raise ValueError("mean and scale are one number, or three, one for each channel")
    return (value[0], value[1], value[2])


def _source(
    path: str, given: str | None, output: str | None, signature: str | None, size: int | None
) -> Callable[[], Source]:
    """Choose the reader by what the path is."""
    if os.path.isdir(path):
        from batchcls.networks.savedmodel import read_saved_model

        return lambda: read_saved_model(
            path, signature=signature, input_name=given, output_name=output, size=size
        )
    if signature is not None:
        raise UsageError(f"{shown(path)}: only a SavedModel, a folder, has signatures")
    if path.lower().endswith(KERAS_SUFFIXES):
        if given is not None:
            raise UsageError(f"{shown(path)}: the input of a Keras model needs no name")
        from batchcls.networks.kerasmodel import read_keras

        return lambda: read_keras(path, output_name=output, size=size)
    if path.lower().endswith(".pb"):
        from batchcls.networks.frozengraph import read_frozen_graph

        return lambda: read_frozen_graph(path, input_name=given, output_name=output, size=size)
    raise UsageError(
        f"{shown(path)}: not a network by its name",
        hint="A SavedModel is a folder; others end in .keras, .h5, .pb or .tflite.",
    )


def _tflite(
    path: str,
    asked: object,
    given: str | None,
    output: str | None,
    signature: str | None,
    size: int | None,
    precision: str,
    runtime: str,
) -> Featurizer:
    from batchcls.networks.preprocessing import Preprocessing
    from batchcls.networks.tflite import tflite_featurizer

    if given is not None or signature is not None:
        raise UsageError(f"{shown(path)}: the one input of a .tflite needs no name")
    if precision != "float32" or runtime != "litert":
        raise UsageError(
            f"{shown(path)}: a .tflite is run as it is, by LiteRT",
            hint="Leave precision and runtime out.",
        )
    plain = asked == Preprocessing()
    preprocessing = asked if isinstance(asked, Preprocessing) and not plain else None
    return tflite_featurizer(NAME, path, preprocessing, output_name=output, size=size)


def _digest(path: str) -> str:
    """Give the SHA-256 of a file, or of all that is in a folder, in hex."""
    paths = [path]
    if os.path.isdir(path):
        paths = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
        )
    total = hashlib.sha256()
    try:
        for one in paths:
            total.update(os.fsencode(os.path.relpath(one, path)) + b"\0")
            with open(one, "rb") as file:
                digest = hashlib.sha256()
                while block := file.read(_BLOCK):
                    digest.update(block)
            total.update(digest.digest())
    except OSError as error:
        raise UsageError(f"{shown(path)}: can't be read: {error.strerror or error}") from None
    return total.hexdigest()
