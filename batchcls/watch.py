"""Telling plugins of a run: its start, each batch, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from batchcls.errors import RunStoppedError, StopRun, Terminated
from batchcls.pluginloading import Plugin, reason_of
from batchcls.records import Prediction, RunInfo, RunSummary
from batchcls.text import shown

Watcher = tuple[Plugin, str, Callable[[Mapping[str, Any]], None]]


class Watch:
    """Calls the hooks that watch ``run``: ``watchers`` are plugin, hook and function.

    A plugin that raises StopRun ends the run (RunStoppedError). One that raises anything else is
    told by ``warn``, and is left alone from then on.
    """

    def __init__(
        self, watchers: Iterable[Watcher], run: RunInfo, warn: Callable[[str], None]
    ) -> None:
        self._watchers = list(watchers)
        self._run = run
        self._warn = warn

    @property
    def sees_batches(self) -> bool:
        """Whether any plugin is told of predictions."""
        return any(hook == "batchcls_run_batch" for _, hook, _ in self._watchers)

    def started(self) -> None:
        """Tell that the run begins."""
        self._tell("batchcls_run_started", {})

    def batch(self, predictions: Sequence[Prediction]) -> None:
        """Tell of some predictions."""
        self._tell("batchcls_run_batch", {"predictions": predictions})

    def finished(self, summary: RunSummary) -> None:
        """Tell of the end. A plugin can no longer stop the run."""
        self._tell("batchcls_run_finished", {"summary": summary}, over=True)

    def _tell(self, hook: str, arguments: Mapping[str, Any], *, over: bool = False) -> None:
        if not self._watchers:
            return
        for watcher in list(self._watchers):
            plugin, name, call = watcher
            if name != hook:
                continue
            try:
                call({"run": self._run, **arguments})
            except Terminated:
                raise
            except (Exception, SystemExit) as error:
                if isinstance(error, StopRun) and not over:
                    raise RunStoppedError(
                        f"the plugin {shown(plugin.package)} stopped the run: {shown(str(error))}",
                        hint="No report was written; the former one is untouched.",
                    ) from error
                self._warn(
                    f"the plugin {shown(plugin.package)} failed in {hook}, "
                    f"and is not told of this run any more: {reason_of(error)}"
                )
                self._watchers = [one for one in self._watchers if one[0] is not plugin]
