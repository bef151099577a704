"""Finding plugins, and looking up by name what they provide.

What ships with batchcls comes through the same hooks as any other plugin. A plugin that can't be
imported does not stop a run that has no need of it; it is named when something is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from batchcls import hookspecs
from batchcls.errors import PluginError

if TYPE_CHECKING:
    from batchcls.interfaces import Classifier, FeaturizerProvider, ReadyModel, ReportFormat

ENTRY_POINTS = "batchcls"
DEFAULT_FEATURIZER = "efficientnet-lite0"

Item = TypeVar("Item")


class Registry:
    """Everything that can be asked for by name."""

    def __init__(self, manager: pluggy.PluginManager, failed: Sequence[str] = ()) -> None:
        self.failed = list(failed)
        self._manager = manager

    @property
    def featurizers(self) -> dict[str, FeaturizerProvider]:
        """Featurizers by name."""
        return self._named("featurizer", "batchcls_featurizers", lambda item: item.name)

    @property
    def classifiers(self) -> dict[str, type[Classifier]]:
        """Classifier classes by name."""
        return self._named("classifier", "batchcls_classifiers", lambda item: item.name)

    @property
    def report_formats(self) -> dict[str, ReportFormat]:
        """Report formats by the ending of the file."""
        return self._named("report format", "batchcls_report_formats", lambda item: item.suffix)

    @property
    def ready_models(self) -> dict[str, ReadyModel]:
        """Ready models by name."""
        return self._named("model", "batchcls_ready_models", lambda item: item.name)

    def featurizer(self, name: str) -> FeaturizerProvider:
        """Look a featurizer up; PluginError lists those that exist."""
        return self._get("featurizer", name, self.featurizers)

    def classifier(self, name: str) -> type[Classifier]:
        """Look a classifier up; PluginError lists those that exist."""
        return self._get("classifier", name, self.classifiers)

    def report_format(self, suffix: str) -> ReportFormat:
        """Look a report format up; PluginError lists those that exist."""
        return self._get("report format", suffix, self.report_formats)

    def _named(self, kind: str, hook: str, name_of: Callable[[Any], str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        owner: dict[str, str] = {}
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        for implementation in caller.get_hookimpls():
            plugin = implementation.plugin_name
            items: Any = implementation.function()
            for item in items:
                name = name_of(item)
                if name in found:
                    raise PluginError(
                        f"the {kind} {name!r} is provided twice: by {owner[name]} and by {plugin}",
                        hint="Uninstall one of the two.",
                    )
                found[name], owner[name] = item, plugin
        return found

    def _get(self, kind: str, name: str, known: dict[str, Item]) -> Item:
        if name in known:
            return known[name]
        failed = "".join(f"\nA plugin could not be loaded: {reason}" for reason in self.failed)
        raise PluginError(
            f"there is no {kind} {name!r}",
            hint=f"There is: {', '.join(sorted(known))}.{failed}",
        )


@cache
def registry() -> Registry:
    """Give the registry of what is installed, made once."""
    return build_registry(_installed())


def build_registry(entry_points: Iterable[Any]) -> Registry:
    """Make a registry of what ships with batchcls and of ``entry_points``."""
    from batchcls import builtin

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name="batchcls")
    failed: list[str] = []
    for entry_point in entry_points:
        package = entry_point.dist.name if entry_point.dist else entry_point.value
        try:
            manager.register(entry_point.load(), name=package)
            manager.check_pending()
        except Exception as error:  # noqa: BLE001 - a stranger's code; the run may not need it
            failed.append(f"{package}: {type(error).__name__}: {error}")
            manager.unregister(name=package)
    return Registry(manager, failed)


def _installed() -> Iterable[Any]:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
