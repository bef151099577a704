"""The command line: options in, one call, exit status out. No logic stands here.

The heavy parts are imported inside the commands, so that ``--help`` is instant.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from batchcls import __version__
from batchcls.clicache import cache_app
from batchcls.cligroup import Group
from batchcls.clilists import models_app, plugins
from batchcls.clioptions import (
    TAGS_HELP,
    ConfigOption,
    ExplainOption,
    ImagesOption,
    JobsOption,
    JsonOption,
    ModelOption,
    QuietOption,
    TopOption,
    VerboseOption,
    check_plugins,
    override,
    require_one,
    settings_of,
)
from batchcls.clirun import run
from batchcls.errors import Terminated
from batchcls.importing import importing

app = typer.Typer(
    name="batchcls",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Teach a classifier with a few labelled images, then classify whole folders.",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"batchcls {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(run)


@app.command()
def train(
    tags: Annotated[str | None, typer.Argument(help=TAGS_HELP, show_default=False)] = None,
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
    jobs: JobsOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Teach a classifier from labelled images and write a model file."""
    require_one(quiet=quiet, verbose=verbose)
    settings = settings_of(config)
    if tags is not None:
        settings.train.images = None  # that of the configuration belongs to its own tags
    override(
        settings.train,
        tags=tags,
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
    train_command(settings, output, terminal)


@app.command()
def evaluate(
    tags: Annotated[str, typer.Argument(help=TAGS_HELP)],
    images: ImagesOption = None,
    model: ModelOption = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Top-k accuracy up to this k.")] = 5,
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
    evaluate_command(settings, model, tags, images, top, terminal, as_json=as_json)


@app.command()
def predict(
    images: Annotated[list[str], typer.Argument(help="Image files.", metavar="IMAGE")],
    model: ModelOption = None,
    top: TopOption = None,
    explain: ExplainOption = None,
    as_json: JsonOption = False,
    jobs: JobsOption = None,
    config: ConfigOption = None,
) -> None:
    """Classify a few images: path, label and score, a line for each."""
    settings = settings_of(config)
    override(settings.run, jobs=jobs)
    override(settings.report, top=top, explain=explain)
    check_plugins(settings, config, images)
    with importing():
        from batchcls.commands.predict import predict_command
    from batchcls.terminal import Terminal

    terminal = Terminal(results_to_stderr=True)
    status = predict_command(
        settings, model, images, terminal, as_json=as_json, must_explain=explain is True
    )
    raise typer.Exit(status)


@app.command()
def init(
    folder: Annotated[str, typer.Argument(help="Where to write config.toml.")] = ".",
    images: Annotated[
        list[str] | None, typer.Option("--images", help="A folder to classify; may be repeated.")
    ] = None,
    tags: Annotated[str | None, typer.Option("--tags", help="The tags to learn from.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace one that is there.")] = False,
) -> None:
    """Write a config.toml with every setting and what it means."""
    from batchcls.commands.init import init_command
    from batchcls.terminal import print_text

    print_text(init_command(folder, images or [], tags, model, force=force))


app.command()(plugins)
app.add_typer(models_app, name="models")
app.add_typer(cache_app, name="cache")


def _give(tables: Any, name: str, assignments: list[str] | None, option: str) -> None:  # noqa: ANN401
    """Let options given as NAME=VALUE win over those that the configuration has for ``name``."""
    if assignments:
        from batchcls.options import parse_assignments

        tables[name] = {**tables.get(name, {}), **parse_assignments(assignments, option)}


def _terminated(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - as signal calls it
    """End as on an error, so that no unfinished file remains; the status is the shell's."""
    raise Terminated(128 + number)


def main() -> None:
    """Run the command line of this process."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # It was started with this one closed. The next file would have its number, and get what
            # libraries write to it.
            os.open(os.devnull, os.O_RDWR)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminated)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is escaped; it must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app()
