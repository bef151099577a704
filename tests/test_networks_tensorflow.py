"""TensorFlow as the runtime: the same contract, and graphs from strangers that do nothing."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from batchcls.networks.featurizer import network_featurizer, restore_featurizer
from batchcls.networks.frozengraph import read_frozen_graph
from batchcls.networks.preprocessing import preprocessing
from batchcls.networks.quiet import quiet
from batchcls.networks.tensorflow_runtime import TensorFlowFeaturizer

from . import standin
from .conftest import SOAK
from .standin import smooth_pictures, tensorflow, tiny_features

STEPS = preprocessing("bgr", (1, 2, 3), (0.5, 0.25, 2))


@pytest.fixture(scope="module")
def tiny():
    source = read_frozen_graph(standin.tiny_graph())
    return network_featurizer("tiny", lambda: source, STEPS, runtime="tensorflow")


@pytest.fixture(scope="module")
def inception():
    content = standin.inception_graph_bytes(width=0.05)
    return network_featurizer(
        "inception",
        lambda: read_frozen_graph(content, output_name="avgpool0/reshape", size=224),
        preprocessing(mean=117),
        runtime="tensorflow",
    )


def test_it_gives_what_the_network_is(tiny):
    pixels = smooth_pictures(11, 8)
    features = tiny.featurize(pixels)
    assert (features.dtype, features.shape) == (np.float32, (11, 2))
    assert (tiny.name, tiny.input_size, tiny.dimension) == ("tiny", 8, 2)
    np.testing.assert_allclose(features, tiny_features(STEPS.apply(pixels)), rtol=1e-5, atol=1e-3)
    assert tiny.featurize(pixels[:0]).shape == (0, 2)


def test_it_travels_and_is_the_same_each_time(tiny):
    pixels = smooth_pictures(2, 8)
    restored = restore_featurizer("tiny", tiny.to_files())
    assert restored.digest == tiny.digest
    np.testing.assert_array_equal(restored.featurize(pixels), tiny.featurize(pixels))
    source = read_frozen_graph(standin.tiny_graph())
    again = network_featurizer("tiny", lambda: source, STEPS, runtime="tensorflow")
    assert again.digest == tiny.digest


def test_features_do_not_depend_on_the_batch_nor_on_threads(inception):
    pixels = smooth_pictures(12, 224)
    alone = np.concatenate([inception.featurize(pixels[i : i + 1]) for i in range(12)])
    np.testing.assert_array_equal(inception.featurize(pixels), alone)
    np.testing.assert_array_equal(inception.featurize(pixels[::-1])[::-1], alone)
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(inception.featurize, pixels[i % 8 : i % 8 + 4]) for i in range(24)]
        for i, job in enumerate(jobs):
            np.testing.assert_array_equal(job.result(), alone[i % 8 : i % 8 + 4])


def test_a_batch_of_fixed_size_is_filled_up():
    pixels = smooth_pictures(7, 8)
    made = TensorFlowFeaturizer("sum", graph_of(lambda x: x, batch=3))
    np.testing.assert_array_equal(made.featurize(pixels), pixels.sum(axis=(1, 2)))


def graph_of(work, batch=1, end=None, **placeholder):
    """Give a graph of the runtime's own form, with ``work`` done in the middle."""
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default(), quiet():
        pixels = tf.compat.v1.placeholder(tf.uint8, [batch, 8, 8, 3], "pixels")
        values = work(tf.cast(pixels, tf.float32))
        (end or (lambda x: tf.reduce_sum(x, [1, 2], name="features")))(values)
    return graph.as_graph_def().SerializeToString()


def written(tmp_path):
    tf = tensorflow()
    return lambda x: with_control(tf.io.write_file(str(tmp_path / "written"), "x"), x)


def with_control(operation, x):
    tf = tensorflow()
    with tf.control_dependencies([operation]):
        return tf.identity(x)


def hostile(tmp_path):
    tf = tensorflow()
    secret = tmp_path / "secret"
    secret.write_text("1")

    def called(x):
        (tmp_path / "called").write_text("")
        return x

    @tf.function
    def function(x):
        return x * 2.0

    def loop(x):
        return tf.while_loop(lambda i, y: True, lambda i, y: (i, y * 2), [0, x])[1]

    def huge(x):
        return x + tf.fill([2**40], 1.0)[0]

    yield "write", graph_of(written(tmp_path))
    yield "read", graph_of(lambda x: x * float_of(tf.io.read_file(str(secret))))
    yield (
        "python",
        graph_of(lambda x: tf.ensure_shape(tf.numpy_function(called, [x], tf.float32), x.shape)),
    )
    yield "print", graph_of(lambda x: with_control(tf.print("hello"), x))
    yield "function", graph_of(function)
    yield "loop", graph_of(loop)
    yield "fill", graph_of(huge)
    yield "variable", graph_of(lambda x: x * tf.compat.v1.get_variable("v", [3]))
    yield "random", graph_of(lambda x: x * tf.random.uniform([3]))
    yield "tile", graph_of(lambda x: x[:, :1, :1] + tf.reduce_sum(tf.tile(x, [1, 10**5, 10**3, 1])))
    yield "shape", graph_of(lambda x: tf.reshape(x, tf.raw_ops.Shape(input=x)))
    yield (
        "size from pixels",
        graph_of(lambda x: tf.reshape(x, [1, 8, 8, tf.cast(tf.reduce_max(x), tf.int32)])),
    )


def float_of(text):
    tf = tensorflow()
    return tf.strings.to_number(text)


