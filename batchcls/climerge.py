"""The command line of ``batchcls merge``."""

from __future__ import annotations

from typing import Annotated

import typer

from batchcls.clioptions import ConfigOption, JsonOption, QuietOption, override, settings_of
from batchcls.importing import importing


def merge(
    shards: Annotated[
        list[str],
        typer.Argument(
            metavar="SHARD", help="Reports of `batchcls run --shard K/N`, all in one format."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="The report, in the format of the shards; - is standard output."
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option("--shards", help="How many there are (default: as their names say)."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write what there is, though shards are missing.")
    ] = False,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            help="A folder that the run was given; may be repeated, in their order (default: those "
            "of the configuration, or as the rows tell).",
        ),
    ] = None,
    max_errors: Annotated[
        str | None,
        typer.Option("--max-errors", help="Unreadable images allowed: a number, or 5%."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> None:
    """Merge the reports of all shards into one, as of a run over everything."""
    settings = settings_of(config)
    override(settings.run, max_errors=max_errors)
    with importing():
        from batchcls.commands.merge import merge_command
    from batchcls.terminal import Terminal

    terminal = Terminal(quiet=quiet, results_to_stderr=as_json or output == "-")
    status = merge_command(
        settings,
        shards,
        output,
        images or [],
        terminal,
        count=count,
        partial=partial,
        as_json=as_json,
    )
    raise typer.Exit(status)
