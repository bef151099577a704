"""What a person sees: results on standard output, notes and progress on standard error.

Plain text when piped; a progress bar only on a terminal. Labels and paths are data, never markup.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from batchcls.errors import BatchclsError, OutputError
from batchcls.text import printable

# Where nobody set a width, lines must not be cut to fit a screen that is not there.
_PIPED_WIDTH = 500


class Terminal:
    """The two streams. ``quiet`` leaves out notes, progress and tables, never problems.

    ``results_to_stderr`` is for when a report goes to standard output.
    """

    def __init__(self, *, quiet: bool = False, results_to_stderr: bool = False) -> None:
        self.quiet = quiet
        self._err = _console(stderr=True)
        self._out = self._err if results_to_stderr else _console(stderr=False)

    def say(self, message: str) -> None:
        """Tell what is being done and why."""
        if not self.quiet:
            self._err.print(printable(message), soft_wrap=True)

    def warn(self, message: str) -> None:
        """Tell of a problem that ends nothing."""
        text = f"batchcls: warning: {printable(message)}"
        self._err.print(text, style="yellow", soft_wrap=True)

    def result(self, line: str) -> None:
        """Print a line of a result. Raises OutputError."""
        if not self.quiet:
            with _writing():
                self._out.print(printable(line), soft_wrap=True)

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1
    ) -> None:
        """Print a table; columns from ``numbers_from`` on are aligned to the right.

        Raises OutputError.
        """
        if self.quiet:
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, name in enumerate(header):
            right = index >= numbers_from
            table.add_column(Text(name), justify="right" if right else "left", no_wrap=right)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        with _writing():
            self._out.print(table)

    @contextlib.contextmanager
    def download(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar with bytes, rate and time left, on a terminal; gives what advances it."""
        if self.quiet or not self._err.is_terminal:
            yield lambda _: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda steps: progress.advance(task, steps)

    @contextlib.contextmanager
    def progress(
        self, what: str, total: int | Callable[[], int] | None = None
    ) -> Iterator[Callable[[int], None]]:
        """Show a bar with rate and time left, on a terminal; gives what advances it.

        ``total`` may be a function that takes its time: it is called on a thread, and the bar
        has no end until it returns.
        """
        if self.quiet or not self._err.is_terminal:
            yield lambda _: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            known = total if isinstance(total, int) else None
            task = progress.add_task(what, total=known)
            if callable(total):
                threading.Thread(
                    target=_set_total, args=(progress, task, total), daemon=True
                ).start()
            yield lambda steps: progress.advance(task, steps)


def _set_total(progress: Progress, task: TaskID, count: Callable[[], int]) -> None:
    with contextlib.suppress(BatchclsError):  # the work itself meets the same error, and tells it
        progress.update(task, total=count())


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Images per second, over the last moments."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f} images/s" if speed else "")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to us what that means; rich would end the process."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream is not None and stream.isatty() else _PIPED_WIDTH
    return _Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def print_text(text: str) -> None:
    """Print lines of a result as they are. Raises OutputError."""
    with _writing():
        print(text, flush=True)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        drop_output()
        if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has had enough
            raise OutputError("") from None
        raise OutputError(f"standard output: can't be written: {error.strerror}") from None


def drop_output() -> None:
    """Send what is still to be printed nowhere, or Python would fail on it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_json(value: dict[str, Any] | list[Any]) -> None:
    """Print JSON, an entry of the object or array on a line. Raises OutputError.

    As UTF-8; where a name is not UTF-8, all beyond ASCII is escaped.
    """
    try:
        text = _json(value, ensure_ascii=False)
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = _json(value, ensure_ascii=True)
    print_text(text)


def _json(value: dict[str, Any] | list[Any], *, ensure_ascii: bool) -> str:
    def dump(part: Any) -> str:  # noqa: ANN401 - anything that JSON can hold
        return json.dumps(part, ensure_ascii=ensure_ascii)

    if isinstance(value, dict):
        entries = [f"{dump(key)}: {dump(part)}" for key, part in value.items()]
        opening, closing = "{", "}"
    else:
        entries = [dump(part) for part in value]
        opening, closing = "[", "]"
    if not entries:
        return opening + closing
    return f"{opening}\n  " + ",\n  ".join(entries) + f"\n{closing}"
