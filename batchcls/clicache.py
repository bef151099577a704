"""The command line of ``batchcls cache``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from batchcls.clioptions import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

cache_app = typer.Typer(
    no_args_is_help=True, help="See what is kept of earlier runs, and take out what is too much."
)


@cache_app.command()
def info(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell where the store is, how large, and what it holds."""
    settings, terminal = _begun(config, results_to_stderr=as_json)
    from batchcls.commands.cache import info_command

    info_command(settings, terminal, as_json=as_json)


@cache_app.command()
def prune(
    gone: Annotated[bool, typer.Option("--gone", help="Take out files that are gone.")] = False,
    unused: Annotated[
        float | None,
        typer.Option(
            "--unused",
            metavar="DAYS",
            min=0,
            help="Take out what no run has used for so many days.",
        ),
    ] = None,
    max_gigabytes: Annotated[
        float | None,
        typer.Option(
            "--max-gigabytes",
            min=0,
            help="Take out what was not used for longest, until the rest fits. 0 sets no limit.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Take out what is of no more use: without options, what is gone, and beyond the limit."""
    settings, terminal = _begun(config)
    from batchcls.commands.cache import prune_command

    prune_command(settings, terminal, gone=gone, unused_days=unused, max_gigabytes=max_gigabytes)


@cache_app.command()
def clear(
    reported: Annotated[
        bool, typer.Option("--reported", help="Forget, too, what --new-only has reported.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Delete the store. Nothing is lost but time: the next run computes everything anew."""
    settings, terminal = _begun(config)
    from batchcls.commands.cache import clear_command

    clear_command(settings, terminal, reported=reported)


def _begun(config: str | None, *, results_to_stderr: bool = False) -> tuple[Settings, Terminal]:
    from batchcls.terminal import Terminal

    return settings_of(config), Terminal(results_to_stderr=results_to_stderr)
