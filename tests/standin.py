"""Networks for the tests, with random or known weights; TensorFlow is imported only when asked.

The stand-in for inception5h has the node names, op types, shapes and attributes of Google's graph,
side heads included, so what reads the one reads the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# 1x1, 3x3 bottleneck, 3x3, 5x5 bottleneck, 5x5, pool reduce
BLOCKS = {
    "mixed3a": (64, 96, 128, 16, 32, 32),
    "mixed3b": (128, 128, 192, 32, 96, 64),
    "mixed4a": (192, 96, 204, 16, 48, 64),
    "mixed4b": (160, 112, 224, 24, 64, 64),
    "mixed4c": (128, 128, 256, 24, 64, 64),
    "mixed4d": (112, 144, 288, 32, 64, 64),
    "mixed4e": (256, 160, 320, 32, 128, 128),
    "mixed5a": (256, 160, 320, 48, 128, 128),
    "mixed5b": (384, 192, 384, 48, 128, 128),
}


def tensorflow() -> Any:
    """Import TensorFlow without its chatter."""
    from batchcls.networks.quiet import tensorflow as quietly

    return quietly()


def inception_graph_bytes(seed: int = 0, width: float = 1.0) -> bytes:
    """Give a frozen TF 1 GraphDef like inception5h's with random weights.

    ``width`` < 1 shrinks the channels of all but ``mixed5b``'s four outputs and what follows.
    """
    return _Inception(seed, width).build()


def smooth_pictures(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Give ``count`` smooth coloured pictures, uint8 ``[count, size, size, 3]``."""
    from PIL import Image

    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        edge = int(random.integers(3, 24))
        small = random.integers(0, 256, (edge, edge, 3), dtype=np.uint8)
        made.append(
            np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))
        )
    return np.stack(made)


