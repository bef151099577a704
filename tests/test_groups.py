"""Groups of chunks: all are drawn, once, in order, no further ahead than allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.engines.groups import Group, Groups


def drawn(groups: Groups[list[int]], threads: int = 2) -> list[Group[list[int]]]:
    """Draw and take all there is, as if every group were done at once."""
    groups.limit(threads)
    found: list[Group[list[int]]] = []
    while not groups.all_taken:
        wave = groups.begin()
        assert wave is not None
        for group in wave:
            found.append(group)
            groups.take()
    return found


@given(st.lists(st.integers(0, 8), max_size=200), st.integers(1, 100), st.integers(1, 50))
def test_every_chunk_is_in_one_group_in_order(sizes, images, threads):
    chunks = [[number] * size for number, size in enumerate(sizes)]
    found = drawn(Groups(iter(chunks), images), threads)
    assert [chunk for group in found for chunk in group.chunks] == chunks
    assert [group.number for group in found] == list(range(len(found)))
    assert all(group.images < images + 8 for group in found)


def test_the_first_groups_are_small_and_later_ones_as_large_as_allowed():
    found = drawn(Groups(([0] * 8 for _ in range(1000)), 64), 2)
    sizes = [group.images for group in found]
    assert sizes[:4] == [8, 8, 8, 8]
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) == 64


def test_a_million_empty_chunks_do_not_become_one_group():
    found = drawn(Groups(([] for _ in range(10_000)), 64), 2)
    assert max(len(group.chunks) for group in found) == 1024


def test_no_more_is_drawn_than_may_be_out():
    groups: Groups[list[int]] = Groups(([0] * 8 for _ in range(10_000)), 8)
    groups.limit(10)
    wave = groups.begin()
    assert wave is not None
    assert len(list(wave)) == 40
    assert groups.begin() is None  # nothing was taken
    for _ in range(20):
        groups.take()
    again = groups.begin()
    assert again is not None
    assert len(list(again)) == 20


def test_more_threads_are_a_reason_to_begin_another_wave():
    groups: Groups[list[int]] = Groups(([0] * 8 for _ in range(10_000)), 8)
    groups.limit(10)
    wave = groups.begin()
    assert wave is not None
    assert next(wave).number == 0
    assert groups.begin() is None
    groups.limit(30)
    assert list(wave) == []
    more = groups.begin()
    assert more is not None
    assert len(list(more)) == 119


def test_what_is_lost_is_drawn_again_although_nothing_new_may_be():
    groups: Groups[list[int]] = Groups(([0] * 8 for _ in range(100)), 8)
    groups.limit(1)
    wave = groups.begin()
    assert wave is not None
    first, *_ = list(wave)
    groups.again(first)
    again = groups.begin()
    assert again is not None
    assert list(again) == [first]
    assert first.attempt == 1


def test_the_one_that_holds_up_the_others_is_begun_anew_carefully():
    groups: Groups[list[int]] = Groups(([0] * 8 for _ in range(100)), 8)
    groups.limit(1)
    first, second, *_ = list(groups.begin() or ())
    first.sent, second.sent = 5.0, 1.0
    groups.begin_late_anew(8.0, 4.0)
    assert groups.begin() is None
    groups.begin_late_anew(10.0, 4.0)
    assert list(groups.begin() or ()) == [first]
    assert (first.careful, second.careful) == (True, False)
    first.sent = 10.0
    groups.begin_late_anew(15.0, 4.0)  # the second time it has twice as long
    assert groups.begin() is None
    groups.begin_late_anew(19.0, 4.0)
    assert list(groups.begin() or ()) == [first]


def test_an_error_of_the_source_ends_it_after_what_came_before():
    def chunks() -> Iterator[list[int]]:
        yield [1]
        raise KeyError("in the scan")

    groups = Groups(chunks(), 8)
    assert [group.chunks for group in drawn(groups)] == [[[1]]]
    assert isinstance(groups.error, KeyError)


@pytest.mark.parametrize("threads", [2, 8])
def test_several_threads_may_draw(threads):
    groups = Groups(iter([[number] for number in range(2000)]), 3)
    groups.limit(1000)
    wave = groups.begin()
    assert wave is not None
    found: list[Group[list[int]]] = []
    lock = threading.Lock()

    def draw() -> None:
        while True:
            with lock:  # as joblib does
                group = next(wave, None)
            if group is None:
                return
            found.append(group)

    workers = [threading.Thread(target=draw) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    numbers = [
        chunk[0] for group in sorted(found, key=lambda one: one.number) for chunk in group.chunks
    ]
    assert numbers == list(range(2000))


def test_empty_chunks_that_are_out_are_bounded_too():
    groups: Groups[list[int]] = Groups(([] for _ in range(100_000)), 64)
    groups.limit(1000)
    wave = groups.begin()
    assert wave is not None
    drawn_ahead = sum(len(group.chunks) for group in wave)
    assert 4096 <= drawn_ahead <= 8 * 4000 + 1024
    assert groups.begin() is None


def test_a_source_that_takes_its_time_holds_up_nobody_else():
    waiting, go_on = threading.Event(), threading.Event()

    def chunks() -> Iterator[list[int]]:
        yield [0] * 8
        waiting.set()
        go_on.wait(60)
        yield [1] * 8

    groups = Groups(chunks(), 8)
    wave = groups.begin()
    assert wave is not None
    first = next(wave)
    drawing = threading.Thread(target=lambda: list(wave))
    drawing.start()
    try:
        assert waiting.wait(60)
        groups.take()
        groups.again(first)
        assert not groups.all_taken
        assert list(groups.begin() or ()) == [first]
    finally:
        go_on.set()
        drawing.join()
