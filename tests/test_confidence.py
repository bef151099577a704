"""How far labels and scores can be relied on: by the definitions, and beside scikit-learn's."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from batchcls.confidence import (
    Confidence,
    calibration_error,
    class_qualities,
    confidence_of,
    reliability,
    wilson,
)
from batchcls.reviewcurve import ENOUGH, USUAL, Judged, ReviewPoint

SEEDS = range(12)


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """True classes, labels, scores, unknown ones, names; some classes have no image or label."""
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 9))
    images = int(random.integers(1, 300))
    targets = random.integers(0, count, images)
    scores = random.beta(4, 1, images).round(2)
    labels = np.where(random.random(images) < scores, targets, random.integers(0, count, images))
    names = [f"class {number}" for number in range(count + 2)]
    return targets, labels, scores, random.random(images) < 0.05, names


def confidence(seed: int) -> Confidence:
    targets, labels, scores, withheld, names = random_case(seed)
    return confidence_of(names, targets, labels, scores, withheld)


@pytest.mark.parametrize("seed", SEEDS)
def test_precision_recall_and_f1_are_those_of_scikit_learn(seed):
    targets, labels, _, _, names = random_case(seed)
    found = class_qualities(names, targets, labels)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        targets, labels, labels=range(len(names)), zero_division=np.nan
    )
    for index, one in enumerate(found):
        assert one.name == names[index]
        assert one.support == support[index]
        for value, expected in zip(
            (one.precision, one.recall, one.f1),
            (precision[index], recall[index], f1[index]),
            strict=True,
        ):
            assert (value is None) == math.isnan(expected)
            assert value is None or value == pytest.approx(expected)


def test_what_would_be_nothing_divided_by_nothing_is_not_defined():
    found = class_qualities(["a", "b", "c"], np.array([0, 0]), np.array([0, 1]))
    assert [one.precision for one in found] == [1.0, 0.0, None]
    assert [one.recall for one in found] == [0.5, None, None]
    assert [one.f1 for one in found] == [pytest.approx(2 / 3), 0.0, None]
    assert [(one.support, one.labelled, one.right) for one in found] == [
        (2, 1, 1),
        (0, 1, 0),
        (0, 0, 0),
    ]


def test_a_bin_holds_its_upper_edge_and_the_first_one_both():
    scores = np.array([0.0, 0.1, 0.1000001, 0.3, 0.7, 0.99, 1.0])
    found = reliability(scores, np.ones(7, dtype=bool))
    assert [one.images for one in found] == [2, 1, 1, 0, 0, 0, 1, 0, 0, 2]
    assert [one.low for one in found] == [number / 10 for number in range(10)]
    assert found[-1].high == 1


def test_the_calibration_error_weighs_each_bin_by_its_images():
    scores = np.array([0.95] * 10 + [0.55] * 10 + [0.25] * 20)
    right = np.array([True] * 5 + [False] * 5 + [True] * 10 + [True] * 5 + [False] * 15)
    bins = reliability(scores, right)
    assert bins[9].accuracy == 0.5
    assert bins[5].score == pytest.approx(0.55)
    assert bins[0].accuracy is bins[0].score is None
    assert calibration_error(bins) == pytest.approx((10 * 0.45 + 10 * 0.45 + 20 * 0) / 40)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_calibration_error_is_its_definition(seed):
    targets, labels, scores, _, _ = random_case(seed)
    right = labels == targets
    expected = 0.0
    for number in range(10):
        inside = (scores > number / 10) & (scores <= (number + 1) / 10)
        if inside.any():
            gap = abs(right[inside].mean() - scores[inside].mean())
            expected += gap * inside.sum() / len(scores)
    assert confidence(seed).calibration_error == pytest.approx(expected)


def test_scores_that_say_what_is_so_have_no_calibration_error():
    random = np.random.default_rng(0)
    scores = random.random(200_000)
    honest = calibration_error(reliability(scores, random.random(len(scores)) < scores))
    boastful = calibration_error(reliability(scores, random.random(len(scores)) < scores**2))
    assert honest < 0.01
    assert boastful == pytest.approx(1 / 6, abs=0.01)  # the mean of x - x²


@pytest.mark.parametrize("seed", SEEDS)
def test_each_point_of_the_curve_is_what_counting_gives(seed):
    targets, labels, scores, withheld, _ = random_case(seed)
    found = confidence(seed)
    assert found.errors == (targets != labels).sum()
    for point in (*found.curve, *found.table):
        checked = [
            number
            for number in range(len(scores))
            if scores[number] < point.threshold or withheld[number]
        ]
        rest = [number for number in range(len(scores)) if number not in checked]
        assert point.checked == len(checked)
        assert point.caught == sum(labels[number] != targets[number] for number in checked)
        if rest:
            right = sum(labels[number] == targets[number] for number in rest)
            assert point.accuracy == pytest.approx(right / len(rest))
        else:
            assert point.accuracy is None
    assert [point.threshold for point in found.table] == list(USUAL)
    thresholds = [point.threshold for point in found.curve]
    assert thresholds == sorted({*scores.tolist(), 1.0})


def test_a_long_curve_is_thinned_but_for_its_ends():
    scores = np.random.default_rng(1).random(5000)
    judged = Judged(scores, scores > 0.2, np.zeros(5000, dtype=bool))
    curve = judged.curve(200)
    assert len(curve) == 200
    assert curve[0].threshold == scores.min()
    assert curve[-1] == (1.0, 5000, (scores <= 0.2).sum(), None)
    checked = [point.checked for point in curve]
    assert checked == sorted(set(checked))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_lower_threshold_of_two_digits_than_the_suggested_one_catches_enough(seed):
    targets, labels, scores, withheld, _ = random_case(seed)
    found = confidence(seed)
    judged = Judged(scores, labels == targets, withheld)
    point = found.suggestion
    if point is None:
        assert not found.errors or judged.at(0.999999).caught < ENOUGH * found.errors
        return
    assert point == judged.at(point.threshold)
    assert point.caught >= ENOUGH * found.errors
    assert 0 <= point.threshold < 1
    if point.threshold:
        lower = judged.at(math.ceil(round(100 * point.threshold, 6)) / 100 - 0.01)
        assert lower.caught < ENOUGH * found.errors


def judged(wrong: list[float], right: list[float], withheld: int = 0) -> Judged:
    """Images with these scores; of the wrong ones the first few are unknown."""
    count = len(wrong) + len(right)
    return Judged(
        np.array([*wrong, *right]),
        np.array([False] * len(wrong) + [True] * len(right)),
        np.arange(count) < withheld,
    )


def test_the_suggestion_is_rounded_up_and_catches_what_it_says():
    scores = [0.3, 0.31, 0.4, 0.41, 0.45, 0.5, 0.55, 0.58, 0.6143, 0.97]
    point = judged(scores, [0.61, 0.62, 0.99]).suggested()
    assert point == ReviewPoint(0.62, 10, 9, pytest.approx(2 / 3))


def test_a_score_that_is_a_threshold_itself_is_not_below_it():
    assert judged([0.5], [0.9]).suggested() == ReviewPoint(0.51, 1, 1, 1.0)


@pytest.mark.parametrize("number", range(98))
def test_the_suggestion_above_a_score_of_two_digits_has_two(number):
    assert judged([number / 100], [0.99]).suggested().threshold == (number + 1) / 100


def test_a_suggestion_near_to_1_has_as_many_digits_as_it_takes():
    point = judged([0.9951], [0.9999]).suggested()
    assert point == ReviewPoint(0.996, 1, 1, 1.0)
    assert judged([0.9999995], [0.5]).suggested() is None
    assert judged([1.0], [0.5]).suggested() is None


def test_errors_that_are_unknown_anyway_need_no_threshold():
    assert judged([0.9, 0.95], [0.5], withheld=2).suggested() == ReviewPoint(0.0, 2, 2, 1.0)
    assert judged([0.9, 0.2], [0.5], withheld=1).suggested() == ReviewPoint(0.21, 2, 2, 1.0)


def test_where_nothing_is_wrong_nothing_is_suggested():
    found = confidence_of(["a"], *(np.zeros(3, int),) * 2, np.full(3, 0.8), np.zeros(3, bool))
    assert found.suggestion is None
    assert found.advice.startswith("No label is wrong among 3 images")


def advice(wrong: list[float], right: list[float], withheld: int = 0) -> str:
    case = judged(wrong, right, withheld)
    labels = np.zeros(len(case.right), int)
    return confidence_of(
        ["a", "b"], np.where(case.right, 0, 1), labels, case.scores, case.withheld
    ).advice


def test_the_advice_says_what_it_costs_and_what_it_catches():
    wrong = [0.3, 0.31, 0.4, 0.41, 0.45, 0.5, 0.55, 0.58, 0.6143, 0.97]
    assert advice(wrong, [0.5] * 5 + [0.9] * 185) == (
        "With review_below = 0.62, 14 of 200 images are to be checked by hand, which catches "
        "9 of 10 errors."
    )
    assert advice([0.4], [0.9] * 3) == (
        "With review_below = 0.41, 1 of 4 images is to be checked by hand, which catches "
        "1 of 1 error. With so few errors to go by, this is a rough guess."
    )
    assert "That is most of them" in advice([0.99], [0.9] * 3)
    assert advice([0.4], [0.9] * 3, withheld=1).startswith(
        "Without review_below, as unknown, 1 of 4 images is to be checked"
    )
    assert advice([1.0], [0.9]).startswith("No review_below catches 90% of the errors")


def test_the_interval_is_wilsons():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for hits, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(hits, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert wilson(20, 20) == (pytest.approx(1 - 0.1611, abs=5e-5), 1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_plain_json(seed):
    found = confidence(seed).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_one_image_is_enough():
    found = confidence_of(
        ["a", "b"], np.array([0]), np.array([1]), np.array([0.7]), np.zeros(1, bool)
    )
    assert found.errors == found.images == 1
    assert found.calibration_error == pytest.approx(0.7)
    assert found.suggestion == ReviewPoint(0.71, 1, 1, None)
