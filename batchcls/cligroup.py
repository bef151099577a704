"""The command line as a whole: which commands there are, and what becomes of their failures."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from batchcls.errors import BatchclsError, ExitStatus, Terminated
from batchcls.logformat import is_json, tell_bug, tell_end, tell_failure, tell_warning


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
            tell_warning(f"a plugin failed: {problem}")
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
            tell_failure(error)
            raise typer.Exit(error.exit_status) from None
        except SystemExit as error:
            if isinstance(error, Terminated):
                tell_end(error)
                raise
            if isinstance(error.__context__, BrokenPipeError):  # rich's, of its help
                from batchcls.terminal import drop_output

                drop_output()
                raise typer.Exit(ExitStatus.FAILED) from None
            # Its status may be 0, and would tell cron that all is well.
            tell_bug(error, "a plugin ended the process")
            raise typer.Exit(ExitStatus.FAILED) from None
        except BrokenPipeError:  # of a report that goes to standard output
            from batchcls.terminal import drop_output

            drop_output()
            raise typer.Exit(ExitStatus.FAILED) from None
        except KeyboardInterrupt as error:
            tell_end(error)
            raise typer.Exit(ExitStatus.INTERRUPTED) from None
        except Exception as error:
            # What typer raises has a status, and is its to tell. Python tells of a bug itself.
            if not is_json() or hasattr(error, "exit_code") or isinstance(error, typer.Abort):
                raise
            tell_bug(error)
            raise typer.Exit(ExitStatus.FAILED) from None
