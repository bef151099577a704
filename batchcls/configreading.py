"""Reading ``config.toml``: its sections and keys, and the paths in it."""

from __future__ import annotations

import codecs
import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from batchcls.errors import ConfigError
from batchcls.locations import is_url
from batchcls.reportpath import literal
from batchcls.text import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What stands outside the sections: lists, and sections of sections.
LISTS = ("plugins", "installed_plugins")
TABLES = ("classifier", "featurizer", "engine", "filesystem")
# In a configuration file these are relative to its folder, so that cron's does not matter.
_PATHS = {
    *(("run", "images"), ("run", "output"), ("train", "tags"), ("train", "images")),
    *(("run", "summary"), ("run", "html"), ("store", "folder"), ("models", "folder")),
}
# In these, braces are placeholders; those of the folder are none.
_TEMPLATES = {("run", "output"), ("run", "summary"), ("run", "html")}


def read_config(path: str, sections: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read the file; ``sections`` are those that there are, with their keys.

    Paths in it become those that the current folder sees. Raises ConfigError.
    """
    try:
        with open(path, "rb") as file:
            text = file.read().removeprefix(codecs.BOM_UTF8).decode("utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{shown(path)}: {error.strerror or error}", hint="`batchcls init` writes one."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{shown(path)}: not TOML: {error}") from None
    _refuse_unknown(data, shown(path), sections)
    folder = os.path.dirname(path)
    for section, key in _PATHS:
        values = data.get(section)
        if isinstance(values, dict) and key in values:
            is_template = (section, key) in _TEMPLATES
            values[key] = below(literal(folder) if is_template else folder, values[key])
    for tables in map(data.get, TABLES):
        for options in tables.values() if isinstance(tables, dict) else ():
            if isinstance(options, dict) and "path" in options:
                options["path"] = below(folder, options["path"])
    if "plugins" in data:
        data["plugins"] = below(folder, data["plugins"])
    run = data.get("run")
    if isinstance(run, dict) and isinstance(run.get("model"), str) and _is_file_name(run["model"]):
        run["model"] = below(folder, run["model"])
    if isinstance(run, dict) and isinstance(run.get("on_end"), list):
        run["on_end"][:1] = [_program(folder, one) for one in run["on_end"][:1]]
    return data


def _program(folder: str, program: Any) -> Any:  # noqa: ANN401 - not yet checked
    """Give a program as it is below ``folder``; a name without a folder is looked for in PATH."""
    if not isinstance(program, str):
        return program
    has_folder = "/" in program or os.sep in program
    return below(folder, program) if has_folder else program


def _is_file_name(model: str) -> bool:
    """Tell a model file from the name of a ready model."""
    return "/" in model or os.sep in model or "." in model


def below(folder: str, value: Any) -> Any:  # noqa: ANN401 - not yet checked
    """Give a path, or each of a list, as it is below ``folder``; a URL as it is."""
    if isinstance(value, list):
        return [below(folder, item) for item in value]
    if not isinstance(value, str) or value in {"", "-"} or is_url(value):
        return value
    return os.path.join(folder, os.path.expanduser(value))


def _refuse_unknown(
    data: Mapping[str, Any], where: str, sections: Mapping[str, Sequence[str]]
) -> None:
    for section, values in data.items():
        if section in LISTS:
            continue
        if section in TABLES:
            for name, options in values.items() if isinstance(values, dict) else ():
                if not isinstance(options, dict):
                    raise ConfigError(
                        f"{where}: {section} -> {name}: expected a section, [{section}.{name}]"
                    )
            continue
        if section not in sections:
            all_ = [*sections, *LISTS, *TABLES]
            raise ConfigError(
                f"{where}: {section}: there is no such section",
                hint=suggestion(section, all_, "Sections"),
            )
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: {section}: expected a section, [{section}], got a value")
        known = list(sections[section])
        for key in values:
            if key not in known:
                raise ConfigError(
                    f"{where}: {section} -> {key}: there is no such setting",
                    hint=suggestion(key, known, f"Settings of [{section}]"),
                )


def suggestion(word: str, known: list[str], what: str) -> str:
    """Say what may have been meant, and what there is."""
    close = difflib.get_close_matches(word, known, n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}{what}: {', '.join(known)}."
