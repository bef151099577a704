"""Networks converted for LiteRT: the contract, agreement with TensorFlow, the cache, fallbacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from batchcls.errors import UsageError
from batchcls.networks import convert as converting
from batchcls.networks.convert import ConversionError, check_alike, convert, least_cosine
from batchcls.networks.featurizer import network_featurizer, restore_featurizer
from batchcls.networks.frozengraph import read_frozen_graph
from batchcls.networks.litert import LiteRTFeaturizer
from batchcls.networks.preprocessing import Preprocessing, preprocessing

from . import standin
from .conftest import SOAK
from .standin import smooth_pictures, tensorflow, tiny_features

PLAIN = Preprocessing()
UNLIKE = [
    preprocessing("rgb", 117),
    preprocessing("bgr", (103.939, 116.779, 123.68)),
    preprocessing("rgb", (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)),
    preprocessing("bgr", 127.5, (1 / 127.5, -1 / 64, 0.25)),
]


def sample(size):
    return smooth_pictures(12, size, seed=7)


@pytest.fixture(scope="module")
def tiny():
    return read_frozen_graph(standin.tiny_graph())


@pytest.fixture(scope="module")
def inception():
    """As wide as the real one for a soak: that takes ten times as long."""
    return standin.inception_graph_bytes(width=1.0 if SOAK > 1 else 0.2)


def read_inception(graph, output):
    return read_frozen_graph(graph, input_name="input:0", output_name=output, size=224)


def test_preprocessing_is_what_it_says():
    pixels = smooth_pictures(2, 4)
    done = preprocessing("bgr", (1, 2, 3), (2, 4, 8)).apply(pixels)
    assert done.dtype == np.float32
    expected = (pixels[..., ::-1].astype(float) - [1, 2, 3]) * [2, 4, 8]
    np.testing.assert_array_equal(done, expected)
    np.testing.assert_array_equal(PLAIN.apply(pixels), pixels)


@pytest.mark.parametrize("bad", [{"mean": float("nan")}, {"scale": 0}, {"scale": (1, 0, 1)}])
def test_preprocessing_that_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match=r"mean and scale|scale of 0"):
        preprocessing(**bad)


@pytest.mark.parametrize("steps", [PLAIN, *UNLIKE])
def test_preprocessing_is_inside_the_network(tiny, steps):
    pixels = smooth_pictures(5, 8)
    featurizer = LiteRTFeaturizer("tiny", convert(tiny, steps))
    assert (featurizer.input_size, featurizer.dimension) == (8, 2)
    expected = tiny_features(steps.apply(pixels))
    np.testing.assert_allclose(featurizer.featurize(pixels), expected, rtol=1e-4, atol=1e-3)
    # and the sum itself is exact: a network that gives its input back
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        one = tf.compat.v1.placeholder(tf.float32, [None, 1, 1, 3], "input")
        tf.reshape(one, [-1, 3], name="same")
    same = read_frozen_graph(graph.as_graph_def().SerializeToString())
    featurizer = LiteRTFeaturizer("same", convert(same, steps))
    colours = np.random.default_rng(0).integers(0, 256, (50, 1, 1, 3), dtype=np.uint8)
    expected = steps.apply(colours)[:, 0, 0]
    np.testing.assert_array_equal(featurizer.featurize(colours), expected)


@pytest.mark.parametrize("steps", [PLAIN, *UNLIKE])
def test_int8_keeps_the_preprocessing_in_full(tiny, steps):
    pixels = smooth_pictures(5, 8)

    def wide(size):  # what is beyond the ranges that were seen is cut off
        colours = np.stack(np.meshgrid([0, 255], [0, 255], [0, 255]), -1).reshape(-1, 1, 1, 3)
        flat = np.broadcast_to(colours.astype(np.uint8), (8, size, size, 3))
        return np.concatenate([flat, smooth_pictures(50, size, seed=7)])

    featurizer = LiteRTFeaturizer("tiny", convert(tiny, steps, "int8", wide))
    expected = tiny_features(steps.apply(pixels))
    assert least_cosine(expected, featurizer.featurize(pixels)) > 0.99


@pytest.mark.fuzz
@pytest.mark.parametrize("output", ["softmax2_pre_activation", "avgpool0/reshape"])
def test_inception_agrees_with_tensorflow(inception, output):
    source, steps = read_inception(inception, output), preprocessing(mean=117)
    pixels = smooth_pictures(4, 224, seed=1)
    expected = source.run(steps.apply(pixels))
    assert np.abs(expected).max() < 1e4
    assert expected.std() > 0.1
    whole = convert(source, steps)
    exact = LiteRTFeaturizer("inception", whole)
    assert least_cosine(expected, exact.featurize(pixels)) > 0.99999

    def unlike(size):  # coarse noise, not blobs
        noise = np.random.default_rng(0).integers(0, 256, (8, size // 4, size // 4, 3), np.uint8)
        return noise.repeat(4, 1).repeat(4, 2)

    small = convert(source, steps, "int8", unlike)
    assert least_cosine(expected, LiteRTFeaturizer("inception", small).featurize(pixels)) > 0.99
    assert len(small) < len(whole) / 3  # a byte for four, and the tables


def test_what_is_converted_twice_is_the_same(tiny):
    for precision in ("float32", "int8"):
        one, two = (convert(tiny, UNLIKE[0], precision, sample) for _ in range(2))
        assert one == two


def test_int8_without_images_is_an_error(tiny):
    with pytest.raises(ConversionError, match="int8 needs images"):
        convert(tiny, PLAIN, "int8")
    with pytest.raises(ConversionError, match="int8 needs images"):
        convert(tiny, PLAIN, "int8", lambda size: np.empty((0, size, size, 3), np.uint8))


def test_features_that_are_unlike_are_an_error():
    one, other = np.eye(2, 4, dtype=np.float32), np.ones((2, 4), np.float32)
    with pytest.raises(ConversionError, match=r"int8 .*cosine 0\.5000, 0\.99 is the least"):
        check_alike(one, other, "int8")
    with pytest.raises(ConversionError, match="cosine nan"):
        check_alike(one, other * np.nan, "float32")
    with pytest.raises(ConversionError, match="cosine 0"):
        check_alike(one, other * 0, "float32")
    with pytest.raises(ConversionError, match="4 features, not 3"):
        check_alike(one[:, :3], other, "float32")
    check_alike(one * 0, other * 0, "float32")


# The face


def test_the_featurizer_of_a_network(tiny, tmp_path):
    path, said = tmp_path / "models" / "deep" / "tiny.tflite", []
    calls = []

    def source():
        calls.append(1)
        return tiny

    make = lambda: network_featurizer(  # noqa: E731
        "tiny", source, UNLIKE[0], say=said.append, cache_path=str(path)
    )
    first = make()
    content = path.read_bytes()
    again = make()
    assert calls == [1]
    assert first.digest == again.digest
    assert path.read_bytes() == content == first.to_files()["network.tflite"]
    assert said == ["tiny: converting the network to float32 for LiteRT, once."]
    restored = restore_featurizer("tiny", first.to_files())
    pixels = smooth_pictures(3, 8)
    np.testing.assert_array_equal(restored.featurize(pixels), first.featurize(pixels))
    # One that is broken is made anew.
    for broken in (b"", content[:-100], b"nonsense" * 100):
        path.write_bytes(broken)
        assert make().digest == first.digest
        assert path.read_bytes() == content
    assert len(calls) == 4


def test_a_cache_that_cannot_be_written_is_said_and_costs_nothing(tiny, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    said = []
    path = str(tmp_path / "file" / "tiny.tflite")
    made = network_featurizer("tiny", lambda: tiny, PLAIN, say=said.append, cache_path=path)
    assert made.dimension == 2
    assert len(said) == 2
    assert "can't be kept" in said[1]


def test_with_a_cache_tensorflow_is_not_imported(tiny, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(convert(tiny, PLAIN))
    code = f"""
