"""``evaluation.html``: how good a model is, and its mistakes to look at and to correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from batchcls.pages import charts, chartstyle
from batchcls.pages.cards import Card
from batchcls.pages.deck import Deck, make_deck
from batchcls.pages.render import render

if TYPE_CHECKING:
    from markupsafe import Markup

    from batchcls.confidence import ClassQuality, Confidence
    from batchcls.evaluation import Metrics
    from batchcls.reviewcurve import ReviewPoint

# More rows and columns can't be taken in, nor more lines of a table.
MOST_CLASSES = 40
_MOST_PAIRS = 10
_MOST_LINES = 1000


@dataclass(frozen=True)
class EvaluationPage:
    """What stands on the page.

    ``model`` is a file or a ready model's name, ``digest`` its own; ``tags`` are the files or
    folders that the tags are from. ``started`` has a time zone. ``unknown`` counts the images whose
    label a run would withhold, None where the model can't tell. ``cards`` are the images that are
    shown: the mistakes, the worst first, then the least sure of the right labels.
    """

    model: str
    digest: str
    tags: Sequence[str]
    started: datetime
    metrics: Metrics
    confidence: Confidence
    unknown: int | None
    cards: Sequence[Card]


class Cell(NamedTuple):
    """How many images of the class ``truth`` were given ``label``, both indices of classes.

    ``share`` is that of the class's images; ``shown`` of them have a card.
    """

    truth: int
    label: int
    images: int
    share: float
    shown: int


class Matrix(NamedTuple):
    """A confusion matrix, or the part of it where most mistakes are.

    ``classes`` are indices of the model's; ``left_out`` mistakes are outside of it. ``pairs`` are
    the mistakes that are made most often.
    """

    classes: Sequence[int]
    rows: Sequence[Sequence[Cell]]
    left_out: int
    pairs: Sequence[Cell]


class Charts(NamedTuple):
    """The charts of the page."""

    reliability: Markup
    review: Markup


def evaluation_page(page: EvaluationPage) -> bytes:
    """Give the page: HTML in UTF-8, complete in itself. Without matplotlib it has no charts."""
    classes = page.metrics.classes
    deck = make_deck(page.cards, classes, page.started.isoformat(), page.digest, *page.tags)
    qualities = _worst_first(page.confidence.classes)
    return render(
        "evaluation.html.j2",
        page=page,
        deck=deck,
        classes=classes,
        matrix=matrix_of(page.metrics, deck),
        qualities=qualities[:_MOST_LINES],
        occurring=len(qualities),
        top=max(page.metrics.top_k_accuracy),
        points=_points(page.confidence),
        charts=_charts(page.confidence) if chartstyle.available() else None,
    )


def matrix_of(metrics: Metrics, deck: Deck) -> Matrix:
    """Choose what is shown of the confusion matrix: of many classes, those with most mistakes."""
    counts = metrics.confusion_matrix
    cards = Counter((view.truth, view.label) for view in deck.views)

    def cell(truth: int, label: int) -> Cell:
        images = counts[truth][label]
        share = images / sum(counts[truth]) if images else 0.0
        return Cell(truth, label, images, share, cards[truth, label])

    wrong = _wrong(metrics)
    chosen = shown_classes(metrics)
    within = set(chosen)
    return Matrix(
        chosen,
        rows=[[cell(truth, label) for label in chosen] for truth in chosen],
        left_out=sum(
            images for (truth, label), images in wrong.items() if not {truth, label} <= within
        ),
        pairs=[cell(truth, label) for (truth, label), _ in wrong.most_common(_MOST_PAIRS)],
    )


def shown_classes(metrics: Metrics) -> list[int]:
    """Give all classes, or, of more than MOST_CLASSES, as many of those with mistakes, most first.

    They are indices, and stand in the model's order.
    """
    count = len(metrics.classes)
    if count <= MOST_CLASSES:
        return list(range(count))
    mistakes: Counter[int] = Counter()
    for (truth, label), images in _wrong(metrics).items():
        mistakes[truth] += images
        mistakes[label] += images
    return sorted(index for index, _ in mistakes.most_common(MOST_CLASSES))


def _wrong(metrics: Metrics) -> Counter[tuple[int, int]]:
    """Count the mistakes by true class and label, indices of classes."""
    return Counter(
        {
            (truth, label): images
            for truth, line in enumerate(metrics.confusion_matrix)
            for label, images in enumerate(line)
            if images and label != truth
        }
    )


def _worst_first(qualities: Sequence[ClassQuality]) -> list[ClassQuality]:
    """Give the classes that are a tag's or a label's, those that are told worst first."""
    occurring = [one for one in qualities if one.f1 is not None]
    return sorted(occurring, key=lambda one: (one.f1 or 0.0, one.name))


def _points(found: Confidence) -> list[ReviewPoint]:
    """Give the lines of the table of thresholds: the suggested one stands where it belongs."""
    points = {point.threshold: point for point in found.table}
    if found.suggestion is not None:
        points[found.suggestion.threshold] = found.suggestion
    return [points[threshold] for threshold in sorted(points)]


def _charts(found: Confidence) -> Charts:
    with chartstyle.drawing():
        return Charts(
            chartstyle.inline(
                charts.reliability_chart(found), "reliability", charts.reliability_text(found)
            ),
            chartstyle.inline(charts.review_chart(found), "review", charts.review_text(found)),
        )
