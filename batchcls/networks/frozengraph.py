"""Read a frozen graph: a GraphDef of TensorFlow 1, weights inside (``*.pb``)."""

from __future__ import annotations

from typing import Any

from batchcls.errors import UsageError
from batchcls.networks.operations import check_operations
from batchcls.networks.quiet import quiet, tensorflow
from batchcls.networks.sources import Source, choose_name, explained, make_source, no_such_name
from batchcls.text import shown

_FLOAT = 1  # DT_FLOAT in tensorflow/core/framework/types.proto


def read_frozen_graph(
    graph: str | bytes,
    *,
    input_name: str | None = None,
    output_name: str | None = None,
    size: int | None = None,
    what: str = "",
) -> Source:
    """Read the frozen graph in a file or in bytes; what the output does not need is cut off.

    ``input_name`` may be left out where there is one placeholder, ``output_name`` where there is
    one node that no other reads; both are as in TensorFlow, ``input`` or ``input:0``. Any node can
    be the input: what feeds it (a decoder of JPEG, say) is cut off too. ``what`` is what errors
    call the graph, instead of the path. Raises UsageError.
    """
    what = what or (shown(graph) if isinstance(graph, str) else "the graph")
    proto = _parse(what, read_file(graph) if isinstance(graph, str) else graph)
    nodes = {node.name: node for node in proto.node}
    given = [node for node in proto.node if node.op.startswith("Placeholder")]
    start = _chosen(what, "input", input_name, nodes, [node.name for node in given])
    end = _chosen(what, "output", output_name, nodes, _ends(proto))
    node = nodes[start]
    placeholder = node.op.startswith("Placeholder")
    if placeholder and node.attr["dtype"].type != _FLOAT:
        raise UsageError(
            f"{what}: its input {shown(start)} is not float32",
            hint="Name another input, which may be any node that gives the pixels as float32.",
        )
    needed = _needed(what, proto, nodes, start, end)
    check_operations(what, needed)
    tensor = output_name if output_name and ":" in output_name else f"{end}:0"

    def load() -> Any:  # noqa: ANN401
        tf = tensorflow()
        with quiet():
            whole = tf.compat.v1.wrap_function(
                lambda: tf.compat.v1.import_graph_def(needed, name=""), []
            )
            return whole.prune(f"{start}:0", tensor)

    return make_source(what, explained(what, load), _shape(node) if placeholder else None, size)


def read_file(path: str) -> bytes:
    """Read a whole file; UsageError where that can't be done."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(
            f"{shown(path)}: can't be read: {error.strerror or error}",
            hint="Give the path of the network's file.",
        ) from error


def _parse(what: str, content: bytes) -> Any:  # noqa: ANN401 - a GraphDef
    tf = tensorflow()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    try:
        proto = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError:
        proto = None
    if proto is None or not proto.node:
        raise UsageError(
            f"{what}: not a frozen graph, or a broken one",
            hint="A file that was downloaded may be cut off: compare its size, or get it again.",
        )
    return proto


def _chosen(
    what: str, kind: str, name: str | None, nodes: dict[str, Any], choices: list[str]
) -> str:
    if name is None:
        if len(choices) != 1:
            raise choose_name(what, kind, choices)
        return choices[0]
    node = name.partition(":")[0]
    if node not in nodes:
        others = [one for one in nodes if nodes[one].op != "Const"]
        raise no_such_name(what, kind, name, choices if kind == "input" else others)
    return node


def _ends(proto: Any) -> list[str]:  # noqa: ANN401
    read = {name.lstrip("^").partition(":")[0] for node in proto.node for name in node.input}
    return [one.name for one in proto.node if one.name not in read and one.op != "NoOp"]


def _needed(what: str, proto: Any, nodes: dict[str, Any], start: str, end: str) -> Any:  # noqa: ANN401
    """Give the part of a GraphDef from ``start``, as a placeholder, to ``end``."""
    found, stack = {start}, [end]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            if name not in nodes:
                raise UsageError(f"{what}: its node {shown(name)} is missing", hint="It is broken.")
            stack.extend(one.lstrip("^").partition(":")[0] for one in nodes[name].input)
    made = type(proto)()
    made.versions.CopyFrom(proto.versions)
    made.library.CopyFrom(proto.library)
    for node in proto.node:
        if node.name == start:
            given = made.node.add(name=start, op="Placeholder")
            given.attr["dtype"].type = _FLOAT
            given.attr["shape"].shape.unknown_rank = True
        elif node.name in found:
            made.node.add().CopyFrom(node)
    return made


def _shape(node: Any) -> list[int | None] | None:  # noqa: ANN401
    shape = node.attr["shape"].shape
    if shape.unknown_rank or not shape.dim:  # the graphs of 2015 say nothing
        return None
    return [None if dim.size < 0 else int(dim.size) for dim in shape.dim]
