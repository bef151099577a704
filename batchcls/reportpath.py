"""A report for every night: ``reports/{date}.csv``, and the former ones of that kind.

Of the former ones, only files that the template may have made are ever found, let alone deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls.errors import BatchclsError, ConfigError, UsageError
from batchcls.locations import is_url
from batchcls.reportmoment import FORMS, agree, order_of
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.reportplaces import Places

_MODEL = "model"
_SHARD = "shard"
PLACEHOLDERS = (*FORMS, _MODEL, _SHARD)
# As it stands in the template of one shard: what it is filled in with follows.
_OF_SHARD = f"{_SHARD}:"
# A brace that begins no word, as in "a{1}.csv", is a brace.
_TOKEN = re.compile(r"\{\{|\}\}|\{([^\W\d][^{}/\\]*)\}")
_LONGEST_MODEL = 100
# As in s3://bucket/2026-11-24.csv: "s3:", "", "bucket".
_PARTS_BEFORE_BUCKET = 2


def expanded(template: str, now: datetime, model: str, *, setting: str = "output") -> str:
    """Fill the placeholders in. Raises ConfigError, which names the setting, for an unknown one.

    ``{{`` and ``}}`` are braces. ``model`` is a file or the name of a ready model. ``{shard}`` is
    filled in only in what :func:`of_shard` gives.
    """
    tokens = list(_tokens(template, setting))
    if any(name == _SHARD for _, name in tokens):
        raise ConfigError(
            f"run -> {setting}: {shown(template)}: {{{_SHARD}}} is for a run of one shard",
            hint="Name the shard (--shard 3/16), or leave the placeholder out.",
        )
    return "".join(_value(name, now, model) if name else text for text, name in tokens)


def of_shard(template: str, shard: str, *, setting: str = "output") -> str:
    """Give the template of one shard's reports; ``shard`` is what ``{shard}`` is filled in with.

    Another shard's is another one, whose former reports are its own. Raises as :func:`expanded`.
    """
    tokens = list(_tokens(template, setting))
    if all(name != _SHARD for _, name in tokens):
        return template
    names = {_SHARD: f"{_OF_SHARD}{shard}"}
    return "".join(
        f"{{{names.get(name, name)}}}" if name else literal(text) for text, name in tokens
    )


def literal(path: str) -> str:
    """Give the template of ``path`` itself."""
    return path.replace("{", "{{").replace("}", "}}")


def changes(template: str) -> bool:
    """Tell whether the name of the report changes with time."""
    return any(name in FORMS for _, name in _tokens(template))


def check_keep(template: str, keep: int) -> None:
    """Raise ConfigError where reports are to be counted that all have one name."""
    if keep and not changes(template):
        raise ConfigError(
            f"run -> keep_reports: every run writes {shown(template)}, so there is but one to keep",
            hint="Let the name of the report change: output = 'reports/{date}.csv'",
        )


def check_bucket(template: str, setting: str) -> None:
    """Raise ConfigError where former reports, which ``setting`` needs, are in other buckets."""
    if is_url(template) and len(_parts(_split(template)[0])) <= _PARTS_BEFORE_BUCKET:
        raise ConfigError(
            f"run -> {setting}: {shown(template)}: the name of the bucket changes, and former "
            "reports can't be looked up",
            hint="Let placeholders stand behind it: output = 's3://bucket/{date}.csv'",
        )


def make_folders(template: str, path: str) -> None:
    """Make the folders of ``path`` that exist only because of placeholders.

    At a URL whoever writes the file makes them. Raises UsageError where the one that holds them
    does not exist.
    """
    if is_url(path):
        return
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
    when they were written. Raises BatchclsError where a storage does not say what it has.
    """
    return _former(template, model, places_of(template))


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
    places = places_of(template)
    try:
        former = _former(template, model, places)
    except BatchclsError as error:
        warn(f"former reports could not be looked up: {error.message}")
        return []
    others = [
        path for path in former if not places.is_link(path) and not places.is_same(path, current)
    ]
    deleted: list[str] = []
    failed: list[tuple[str, OSError]] = []
    lowest = _depth(_split(template)[0])
    for path in others[: max(0, len(others) - (keep - 1))]:
        try:
            places.remove(path)
        except OSError as error:
            failed.append((path, error))
            continue
        deleted.append(path)
        folder = os.path.dirname(path)
        while _depth(folder) > lowest and places.remove_empty(folder):
            folder = os.path.dirname(folder)
    if failed:
        path, first = failed[0]
        count = plural(len(failed), "former report")
        warn(f"{count} could not be deleted: {shown(path)}: {first.strerror or first}")
    return deleted