def test_a_hostile_graph_is_refused_and_does_nothing(tmp_path, capfd):
    count = 0
    for name, content in hostile(tmp_path):
        with pytest.raises(ValueError, match=r"not allowed|shape|functions|type|cast") as caught:
            restore_featurizer(name, {"network.pb": content})
            pytest.fail(f"{name} was not refused")
        assert len(str(caught.value)) < 300
        count += 1
    assert count == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]
    assert capfd.readouterr().out == ""


def change(edit):
    """Change the proto of a good graph."""
    tf = tensorflow()
    proto = tf.compat.v1.GraphDef.FromString(graph_of(lambda x: x * [2.0, 3.0, 4.0]))
    edit(proto, {node.name: node for node in proto.node})
    return proto.SerializeToString()


def constant(nodes):
    return nodes["mul/y"].attr["value"].tensor


def huge_splat(proto, nodes):
    tensor = constant(nodes)
    tensor.tensor_content = b""
    del tensor.tensor_shape.dim[:]
    for _ in range(3):
        tensor.tensor_shape.dim.add().size = 2**20
    tensor.float_val.append(1)


def splats_together(proto, nodes):
    for number in range(10):
        node = proto.node.add()
        node.CopyFrom(nodes["mul/y"])
        node.name = f"splat{number}"
        tensor = node.attr["value"].tensor
        tensor.tensor_content = b""
        tensor.tensor_shape.dim[0].size = 2**22
        tensor.float_val.append(1)


def negative_shape(proto, nodes):
    constant(nodes).tensor_shape.dim[0].size = -1


def short_content(proto, nodes):
    constant(nodes).tensor_content = b"abc"


def text(proto, nodes):
    nodes["mul/y"].attr["dtype"].type = constant(nodes).dtype = 7


def control_input(proto, nodes):
    nodes["mul"].input.append("^pixels")


def cycle(proto, nodes):
    nodes["mul"].input[0] = "features"


def twice(proto, nodes):
    proto.node.add().CopyFrom(nodes["mul"])


def odd_attribute(proto, nodes):
    nodes["mul"].attr["_class"].list.s.append(b"loc:@x")


def function_attribute(proto, nodes):
    nodes["mul"].attr["f"].func.name = "x"


def whole_numbers(proto, nodes):
    nodes["mul"].attr["T"].type = 3


def library(proto, nodes):
    proto.library.function.add().signature.name = "x"


def two_inputs(proto, nodes):
    node = proto.node.add()
    node.CopyFrom(nodes["pixels"])
    node.name = "more"


def large_batch(proto, nodes):
    nodes["pixels"].attr["shape"].shape.dim[0].size = 2**20


def any_batch(proto, nodes):
    nodes["pixels"].attr["shape"].shape.dim[0].size = -1


def no_output(proto, nodes):
    nodes["features"].name = "other"


EDITS = [
    huge_splat,
    splats_together,
    negative_shape,
    short_content,
    text,
    control_input,
    cycle,
    twice,
    odd_attribute,
    function_attribute,
    whole_numbers,
    library,
    two_inputs,
    large_batch,
    any_batch,
    no_output,
]


def test_a_graph_of_the_right_form_is_taken():
    pixels = smooth_pictures(2, 8)
    made = TensorFlowFeaturizer("good", change(lambda proto, nodes: None))
    np.testing.assert_array_equal(made.featurize(pixels), pixels.sum(axis=(1, 2)) * [2, 3, 4])


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_a_graph_that_makes_no_sense_is_refused(edit):
    with pytest.raises(ValueError, match=r".+") as caught:
        TensorFlowFeaturizer("bad", change(edit))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_a_graph_that_is_cut_off_is_refused(tiny, share):
    content = tiny.to_files()["network.pb"]
    with pytest.raises(ValueError, match=r".+"):
        TensorFlowFeaturizer("cut", content[: len(content) * share // 100])


@pytest.mark.parametrize("what", ["input", "output", "rank"])
def test_a_graph_that_is_no_featurizer_is_refused(what):
    tf = tensorflow()
    end = {
        "input": None,
        "output": lambda x: tf.identity(x, name="features"),
        "rank": lambda x: tf.reduce_sum(x, name="features"),
    }[what]
    content = graph_of(lambda x: x, end=end, batch=65 if what == "input" else 1)
    with pytest.raises(ValueError, match=f"the network's {'input' if what == 'input' else 'out'}"):
        TensorFlowFeaturizer("bad", content)


FUZZ = """
import random, sys
import numpy as np
from batchcls.networks.tensorflow_runtime import TensorFlowFeaturizer

network = open(sys.argv[1], "rb").read()
outcomes = {"sound": 0, "refused": 0}
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    print(seed, file=sys.stderr, flush=True)
    chance = random.Random(seed)
    changed = bytearray(network)
    for _ in range(chance.choice([1, 2, 4])):
        changed[chance.randrange(len(changed))] = chance.choice([0, 1, 255, chance.randrange(256)])
    try:
        TensorFlowFeaturizer("changed", bytes(changed))
        outcomes["sound"] += 1
    except ValueError:
        outcomes["refused"] += 1
print(outcomes["sound"], outcomes["refused"])
"""


@pytest.mark.fuzz
def test_a_graph_with_bytes_changed_never_ends_the_process(tmp_path, tiny, warm_tensorflow):
    path = tmp_path / "network.pb"
    path.write_bytes(tiny.to_files()["network.pb"])
    done = warm_tensorflow.run(
        ["-c", FUZZ, path, "0", str(100 * SOAK)], cwd=tmp_path, env=os.environ, timeout=7200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sound, refused = map(int, done.stdout.split())
    assert sound > 0
    assert refused > 10
