"""The command line of ``batchcls run``: its many options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from batchcls.clioptions import (
    AllFilesOption,
    ConfigOption,
    ExcludeOption,
    ExplainOption,
    FollowOption,
    HiddenOption,
    IncludeOption,
    JobsOption,
    ModelOption,
    QuietOption,
    TopOption,
    VerboseOption,
    check_plugins,
    override,
    require_one,
    settings_of,
)
from batchcls.importing import importing

if TYPE_CHECKING:
    from batchcls.settings import Settings


def run(
    images: Annotated[
        list[str] | None, typer.Argument(help="Folders or image files.", show_default=False)
    ] = None,
    model: ModelOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="The report: .csv, .jsonl, .parquet; - is standard output (default: report.csv).",
        ),
    ] = None,
    top: TopOption = None,
    scores: Annotated[
        bool | None, typer.Option("--scores/--no-scores", help="A column for every class.")
    ] = None,
    explain: ExplainOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    hidden: HiddenOption = None,
    follow_links: FollowOption = None,
    all_files: AllFilesOption = None,
    jobs: JobsOption = None,
    review_below: Annotated[
        float | None,
        typer.Option("--review-below", min=0, max=1, help="Mark labels of a lower score `review`."),
    ] = None,
    unknown: Annotated[
        bool | None,
        typer.Option(
            "--unknown/--no-unknown", help="Withhold the label of what is unlike all training."
        ),
    ] = None,
    new_only: Annotated[
        bool | None,
        typer.Option("--new-only/--all", help="Report only what no former report there had."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Take files modified since: 2026-11-24, 36h, 7d."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="Take one of N parts: 3/16 is the third of 16. `batchcls merge` joins reports.",
        ),
    ] = None,
    max_errors: Annotated[
        str | None,
        typer.Option("--max-errors", help="Unreadable images allowed: a number, or 5%."),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option("--wait", min=0, help="Seconds to wait for another run on the report."),
    ] = None,
    summary: Annotated[
        str | None, typer.Option("--summary", help="Write a summary as JSON to this file.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", help="Write a page to look at to this file.")
    ] = None,
    store: Annotated[
        bool | None, typer.Option("--store/--no-store", help="Keep and use what was computed.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", help="text (the default) or json, on stderr.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="Where images are worked on: local (the default), dask, …"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="The cluster of that engine: tcp://HOST:8786, or a file."),
    ] = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Classify folders of images and write a report, a row for every image."""
    settings = settings_of(config)
    override(
        settings.run,
        images=images or None,
        output=output,
        jobs=jobs,
        new_only=new_only,
        since=since,
        shard=shard,
        max_errors=max_errors,
        wait=wait,
        summary=summary,
        html=html,
        engine=engine,
    )
    if scheduler is not None:
        settings.engine.setdefault(settings.run.engine, {})["scheduler"] = scheduler
    override(
        settings.report,
        top=top,
        scores=scores,
        explain=explain,
        review_below=review_below,
        unknown=unknown,
    )
    override(settings.store, enabled=store)
    override(settings.log, format=log_format)
    if shard is not None:
        from batchcls.sharding import parse_shard

        parse_shard(shard)  # an empty one, of a variable that is not set, must not take all
    if settings.run.shard and output is None:
        _name_by_shard(settings, config)
    if output is not None:
        from batchcls.reportpath import changes

        if not changes(settings.run.output):
            settings.run.keep_reports = 0  # which were of the configuration's reports
    require_one(quiet=quiet, verbose=verbose)
    if quiet or verbose:
        settings.log.level = "quiet" if quiet else "verbose"
    override(
        settings.scan,
        include=include or None,
        exclude=exclude or None,
        hidden=hidden,
        follow_links=follow_links,
        all_files=all_files,
    )
    from batchcls.terminal import Terminal

    terminal = Terminal(
        results_to_stderr=settings.run.output == "-",
        level=settings.log.level,
        format=settings.log.format,
    )
    check_plugins(settings, config, settings.run.images, settings.run.on_end)
    with importing():
        from batchcls.commands.run import run_command

    raise typer.Exit(run_command(settings, model, terminal, must_explain=explain is True))


def _name_by_shard(settings: Settings, config: str | None) -> None:
    """Let each shard's report have a name of its own, where nobody has chosen one."""
    from batchcls.settings import default_output

    if settings.run.output == default_output(config, os.environ):
        settings.run.output = default_output(config, os.environ, ending="-{shard}")
