"""The Python face: ``from batchcls import Model``."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import batchcls
from batchcls import Model
from batchcls.records import Status

from .conftest import make_classes, picture


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Two classes of images, with a model of them."""
    folder = make_classes(tmp_path_factory.mktemp("images"), count=6)
    shutil.copy(model, folder / "m.batchcls")
    return folder


def paths(images: Path) -> list[Path]:
    return sorted(images.glob("*/*.jpg"))


def test_predict_gives_the_same_as_the_command_line(images, batchcls):
    (images / "bad.jpg").write_bytes(b"")
    files = [*paths(images), images / "bad.jpg"]
    predictions = Model.load(images / "m.batchcls").predict(files)
    result = batchcls("predict", *files, "-m", images / "m.batchcls", "--json")
    (images / "bad.jpg").unlink()
    printed = json.loads(result.out)
    assert [(p["path"], p["label"], p["score"], p["status"], p["error"]) for p in printed] == [
        (p.path, p.label, p.score, p.status.value, p.error) for p in predictions
    ]
    assert predictions[-1].status is Status.ERROR
    assert predictions[-1].scores is None


def test_predictions_do_not_depend_on_the_company_an_image_is_in(images):
    model = Model.load(images / "m.batchcls")
    together = model.predict(paths(images))
    for path, prediction in zip(paths(images), together, strict=True):
        [alone] = model.predict([path])
        assert alone.scores is not None
        assert prediction.scores is not None
        np.testing.assert_array_equal(alone.scores, prediction.scores)


def test_scores_of_a_thousand_classes_do_not_depend_on_the_place_in_the_batch():
    model = Model.load("imagenet")
    features = np.random.default_rng(0).random((19, 1280), dtype=np.float32)
    together = model.classifier.predict_proba(features)
    for start in range(19):
        for stop in range(start + 1, 20):
            part = model.classifier.predict_proba(features[start:stop])
            np.testing.assert_array_equal(part, together[start:stop])


def test_one_model_serves_many_threads_at_once(images):
    model = Model.load(images / "m.batchcls")
    files = paths(images)
    expected = model.predict(files, jobs=1)
    wrong: list[int] = []

    def work(number: int) -> None:
        # Each thread in an order of its own, so that they meet in every state.
        order = np.random.default_rng(number).permutation(len(files))
        for _ in range(3):
            got = model.predict([files[index] for index in order], jobs=1 + number % 3)
            for index, prediction in zip(order, got, strict=True):
                same = np.array_equal(prediction.scores, expected[index].scores)
                if not same or prediction.path != expected[index].path:
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_scores_are_probabilities_in_the_order_of_classes(images):
    model = Model.load(images / "m.batchcls")
    for prediction in model.predict(paths(images)):
        assert prediction.scores is not None
        assert prediction.scores.dtype == np.float64
        assert prediction.scores.sum() == pytest.approx(1)
        assert prediction.label == model.classes[prediction.scores.argmax()]
        assert prediction.score == prediction.scores.max()


def test_saved_again_it_is_the_same_file(images, tmp_path):
    model = Model.load(images / "m.batchcls")
    model.save(tmp_path / "again.batchcls")
    assert (tmp_path / "again.batchcls").read_bytes() == (images / "m.batchcls").read_bytes()
    assert Model.load(tmp_path / "again.batchcls").digest == model.digest


def test_model_runs_on_what_it_carries_alone(images, tmp_path):
    """The featurizer's weights come from the model file, not from what is installed."""
    code = (
        "import batchcls.builtin.efficientnet_lite0 as e\n"
        "def gone(self): raise AssertionError('the installed weights were used')\n"
        "e.EfficientNetLite0.create = gone\n"
        "from batchcls import Model\n"
        f"print(Model.load({str(images / 'm.batchcls')!r}).predict(["
        f"{str(images / 'dark' / '0.jpg')!r}])[0].label)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "dark\n"
    assert done.stderr == ""


def test_stream_is_lazy(images):
    drawn: list[int] = []

    def endless():
        while True:
            drawn.append(1)
            yield paths(images)[0]

    stream = Model.load(images / "m.batchcls").predict_iter(endless(), jobs=1)
    assert [next(stream).label for _ in range(20)] == ["dark"] * 20
    assert len(drawn) < 100
    stream.close()


def test_one_path_in_place_of_a_list_is_a_type_error(images):
    with pytest.raises(TypeError, match="list of paths"):
        Model.load(images / "m.batchcls").predict(str(paths(images)[0]))


def test_imagenet_has_a_thousand_labels_each_once():
    classes = Model.load("imagenet").classes
    assert len(classes) == len(set(classes)) == 1000
    assert classes[0] == "tench"
    assert {name for name in classes if "(" in name} == {
        "crane (n02012849)",
        "crane (n03126707)",
        "maillot (n03710637)",
        "maillot (n03710721)",
    }


def test_imagenet_can_be_saved_and_loaded(tmp_path):
    model = Model.load("imagenet")
    model.save(tmp_path / "i.batchcls")
    picture().save(tmp_path / "a.png")
    [here] = model.predict([tmp_path / "a.png"])
    [there] = Model.load(tmp_path / "i.batchcls").predict([tmp_path / "a.png"])
    np.testing.assert_array_equal(here.scores, there.scores)


def test_public_names_are_there():
    for name in batchcls.__all__:
        assert getattr(batchcls, name) is not None
    with pytest.raises(AttributeError):
        batchcls.nonesuch  # noqa: B018


def test_model_can_be_sent_to_another_process(images):
    model = Model.load(images / "m.batchcls")
    again = pickle.loads(pickle.dumps(model))
    assert again.digest == model.digest
    for here, there in zip(model.predict(paths(images)), again.predict(paths(images)), strict=True):
        np.testing.assert_array_equal(here.scores, there.scores)
    assert len({model, again}) == 2
    assert len(repr(model)) < 200


def test_paths_may_be_bytes(images):
    model = Model.load(os.fsencode(images / "m.batchcls"))
    [prediction] = model.predict([os.fsencode(images / "dark" / "0.jpg")])
    assert prediction.path == str(images / "dark" / "0.jpg")
    assert prediction.label == "dark"


@pytest.mark.parametrize("jobs", [-1, 100_000])
def test_senseless_number_of_jobs_is_refused(images, jobs):
    with pytest.raises(ValueError, match="jobs"):
        Model.load(images / "m.batchcls").predict(paths(images), jobs=jobs)
