"""``batchcls plugins``: what there is, what it adds, and what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from batchcls.commands.choose import READY_MODEL
from batchcls.crossvalidation import candidates_of
from batchcls.options import options_of
from batchcls.plugincommands import made_commands
from batchcls.pluginloading import reason_of
from batchcls.plugins import registry
from batchcls.terminal import print_json
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.pluginloading import Plugin
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_WIDTH = 100


def plugins_command(
    settings: Settings, commands: Sequence[str], terminal: Terminal, *, as_json: bool
) -> None:
    """Print every plugin, as a table or as JSON. ``commands`` are those that ship with batchcls."""
    known = registry()
    known.complete()
    made_commands(known, commands)
    defaults = {
        ("featurizer", settings.train.featurizer),
        ("classifier", settings.train.classifier),
        ("report format", ".csv"),
        ("model", settings.run.model or READY_MODEL),
        ("engine", settings.run.engine),
    }
    if as_json:
        print_json([_object(plugin, defaults) for plugin in known.plugins])
        return
    rows = []
    for plugin in known.plugins:
        title, version = shown(plugin.package), shown(plugin.version)
        for kind, names in plugin.adds.items():
            for name in names:
                default = "default" if (kind, name) in defaults else ""
                rows.append([title, version, kind, shown(name), default])
                title = version = ""
        if not plugin.adds:
            rows.append([title, version, "nothing", "", ""])
    terminal.table(["plugin", "version", "adds", "name", ""], rows, numbers_from=9)
    for line in _option_lines():
        terminal.result(line)
    if settings.train.featurizer == "auto":
        terminal.result(
            "\nfeaturizer auto, the default, takes inception where it can be had, "
            "else efficientnet-lite0"
        )
    for problem in known.failed:
        terminal.result(f"\nfailed: {problem}")


def _option_lines() -> Iterator[str]:
    known = registry()
    functions: list[tuple[str, Any]] = [
        *((f"featurizer {name} (-F)", one.create) for name, one in known.featurizers.items()),
        *((f"classifier {name} (-C)", one) for name, one in known.classifiers.items()),
        *((f"engine {name}", one.create) for name, one in known.engines.items()),
    ]
    for what, function in functions:
        try:
            options = ", ".join(
                f"{name} (cross-validated)" if name in _varied(function) else str(option)
                for name, option in options_of(function).items()
            )
        except Exception as error:  # noqa: BLE001 - a stranger's signature
            options = f"can't be read: {reason_of(error)}"
        if options:
            yield f"\noptions of the {shown(what)}:"
            yield from textwrap.wrap(
                shown(options), _WIDTH, initial_indent=" ", subsequent_indent=" "
            )


def _varied(function: Any) -> set[str]:  # noqa: ANN401
    """Name the options that cross-validation chooses, unless they are given."""
    candidates = candidates_of(function) if isinstance(function, type) else []
    return {
        name
        for candidate in candidates
        for name, value in candidate.items()
        if any(other.get(name) != value for other in candidates)
    }


def _object(plugin: Plugin, defaults: set[tuple[str, str]]) -> dict[str, Any]:
    return {
        "package": plugin.package,
        "version": plugin.version,
        "origin": plugin.origin,
        "adds": plugin.adds,
        "defaults": [
            {"kind": kind, "name": name}
            for kind, names in plugin.adds.items()
            for name in names
            if (kind, name) in defaults
        ],
        "problems": plugin.problems,
    }
