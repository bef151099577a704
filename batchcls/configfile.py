"""Writing a ``config.toml`` with every setting and its comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

import msgspec

from batchcls.errors import UsageError
from batchcls.text import shown

Value = str | int | bool | list[str]


def rendered(values: Mapping[tuple[str, str], Value]) -> str:
    """Give the configuration file with ``values``, by section and key, set in it.

    Raises UsageError for a value that is not UTF-8, KeyError for a setting that does not exist.
    """
    left = dict(values)
    text = files("batchcls").joinpath("config_template.toml").read_text(encoding="utf-8")
    section = ""
    lines = []
    for line in text.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        match = re.fullmatch(r"# (\w+) = .*", line)
        if match and (section, match[1]) in left:
            lines.append(f"{match[1]} = {_toml(left.pop((section, match[1])))}")
        else:
            lines.append(line)
    if left:
        raise KeyError(*left)
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    # A JSON string, number, boolean or list of strings is the same in TOML, but for this character.
    try:
        return msgspec.json.encode(value).decode("utf-8").replace("\x7f", "\\u007f")
    except UnicodeEncodeError:
        names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        raise UsageError(
            f"{', '.join(shown(name) for name in names)}: not UTF-8, as a configuration must be"
        ) from None
