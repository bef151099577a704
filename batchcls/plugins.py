"""Finding plugins, and looking up by name what they provide.

What ships with batchcls comes through the same hooks as any other plugin. A plugin that fails does
not stop a run that has no need of it: what is wrong with it is told when something is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from batchcls import hookspecs
from batchcls.errors import PluginError
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.interfaces import Classifier, FeaturizerProvider, ReadyModel, ReportFormat

ENTRY_POINTS = "batchcls"
DEFAULT_FEATURIZER = "efficientnet-lite0"

_SELF = "batchcls"
_REASON_LENGTH = 300

Item = TypeVar("Item")


class Registry:
    """Everything that can be asked for by name.

    ``failed`` says, a line for each, what is wrong with which package. A name belongs to what
    ships with batchcls, or else to the first package by name: another plugin can't change what a
    name means, and what it offered under that name is in ``failed``.
    """

    def __init__(self, manager: pluggy.PluginManager, failed: Sequence[str] = ()) -> None:
        self.failed = list(failed)
        self._manager = manager

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
        implementations = sorted(
            caller.get_hookimpls(), key=lambda one: (one.plugin is not _builtin(), one.plugin_name)
        )
        for implementation in implementations:
            package = _package(implementation.plugin_name)
            try:
                provided: Any = implementation.function()
                items = [(name_of(item), item) for item in provided]
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code, as below
                self.failed.append(_failure(package, error))
                continue
            for name, item in items:
                if not isinstance(name, str) or not name:
                    self.failed.append(f"{package}: a {kind} without a name")
                elif name in found:
                    self.failed.append(
                        f"{package}: its {kind} {name!r} is not used, "
                        f"as {owner[name]} has one of that name"
                    )
                else:
                    found[name], owner[name] = item, package
        return found

    def _get(self, kind: str, name: str, known: dict[str, Item]) -> Item:
        if name in known:
            return known[name]
        failed = "".join(f"\nA plugin failed: {reason}" for reason in self.failed)
        listed = ", ".join(shown(one) for one in sorted(known))
        raise PluginError(
            f"there is no {kind} '{shown(name)[:_REASON_LENGTH]}'",
            hint=f"There is: {listed}.{failed}",
        )


@cache
def registry() -> Registry:
    """Give the registry of what is installed, made once."""
    try:
        entry_points = list(_installed())
    except Exception as error:  # noqa: BLE001 - the metadata of any package may be broken
        return build_registry([], [_failure("the list of what is installed", error)])
    return build_registry(entry_points)


def build_registry(entry_points: Iterable[Any], failed: Sequence[str] = ()) -> Registry:
    """Make a registry of what ships with batchcls and of ``entry_points``."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(_builtin(), name=_SELF)
    failures = list(failed)
    for entry_point in entry_points:
        package = (entry_point.dist and entry_point.dist.name) or entry_point.value
        # A package may have several plugins.
        name = f"{package}:{entry_point.name}"
        try:
            plugin = entry_point.load()
            manager.register(plugin, name=name)
            manager.check_pending()
            if not manager.get_hookcallers(plugin):
                raise PluginError(f"{entry_point.value} implements no hook of batchcls")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the run may not need it
            failures.append(_failure(package, error))
            manager.unregister(name=name)
    return Registry(manager, failures)


def _builtin() -> Any:  # noqa: ANN401 - a module
    from batchcls import builtin

    return builtin


def _package(plugin_name: str) -> str:
    return plugin_name.partition(":")[0]


def _failure(package: str, error: BaseException) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{package}: {shown(reason)[:_REASON_LENGTH]}"


def _installed() -> Iterable[Any]:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
