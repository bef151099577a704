"""Small real ONNX networks whose features can be worked out with NumPy."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIMENSION = 5
SIZE = 16
WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (DIMENSION, 3)).astype(np.float32)
HEAD = np.random.default_rng(1).normal(0, 0.1, (DIMENSION, 7)).astype(np.float32)
FLOATS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}


def expected(pixels, mean=(0.0,), scale=(1.0,), order="rgb"):
    """Give the features: the mean over the area of relu(weights @ what the network sees)."""
    channels = pixels if order == "rgb" else pixels[..., ::-1]
    seen = (channels.astype(np.float64) - np.array(mean)) * np.array(scale)
    return np.maximum(seen @ WEIGHTS.T.astype(np.float64), 0).mean(axis=(1, 2))


def network(layout="nchw", kind=TensorProto.FLOAT, batch="N", size=SIZE, pooled=True, shape=None):
    """Make a network whose output is ``features``, or a ``map`` of them; ``logits`` is inside."""
    number = FLOATS.get(kind, np.float32)
    nodes, here = [], "image"
    if kind == TensorProto.UINT8:
        nodes.append(helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT))
        here = "float"
    if layout == "nchw":
        weights = WEIGHTS[..., None, None]
        nodes.append(helper.make_node("Conv", [here, "weights"], ["sums"]))
        shape = shape or [batch, 3, size, size]
    else:
        weights = WEIGHTS.T
        nodes.append(helper.make_node("MatMul", [here, "weights"], ["sums"]))
        shape = shape or [batch, size, size, 3]
    nodes += [
        helper.make_node("Relu", ["sums"], ["map"]),
        helper.make_node(
            "ReduceMean",
            ["map"],
            ["features"],
            axes=[2, 3] if layout == "nchw" else [1, 2],
            keepdims=0,
        ),
        helper.make_node("MatMul", ["features", "head"], ["logits"]),
    ]
    return model(
        nodes,
        [("image", kind, shape)],
        [("features" if pooled else "map", kind if kind in FLOATS else TensorProto.FLOAT)],
        {"weights": weights.astype(number), "head": HEAD.astype(number)},
    )


def model(nodes, inputs, outputs, arrays=None, **more):
    """Make a network of nodes; an output's shape is left open."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one, None) for one in outputs],
        [
            numpy_helper.from_array(np.asarray(array), name)
            for name, array in (arrays or {}).items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), *more.pop("opsets", [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def features_of(*nodes, arrays=None, **more):
    """Make a network of one picture in, whose operators make ``features`` of ``image``."""
    picture = ("image", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])
    return model(nodes, [picture], [("features", TensorProto.FLOAT)], arrays, **more)


def in_another_file(tensor, location):
    """Let a tensor be what stands in a file."""
    del tensor.external_data[:]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
