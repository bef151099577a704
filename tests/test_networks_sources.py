"""Networks that TensorFlow reads: from a frozen graph, a SavedModel, a Keras model."""

from __future__ import annotations

import re

import numpy as np
import pytest

from batchcls.errors import UsageError
from batchcls.networks.frozengraph import read_frozen_graph
from batchcls.networks.kerasmodel import read_keras
from batchcls.networks.quiet import quiet
from batchcls.networks.savedmodel import read_saved_model

from . import standin
from .standin import smooth_pictures, tensorflow, tiny_features, tiny_graph, tiny_keras

VALUES = smooth_pictures(3, 8).astype(np.float32) - 100


def agrees(source, output="head", values=VALUES):
    found = source.run(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tiny_features(values, output), rtol=1e-5, atol=1e-3)
    assert (source.size, source.dimension) == (values.shape[1], found.shape[1])


def refused(read, message, hint=""):
    with pytest.raises(UsageError) as caught:
        read()
    assert re.search(message, caught.value.message), caught.value.message
    assert re.search(hint, caught.value.hint), caught.value.hint
    assert caught.value.hint
    assert len(str(caught.value)) < 700


@pytest.fixture(scope="module")
def graph():
    return tiny_graph()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return standin.tiny_saved_model(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def saved_with_three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    return standin.tiny_saved_model(folder, ("mix", "pool", "head"))


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("keras") / "tiny.keras")
    with quiet():
        tiny_keras().save(path)
    return path


@pytest.fixture(scope="module")
def inception():
    return standin.inception_graph_bytes(width=0.1)


# A frozen graph


def test_a_frozen_graph_with_one_input_and_one_output_needs_no_names(graph, tmp_path):
    agrees(read_frozen_graph(graph))
    (tmp_path / "tiny.pb").write_bytes(graph)
    agrees(read_frozen_graph(str(tmp_path / "tiny.pb")))


@pytest.mark.parametrize("output", ["head", "pool", "pool:0", "mix"])
def test_an_output_inside_is_cut_out_and_a_map_is_averaged(graph, output):
    agrees(read_frozen_graph(graph, output_name=output), output.partition(":")[0])


def test_an_input_inside_stands_for_what_feeds_it(graph):
    tf = tensorflow()
    whole = tf.Graph()
    with whole.as_default():
        name = tf.compat.v1.placeholder(tf.string, [], "name")
        decoded = tf.io.decode_jpeg(tf.io.read_file(name), channels=3)
        pixels = tf.expand_dims(tf.cast(decoded, tf.float32), 0, name="pixels")
        standin.tiny_function(pixels)
    content = whole.as_graph_def().SerializeToString()
    agrees(read_frozen_graph(content, input_name="pixels", output_name="head", size=8))
    refused(lambda: read_frozen_graph(content), "its input name is not float32")
    refused(
        lambda: read_frozen_graph(content, input_name="ExpandDims/dim", size=8, output_name="head"),
        "no input|not allowed|does not|can't",
    )


def test_a_graph_of_any_size_needs_one(inception):
    read = lambda size: read_frozen_graph(inception, output_name="avgpool0/reshape", size=size)  # noqa: E731
    refused(lambda: read(None), "of any size", "size=224")
    assert read(224).dimension == 1024
    refused(lambda: read(5000), "size is 5000")
    refused(lambda: read(100), "TensorFlow can't use it")  # the pool at the end is 7 x 7
    refused(lambda: read_frozen_graph(tiny_graph(), size=9), "size given is 9", "give 8")


def test_the_outputs_of_the_stand_in_for_inception(inception):
    refused(lambda: read_frozen_graph(inception, size=224), "3 outputs", "output, output1, output2")
    refused(
        lambda: read_frozen_graph(inception, size=224, output_name="avgpool/reshape"),
        "no output 'avgpool/reshape'",
        r"Did you mean avgpool0/reshape.*The last of its \d+ outputs:.*output2",
    )
    refused(
        lambda: read_frozen_graph(inception, size=224, input_name="inputs", output_name="softmax2"),
        "no input 'inputs'",
        "Its inputs: input",
    )


@pytest.mark.parametrize("content", [b"", b"\x00" * 40, b"no graph at all", None])
def test_what_is_no_graph_is_refused(graph, content):
    content = graph[: len(graph) // 2] if content is None else content
    refused(lambda: read_frozen_graph(content), "not a frozen graph", "cut off")


def test_a_graph_that_is_not_there_is_named(tmp_path):
    refused(lambda: read_frozen_graph(str(tmp_path / "no.pb")), r"no\.pb: can't be read")


def test_a_graph_that_is_not_frozen_or_does_more_than_mathematics_is_refused(tmp_path):
    tf = tensorflow()
    written = tmp_path / "written"
    for make, message in (
        (lambda x: x * tf.compat.v1.get_variable("v", [3]), "has variables .*not frozen"),
        (lambda x: tf.strings.length(tf.io.read_file("/etc/hostname")), "not allowed: ReadFile"),
        (lambda x: tf.numpy_function(lambda y: y, [x], tf.float32), "not allowed: .*PyFunc"),
    ):
        graph = tf.Graph()
        with graph.as_default():
            pixels = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], "input")
            tf.identity(make(pixels), name="out")
        content = graph.as_graph_def().SerializeToString()
        refused(lambda c=content: read_frozen_graph(c, output_name="out"), message)
    assert not written.exists()


