"""Finding and importing plugins: packages that name an entry point, and files that are named.

A plugin that can't be imported is kept with what is wrong with it; a run that has no need of it
goes on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any

import pluggy

from batchcls import __version__, hookspecs
from batchcls.errors import PluginError, Terminated
from batchcls.text import shown

ENTRY_POINTS = "batchcls"
BUILTIN = "batchcls"

_REASON_LENGTH = 300


@dataclass
class Plugin:
    """A plugin. ``package`` is what a message calls it: its distribution, or its file.

    ``origin`` is its module, or file; ``adds`` what it provides, names by kind, as far as that was
    asked for; ``problems`` what is wrong with it.
    """

    package: str
    version: str
    origin: str
    rank: int = 1
    """What ships with batchcls is 0, packages 1, files 2: the lower keeps a name."""
    adds: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def titled(self) -> str:
        """Give package and version, as a model keeps them."""
        return f"{self.package} {self.version}".strip()


@dataclass
class Loaded:
    """All plugins: those of the manager by their name there, then those that failed."""

    manager: pluggy.PluginManager
    plugins: dict[str, Plugin]
    failed: list[Plugin]


def load_plugins(entry_points: Iterable[Any], files: Sequence[str] = ()) -> Loaded:
    """Load what ships with batchcls, the plugins of ``entry_points``, and those of ``files``."""
    from batchcls import builtin

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    ships = Plugin(BUILTIN, __version__, builtin.__name__, rank=0)
    manager.register(builtin, name=BUILTIN)
    loaded = Loaded(manager, {BUILTIN: ships}, [])
    for entry_point in entry_points:
        distribution = entry_point.dist
        package = _package(entry_point)
        version = (distribution and distribution.version) or ""
        plugin = Plugin(package, version, entry_point.value)
        # A package may have several plugins.
        _register(loaded, f"{package}:{entry_point.name}", plugin, entry_point.load)
    different = {os.path.realpath(path): os.path.normpath(path) for path in reversed(files)}
    for number, (real, path) in enumerate(reversed(different.items())):
        plugin = Plugin(path, "", path, rank=2)
        _register(loaded, f"{number}:{path}", plugin, lambda real=real: load_file(real))
    return loaded


def installed_entry_points(patterns: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Give the entry points of the packages that match a pattern, and what is wrong with them."""
    from importlib.metadata import entry_points

    try:
        found = sorted(
            entry_points(group=ENTRY_POINTS), key=lambda one: (_package(one).lower(), one.name)
        )
    except Exception as error:  # noqa: BLE001 - the metadata of any package may be broken
        return [], [reason_of(error)]
    if "*" in patterns:
        return found, []
    wanted = [pattern.lower().replace("_", "-") for pattern in patterns]
    taken: list[Any] = []
    unmatched = []
    for pattern, name in zip(patterns, wanted, strict=True):
        matching = [one for one in found if fnmatchcase(_normalised(one), name)]
        taken += [one for one in matching if one not in taken]
        if not matching:
            unmatched.append(f"no plugin is installed that matches '{shown(pattern)}'")
    return taken, unmatched


def _normalised(entry_point: Any) -> str:  # noqa: ANN401
    """Give the package as names of packages are compared."""
    return _package(entry_point).lower().replace("_", "-")


def _package(entry_point: Any) -> str:  # noqa: ANN401 - importlib.metadata's, of any version
    distribution = entry_point.dist
    name: str = (distribution and distribution.name) or entry_point.value
    return name


def load_file(path: str) -> ModuleType:
    """Import a plugin of one file, by its real path. PluginError if there is no such file."""
    if not os.path.isfile(path) or not path.endswith(".py"):
        raise PluginError("there is no such file, or its name does not end in .py")
    name = f"batchcls_plugin_{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError("Python can't import it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def reason_of(error: BaseException) -> str:
    """Give an exception as one short line that any terminal can show."""
    if isinstance(error, PluginError):
        return shown(error.message)[:_REASON_LENGTH]
    return shown(" ".join(f"{type(error).__name__}: {error}".split()))[:_REASON_LENGTH]


def _register(loaded: Loaded, name: str, plugin: Plugin, load: Any) -> None:  # noqa: ANN401
    manager = loaded.manager
    try:
        module = load()
        manager.register(module, name=name)
        manager.check_pending()
        callers = manager.get_hookcallers(module)
        if not callers:
            raise PluginError("it implements no hook of batchcls")
        for caller in callers:
            for one in caller.get_hookimpls():
                if one.plugin is module and (one.wrapper or one.hookwrapper):
                    raise PluginError(f"its {caller.name} is a wrapper, which is not taken")
    except Terminated:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the run may not need it
        plugin.problems.append(reason_of(error))
        loaded.failed.append(plugin)
        manager.unregister(name=name)
        return
    loaded.plugins[name] = plugin
