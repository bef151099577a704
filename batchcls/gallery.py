"""The gallery: which images of a run a person is to see, chosen while it goes on.

The choice depends on what was found alone, not on the order or the threads it was found by: the
least sure, and of the others those whose names' digests are lowest, which is as good as by chance,
and the same every night.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Callable, Iterable
from typing import NamedTuple

from batchcls.records import Outcome, Prediction, Status

# Of the images that are shown, so many parts of ten are a sample of those that the model is sure
# of: how would one learn otherwise that it is sure and wrong?
_SAMPLED = 4


class Entry(NamedTuple):
    """An image of the gallery. ``place`` orders them: the least sure have the lowest."""

    place: tuple[int, float, str]
    prediction: Prediction
    file: str
    digest: bytes | None
    thumbnail: bytes | None


class Gallery:
    """Keeps at most ``limit`` images, and as many that could not be read.

    ``judge`` has the last word on a prediction, as in the report.
    """

    def __init__(self, limit: int, judge: Callable[[Prediction], Prediction]) -> None:
        self._judge = judge
        sampled = limit * _SAMPLED // 10
        self._least_sure = _Lowest(limit - sampled)
        self._sample = _Lowest(sampled)
        self._limit = limit
        self.unreadable: list[Entry] = []

    def wants(self, prediction: Prediction) -> bool:
        """Tell whether an image is among those to be shown, as far as can be known by now.

        Safe to be called from any thread while another one adds: what is told then is from a moment
        ago, which may want one too many, never one too few.
        """
        judged = self._judge(prediction)
        if judged.status is Status.ERROR:
            return False
        return self._least_sure.takes(_place(judged)) or self._sample.takes(_by_chance(judged))

    def add(self, outcomes: Iterable[tuple[Outcome, Prediction]]) -> None:
        """Take in some outcomes, each with its prediction as it was judged."""
        for outcome, judged in outcomes:
            place = _place(judged)
            entry = Entry(place, judged, outcome.file, outcome.digest, outcome.thumbnail)
            if judged.status is Status.ERROR:
                if len(self.unreadable) < self._limit:
                    self.unreadable.append(entry)
                continue
            others = self._least_sure.add(place, entry)
            if others is not None:
                self._sample.add(_by_chance(others.prediction), others)

    @property
    def entries(self) -> list[Entry]:
        """Give those to be shown, the least sure first."""
        return sorted([*self._least_sure.entries, *self._sample.entries], key=_order)

    @property
    def sampled(self) -> int:
        """Count those that are there as a sample of the others."""
        return len(self._sample.entries)


class _Lowest:
    """Keeps the entries with the lowest keys."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[tuple[tuple[int, float, str], Entry]] = []

    def takes(self, key: tuple[int, float, str]) -> bool:
        kept = self._kept
        return len(kept) < self._limit or (bool(kept) and key < kept[-1][0])

    def add(self, key: tuple[int, float, str], entry: Entry) -> Entry | None:
        """Take an entry in; give the one that is not kept for it, if any."""
        if not self.takes(key):
            return entry
        insort(self._kept, (key, entry), key=_key)
        return self._kept.pop()[1] if len(self._kept) > self._limit else None

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, entry in self._kept]


def _key(item: tuple[tuple[int, float, str], Entry]) -> tuple[int, float, str]:
    return item[0]


def _order(entry: Entry) -> tuple[int, float, str]:
    return entry.place


def _place(judged: Prediction) -> tuple[int, float, str]:
    """Give what orders images: unknown ones first, the least alike before all, then by score."""
    if judged.score is None:
        return (0, -(judged.distance or 0.0), judged.path)
    return (1, judged.score, judged.path)


def _by_chance(judged: Prediction) -> tuple[int, float, str]:
    name = judged.path.encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(name, digest_size=6).digest(), "big")
    return (0, float(number), judged.path)