class _Inception:
    def __init__(self, seed: int, width: float) -> None:
        tensorflow()
        from tensorflow.core.framework import graph_pb2

        self.random = np.random.default_rng(seed)
        self.width = width
        self.graph = graph_pb2.GraphDef()
        self.graph.versions.producer = 8  # the graph is of 2015: attributes added later are absent
        self.channels: dict[str, int] = {"input": 3}

    def build(self) -> bytes:
        node = self.node("Placeholder", "input", [])
        node.attr["dtype"].type = 1
        node.attr["shape"].shape.SetInParent()
        self.conv("conv2d0", "input", 7, self.thin(64), stride=2)
        self.pool("maxpool0", "conv2d0", 3, 2)
        self.norm("localresponsenorm0", "maxpool0")
        self.conv("conv2d1", "localresponsenorm0", 1, self.thin(64))
        self.conv("conv2d2", "conv2d1", 3, self.thin(192))
        self.norm("localresponsenorm1", "conv2d2")
        self.pool("maxpool1", "localresponsenorm1", 3, 2)
        here = "maxpool1"
        for block, widths in BLOCKS.items():
            if block in {"mixed4a", "mixed5a"}:
                name = {"mixed4a": "maxpool4", "mixed5a": "maxpool10"}[block]
                self.pool(name, here, 3, 2)
                here = name
            self.block(block, here, widths)
            here = block
        self.node("AvgPool", "avgpool0", [here], kernel=7, stride=1, padding="VALID")
        self.channels["avgpool0"] = self.channels[here]
        self.reshape("avgpool0/reshape", "avgpool0", 1024)
        self.dense("softmax2_pre_activation", "avgpool0/reshape", 1024, 1008)
        self.node("Softmax", "softmax2", ["softmax2_pre_activation"])
        for number, below in enumerate(("mixed4a", "mixed4d")):
            self.side_head(number, below)
        for number, suffix in enumerate(("", "1", "2")):
            self.node("Identity", f"output{suffix}", [f"softmax{number}"])
        return self.graph.SerializeToString()

    def thin(self, channels: int) -> int:
        return max(4, math.ceil(channels * self.width))

    def node(self, op: str, name: str, inputs: Sequence[str], **options: Any) -> Any:
        node = self.graph.node.add()
        node.op, node.name = op, name
        node.input.extend(inputs)
        if op not in {"Placeholder", "Const"}:
            node.attr["T"].type = 1
        if "kernel" in options:
            edge = options["kernel"]
            node.attr["ksize"].list.i.extend([1, edge, edge, 1])
        if "stride" in options:
            stride = options["stride"]
            node.attr["strides"].list.i.extend([1, stride, stride, 1])
        if "padding" in options:
            node.attr["padding"].s = options["padding"].encode()
        return node

    def const(self, name: str, value: NDArray[Any]) -> str:
        node = self.node("Const", name, [])
        tensor = node.attr["value"].tensor
        tensor.dtype = node.attr["dtype"].type = {"float32": 1, "int32": 3}[value.dtype.name]
        tensor.tensor_shape.SetInParent()
        for edge in value.shape:
            tensor.tensor_shape.dim.add().size = edge
        tensor.tensor_content = value.tobytes()
        return name

    def weights(self, name: str, shape: tuple[int, ...]) -> tuple[str, str]:
        scale = math.sqrt(2.0 / math.prod(shape[:-1]))  # activations neither vanish nor explode
        kernel = self.random.normal(0, scale, shape).astype(np.float32)
        bias = self.random.normal(0, 0.1, shape[-1]).astype(np.float32)
        return self.const(f"{name}_w", kernel), self.const(f"{name}_b", bias)

    def conv(self, name: str, below: str, edge: int, out: int, stride: int = 1) -> None:
        kernel, bias = self.weights(name, (edge, edge, self.channels[below], out))
        conv = self.node(
            "Conv2D", f"{name}_pre_relu/conv", [below, kernel], stride=stride, padding="SAME"
        )
        conv.attr["use_cudnn_on_gpu"].b = True
        self.node("BiasAdd", f"{name}_pre_relu", [f"{name}_pre_relu/conv", bias])
        self.node("Relu", name, [f"{name}_pre_relu"])
        self.channels[name] = out

    def pool(self, name: str, below: str, edge: int, stride: int) -> None:
        self.node("MaxPool", name, [below], kernel=edge, stride=stride, padding="SAME")
        self.channels[name] = self.channels[below]

    def norm(self, name: str, below: str) -> None:
        node = self.node("LRN", name, [below])
        node.attr["depth_radius"].i = 5
        node.attr["bias"].f, node.attr["alpha"].f, node.attr["beta"].f = 1.0, 1e-4, 0.5
        self.channels[name] = self.channels[below]

    def block(self, name: str, below: str, widths: Sequence[int]) -> None:
        keep = name == "mixed5b"
        one, narrow3, three, narrow5, five, pooled = (
            width if keep and place not in {1, 3} else self.thin(width)
            for place, width in enumerate(widths)
        )
        self.conv(f"{name}_1x1", below, 1, one)
        self.conv(f"{name}_3x3_bottleneck", below, 1, narrow3)
        self.conv(f"{name}_3x3", f"{name}_3x3_bottleneck", 3, three)
        self.conv(f"{name}_5x5_bottleneck", below, 1, narrow5)
        self.conv(f"{name}_5x5", f"{name}_5x5_bottleneck", 5, five)
        self.pool(f"{name}_pool", below, 3, 1)
        self.conv(f"{name}_pool_reduce", f"{name}_pool", 1, pooled)
        axis = self.const(f"{name}/concat_dim", np.array(3, np.int32))
        branches = [f"{name}_{end}" for end in ("1x1", "3x3", "5x5", "pool_reduce")]
        node = self.node("Concat", name, [axis, *branches])
        node.attr["N"].i = 4
        self.channels[name] = one + three + five + pooled

    def reshape(self, name: str, below: str, width: int) -> None:
        shape = self.const(f"{name}/shape", np.array([-1, width], np.int32))
        self.node("Reshape", name, [below, shape])

    def dense(self, name: str, below: str, inside: int, out: int) -> None:
        prefix = name.removesuffix("_pre_activation")
        kernel, bias = self.weights(prefix, (inside, out))
        self.node("MatMul", f"{name}/matmul", [below, kernel])
        self.node("BiasAdd", name, [f"{name}/matmul", bias])

    def side_head(self, number: int, below: str) -> None:
        head = f"head{number}"
        self.node("AvgPool", f"{head}_pool", [below], kernel=5, stride=3, padding="VALID")
        self.channels[f"{head}_pool"] = self.channels[below]
        out = self.thin(128)
        self.conv(f"{head}_bottleneck", f"{head}_pool", 1, out)
        flat = 4 * 4 * out
        self.reshape(f"{head}_bottleneck/reshape", f"{head}_bottleneck", flat)
        hidden = self.thin(1024)
        self.dense(f"nn{number}_pre_relu", f"{head}_bottleneck/reshape", flat, hidden)
        self.node("Relu", f"nn{number}", [f"nn{number}_pre_relu"])
        self.reshape(f"nn{number}/reshape", f"nn{number}", hidden)
        self.dense(f"softmax{number}_pre_activation", f"nn{number}/reshape", hidden, 1008)
        self.node("Softmax", f"softmax{number}", [f"softmax{number}_pre_activation"])


