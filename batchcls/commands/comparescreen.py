"""What `batchcls compare` tells: on a terminal, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchcls.comparison import Answer, Change, Compared, Difference, Kind, points, words_of
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.terminal import Terminal

_CHANGES_SHOWN = 20
_LABELS_SHOWN = 20
_CLASSES_SHOWN = 10


def to_dict(compared: Compared) -> dict[str, Any]:
    """Give the summary, for JSON. Shares are from 0 to 1, None where there are no rows."""
    comparison = compared.comparison
    return {
        "compared": f"{compared.sort}s",
        "old": compared.names[0],
        "new": compared.names[1],
        "old_images": comparison.old_rows,
        "new_images": comparison.new_rows,
        "in_both": comparison.compared,
        "agreed": comparison.agreed,
        "changed_label": comparison.changes[Change.LABEL],
        "changed_status": comparison.changes[Change.STATUS],
        "only_new": comparison.changes[Change.NEW],
        "only_old": comparison.changes[Change.VANISHED],
        "total_variation_distance": _rounded(comparison.distance),
        "mix": [
            {
                **_kind(one.kind),
                "old": one.old,
                "new": one.new,
                "old_share": _rounded(one.old_share),
                "new_share": _rounded(one.new_share),
                "change": _rounded(one.change),
            }
            for one in comparison.drift
        ],
        "transitions": [
            {"from": _kind(old), "to": _kind(new), "images": count}
            for (old, new), count in comparison.steps
        ],
        "classes_only_old": list(compared.only_old),
        "classes_only_new": list(compared.only_new),
    }


def _kind(kind: Kind) -> dict[str, str | None]:
    return {"label": kind.label, "status": kind.status.value if kind.status else None}


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def print_compared(compared: Compared, terminal: Terminal) -> None:
    """Print the summary, the first differences, and how the mix of labels changed."""
    comparison = compared.comparison
    _print_summary(compared, terminal)
    if comparison.changed:
        terminal.result(f"\n{plural(comparison.changed, 'change')}")
        header = ["image", "old", "new", "old score", "new score"]
        shown_changes = comparison.first_changed[:_CHANGES_SHOWN]
        terminal.table(header, [_row(one) for one in shown_changes], numbers_from=3)
        _tell_more(comparison.changed - len(shown_changes), terminal)
    for what, kept, change in (
        ("only in the new", comparison.first_new, Change.NEW),
        ("only in the old", comparison.first_vanished, Change.VANISHED),
    ):
        if kept:
            terminal.result(f"\n{what}")
            told = kept[:_CHANGES_SHOWN]
            rows = [[shown(one.path), _words(one.new or one.old)] for one in told]
            terminal.table(["image", "label"], rows, numbers_from=2)
            _tell_more(comparison.changes[change] - len(told), terminal)
    drift = comparison.drift
    if drift:
        terminal.result("\nMix of labels, the largest change of a share first")
        terminal.table(
            ["label", "old", "new", "old share", "new share", "change"],
            [
                [
                    shown(words_of(one.kind)),
                    f"{one.old:,}",
                    f"{one.new:,}",
                    _percent(one.old_share),
                    _percent(one.new_share),
                    _points(one.change),
                ]
                for one in drift[:_LABELS_SHOWN]
            ],
        )
        _tell_more(len(drift) - _LABELS_SHOWN, terminal, "label")
        terminal.result("")


def _print_summary(compared: Compared, terminal: Terminal) -> None:
    comparison = compared.comparison
    old, new = (shown(name) for name in compared.names)
    terminal.result(f"old       {old}: {plural(comparison.old_rows, 'image')}")
    terminal.result(f"new       {new}: {plural(comparison.new_rows, 'image')}")
    both = comparison.compared
    if both:
        agreed, changed = comparison.agreed, comparison.changed
        labels, statuses = comparison.changes[Change.LABEL], comparison.changes[Change.STATUS]
        terminal.result(f"agreed    {agreed:,} of {both:,} ({_percent(agreed / both)})")
        how = f": {labels:,} by label, {statuses:,} by status" if changed else ""
        terminal.result(f"changed   {changed:,} ({_percent(changed / both)}){how}")
    if compared.sort == "report":
        terminal.result(f"only new  {comparison.changes[Change.NEW]:,}")
        terminal.result(f"only old  {comparison.changes[Change.VANISHED]:,}")
    if comparison.distance is not None:
        terminal.result(
            f"drift     {comparison.distance:.3f} (total variation distance: 0 is the same mix of "
            "labels, 1 no label in common)"
        )
    for which, classes in (("old", compared.only_old), ("new", compared.only_new)):
        if classes:
            told = ", ".join(shown(name) for name in classes[:_CLASSES_SHOWN])
            more = len(classes) - _CLASSES_SHOWN
            rest = f" and {more:,} more" if more > 0 else ""
            count = plural(len(classes), "class", "classes")
            terminal.result(f"only the {which} model knows {count}: {told}{rest}")


def _row(one: Difference) -> list[str]:
    answers = one.old, one.new
    return [shown(one.path), *map(_words, answers), *map(_score, answers)]


def _words(answer: Answer | None) -> str:
    return "" if answer is None else shown(words_of(Kind(answer.label, answer.status)))


def _score(answer: Answer | None) -> str:
    return "" if answer is None or answer.score is None else f"{answer.score:.4f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _points(change: float | None) -> str:
    """Give a change of a share in percentage points."""
    return "" if change is None else f"{points(change)} points"


def _tell_more(count: int, terminal: Terminal, what: str = "") -> None:
    if count > 0:
        terminal.result(f"({plural(count, f'more {what}') if what else f'{count:,} more'})")
