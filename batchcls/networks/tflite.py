"""Take a ``.tflite`` of the user's own: as it was downloaded, or as another project made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls.errors import UsageError
from batchcls.networks.contract import to_contract
from batchcls.networks.frozengraph import read_file
from batchcls.networks.litert import LiteRTFeaturizer
from batchcls.networks.soundness import check_sound
from batchcls.networks.sources import choose_name, input_edge, no_such_name
from batchcls.networks.tables import Tables, UnfitNetworkError
from batchcls.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchcls.networks.preprocessing import Preprocessing


def tflite_featurizer(
    name: str,
    path: str,
    preprocessing: Preprocessing | None = None,
    *,
    output_name: str | None = None,
    size: int | None = None,
) -> LiteRTFeaturizer:
    """Make a featurizer of the ``.tflite`` at ``path``; preprocessing and pooling are put in it.

    Its input must be float32 or quantised ``[1, S, S, 3]`` (any batch; any size, if ``size`` says
    which), its output, or the tensor ``output_name``, float32 or quantised, ``[1, D]`` or
    ``[1, H, W, C]``, which is averaged over its places. Without ``preprocessing`` the levels 0 to
    255 go in as they are: what a network that is quantised usually takes. Raises UsageError.
    """
    what = shown(path)
    network = read_file(path)
    try:
        tables = Tables(network)
        output = _output(what, tables, output_name)
        _settle_shapes(what, tables, network, size)
        return LiteRTFeaturizer(name, to_contract(tables, preprocessing, output))
    except ValueError as error:
        raise UsageError(
            f"{what}: can't be used: {error}",
            hint="Give a .tflite whose input is one colour image, and that LiteRT can run.",
        ) from error


def _output(what: str, tables: Tables, name: str | None) -> int:
    outputs = {tables.names[index]: index for index in tables.outputs}
    if name is None:
        if len(outputs) != 1:
            raise choose_name(what, "output", outputs)
        return tables.outputs[0]
    inner = [int(index) for one in tables.operators for index in one.outputs]
    known = {tables.names[index]: index for index in inner} | outputs
    if name not in known:
        raise no_such_name(what, "output", name, known)
    return known[name]


def _settle_shapes(what: str, tables: Tables, network: bytes, size: int | None) -> None:
    """Give the input its batch of 1 and its size, and write down what all shapes are then."""
    signature = tables.signature(tables.input)
    known: Sequence[int | None] = [None if edge < 0 else edge for edge in signature]
    shape = tables.shape(tables.input)
    edge = input_edge(what, [None, *known[1:]], size)
    settled = [1, edge, edge, 3]
    if shape == settled:
        return
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        # Without delegates, which would keep the shapes in between to themselves.
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=network, experimental_op_resolver_type=plain)
        check_sound(interpreter)
        interpreter.resize_tensor_input(tables.input, settled)
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise UnfitNetworkError(f"LiteRT can't give it an input of {settled}: {error}") from error
    details = interpreter.get_tensor_details()
    count = len(tables.names)
    tables.set_shapes({int(one["index"]): one["shape"] for one in details if one["index"] < count})
