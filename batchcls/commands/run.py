"""``batchcls run``: folders of images → a report.

What is asked for is checked here, once; the work itself (runwork.py) is done under the eyes of a
guardian, and may be begun again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls import reportpath
from batchcls.assembly import STDOUT, store_folder
from batchcls.atomic import remove_left_over
from batchcls.commands.choose import model_name
from batchcls.commands.runend import End, tell_end
from batchcls.commands.runplaces import (
    Before,
    alone_on_news,
    alone_on_report,
    check_other,
    check_writable,
)
from batchcls.errors import ConfigError, UsageError
from batchcls.guard.guardian import guarded
from batchcls.locations import normalised
from batchcls.logformat import exit_status_of, words_of
from batchcls.maxerrors import Allowance, parse_max_errors
from batchcls.overlap import sweep
from batchcls.records import RunSummary
from batchcls.sharding import Shard, parse_shard
from batchcls.since import parse_since

if TYPE_CHECKING:
    from batchcls.guard.flight import Flight
    from batchcls.guard.verdicts import Verdicts
    from batchcls.settings import RunSettings, Settings
    from batchcls.terminal import Terminal


@dataclass(frozen=True)
class RunPlan:
    """What a run was asked for, checked.

    ``report``, ``summary`` and ``html`` are paths, their placeholders filled in, "" for none;
    ``template`` is the report's as it was given. ``since`` is in nanoseconds since 1970, None for
    all files, as is a ``shard`` of None. ``must_explain``: not only where the model can.
    """

    settings: Settings
    model_option: str | None
    template: str
    report: str
    summary: str
    html: str
    started: datetime
    allowance: Allowance
    since: int | None
    must_explain: bool
    shard: Shard | None = None


def run_command(
    settings: Settings,
    model_option: str | None,
    terminal: Terminal,
    *,
    must_explain: bool = False,
) -> int:
    """Classify the images that the settings name, write the report, give the exit status.

    Where the settings ask for reasons, a model that can't give any does without, unless it must.
    """
    plan = _plan(settings, model_option, must_explain=must_explain)
    begun = False

    def work(flight: Flight, verdicts: Verdicts) -> int:
        nonlocal begun
        begun = True  # in the worker, which tells of its own end
        from batchcls.commands.runwork import do_run

        # Where it is not the report that was there before, a worker that was killed has written it.
        return do_run(plan, terminal, flight, verdicts, report_is_ours=before.is_another)

    try:
        if plan.report != STDOUT:
            reportpath.make_folders(plan.template, plan.report)
        with alone_on_news(plan, terminal), alone_on_report(plan, terminal) as alone:
            if alone:
                sweep(plan.report)
            _remove_left_over_page(plan)
            before = Before(plan.report)
            try:
                return guarded(
                    work,
                    seconds=settings.decode.max_seconds,
                    folder=store_folder(settings) if settings.store.enabled else None,
                    warn=terminal.warn,
                    guard=settings.decode.guard,
                )
            finally:
                if not begun:  # in the guardian: a worker that was killed left it
                    if alone:
                        remove_left_over(plan.report)
                    _remove_left_over_page(plan)
    except BaseException as error:
        if not begun:
            end = End(RunSummary(error=words_of(error)), exit_status_of(error))
            tell_end(plan, end, terminal, error)
        raise


def _remove_left_over_page(plan: RunPlan) -> None:
    """Remove what workers that were killed have left of it: each writes it in no time, at its end.

    So that of another run, with another report, is hardly ever met.
    """
    if plan.html:
        remove_left_over(plan.html)


def _plan(settings: Settings, model_option: str | None, *, must_explain: bool) -> RunPlan:
    run = settings.run
    if not run.images:
        raise UsageError(
            "no images: nothing to classify",
            hint="Name a folder: batchcls run ./images (or set run.images in config.toml)",
        )
    started = datetime.now().astimezone()
    model = model_name(settings, model_option)
    allowance = parse_max_errors(run.max_errors)
    since = int(parse_since(run.since, started) * 1e9) if run.since else None
    shard = parse_shard(run.shard) if run.shard else None
    if shard is not None:
        _name_of_shard(run, shard)
    run.output, run.summary, run.html = map(normalised, (run.output, run.summary, run.html))
    to_stdout = run.output == STDOUT
    if not to_stdout:
        reportpath.check_keep(run.output, run.keep_reports)
        if run.keep_reports or run.new_only:
            reportpath.check_bucket(run.output, "keep_reports" if run.keep_reports else "new_only")
    if run.new_only and (to_stdout or not settings.store.enabled):
        raise ConfigError(
            "run -> new_only: needs "
            + ("a report that is a file" if to_stdout else "the store, which is turned off"),
            hint="What former reports had is kept in the store, by the place of the report.",
        )
    summary = run.summary
    report = STDOUT if to_stdout else reportpath.expanded(run.output, started, model)
    check_writable("output", report)
    if summary:
        summary = reportpath.expanded(summary, started, model, setting="summary")
        check_other("summary", summary, report=report)
    html = run.html
    if html == STDOUT:
        raise ConfigError("run -> html: a page is a file", hint="Name one: --html report.html")
    if html:
        html = reportpath.expanded(html, started, model, setting="html")
        check_other("html", html, report=report, summary=summary)
    return RunPlan(
        settings,
        model_option,
        template=run.output,
        report=report,
        summary=summary,
        html=html,
        started=started,
        allowance=allowance,
        since=since,
        shard=shard,
        must_explain=must_explain,
    )


def _name_of_shard(run: RunSettings, shard: Shard) -> None:
    """Fill ``{shard}`` in, so that the former reports that count are those of this shard."""
    run.output = reportpath.of_shard(run.output, shard.name)
    run.summary = reportpath.of_shard(run.summary, shard.name, setting="summary")
    run.html = reportpath.of_shard(run.html, shard.name, setting="html")
