"""The featurizer in this process: networks, weights, and what can go wrong with them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest
from batchcls_keras import batchcls_featurizers, weights
from batchcls_keras.access import silenced
from batchcls_keras.building import Wanted, build
from batchcls_keras.networks import find_network
from batchcls_keras.provider import KerasApplications

from batchcls.errors import NetworkError, UsageError
from batchcls.testing import check_featurizer
from batchcls.testing.data import pictures

SMALL = {"network": "mobilenet", "weights": "none", "size": 32}
# What Keras 3.15 calls the files, a sample of each kind.
NAMES = {
    "ConvNeXtXLarge": "convnext_xlarge_notop.h5",
    "DenseNet121": "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "EfficientNetB0": "efficientnetb0_notop.h5",
    "EfficientNetV2B0": "efficientnetv2-b0_notop.h5",
    "InceptionResNetV2": "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "InceptionV3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "MobileNet": "mobilenet_1_0_224_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    "MobileNetV3Large": "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    "NASNetMobile": "nasnet_mobile_no_top.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50V2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


@pytest.fixture
def create(context):
    def make(*, download=False, **options):
        return KerasApplications().create(context(download), **options)

    return make


def random_model(name, size, context):
    return build(Wanted(find_network(name), size, "avg"), "none", context())


def saved(model, path):
    """Save weights: as Keras's own files are, by their order, or by their names."""
    with silenced():
        (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)
    return path


def test_it_is_what_a_featurizer_has_to_be(context, converted):
    check_featurizer(KerasApplications(), context=context(), **SMALL)


def test_features_are_those_of_keras(create, context):
    """With the channels turned round, on TensorFlow, and with the other pooling."""
    network = find_network("VGG16")
    model = build(Wanted(network, 32, "max"), "none", context())
    pixels = pictures(32, 3)
    with silenced():
        due = model(network.preprocess(pixels.astype(np.float32))).numpy()
    made = create(network="vgg16", weights="none", size=32, pooling="max", runtime="tensorflow")
    assert set(made.to_files()) == {"network.pb"}
    assert made.restored_by == "tensorflow"
    assert made.featurize(pixels) == pytest.approx(due, rel=1e-3, abs=1e-3 * float(due.max()))


def test_a_network_is_converted_once(create, tmp_path, converted, monkeypatch):
    assert converted.name.startswith("keras-MobileNet-32-float32-")
    first = create(**SMALL)
    assert first.to_files()["network.tflite"] == converted.read_bytes()
    other = create(**SMALL, precision="int8")
    assert other.digest != first.digest
    assert other.featurize(pictures(32, 2)) == pytest.approx(
        first.featurize(pictures(32, 2)), abs=0.01
    )

    assert len([*(tmp_path / "models").iterdir()]) == 2

    def fails(*_, **__):
        raise AssertionError("read again, to be converted")

    monkeypatch.setattr("batchcls.networks.kerasmodel.read_keras", fails)
    assert create(**SMALL).digest == first.digest
    assert create(**SMALL, precision="int8").digest == other.digest
    with pytest.raises(AssertionError, match="again"):
        create(**SMALL, pooling="max")


def test_random_weights_are_the_same_each_time(context):
    np.random.seed(1)
    one, other = (random_model("MobileNet", 32, context) for _ in range(2))
    assert weights.weights_digest(one) == weights.weights_digest(other)
    assert np.random.randint(10**6) == np.random.RandomState(1).randint(10**6)


def test_published_weights_are_found_where_keras_keeps_them(create, context, models, tmp_path):
    provider = KerasApplications()
    assert not provider.about(context(network="MobileNet")).at_hand
    model = random_model("MobileNet", 128, context)
    kept = saved(model, models / "mobilenet_1_0_128_tf_no_top.h5")
    about = provider.about(context(network="mobilenet"))
    assert (about.at_hand, about.place, about.size) == (True, str(kept), kept.stat().st_size)
    options = {"network": "MobileNet", "size": 128}
    published = create(**options)
    own = saved(model, tmp_path / "own.weights.h5")
    pixels = pictures(128, 2)
    found = published.featurize(pixels)
    assert np.array_equal(found, create(**options, weights=str(own)).featurize(pixels))
    assert np.array_equal(found, create(**options, weights="none").featurize(pixels))
    # They are the same weights, so that what was converted of the first served the others.
    assert len([*(tmp_path / "models").iterdir()]) == 1


