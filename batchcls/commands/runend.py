"""The end of ``batchcls run``: what is told to whom, and with which exit status."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls import onend, reportpath, runsummary
from batchcls.assembly import STDOUT
from batchcls.commands.choose import model_name
from batchcls.commands.runresult import print_result, sentence
from batchcls.errors import BusyError, ExitStatus, OutputError, Terminated
from batchcls.logformat import exit_status_of, words_of
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.commands.run import RunPlan
    from batchcls.records import ImageFile, RunInfo, RunSummary
    from batchcls.sharding import Shard
    from batchcls.terminal import Terminal


@dataclass
class End:
    """How a run ended, as far as it is known.

    ``written``: the report is in its place; ``page_written``: so is the page.
    """

    summary: RunSummary
    status: int = ExitStatus.FAILED
    info: RunInfo | None = None
    written: bool = False
    page_written: bool = False


@contextlib.contextmanager
def end_of_run(plan: RunPlan, end: End, terminal: Terminal) -> Iterator[None]:
    """Tell whoever wants to know of the end, good or bad."""
    try:
        yield
    except BaseException as error:
        end.status = exit_status_of(error)
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            kept = "what was done is kept, " if plan.settings.store.enabled else ""
            written = "the report was written" if end.written else "no report was written"
            error.note = kept + written  # type: ignore[union-attr]  # Python lets it have one
        tell_end(plan, end, terminal, error)
        raise
    try:
        tell_end(plan, end, terminal, None)
    except (KeyboardInterrupt, Terminated) as error:
        # The work is done and told as such; what else was to hear of it was cut short.
        terminal.warn(f"{words_of(error)} when all was done; the report was written")


def tell_end(plan: RunPlan, end: End, terminal: Terminal, failure: BaseException | None) -> None:
    """Write the summary, and call the program that is to be called at the end.

    Where another run is on, the summary is left to that one.
    """
    run = plan.settings.run
    if not plan.summary and not run.on_end and not terminal.json:
        return
    told = runsummary.summary_of(
        end.info,
        end.summary,
        started=plan.started,
        finished=datetime.now().astimezone(),
        exit_status=int(end.status),
        report=plan.report,
        report_written=end.written,
        page=plan.html if end.page_written else None,
        images=run.images,
        shard=plan.shard,
        error=None if failure is None else words_of(failure),
    )
    if terminal.json:
        terminal.event("finished", sentence(end.summary, plan.shard), **told)
    soon = isinstance(failure, (Terminated, KeyboardInterrupt))
    if plan.summary and not isinstance(failure, BusyError):
        runsummary.write_summary(run.summary, plan.summary, told, terminal.warn, soon=soon)
    if run.on_end:
        seconds = onend.SECONDS_WHEN_TOLD_TO_END if soon else onend.SECONDS
        onend.call_at_end(run.on_end, told, terminal.warn, seconds=seconds)


def finish(plan: RunPlan, end: End, terminal: Terminal) -> ExitStatus:
    """Print what was found, and what a person should know; give the exit status."""
    run, summary = plan.settings.run, end.summary
    if run.keep_reports and (summary.images or summary.left_out):
        _prune(plan, terminal)
    if not terminal.json:
        with contextlib.suppress(OutputError):  # the report is there, whoever reads the table
            print_result(plan, summary, plan.html if end.page_written else "", terminal)
    # What couldn't be listed may be missing in all reports: it counts here, too.
    bad, rows = summary.unreadable + summary.unlisted, summary.images + summary.unlisted
    allowed = plan.allowance.allows(bad, rows)
    unreadable = summary.unreadable - summary.faults
    if unreadable:
        message = f"{plural(unreadable, 'image')} could not be read; the report says why"
        (terminal.say if allowed else terminal.warn)(message)
    first = summary.first_fault
    if first is not None:
        images = plural(summary.faults, "image")
        terminal.warn(f"a plugin failed for {images}; the first was {shown(first.path)}")
        terminal.warn(first.fault or "")
    if summary.first_unlisted is not None and plan.shard is not None:
        _tell_unlisted(summary.unlisted, summary.first_unlisted, plan.shard, terminal)
    if summary.images == summary.left_out == summary.elsewhere == 0 and plan.since is None:
        roots = ", ".join(shown(root) for root in run.images)
        terminal.warn(f"no images found in {roots}")
    return ExitStatus.OK if allowed else ExitStatus.UNREADABLE


def _tell_unlisted(count: int, first: ImageFile, shard: Shard, terminal: Terminal) -> None:
    terminal.warn(
        f"{plural(count, 'folder')} could not be read, and it is for other shards' reports to say "
        f"so: where these could read them, the images of shard {shard} in them are in no report; "
        f"the first was {shown(first.key)}: {shown(first.problem or '')}"
    )


def _prune(plan: RunPlan, terminal: Terminal) -> None:
    """Delete the oldest reports, and pages, but for as many as are to be kept."""
    run, model = plan.settings.run, model_name(plan.settings, plan.model_option)
    if plan.report != STDOUT:
        gone = reportpath.prune(plan.template, model, run.keep_reports, plan.report, terminal.warn)
        for path in gone:
            terminal.detail(f"deleted the former report {shown(path)}")
    if plan.html and reportpath.changes(run.html):
        reportpath.prune(run.html, model, run.keep_reports, plan.html, terminal.warn)
