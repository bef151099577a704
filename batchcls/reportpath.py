"""A report for every night: ``reports/{date}.csv``, and the former ones of that kind.

Of the former ones, only files that the template may have made are ever found, let alone deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime

from batchcls.errors import BatchclsError, ConfigError, UsageError
from batchcls.text import plural, shown

_FORMS = {
    "date": ("%Y-%m-%d", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": ("%H%M%S", r"[0-9]{6}"),
    "year": ("%Y", r"[0-9]{4}"),
    "month": ("%m", r"[0-9]{2}"),
    "day": ("%d", r"[0-9]{2}"),
    "hour": ("%H", r"[0-9]{2}"),
}
_MODEL = "model"
PLACEHOLDERS = (*_FORMS, _MODEL)
# A brace that begins no word, as in "a{1}.csv", is a brace.
_TOKEN = re.compile(r"\{\{|\}\}|\{([^\W\d][^{}/\\]*)\}")
_LONGEST_MODEL = 100


def expanded(template: str, now: datetime, model: str, *, setting: str = "output") -> str:
    """Fill the placeholders in. Raises ConfigError, which names the setting, for an unknown one.

    ``{{`` and ``}}`` are braces. ``model`` is a file or the name of a ready model.
    """
    return "".join(
        _value(name, now, model) if name else text for text, name in _tokens(template, setting)
    )


def literal(path: str) -> str:
    """Give the template of ``path`` itself."""
    return path.replace("{", "{{").replace("}", "}}")


def changes(template: str) -> bool:
    """Tell whether the name of the report changes with time."""
    return any(name in _FORMS for _, name in _tokens(template))


def check_keep(template: str, keep: int) -> None:
    """Raise ConfigError where reports are to be counted that all have one name."""
    if keep and not changes(template):
        raise ConfigError(
            f"run -> keep_reports: every run writes {shown(template)}, so there is but one to keep",
            hint="Let the name of the report change: output = 'reports/{date}.csv'",
        )


def make_folders(template: str, path: str) -> None:
    """Make the folders of ``path`` that exist only because of placeholders.

    Raises UsageError where the one that holds them does not exist.
    """
    constant = _split(template)[0]
    folder = os.path.dirname(path)
    if _depth(folder) == _depth(constant):
        return  # the report itself has a clear error, if that is not there
    if not os.path.isdir(constant or "."):
        raise UsageError(
            f"{shown(path)}: the folder {shown(constant)} does not exist",
            hint="Create it, or name a file elsewhere.",
        )
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise BatchclsError(
            f"{shown(folder)}: the folder can't be made: {error.strerror or error}",
            hint="Make the one above it writable, or name a file elsewhere.",
        ) from error


def former_reports(template: str, model: str) -> list[str]:
    """Find the files that earlier runs with this model may have written, the oldest first.

    The placeholders tell which is older where they name a moment, as ``{date}`` does, and otherwise
    when they were written.
    """
    return [path for path, _ in _former(template, model)]


def prune(
    template: str, model: str, keep: int, current: str, warn: Callable[[str], None]
) -> list[str]:
    """Delete the oldest reports, but for ``keep``; give those that were deleted.

    ``current`` is one of those that are kept. Links are no reports. A folder that is left empty
    goes, too, where it exists only because of placeholders. Raises ConfigError as check_keep does.
    """
    check_keep(template, keep)
    if not keep:
        return []
    here = os.path.realpath(current)
    others = [
        path
        for path, _ in _former(template, model)
        if not os.path.islink(path) and os.path.realpath(path) != here
    ]
    deleted: list[str] = []
    failed: list[tuple[str, OSError]] = []
    lowest = _depth(_split(template)[0])
    for path in others[: max(0, len(others) - (keep - 1))]:
        try:
            os.unlink(path)
        except OSError as error:
            failed.append((path, error))
            continue
        deleted.append(path)
        folder = os.path.dirname(path)
        with contextlib.suppress(OSError):  # not empty
            while _depth(folder) > lowest:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
    if failed:
        path, first = failed[0]
        count = plural(len(failed), "former report")
        warn(f"{count} could not be deleted: {shown(path)}: {first.strerror or first}")
    return deleted


def _tokens(template: str, setting: str = "output") -> Iterator[tuple[str, str]]:
    """Give pieces of text, and names of placeholders, each with an empty other half."""
    end = 0
    for match in _TOKEN.finditer(template):
        yield template[end : match.start()], ""
        end = match.end()
        name = match[1]
        if name is None:
            yield match[0][0], ""
        elif name in PLACEHOLDERS:
            yield "", name
        else:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            raise ConfigError(
                f"run -> {setting}: {shown(template)}: there is no {shown(match[0])}",
                hint=f"There is: {known}. Braces that are meant are doubled: {{{{ and }}}}.",
            )
    yield template[end:], ""


def _value(name: str, now: datetime, model: str) -> str:
    return now.strftime(_FORMS[name][0]) if name in _FORMS else _safe(model)


def _safe(model: str) -> str:
    """Give a model's name as a part of a file's name on any system."""
    stem = os.path.basename(model.rstrip("/\\").replace("\\", "/")).removesuffix(".batchcls")
    stem = "".join(
        one if one.isprintable() and one not in '/\\:*?"<>|' else "_" for one in stem
    ).strip(" .")
    return stem[:_LONGEST_MODEL] or _MODEL


def _parts(template: str) -> list[str]:
    """Split the template where folders begin."""
    return re.split(r"[/\\]" if os.name == "nt" else "/", template)


def _split(template: str) -> tuple[str, list[str]]:
    """Give the folder that is the same whatever the placeholders are, and what is below it."""
    parts = _parts(template)
    count = 0
    while count < len(parts) - 1 and not _changes(parts[count]):
        count += 1
    constant = os.sep.join("".join(text for text, _ in _tokens(part)) for part in parts[:count])
    return constant or os.sep * (count > 0), parts[count:]


def _changes(part: str) -> bool:
    return any(name for _, name in _tokens(part))


def _depth(folder: str) -> int:
    """Count the parts of a folder's path."""
    return len([part for part in _parts(folder) if part])


