"""Real photographs: the tutorial that the project follows, and 59 of ImageNet's classes.

They are no part of the project; without them these tests are skipped, by name.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import SHARED, command
from .warm import Warm

# What the tutorial's own model prints for its test tags.
TUTORIAL_LOG_LOSS = 0.0653774699265059


@pytest.fixture(scope="module")
def learnt(tutorial: Path, tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A model of the tutorial's photographs, as anyone would train it."""
    model = tmp_path_factory.mktemp("learnt") / "tutorial.batchcls"
    trained = command(warm, model.parent)(
        *("train", tutorial / "tags.tsv", "--output", model),
        **{"BATCHCLS_INSTALLED_PLUGINS": "", "BATCHCLS_STORE_ENABLED": "false"},
        **{"BATCHCLS_MODELS_DOWNLOAD": "false"},
    )
    assert trained.status == 0, trained.err
    return model


def test_tutorial_is_learnt_better_than_by_the_tutorial(batchcls, tutorial, learnt):
    model = learnt
    result = batchcls("evaluate", tutorial / "test-tags.tsv", "--model", model, "--json")
    metrics = json.loads(result.out)
    assert metrics["classes"] == ["appliance", "food", "toy"]
    assert metrics["micro_accuracy"] == 1.0
    assert metrics["log_loss"] < TUTORIAL_LOG_LOSS
    assert metrics["per_class_log_loss"]["appliance"] is None
    result = batchcls("predict", tutorial / "toaster3.jpg", "-m", model)
    assert result.out.split("  ")[1] == "appliance"


def test_tutorial_folder_is_classified_rightly_whole(batchcls, tutorial, learnt, tmp_path):
    result = batchcls("run", tutorial, "-m", learnt, "-o", "out.csv")
    assert result.status == 0, result.err
    with (tmp_path / "out.csv").open(newline="") as file:
        table = {row["path"]: row["label"] for row in csv.DictReader(file)}
    kinds = {"broccoli": "food", "pizza": "food", "teddy": "toy", "toaster": "appliance"}
    assert len(table) == 12
    for path, label in table.items():
        assert label == kinds[path.rstrip(".jpgn0123456789")], path


def test_imagenet_knows_59_photographs_without_training(batchcls, photos, tmp_path):
    result = batchcls("run", photos, "--model", "imagenet", "-o", "out.csv")
    assert result.status == 0, result.err
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 59
    lines = (SHARED / "imagenet-1k.tsv").read_text(encoding="utf-8").splitlines()
    name_of = {synset: name for _, synset, name in (line.split("\t") for line in lines)}
    right = [
        row
        for row in rows
        if row["label"].split(" (")[0] == name_of[Path(row["path"]).name.split("_")[0]]
    ]
    # The reference network in float32 has 50 of them right.
    assert len(right) >= 49
