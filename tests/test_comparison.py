"""What two answers differ in, how a mix drifts, and how rows of two reports find each other."""

from __future__ import annotations

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.comparison import (
    Answer,
    Change,
    Comparison,
    Kind,
    difference,
    matched,
    only_in,
    points,
    transition,
    words_of,
)
from batchcls.records import Status

from .conftest import fuzzed

PIZZA, SURE = Answer("pizza", 0.5, Status.OK), Answer("pizza", 0.9, Status.OK)
DUCK, WAVERING = Answer("duck", 0.8, Status.OK), Answer("pizza", 0.4, Status.REVIEW)
UNSURE_DUCK = Answer("duck", 0.3, Status.REVIEW)
UNKNOWN, ERROR = Answer(None, None, Status.UNKNOWN), Answer(None, None, Status.ERROR)
ANSWERS = [PIZZA, SURE, DUCK, WAVERING, UNSURE_DUCK, UNKNOWN, ERROR]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (PIZZA, PIZZA, None),
        (PIZZA, SURE, None),  # a score alone is no difference
        (UNKNOWN, UNKNOWN, None),
        (ERROR, ERROR, None),
        (PIZZA, DUCK, Change.LABEL),
        (PIZZA, UNSURE_DUCK, Change.LABEL),
        (PIZZA, WAVERING, Change.STATUS),
        (WAVERING, SURE, Change.STATUS),
        (PIZZA, UNKNOWN, Change.STATUS),
        (UNKNOWN, PIZZA, Change.STATUS),
        (PIZZA, ERROR, Change.STATUS),
        (ERROR, UNKNOWN, Change.STATUS),
        (None, PIZZA, Change.NEW),
        (ERROR, None, Change.VANISHED),
    ],
)
def test_a_difference_is_of_the_label_or_of_the_status_or_one_side_has_none(old, new, change):
    found = difference("a.jpg", old, new)
    assert (found and found.change) is change
    if found is not None:
        assert found == ("a.jpg", change, old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (PIZZA, UNSURE_DUCK, ("pizza", "duck")),
        (PIZZA, UNKNOWN, ("pizza", "(unknown)")),
        (WAVERING, ERROR, ("pizza", "(unreadable)")),
        (PIZZA, WAVERING, ("pizza", "pizza (review)")),
        (WAVERING, PIZZA, ("pizza (review)", "pizza")),
    ],
)
def test_a_transition_names_the_status_only_where_that_alone_is_the_difference(old, new, words):
    assert tuple(map(words_of, transition(old, new))) == words


def test_what_is_counted_and_what_is_kept():
    found = Comparison(most_changed=2, most_one_sided=1)
    for number in range(4):
        assert found.add(f"{number}.jpg", PIZZA, DUCK) is not None
    assert found.add("same.jpg", PIZZA, SURE) is None
    found.add("w.jpg", PIZZA, WAVERING)
    for number in range(3):
        found.add(f"new{number}.jpg", None, UNKNOWN)
    found.add("gone.jpg", ERROR, None)
    assert (found.agreed, found.changed, found.compared) == (1, 5, 6)
    assert found.changes == {
        Change.LABEL: 4,
        Change.STATUS: 1,
        Change.NEW: 3,
        Change.VANISHED: 1,
    }
    assert (found.old_rows, found.new_rows) == (7, 9)
    assert [one.path for one in found.first_changed] == ["0.jpg", "1.jpg"]
    assert [one.path for one in found.first_new] == ["new0.jpg"]
    assert [one.path for one in found.first_vanished] == ["gone.jpg"]
    assert found.steps == [
        ((Kind("pizza"), Kind("duck")), 4),
        ((Kind("pizza", Status.OK), Kind("pizza", Status.REVIEW)), 1),
    ]


