"""What Keras does to pixels is found out, for every network that it has, or refused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from batchcls_keras.access import load_keras
from batchcls_keras.networks import find_network
from batchcls_keras.probing import probed

from batchcls.errors import UsageError
from batchcls.networks.preprocessing import Preprocessing

# As it stands in Keras's documentation: a sample of each kind.
KINDS = {
    "MobileNetV2": Preprocessing(mean=(127.5,) * 3, scale=(1 / 127.5,) * 3),
    "DenseNet121": Preprocessing(
        mean=(123.675, 116.28, 103.53),
        scale=(1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225),
    ),
    "ResNet50": Preprocessing("bgr", mean=(103.939, 116.779, 123.68)),
    "VGG16": Preprocessing("bgr", mean=(103.939, 116.779, 123.68)),
    "MobileNetV3Small": Preprocessing(),
    "EfficientNetB0": Preprocessing(),
    "EfficientNetV2B0": Preprocessing(),
    "ConvNeXtTiny": Preprocessing(),
}
SIZES = {
    "MobileNet": 224,
    "InceptionV3": 299,
    "EfficientNetB7": 600,
    "NASNetLarge": 331,
    "EfficientNetV2S": 384,
}


def test_it_is_right_for_every_network_of_keras():
    applications = vars(load_keras().applications)
    names = [name for name in applications if inspect.isfunction(applications[name])]
    assert len(names) >= 38
    pixels = np.random.default_rng(7).integers(0, 256, (4, 9, 6, 3), np.uint8)
    for name in names:
        network = find_network(name)
        found = probed(name, network.preprocess).apply(pixels)
        due = np.asarray(network.preprocess(pixels.astype(np.float32)))
        assert np.allclose(found, due, rtol=1e-5, atol=1e-5), name
        assert found.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
def test_it_is_what_is_documented(name):
    found = probed(name, find_network(name).preprocess)
    assert found.order == KINDS[name].order
    assert found.mean == pytest.approx(KINDS[name].mean)
    assert found.scale == pytest.approx(KINDS[name].scale)


@pytest.mark.parametrize("name", SIZES)
def test_a_network_has_its_own_size(name):
    assert find_network(name).default_size() == SIZES[name]


def test_a_network_of_any_size_gets_the_usual_one():
    assert find_network("MobileNetV3Small").default_size() == 224


def writing(x):
    x -= 100
    return x


def raising(x):
    raise RuntimeError("no\nway")


def test_one_that_writes_to_its_input():
    assert probed("x", writing) == Preprocessing(mean=(100.0,) * 3)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x[..., [1, 2, 0]], "mixes channels"),
        (lambda x: x * 0, "mixes channels"),
        (lambda x: np.repeat(x.mean(axis=-1, keepdims=True), 3, axis=-1), "mixes channels"),
        (lambda x: x + 0.1 * x[..., ::-1], "mixes channels"),
        (lambda x: (x - x.mean()) / (x.std() + 1), "does more"),
        (np.sqrt, "does more"),
        (lambda x: np.clip(x, 0, 254.9), "does more"),
        (lambda x: x.transpose(0, 3, 1, 2), "it makes"),
        (lambda x: x * np.nan, "it makes"),
        (lambda x: x[0], "it makes"),
        (raising, "no way"),
    ],
)
def test_one_that_is_not_a_sum_for_each_channel_is_refused(function, said):
    with pytest.raises(UsageError, match=said) as caught:
        probed("Odd", function)
    assert caught.value.message.startswith("Odd: what Keras does to pixels")
    assert "--featurizer tensorflow" in caught.value.hint
