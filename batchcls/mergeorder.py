"""The order of a scan, found again from the reports of its shards.

Folders are scanned in the order of the names in a path, by bytes, and object storage in that of
whole keys. Where several roots were given, the rows of the first come first, and so on: the reports
alone need not tell their order. So the paths are parted by what they begin with, only as finely as
is needed for the rows of each part to be together and sorted in all shards. What comes after what
in a shard is then the order of the parts.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from batchcls.errors import UsageError
from batchcls.mergeparts import MOST_PARTS, Beginnings, Part, Parting, Survey, folded, sorted_by
from batchcls.text import shown

_MOST_ROUNDS = 50
OBJECTS = ("s3://", "s3a://")  # are listed as they are sorted; other storage folder by folder
_ALL_ROOTS = "Name all folders that `batchcls run` was given, in their order: --images A --images B"


@dataclass(frozen=True)
class Order:
    """The order of the rows: ``ranks`` of the parts, and how each is sorted.

    ``either`` are parts that are sorted both ways in each shard, so that either is possible; the
    other is taken for those in ``by_key``. ``doubt`` says what had to be guessed, if anything.
    """

    parting: Parting
    ranks: dict[Part, int]
    by_key: set[Part]
    either: set[Part]
    doubt: str = ""


class Sorter:
    """Gives what sorts the rows of one shard, one after the other."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._last: tuple[Part | None, bytes] = (None, b"")

    def __call__(self, key: bytes) -> tuple[int, bytes, bytes | None] | None:
        """Give the rank of a path's part, what sorts it there, and what would if it may be either.

        None for a path that was not there before.
        """
        order, (last_part, last) = self._order, self._last
        part, within = order.parting.place(key) or (None, b"")
        rank = order.ranks.get(part) if part is not None else None
        if part is None or rank is None:
            return None
        place = sorted_by(within, last if part == last_part else None)
        self._last = (part, within)
        if part in order.by_key:
            return rank, place, None
        return rank, folded(place), place if part in order.either else None


def told_order(found: Survey, roots: Sequence[str]) -> Order | None:
    """Give the order that the roots were given in, if that is how the rows are.

    ``found`` is by them. Raises UsageError with the reason where a row belongs to none of them, or
    the rows of one come before those of another that was named before it.
    """
    if found.lost is not None:
        path = shown(os.fsdecode(found.lost))
        raise UsageError(f"{path} is below none of the folders that were named", hint=_ALL_ROOTS)
    for one, other in found.steps:
        if isinstance(one, int) and isinstance(other, int) and other < one:
            raise UsageError(
                f"the images of {shown(roots[one])} come before those of {shown(roots[other])} in "
                "a shard",
                hint=_ALL_ROOTS,
            )
    if not all(facts.in_order for facts in found.facts.values()):
        return None
    ranks: dict[Part, int] = {part: part for part in found.facts if isinstance(part, int)}
    objects = {part for part in ranks if roots[ranks[part]].startswith(OBJECTS)}
    return Order(found.parting, ranks, _by_key(found, objects), set())


def found_order(
    first: Survey, again: Callable[[Parting], Survey], *, objects: bool | None
) -> Order | None:
    """Find the order from the rows alone; None where they are in no order.

    ``first`` is of all rows as one part (:class:`Beginnings`), ``again`` reads them again.
    ``objects`` tells that they are of object storage, if that is known.
    """
    found, parting = first, first.parting
    for _ in range(_MOST_ROUNDS):
        bad = [part for part, facts in found.facts.items() if not facts.in_order]
        if not bad:
            break
        if not isinstance(parting, Beginnings):
            return None
        for part in bad:
            if not (isinstance(part, bytes) and parting.split(part, found.facts[part].start)):
                return None
        found = again(parting)
        if len(found.facts) > MOST_PARTS:
            return None
    else:
        return None
    parts = _sorted_parts(found)
    if parts is None:
        return None
    either = {part for part, facts in found.facts.items() if facts.by_key and facts.by_folder}
    return Order(
        parting,
        {part: rank for rank, part in enumerate(parts)},
        _by_key(found, either if objects else set()),
        either if objects is None else set(),
        _doubt(parts, found.steps),
    )


def _by_key(found: Survey, preferred: set[Part]) -> set[Part]:
    return {
        part
        for part, facts in found.facts.items()
        if facts.by_key and (part in preferred or not facts.by_folder)
    }


def _sorted_parts(found: Survey) -> list[Part] | None:
    """Sort the parts as they follow each other in shards, and else by name; None for a circle."""
    after: dict[Part, list[Part]] = {part: [] for part in found.facts}
    waits = dict.fromkeys(found.facts, 0)
    for one, other in found.steps:
        after[one].append(other)
        waits[other] += 1
    ready = [(_name(part), part) for part, count in waits.items() if not count]
    heapq.heapify(ready)
    done: list[Part] = []
    while ready:
        _, part = heapq.heappop(ready)
        done.append(part)
        for other in after[part]:
            waits[other] -= 1
            if not waits[other]:
                heapq.heappush(ready, (_name(other), other))
    return done if len(done) == len(waits) else None


def _name(part: Part) -> bytes:
    return folded(part) if isinstance(part, bytes) else b""


def _doubt(parts: Sequence[Part], steps: set[tuple[Part, Part]]) -> str:
    for one, other in pairwise(parts):
        if (one, other) not in steps:
            first, second = (shown(os.fsdecode(_bytes(part))) for part in (one, other))
            return (
                f"the order can't be told in full from the shards: {first} is taken to come before "
                f"{second}"
            )
    return ""


def _bytes(part: Part) -> bytes:
    return part if isinstance(part, bytes) else b""
