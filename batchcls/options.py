"""Options of a classifier or a featurizer: what there is, and a check of what is given.

Options are the named parameters of a constructor or of a provider's ``create``, read from its
signature, so that an author writes them once.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from batchcls.errors import ConfigError, PluginError, UsageError
from batchcls.text import shown


class Text(str):
    """A value from the command line, where all is text; one from a file has its type."""

    __slots__ = ()


@dataclass(frozen=True)
class Option:
    """One option. ``type`` is an annotation that msgspec can check, ``Any`` if there is none."""

    name: str
    type: Any
    default: Any

    def __str__(self) -> str:
        default = self.default
        plain = default is None or isinstance(default, (bool, int, float, str, tuple, list))
        if default is inspect.Parameter.empty or not plain:
            return self.name
        if isinstance(default, bool) or default is None:
            return f"{self.name}={str(default).lower()}"
        if isinstance(default, (tuple, list)):
            return f"{self.name}={','.join(str(item) for item in default)}"
        return f"{self.name}={default}"


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """Read the options of a class, or of a provider's ``create`` (whose first is the context).

    A parameter without annotation has the type of its default, or any.
    """
    signature = inspect.signature(function)
    target = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    names = getattr(inspect.unwrap(target), "__globals__", {})
    named = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    found = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind in named:
            found[name] = Option(name, _type(parameter, names), parameter.default)
    if not isinstance(function, type):
        found.pop(next(iter(signature.parameters), ""), None)
    return found


def _type(parameter: inspect.Parameter, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    annotation = parameter.annotation
    if isinstance(annotation, str):  # as under `from __future__ import annotations`
        try:
            annotation = eval(annotation, dict(names))  # noqa: S307 - the author's own code
        except Exception:  # noqa: BLE001 - a name that exists for type checkers only
            annotation = parameter.empty
    if annotation is not parameter.empty:
        return annotation
    default = parameter.default
    return type(default) if isinstance(default, (bool, int, float, str)) else Any


def checked_options(
    owner: str, function: Callable[..., Any], given: Mapping[str, Any], where: str = ""
) -> dict[str, Any]:
    """Check options that are given, and give them with their types.

    ``owner`` is whose they are ("the classifier 'knn'"), ``where`` what an error begins with.
    Raises UsageError for one that does not exist, or whose value is of another type.
    """
    known = options_of(function)
    checked = {}
    for name, value in given.items():
        if not isinstance(name, str) or name not in known:
            raise _error(where, f"{owner} has no option '{shown(name)}'", _listed(name, known))
        try:
            checked[name] = _finite(_converted(value, known[name].type))
        except (msgspec.ValidationError, ValueError) as error:
            reason = _in_words(str(error))
            if choices := _choices(known[name].type):
                reason = f"expected one of {choices}, got {shown(str(value))[:100]}"
            raise _error(where, f"{owner}: {name}: {reason}", _listed("", known)) from None
        except TypeError as error:  # an annotation that msgspec does not know
            raise PluginError(f"{owner}: its option {name} can't be checked: {error}") from None
    missing = [
        name
        for name, option in known.items()
        if option.default is inspect.Parameter.empty and name not in checked
    ]
    if missing:
        listed = ", ".join(missing)
        raise _error(where, f"{owner} needs the option {listed}", _listed("", known))
    return checked


def made(
    owner: str,
    function: Callable[..., Any],
    *arguments: Any,  # noqa: ANN401 - whatever the function takes
    options: Mapping[str, Any],
) -> Any:  # noqa: ANN401 - whatever the function makes
    """Call ``function`` with checked options; what it does not like of them is a UsageError."""
    try:
        return function(*arguments, **options)
    except ValueError as error:
        if not options:
            raise
        given = shown(", ".join(f"{name}={value}" for name, value in options.items()))[:300]
        reason = shown(" ".join(str(error).split()))[:500]
        raise UsageError(f"{owner} can't be made with {given}: {reason}") from error


def parse_assignments(assignments: list[str], option: str) -> dict[str, Text]:
    """Take ``NAME=VALUE`` apart. Raises UsageError that names ``option`` and the text."""
    parsed = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"{option} {shown(text)}: expected NAME=VALUE", hint=f"As in {option} neighbors=5"
            )
        parsed[name.strip()] = Text(value.strip())
    return parsed


def to_json(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options as they stand in a model: as JSON has them. PluginError for what it can't."""
    try:
        converted: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(options)))
    except (TypeError, UnicodeEncodeError) as error:
        raise PluginError(f"options that can't be kept in a model: {error}") from None
    return converted