def test_the_mix_is_of_all_rows_with_labels_that_were_withheld_the_largest_change_first():
    found = Comparison()
    for old, new in [(PIZZA, DUCK), (PIZZA, UNKNOWN), (DUCK, WAVERING), (ERROR, ERROR)]:
        found.add("", old, new)
    found.add("gone", PIZZA, None)
    drift = {words_of(one.kind): one for one in found.drift}
    assert [words_of(one.kind) for one in found.drift] == [
        *("pizza", "(unknown)", "duck", "(unreadable)")
    ]
    assert (drift["pizza"].old, drift["pizza"].new) == (3, 1)
    assert drift["pizza"].old_share == 3 / 5
    assert drift["pizza"].new_share == 1 / 4
    assert drift["pizza"].change == pytest.approx(-0.35)
    assert drift["(unknown)"].change == pytest.approx(0.25)
    assert found.distance == pytest.approx((0.35 + 0.25 + 0.05 + 0.05) / 2)


def test_a_label_that_reads_like_a_status_is_none():
    found = Comparison()
    found.add("a", Answer("(unknown)", 0.5, Status.OK), UNKNOWN)
    assert len(found.drift) == 2
    assert found.distance == 1


@fuzzed(100)
@given(
    st.lists(st.tuples(st.sampled_from(ANSWERS), st.sampled_from(ANSWERS)), min_size=1, max_size=30)
)
def test_the_distance_is_the_largest_difference_of_the_chances_of_any_set_of_labels(pairs):
    found, reverse = Comparison(), Comparison()
    for old, new in pairs:
        found.add("", old, new)
        reverse.add("", new, old)
    kinds = [one.kind for one in found.drift]
    subsets = chain.from_iterable(combinations(kinds, size) for size in range(len(kinds) + 1))
    largest = max(
        sum(found.old_mix[kind] - found.new_mix[kind] for kind in subset) / len(pairs)
        for subset in subsets
    )
    assert found.distance == pytest.approx(largest)
    assert reverse.distance == pytest.approx(largest)
    assert found.changed + found.agreed == len(pairs) == found.transitions.total() + found.agreed


def test_without_rows_there_are_no_shares_and_no_distance():
    found = Comparison()
    assert (found.drift, found.distance) == ([], None)
    found.add("a", None, PIZZA)
    assert found.distance is None
    assert [(one.old_share, one.new_share, one.change) for one in found.drift] == [(None, 1, None)]


@pytest.mark.parametrize(
    ("change", "text"), [(0.25, "+25.0"), (-0.0004, "0.0"), (0.0004, "0.0"), (-0.001, "-0.1")]
)
def test_points_have_a_sign_unless_they_round_to_none(change, text):
    assert points(change) == text


class Report:
    """The rows of a report, in memory."""

    def __init__(self, *rows: tuple[str, Answer]) -> None:
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)

    def repeated(self, path: str) -> Exception:
        return KeyError(path)


@fuzzed(100)
@given(
    st.dictionaries(st.text("ab", max_size=3), st.sampled_from(ANSWERS)),
    st.dictionaries(st.text("ab", max_size=3), st.sampled_from(ANSWERS)),
)
def test_rows_find_each_other_by_their_paths(old, new):
    found = list(matched(Report(*old.items()), Report(*new.items())))
    assert {path: (one, other) for path, one, other in found} == {
        path: (old.get(path), new.get(path)) for path in old.keys() | new.keys()
    }
    assert [path for path, *_ in found] == [*new, *(path for path in old if path not in new)]


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("side", ["old", "new"])
def test_a_path_that_a_report_has_twice_is_told(side, both):
    once = Report(("a", PIZZA), ("b", DUCK)) if both else Report(("b", DUCK))
    twice = Report(("a", PIZZA), ("b", DUCK), ("a", PIZZA))
    with pytest.raises(KeyError, match="a"):
        list(matched(twice, once) if side == "old" else matched(once, twice))


def test_classes_of_one_alone_are_in_their_order():
    assert only_in(["c", "a", "b"], ["a", "d"]) == ["c", "b"]
