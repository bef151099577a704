"""``batchcls run``: folders of images → a report."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.commands.choose import READY_MODEL, chosen_model
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.errors import BatchclsError, ExitStatus, OutputError, UsageError
from batchcls.pipeline import run
from batchcls.plugins import registry
from batchcls.records import Prediction, RunInfo, RunSummary
from batchcls.scan import scan
from batchcls.text import plural, shown
from batchcls.watch import Watch

if TYPE_CHECKING:
    from batchcls.model import Model
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_LABELS_SHOWN = 20


def run_command(
    settings: Settings,
    model_option: str | None,
    terminal: Terminal,
    *,
    must_explain: bool = False,
) -> ExitStatus:
    """Classify the images that the settings name, and write the report.

    Where the settings ask for reasons, a model that can't give any does without, unless it must.
    """
    roots = settings.run.images
    if not roots:
        raise UsageError(
            "no images: nothing to classify",
            hint="Name a folder: batchcls run ./images (or set run.images in config.toml)",
        )
    rules = assembly.scan_rules(settings, skip=settings.run.output)
    files = scan(roots, rules)
    format_ = assembly.report_format(settings)  # before the model, which may take its time
    model = chosen_model(settings, model_option, terminal)
    settings.report.explain = must_explain or (settings.report.explain and model.explains)
    work = model.chunk_classifier(settings.decode.max_pixels, explain=settings.report.explain)
    watch = Watch(registry().watchers(), _run_info(settings, model_option, model), terminal.warn)
    warn_of_plugins(terminal)

    def count() -> int:
        return sum(1 for _ in scan(roots, rules))

    summary = RunSummary()
    try:
        watch.started()
        report = format_.open(settings.run.output, assembly.report_request(settings, model))
        with terminal.progress("classifying", total=count) as advance:

            def on_batch(predictions: list[Prediction]) -> None:
                advance(len(predictions))
                watch.batch(predictions)

            run(files, work, assembly.engine(settings), report, summary, on_batch)
    except BaseException as error:
        message = error.message if isinstance(error, BatchclsError) else str(error)
        summary.error = message or type(error).__name__
        watch.finished(summary)
        raise
    watch.finished(summary)
    with contextlib.suppress(OutputError):  # the report is there, whoever reads the table
        _print(summary, settings.run.output, terminal)
    unreadable = summary.unreadable - summary.faults
    if unreadable:
        terminal.warn(f"{plural(unreadable, 'image')} could not be read; the report says why")
    first = summary.first_fault
    if first is not None:
        images = plural(summary.faults, "image")
        terminal.warn(f"a plugin failed for {images}; the first was {shown(first.path)}")
        terminal.warn(first.fault or "")
    if summary.images == 0:
        terminal.warn(f"no images found in {', '.join(shown(root) for root in roots)}")
    return ExitStatus.UNREADABLE if summary.unreadable else ExitStatus.OK


def _run_info(settings: Settings, model_option: str | None, model: Model) -> RunInfo:
    return RunInfo(
        images=tuple(settings.run.images),
        output=settings.run.output,
        model=model_option or settings.run.model or READY_MODEL,
        model_digest=model.digest,
        classes=tuple(model.classes),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _print(summary: RunSummary, output: str, terminal: Terminal) -> None:
    labels = sorted(summary.labels.items(), key=lambda item: (-item[1], item[0]))
    rows = [[shown(label), f"{count:,}"] for label, count in labels[:_LABELS_SHOWN]]
    rest = labels[_LABELS_SHOWN:]
    if rest:
        rows.append([f"({len(rest):,} more labels)", f"{sum(count for _, count in rest):,}"])
    if summary.unreadable:
        rows.append(["(unreadable)", f"{summary.unreadable:,}"])
    if rows:
        terminal.table(["label", "images"], rows)
        terminal.result("")
    rate = summary.images / summary.seconds if summary.seconds else 0.0
    terminal.result(
        f"{plural(summary.images, 'image')} in {summary.seconds:.1f} s ({rate:.0f} images/s)"
    )
    where = "standard output" if output == assembly.STDOUT else shown(output)
    terminal.result(f"report: {where}")
