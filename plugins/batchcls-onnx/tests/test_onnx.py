"""What the network sees and gives, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from batchcls_onnx.provider import OnnxProvider
from onnx import TensorProto, helper
from small_networks import DIMENSION, SIZE, expected, features_of, model, network

from batchcls.context import Context
from batchcls.errors import UsageError
from batchcls.testing import check_featurizer

PIXELS = np.random.default_rng(3).integers(0, 256, (4, SIZE, SIZE, 3), np.uint8)
MEAN, SCALE = (100.0, 110.0, 120.0), (0.01, 0.02, 0.03)


@pytest.fixture
def made(tmp_path):
    """Save a network and make the featurizer of it."""

    def make(proto, **options):
        path = tmp_path / "network.onnx"
        path.write_bytes(proto.SerializeToString())
        return OnnxProvider().create(Context(), path=str(path), **options)

    return make


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8])
def test_it_is_what_a_featurizer_has_to_be(tmp_path, layout, kind):
    path = tmp_path / "network.onnx"
    path.write_bytes(network(layout, kind).SerializeToString())
    check_featurizer(OnnxProvider(), path=str(path), order="bgr")


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize(
    ("mean", "scale"), [((0.0,), (1.0,)), ((127.0,), (0.0078,)), (MEAN, SCALE)]
)
def test_features_are_those_of_numpy(made, layout, order, mean, scale):
    featurizer = made(network(layout), order=order, mean=mean, scale=scale)
    assert (featurizer.input_size, featurizer.dimension) == (SIZE, DIMENSION)
    features = featurizer.featurize(PIXELS)
    assert features.dtype == np.float32
    assert features == pytest.approx(expected(PIXELS, mean, scale, order), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_map_is_averaged(made, layout):
    featurizer = made(network(layout, pooled=False))
    assert featurizer.featurize(PIXELS) == pytest.approx(expected(PIXELS), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "close"),
    [(TensorProto.FLOAT16, 1e-2), (TensorProto.UINT8, 1e-4)],
    ids=["float16", "uint8"],
)
def test_other_types_of_input(made, kind, close):
    features = made(network("nhwc", kind)).featurize(PIXELS)
    assert features.dtype == np.float32
    assert features == pytest.approx(expected(PIXELS), rel=close)


def test_a_batch_of_one_is_all_that_is_needed(made):
    features = made(network(batch=1)).featurize(PIXELS)
    assert np.array_equal(features, made(network()).featurize(PIXELS))


def test_any_tensor_can_be_the_features(made):
    whole = network()
    logits = made(whole, output="logits").featurize(PIXELS)
    assert logits.shape == (4, 7)
    assert np.array_equal(
        made(whole, output="features").featurize(PIXELS), made(whole).featurize(PIXELS)
    )
    assert made(whole, output="map").featurize(PIXELS) == pytest.approx(expected(PIXELS), rel=1e-4)


def test_an_open_size_is_given(made):
    featurizer = made(network(size=None), size=40)
    assert featurizer.input_size == 40
    assert featurizer.featurize(np.zeros((2, 40, 40, 3), np.uint8)).shape == (2, DIMENSION)


def test_an_open_layout_is_given(made):
    for layout in ("nchw", "nhwc"):
        featurizer = made(network(layout, shape=[None] * 4), size=SIZE, layout=layout)
        assert featurizer.featurize(PIXELS) == pytest.approx(expected(PIXELS), rel=1e-4)


def test_a_restored_one_gives_the_same(made):
    options = {"mean": MEAN, "scale": SCALE, "order": "bgr", "output": "logits", "size": 24}
    featurizer = made(network("nhwc", shape=["N", "S", "S", 3]), **options)
    back = OnnxProvider().restore(featurizer.to_files())
    assert (back.digest, back.input_size, back.dimension) == (featurizer.digest, 24, 7)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)
    assert np.array_equal(back.featurize(pixels), featurizer.featurize(pixels))
    assert back.to_files() == featurizer.to_files()


def test_all_that_decides_the_features_is_in_the_digest(made):
    options = [{}, {"mean": (1.0,)}, {"scale": (2.0,)}, {"order": "bgr"}, {"output": "logits"}]
    digests = {made(network(), **one).digest for one in options}
    digests.add(made(network("nhwc")).digest)
    assert len(digests) == len(options) + 1
    assert made(network()).digest == made(network(), layout="nchw", size=SIZE).digest


def two(inputs, outputs):
    """Make a network of some inputs, whose outputs are pooled."""
    names = [f"image{number}" for number in range(inputs)]
    nodes = [
        helper.make_node("ReduceMean", [names[0]], [f"out{number}"], axes=[2, 3], keepdims=0)
        for number in range(outputs)
    ]
    pictures = [(name, TensorProto.FLOAT, [1, 3, SIZE, SIZE]) for name in names]
    return model(nodes, pictures, [(f"out{n}", TensorProto.FLOAT) for n in range(outputs)])


def one(kind, shape):
    """Make a network of any one input, which does nothing."""
    node = helper.make_node("Identity", ["image"], ["out"])
    return model([node], [("image", kind, shape)], [("out", kind)])


WRONG = {
    "two inputs": (two(2, 1), {}, ["2 inputs", "image0 float [1, 3, 16, 16]"]),
    "two outputs": (two(1, 2), {}, ["out0 float", "out1 float", "output=NAME"]),
    "no such tensor": (network(), {"output": "feature"}, ["no tensor 'feature'", "features"]),
    "open size": (network(size=None), {}, ["image float ['N', 3, None, None]", "size=224"]),
    "another size": (network(), {"size": 32}, ["[N, 3, 16, 16]".replace("N", "'N'"), "size=32"]),
    "no square": (network(shape=["N", 3, 8, 9]), {}, ["no square"]),
    "no channels": (network(shape=["N", 1, 8, 8]), {}, ["no three channels"]),
    "other channels": (network(), {"layout": "nhwc"}, ["no three channels"]),
    "ambiguous": (network(shape=[None] * 4), {}, ["layout=nchw or layout=nhwc"]),
    "no picture": (one(TensorProto.FLOAT, ["N", 3]), {}, ["['N', 3], not a picture"]),
    "a batch of 4": (network(batch=4), {}, ["4 images at once"]),
    "two means": (network(), {"mean": (1.0, 2.0)}, ["mean is one number, or three"]),
    "an endless scale": (network(), {"scale": (float("inf"),)}, ["scale is one number"]),
    "pixels as they are": (network(kind=TensorProto.UINT8), {"mean": (1.0,)}, ["no mean"]),
    "whole numbers": (
        one(TensorProto.INT8, ["N", 3, 8, 8]),
        {},
        ["image int8", "not float32, float16 or uint8"],
    ),
    "a number": (
        features_of(helper.make_node("ReduceMean", ["image"], ["features"], keepdims=0)),
        {},
        ["features is [] for one image", "the option output"],
    ),
    "indices": (
        features_of(helper.make_node("ArgMax", ["image"], ["features"], axis=1)),
        {},
        ["not"],
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_said_in_plain_words(made, wrong, capfd):
    proto, options, said = wrong
    with pytest.raises(ValueError) as caught:
        made(proto, **options)
    for words in said:
        assert words in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_not_there():
    with pytest.raises(UsageError, match=r"nowhere\.onnx: No such file"):
        OnnxProvider().create(Context(), path="nowhere.onnx")
