"""``compare.html``: what differs between two reports, or between what two models say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from batchcls.comparison import (
    Change,
    Compared,
    Difference,
    Drift,
    Kind,
    points,
    transition,
    words_of,
)
from batchcls.pages.render import render

# The rest of the mix and of the transitions is told in numbers only.
_LABELS_SHOWN = 100
_TRANSITIONS_SHOWN = 20


class Step(NamedTuple):
    """From what to what some images changed. ``images`` counts all, ``shown`` those in the table.

    ``number`` names it on the page.
    """

    number: int
    old: Kind
    new: Kind
    images: int
    shown: int


class Row(NamedTuple):
    """A row of the table of changes, and the number of its step."""

    difference: Difference
    step: int


def compare_page(compared: Compared) -> bytes:
    """Give the page: HTML in UTF-8, complete in itself."""
    comparison = compared.comparison
    steps, rows = _steps(comparison.steps, comparison.first_changed)
    drift = comparison.drift
    return render(
        "compare.html.j2",
        scripts=["compare.js"],
        compared=compared,
        comparison=comparison,
        new_count=comparison.changes[Change.NEW],
        vanished_count=comparison.changes[Change.VANISHED],
        drift=drift[:_LABELS_SHOWN],
        more_labels=max(0, len(drift) - _LABELS_SHOWN),
        widest=_widest(drift),
        steps=steps[:_TRANSITIONS_SHOWN],
        more_steps=max(0, len(steps) - _TRANSITIONS_SHOWN),
        choices=sorted((step for step in steps if step.shown), key=lambda step: -step.shown),
        rows=rows,
        points=points,
        words_of=words_of,
    )


def _steps(
    ordered: Sequence[tuple[tuple[Kind, Kind], int]], changed: Sequence[Difference]
) -> tuple[list[Step], list[Row]]:
    places = {kinds: index for index, (kinds, _) in enumerate(ordered)}
    rows = [
        Row(one, places[transition(one.old, one.new)])
        for one in changed
        if one.old is not None and one.new is not None
    ]
    shown = Counter(row.step for row in rows)
    steps = [
        Step(index, old, new, images, shown[index])
        for index, ((old, new), images) in enumerate(ordered)
    ]
    return steps, rows


def _widest(drift: Sequence[Drift]) -> float:
    """Give the largest share of all: that of the longest bar."""
    shares = [share for one in drift for share in (one.old_share, one.new_share)]
    return max((share for share in shares if share), default=1.0)
