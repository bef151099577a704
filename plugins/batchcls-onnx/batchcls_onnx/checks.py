"""A look into an ONNX file, which may be a stranger's, before ONNX Runtime loads it.

What ONNX Runtime would do without: read weights from files that the network names, relative to the
current folder (a network from bytes has no other); run in a loop without an end; give other
features for the same image each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batchcls.text import shown
from batchcls_onnx.protobuf import fields

# Where messages are inside messages: kind → number of the field → kind. The numbers are those of
# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; what is not here holds nothing that runs.
_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 12: "value", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "value": {},
}
_NODE_OUTPUT, _NODE_OPERATOR, _NODE_DOMAIN, _VALUE_NAME = 2, 4, 7, 1
_TEXTS = {"node": (_NODE_OUTPUT, _NODE_OPERATOR, _NODE_DOMAIN), "value": (_VALUE_NAME,)}
_NAMES = {("node", _NODE_OUTPUT), ("value", _VALUE_NAME)}
_ELSEWHERE = (13, 14)  # of a tensor: external_data, data_location
_IN_GRAPH = 2  # the depth of what is in the graph itself, not in one within
_MAX_DEPTH = 20  # a graph in a graph is four deeper
_MAX_OPERATORS = 100_000

_STANDARD = frozenset({"", "ai.onnx"})
_LOOPS = frozenset({"Loop", "Scan"})
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"}
    | {"RandomUniform", "RandomUniformLike"}
)


@dataclass
class Tensors:
    """Names of a network's tensors: those that its operators give, and which are its outputs."""

    given: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    operators: int = 0


def check_network(network: bytes) -> Tensors:
    """Check the bytes of an ONNX file. Raises ValueError for what batchcls does not run."""
    tensors = Tensors()
    _check("model", memoryview(network), 0, tensors)
    if not tensors.operators:
        raise ValueError("not an ONNX file: it has no operators")
    return tensors


def _check(kind: str, message: memoryview, depth: int, tensors: Tensors) -> None:
    if kind in {"training", "function"}:
        raise ValueError(
            f"it holds a {kind}, which batchcls does not run. Functions can be put in their "
            "places with onnx.inliner.inline_local_functions"
        )
    if depth > _MAX_DEPTH:
        raise ValueError("it holds graphs in graphs in graphs")
    inside, texts = _INSIDE[kind], _TEXTS.get(kind, ())
    for number, value in fields(message):
        if kind == "tensor" and number in _ELSEWHERE and value:
            raise ValueError(
                "its weights are in another file. Put all into one: "
                'python -c \'import onnx; onnx.save(onnx.load("OLD.onnx"), "NEW.onnx")\''
            )
        if isinstance(value, int):
            continue
        if number in inside:
            _check(inside[number], value, depth + 1, tensors)
        elif number in texts:
            text = bytes(value).decode("utf-8", "replace")
            if kind == "node":
                _check_node(number, text, tensors)
            if depth == _IN_GRAPH and (kind, number) in _NAMES:
                (tensors.given if kind == "node" else tensors.outputs).append(text)


def _check_node(number: int, text: str, tensors: Tensors) -> None:
    if number == _NODE_DOMAIN and text not in _STANDARD:
        raise ValueError(f"it has operators of {brief(text)}; only those of ONNX itself are run")
    if number == _NODE_OPERATOR:
        tensors.operators += 1
        if tensors.operators > _MAX_OPERATORS:
            raise ValueError("it has too many operators")
        if text in _LOOPS:
            raise ValueError(f"it has the operator {text}, which may run for ever")
        if text in _RANDOM:
            raise ValueError(f"it has the operator {text}: an image's features would be random")


def brief(what: object) -> str:
    """Give one short line that any terminal can show, whatever a stranger's file put into it."""
    return shown(" ".join(str(what).split()))[:500]
