"""The command line of ``batchcls evaluate``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from batchcls.clioptions import (
    TAGS_HELP,
    ConfigOption,
    ImagesOption,
    JobsOption,
    JsonOption,
    ModelOption,
    override,
    settings_of,
)
from batchcls.importing import importing


class PlotsFormat(Enum):
    """What charts can be written as."""

    SVG = "svg"
    PNG = "png"


def evaluate(
    tags: Annotated[list[str], typer.Argument(help=f"{TAGS_HELP} Of several the later one wins.")],
    images: ImagesOption = None,
    model: ModelOption = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Top-k accuracy up to this k.")] = 5,
    html: Annotated[
        str | None, typer.Option("--html", help="Write a page to look at to this file.")
    ] = None,
    plots: Annotated[
        str | None, typer.Option("--plots", metavar="DIR", help="Write charts into this folder.")
    ] = None,
    plots_format: Annotated[
        PlotsFormat, typer.Option("--plots-format", help="What the charts are written as.")
    ] = PlotsFormat.SVG,
    as_json: JsonOption = False,
    jobs: JobsOption = None,
    config: ConfigOption = None,
) -> None:
    """Say how good a model is on labelled images that it has not seen."""
    settings = settings_of(config)
    override(settings.run, jobs=jobs)
    with importing():
        from batchcls.commands.evaluate import evaluate_command
    from batchcls.terminal import Terminal

    terminal = Terminal(results_to_stderr=as_json)
    evaluate_command(
        settings,
        model,
        tags,
        images,
        top,
        terminal,
        as_json=as_json,
        html=html,
        plots=plots,
        plots_format=plots_format.value,
    )
