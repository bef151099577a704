"""``batchcls run``: folders of images → a report."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.commands.choose import chosen_model
from batchcls.errors import ExitStatus, OutputError, UsageError
from batchcls.pipeline import Summary, run
from batchcls.scan import scan
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_LABELS_SHOWN = 20


def run_command(settings: Settings, model_option: str | None, terminal: Terminal) -> ExitStatus:
    """Classify the images that the settings name, and write the report."""
    roots = settings.run.images
    if not roots:
        raise UsageError(
            "no images: nothing to classify",
            hint="Name a folder: batchcls run ./images (or set run.images in config.toml)",
        )
    rules = assembly.scan_rules(settings, skip=settings.run.output)
    files = scan(roots, rules)
    model = chosen_model(settings, model_option, terminal)
    work = model.chunk_classifier(settings.decode.max_pixels)
    report = assembly.report(settings, model)

    def count() -> int:
        return sum(1 for _ in scan(roots, rules))

    with terminal.progress("classifying", total=count) as advance:
        summary = run(files, work, assembly.engine(settings), report, advance)
    with contextlib.suppress(OutputError):  # the report is there, whoever reads the table
        _print(summary, settings.run.output, terminal)
    if summary.unreadable:
        terminal.warn(
            f"{plural(summary.unreadable, 'image')} could not be read; the report says why"
        )
    if summary.images == 0:
        terminal.warn(f"no images found in {', '.join(shown(root) for root in roots)}")
    return ExitStatus.UNREADABLE if summary.unreadable else ExitStatus.OK


def _print(summary: Summary, output: str, terminal: Terminal) -> None:
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