def _finite(value: Any) -> Any:  # noqa: ANN401
    """Refuse infinity and the like, which JSON, and so a model, has no word for."""
    for item in value if isinstance(value, (tuple, list)) else [value]:
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError("expected a finite number")
    return value


def _choices(kind: Any) -> str:  # noqa: ANN401
    """List the values of a ``Literal``, alone or in a union."""
    is_literal = typing.get_origin(kind) is typing.Literal
    parts = [kind] if is_literal else typing.get_args(kind)
    found = [
        str(choice)
        for part in parts
        if typing.get_origin(part) is typing.Literal
        for choice in typing.get_args(part)
    ]
    return ", ".join(found)


def _converted(value: Any, kind: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, Text):
        return msgspec.convert(value, kind, strict=True)
    if kind is Any:
        return _guessed(value)
    bare = _without_annotated(kind)
    sequence = typing.get_origin(bare) in {tuple, list} or bare in {tuple, list}
    if sequence and ("," in value or not _scalars(kind)):
        items = [item.strip() for item in value.split(",")]
        return msgspec.convert(items, kind, strict=False)
    if value.lower() in {"none", "null"} and type(None) in typing.get_args(bare):
        return None
    text = value.lower() if bare is bool else str(value)
    parts = typing.get_args(kind) if _is_union(kind) else ()
    if str in parts:  # what else it may be is more likely to be meant
        for part in parts:
            if part not in {str, type(None)}:
                with contextlib.suppress(msgspec.ValidationError):
                    return msgspec.convert(text, part, strict=False)
    return msgspec.convert(text, kind, strict=False)


def _scalars(kind: Any) -> bool:  # noqa: ANN401
    """Tell whether a type is a union that has numbers or text in it, beside a sequence."""
    return _is_union(kind) and bool({bool, int, float, str} & set(typing.get_args(kind)))


def _is_union(kind: Any) -> bool:  # noqa: ANN401
    return typing.get_origin(kind) in {typing.Union, types.UnionType}


def _guessed(value: Text) -> Any:  # noqa: ANN401
    """Take a text for what it looks like, where nothing says what it should be."""
    words = {"none": None, "null": None, "true": True, "false": False}
    if value.lower() in words:
        return words[value.lower()]
    try:
        return json.loads(value)
    except ValueError:
        return str(value)


def _without_annotated(kind: Any) -> Any:  # noqa: ANN401
    """Give the sequence type in ``Annotated[...]`` or ``X | None``, or the type itself."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if _is_union(kind):
        for part in typing.get_args(kind):
            if typing.get_origin(part) in {tuple, list}:
                return part
    return kind


def _error(where: str, message: str, hint: str) -> UsageError:
    return (
        ConfigError(f"{where}: {message}", hint=hint) if where else UsageError(message, hint=hint)
    )


def _listed(name: str, known: Mapping[str, Option]) -> str:
    if not known:
        return "It has no options."
    close = difflib.get_close_matches(name, list(known), n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}Options: {', '.join(str(option) for option in known.values())}."


_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _in_words(message: str) -> str:
    """Put msgspec's words into those of people who don't write Python."""
    message = message[:1].lower() + message[1:]
    message = re.sub(r" - at `\$(.*?)`", r"", message)
    return re.sub(
        r"`([\w| ]+)`",
        lambda match: " or ".join(_WORDS.get(part, part) for part in match[1].split(" | ")),
        message,
    ).replace("`", "")
