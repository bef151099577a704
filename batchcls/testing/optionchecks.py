"""Whether options are declared so that batchcls can read, check and keep them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from batchcls.errors import BatchclsError
from batchcls.options import Text, checked_options, options_of, to_json
from batchcls.testing.running import Problems

OPTIONS_RULE = (
    "interfaces: options are named parameters with an annotation that says their type; what was "
    "chosen is kept in the model, as JSON"
)


def option_problems(function: Callable[..., Any], given: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with the options of a class or of ``create``, of which some are given."""
    hidden = {
        inspect.Parameter.VAR_KEYWORD: "**",
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.POSITIONAL_ONLY: "positional-only ",
    }
    parameters = list(inspect.signature(function).parameters.values())
    for parameter in parameters if isinstance(function, type) else parameters[1:]:
        if parameter.kind in hidden:
            stars = hidden[parameter.kind]
            yield f"nobody can give an option through {stars}{parameter.name}: name each option"
    known = options_of(function)
    defaults = {
        name: option.default
        for name, option in known.items()
        if option.default is not inspect.Parameter.empty
    }
    values = {**defaults, **given}
    for name, value in values.items():
        origin = "the value" if name in given else "the default"
        said = f"{origin} of {name}, {value!r},"
        try:
            checked = checked_options("it", function, values)[name]
        except BatchclsError as error:
            yield f"{said} is refused by its own annotation, {known[name].type}: {error.message}"
            return  # whichever it is about, it stops the others, too
        yield from _kept(function, values, name, checked, said)
        if known[name].type is not Any:  # what a text means for any type is a guess
            yield from _typed(function, values, name, checked, said)


def _kept(
    function: Callable[..., Any],
    values: Mapping[str, Any],
    name: str,
    value: Any,  # noqa: ANN401
    said: str,
) -> Problems:
    try:
        again = checked_options("it", function, {**values, **to_json({name: value})})[name]
    except BatchclsError as error:
        yield f"{said} can't be kept as JSON: {error.message}"
        return
    if not _equal(again, value):
        yield f"{said} comes back from JSON as {again!r}"


def _typed(
    function: Callable[..., Any],
    values: Mapping[str, Any],
    name: str,
    value: Any,  # noqa: ANN401
    said: str,
) -> Problems:
    text = _text(value)
    if text is None:
        return
    try:
        read = checked_options("it", function, {**values, name: Text(text)})[name]
    except BatchclsError as error:
        yield f"{said} can't be given on the command line, as {name}={text}: {error.message}"
        return
    if not _equal(read, value):
        yield f"{said} given on the command line as {name}={text} arrives as {read!r}"


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401
    return type(one) is type(other) and bool(one == other)


def _text(value: Any) -> str | None:  # noqa: ANN401
    """Give a value as it is typed; None for one that there is no way to type."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return value if value == value.strip() else None
    if isinstance(value, (tuple, list)) and value:
        parts = [_text(item) for item in value]
        if all(part is not None and "," not in part for part in parts):
            return ",".join(str(part) for part in parts)
    return None
