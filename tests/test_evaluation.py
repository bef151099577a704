"""The metrics: by their definitions, and beside scikit-learn's on random data."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from sklearn import metrics as sk

from batchcls.evaluation import Metrics, metrics_of

from .conftest import Result, make_classes, picture

SEEDS = range(12)


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores, true classes and names; in odd seeds some classes have no image."""
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 9))
    scores = random.dirichlet(np.full(count, 0.7), int(random.integers(5, 200)))
    targets = random.integers(0, count - 1 if seed % 2 and count > 2 else count, len(scores))
    return scores, targets, [f"class {number}" for number in range(count)]


@pytest.mark.parametrize("seed", SEEDS)
def test_log_loss_and_accuracies_are_those_of_scikit_learn(seed):
    scores, targets, classes = random_case(seed)
    found = metrics_of(scores, targets, classes, top=99)
    labels = np.arange(len(classes))
    assert found.log_loss == pytest.approx(sk.log_loss(targets, scores, labels=labels))
    assert found.micro_accuracy == pytest.approx(sk.accuracy_score(targets, scores.argmax(axis=1)))
    recalls = sk.recall_score(
        targets, scores.argmax(axis=1), labels=np.unique(targets), average=None, zero_division=0
    )
    assert found.macro_accuracy == pytest.approx(recalls.mean())
    np.testing.assert_array_equal(
        found.confusion_matrix,
        sk.confusion_matrix(targets, scores.argmax(axis=1), labels=labels),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_top_k_accuracy_is_that_of_scikit_learn(seed):
    scores, targets, classes = random_case(seed)
    found = metrics_of(scores, targets, classes, top=99).top_k_accuracy
    assert list(found) == list(range(1, len(classes) + 1))
    assert found[len(classes)] == 1
    for k, share in found.items():
        if k < len(classes) and len(classes) > 2:
            expected = sk.top_k_accuracy_score(targets, scores, k=k, labels=range(len(classes)))
            assert share == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_log_loss_of_a_class_is_that_over_its_images_alone(seed):
    scores, targets, classes = random_case(seed)
    found = metrics_of(scores, targets, classes, top=1)
    weighted = 0.0
    for number, name in enumerate(classes):
        members = targets == number
        loss = found.per_class_log_loss[name]
        if not members.any():
            assert loss is None
            continue
        expected = sk.log_loss(targets[members], scores[members], labels=range(len(classes)))
        assert loss == pytest.approx(expected)
        weighted += expected * members.mean()
    assert found.log_loss == pytest.approx(weighted)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reduction_compares_with_answering_the_shares_of_the_classes(seed):
    scores, targets, classes = random_case(seed)
    found = metrics_of(scores, targets, classes, top=1)
    shares = np.bincount(targets, minlength=len(classes)) / len(targets)
    labels = range(len(classes))
    prior = sk.log_loss(targets, np.tile(shares, (len(targets), 1)), labels=labels)
    assert found.log_loss_reduction == pytest.approx((prior - found.log_loss) / prior)
    same = metrics_of(np.tile(shares, (len(targets), 1)), targets, classes, top=1)
    assert same.log_loss_reduction == pytest.approx(0, abs=1e-12)


def test_a_probability_of_zero_costs_much_but_is_finite():
    found = metrics_of(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]), ["a", "b"], top=1)
    worst = -math.log(1e-15)
    assert found.log_loss == pytest.approx(worst / 2)
    assert found.per_class_log_loss == {"a": 0.0, "b": pytest.approx(worst)}
    assert found.micro_accuracy == 0.5


