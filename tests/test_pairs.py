"""Every featurizer with every classifier: trained, saved, and loaded in a new process, the same."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from batchcls import assembly, plugins, trainingassembly
from batchcls.settings import Settings
from batchcls.tags import read_tags
from batchcls.terminal import Terminal
from batchcls.training import train

from .conftest import make_classes
from .standin import inception_graph_bytes, tensorflow


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in graph and a Keras network, and room for what is converted."""
    folder = tmp_path_factory.mktemp("networks")
    (folder / "graph.pb").write_bytes(inception_graph_bytes(width=0.05))
    tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((48, 48, 3)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.DepthwiseConv2D(3, activation="relu6"),
            layers.Conv2D(40, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras's own use of NumPy
        network.save(folder / "network.keras")
    return folder


@pytest.fixture
def installed():
    """The plugins that are installed, in this process."""
    plugins.use_plugins([], ["batchcls-*"])
    yield
    plugins.use_plugins([])


FEATURIZERS = {
    "efficientnet-lite0": {},
    "inception": {},
    "tensorflow": {"mean": 127.5, "scale": 1 / 127.5},
}
CLASSIFIERS = {"logistic": {}, "knn": {"neighbors": 3}, "forest": {"n_estimators": 15}}


@pytest.mark.parametrize("featurizer", FEATURIZERS)
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_pair_trains_saves_loads_in_a_new_process_and_says_the_same(
    tmp_path, networks, installed, batchcls, monkeypatch, featurizer, classifier
):
    if classifier not in plugins.registry().classifiers:
        pytest.skip("needs the plugin batchcls-neighbors, which `make test` installs")
    folder = make_classes(tmp_path / "tagged", count=4)
    settings = Settings()
    settings.train.featurizer, settings.train.classifier = featurizer, classifier
    settings.train.framing = "pad"
    settings.featurizer[featurizer] = dict(FEATURIZERS[featurizer])
    if featurizer == "tensorflow":
        settings.featurizer[featurizer]["path"] = str(networks / "network.keras")
    settings.classifier[classifier] = CLASSIFIERS[classifier]
    settings.inception.graph = str(networks / "graph.pb")
    settings.models.folder = str(networks / "converted")
    tags = read_tags(str(folder / "tags.tsv"), None, assembly.scan_rules(settings))
    context = trainingassembly.training_context(settings, Terminal(quiet=True), tags)
    model = train(tags, trainingassembly.training_parts(settings, context)).model
    model.save(tmp_path / "m.batchcls")
    images = sorted(str(path) for path in folder.rglob("*.jpg"))
    assert len(images) == 8
    before = [(one.label, one.score) for one in model.predict(images)]
    assert [label for label, _ in before] == ["dark"] * 4 + ["light"] * 4
    monkeypatch.setenv("BATCHCLS_INSTALLED_PLUGINS", "batchcls-*")
    result = batchcls("predict", *images, "-m", "m.batchcls", "--json")
    assert result.status == 0, result.err
    after = [(one["label"], one["score"]) for one in json.loads(result.out)]
    assert after == before
    assert model.manifest.classifier.options.items() >= CLASSIFIERS[classifier].items()
    owner = "batchcls-neighbors" if classifier == "knn" else ""
    assert model.manifest.classifier.plugin.partition(" ")[0] == owner
