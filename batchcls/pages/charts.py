"""The charts of an evaluation, as figures of matplotlib's; to be drawn within :func:`drawing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from batchcls.pages.chartstyle import FIRST, LINES, SECOND, TEXT
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from batchcls.confidence import Confidence

_DASHES = (0, (4, 3))
_LONGEST_NAME = 28
# Of more classes, the numbers in the squares of a matrix can't be read.
_MOST_NUMBERS = 20
_MOST_BARS = 40


def reliability_chart(found: Confidence) -> Figure:
    """Draw which share of the images is right over their score, and how many have such a score."""
    figure = _figure(5.2, 4.4)
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1], "hspace": 0.12}
    )
    bins = [one for one in found.reliability if one.images]
    above.plot([0, 1], [0, 1], color=LINES, linestyle=_DASHES, linewidth=1, label="as it should be")
    above.plot(
        [one.score for one in bins],
        [one.accuracy for one in bins],
        color=FIRST,
        marker="o",
        markersize=6,
        linewidth=1.8,
        label="labels that are right",
    )
    _percents(above, "y")
    _legend(above)
    below.bar(
        [(one.low + one.high) / 2 for one in found.reliability],
        [one.images for one in found.reliability],
        width=0.085,
        color=FIRST,
    )
    below.set_ylabel("images")
    below.locator_params(axis="y", integer=True, nbins=2)
    below.set_xlim(0, 1.03)
    below.set_xlabel(f"score (expected calibration error {found.calibration_error:.3f})")
    return figure


def review_chart(found: Confidence) -> Figure:
    """Draw the share of the errors that is caught, and what is right of the rest, over the work."""
    figure = _figure(5.2, 4.4)
    axes = figure.subplots()
    work = [point.checked / found.images for point in found.curve]
    axes.plot([0, 1], [0, 1], color=LINES, linestyle=_DASHES, linewidth=1, label="caught by chance")
    if found.errors:
        caught = [point.caught / found.errors for point in found.curve]
        axes.plot(work, caught, color=FIRST, linewidth=1.8, label="errors caught")
    rest = [
        (share, point.accuracy)
        for share, point in zip(work, found.curve, strict=True)
        if point.accuracy is not None
    ]
    axes.plot(
        [share for share, _ in rest],
        [accuracy for _, accuracy in rest],
        color=SECOND,
        linewidth=1.8,
        linestyle=(0, (6, 2)),
        label="right of the others",
    )
    point = found.suggestion
    if point is not None:
        axes.plot(
            [point.checked / found.images],
            [point.caught / found.errors],
            color=FIRST,
            linestyle="none",
            marker="o",
            markersize=8,
            label=f"review_below = {point.threshold:g}",
        )
    _percents(axes, "x")
    _percents(axes, "y")
    axes.set_xlabel("images to be checked by hand")
    _legend(axes)
    return figure


def confusion_chart(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Draw how many images of each class, a row each, were given each label, a column each."""
    from matplotlib.colors import LinearSegmentedColormap

    side = min(14.0, max(3.6, 1.6 + 0.42 * len(classes)))
    figure = _figure(side, side)
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("counts", ["#ffffff", FIRST])
    highest = max(1, *(count for row in counts for count in row))
    axes.imshow(counts, cmap=colours, vmin=0, vmax=highest, interpolation="nearest")
    readable = len(classes) <= _MOST_NUMBERS
    for row, line in enumerate(counts if readable else ()):
        for column, count in enumerate(line):
            colour = "#ffffff" if count > highest * 0.55 else TEXT
            if count:
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    names = [_short(name) for name in classes]
    size = 10 if readable else 7
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("label")
    axes.set_ylabel("true class")
    return figure


def classes_chart(found: Confidence) -> Figure:
    """Draw precision and recall of the classes; of too many, of those that are told worst."""
    chosen = [one for one in found.classes if one.f1 is not None]
    chosen = sorted(chosen, key=lambda one: (one.f1 or 0.0, one.name))[:_MOST_BARS]
    figure = _figure(6.4, 1.2 + 0.42 * len(chosen))
    axes = figure.subplots()
    places = range(len(chosen))
    for offset, colour, label, shares in (
        (-0.2, FIRST, "precision", [one.precision for one in chosen]),
        (0.2, SECOND, "recall", [one.recall for one in chosen]),
    ):
        axes.barh(
            [place + offset for place in places],
            [share or 0.0 for share in shares],
            height=0.36,
            color=colour,
            label=label,
        )
    axes.set_yticks(places, [_short(one.name) for one in chosen])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    _percents(axes, "x")
    _legend(axes)
    return figure


def reliability_text(found: Confidence) -> str:
    """Say what the reliability chart shows."""
    bins = "; ".join(
        f"{one.low:g} to {one.high:g}: {one.accuracy:.0%} of {plural(one.images, 'image')}"
        for one in found.reliability
        if one.accuracy is not None
    )
    return f"Chart: the share of labels that are right, by score. {bins}."


def review_text(found: Confidence) -> str:
    """Say what the review chart shows."""
    points = "; ".join(
        f"below {point.threshold:g}: {plural(point.checked, 'image')}, {point.caught:,} of "
        f"{plural(found.errors, 'error')}"
        for point in found.table
    )
    return f"Chart: images to be checked by hand, and the errors that this catches. {points}."


def _figure(width: float, height: float) -> Figure:
    """Make an empty figure, of so many inches; without pyplot, which would keep it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def _percents(axes: Axes, which: Literal["x", "y"]) -> None:
    from matplotlib.ticker import PercentFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    (axes.set_xlim if which == "x" else axes.set_ylim)(0, 1.03)
    axes.grid(visible=True, axis=which)


def _legend(axes: Axes) -> None:
    """Say above the chart what is what: in it, it would cover something."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=9)


def _short(name: str) -> str:
    text = shown(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"
