"""TensorFlow itself as the runtime: for operations that LiteRT lacks, and for GPUs.

The network is a frozen graph with the preprocessing inside, its batch size fixed and every shape
known. TensorFlow's sums can depend on the size of the batch (without oneDNN a batch of 8 differs
from 8 batches of 1 in the last bits; within batches of one size neither the neighbours nor the
place matter, measured). So a network takes batches of one size only, and what is missing of the
last one is filled up: an image's features never depend on its neighbours. On a CPU that size is 1,
as a larger one is hardly faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.networks.graphcheck import check_shapes, checked_graph
from batchcls.networks.quiet import quiet, tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.networks.preprocessing import Preprocessing
    from batchcls.networks.sources import Source

GRAPH_FILE = "network.pb"
_INPUT, _OUTPUT = "pixels", "features"
_GPU_BATCH = 8
_MAX_BATCH = 64


class TensorFlowFeaturizer:
    """A graph from uint8 RGB pixels ``[B, S, S, 3]`` (``pixels``) to float32 ``[B, D]``.

    Raises ValueError for bytes that are no such graph, or one with anything but mathematics in it.
    """

    def __init__(self, name: str, graph: bytes) -> None:
        self.name = name
        self.digest = hashlib.sha256(graph).hexdigest()
        self._graph = graph
        with quiet():
            self._call, shape, self.dimension = _load(graph)
        self._batch, self.input_size = shape[0], shape[1]
        try:
            with quiet():
                self._call(np.zeros(shape, np.uint8))
        except Exception as error:  # TensorFlow raises whatever it likes
            raise ValueError(f"not a network that TensorFlow can run: {_short(error)}") from error

    def featurize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB ``pixels``, uint8 ``[N, S, S, 3]``, into features, float32 ``[N, D]``."""
        features = np.empty((len(pixels), self.dimension), dtype=np.float32)
        for start in range(0, len(pixels), self._batch):
            batch = pixels[start : start + self._batch]
            count = len(batch)
            if count < self._batch:
                missing = ((0, self._batch - count), (0, 0), (0, 0), (0, 0))
                batch = np.pad(batch, missing)
            features[start : start + count] = self._call(batch)[:count]
        return features

    def to_files(self) -> Mapping[str, bytes]:
        """Give the graph itself."""
        return {GRAPH_FILE: self._graph}


def make_tensorflow_featurizer(
    name: str, source: Source, preprocessing: Preprocessing
) -> TensorFlowFeaturizer:
    """Make it of a network that TensorFlow has read.

    Raises ValueError for a network with operations that are not allowed, or shapes that are not
    known beforehand.
    """
    tf = tensorflow()
    batch = _GPU_BATCH if tf.config.list_physical_devices("GPU") else 1
    with quiet():
        graph = _simplified(_whole(source, preprocessing, batch))
    return TensorFlowFeaturizer(name, graph)


def _whole(source: Source, preprocessing: Preprocessing, batch: int) -> Any:  # noqa: ANN401
    """Give a ConcreteFunction with the preprocessing in it."""
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from batchcls.networks.sources import first

    network = source.freeze(batch)
    spec = tf.TensorSpec([batch, source.size, source.size, 3], tf.uint8, name=_INPUT)

    def run(pixels: Any) -> Any:  # noqa: ANN401
        values = tf.cast(pixels, tf.float32)
        if preprocessing.order == "bgr":
            values = tf.reverse(values, [3])
        values = (values - tf.constant(preprocessing.mean)) * tf.constant(preprocessing.scale)
        return first(network(values))

    traced = tf.function(run, autograph=False).get_concrete_function(spec)
    return convert_variables_to_constants_v2(traced)