import sys
from batchcls.networks.featurizer import network_featurizer
from batchcls.networks.preprocessing import preprocessing
made = network_featurizer("tiny", None, preprocessing(), cache_path={str(path)!r})
assert made.dimension == 2
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_conversion_says_nothing_on_standard_error(tmp_path):
    (tmp_path / "tiny.pb").write_bytes(standin.tiny_graph())
    code = """
import numpy as np
from batchcls.networks.featurizer import network_featurizer
from batchcls.networks.frozengraph import read_frozen_graph
from batchcls.networks.preprocessing import preprocessing
for runtime, precision in (("litert", "float32"), ("litert", "int8"), ("tensorflow", "float32")):
    network_featurizer(
        "tiny", lambda: read_frozen_graph("tiny.pb"), preprocessing(), runtime=runtime,
        precision=precision,
        sample=lambda size: np.arange(192 * 9, dtype=np.uint8).reshape(9, size, size, 3),
    )
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def unusual():
    """Give a network with an operation that LiteRT lacks."""
    tf = tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        pixels = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], "input")
        tf.identity(tf.math.tan(tf.reduce_mean(pixels, [1, 2]) / 300), name="out")
    return read_frozen_graph(graph.as_graph_def().SerializeToString())


def test_what_litert_lacks_is_run_by_tensorflow_and_said_aloud(tmp_path):
    said, path = [], tmp_path / "unusual.tflite"
    made = network_featurizer("unusual", unusual, PLAIN, say=said.append, cache_path=str(path))
    assert said == [
        "unusual: converting the network to float32 for LiteRT, once.",
        "unusual: LiteRT lacks operations that it has: Tan.\n"
        "TensorFlow itself runs it instead, which is slower.",
    ]
    assert not path.exists()
    assert set(made.to_files()) == {"network.pb"}
    pixels = smooth_pictures(3, 8)
    expected = np.tan(pixels.mean(axis=(1, 2)) / 300)
    np.testing.assert_allclose(made.featurize(pixels), expected, rtol=1e-4)


def test_int8_that_will_not_do_becomes_float32_and_is_said(tiny, monkeypatch, tmp_path):
    monkeypatch.setitem(converting.LEAST_COSINE, "int8", 1.1)
    said = []
    path = tmp_path / "tiny.tflite"
    made = network_featurizer(
        "tiny",
        lambda: tiny,
        UNLIKE[0],
        precision="int8",
        sample=sample,
        say=said.append,
        cache_path=str(path),
    )
    assert path.exists()  # or another training's images would change the featurizer
    assert said[0] == "tiny: converting the network to int8 for LiteRT, once."
    assert len(said) == 2
    assert "as int8 on LiteRT its features are unlike TensorFlow's" in said[1]
    assert "LiteRT runs it as float32 instead" in said[1]
    again = []
    kept = network_featurizer("tiny", None, UNLIKE[0], say=again.append, cache_path=str(path))
    assert again == said[1:]
    assert kept.digest == made.digest
    assert made.digest == network_featurizer("tiny", lambda: tiny, UNLIKE[0]).digest


def test_a_sample_that_cannot_be_had_is_the_callers_error(tiny):
    def none(size):
        raise UsageError("no images here")

    with pytest.raises(UsageError, match="no images here"):
        network_featurizer("tiny", lambda: tiny, PLAIN, precision="int8", sample=none)


@pytest.mark.parametrize("files", [{}, {"other": b""}, {"network.tflite": b"", "network.pb": b""}])
def test_other_files_restore_to_nothing(files):
    with pytest.raises(ValueError, match="expected the one file"):
        restore_featurizer("x", files)
