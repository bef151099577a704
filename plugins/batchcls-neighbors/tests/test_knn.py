"""The votes by hand, what can't be, and the real command."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from batchcls_neighbors.knn import NearestNeighbors

from batchcls.testing import check_classifier

# Four images on the unit circle: two close to (1, 0), two close to (0, 1).
ANGLES = np.radians([0, 10, 80, 90])
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
TARGETS = np.array([0, 0, 1, 1])


def fitted(features=CIRCLE, targets=TARGETS, class_count=2, **options):
    model = NearestNeighbors(**options)
    model.fit(features, targets, class_count)
    return model


def at(degrees, length=1.0):
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), np.sin(angle)]], np.float32) * np.float32(length)


def clusters(count, dimension=64, classes=3, seed=0):
    """Give features that are never negative, as a network's are, and their classes."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).random((classes, dimension))
    targets = np.arange(count) % classes
    noise = random.normal(0, 0.3, (count, dimension))
    return np.maximum(centres[targets] + noise, 0).astype(np.float32), targets


@pytest.mark.parametrize("options", [{}, {"neighbors": 1}, {"neighbors": 50}, {"sharpness": 0.0}])
def test_it_is_what_a_classifier_has_to_be(options):
    check_classifier(NearestNeighbors, **options)


def test_votes_by_hand():
    model = fitted(neighbors=3, sharpness=2.0)
    similarities = np.cos(np.radians([0, 10, 80]))
    votes = np.exp(2.0 * (similarities - 1))
    expected = np.array([votes[0] + votes[1], votes[2]]) + 0.05
    assert model.predict_proba(at(0)) == pytest.approx((expected / expected.sum())[None], abs=1e-3)


def test_with_no_sharpness_every_vote_is_equal():
    assert fitted(neighbors=3, sharpness=0.0).predict_proba(at(0)) == pytest.approx(
        np.array([[2.05, 1.05]]) / 3.1
    )


def test_no_probability_is_ever_zero_or_one():
    random = np.random.default_rng(0)
    features = random.random((500, 8), np.float32)
    model = fitted(features, np.arange(500) % 100, 100, neighbors=1, sharpness=1000.0)
    probabilities = model.predict_proba(features)
    assert probabilities.min() > 1e-4
    assert probabilities.max() < 0.95
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(500))


def test_the_length_of_the_features_is_of_no_matter():
    model = fitted(CIRCLE * np.array([[1e-30], [1], [1e30], [3]], np.float32))
    same = fitted().predict_proba(at(30))
    for length in (1e-30, 1.0, 1e30):
        assert model.predict_proba(at(30, length)) == pytest.approx(same, abs=1e-6)


def test_the_nearest_decided_and_are_named_in_order():
    [decided] = fitted(neighbors=3, sharpness=1.0).explain(at(85))
    assert [index for index, _ in decided] == [2, 3, 1]
    assert [weight for _, weight in decided] == pytest.approx(
        np.cos(np.radians([5, 5, 75])), abs=1e-3
    )


def test_what_counted_for_nothing_is_not_named():
    [decided] = fitted(neighbors=4, sharpness=40.0).explain(at(0))
    assert [index for index, _ in decided] == [0, 1]


def test_of_equals_all_vote_and_the_first_are_named():
    features = np.repeat(at(0), 6, axis=0)
    model = fitted(features, np.array([0, 0, 0, 0, 1, 1]), neighbors=2)
    assert model.predict_proba(at(0)) == pytest.approx(np.array([[4.05, 2.05]]) / 6.1)
    assert model.explain(at(0)) == [[(0, pytest.approx(1)), (1, pytest.approx(1))]]


def test_features_of_no_length_say_nothing():
    nothing = np.zeros((1, 2), np.float32)
    assert fitted(neighbors=1).predict_proba(nothing) == pytest.approx(np.array([[0.5, 0.5]]))
    model = fitted(np.concatenate([nothing, CIRCLE]), np.array([1, 0, 0, 1, 1]), neighbors=1)
    assert model.predict_proba(at(0))[0, 0] > 0.9


def test_fewer_images_than_neighbors():
    model = fitted(CIRCLE[[0, 3]], np.array([0, 1]), neighbors=100)
    assert model.predict_proba(at(20)).argmax() == 0
    assert len(model.explain(at(45))[0]) == 2


@pytest.mark.parametrize("count", [7, 300, 3000])
def test_a_score_does_not_depend_on_the_batch_or_the_thread(count):
    features, targets = clusters(count, dimension=1280)
    model = fitted(features, targets, 3)
    asked, _ = clusters(40, dimension=1280, seed=1)
    together = model.predict_proba(asked)
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(model.predict_proba, [asked[i : i + 1] for i in range(40)]))
    assert np.array_equal(together, np.concatenate(alone))
    backwards = model.predict_proba(np.asfortranarray(asked[::-1]))
    assert np.array_equal(together, backwards[::-1])


