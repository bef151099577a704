"""How what is said looks on standard error: words for people, or a JSON object on a line.

One choice for the whole process, since an error is told where no Terminal is at hand.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from datetime import datetime, timezone
from typing import Any, Literal

from batchcls.errors import BatchclsError, Terminated
from batchcls.text import printable

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]


class _State:
    """What holds for the process."""

    json = False


def use(format_: Format) -> None:
    """Choose the format, from now on."""
    _State.json = format_ == "json"


def is_json() -> bool:
    """Whether JSON was chosen."""
    return _State.json


def write_event(level: Level, message: str, **fields: Any) -> None:  # noqa: ANN401 - JSON's types
    """Write a line of JSON. A log that can't be written ends nothing."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    entry = {"time": now.replace("+00:00", "Z"), "level": level, "message": message, **fields}
    _write(json_text(entry, encoding=getattr(sys.stderr, "encoding", None)) + "\n")


def json_text(
    value: Any,  # noqa: ANN401 - anything that JSON can hold
    *,
    indent: int | None = None,
    encoding: str | None = "utf-8",
) -> str:
    """Give JSON that any terminal can show and any program can read.

    All beyond ASCII is escaped where a name is not UTF-8 or would steer a terminal, and where the
    ``encoding`` is another one: JSON is UTF-8.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    is_utf8 = (encoding or "").lower().replace("-", "") in {"utf8", "cp65001"}
    if is_utf8 and text.replace("\n", "").isprintable():
        return text
    return json.dumps(value, ensure_ascii=True, indent=indent, default=str)


def tell_warning(message: str) -> None:
    """Tell of a problem that ends nothing, where no Terminal is at hand."""
    if _State.json:
        write_event("warning", message)
    else:
        _write(f"batchcls: warning: {printable(message)}\n")


def tell_failure(error: BatchclsError) -> None:
    """Tell of an expected failure, and what to do about it."""
    if _State.json:
        trace = getattr(error, "trace", "")
        hint = error.hint.removeprefix(trace)
        extra = {"hint": hint, "traceback": trace, "exit_status": int(error.exit_status)}
        if error.message:
            kept = {name: value for name, value in extra.items() if value != ""}
            write_event("error", error.message, event="failed", **kept)
        return
    if error.message:
        _write(f"batchcls: error: {printable(error.message)}\n")
    if error.hint:
        _write(f"{printable(error.hint)}\n")


def tell_end(error: KeyboardInterrupt | Terminated) -> None:
    """Tell that a person, or the system, has ended the process."""
    words = words_of(error)
    note = getattr(error, "note", "")
    message = f"{words}; {note}" if note else words
    if _State.json:
        write_event("error", message, event=words.split()[0], exit_status=exit_status_of(error))
    else:
        _write(f"batchcls: {printable(message)}\n")


def tell_bug(error: BaseException, message: str = "") -> None:
    """Tell of what nobody expected, with its traceback."""
    trace = "".join(traceback.format_exception(error))
    if _State.json:
        words = message or words_of(error)
        write_event("error", words, event="failed", traceback=trace, exit_status=1)
    else:
        _write(trace + (f"batchcls: error: {printable(message)}\n" if message else ""))


def words_of(error: BaseException) -> str:
    """Say in a line what ended the work."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, Terminated):
        return f"ended by {_signal_name(exit_status_of(error) - 128)}"
    if isinstance(error, BatchclsError):
        return error.message or type(error).__name__
    return f"{type(error).__name__}: {error}".rstrip(": ")


def exit_status_of(error: BaseException) -> int:
    """Give the exit status that follows when ``error`` ends the process."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, Terminated):
        return error.code if isinstance(error.code, int) else 1
    return int(error.exit_status) if isinstance(error, BatchclsError) else 1


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _write(text: str) -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or full
        sys.stderr.write(text)
        sys.stderr.flush()
