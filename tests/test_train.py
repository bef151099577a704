"""``batchcls train``, ``evaluate``, ``predict`` and ``init``, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from batchcls import Model
from batchcls.context import Context

from .conftest import make_classes, picture

QUICK = ("--framing", "pad")  # instead of comparing all


def test_train_prints_what_to_expect_and_writes_the_model(batchcls, tmp_path):
    images = make_classes(tmp_path / "data")
    result = batchcls("train", "data/tags.tsv", "--output", "m.batchcls")
    assert result.status == 0, result.err
    assert re.search(r"dark +4 +4 of 4", result.out)
    assert re.search(r"light +4 +4 of 4", result.out)
    assert re.search(r"accuracy +1\.000 \(8 of 8 images; cross-validated", result.out)
    assert re.search(r"log-loss +0\.\d{4}", result.out)
    assert "efficientnet-lite0" in result.out
    assert re.search(r"framing +(crop|square|stretch|pad) \(lowest log-loss: crop", result.out)
    assert "m.batchcls" in result.out
    model = Model.load(tmp_path / "m.batchcls")
    assert model.classes == ["dark", "light"]
    manifest = model.manifest
    assert manifest.training["images_per_class"] == {"dark": 4, "light": 4}
    assert manifest.metrics["cross_validation"]["right"] == 8
    [prediction] = model.predict([images / "dark" / "1.jpg"])
    assert prediction.label == "dark"


@pytest.mark.parametrize("framing", ["crop", "square", "stretch", "pad"])
def test_framing_can_be_set_and_the_model_keeps_it(batchcls, tmp_path, framing):
    make_classes(tmp_path / "data", count=2)
    assert batchcls("train", "data/tags.tsv", "--framing", framing, "-o", "m.batchcls").status == 0
    assert Model.load("m.batchcls").framing.value == framing


def test_folder_of_class_folders_and_table_with_header_and_tags_train_the_same(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=2)
    lines = [line.split("\t") for line in (images / "tags.tsv").read_text().splitlines()]
    (images / "tags.csv").write_text(
        "number,Label,File\n"
        + "".join(f'{n},{label},"{p}"\n' for n, (p, label) in enumerate(lines))
    )
    (images / "padded.tsv").write_text("".join(f"{p}\t{label} \t  \n" for p, label in lines))
    weights = []
    for source in ("tags.tsv", "tags.csv", "padded.tsv", "."):
        result = batchcls("train", source, *QUICK, "-o", "../m.batchcls", cwd=images)
        assert result.status == 0, result.err
        weights.append(Model.load("m.batchcls").classifier.to_state()["weights"].tobytes())
    assert len(set(weights)) == 1


def test_images_option_is_the_folder_of_the_paths(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    (tmp_path / "data" / "tags.tsv").rename(tmp_path / "moved.tsv")
    assert batchcls("train", "moved.tsv").status == 2
    assert batchcls("train", "moved.tsv", "--images", "data", *QUICK).status == 0
    assert (tmp_path / "model.batchcls").exists()


def test_every_problem_is_listed_at_once_with_file_and_line_and_nothing_is_written(
    batchcls, tmp_path
):
    images = make_classes(tmp_path / "data", count=2)
    (images / "empty.jpg").write_bytes(b"")
    (images / "text.jpg").write_text("no image")
    with (images / "tags.tsv").open("a") as tags:
        tags.write("missing.jpg\tdark\nempty.jpg\tlight\n\tlight\nno_label.jpg\t\n")
        tags.write("dark/0.jpg\tlight\ntext.jpg\tdark\n")
    (tmp_path / "m.batchcls").write_text("the old one")
    result = batchcls("train", "data/tags.tsv", "-o", "m.batchcls")
    assert result.status == 2
    for problem in (
        r"data/tags\.tsv:5: .*missing\.jpg: no such file",
        r"data/tags\.tsv:6: .*empty\.jpg: an empty file",
        r"data/tags\.tsv:7: the label 'light' has no image",
        r"data/tags\.tsv:8: no_label\.jpg has no label",
        r"data/tags\.tsv:9: dark/0\.jpg is tagged 'light' here and 'dark' in data/tags\.tsv:1",
        r"data/tags\.tsv:10: .*text\.jpg: not an image",
    ):
        assert re.search(problem, result.err), (problem, result.err)
    assert "6 problems" in result.err
    assert (tmp_path / "m.batchcls").read_text() == "the old one"
    assert not list(tmp_path.glob(".batchcls*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no tags in it"),
        ("\n\n", "no tags in it"),
        ("path,label\n", "no tags in it"),
        ("dark/0.jpg\tdark\ndark/1.jpg\tdark\n", "one class only"),
        ("dark/0.jpg dark\n", "no tab between path and label"),
    ],
)
def test_tags_that_teach_nothing_are_an_error(batchcls, tmp_path, content, message):
    images = make_classes(tmp_path / "data", count=2)
    (images / "tags.tsv").write_text(content)
    result = batchcls("train", "data/tags.tsv", "-o", "m.batchcls")
    assert result.status == 2
    assert message in result.err
    assert "data/tags.tsv" in result.err
    assert not (tmp_path / "m.batchcls").exists()


def test_class_folder_with_no_image_is_named(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=2)
    (images / "nothing").mkdir()
    result = batchcls("train", "data")
    assert result.status == 2
    assert "data/nothing: a label with no image" in result.err


def test_class_with_one_image_is_trained_and_said_to_be_unchecked(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=3)
    picture(3).save(images / "single.png")
    with (images / "tags.tsv").open("a") as tags:
        tags.write("single.png\tcolourful\n")
    result = batchcls("train", "data/tags.tsv", "-o", "m.batchcls", *QUICK)
    assert result.status == 0, result.err
    assert re.search(r"colourful +1 +not checked", result.out)
    assert "6 images; cross-validated" in result.out
    assert "one image only" in result.out
    assert Model.load("m.batchcls").predict([images / "single.png"])[0].label == "colourful"


def test_one_image_in_each_class_gives_a_model_and_no_made_up_figures(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=1)
    result = batchcls("train", "data/tags.tsv", "-o", "m.batchcls")
    assert result.status == 0, result.err
    assert "not known" in result.out
    assert "1.000" not in result.out
    model = Model.load("m.batchcls")
    assert model.manifest.metrics["cross_validation"]["accuracy"] is None
    table = {p.path: p.label for p in model.predict(["data/dark/0.jpg", "data/light/0.jpg"])}
    assert table == {"data/dark/0.jpg": "dark", "data/light/0.jpg": "light"}


def test_many_images_are_trained_on_a_sample_of_framings(batchcls, tmp_path, monkeypatch):
    """More images than are compared in every framing: the rest is featurized in the best one."""
    from batchcls import training
    from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0
    from batchcls.builtin.logistic import LogisticRegression
    from batchcls.decode import Decoder
    from batchcls.engines.local import LocalEngine
    from batchcls.records import TaggedImage

    monkeypatch.setattr(training, "FRAMING_SAMPLE", 8)
    images = make_classes(tmp_path / "data", count=10)
    lines = [line.split("\t") for line in (images / "tags.tsv").read_text().splitlines()]
    tags = [TaggedImage(str(images / path), label, path) for path, label in lines]
    featurizer = EfficientNetLite0().create(Context())
    parts = training.Parts(Decoder(), featurizer, LogisticRegression, None, LocalEngine(2))
    steps: list[int] = []
    trained = training.train(tags, parts, steps.append)
    assert sum(steps) == 20
    assert len(trained.framing_losses) == 4
    assert len(trained.validation.checked) == 20
    assert trained.validation.accuracy == 1.0


def test_unknown_names_list_those_that_exist(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    for option, name in (("--featurizer", "efficientnet-lite0"), ("--classifier", "logistic")):
        result = batchcls("train", "data/tags.tsv", option, "nonesuch")
        assert result.status == 2
        assert "nonesuch" in result.err
        assert name in result.err
    result = batchcls("train", "data/tags.tsv", "--framing", "round")
    assert result.status == 2
    assert "--framing" in result.err


def test_evaluate_prints_tables_and_json(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "data")
    (images / "test.tsv").write_text("dark/0.jpg\tdark\nlight/1.jpg\tdark\nlight/2.jpg\tlight\n")
    result = batchcls("evaluate", "data/test.tsv", "--model", model)
    assert result.status == 0, result.err
    assert re.search(r"micro accuracy +0\.6667", result.out)
    assert re.search(r"macro accuracy +0\.7500", result.out)
    assert "1 mistake" in result.out
    assert "light/1.jpg" in result.out
    result = batchcls("evaluate", "data/test.tsv", "--model", model, "--json")
    metrics = json.loads(result.out)
    assert set(metrics) == {
        "classes", "log_loss", "per_class_log_loss", "log_loss_reduction", "micro_accuracy",
        "macro_accuracy", "top_k_accuracy", "confusion_matrix", "unknown", "accuracy_interval",
        "per_class_precision", "per_class_recall", "per_class_f1", "per_class_support",
        "expected_calibration_error", "reliability", "errors", "review", "suggested_review",
    }  # fmt: skip
    assert metrics["confusion_matrix"] == [[1, 1], [0, 1]]
    assert metrics["top_k_accuracy"] == {"1": pytest.approx(2 / 3), "2": 1.0}
    assert set(metrics["per_class_log_loss"]) == {"dark", "light"}


def test_evaluate_names_tags_with_a_class_that_the_model_does_not_know(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "data", count=2)
    (images / "test.tsv").write_text("dark/0.jpg\tdark\nlight/1.jpg\tgrey\n")
    result = batchcls("evaluate", "data/test.tsv", "-m", model)
    assert result.status == 2
    where = "data/test.tsv:2: data/light/1.jpg"
    assert f"{where}: the model does not know the class 'grey'" in result.err
    assert "dark, light" in result.err


def test_predict_prints_a_line_for_each_image(batchcls, model, tmp_path):
    make_classes(tmp_path / "data")
    (tmp_path / "bad.jpg").write_bytes(b"")
    result = batchcls("predict", "data/dark/0.jpg", "bad.jpg", "data/light/0.jpg", "-m", model)
    assert result.status == 3
    first, second, third = result.out.splitlines()
    assert re.fullmatch(r"data/dark/0\.jpg  dark  [01]\.\d{4}", first)
    assert second == "bad.jpg  error  an empty file"
    assert third.startswith("data/light/0.jpg  light  ")
    result = batchcls("predict", "data/dark/0.jpg", "-m", model, "--top", "2")
    assert result.status == 0
    assert re.fullmatch(r"data/dark/0\.jpg  dark  \S+  light  \S+", result.out.strip())


def test_predict_json_survives_names_that_are_not_utf8(batchcls, model, tmp_path):
    make_classes(tmp_path / "data", count=1)
    name = os.fsdecode(b"caf\xe9.png")
    picture().save(Path(name))
    result = batchcls("predict", name, "data/dark/0.jpg", "-m", model, "--json", "--top", "2")
    assert result.status == 0, result.err
    first, second = json.loads(result.out)
    assert first["path"] == name
    assert second["label"] == "dark"
    assert [item["label"] for item in second["top"]] == ["dark", "light"]
    assert second["score"] == second["top"][0]["score"]


def test_init_writes_a_configuration_that_works(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    (tmp_path / "job").mkdir()
    result = batchcls("init", "job", "--images", "data", "--tags", "data/tags.tsv")
    assert result.status == 0, result.err
    result = batchcls("run", cwd=tmp_path / "job")
    assert result.status == 0, result.err
    assert (tmp_path / "job" / "report.csv").exists()
    assert (tmp_path / "job" / "model.batchcls").exists()
    again = batchcls("init", "job")
    assert again.status == 2
    assert "--force" in again.err
    assert batchcls("init", "job", "--force").status == 0


def test_init_writes_a_model_name_that_is_a_file(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    (tmp_path / "job").mkdir()
    arguments = ("--images", "data", "--tags", "data/tags.tsv", "--model", "job/mine")
    assert batchcls("init", "job", *arguments).status == 0
    quick = {"BATCHCLS_TRAIN_FRAMING": "pad"}
    assert batchcls("run", "--config", "job/config.toml", **quick).status == 0
    assert (tmp_path / "job" / "mine").is_file()
    assert batchcls("init", "job", "--images", "", "--force").status == 2


def test_model_can_not_take_a_ready_models_name(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    result = batchcls("train", "data/tags.tsv", "-o", "imagenet")
    assert result.status == 2
    assert "ready model" in result.err
    assert not (tmp_path / "imagenet").exists()


def test_one_class_only_is_listed_with_all_else_that_is_wrong(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=2)
    (images / "empty.jpg").write_bytes(b"")
    (images / "tags.tsv").write_text("dark/0.jpg\tdark\nempty.jpg\tdark\nmissing.jpg\tdark\n")
    result = batchcls("train", "data/tags.tsv")
    assert result.status == 2
    first, second, third = result.err.splitlines()[1:4]
    assert "tags.tsv:1" in first
    assert "one class only" in first
    assert "tags.tsv:2" in second
    assert "an empty file" in second
    assert "tags.tsv:3" in third
    assert "no such file" in third


def test_evaluate_lists_unknown_classes_and_unreadable_images_together(batchcls, model, tmp_path):
    images = make_classes(tmp_path / "data", count=2)
    (images / "empty.jpg").write_bytes(b"")
    (images / "test.tsv").write_text("dark/0.jpg\tgrey\nempty.jpg\tdark\n")
    result = batchcls("evaluate", "data/test.tsv", "-m", model)
    assert result.status == 2
    assert "data/test.tsv:1" in result.err
    assert "data/test.tsv:2" in result.err


def test_help_names_the_defaults(batchcls):
    assert "report.csv" in batchcls("run", "--help").out
    help_of_train = batchcls("train", "--help").out
    for default in ("auto", "logistic", "model.batchcls"):
        assert default in help_of_train


def test_fitting_holds_every_blas_to_one_thread():
    """Also SciPy's own, which is loaded only when scikit-learn is."""
    code = (
        "import numpy as np, batchcls.builtin.logistic as l\n"
        "from threadpoolctl import threadpool_info\n"
        "fit = l.LogisticRegression._fit\n"
        "def watched(self, *given):\n"
        "    fit(self, *given)\n"
        "    print([i['num_threads'] for i in threadpool_info() if i['user_api'] == 'blas'])\n"
        "l.LogisticRegression._fit = watched\n"
        "l.LogisticRegression().fit(np.eye(4, 9, dtype='f4'), np.array([0, 1, 0, 1]), 2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    threads = json.loads(done.stdout)
    assert len(threads) >= 1
    assert set(threads) == {1}


def test_the_model_takes_the_place_of_no_other_file(batchcls, tmp_path):
    folder = make_classes(tmp_path / "images")
    tags = folder / "tags.tsv"
    before = tags.read_text()
    result = batchcls("train", tags, "-o", tags)
    assert result.status == 2
    assert "something else than a model" in result.err
    assert tags.read_text() == before
