"""``batchcls run``: folders of images → a report.

What is asked for is checked here, once; the work itself (runwork.py) is done under the eyes of a
guardian, and may be begun again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls import reportpath
from batchcls.assembly import STDOUT, store_folder
from batchcls.atomic import remove_left_over
from batchcls.commands.choose import model_name
from batchcls.commands.runend import End, tell_end
from batchcls.errors import ConfigError, UsageError
from batchcls.guard.guardian import guarded
from batchcls.logformat import exit_status_of, words_of
from batchcls.maxerrors import Allowance, parse_max_errors
from batchcls.overlap import alone_on, sweep
from batchcls.reading import beginning_of, is_no_page, stamp_of
from batchcls.records import RunSummary
from batchcls.since import parse_since
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.guard.flight import Flight
    from batchcls.guard.verdicts import Verdicts
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal


@dataclass(frozen=True)
class RunPlan:
    """What a run was asked for, checked.

    ``report``, ``summary`` and ``html`` are paths, their placeholders filled in, "" for none;
    ``template`` is the report's as it was given. ``since`` is in nanoseconds since 1970, None for
    all files. ``must_explain``: not only where the model can.
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
    run, begun = settings.run, False
    before: tuple[int, int, int] | None = None

    def work(flight: Flight, verdicts: Verdicts) -> int:
        nonlocal begun
        begun = True  # in the worker, which tells of its own end
        from batchcls.commands.runwork import do_run

        # Where it is not the report that was there before, a worker that was killed has written it.
        written = before != stamp_of(plan.report)
        return do_run(plan, terminal, flight, verdicts, report_is_ours=written)

    try:
        if plan.report != STDOUT:
            reportpath.make_folders(plan.template, plan.report)
        with _alone_on_news(plan, terminal), alone_on(plan.report, run.wait, terminal.say) as alone:
            if alone:
                sweep(plan.report)
            _remove_left_over_page(plan)
            before = stamp_of(plan.report)
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


def _alone_on_news(plan: RunPlan, terminal: Terminal) -> AbstractContextManager[object]:
    """Let one run at a time tell what is new, whatever its report is called today."""
    settings = plan.settings
    if not settings.run.new_only:
        return contextlib.nullcontext()
    folder = store_folder(settings)
    with contextlib.suppress(OSError):  # the store has its own error
        os.makedirs(folder, mode=0o700, exist_ok=True)
    template = os.path.abspath(plan.template)
    digest = hashlib.sha256(os.fsencode(template)).hexdigest()
    lock = os.path.join(folder, f"new-only-{digest[:16]}")
    return alone_on(lock, settings.run.wait, terminal.say, named=template)


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
    to_stdout = run.output == STDOUT
    if not to_stdout:
        reportpath.check_keep(run.output, run.keep_reports)
    if run.new_only and (to_stdout or not settings.store.enabled):
        raise ConfigError(
            "run -> new_only: needs "
            + ("a report that is a file" if to_stdout else "the store, which is turned off"),
            hint="What former reports had is kept in the store, by the place of the report.",
        )
    summary = run.summary
    report = STDOUT if to_stdout else reportpath.expanded(run.output, started, model)
    if summary:
        summary = reportpath.expanded(summary, started, model, setting="summary")
        _check_other("summary", summary, report=report)
    html = run.html
    if html == STDOUT:
        raise ConfigError("run -> html: a page is a file", hint="Name one: --html report.html")
    if html:
        html = reportpath.expanded(html, started, model, setting="html")
        _check_other("html", html, report=report, summary=summary)
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
        must_explain=must_explain,
    )


def _check_other(setting: str, path: str, **others: str) -> None:
    """Raise ConfigError where a file would take the place of one of the ``others``, or of any else.

    A former summary or page may be replaced.
    """
    for what, other in others.items():
        if other and os.path.realpath(path) == os.path.realpath(other):
            raise ConfigError(
                f"run -> {setting}: {shown(path)} is the {what}", hint="Name another file for it."
            )
    if is_no_page(path) if setting == "html" else beginning_of(path, 1) not in {b"", b"{"}:
        kind = {"summary": "a summary", "html": "a page of batchcls"}[setting]
        raise ConfigError(
            f"run -> {setting}: {shown(path)} is something else than {kind}, and would be lost",
            hint="Name another file for it, or remove that one.",
        )
