"""Writing a ``config.toml`` with every setting and its comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

import msgspec

Value = str | int | bool | list[str]


def rendered(values: Mapping[tuple[str, str], Value]) -> str:
    """Give the configuration file with ``values``, by section and key, set in it."""
    text = files("batchcls").joinpath("config_template.toml").read_text(encoding="utf-8")
    section = ""
    lines = []
    for line in text.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        match = re.fullmatch(r"# (\w+) = .*", line)
        if match and (section, match[1]) in values:
            lines.append(f"{match[1]} = {_toml(values[section, match[1]])}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    # A JSON string, number, boolean or list of strings is the same in TOML.
    return msgspec.json.encode(value).decode("utf-8")
