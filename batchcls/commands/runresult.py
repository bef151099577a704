"""What a run found, at its end: a table when piped, and bars and colours for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from batchcls.assembly import STDOUT
from batchcls.locations import without_secrets
from batchcls.terminal import print_drawn
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from batchcls.commands.run import RunPlan
    from batchcls.records import RunSummary
    from batchcls.sharding import Shard
    from batchcls.terminal import Terminal

_LABELS_SHOWN = 20
# Columns of characters: of the longest bar, and of the shortest that still tells something.
_LONGEST_BAR = 32
_SHORTEST_BAR = 8
_SHARE = 7  # 100.0 %
_LEAST_LABEL = 12
_GAP = 3
# A score below which it is worth to look, where nobody has said another.
_REVIEW_BELOW = 0.6


def print_result(plan: RunPlan, summary: RunSummary, page: str, terminal: Terminal) -> None:
    """Print the labels that were found, and where all is. ``page`` is "" where there is none.

    Raises OutputError.
    """
    on = terminal.drawn
    if on is not None:
        print_drawn(on, *_drawn(plan, summary, page, on))
        return
    rows = [[label, f"{count:,}"] for label, count in _counts(summary)]
    if summary.unknown:
        rows.append(["(unknown)", f"{summary.unknown:,}"])
    if summary.unreadable:
        rows.append(["(unreadable)", f"{summary.unreadable:,}"])
    if rows:
        terminal.table(["label", "images"], rows)
        terminal.result("")
    if summary.review:
        terminal.result(f"{plural(summary.review, 'label')} to review, by the status in the report")
    terminal.result(sentence(summary, plan.shard))
    terminal.result(f"report: {_where(plan.report)}")
    if page:
        terminal.result(f"page: {shown(page)}")


def sentence(summary: RunSummary, shard: Shard | None = None) -> str:
    """Say how many images it were, and how fast they went."""
    rate = summary.images / summary.seconds if summary.seconds else 0.0
    known = f", {summary.recalled:,} of them known already" if summary.recalled else ""
    left_out = f"; {summary.left_out:,} were reported before" if summary.left_out else ""
    images = plural(summary.images, "image")
    which = f"shard {shard}: " if shard is not None else ""
    return f"{which}{images} in {summary.seconds:.1f} s ({rate:.0f} images/s){known}{left_out}"


def _counts(summary: RunSummary) -> list[tuple[str, int]]:
    """Give the labels that most images have, and how many have another."""
    labels = sorted(summary.labels.items(), key=lambda item: (-item[1], item[0]))
    rows = [(shown(label), count) for label, count in labels[:_LABELS_SHOWN]]
    rest = labels[_LABELS_SHOWN:]
    if rest:
        rows.append((f"({len(rest):,} more labels)", sum(count for _, count in rest)))
    return rows


def _where(report: str) -> str:
    return "standard output" if report == STDOUT else shown(without_secrets(report))


def _drawn(plan: RunPlan, summary: RunSummary, page: str, on: Console) -> Iterator[RenderableType]:
    from rich.text import Text

    if summary.labels:
        yield _bars(summary, on)
        yield ""
    if summary.images:
        yield _statuses(summary, on)
    yield Text(sentence(summary, plan.shard), style="dim")
    places = [("report", _where(plan.report)), *([("page", shown(page))] if page else [])]
    for name, place in places:
        line = Text.assemble((f"{name}: ", "dim"), place)
        line.no_wrap = True  # for a path to be copied as it is
        yield line
    advice = _advice(plan, summary, page)
    if advice:
        arrow = "->" if on.options.ascii_only else "→"
        yield Text.assemble((f"{arrow} ", "bold cyan"), advice)


def _bars(summary: RunSummary, on: Console) -> Table:
    """Draw how many images have each label, beside the most frequent one."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from batchcls.screen import bar

    counts = _counts(summary)
    most = max(summary.labels.values())
    numbers = max(len("images"), *(len(f"{count:,}") for _, count in counts))
    longest = max(Text(label).cell_len for label, _ in counts)
    least = min(longest, _LEAST_LABEL)
    room = on.width - numbers - _GAP
    has_share = room - _SHARE - _GAP >= least
    room -= _SHARE + _GAP if has_share else 0
    has_bar = has_share and room - _SHORTEST_BAR - _GAP >= least
    width = min(_LONGEST_BAR, max(_SHORTEST_BAR, room - _GAP - longest))
    room -= width + _GAP if has_bar else 0
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("label", overflow="fold", max_width=max(1, room))
    table.add_column("images", justify="right", no_wrap=True)
    if has_share:
        table.add_column("share", justify="right", no_wrap=True)
    if has_bar:
        table.add_column("", width=width, no_wrap=True)
    for index, (label, count) in enumerate(counts):
        rest = index == _LABELS_SHOWN
        style = "dim" if rest else ""
        share = f"{count / summary.images:.1%}".replace("%", " %")
        drawn = Text() if rest else bar(count / most, width, on, style="cyan")
        cells = [Text(label, style), Text(f"{count:,}", style), Text(share, style), drawn]
        table.add_row(*cells[: len(table.columns)])
    return table


def _statuses(summary: RunSummary, on: Console) -> Text:
    """Say how many images have each status that there is."""
    from rich.text import Text

    from batchcls.screen import STATUS_STYLES

    counts = [
        ("ok", "ok", summary.labels.total() - summary.review),
        ("review", "to review", summary.review),
        ("unknown", "unknown", summary.unknown),
        ("error", "unreadable", summary.unreadable),
    ]
    parts = [
        Text(f"{count:,} {words}", style=f"bold {STATUS_STYLES[status]}")
        for status, words, count in counts
        if count
    ]
    line = Text("  ").join(parts)
    return line if line.cell_len <= on.width else Text("\n").join(parts)


def _advice(plan: RunPlan, summary: RunSummary, page: str) -> str:
    """Say what to look at next; "" where there is nothing."""
    doubtful = summary.review + summary.unknown
    if page and summary.images:
        what = f"{doubtful:,} to look at" if doubtful else "the least sure come first"
        return f"{what}: open {shown(page)}"
    if doubtful:
        return f"{doubtful:,} to look at: batchcls run ... --html report.html shows them"
    if summary.labels and not plan.settings.report.review_below:
        return f"batchcls run ... --review-below {_REVIEW_BELOW} tells which labels are less sure"
    return ""
