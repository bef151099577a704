"""The images of an evaluation that its page shows, chosen while it goes on.

Mistakes come first, the surest and so the worst before all; then right labels, the least sure ones
first. The choice depends on the scores and names alone, not on the threads they were found by.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

from batchcls.records import Outcome, Prediction, Status, TaggedImage


class Chosen(NamedTuple):
    """One that is shown. ``place`` orders them, ``number`` is the index of its tag."""

    place: tuple[int, float, str]
    number: int
    thumbnail: bytes | None


class Selection:
    """Keeps at most ``limit`` of the images that bear ``tags``, with their thumbnails."""

    def __init__(self, tags: Sequence[TaggedImage], limit: int) -> None:
        self._truths = {tag.path: tag.label for tag in tags}
        self._limit = limit
        self.chosen: list[Chosen] = []
        """In the order in which they are shown."""

    def wants(self, prediction: Prediction) -> bool:
        """Tell whether an image is among those to be shown, as far as can be known by now.

        Safe to be called from any thread while another one adds: what is told then is from a moment
        ago, which may want one too many, never one too few.
        """
        return prediction.status is not Status.ERROR and self._takes(self._place(prediction))

    def add(self, outcomes: Sequence[Outcome], first: int) -> None:
        """Take in the outcomes of successive tags, ``first`` being the index of the first."""
        for number, outcome in enumerate(outcomes, start=first):
            prediction = outcome.prediction
            if self.wants(prediction):
                insort(self.chosen, Chosen(self._place(prediction), number, outcome.thumbnail))
                del self.chosen[self._limit :]

    def _takes(self, place: tuple[int, float, str]) -> bool:
        last = self.chosen[self._limit - 1 : self._limit]
        return self._limit > 0 and (not last or place < last[0].place)

    def _place(self, prediction: Prediction) -> tuple[int, float, str]:
        score = prediction.score or 0.0
        if prediction.label != self._truths[prediction.path]:
            return (0, -score, prediction.path)
        return (1, score, prediction.path)
