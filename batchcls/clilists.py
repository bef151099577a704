"""The commands that list: plugins, and networks (which can be fetched, too)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from batchcls.clioptions import ConfigOption, JsonOption, QuietOption, settings_of


def plugins(ctx: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the plugins: what each adds, which are defaults, and which failed and why."""
    settings = settings_of(config)
    from batchcls.commands.plugins import plugins_command
    from batchcls.terminal import Terminal

    group: Any = ctx.parent.command if ctx.parent is not None else None
    plugins_command(settings, list(group.commands), Terminal(), as_json=as_json)


models_app = typer.Typer(
    help="List the networks at hand, or fetch one.", invoke_without_command=True
)


@models_app.callback()
def models(ctx: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the networks and ready models: what is at hand, size, licence and origin."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = config
        return
    settings = settings_of(config)
    from batchcls.commands.models import models_command
    from batchcls.terminal import Terminal

    models_command(settings, Terminal(), as_json=as_json)


@models_app.command()
def fetch(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The featurizer, such as inception.")],
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> None:
    """Download a network into the cache, so that training finds it there."""
    settings = settings_of(config or ctx.obj)
    from batchcls.commands.models import fetch_command
    from batchcls.terminal import Terminal

    fetch_command(settings, name, Terminal(quiet=quiet))