def test_a_restored_one_says_just_the_same():
    features, targets = clusters(60)
    model = fitted(features, targets, 3, neighbors=5)
    back = NearestNeighbors(neighbors=5)
    back.restore(model.to_state(), 64, 3)
    asked, _ = clusters(20, seed=1)
    assert np.array_equal(model.predict_proba(asked), back.predict_proba(asked))
    assert model.explain(asked) == back.explain(asked)


IMAGES, CLASSES = np.zeros((4, 2), np.float16), np.array([0, 0, 1, 1], np.int32)
BROKEN = {
    "nothing": {},
    "one missing": {"images": IMAGES},
    "one too many": {"images": IMAGES, "targets": CLASSES, "more": CLASSES},
    "bytes": {"images": b"", "targets": CLASSES},
    "dtype": {"images": IMAGES.astype(np.float64), "targets": CLASSES},
    "dimension": {"images": np.zeros((4, 3), np.float16), "targets": CLASSES},
    "a class that is none": {"images": IMAGES, "targets": CLASSES * 2},
    "a negative class": {"images": IMAGES, "targets": CLASSES - 1},
    "a class without images": {"images": IMAGES, "targets": CLASSES * 0},
    "different lengths": {"images": IMAGES, "targets": CLASSES[1:]},
    "no images": {"images": IMAGES[:0], "targets": CLASSES[:0]},
    "not finite": {"images": IMAGES + np.inf, "targets": CLASSES},
}


@pytest.mark.parametrize("state", BROKEN.values(), ids=BROKEN)
def test_a_broken_state_is_refused(state):
    NearestNeighbors().restore({"images": IMAGES, "targets": CLASSES}, 2, 2)
    with pytest.raises(ValueError):
        NearestNeighbors().restore(state, 2, 2)


def test_train_run_and_explain(batchcls, tagged):
    trained = batchcls(
        *("train", "tagged/tags.tsv", "--featurizer", "efficientnet-lite0"),
        *("--classifier", "knn", "-C", "neighbors=3", "-o", "m.batchcls"),
    )
    assert trained.status == 0, trained.err
    done = batchcls("run", "tagged", "-m", "m.batchcls", "--explain", "-o", "-", "-q")
    assert done.status == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 6
    for row in rows:
        assert row["path"].startswith(row["label"])
        named = row["because"].split("; ")
        assert 1 <= len(named) <= 3
        assert row["path"] in named[0]  # it was trained with this very image
        assert named[0].endswith("(1.000)")
        assert all(f"{row['label']}" in name for name in named)
    predicted = batchcls("predict", "tagged/dark1.png", "-m", "m.batchcls", "--explain")
    lines = predicted.out.splitlines()
    assert lines[0].split()[:2] == ["tagged/dark1.png", "dark"]
    assert lines[1].startswith("    because of ")
    assert "dark1.png (1.000)" in lines[1]


def test_options_in_the_configuration(batchcls, tagged, tmp_path):
    (tmp_path / "config.toml").write_text(
        '[train]\ntags = "tagged/tags.tsv"\nfeaturizer = "efficientnet-lite0"\n'
        'classifier = "knn"\n[classifier.knn]\nneighbors = 1\n'
    )
    assert batchcls("train", "-o", "m.batchcls").status == 0
    done = batchcls("run", "tagged", "-m", "m.batchcls", "--explain", "-o", "-", "-q")
    assert done.status == 0, done.err
    assert all(";" not in row["because"] for row in csv.DictReader(io.StringIO(done.out)))


def test_wrong_options_are_named(batchcls, tagged):
    for given, said in (("neighbors=0", "neighbors"), ("neighbours=3", "Did you mean neighbors?")):
        result = batchcls("train", "tagged/tags.tsv", "-c", "knn", "-C", given)
        assert result.status == 2
        assert said in result.err


def test_a_model_that_can_not_explain_says_so(batchcls, tagged):
    options = ("--featurizer", "efficientnet-lite0", "-o", "m.batchcls")
    assert batchcls("train", "tagged/tags.tsv", *options).status == 0
    for command in (("run", "tagged"), ("predict", "tagged/dark0.png")):
        result = batchcls(*command, "-m", "m.batchcls", "--explain")
        assert result.status == 2
        assert "the classifier logistic can't explain its labels" in result.err
        assert "Traceback" not in result.err
