"""A ``.tflite`` of the user's own, by path: any kind of input and output becomes the contract."""

from __future__ import annotations

import re

import numpy as np
import pytest

from batchcls.errors import UsageError
from batchcls.networks.contract import to_contract
from batchcls.networks.convert import least_cosine
from batchcls.networks.featurizer import restore_featurizer, tflite_featurizer
from batchcls.networks.preprocessing import Preprocessing, preprocessing
from batchcls.networks.quiet import quiet
from batchcls.networks.tables import Tables

from .standin import smooth_pictures, tensorflow, tiny_features, tiny_tflite

BGR = preprocessing("bgr", (100, 110, 120), (1 / 2, 1 / 3, 1 / 4))
PIXELS = smooth_pictures(5, 8, seed=3)


@pytest.fixture(scope="module")
def network():
    """Make each kind of tiny network once."""
    made = {}

    def make(*arguments):
        if arguments not in made:
            with quiet():
                made[arguments] = tiny_tflite(*arguments)
        return made[arguments]

    return make


@pytest.fixture
def load(tmp_path):
    def make(content, *arguments, **options):
        path = tmp_path / "tiny.tflite"
        path.write_bytes(content)
        return tflite_featurizer("tiny", str(path), *arguments, **options)

    return make


def refused(make, message, hint=""):
    with pytest.raises(UsageError) as caught:
        make()
    assert re.search(message, caught.value.message), caught.value.message
    assert re.search(hint, caught.value.hint), caught.value.hint
    assert caught.value.hint


@pytest.mark.parametrize("steps", [None, Preprocessing(), BGR])
def test_a_float_network(network, load, steps):
    made = load(network(), steps)
    expected = tiny_features((steps or Preprocessing()).apply(PIXELS))
    np.testing.assert_allclose(made.featurize(PIXELS), expected, rtol=1e-4, atol=1e-3)
    assert (made.name, made.input_size, made.dimension) == ("tiny", 8, 2)
    restored = restore_featurizer("tiny", made.to_files())
    assert restored.digest == made.digest
    np.testing.assert_array_equal(restored.featurize(PIXELS), made.featurize(PIXELS))


def test_the_digest_covers_the_preprocessing(network, load):
    digests = {load(network(), steps).digest for steps in (Preprocessing(), BGR)}
    assert len(digests) == 2
    assert load(network(), BGR).digest in digests


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("steps", [None, Preprocessing(), preprocessing("bgr", 10, 0.9)])
def test_a_quantised_network(network, load, kind, steps):
    made = load(network(kind), steps)
    expected = tiny_features((steps or Preprocessing()).apply(PIXELS))
    assert least_cosine(expected, made.featurize(PIXELS)) > 0.99


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("output", ["mix", "pool"])
def test_an_output_of_several_and_a_map_is_averaged(network, load, kind, output):
    content = network(kind, 8, ("head", "mix", "pool"))
    names = {
        tuple(Tables(content).shape(i)): Tables(content).names[i] for i in Tables(content).outputs
    }
    refused(lambda: load(content), "has 3 outputs", "Its outputs: ")
    made = load(content, output_name=names[{"mix": (1, 8, 8, 4), "pool": (1, 4)}[output]])
    assert (
        least_cosine(tiny_features(PIXELS.astype(np.float32), output), made.featurize(PIXELS))
        > 0.99
    )


def test_a_tensor_inside_and_what_it_does_not_need_is_cut_off(network, load):
    content = network()
    tables = Tables(content)
    name = tables.names[tables.operators[0].outputs[0]]
    made = load(content, output_name=name)
    expected = tiny_features(PIXELS.astype(np.float32), "mix")
    np.testing.assert_allclose(made.featurize(PIXELS), expected, rtol=1e-4, atol=1e-3)
    kept = [
        len(Tables(one.to_files()["network.tflite"]).operators) for one in (made, load(content))
    ]
    assert kept[0] < kept[1]
    refused(lambda: load(content, output_name=name + "x"), "no output", "Did you mean")


def test_a_network_of_any_size(network, load):
    content = network("float32", None)
    refused(lambda: load(content), "of any size", "size=224")
    pixels = smooth_pictures(2, 12)
    made = load(content, size=12)
    np.testing.assert_allclose(
        made.featurize(pixels), tiny_features(pixels.astype(np.float32)), rtol=1e-4, atol=1e-2
    )
    refused(lambda: load(network(), size=12), "size given is 12", "give 8")


def test_a_network_that_keeps_the_contract_already_stays_as_it_is(network, load):
    made = load(network(), BGR)
    again = load(made.to_files()["network.tflite"])
    assert again.digest == made.digest
    np.testing.assert_array_equal(again.featurize(PIXELS), made.featurize(PIXELS))


@pytest.mark.parametrize("cut", [0, 10, 300, None])
def test_what_is_no_network_is_refused(network, load, cut):
    content = b"nonsense" * 99 if cut is None else network()[:cut]
    refused(lambda: load(content), "can't be used", r"\.tflite")


def test_a_file_that_is_not_there(tmp_path):
    refused(lambda: tflite_featurizer("x", str(tmp_path / "no.tflite")), "no.tflite: can't be read")


@pytest.mark.parametrize(
    ("shape", "work", "message"),
    [
        ([1, 3, 8, 8], lambda tf, x: tf.reduce_mean(x, [2, 3]), "not \\[N, S, S, 3\\]"),
        ([1, 8, 8, 1], lambda tf, x: tf.reduce_mean(x, [1, 2]), "not \\[N, S, S, 3\\]"),
        ([1, 8, 8, 3], lambda tf, x: tf.reduce_mean(x, [3]), r"output is \[1, 8, 8\]"),
        ([1, 8, 8, 3], lambda tf, x: tf.argmax(tf.reduce_mean(x, [1, 2]), 1), "output is"),
        (
            [1, 8, 8, 3],
            lambda tf, x: tf.shape(x)[None] + tf.cast(x[0, 0, 0, 0], tf.int32),
            "neither",
        ),
    ],
)
def test_networks_that_are_not_for_images(load, shape, work, message):
    tf = tensorflow()
    with quiet():
        function = tf.function(lambda x: work(tf, x)).get_concrete_function(
            tf.TensorSpec(shape, tf.float32)
        )
        content = tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    refused(lambda: load(content, output_name=None), message)


def test_weights_lie_where_kernels_can_read_them(network):
    content = to_contract(Tables(network()), BGR)
    for buffer in Tables(content)._model.buffers:
        if buffer.data is not None and len(buffer.data):
            offset = buffer.data.__array_interface__["data"][0]
            start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
            assert (offset - start) % 16 == 0