@pytest.mark.parametrize(
    ("shape", "message", "hint"),
    [
        ([None, 3, 8, 8], r"\[\?, 3, 8, 8\], not", "channels come first"),
        ([None, 8, 9, 3], r"\[\?, 8, 9, 3\], not", "square"),
        ([None, 8, 8, 1], "not", "colour"),
        ([None, 8], "not", "colour"),
        ([4, 8, 8, 3], "always 4 images", "any number"),
    ],
)
def test_an_input_that_is_no_colour_image_is_refused(shape, message, hint):
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tf.compat.v1.placeholder(tf.float32, shape, "input") * 2.0
    refused(lambda: read_frozen_graph(graph.as_graph_def().SerializeToString()), message, hint)


def test_an_output_that_is_no_row_of_features_is_refused():
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], "input")
        tf.reduce_mean(pixels, [3], name="grey")
        tf.reduce_sum(pixels, name="number")
        tf.argmax(tf.reduce_mean(pixels, [1, 2]), 1, name="class")
    content = graph.as_graph_def().SerializeToString()
    refused(lambda: read_frozen_graph(content, output_name="grey"), r"\[1, 8, 8\], not \[N, D\]")
    refused(lambda: read_frozen_graph(content, output_name="number"), r"\[\], not")
    refused(lambda: read_frozen_graph(content, output_name="class"), "int64, not float32")


# A SavedModel


def test_a_saved_model(saved):
    agrees(read_saved_model(saved))
    agrees(read_saved_model(saved, signature="serving_default", input_name="image"))


@pytest.mark.parametrize("output", ["mix", "pool", "head"])
def test_an_output_of_a_signature_or_a_node_inside(saved, saved_with_three, output):
    agrees(read_saved_model(saved_with_three, output_name=output), output)
    inside = {"head": "dense"}.get(output, output)
    agrees(read_saved_model(saved, output_name=inside), output)


def test_a_saved_model_of_any_size(tmp_path):
    path = standin.tiny_saved_model(tmp_path, shape=[None, None, None, 3])
    refused(lambda: read_saved_model(path), "of any size")
    values = smooth_pictures(2, 12).astype(np.float32)
    agrees(read_saved_model(path, size=12), values=values)


def test_names_that_a_saved_model_does_not_have(saved, saved_with_three):
    refused(lambda: read_saved_model(saved_with_three), "3 outputs", "mix.*head|head.*mix")
    refused(lambda: read_saved_model(saved, signature="serve"), "no signature", "serving_default")
    refused(lambda: read_saved_model(saved, input_name="img"), "no input 'img'", "image")
    refused(lambda: read_saved_model(saved, output_name="pol"), "no output 'pol'", "Did you mean")


def test_a_folder_that_is_no_saved_model(tmp_path):
    refused(lambda: read_saved_model(str(tmp_path)), "not a SavedModel", "model.export")
    (tmp_path / "saved_model.pb").write_bytes(b"nonsense")
    refused(lambda: read_saved_model(str(tmp_path)), "TensorFlow can't use it")


# A Keras model


def test_a_keras_model_in_memory_and_in_a_file(keras_file):
    agrees(read_keras(tiny_keras()))
    agrees(read_keras(keras_file))


@pytest.mark.parametrize("layer", ["mix", "pool", "head"])
def test_a_layer_of_a_keras_model(keras_file, layer):
    agrees(read_keras(keras_file, output_name=layer), layer)


def test_a_keras_model_of_any_size():
    model = tiny_keras(None)
    refused(lambda: read_keras(model), "the model tiny: .*of any size")
    values = smooth_pictures(2, 12).astype(np.float32)
    agrees(read_keras(model, size=12), values=values)


def test_a_layer_that_does_not_exist(keras_file):
    refused(lambda: read_keras(keras_file, output_name="heat"), "no layer", "Did you mean head")


def test_a_keras_model_with_python_in_it_is_refused_and_not_run(tmp_path):
    import keras

    marker = tmp_path / "ran"
    # What is stored is bytecode: the function runs when the layer is called.
    code = f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(eval(code))])
    marker.unlink(missing_ok=True)
    path = str(tmp_path / "lambda.keras")
    with quiet():
        model.save(path)
    marker.unlink(missing_ok=True)
    refused(lambda: read_keras(path), "Python code of its own", "export")
    assert not marker.exists()


def test_a_file_that_is_no_keras_model(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"nonsense")
    refused(lambda: read_keras(str(tmp_path / "a.keras")), "can't load")
    refused(lambda: read_keras(str(tmp_path / "b.keras")), "no such file")


def test_a_keras_model_with_several_inputs_or_outputs():
    import keras

    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    refused(lambda: read_keras(keras.Model([one, two], one + two)), "several inputs")
    both = keras.Model(one, [one + 1.0, one * 2.0])
    refused(lambda: read_keras(both), "has 2 outputs", "Its layers")