def _simplified(function: Any) -> bytes:  # noqa: ANN401
    """Work out what is constant, sort the nodes, and give them names that are always the same."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
    from tensorflow.python.grappler import tf_optimizer
    from tensorflow.python.training.saver import export_meta_graph

    graph = function.graph.as_graph_def()
    signature = meta_graph_pb2.SignatureDef()
    signature.inputs["pixels"].name = function.inputs[0].name
    signature.inputs["pixels"].dtype = function.inputs[0].dtype.as_datatype_enum
    signature.outputs["features"].name = function.outputs[0].name
    signature.outputs["features"].dtype = function.outputs[0].dtype.as_datatype_enum
    meta = export_meta_graph(graph_def=graph, graph=function.graph)
    meta.signature_def["simplified"].CopyFrom(signature)
    config = config_pb2.ConfigProto()
    # Not those that put in operations of one machine's or one release's own.
    config.graph_options.rewrite_options.optimizers.extend(
        ["function", "constfold", "dependency", "arithmetic", "constfold"]
    )
    config.graph_options.rewrite_options.min_graph_nodes = -1
    graph = tf_optimizer.OptimizeGraph(config, meta)
    made = graph_pb2.GraphDef()
    made.versions.producer = graph.versions.producer
    nodes = {node.name: node for node in graph.node}
    names: dict[str, str] = {}
    last = function.outputs[0].op.name
    for name in _sorted(nodes, last):
        node = made.node.add()
        node.CopyFrom(nodes[name])
        node.device = ""
        node.ClearField("experimental_debug_info")
        node.ClearField("experimental_type")
        for attribute in [one for one in node.attr if one.startswith("_")]:
            del node.attr[attribute]
        inputs = [one for one in node.input if not one.startswith("^")]
        del node.input[:]
        node.input.extend(_renamed(one, names) for one in inputs)
        names[name] = _INPUT if node.op == "Placeholder" else f"n{len(names)}"
        if name == last:
            names[name] = _OUTPUT
        node.name = names[name]
    return bytes(made.SerializeToString(deterministic=True))


def _sorted(nodes: Mapping[str, Any], last: str) -> list[str]:
    """List what ``last`` needs, each after what it needs itself."""
    done: dict[str, None] = {}
    stack = [(last, False)]
    while stack:
        name, ready = stack.pop()
        if ready:
            done[name] = None
        elif name not in done:
            stack.append((name, True))
            needed = [one.partition(":")[0] for one in nodes[name].input if one[:1] != "^"]
            stack.extend((one, False) for one in reversed(needed) if one not in done)
    return list(done)


def _renamed(name: str, names: Mapping[str, str]) -> str:
    node, colon, number = name.partition(":")
    return names[node] + colon + number


def _load(content: bytes) -> tuple[Any, tuple[int, int, int, int], int]:
    """Give a function that runs the graph, the shape of its input, and how many features it has."""
    tf = tensorflow()
    proto = checked_graph(content)
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(proto, name="")
        given = graph.get_tensor_by_name(f"{_INPUT}:0")
        features = graph.get_tensor_by_name(f"{_OUTPUT}:0")
    except Exception as error:  # TensorFlow raises whatever it likes
        raise ValueError(f"not a network that TensorFlow can run: {_short(error)}") from error
    check_shapes(graph)
    shape, made = tuple(given.shape.as_list()), tuple(features.shape.as_list())
    if given.op.type != "Placeholder" or len(shape) != 4 or shape[1:] != (shape[1], shape[1], 3):
        raise ValueError(f"the network's input is {shape}, not uint8 [B, S, S, 3]")
    if not 1 <= shape[0] <= _MAX_BATCH or shape[1] < 1:
        raise ValueError(f"the network's input is {shape}: too many or too few images")
    if features.dtype != tf.float32 or len(made) != 2 or made[0] != shape[0] or made[1] < 1:
        raise ValueError(f"the network's output is {made}, not float32 [B, D]")
    # The pipeline has a thread for each core, so one does its work itself, as far as TensorFlow
    # heeds this: threads that it has made for the process already help all the same.
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1
    )
    config.gpu_options.allow_growth = True
    session = tf.compat.v1.Session(graph=graph, config=config)
    return session.make_callable(features, [given]), shape, made[1]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