# The tiny networks: x → relu(x · MIX) at each place ("mix") → mean ("pool") → · HEAD ("head").
MIX = np.array([[1, 0, -1, 0.5], [0, 2, 0.25, 0.5], [-1, 1, 1, 0.5]], np.float32)
HEAD = np.array([[1, -1], [0.5, 2], [0, 1], [3, 0.25]], np.float32)


def tiny_features(values: NDArray[np.float32], output: str = "head") -> NDArray[np.float32]:
    """Work out with NumPy what a tiny network makes of preprocessed values ``[N, S, S, 3]``."""
    pooled = np.maximum(values @ MIX, 0).mean(axis=(1, 2))
    return pooled if output in {"mix", "pool"} else pooled @ HEAD


def tiny_function(pixels: Any) -> dict[str, Any]:
    """Give the outputs of a tiny network, as TensorFlow works them out."""
    tf = tensorflow()
    mix = tf.nn.relu(tf.nn.conv2d(pixels, MIX[None, None], 1, "SAME"), name="mix")
    pool = tf.reduce_mean(mix, [1, 2], name="pool")
    return {"mix": mix, "pool": pool, "head": tf.matmul(pool, HEAD, name="head")}


def tiny_graph(size: int | None = 8) -> bytes:
    """Give a tiny frozen graph: ``input`` → ``head``."""
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tiny_function(tf.compat.v1.placeholder(tf.float32, [None, size, size, 3], "input"))
    return graph.as_graph_def().SerializeToString()


def tiny_saved_model(folder: Path, outputs: Sequence[str] = ("head",), shape: Any = None) -> str:
    """Write a tiny SavedModel, whose weights are variables; ``shape`` is of its input."""
    tf = tensorflow()

    class Tiny(tf.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.head = tf.Variable(MIX[None, None]), tf.Variable(HEAD)

        def run(self, pixels: Any) -> dict[str, Any]:
            mix = tf.nn.relu(tf.nn.conv2d(pixels, self.mix, 1, "SAME"), name="mix")
            pool = tf.reduce_mean(mix, [1, 2], name="pool")
            made = {"mix": mix, "pool": pool, "head": tf.matmul(pool, self.head, name="dense")}
            return {name: made[name] for name in outputs}

    tiny = Tiny()
    spec = tf.TensorSpec(shape or [None, 8, 8, 3], tf.float32, name="image")
    run = tf.function(tiny.run).get_concrete_function(spec)
    tf.saved_model.save(tiny, str(folder), signatures=run)
    return str(folder)


def tiny_keras(size: int | None = 8) -> Any:
    """Make a tiny Keras model, with the layers ``mix``, ``pool`` and ``head``."""
    tensorflow()
    import keras

    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(4, 1, activation="relu", use_bias=False, name="mix"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(2, use_bias=False, name="head"),
        ],
        name="tiny",
    )
    model.set_weights([MIX[None, None], HEAD])
    return model


def tiny_tflite(
    kind: str = "float32", size: int | None = 8, outputs: Sequence[str] = ("head",)
) -> bytes:
    """Give a tiny ``.tflite``: float32, or quantised with ``uint8`` or ``int8`` in and out.

    The quantised ones take levels: their input's real values are 0 to 255, scale 1.
    """
    tf = tensorflow()
    spec = tf.TensorSpec([None, size, size, 3], tf.float32, name="image")
    chosen = tf.function(lambda x: {name: tiny_function(x)[name] for name in outputs})
    function = chosen.get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if kind != "float32":
        levels = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 255)]).astype(np.float32)
        pictures = np.concatenate([levels, smooth_pictures(30, 8).astype(np.float32)])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([one[None]] for one in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
    return converter.convert()
