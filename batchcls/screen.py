"""What is drawn, by rich: colours, tables, and bars.

Imported only where something is: it takes 0.02 s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

# Where nobody set a width, lines must not be cut to fit a screen that is not there.
_PIPED_WIDTH = 500

# On less, a progress bar leaves out what else would break its line.
_WIDTH_FOR_ALL = 60

# What a status, as in a report, looks like wherever it stands.
STATUS_STYLES = {"ok": "green", "review": "yellow", "unknown": "magenta", "error": "red"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to us what that means; rich would end the process."""
        raise BrokenPipeError


def console(*, stderr: bool) -> Console:
    """Give what draws on a stream. Labels and paths are data, never markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream is not None and stream.isatty() else _PIPED_WIDTH
    return _Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> Table:
    """Make a table; columns from ``numbers_from`` on are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(header):
        right = index >= numbers_from
        made.add_column(Text(name), justify="right" if right else "left", no_wrap=right)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def bar(share: float, width: int, on: Console, *, style: str, track: bool = False) -> Text:
    """Make a bar as long as the ``share`` (0 to 1) of ``width`` columns, to half a column.

    A ``track`` shows how far it could go, by its shape too: colours may be off.
    """
    ascii_only = on.options.ascii_only
    full, half, rest = ("#", "", "-") if ascii_only else ("━", "╸", "─")
    halves = round(min(1.0, max(0.0, share)) * width * 2)
    drawn = full * (halves // 2) + (half if halves % 2 else "")
    made = Text.assemble((drawn, style))
    if track:
        made.append(rest * (width - len(drawn)), style="dim")
    return made


def download_bar(on: Console) -> Progress:
    """Make a bar with bytes, rate and time left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=on,
        transient=True,
    )


def images_bar(on: Console) -> Progress:
    """Make a bar with rate and time left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        *([BarColumn(), TaskProgressColumn()] if on.width >= _WIDTH_FOR_ALL else []),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=on,
        transient=True,
    )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Images per second, over the last moments."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} images/s" if speed else "")