def places_of(template: str) -> Places:
    """Give what finds and removes files where the reports of a template are."""
    if is_url(template):
        from batchcls.remote.former import RemotePlaces

        return RemotePlaces()
    from batchcls.reportplaces import LocalPlaces

    return LocalPlaces()


def _tokens(template: str, setting: str = "output") -> Iterator[tuple[str, str]]:
    """Give pieces of text, and names of placeholders, each with an empty other half."""
    end = 0
    for match in _TOKEN.finditer(template):
        yield template[end : match.start()], ""
        end = match.end()
        name = match[1]
        if name is None:
            yield match[0][0], ""
        elif name in PLACEHOLDERS or name.startswith(_OF_SHARD):
            yield "", name
        else:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            raise ConfigError(
                f"run -> {setting}: {shown(template)}: there is no {shown(match[0])}",
                hint=f"There is: {known}. Braces that are meant are doubled: {{{{ and }}}}.",
            )
    yield template[end:], ""


def _value(name: str, now: datetime, model: str) -> str:
    return now.strftime(FORMS[name][0]) if name in FORMS else _constant(name, model)


def _constant(name: str, model: str) -> str:
    """Give the value of a placeholder that is the same in each report of a series."""
    return name.removeprefix(_OF_SHARD) if name.startswith(_OF_SHARD) else _safe(model)


def _safe(model: str) -> str:
    """Give a model's name as a part of a file's name on any system."""
    stem = os.path.basename(model.rstrip("/\\").replace("\\", "/")).removesuffix(".batchcls")
    stem = "".join(
        one if one.isprintable() and one not in '/\\:*?"<>|' else "_" for one in stem
    ).strip(" .")
    return stem[:_LONGEST_MODEL] or _MODEL


def _parts(template: str) -> list[str]:
    """Split the template where folders begin."""
    return re.split(r"[/\\]" if _separator(template) == "\\" else "/", template)


def _separator(template: str) -> str:
    return "/" if is_url(template) else os.sep


def _split(template: str) -> tuple[str, list[str]]:
    """Give the folder that is the same whatever the placeholders are, and what is below it."""
    parts = _parts(template)
    count = 0
    while count < len(parts) - 1 and not _changes(parts[count]):
        count += 1
    separator = _separator(template)
    constant = separator.join("".join(text for text, _ in _tokens(part)) for part in parts[:count])
    return constant or separator * (count > 0), parts[count:]


def _changes(part: str) -> bool:
    return any(name for _, name in _tokens(part))


def _depth(folder: str) -> int:
    """Count the parts of a folder's path."""
    return len([part for part in _parts(folder) if part])


def _former(template: str, model: str, places: Places) -> list[str]:
    found = []
    for path, values in _matches(template, model, places):
        written = places.written(path)
        if written is not None:
            found.append((order_of(values), written, path))
    return [path for _, _, path in sorted(found)]


def _matches(template: str, model: str, places: Places) -> Iterator[tuple[str, dict[str, str]]]:
    """Walk down the template: only where a part has placeholders, a folder is listed."""
    constant, parts = _split(template)
    level: list[tuple[str, dict[str, str]]] = [(constant, {})]
    for part in parts:
        if not _changes(part):
            name = "".join(text for text, _ in _tokens(part))
            level = [(_joined(folder, name), values) for folder, values in level]
            continue
        pattern, names = _pattern(part, model)
        below = []
        for folder, values in level:
            for name in places.listed(folder):
                match = pattern.fullmatch(name)
                if match is None:
                    continue
                pairs = list(zip(names, match.groups(), strict=True))
                merged = {**dict(pairs), **values}
                # The same placeholder says the same wherever it stands.
                if all(merged[key] == value for key, value in pairs):
                    below.append((_joined(folder, name), merged))
        level = below
    for path, values in level:
        if agree(values):
            yield path, values


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if is_url(folder) else os.path.join(folder, name)


def _pattern(part: str, model: str) -> tuple[re.Pattern[str], list[str]]:
    """Give a pattern with a group for each moment in a part of the template, and their names."""
    pattern, names = "", []
    for text, name in _tokens(part):
        if name in FORMS:
            pattern += f"({FORMS[name][1]})"
            names.append(name)
        else:
            pattern += re.escape(_constant(name, model) if name else text)
    return re.compile(pattern), names
