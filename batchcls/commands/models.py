"""``batchcls models``: the networks at hand, and how to get one that is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from batchcls import assembly
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.errors import BatchclsError, NetworkError, Terminated, UsageError
from batchcls.featurizerchoice import network_info
from batchcls.pluginloading import reason_of
from batchcls.plugins import registry
from batchcls.records import NetworkInfo
from batchcls.terminal import print_json
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal


def models_command(settings: Settings, terminal: Terminal, *, as_json: bool) -> None:
    """Print the featurizers and ready models, as a table or as JSON."""
    found = list(_found(assembly.context(settings, terminal)))
    warn_of_plugins(terminal)
    if as_json:
        print_json([_object(kind, one, info) for kind, one, info in found])
        return
    rows = []
    for kind, one, info in found:
        known = None if info is None else info.at_hand
        at_hand = "" if known is None else "yes" if known else "no"
        size = f"{info.size / 1e6:.1f} MB" if info is not None and info.size else ""
        licence, origin = (info.licence, info.origin) if info is not None else ("", "")
        rows.append([shown(one.name), kind, at_hand, size, shown(licence), shown(origin)])
    header = ["name", "kind", "at hand", "size", "licence", "origin"]
    terminal.table(header, rows, numbers_from=9)
    terminal.result("")
    for _, one, info in found:
        terminal.result(f"{shown(one.name)}: {shown(_description(one))}")
        for line in (info.place, info.note) if info is not None else ():
            if line:
                terminal.result(f"    {shown(line)}")


def fetch_command(settings: Settings, name: str, terminal: Terminal) -> None:
    """Download a network. UsageError where there is nothing to download."""
    provider = registry().featurizer(name)
    fetch: Any = getattr(provider, "fetch", None)
    if fetch is None:
        raise UsageError(f"{shown(name)}: there is nothing to fetch: it needs no download")
    context = assembly.context(settings, terminal)
    try:
        fetch(context)
    except NetworkError as error:
        raise NetworkError(f"{shown(name)}: {error.message}", hint=error.hint) from error
    info = network_info(provider, context)
    where = f": {shown(info.place)}" if info is not None and info.place else ""
    terminal.result(f"{shown(name)} is at hand{where}")


def _found(context: Context) -> Iterable[tuple[str, Any, NetworkInfo | None]]:
    known = registry()
    parts = [
        *(("featurizer", one) for one in known.featurizers.values()),
        *(("ready model", one) for one in known.ready_models.values()),
    ]
    for kind, one in parts:
        yield kind, one, _asked(one, context)


def _asked(one: Any, context: Context) -> NetworkInfo | None:  # noqa: ANN401
    """Ask what is at hand; one that can't say it must not keep the others from being listed."""
    try:
        return network_info(one, context)
    except Terminated:
        raise
    except BatchclsError as error:
        return NetworkInfo(at_hand=False, note=" ".join(error.message.split()))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code
        return NetworkInfo(at_hand=False, note=f"It can't be asked: {reason_of(error)}")


def _description(one: Any) -> str:  # noqa: ANN401
    return str(getattr(one, "description", ""))


def _object(kind: str, one: Any, info: NetworkInfo | None) -> dict[str, Any]:  # noqa: ANN401
    result = {"name": one.name, "kind": kind, "description": _description(one)}
    if info is not None:
        result |= {
            "at_hand": info.at_hand,
            "size": info.size,
            "licence": info.licence,
            "origin": info.origin,
            "place": info.place,
            "note": info.note,
        }
    return result
