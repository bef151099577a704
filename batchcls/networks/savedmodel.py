"""Read a SavedModel: TensorFlow's folder with ``saved_model.pb`` in it."""

from __future__ import annotations

import os
from typing import Any

from batchcls.errors import UsageError
from batchcls.networks.quiet import quiet, tensorflow
from batchcls.networks.sources import Source, choose_name, explained, make_source, no_such_name
from batchcls.text import shown

_DEFAULT = "serving_default"


def read_saved_model(
    path: str,
    *,
    signature: str | None = None,
    input_name: str | None = None,
    output_name: str | None = None,
    size: int | None = None,
) -> Source:
    """Read the SavedModel in the folder ``path``; no Python of the model is run.

    ``signature`` is ``serving_default`` or the only one unless named; ``output_name`` is one of
    the signature's outputs, or any node of its graph. Raises UsageError.
    """
    what = shown(path)
    if not os.path.isfile(os.path.join(path, "saved_model.pb")):
        raise UsageError(
            f"{what}: not a SavedModel: there is no saved_model.pb in it",
            hint="Give the folder that model.export() or tf.saved_model.save() wrote.",
        )
    loaded = explained(what, lambda: _load(path))
    signatures = loaded.signatures
    if signature is None and len(signatures) != 1 and _DEFAULT not in signatures:
        raise choose_name(what, "signature", signatures)
    if signature is None:
        signature = _DEFAULT if _DEFAULT in signatures else next(iter(signatures))
    if signature not in signatures:
        raise no_such_name(what, "signature", signature, signatures)
    function = signatures[signature]
    inputs = {
        name: spec
        for name, spec in function.structured_input_signature[1].items()
        if input_name is None or name == input_name
    }
    if len(inputs) != 1:
        names = list(function.structured_input_signature[1])
        if input_name is not None:
            raise no_such_name(what, "input", input_name, names)
        raise choose_name(what, "input", names)
    [(name, spec)] = inputs.items()
    if len(function.structured_input_signature[1]) > 1:
        raise UsageError(
            f"{what}: its signature {shown(signature)} has several inputs",
            hint="Only a network whose one input is an image can be used.",
        )
    if spec.dtype.name != "float32":
        raise UsageError(
            f"{what}: its input {shown(name)} is {spec.dtype.name}, not float32",
            hint="Name a signature that takes decoded pixels as float32.",
        )
    call = _call(what, function, name, output_name)
    # The object that was loaded owns the variables; `call` must keep it alive.
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    return make_source(what, lambda pixels, _keep=loaded: call(pixels), shape, size)  # type: ignore[misc]


def _load(path: str) -> Any:  # noqa: ANN401
    tf = tensorflow()
    with quiet():
        return tf.saved_model.load(path)


def _call(what: str, function: Any, name: str, output: str | None) -> Any:  # noqa: ANN401
    results = function.structured_outputs
    if output is None:
        if len(results) != 1:
            raise choose_name(what, "output", results)
        [output] = results
    if output in results:
        return lambda pixels: function(**{name: pixels})[output]
    return _inner(what, function, output)


def _inner(what: str, function: Any, output: str) -> Any:  # noqa: ANN401
    """Give a function that ends at a node inside, whatever functions it is nested in."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with quiet():
        flat = convert_variables_to_constants_v2(function)
    names = [one.name for one in flat.graph.get_operations() if one.type != "Const"]
    node, _, number = output.partition(":")
    matches = [one for one in names if one == node] or [
        one for one in names if one.endswith("/" + node)
    ]
    if len(matches) != 1:
        # What functions are wrapped in has no names of the author's.
        inside = [one.rpartition("Call/")[2] for one in names if not one.startswith("Func/")]
        known = dict.fromkeys([*inside, *function.structured_outputs])
        raise no_such_name(what, "output", output, known)
    with quiet():
        return flat.prune(flat.inputs[0], f"{matches[0]}:{number or 0}")
