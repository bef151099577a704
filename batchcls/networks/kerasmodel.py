"""Read a Keras model: a ``.keras`` file, or one that is in memory."""

from __future__ import annotations

import os
from typing import Any

from batchcls.errors import UsageError
from batchcls.networks.quiet import quiet, tensorflow
from batchcls.networks.sources import Source, explained, listed, make_source, no_such_name
from batchcls.text import shown


def read_keras(
    model: Any,  # noqa: ANN401 - a path, or a keras.Model
    *,
    output_name: str | None = None,
    size: int | None = None,
    what: str = "",
) -> Source:
    """Read the Keras model in a file, or take one that is in memory.

    ``output_name`` is the layer whose output is wanted, the last one unless named. A file is
    read in Keras's safe mode: one with Python code in it (a Lambda layer) is refused. ``what`` is
    what errors call the model, instead of the path. Raises UsageError.
    """
    tensorflow()
    if isinstance(model, str):
        what = what or shown(model)
        model = _load(what, model)
    what = what or f"the model {shown(str(model.name))}"
    import keras  # type: ignore[import-untyped,unused-ignore]

    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"{what}: Keras runs on {keras.backend.backend()} here, not on TensorFlow",
            hint="Unset KERAS_BACKEND, or set it to tensorflow.",
        )
    shape = explained(what, lambda: model.input_shape)
    if isinstance(shape, (list, dict)) or (shape and isinstance(shape[0], (tuple, list))):
        raise UsageError(
            f"{what}: has several inputs",
            hint="Only a network whose one input is an image can be used.",
        )
    if output_name is not None:
        model = _until(what, model, output_name)
    elif len(getattr(model, "outputs", None) or [None]) != 1:
        raise UsageError(
            f"{what}: has {len(model.outputs)} outputs: name the layer to use",
            hint=listed("layers", [one.name for one in model.layers]),
        )
    return make_source(what, lambda pixels: model(pixels, training=False), shape, size)


def _load(what: str, path: str) -> Any:  # noqa: ANN401
    import keras

    if not os.path.isfile(path):
        raise UsageError(f"{what}: there is no such file", hint="Give the path of a .keras file.")
    try:
        with quiet():
            return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever it likes
        said = " ".join(str(error).split())
        if "safe_mode" in said or "ambda" in said:
            raise UsageError(
                f"{what}: has Python code of its own in it (a Lambda layer), which is not run",
                hint="If you trust it, load it yourself and export it as a SavedModel "
                "(model.export).",
            ) from error
        raise UsageError(
            f"{what}: Keras can't load it: {said[:300]}",
            hint="Is it a .keras file, whole, of a Keras not newer than this one, and without "
            "layers of its own? A SavedModel (model.export) needs none of them.",
        ) from error


def _until(what: str, model: Any, layer: str) -> Any:  # noqa: ANN401
    import keras

    names = [one.name for one in model.layers]
    if layer not in names:
        raise no_such_name(what, "layer", layer, names)

    def cut() -> Any:  # noqa: ANN401
        with quiet():
            return keras.Model(model.inputs, model.get_layer(layer).output)

    return explained(what, cut)
