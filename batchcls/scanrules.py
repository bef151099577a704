"""Which files count as images: by extension, patterns, and the like."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from batchcls.errors import UsageError

if TYPE_CHECKING:
    from pathspec import PathSpec

# A report that is being written, or was left by a run that was killed (atomic.py), or its lock.
_OURS, _ENDINGS = ".batchcls-", (".tmp", ".lock")


@dataclass(frozen=True)
class ScanRules:
    """Which files are taken.

    ``suffixes`` are lower-case, with the dot. ``include`` and ``exclude`` are patterns as in a
    ``.gitignore`` (``thumbs/``, ``*.gif``, ``2023/**/raw``), matched against the path below the
    folder that is scanned. ``skip`` holds absolute paths, their folders free of links, that are
    never taken: the report itself.
    """

    suffixes: Container[str]
    all_files: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    hidden: bool = False
    follow_links: bool = False
    skip: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def _include(self) -> PathSpec[Any] | None:
        return _patterns("include", self.include)

    @cached_property
    def _exclude(self) -> PathSpec[Any] | None:
        return _patterns("exclude", self.exclude)

    def wants_folder(self, name: str, below: str) -> bool:
        """Whether to go down into a folder; ``below`` is its path below the scanned one."""
        if name.startswith(".") and not self.hidden:
            return False
        return self._exclude is None or not self._exclude.match_file(below + "/")

    def wants_file(self, name: str, below: str) -> bool:
        """Whether a file counts as an image."""
        if name.startswith(".") and (not self.hidden or _is_unfinished(name)):
            return False
        if not (self.all_files or self.is_image_name(name)):
            return False
        if self._include is not None and not self._include.match_file(below):
            return False
        return self._exclude is None or not self._exclude.match_file(below)

    def is_image_name(self, name: str) -> bool:
        """Whether the extension is one of an image, in any case."""
        return os.path.splitext(name)[1].lower() in self.suffixes

    def check(self) -> None:
        """Raise UsageError where ``include`` or ``exclude`` holds what is no pattern."""
        _ = self._include, self._exclude


def _is_unfinished(name: str) -> bool:
    return name.startswith(_OURS) and name.endswith(_ENDINGS)


def _patterns(option: str, lines: Sequence[str]) -> PathSpec[Any] | None:
    if not lines:
        return None
    from pathspec import PathSpec

    try:
        return PathSpec.from_lines("gitignore", lines)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint="Patterns are those of a .gitignore.") from None
