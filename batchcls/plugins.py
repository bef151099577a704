"""The registry: everything that plugins provide, looked up by name.

What ships with batchcls comes through the same hooks as any other plugin. A plugin that fails does
not stop a run that has no need of it; ``failed`` says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from batchcls.errors import PluginError, Terminated
from batchcls.pluginloading import (
    BUILTIN,
    Loaded,
    Plugin,
    installed_entry_points,
    load_plugins,
    reason_of,
)
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.interfaces import (
        Classifier,
        EngineProvider,
        FeaturizerProvider,
        ReadyModel,
        ReportFormat,
    )

_WATCHING = ("batchcls_run_started", "batchcls_run_batch", "batchcls_run_finished")
_NAME_LENGTH = 300
# What the plugins in the repository add.
_FIRST_PARTY = {
    ("classifier", "knn"): "batchcls-neighbors",
    ("featurizer", "onnx"): "batchcls-onnx",
    ("featurizer", "keras"): "batchcls-keras",
}
_COMMAND = re.compile(r"[a-z0-9][a-z0-9_-]{0,50}")

Item = TypeVar("Item")


class Registry:
    """Everything that can be asked for by name.

    A name belongs to what ships with batchcls, or else to the first package by name: another
    plugin can't change what a name means, and what it offered under that name is in ``failed``.
    """

    def __init__(self, loaded: Loaded, failed: Sequence[str] = ()) -> None:
        self._loaded = loaded
        self._failed = list(failed)
        self._owners: dict[tuple[str, str], Plugin] = {}

    @property
    def failed(self) -> list[str]:
        """Say what is wrong with which package, as far as it is known yet, a line for each."""
        return [
            *self._failed,
            *(
                f"{shown(plugin.package)}: {problem}"
                for plugin in self.plugins
                for problem in plugin.problems
            ),
        ]

    @property
    def plugins(self) -> list[Plugin]:
        """All plugins, those that failed last."""
        return [*self._loaded.plugins.values(), *self._loaded.failed]

    @cached_property
    def featurizers(self) -> dict[str, FeaturizerProvider]:
        """Featurizers by name."""
        return self._named("featurizer", "batchcls_featurizers", lambda item: item.name)

    @cached_property
    def classifiers(self) -> dict[str, type[Classifier]]:
        """Classifier classes by name."""
        return self._named("classifier", "batchcls_classifiers", lambda item: item.name)

    @cached_property
    def report_formats(self) -> dict[str, ReportFormat]:
        """Report formats by the ending of the file."""
        return self._named("report format", "batchcls_report_formats", lambda item: item.suffix)

    @cached_property
    def ready_models(self) -> dict[str, ReadyModel]:
        """Ready models by name."""
        return self._named("model", "batchcls_ready_models", lambda item: item.name)

    @cached_property
    def engines(self) -> dict[str, EngineProvider]:
        """Engines by name."""
        return self._named("engine", "batchcls_engines", lambda item: item.name)

    def commands(self, taken: Iterable[str]) -> dict[str, Callable[..., Any]]:
        """Give commands by name, but for the names that are ``taken``."""
        mappings = self._named("command", "batchcls_commands", lambda item: item[0], taken)
        return {name: item[1] for name, item in mappings.items()}

    def featurizer(self, name: str) -> FeaturizerProvider:
        """Look a featurizer up; PluginError lists those that exist."""
        return self._get("featurizer", name, self.featurizers)

    def classifier(self, name: str) -> type[Classifier]:
        """Look a classifier up; PluginError lists those that exist."""
        return self._get("classifier", name, self.classifiers)

    def report_format(self, suffix: str) -> ReportFormat:
        """Look a report format up; PluginError lists those that exist."""
        if suffix in {".html", ".htm"} and suffix not in self.report_formats:
            raise PluginError(
                f"there is no report format '{suffix}'",
                hint="A page is written besides the report: --html report.html",
            )
        return self._get("report format", suffix, self.report_formats)

    def engine(self, name: str) -> EngineProvider:
        """Look an engine up; PluginError lists those that exist."""
        return self._get("engine", name, self.engines)

    def owner(self, kind: str, name: str) -> str:
        """Give the package and version that a name comes from; empty if it ships with batchcls."""
        plugin = self._owners.get((kind, name))
        return "" if plugin is None or plugin.rank == 0 else plugin.titled

    def watchers(self) -> Iterator[tuple[Plugin, str, Callable[[Mapping[str, Any]], None]]]:
        """Yield plugin, hook, and a function that calls it with the arguments that it takes."""
        for hook in _WATCHING:
            for plugin, one in self._implementations(hook):
                yield plugin, hook, _caller(one)

    def blame(self, kind: str, name: str, error: Exception) -> None:
        """Keep what is wrong with something that a plugin gave."""
        plugin = self._owners[kind, name]
        problem = f"its {kind} '{shown(name)}' can't be used: {reason_of(error)}"
        if problem not in plugin.problems:
            plugin.problems.append(problem)
        names = plugin.adds.get(kind, [])
        if name in names:
            names.remove(name)

    def complete(self) -> None:
        """Ask for everything but commands, so that ``adds`` and ``failed`` are complete."""
        _ = self.featurizers, self.classifiers, self.report_formats, self.ready_models
        _ = self.engines
        for plugin, hook, _call in self.watchers():
            watched = plugin.adds.setdefault("watch", [])
            name = hook.removeprefix("batchcls_")
            if name not in watched:
                watched.append(name)

    def _implementations(self, hook: str) -> list[tuple[Plugin, Any]]:
        found = [
            (self._loaded.plugins[one.plugin_name], one)
            for one in getattr(self._loaded.manager.hook, hook).get_hookimpls()
        ]
        return sorted(found, key=lambda pair: (pair[0].rank, pair[0].package, pair[1].plugin_name))

    def _named(
        self, kind: str, hook: str, name_of: Callable[[Any], str], taken: Iterable[str] = ()
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        holder = dict.fromkeys(taken, BUILTIN)
        for plugin, implementation in self._implementations(hook):
            try:
                provided: Any = implementation.function()
                provided = provided.items() if isinstance(provided, Mapping) else provided
                items = [(name_of(item), item) for item in provided]
            except Terminated:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code
                plugin.problems.append(f"{hook}: {reason_of(error)}")
                continue
            for name, item in items:
                if not isinstance(name, str) or not name:
                    plugin.problems.append(f"a {kind} without a name")
                elif kind == "command" and not _COMMAND.fullmatch(name):
                    plugin.problems.append(f"its command '{shown(name)}' is no name for a command")
                elif name in holder:
                    plugin.problems.append(
                        f"its {kind} '{shown(name)}' is not used, "
                        f"as {shown(holder[name])} has one of that name"
                    )
                else:
                    found[name], holder[name] = item, plugin.package
                    self._owners[kind, name] = plugin
                    plugin.adds.setdefault(kind, []).append(name)
        return found

    def _get(self, kind: str, name: str, known: dict[str, Item]) -> Item:
        if name in known:
            return known[name]
        failed = "".join(f"\nA plugin failed: {reason}" for reason in self.failed)
        listed = ", ".join(shown(one) for one in sorted(known))
        close = get_close_matches(name[:_NAME_LENGTH], list(known), n=1)
        meant = f"Did you mean {shown(close[0])}? " if close else ""
        if (kind, name) in _FIRST_PARTY:
            meant = f"It comes with the plugin {_FIRST_PARTY[kind, name]}. "
        raise PluginError(
            f"there is no {kind} '{shown(name)[:_NAME_LENGTH]}'",
            hint=f"{meant}There is: {listed}.{failed}",
        )


def _caller(implementation: Any) -> Callable[[Mapping[str, Any]], None]:  # noqa: ANN401
    def call(arguments: Mapping[str, Any]) -> None:
        implementation.function(*(arguments[name] for name in implementation.argnames))

    return call


_files: tuple[str, ...] = ()
_installed: tuple[str, ...] = ("*",)


def use_plugins(files: Sequence[str], installed: Sequence[str] = ("*",)) -> None:
    """Let the registry have the plugins of these files, and of packages that match a pattern."""
    global _files, _installed
    if (tuple(files), tuple(installed)) != (_files, _installed):
        _files, _installed = tuple(files), tuple(installed)
        registry.cache_clear()


@cache
def registry() -> Registry:
    """Give the registry of the plugins in use, made once."""
    entry_points, problems = installed_entry_points(_installed)
    failed = [f"what is installed: {problem}" for problem in problems]
    return build_registry(entry_points, _files, failed)


def build_registry(
    entry_points: Iterable[Any], files: Sequence[str] = (), failed: Sequence[str] = ()
) -> Registry:
    """Make a registry of what ships with batchcls, of ``entry_points`` and of ``files``."""
    return Registry(load_plugins(entry_points, files), failed)
