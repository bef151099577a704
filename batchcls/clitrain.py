"""The command line of ``batchcls train``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from batchcls.clioptions import (
    TAGS_HELP,
    ConfigOption,
    ImagesOption,
    JobsOption,
    QuietOption,
    VerboseOption,
    override,
    require_one,
    settings_of,
)
from batchcls.importing import importing


def train(
    tags: Annotated[
        list[str] | None,
        typer.Argument(help=f"{TAGS_HELP} Of several the later one wins.", show_default=False),
    ] = None,
    images: ImagesOption = None,
    featurizer: Annotated[
        str | None, typer.Option("--featurizer", "-f", help="The network to use (default: auto).")
    ] = None,
    classifier: Annotated[
        str | None, typer.Option("--classifier", "-c", help="The classifier (default: logistic).")
    ] = None,
    featurizer_options: Annotated[
        list[str] | None,
        typer.Option("-F", metavar="NAME=VALUE", help="An option of the featurizer."),
    ] = None,
    classifier_options: Annotated[
        list[str] | None,
        typer.Option("-C", metavar="NAME=VALUE", help="An option of the classifier."),
    ] = None,
    framing: Annotated[
        str | None,
        typer.Option("--framing", help="auto (the default), crop, square, stretch or pad."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The model file (default: model.batchcls).")
    ] = None,
    replace_if_better: Annotated[
        bool,
        typer.Option(
            "--replace-if-better",
            help="Replace the model that is there only by one that is not worse; keep it beside.",
        ),
    ] = False,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            metavar="TAGS",
            help="Tagged images to compare both on; by default by cross-validation.",
        ),
    ] = None,
    jobs: JobsOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Teach a classifier from labelled images and write a model file."""
    require_one(quiet=quiet, verbose=verbose)
    if held_out is not None and not replace_if_better:
        raise typer.BadParameter("--held-out goes with --replace-if-better")
    settings = settings_of(config)
    if tags:
        settings.train.images = None  # that of the configuration belongs to its own tags
    override(
        settings.train,
        tags=tags or None,
        images=images,
        featurizer=featurizer,
        classifier=classifier,
        framing=framing,
    )
    override(settings.run, jobs=jobs)
    _give(settings.featurizer, settings.train.featurizer, featurizer_options, "-F")
    _give(settings.classifier, settings.train.classifier, classifier_options, "-C")
    with importing():
        from batchcls.commands.train import train_command
    from batchcls.terminal import Terminal

    terminal = Terminal(quiet=quiet, level="verbose" if verbose else "normal")
    train_command(settings, output, terminal, if_better=replace_if_better, held_out=held_out)


def _give(tables: Any, name: str, assignments: list[str] | None, option: str) -> None:  # noqa: ANN401
    """Let options given as NAME=VALUE win over those that the configuration has for ``name``."""
    if assignments:
        from batchcls.options import parse_assignments

        tables[name] = {**tables.get(name, {}), **parse_assignments(assignments, option)}
