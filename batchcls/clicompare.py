"""The command line of ``batchcls compare``."""

from __future__ import annotations

from typing import Annotated

import typer

from batchcls.clioptions import (
    ConfigOption,
    JobsOption,
    JsonOption,
    QuietOption,
    check_plugins,
    override,
    settings_of,
)
from batchcls.importing import importing

_SIDE_HELP = "A report (.csv, .jsonl or .parquet), a model file, or a ready model."


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_SIDE_HELP)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another one of the same sort.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGES]...",
            help="For two models: folders or image files (default: those of the configuration).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write all differences as CSV; - is standard output."),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", help="Write a page to look at to this file.")
    ] = None,
    as_json: JsonOption = False,
    jobs: JobsOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> None:
    """Say what differs between two reports, or between what two models say of images."""
    settings = settings_of(config)
    override(settings.run, jobs=jobs)
    check_plugins(settings, config, images or settings.run.images)
    with importing():
        from batchcls.commands.compare import compare_command
    from batchcls.terminal import Terminal

    terminal = Terminal(quiet=quiet, results_to_stderr=as_json or "-" in (output, html))
    compare_command(settings, (old, new), images or [], output, html, terminal, as_json=as_json)
