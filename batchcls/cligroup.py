"""The command line as a whole: which commands there are, and what becomes of their failures."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from batchcls.errors import BatchclsError, ExitStatus, Terminated
from batchcls.text import printable


class Group(TyperGroup):
    """Turns every expected failure into a message and an exit status, here and nowhere else.

    Plugins are asked for commands only where one of that name does not ship with batchcls, or all
    are to be listed.
    """

    _plugin_commands: dict[str, Any] | None = None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as in the base class
        """List all names, those of plugins last."""
        return [*super().list_commands(ctx), *sorted(self._of_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - as in the base class
        """Find a command; where there is none, tell of the plugins that failed."""
        known = super().get_command(ctx, cmd_name)
        if known is not None or cmd_name in self._of_plugins():
            return known or self._of_plugins()[cmd_name]
        from batchcls.plugins import registry

        for problem in registry().failed:  # one of them may have been to bring the command
            print(f"batchcls: warning: a plugin failed: {problem}", file=sys.stderr)
        return None

    def _of_plugins(self) -> dict[str, Any]:
        if self._plugin_commands is None:
            from batchcls.plugincommands import commands_of_plugins

            self._plugin_commands = commands_of_plugins(self.commands)
        return self._plugin_commands

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as in the base class
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BatchclsError as error:
            if error.message:
                print(f"batchcls: error: {printable(error.message)}", file=sys.stderr)
            if error.hint:
                print(printable(error.hint), file=sys.stderr)
            raise typer.Exit(error.exit_status) from None
        except SystemExit as error:
            if isinstance(error, Terminated):
                raise
            # Its status may be 0, and would tell cron that all is well.
            traceback.print_exc()
            print("batchcls: error: a plugin ended the process", file=sys.stderr)
            raise typer.Exit(ExitStatus.FAILED) from None
        except BrokenPipeError:  # of a report that goes to standard output
            from batchcls.terminal import drop_output

            drop_output()
            raise typer.Exit(ExitStatus.FAILED) from None
        except KeyboardInterrupt:
            print("batchcls: interrupted", file=sys.stderr)
            raise typer.Exit(ExitStatus.INTERRUPTED) from None