def test_perfect_scores_are_perfect():
    found = metrics_of(np.eye(3), np.arange(3), ["a", "b", "c"], top=2)
    assert found == Metrics(
        classes=["a", "b", "c"],
        log_loss=0,
        per_class_log_loss={"a": 0, "b": 0, "c": 0},
        log_loss_reduction=1,
        micro_accuracy=1,
        macro_accuracy=1,
        top_k_accuracy={1: 1, 2: 1},
        confusion_matrix=[[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    )


def test_one_class_of_images_has_no_reduction_and_the_others_no_log_loss():
    scores = np.array([[0.5, 0.3, 0.2]] * 2)
    found = metrics_of(scores, np.array([1, 1]), ["a", "b", "c"], top=3)
    assert found.log_loss_reduction is None
    assert found.per_class_log_loss == {"a": None, "b": pytest.approx(-math.log(0.3)), "c": None}
    assert found.macro_accuracy == found.micro_accuracy == 0
    assert found.top_k_accuracy == {1: 0, 2: 1, 3: 1}
    assert found.confusion_matrix == [[0, 0, 0], [2, 0, 0], [0, 0, 0]]


def test_macro_accuracy_weighs_classes_and_micro_accuracy_images():
    scores = np.array([[0.9, 0.1]] * 9 + [[0.8, 0.2]])
    found = metrics_of(scores, np.array([0] * 9 + [1]), ["a", "b"], top=1)
    assert found.micro_accuracy == 0.9
    assert found.macro_accuracy == 0.5


def test_of_equal_scores_the_first_class_counts_as_the_answer_everywhere():
    scores = np.full((2, 4), 0.25)
    found = metrics_of(scores, np.array([0, 2]), list("abcd"), top=4)
    assert found.confusion_matrix == [[1, 0, 0, 0], [0] * 4, [1, 0, 0, 0], [0] * 4]
    assert found.top_k_accuracy == {1: 0.5, 2: 0.5, 3: 1, 4: 1}


def test_the_metrics_are_plain_json_with_keys_that_are_text():
    scores, targets, classes = random_case(1)
    found = metrics_of(scores, targets, classes, top=2).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found["top_k_accuracy"]) == ["1", "2"]


def test_the_command_prints_the_metrics_as_json(tmp_path, batchcls, model):
    make_classes(tmp_path, count=3)
    result: Result = batchcls("evaluate", "tags.tsv", "-m", model, "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert found["classes"] == ["dark", "light"]
    assert found["micro_accuracy"] == found["macro_accuracy"] == 1
    assert found["confusion_matrix"] == [[3, 0], [0, 3]]
    assert 0 <= found["log_loss"] < 0.7


def test_it_counts_the_images_that_would_be_withheld_as_unknown(tmp_path, batchcls, model):
    make_classes(tmp_path, count=4)
    picture().save(tmp_path / "other.png")
    (tmp_path / "test.tsv").write_text("dark/0.jpg\tdark\nlight/1.jpg\tlight\nother.png\tlight\n")
    result: Result = batchcls("evaluate", "test.tsv", "-m", model, "--json")
    found = json.loads(result.out)
    assert found["unknown"] == 1
    assert sum(map(sum, found["confusion_matrix"])) == 3  # by the labels as they were given
    result = batchcls("evaluate", "test.tsv", "-m", model)
    assert re.search(r"^called unknown +1$", result.out, re.MULTILINE)


def test_a_model_that_cannot_tell_unknown_images_counts_none(tmp_path, batchcls):
    make_classes(tmp_path, count=2)
    batchcls("train", "tags.tsv", "-o", "m.batchcls", "-q", "--framing", "pad")
    result: Result = batchcls("evaluate", "tags.tsv", "-m", "m.batchcls", "--json")
    assert json.loads(result.out)["unknown"] is None
    assert "unknown" not in batchcls("evaluate", "tags.tsv", "-m", "m.batchcls").out


def test_the_command_lists_every_tag_of_a_class_that_the_model_does_not_know(tmp_path, batchcls):
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "tags.tsv").write_text("a.jpg\tno such class\n./a.jpg\tno such class\n")
    picture(1).save(tmp_path / "b.jpg")
    with (tmp_path / "tags.tsv").open("a") as file:
        file.write("b.jpg\tnor this\n")
    result: Result = batchcls("evaluate", "tags.tsv", "-m", "imagenet")
    assert result.status == 2
    lines = result.err.splitlines()
    first, second = lines[1:]
    assert first.startswith("tags.tsv:1: a.jpg: the model does not know the class 'no such class'")
    assert second.startswith("tags.tsv:3: b.jpg: the model does not know the class 'nor this'")
    assert "(it knows tench, goldfish, " in first
