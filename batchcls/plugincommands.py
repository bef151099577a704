"""Commands that plugins add to the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any


def commands_of_plugins(taken: Mapping[str, Any]) -> dict[str, Any]:
    """Give the commands of plugins by name, as the command line has them.

    ``taken`` are the names that a plugin can't have. Plugins of single files count where the
    configuration is the one of the current folder, or of BATCHCLS_CONFIG.
    """
    import typer
    from typer.main import get_command

    from batchcls.errors import BatchclsError
    from batchcls.plugins import registry, use_plugins
    from batchcls.settings import load_settings

    # Whichever command is meant tells of a bad configuration, or has one of its own.
    with contextlib.suppress(BatchclsError):
        settings = load_settings(None, os.environ)
        use_plugins(settings.plugins, settings.installed_plugins)
    commands = {}
    for name, function in registry().commands(taken).items():
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        try:
            app.command(name)(function)
            commands[name] = get_command(app)
        except Exception as error:  # noqa: BLE001 - a parameter that typer can't make sense of
            registry().blame("command", name, error)
    return commands
