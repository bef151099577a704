"""Commands that plugins add to the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchcls.plugins import Registry


def commands_of_plugins(taken: Iterable[str]) -> dict[str, Any]:
    """Give the commands of plugins by name, as the command line has them.

    ``taken`` are the names that a plugin can't have. Plugins of single files count where the
    configuration is that of the current folder, or of BATCHCLS_CONFIG.
    """
    from batchcls.errors import BatchclsError
    from batchcls.plugins import registry, use_plugins
    from batchcls.settings import load_settings

    # Whichever command is meant tells of a bad configuration, or has one of its own.
    with contextlib.suppress(BatchclsError):
        settings = load_settings(None, os.environ)
        use_plugins(settings.plugins, settings.installed_plugins)
    return made_commands(registry(), taken)


def made_commands(known: Registry, taken: Iterable[str]) -> dict[str, Any]:
    """Make what plugins give into commands; one that can't be is among the plugin's problems."""
    import typer
    from typer.main import get_command

    commands = {}
    for name, function in known.commands(taken).items():
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        try:
            app.command(name)(function)
            commands[name] = get_command(app)
        except Exception as error:  # noqa: BLE001 - a parameter that typer can't make sense of
            known.blame("command", name, error)
    return commands
