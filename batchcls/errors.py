"""The failures that a user can meet, and the exit statuses of the command.

Every expected failure is a :class:`BatchclsError`; ``cli.main`` turns it into a message and an
exit status, in that one place. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.records import TaggedImage


class ExitStatus(IntEnum):
    """What the command tells the shell. Documented in ``docs/usage.md``; these never change."""

    OK = 0
    FAILED = 1
    """The work could not be done (or a bug: then there is a traceback). No report was written."""
    USAGE = 2
    """Wrong usage, configuration, tags or model file. Nothing was done."""
    UNREADABLE = 3
    """Done, and the report is written, but more images than allowed could not be read."""
    BUSY = 4
    """Another run is writing the same report. Nothing was done."""
    INTERRUPTED = 130
    """Ctrl-C. No report was written. (128 + SIGINT, as shells have it.)"""


class BatchclsError(Exception):
    """An expected failure: what is wrong and where, and, as ``hint``, what to do about it."""

    exit_status = ExitStatus.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(BatchclsError):
    """What was asked for makes no sense: an argument, a path, an option."""

    exit_status = ExitStatus.USAGE


class ConfigError(UsageError):
    """A configuration that can't be read: names the file and the key."""


class TagsError(UsageError):
    """Labelled images that can't be used. ``problems`` holds them all, with file and line.

    ``tagged`` are all the tags that have a path and a label, ``sound`` those of them that have no
    problem so far.
    """

    def __init__(
        self,
        problems: list[str],
        *,
        hint: str = "",
        tagged: Sequence[TaggedImage] = (),
        sound: Sequence[TaggedImage] = (),
    ) -> None:
        self.problems = problems
        self.tagged = tagged
        self.sound = sound
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        super().__init__(f"{count} with the tags:\n" + "\n".join(problems), hint=hint)


class ModelFileError(UsageError):
    """A model file that is broken, foreign, newer or not to be trusted."""


class PluginError(UsageError):
    """A plugin that fails or a name that nobody provides: names the package."""


class NetworkError(BatchclsError):
    """A pretrained network that is not at hand, or can't be downloaded or converted."""


class PluginFailedError(BatchclsError):
    """A plugin that fails, or breaks its word, where the work can't go on without it.

    ``trace`` is the traceback of what it raised.
    """

    def __init__(self, message: str, *, hint: str = "", trace: str = "") -> None:
        super().__init__(message, hint=f"{trace}{hint}")
        self.trace = trace


class RunStoppedError(BatchclsError):
    """A plugin that watches the run has stopped it."""


class Terminated(SystemExit):
    """The process was told to end (SIGTERM, SIGHUP): no plugin's failure.

    ``note`` is what to say of the work that it ended.
    """

    note = ""


class StopRun(Exception):  # noqa: N818 - what a plugin does, not what it is
    """Raised by a plugin that watches a run to stop it; its text says why."""


class BusyError(BatchclsError):
    """Another run is writing the same report."""

    exit_status = ExitStatus.BUSY


class OutputError(BatchclsError):
    """Standard output can't be written to. Without a message where its reader has had enough."""


class DecodeError(Exception):
    """Why a file gave no pixels. Never ends a run: it becomes the ``error`` of the file's row.

    A ``lasting`` reason lies in the content alone: the same bytes fail again tomorrow.
    """

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Fault:
    """What a plugin did wrong: in a line, and as Python's traceback."""

    reason: str
    trace: str


def fault_of(what: str, error: BaseException) -> Fault:
    """Say that ``what`` failed, how, and where in its code."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({os.path.basename(one.filename)}, line {one.lineno})" for one in last)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    trace = "".join(traceback.format_exception(error))
    return Fault(f"{shown(what)} failed: {shown(text)[:300]}{place}", trace)
