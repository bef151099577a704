"""Which images of a run are shown: the least sure, and a sample of the others."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.gallery import Entry, Gallery
from batchcls.judging import Judge
from batchcls.records import Outcome, Prediction, Status

from .conftest import fuzzed

JUDGE = Judge(review_below=0.5)


def labelled(name: str, score: float, distance: float | None = None) -> Prediction:
    return Prediction(
        name, Status.OK, label="cat", score=score, leading=((0, score),), distance=distance
    )


def failed(name: str) -> Prediction:
    return Prediction(name, Status.ERROR, error="an empty file")


def filled(predictions: list[Prediction], limit: int, judge=JUDGE) -> Gallery:
    """Do what a run does: the work asks, then the one that writes the report adds."""
    gallery = Gallery(limit, judge)
    for prediction in predictions:
        drawn = b"drawn" if gallery.wants(prediction) else None
        outcome = Outcome(prediction, b"digest", file=f"/{prediction.path}", thumbnail=drawn)
        gallery.add([(outcome, judge(prediction))])
    return gallery


def names(entries: list[Entry]) -> list[str]:
    return [entry.prediction.path for entry in entries]


def test_few_images_are_all_there_the_least_sure_first():
    scores = {"a": 0.9, "b": 0.3, "c": 0.6}
    gallery = filled([labelled(name, score) for name, score in scores.items()], 10)
    assert names(gallery.entries) == ["b", "c", "a"]
    assert gallery.sampled == 0
    assert [entry.prediction.status for entry in gallery.entries] == [
        Status.REVIEW,
        Status.OK,
        Status.OK,
    ]


def test_unknown_images_come_first_the_least_alike_before_all():
    found = [labelled("a", 0.2), labelled("b", 0.99, distance=1.5), labelled("c", 0.9, distance=3)]
    gallery = filled(found, 10)
    assert names(gallery.entries) == ["c", "b", "a"]
    assert gallery.entries[0].prediction.label is None
    # Where unknown images keep their labels, they are as sure as their scores say.
    assert names(filled(found, 10, Judge(0.5, unknown=False)).entries) == ["a", "c", "b"]


def test_of_many_the_least_sure_and_a_sample_of_the_others():
    found = [labelled(f"{number:04}", number / 1000) for number in range(1000)]
    gallery = filled(found, 50)
    shown = names(gallery.entries)
    assert len(shown) == 50
    assert shown[:30] == [f"{number:04}" for number in range(30)]
    assert gallery.sampled == 20
    sample = [int(name) for name in shown[30:]]
    assert min(sample) >= 30
    # From all over: neither the first nor the last of them.
    assert min(sample) < 300
    assert max(sample) > 700


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7])
def test_no_more_than_the_limit(limit):
    gallery = filled([labelled(str(number), 0.5) for number in range(20)], limit)
    assert len(gallery.entries) == limit
    unreadable = filled([failed(str(number)) for number in range(20)], limit)
    assert len(unreadable.unreadable) == limit
    assert unreadable.entries == []


def test_unreadable_files_are_kept_apart_in_their_order():
    gallery = filled([failed("b"), labelled("x", 0.1), failed("a")], 10)
    assert names(gallery.unreadable) == ["b", "a"]
    assert names(gallery.entries) == ["x"]
    assert gallery.wants(failed("c")) is False


SCORES = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9, 1.0]), max_size=60)


@fuzzed(200)
@given(SCORES, st.integers(0, 20), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_and_all_chosen_were_drawn(scores, limit, shuffle):
    found = [
        labelled(f"é{number}", score, distance=2.0 if number % 7 == 3 else None)
        for number, score in enumerate(scores)
    ]
    first = filled(found, limit)
    shuffle.shuffle(found)
    second = filled(found, limit)
    assert first.entries == second.entries
    assert all(entry.thumbnail == b"drawn" for entry in first.entries)
    # By the plainest way to say it.
    judged = [JUDGE(one) for one in found]
    order = sorted(
        judged,
        key=lambda one: (
            (one.score is not None, -(one.distance or 0), one.path)
            if one.score is None
            else (True, one.score, one.path)
        ),
    )
    least = limit - limit * 4 // 10
    assert names(first.entries)[:least] == [one.path for one in order[:least]]
    assert len(first.entries) == min(limit, len(found))


def test_few_are_drawn_of_many():
    shuffled = random.Random(1)
    gallery = Gallery(100, JUDGE)
    drawn = 0
    for number in range(20_000):
        prediction = labelled(str(number), shuffled.random())
        drawn += gallery.wants(prediction)
        gallery.add([(Outcome(prediction), JUDGE(prediction))])
    assert 100 <= drawn < 1500


def test_threads_may_ask_while_another_adds():
    gallery = Gallery(10, JUDGE)
    errors: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                assert gallery.wants(labelled("0", 0.0)) in {True, False}
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(5000):
        prediction = labelled(str(number), 1 - number / 5000)
        gallery.add([(Outcome(prediction), prediction)])
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(gallery.entries) == 10


def test_names_that_are_not_utf8():
    gallery = filled([labelled(f"caf\udce9{number}", 0.5) for number in range(30)], 10)
    assert len(gallery.entries) == 10
