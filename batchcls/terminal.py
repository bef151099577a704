"""What a person sees: results on standard output, notes and progress on standard error.

Plain text when piped; a progress bar only on a terminal, which screen.py draws.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from batchcls import logformat
from batchcls.errors import BatchclsError, OutputError
from batchcls.progresslines import ProgressLines
from batchcls.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

    from batchcls.settings import LogFormat, LogLevel

# Either has rich draw where there is no terminal, as in the log of a CI.
_DRAW_ANYWAY = ("FORCE_COLOR", "TTY_COMPATIBLE")


class Terminal:
    """The two streams, and how much is said on them.

    ``quiet`` leaves out notes, progress and tables, never problems; "verbose" adds details; "auto"
    is "normal" for a person who looks on, and "quiet" for cron, which would mail every word.
    ``results_to_stderr`` is for when a report goes to standard output. As "json" everything that
    is said is an object on a line of standard error.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        results_to_stderr: bool = False,
        level: LogLevel = "normal",
        format: LogFormat = "text",
    ) -> None:
        if level == "auto":
            level = "normal" if _is_terminal(sys.stdout) or _is_terminal(sys.stderr) else "quiet"
        self.quiet = quiet or level == "quiet"
        self.verbose = level == "verbose" and not quiet
        self.json = format == "json"
        logformat.use(format)
        self._results_to_stderr = results_to_stderr

    @cached_property
    def _err(self) -> Console:
        from batchcls.screen import console

        return console(stderr=True)

    @cached_property
    def _out(self) -> Console:
        from batchcls.screen import console

        return self._err if self._results_to_stderr else console(stderr=False)

    def say(self, message: str) -> None:
        """Tell what is being done and why."""
        if not self.quiet:
            self._note("info", message)

    def detail(self, message: str) -> None:
        """Tell what only somebody wants to know who looks for something."""
        if self.verbose:
            self._note("debug", message)

    def warn(self, message: str) -> None:
        """Tell of a problem that ends nothing."""
        self._note("warning", message)

    def event(
        self,
        name: str,
        message: str,
        *,
        level: logformat.Level = "info",
        **fields: Any,  # noqa: ANN401 - anything that JSON can hold
    ) -> None:
        """Tell of something that a program may want to know: in words, or with its fields."""
        shown_from = {"debug": self.verbose, "info": not self.quiet}
        if shown_from.get(level, True):
            self._note(level, message, event=name, **fields)

    def _note(self, level: logformat.Level, message: str, **fields: Any) -> None:  # noqa: ANN401
        if self.json:
            logformat.write_event(level, message, **fields)
            return
        text, style = printable(message), None
        if level in {"warning", "error"}:
            text, style = f"batchcls: {level}: {text}", "yellow"
        with contextlib.suppress(OSError, ValueError):  # a log that is full, or gone, ends nothing
            if _may_draw(sys.stderr):
                self._err.print(text, style=style, soft_wrap=True)
            else:
                _write(sys.stderr, text)

    def result(self, line: str) -> None:
        """Print a line of a result. Raises OutputError."""
        if self.quiet:
            return
        if self.json:
            if line.strip():
                self._note("info", line.strip())
            return
        with _writing():
            _write(sys.stderr if self._results_to_stderr else sys.stdout, printable(line))

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1
    ) -> None:
        """Print a table; columns from ``numbers_from`` on are aligned to the right.

        Raises OutputError.
        """
        if self.quiet:
            return
        if self.json:
            body = [list(row) for row in rows]
            self._note("info", ", ".join(header), event="table", columns=list(header), rows=body)
            return
        from batchcls.screen import table

        with _writing():
            self._out.print(table(header, rows, numbers_from))

    @property
    def drawn(self) -> Console | None:
        """Give what draws results for a person who looks on; None where they are plain text."""
        if self.quiet or self.json:
            return None
        return drawn_output(stderr=self._results_to_stderr)

    @contextlib.contextmanager
    def download(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar with bytes, rate and time left, on a terminal; gives what advances it."""
        if not self._has_bars:
            yield lambda _: None
            return
        from batchcls.screen import download_bar

        with download_bar(self._err) as progress:
            task = progress.add_task(what, total=total)
            yield lambda steps: progress.advance(task, steps)

    @contextlib.contextmanager
    def progress(
        self, what: str, total: int | Callable[[], int] | None = None
    ) -> Iterator[Callable[[int], None]]:
        """Show a bar with rate and time left, on a terminal; gives what advances it.

        ``total`` may be a function that takes its time: it is called on a thread, and the bar
        has no end until it returns. In a verbose log there is a line every now and then.
        """
        if not self._has_bars:
            lines = ProgressLines(what, total, self._progressed) if self.verbose else None
            yield lines.advance if lines else lambda _: None
            return
        from batchcls.screen import images_bar

        with images_bar(self._err) as progress:
            known = total if isinstance(total, int) else None
            task = progress.add_task(what, total=known)
            if callable(total):
                threading.Thread(
                    target=_set_total, args=(progress, task, total), daemon=True
                ).start()
            yield lambda steps: progress.advance(task, steps)

    @property
    def _has_bars(self) -> bool:
        if self.quiet or self.json or not _may_draw(sys.stderr):
            return False
        return self._err.is_terminal

    def _progressed(self, message: str, done: int, total: int | None, rate: float) -> None:
        rate = round(rate, 1)
        self.event(
            "progress", message, level="debug", done=done, total=total, images_per_second=rate
        )


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _set_total(progress: Progress, task: TaskID, count: Callable[[], int]) -> None:
    with contextlib.suppress(BatchclsError):  # the work itself meets the same error, and tells it
        progress.update(task, total=count())


def _may_draw(stream: IO[str] | None) -> bool:
    """Whether rich is to be asked, which has the last word."""
    return _is_terminal(stream) or any(name in os.environ for name in _DRAW_ANYWAY)


def _write(stream: IO[str] | None, line: str) -> None:
    if stream is not None:
        stream.write(line + "\n")
        stream.flush()


def print_text(text: str) -> None:
    """Print lines of a result as they are. Raises OutputError."""
    with _writing():
        print(text, flush=True)


def drawn_output(*, stderr: bool = False) -> Console | None:
    """Give what draws on a stream for a person who looks on.

    None where plain text is due: in a pipe, a file, or on a terminal that can't move its cursor.
    """
    if not _may_draw(sys.stderr if stderr else sys.stdout):
        return None
    from batchcls.screen import console

    made = console(stderr=stderr)
    return made if made.is_terminal and not made.is_dumb_terminal else None


def print_drawn(on: Console, *parts: RenderableType) -> None:
    """Draw parts of a result, each on lines of its own. Raises OutputError.

    A text that has ``no_wrap`` is left to the terminal to break: it can be copied as it is.
    """
    with _writing():
        for part in parts:
            on.print(part, soft_wrap=bool(getattr(part, "no_wrap", False)))


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
