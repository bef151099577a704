"""The command line: options in, one call, exit status out. No logic stands here.

The heavy parts are imported inside the commands, so that ``--help`` is instant.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from batchcls import __version__
from batchcls.clicache import cache_app
from batchcls.clicompare import compare
from batchcls.clievaluate import evaluate
from batchcls.cligroup import Group
from batchcls.clilists import models_app, plugins
from batchcls.climerge import merge
from batchcls.clioptions import (
    ConfigOption,
    ExplainOption,
    JobsOption,
    JsonOption,
    ModelOption,
    TopOption,
    check_plugins,
    override,
    settings_of,
)
from batchcls.clirun import run
from batchcls.clitrain import train
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


app.command()(train)
app.command()(evaluate)


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


app.command()(compare)
app.command()(merge)


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
