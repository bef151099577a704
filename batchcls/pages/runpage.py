"""``report.html``: what a run found, to look at and to correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from batchcls.atomic import STDOUT
from batchcls.pages.cards import Card
from batchcls.pages.deck import Deck, make_deck
from batchcls.pages.render import bdi, render
from batchcls.records import RunInfo, RunSummary
from batchcls.text import plural

# The labels that are shown at once, and those that are there when one asks for more.
_BARS = 30
_MORE_BARS = 1000


@dataclass(frozen=True)
class RunPage:
    """What stands on the page.

    ``cards`` are the images that are shown, the least sure first (unknown ones before all others):
    all of them, or, where they are more than ``limit``, the least sure, and a sample of the others,
    ``sampled`` in number. ``unreadable`` are the first files that could not be read, at most
    ``limit``; ``summary.unreadable`` counts all. ``started`` and ``finished`` have a time zone;
    ``report`` is the path of the report with a row for every image, ``-`` being standard output.
    """

    info: RunInfo
    summary: RunSummary
    started: datetime
    finished: datetime
    report: str
    cards: Sequence[Card]
    sampled: int
    unreadable: Sequence[Card]
    limit: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A row among the labels: a label, how many images bear it, and their share of all.

    ``width`` is 1 for the longest bar; ``show`` and ``href`` say where its link leads.
    """

    label: str
    count: int
    share: float
    width: float
    kind: str = ""
    show: str = ""
    href: str = "#gallery"


def run_page(page: RunPage) -> bytes:
    """Give the page: HTML in UTF-8, complete in itself."""
    summary = page.summary
    deck = make_deck(page.cards, page.info.classes, page.started.isoformat(), page.report)
    bars, more = _bars(summary, deck)
    return render(
        "run.html.j2",
        page=page,
        deck=deck,
        title=_title(summary),
        took=(page.finished - page.started).total_seconds(),
        ok=summary.labels.total() - summary.review,
        rate=f"{summary.images / summary.seconds:,.0f}" if summary.seconds else "0",
        bars=bars,
        more=more[:_MORE_BARS],
        beyond=max(0, len(more) - _MORE_BARS),
        report=_report(page.report),
        words=_words(page),
    )


def _title(summary: RunSummary) -> str:
    parts = [plural(summary.images, "image") if summary.images else "No images"]
    if summary.review:
        parts.append(f"{summary.review:,} to review")
    if summary.unknown:
        parts.append(f"{summary.unknown:,} unknown")
    if summary.unreadable:
        parts.append(f"{summary.unreadable:,} unreadable")
    return ", ".join(parts)


def _bars(summary: RunSummary, deck: Deck) -> tuple[list[Bar], list[Bar]]:
    """Give the most frequent labels, with what has none, and the other labels."""
    counts = sorted(summary.labels.items(), key=lambda item: (-item[1], item[0]))
    total = summary.images
    longest = max([*summary.labels.values(), summary.unknown, summary.unreadable, 1])
    links = {borne.label: f"label={borne.index}" for borne in deck.by_label}

    def bar(label: str, count: int, kind: str = "", show: str = "", href: str = "#gallery") -> Bar:
        return Bar(label, count, count / total, count / longest, kind, show, href)

    bars = [bar(label, count, show=links.get(label, "")) for label, count in counts if count]
    without = []
    if summary.unknown:
        show = "status=unknown" if deck.by_status["unknown"] else ""
        without.append(bar("(unknown)", summary.unknown, "unknown", show))
    if summary.unreadable:
        without.append(bar("(unreadable)", summary.unreadable, "error", href="#unreadable"))
    return [*bars[:_BARS], *without], bars[_BARS:]


def _report(path: str) -> Markup:
    """Give what the full report is called."""
    if path == STDOUT:
        return Markup("the report on standard output")
    return Markup("<code>{}</code>").format(bdi(path))


def _words(page: RunPage) -> Markup:
    """Say which images the gallery has."""
    classified, shown = page.summary.classified, len(page.cards)
    if not classified:
        return Markup("There is no image to show.")
    if shown >= classified:
        return Markup("{}.").format(
            f"All {shown:,} images, the least sure first" if shown > 1 else "The only image"
        )
    whole = Markup("{} of {}{}; all are in {}.")
    parts = f": the {shown - page.sampled:,} least sure" if shown else ""
    if page.sampled:
        parts += f", and a sample of {page.sampled:,} of the others"
    return whole.format(f"{shown:,}", plural(classified, "image"), parts, _report(page.report))
