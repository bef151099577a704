"""Going through a list of checks, and telling in one message all that failed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from batchcls.errors import fault_of

Subject = TypeVar("Subject")
# What a check finds wrong, a sentence each.
Problems = Iterator["str | RaisedError"]

# A check that goes through many cases says the same many times.
_MOST_PROBLEMS = 4


class ConformanceError(AssertionError):
    """Checks that failed. ``failures`` has what is wrong, by the name of the check.

    ``unchecked`` has the checks that could not be done, and why.
    """

    def __init__(
        self, text: str, failures: Mapping[str, str], unchecked: Mapping[str, str]
    ) -> None:
        super().__init__(text)
        self.failures = failures
        self.unchecked = unchecked


class NotCheckedWarning(UserWarning):
    """A check that could not be done. Skip it with a reason, and it is not told again."""


class CannotCheckError(Exception):
    """Raised by a check for want of something that is no fault of what is checked."""


class RaisedError(Exception):
    """The author's code raised something; the text says in what, and where."""

    def amid(self, what: str) -> RaisedError:
        """Say more of what was being done."""
        more = RaisedError(f"{what}: {self}")
        more.__cause__ = self.__cause__
        return more


@dataclass(frozen=True)
class Check(Generic[Subject]):
    """One check: ``rule`` is what is due; ``needs`` must have passed for it to make sense."""

    name: str
    rule: str
    run: Callable[[Subject], Problems]
    needs: tuple[str, ...]


def adder(
    checks: list[Check[Subject]],
) -> Callable[..., Callable[[Callable[[Subject], Problems]], Callable[[Subject], Problems]]]:
    """Give a decorator, ``@check(name, rule, *needs)``, that adds to a list of checks."""

    def check(
        name: str, rule: str, *needs: str
    ) -> Callable[[Callable[[Subject], Problems]], Callable[[Subject], Problems]]:
        def add(function: Callable[[Subject], Problems]) -> Callable[[Subject], Problems]:
            checks.append(Check(name, rule, function, needs))
            return function

        return add

    return check


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Run the author's code; what it raises becomes a RaisedError that says what was done."""
    try:
        yield
    except Exception as error:
        raise RaisedError(fault_of(what, error).reason) from error


def called(name: str, options: Mapping[str, Any]) -> str:
    """Give ``name, a=1, b=2``: what a function was called with."""
    return ", ".join([name, *(f"{option}={value!r}" for option, value in options.items())])


def run(
    checks: Sequence[Check[Subject]], subject: Subject, what: str, skip: Mapping[str, str]
) -> None:
    """Do all checks but those of ``skip``; ConformanceError says what failed."""
    __tracebackhide__ = True
    _refuse_strange(skip, [check.name for check in checks])
    failures: dict[str, str] = {}
    unchecked: dict[str, str] = {}
    cause: BaseException | None = None
    for check in checks:
        if check.name in skip:
            continue
        broken = [need for need in check.needs if need in failures or need in unchecked]
        if broken:
            # The reason of what it needs, or that itself: what is at the root.
            unchecked[check.name] = unchecked.get(broken[0], f"needs {broken[0]}")
            continue
        found: list[str] = []
        try:
            for problem in check.run(subject):
                found.append(str(problem))
                cause = cause or getattr(problem, "__cause__", None)
        except CannotCheckError as error:
            unchecked[check.name] = str(error)
        except RaisedError as error:
            found.append(str(error))
            cause = cause or error.__cause__
        except Exception as error:  # noqa: BLE001 - what came is of a kind that can't be checked
            found.append(fault_of("a look at what it gave", error).reason)
            cause = cause or error
        if found:
            failures[check.name] = f"{check.rule}\n{_listed(found)}"
    if failures:
        text = _text(what, len(checks), failures, unchecked, skip)
        raise ConformanceError(text, failures, unchecked) from cause
    for reason, names in _by_reason(unchecked):
        message = f"{what}: not checked: {', '.join(names)}: {reason} (or give a skip=)"
        warnings.warn(message, NotCheckedWarning, stacklevel=3)


def _refuse_strange(skip: Mapping[str, str], names: Sequence[str]) -> None:
    for name, reason in skip.items():
        if name not in names:
            raise ValueError(f"skip: there is no check {name!r}; there is: {', '.join(names)}")
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"skip: say why {name!r} is to be skipped")


def _by_reason(unchecked: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    for reason in dict.fromkeys(unchecked.values()):
        yield reason, [name for name, why in unchecked.items() if why == reason]


def _listed(found: Sequence[str]) -> str:
    shown = [f"  - {problem}" for problem in found[:_MOST_PROBLEMS]]
    if len(found) > _MOST_PROBLEMS:
        shown.append(f"  - and {len(found) - _MOST_PROBLEMS} more of the kind")
    return "\n".join(shown)


def _text(
    what: str,
    total: int,
    failures: Mapping[str, str],
    unchecked: Mapping[str, str],
    skip: Mapping[str, str],
) -> str:
    parts = [f"{what}: {len(failures)} of {total} checks failed"]
    parts += [f"{name}: {text}" for name, text in failures.items()]
    if unchecked:
        listed = [f"  - {reason}: {', '.join(names)}" for reason, names in _by_reason(unchecked)]
        parts.append("Not checked:\n" + "\n".join(listed))
    if skip:
        listed = [f"  - {name}: {reason}" for name, reason in skip.items()]
        parts.append("Skipped:\n" + "\n".join(listed))
    return "\n\n".join(parts)