def test_a_published_file_by_its_path_is_taken_as_keras_takes_it(context, tmp_path, monkeypatch):
    """EfficientNet has one layer more for those weights, which it does not have for others."""
    network = find_network("EfficientNetB0")
    wanted = Wanted(network, 32, "avg")
    random = build(wanted, "none", context())
    path = saved(random, tmp_path / "any name.h5")
    plain = build(wanted, str(path), context())
    assert len(plain.layers) == len(random.layers)
    known = sys.modules[network.construct.__module__].WEIGHTS_HASHES
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(known, "b0", ("", md5))
    published = build(wanted, str(path), context())
    assert len(published.layers) == len(random.layers) + 1
    assert weights.weights_digest(plain) == weights.weights_digest(published)


def test_weights_that_do_not_fit_are_refused(create, context, tmp_path):
    model = random_model("MobileNet", 32, context)
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    (tmp_path / "weights.txt").touch()
    for path in (
        saved(model, tmp_path / "new.weights.h5"),
        saved(model, tmp_path / "old.h5"),
        tmp_path / "broken.h5",
        tmp_path / "weights.txt",
    ):
        with pytest.raises(UsageError, match=f"{path.name}: not weights of VGG16") as caught:
            create(network="VGG16", weights=str(path), size=32)
        assert "include_top=False" in caught.value.hint
        assert "\n" not in caught.value.message


def test_a_broken_file_in_the_cache_is_named(create, models):
    path = models / "mobilenet_1_0_224_tf_no_top.h5"
    path.write_bytes(b"half of it")
    with pytest.raises(NetworkError, match=f"Keras can't load {path}") as caught:
        create(network="MobileNet")
    assert "Remove it" in caught.value.hint


def test_a_failed_download_says_why_and_what_to_do(create, models, closed, capfd):
    started = time.monotonic()
    with pytest.raises(NetworkError, match="Keras says: URL fetch failure") as caught:
        create(download=True, network="MobileNetV2")
    assert time.monotonic() - started < 20
    assert "refused" in caught.value.message
    assert "\n" not in caught.value.message
    for said in (str(models / NAMES["MobileNetV2"]), "weights=PATH", "efficientnet-lite0"):
        assert said in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_not_what_was_published_is_not_used(create, models, closed):
    (models / NAMES["EfficientNetB0"]).write_bytes(b"something else")
    with pytest.raises(NetworkError, match="the weights of EfficientNetB0 can't be had"):
        create(network="EfficientNetB0", size=32)


def test_nothing_is_downloaded_where_that_is_not_allowed(create, models):
    with pytest.raises(NetworkError, match="models -> download is false"):
        create(network="MobileNetV2")


def test_fetch(context, models, closed):
    provider = KerasApplications()
    with pytest.raises(NetworkError, match="the weights of VGG16 can't be had"):
        provider.fetch(context(network="VGG16"))
    with pytest.raises(UsageError, match="nothing to fetch"):
        provider.fetch(context(weights="none"))
    saved(random_model("MobileNet", 128, context), models / "mobilenet_1_0_128_tf_no_top.h5")
    provider.fetch(context(network="mobilenet", size=128))


def test_a_network_that_does_not_exist(create):
    with pytest.raises(UsageError, match="Keras has no network 'ResNet51'") as caught:
        create(network="ResNet51", weights="none")
    assert "Did you mean ResNet50" in caught.value.hint
    assert "EfficientNetV2B0" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "least"), [("InceptionV3", 75), ("MobileNetV3Small", 32), ("Xception", 71)]
)
@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_a_size_that_is_too_small(create, name, least, weights):
    with pytest.raises(UsageError, match=f"{name}: size is {least - 1}") as caught:
        create(network=name, weights=weights, size=least - 1)
    assert f"{least} x {least}" in caught.value.hint


def test_options_that_do_not_go_together(create):
    with pytest.raises(UsageError, match="precision=int8 is for LiteRT"):
        create(precision="int8", runtime="tensorflow")


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_found_by_their_names(models, name):
    for file in NAMES.values():
        (models / file).touch()
    (models / NAMES[name].replace("no_top", "").replace("notop", "")).touch()
    assert weights.find_cached(name.lower()) == str(models / NAMES[name])


def test_about(context, tmp_path):
    provider = KerasApplications()
    assert provider.about(context(weights="none")).at_hand
    assert not provider.about(context(network=5)).at_hand
    assert not provider.about(context(weights=str(tmp_path / "no.h5"))).at_hand
    (tmp_path / "yes.h5").touch()
    assert provider.about(context(weights=str(tmp_path / "yes.h5"))).at_hand


def test_a_plugin_is_cheap_to_import_and_to_ask():
    code = (
        "import sys, batchcls_keras; from batchcls.context import Context\n"
        "[provider] = batchcls_keras.batchcls_featurizers()\n"
        "provider.about(Context())\n"
        "assert not {'keras', 'tensorflow', 'h5py'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert [one.name for one in batchcls_featurizers()] == ["keras"]
