"""An ONNX network: batch normalisation folded, pixels in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.networks.pretrained import script

if TYPE_CHECKING:
    from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = "pixels", "probabilities"


class _Graph:
    """Collects nodes and constants. Values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX is as free
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name


def padding(edge: int, kernel: int, stride: int) -> tuple[int, int]:
    """Give TensorFlow's SAME: what to add before and after, the odd one after."""
    out = -(-edge // stride)
    total = max((out - 1) * stride + kernel - edge, 0)
    return total // 2, total - total // 2


def save(arrays: Mapping[str, NDArray[np.generic]], target: Path) -> None:
    """Write the file ``target``."""
    import onnx
    from onnx import TensorProto, helper

    network = script("network")
    layers = network.build(arrays)
    graph = _Graph()
    size = network.INPUT_SIZE
    x = _prepared(graph, network.PIXEL_ZERO, network.PIXEL_SCALE)
    edge = size
    for block in layers.blocks:
        before = x
        for layer in block.convolutions:
            x, edge = _convolution(graph, x, edge, layer)
        if block.residual:
            x = graph.node("Add", [before, x], f"{block.name}/sum")
    x = graph.node("GlobalAveragePool", [x], "average")
    x = graph.node("Flatten", [x], "features")
    weights = graph.constant("head/weights", layers.head_weights)
    bias = graph.constant("head/bias", layers.head_bias)
    x = graph.node("Gemm", [x, weights, bias], "logits")
    graph.node("Softmax", [x], OUTPUT)
    classes = len(layers.head_bias)
    made = helper.make_graph(
        graph.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", size, size, 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", classes])],
        graph.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(target))


def _prepared(graph: _Graph, zero: float, scale: float) -> str:
    """Add the way from pixels to what the first convolution takes, channels first."""
    from onnx import TensorProto

    x = graph.node("Cast", [INPUT], "levels", to=TensorProto.FLOAT)
    x = graph.node("Transpose", [x], "planes", perm=[0, 3, 1, 2])
    x = graph.node("Sub", [x, graph.constant("zero", _scalar(zero))], "centred")
    return graph.node("Mul", [x, graph.constant("scale", _scalar(scale))], "scaled")


def _convolution(graph: _Graph, x: str, edge: int, layer: Any) -> tuple[str, int]:  # noqa: ANN401 - of a script
    """Add a convolution with its bias, and ReLU6; give its output and that one's edge."""
    kernel = layer.kernel.transpose(0, 3, 1, 2).astype(np.float32)
    before, after = padding(edge, kernel.shape[2], layer.stride)
    x = graph.node(
        "Conv",
        [
            x,
            graph.constant(f"{layer.name}/kernel", kernel),
            graph.constant(f"{layer.name}/bias", layer.bias.astype(np.float32)),
        ],
        layer.name,
        group=len(kernel) if layer.depthwise else 1,
        kernel_shape=kernel.shape[2:],
        pads=[before, before, after, after],
        strides=[layer.stride, layer.stride],
    )
    if layer.relu6:
        low = graph.constant(f"{layer.name}/low", _scalar(0))
        high = graph.constant(f"{layer.name}/high", _scalar(6))
        x = graph.node("Clip", [x, low, high], f"{layer.name}/relu6")
    return x, -(-edge // layer.stride)


def _scalar(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def run(target: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give the probabilities, ``[N, 1000]``."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    probabilities: NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
    return probabilities
