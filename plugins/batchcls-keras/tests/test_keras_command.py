"""The real command: train, then classify in other processes, with and without the plugin."""

from __future__ import annotations

import csv
import io

TRAIN = ("train", "tagged/tags.tsv", "-o", "m.batchcls", "--featurizer", "keras")
RUN = ("run", "tagged", "-m", "m.batchcls", "-o", "-", "-q")


def test_a_model_runs_without_the_plugin(batchcls, tagged):
    options = ("-F", "network=mobilenet", "-F", "weights=none", "-F", "size=32")
    trained = batchcls(*TRAIN, *options)
    assert trained.status == 0, trained.err
    assert "keras network=mobilenet" in trained.out
    assert "Keras" not in trained.err
    with_it = batchcls(*RUN)
    # As where it is not installed, nor TensorFlow: neither is imported.
    without = batchcls(*RUN, "--jobs", "1", BATCHCLS_INSTALLED_PLUGINS="", KERAS_BACKEND="none")
    assert (without.status, without.err) == (0, "")
    assert without.out == with_it.out
    rows = list(csv.DictReader(io.StringIO(without.out)))
    assert len(rows) == 6
    assert all(row["path"].startswith(row["label"]) for row in rows)
    unknown = batchcls(*TRAIN, BATCHCLS_INSTALLED_PLUGINS="")
    assert unknown.status == 2
    assert "there is no featurizer 'keras'" in unknown.err


def test_wrong_options_are_told_before_keras_is_imported(batchcls, tagged):
    for given, said in (
        ("size=0", "size"),
        ("weights=nowhere.h5", "nowhere.h5: no such file of weights"),
        ("pooling=min", "pooling"),
        ("netwrok=VGG16", "Did you mean network?"),
    ):
        result = batchcls(*TRAIN, "-F", given)
        assert (result.status, result.out) == (2, "")
        assert said in result.err
        assert "Traceback" not in result.err


def test_models_tells_of_it(batchcls):
    listed = batchcls("models")
    assert listed.status == 0, listed.err
    assert "MobileNetV2: its weights are not in" in listed.out
