"""Cross-validation: what is left out, what is learnt from, and what is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.builtin.logistic import LogisticRegression
from batchcls.crossvalidation import (
    FOLDS,
    LEAVE_ONE_OUT,
    cross_validate,
    fold_numbers,
    losses,
    stratified_sample,
)

from .conftest import fuzzed

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=12)


def shuffled(counts: Sequence[int], seed: int = 0) -> np.ndarray:
    targets = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(targets)


@fuzzed(200)
@given(counts=COUNTS, seed=st.integers(0, 5))
def test_no_fold_leaves_a_class_out_of_training(counts, seed):
    targets = shuffled(counts, seed)
    folds = fold_numbers(targets)
    for fold in range(folds.max(initial=-1) + 1):
        left = folds == fold
        assert left.any()
        assert set(targets[~left]) == set(targets)


@fuzzed(200)
@given(counts=COUNTS)
def test_every_image_is_left_out_once_but_for_the_only_one_of_its_class(counts):
    targets = shuffled(counts)
    folds = fold_numbers(targets)
    single = np.array(counts)[targets] == 1
    assert (folds[single] == -1).all()
    assert (folds[~single] >= 0).all()


@fuzzed(200)
@given(counts=COUNTS)
def test_few_images_are_left_out_one_by_one_and_many_in_even_parts(counts):
    folds = fold_numbers(shuffled(counts))
    sizes = np.bincount(folds[folds >= 0])
    if sizes.sum() <= LEAVE_ONE_OUT:
        assert (sizes == 1).all()
    else:
        assert len(sizes) == FOLDS
        assert sizes.max() - sizes.min() <= 1


@fuzzed(200)
@given(counts=COUNTS, seed=st.integers(0, 5))
def test_a_class_is_spread_evenly_over_the_folds(counts, seed):
    targets = shuffled(counts, seed)
    folds = fold_numbers(targets)
    for target in range(len(counts)):
        of_class = folds[(targets == target) & (folds >= 0)]
        if len(of_class):
            sizes = np.bincount(of_class, minlength=folds.max() + 1)
            assert sizes.max() - sizes.min() <= 1


def test_the_folds_and_the_samples_are_the_same_every_time():
    targets = shuffled([30, 20, 2, 1])
    np.testing.assert_array_equal(fold_numbers(targets), fold_numbers(targets.copy()))
    np.testing.assert_array_equal(stratified_sample(targets, 20), stratified_sample(targets, 20))


class Recorder:
    """Notes what it is fitted with; sure of the truth by as much as ``strength`` says."""

    name: ClassVar[str] = "recorder"
    fits: ClassVar[list[tuple[float, list[float]]]] = []

    def __init__(self, strength: float) -> None:
        self.strength = strength

    @classmethod
    def candidates(cls) -> Sequence[Mapping[str, float]]:
        return [{"strength": 0.5}, {"strength": 0.9}, {"strength": 0.9001}, {"strength": 0.2}]

    def fit(self, features, targets, class_count):
        assert set(targets) == set(range(class_count))
        self.fits.append((self.strength, features[:, 0].tolist()))

    def predict_proba(self, features):
        assert not set(features[:, 0]) & set(self.fits[-1][1])  # never one that it learnt from
        chance = np.full((len(features), 2), 1 - self.strength)
        chance[np.arange(len(features)), features[:, 1].astype(int)] = self.strength
        return chance


def recorded(targets: np.ndarray) -> np.ndarray:
    """Features that hold the image's number and its class."""
    return np.stack([np.arange(len(targets)), targets], axis=1).astype(np.float32)


def test_probabilities_come_from_a_classifier_that_has_not_seen_the_image():
    targets = shuffled([3, 2])
    Recorder.fits.clear()
    result = cross_validate(Recorder, recorded(targets), targets, 2)
    assert result.options == {"strength": 0.9001}
    assert result.folds == 5
    assert len(Recorder.fits) == 4 * 5
    np.testing.assert_array_equal(result.checked, np.arange(5))
    assert result.accuracy == 1
    assert result.log_loss == pytest.approx(-np.log(0.9001))


def test_of_equal_candidates_the_first_and_most_cautious_wins():
    targets = shuffled([2, 2])
    candidates = [{"strength": 0.7}, {"strength": 0.8}, {"strength": 0.8}]
    result = cross_validate(Recorder, recorded(targets), targets, 2, candidates)
    assert result.options is candidates[1]


def test_the_only_image_of_a_class_is_never_checked():
    targets = np.array([0, 1, 1, 1])
    Recorder.fits.clear()
    result = cross_validate(Recorder, recorded(targets), targets, 2)
    np.testing.assert_array_equal(result.checked, [1, 2, 3])
    assert all(0 in numbers for _, numbers in Recorder.fits)
    assert result.probabilities.shape == (3, 2)


def test_with_one_image_of_each_class_nothing_is_checked_and_the_middle_is_taken():
    targets = np.array([0, 1])
    result = cross_validate(Recorder, recorded(targets), targets, 2)
    assert result.options == {"strength": 0.9001}
    assert (result.accuracy, result.log_loss, result.folds) == (None, None, 0)
    assert result.probabilities.shape == (0, 2)


def test_the_classifier_that_ships_is_checked_the_same_way_every_time():
    random = np.random.default_rng(0)
    targets = shuffled([8, 8, 8])
    features = (random.normal(0, 1, (24, 16)) + 2 * targets[:, None]).astype(np.float32)
    first, second = (cross_validate(LogisticRegression, features, targets, 3) for _ in range(2))
    assert first.options == second.options
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_allclose(first.probabilities.sum(axis=1), 1)
    assert first.accuracy is not None
    assert first.accuracy > 0.8


def test_losses_are_natural_logarithms_and_finite():
    probabilities = np.array([[0.25, 0.75], [1.0, 0.0], [1.0, 0.0]])
    expected = [-np.log(0.75), 0.0, -np.log(1e-15)]
    np.testing.assert_allclose(losses(probabilities, np.array([1, 0, 1])), expected)


@fuzzed(200)
@given(counts=COUNTS, size=st.integers(1, 300))
def test_a_sample_keeps_every_class_in_about_its_share(counts, size):
    targets = shuffled(counts)
    sample = stratified_sample(targets, size)
    assert (np.diff(sample) > 0).all()
    if len(targets) <= size:
        assert len(sample) == len(targets)
        return
    for target, count in enumerate(counts):
        kept = int((targets[sample] == target).sum())
        share = round(size * count / len(targets))
        assert kept == min(count, max(2, share))