def _former(template: str, model: str) -> list[tuple[str, tuple[str, float]]]:
    found = []
    for path, values in _matches(template, model):
        order = _order(values)
        with contextlib.suppress(OSError):  # gone meanwhile
            if os.path.isfile(path):
                found.append((path, (order, os.stat(path).st_mtime)))
    return sorted(found, key=lambda item: (item[1], item[0]))


def _matches(template: str, model: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Walk down the template: only where a part has placeholders, a folder is listed."""
    constant, parts = _split(template)
    level: list[tuple[str, dict[str, str]]] = [(constant, {})]
    for part in parts:
        if not _changes(part):
            name = "".join(text for text, _ in _tokens(part))
            level = [(os.path.join(folder, name), values) for folder, values in level]
            continue
        pattern, names = _pattern(part, model)
        below = []
        for folder, values in level:
            for name in _listed(folder):
                match = pattern.fullmatch(name)
                if match is None:
                    continue
                pairs = list(zip(names, match.groups(), strict=True))
                merged = {**dict(pairs), **values}
                # The same placeholder says the same wherever it stands.
                if all(merged[key] == value for key, value in pairs):
                    below.append((os.path.join(folder, name), merged))
        level = below
    for path, values in level:
        if _agree(values):
            yield path, values


def _listed(folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder or ".")
    return []


def _pattern(part: str, model: str) -> tuple[re.Pattern[str], list[str]]:
    """Give a pattern with a group for each moment in a part of the template, and their names."""
    pattern, names = "", []
    for text, name in _tokens(part):
        if name in _FORMS:
            pattern += f"({_FORMS[name][1]})"
            names.append(name)
        else:
            pattern += re.escape(_safe(model) if name else text)
    return re.compile(pattern), names


def _agree(values: dict[str, str]) -> bool:
    """Whether there is a moment that all the placeholders may have been filled in from."""
    year, month, day, hour, minute, second = map(int, _moment(values).values())
    try:
        at = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return False
    return all(at.strftime(_FORMS[name][0]) == value for name, value in values.items())


def _moment(values: dict[str, str]) -> dict[str, str]:
    """Give year to second; what no placeholder tells is filled in: 2000 had a 29th of February."""
    date, time = values.get("date", ""), values.get("time", "")
    return {
        "Y": date[:4] or values.get("year", "2000"),
        "m": date[5:7] or values.get("month", "01"),
        "d": date[8:] or values.get("day", "01"),
        "H": time[:2] or values.get("hour", "00"),
        "M": time[2:4] or "00",
        "S": time[4:] or "00",
    }


def _order(values: dict[str, str]) -> str:
    """Give what sorts reports by their moment; the same for all where there is no year, say."""
    told = set(values)
    if "date" in told:
        told |= {"year", "month", "day"}
    if "time" in told:
        told |= {"hour"}
    in_order = ["year", "month", "day", "hour"]
    depth = next((index for index, one in enumerate(in_order) if one not in told), 4)
    if not depth or told & set(in_order[depth:]):
        return ""
    moment = _moment(values)
    return "".join(moment[one] for one in "YmdHMS")
