"""From a network somewhere to a featurizer: the face of this package, for providers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from batchcls.atomic import write_atomically
from batchcls.errors import BatchclsError, UsageError
from batchcls.networks.litert import NETWORK_FILE, LiteRTFeaturizer
from batchcls.networks.preprocessing import Preprocessing
from batchcls.networks.tflite import tflite_featurizer
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.interfaces import Featurizer
    from batchcls.networks.convert import Precision, Sample
    from batchcls.networks.sources import Source

__all__ = ["Runtime", "network_featurizer", "restore_featurizer", "tflite_featurizer"]

Runtime = Literal["litert", "tensorflow"]
# Beside a network that is not what was asked for: why, to be said at every training.
_NOTE = ".note"


def network_featurizer(
    name: str,
    source: Callable[[], Source],
    preprocessing: Preprocessing,
    *,
    runtime: Runtime = "litert",
    precision: Precision = "float32",
    sample: Sample | None = None,
    say: Callable[[str], None] = lambda _: None,
    cache_path: str | None = None,
) -> Featurizer:
    """Make a featurizer of a network that TensorFlow can read.

    With the runtime ``litert`` the network is converted, and kept at ``cache_path``; where that
    file is there and sound, ``source`` isn't even called, and TensorFlow not imported. So its name
    must tell apart the weights, the output, the preprocessing and the precision. An int8 network
    is calibrated with the images of the first training and then stays, whatever comes later, or
    features that were kept would be of no more use. ``sample(size)`` gives those images, uint8
    ``[M, size, size, 3]`` RGB.

    A network that can't be converted to int8 is converted to float32, which is kept in its place;
    one that can't be converted at all runs with TensorFlow itself. ``say`` tells so. Raises
    BatchclsError where the network can't be had.
    """
    if runtime == "litert":
        cached = _cached(name, cache_path, say)
        if cached is not None:
            return cached
    read = source()
    if runtime == "litert":
        featurizer = _converted(name, read, preprocessing, precision, sample, say, cache_path)
        if featurizer is not None:
            return featurizer
    from batchcls.networks.tensorflow_runtime import make_tensorflow_featurizer

    try:
        return make_tensorflow_featurizer(name, read, preprocessing)
    except ValueError as error:
        raise UsageError(
            f"{name}: TensorFlow can't run it as a featurizer: {error}",
            hint="Name an output further inside, or use another network.",
        ) from error


def restore_featurizer(name: str, files: Mapping[str, bytes]) -> Featurizer:
    """Make a featurizer of the files that ``to_files`` gave; ValueError for what isn't sound."""
    if set(files) == {NETWORK_FILE}:
        return LiteRTFeaturizer(name, files[NETWORK_FILE])
    from batchcls.networks.tensorflow_runtime import GRAPH_FILE, TensorFlowFeaturizer

    if set(files) == {GRAPH_FILE}:
        return TensorFlowFeaturizer(name, files[GRAPH_FILE])
    raise ValueError(f"expected the one file {NETWORK_FILE} or {GRAPH_FILE}")


def _cached(name: str, path: str | None, say: Callable[[str], None]) -> Featurizer | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            featurizer = LiteRTFeaturizer(name, file.read())
    except (OSError, ValueError):  # not there, or broken: it is made anew
        return None
    with (
        contextlib.suppress(OSError, UnicodeDecodeError),
        open(path + _NOTE, encoding="utf-8") as file,
    ):
        say(file.read())
    return featurizer


def _converted(
    name: str,
    source: Source,
    preprocessing: Preprocessing,
    precision: Precision,
    sample: Sample | None,
    say: Callable[[str], None],
    cache_path: str | None,
) -> Featurizer | None:
    """Convert it as asked, or as float32 where int8 will not do; None if neither works."""
    from batchcls.networks.convert import ConversionError, convert

    say(f"{name}: converting the network to {precision} for LiteRT, once.")
    wanted: list[Precision] = ["int8", "float32"] if precision == "int8" else ["float32"]
    note = ""
    for attempt, instead in zip(wanted, [*wanted[1:], None], strict=True):
        try:
            network = convert(source, preprocessing, attempt, sample)
        except ConversionError as error:
            other = f"LiteRT runs it as {instead}" if instead else "TensorFlow itself runs it"
            note = f"{name}: {error.message}.\n{other} instead, which is slower."
            say(note)
            continue
        if cache_path is not None:
            _keep(cache_path, network, note, say)
        return LiteRTFeaturizer(name, network)
    return None


def _keep(path: str, network: bytes, note: str, say: Callable[[str], None]) -> None:
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        if note:
            write_atomically(path + _NOTE, note.encode("utf-8"))
        write_atomically(path, network)
    except (OSError, BatchclsError) as error:
        say(f"The converted network can't be kept: {shown(str(error))}")
