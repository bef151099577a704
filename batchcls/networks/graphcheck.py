"""A check of a stranger's TensorFlow graph, before TensorFlow sees it.

Nothing in it is trusted: a new graph is made of what is known to be harmless, and anything else is
refused. It rests on two rules that leave little room: operations come from a short list of pure
mathematics on float32, and whole numbers (axes, shapes, strides) are constants. So no size is
worked out from anything, and what a tensor will need is known beforehand.
"""

from __future__ import annotations

import math
import re
from typing import Any

from batchcls.networks.operations import MATHEMATICS

# DataType in tensorflow/core/framework/types.proto
_FLOAT, _INT32, _UINT8, _INT64, _BOOL = 1, 3, 4, 9, 10
_BYTES = {_FLOAT: 4, _INT32: 4, _INT64: 8}
# What operations call the types of what they compute; all their other types are of whole numbers.
_COMPUTED = frozenset({"T", "U", "Tparams", "DstT", "dtype"})
_ALLOWED = MATHEMATICS - {"Einsum", "IdentityN"} | {"Cast", "Const", "Placeholder"}
_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]{0,999}", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)

_MAX_NODES = 50_000
_MAX_INPUTS = 5_000
_MAX_RANK = 8
# A tensor of more numbers than this would be made to exhaust the memory.
MAX_NUMBERS = 2**28
# Constants that are one number repeated weigh nothing in a file, so these are limited together.
_MAX_REPEATED = 2**24


def checked_graph(content: bytes) -> Any:  # noqa: ANN401 - a GraphDef
    """Parse a GraphDef that may come from anywhere, and give one that is safe to import.

    Its nodes stand in the order in which they are computed, and take only what stands before them.
    Raises ValueError for anything that is not allowed.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from tensorflow.core.framework import graph_pb2

    try:
        given = graph_pb2.GraphDef.FromString(content)
    except DecodeError as error:
        raise ValueError("not a TensorFlow graph") from error
    if given.library.function or given.library.gradient:
        raise ValueError("it has functions of its own")
    if not 0 < len(given.node) <= _MAX_NODES:
        raise ValueError(f"it has {len(given.node)} nodes")
    made = graph_pb2.GraphDef()
    made.versions.producer = max(8, min(given.versions.producer, 10**6))
    kinds: dict[str, str] = {}
    repeated = 0
    for node in given.node:
        _check_node(node, kinds)
        if node.op == "Const":
            repeated += _check_constant(node)
            if repeated > _MAX_REPEATED:
                raise ValueError("its constants would exhaust the memory")
        kinds[node.name] = node.op
        copy = made.node.add()
        copy.name, copy.op = node.name, node.op
        copy.input.extend(node.input)
        for name, value in node.attr.items():
            copy.attr[name].CopyFrom(value)
    if list(kinds.values()).count("Placeholder") != 1:
        raise ValueError("it does not have just one input")
    return made


def check_shapes(graph: Any) -> None:  # noqa: ANN401 - a tf.Graph
    """Check that all shapes in an imported graph are known, and of a size that can be computed."""
    for operation in graph.get_operations():
        for output in operation.outputs:
            shape = output.shape
            if not shape.is_fully_defined():
                raise ValueError(f"the shape of {operation.name} is not known beforehand")
            if shape.num_elements() > MAX_NUMBERS:
                raise ValueError(f"{operation.name} has the shape {shape}")


def _check_node(node: Any, before: dict[str, str]) -> None:  # noqa: ANN401
    name, operation = node.name[:100], node.op[:100]
    if not _NAME.fullmatch(node.name) or node.name in before:
        raise ValueError(f"it has a node with a bad name: {name!r}")
    if node.op not in _ALLOWED:
        raise ValueError(f"it has the operation {operation!r}, which is not allowed")
    if len(node.input) > _MAX_INPUTS:
        raise ValueError(f"{name} has {len(node.input)} inputs")
    for source in node.input:
        if source.partition(":")[0] not in before:
            raise ValueError(f"{name} takes what does not stand before it: {source[:100]!r}")
    for attribute, value in node.attr.items():
        _check_attribute(name, node.op, attribute, value)
    if node.op == "Cast" and before.get(node.input[0] if node.input else "") != "Placeholder":
        raise ValueError(f"{name} casts something other than the input")


def _check_attribute(node: str, operation: str, name: str, value: Any) -> None:  # noqa: ANN401
    kind = value.WhichOneof("value")
    where = f"{node} has an attribute that is not allowed: {name[:100]!r}"
    if not _ATTRIBUTE.fullmatch(name):  # those that begin with _ steer TensorFlow itself
        raise ValueError(where)
    if kind in {"func", "placeholder", None}:
        raise ValueError(where)
    if kind == "tensor" and (operation, name) != ("Const", "value"):
        raise ValueError(where)
    if kind == "list" and (value.list.func or value.list.tensor or value.list.type):
        raise ValueError(where)
    if kind != "type":
        return
    if operation == "Const":
        allowed = {*_BYTES}
    elif operation == "Placeholder" or (operation, name) == ("Cast", "SrcT"):
        allowed = {_UINT8}
    elif name in _COMPUTED:
        allowed = {_FLOAT}
    else:
        allowed = {_INT32, _INT64}
    if value.type not in allowed:
        raise ValueError(f"{where} is of type {value.type}")


def _check_constant(node: Any) -> int:  # noqa: ANN401
    """Check a constant; give how many numbers it has beyond those that are written down."""
    tensor = node.attr["value"].tensor
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or len(shape) > _MAX_RANK or any(e < 0 for e in shape):
        raise ValueError(f"the constant {node.name} has a shape that makes no sense")
    numbers = math.prod(shape)
    if numbers > MAX_NUMBERS:
        raise ValueError(f"the constant {node.name} has the shape {shape}")
    if tensor.dtype not in _BYTES or tensor.dtype != node.attr["dtype"].type:
        raise ValueError(f"the constant {node.name} is of type {tensor.dtype}")
    if tensor.tensor_content:
        if len(tensor.tensor_content) != numbers * _BYTES[tensor.dtype]:
            raise ValueError(f"the constant {node.name} has too many or too few numbers")
        return 0
    values = {_FLOAT: tensor.float_val, _INT32: tensor.int_val, _INT64: tensor.int64_val}
    written = len(values[tensor.dtype])
    if written > numbers or (numbers and not written and tensor.ByteSize() > 10_000):
        raise ValueError(f"the constant {node.name} has too many numbers")
    return int(numbers - written)
