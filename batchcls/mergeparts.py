"""The paths of a merged report in parts, and what the reports of shards say of their order.

A part is a root that was told, or else whatever paths begin with, as finely as it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batchcls.locations import is_url, path_or_url, without_secrets
from batchcls.reportreading import on_disk
from batchcls.text import disk_bytes

# With more parts than this the rows are in no order that can be found.
MOST_PARTS = 10_000
# Behind all that a folder has: no name in UTF-8 begins like this.
_BEHIND = b"\xff\xff"

Part = bytes | int


class Parting(Protocol):
    """Tells which part a path belongs to, and what of it decides the order there."""

    def place(self, key: bytes) -> tuple[Part, bytes] | None:
        """Give the part, and the path within it; None where it belongs to none."""
        ...


class Roots:
    """Parts by the roots, which were told: numbers in their order."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._prefixes: dict[bytes, int] = {}
        for index, root in enumerate(roots):
            name = path_or_url(root)  # as scan.py has it
            name = without_secrets(name) if is_url(name) else name.replace(os.sep, "/")
            name = on_disk(name)
            self._prefixes.setdefault(disk_bytes(name.rstrip("/") + "/"), index)
        self._folder: tuple[bytes, bytes | None] = (b"", None)

    def place(self, key: bytes) -> tuple[Part, bytes] | None:
        """Find the longest root that a path begins with; it may be the path itself."""
        index = self._prefixes.get(key + b"/")
        if index is not None:
            return index, b""
        for path in (key, b"./" + key):  # a report may lack it, and "." be a root
            prefix = self._prefix_of(path[: path.rfind(b"/") + 1])
            if prefix is not None:
                return self._prefixes[prefix], path[len(prefix) :]
        return None

    def _prefix_of(self, folder: bytes) -> bytes | None:
        if self._folder[0] != folder:
            prefix = folder
            while prefix and prefix not in self._prefixes:
                prefix = prefix[: prefix.rfind(b"/", 0, -1) + 1]
            self._folder = (folder, prefix or None)
        return self._folder[1]


class Beginnings:
    """Parts by what paths begin with: all are one, until that is split."""

    def __init__(self) -> None:
        self._splits: dict[bytes, bytes] = {}

    def place(self, key: bytes) -> tuple[Part, bytes]:
        """Find the part: the first folders of the path, or all of it."""
        part = b""
        while (start := self._splits.get(part)) is not None:
            end = key.find(b"/", len(start) or 1)
            part = key if end < 0 else key[:end]
        return part, key

    def split(self, part: bytes, start: bytes) -> bool:
        """Part the paths in ``part``, which all begin with ``start``, by what comes next.

        Tell whether that is possible.
        """
        if part and not start.startswith(part + b"/"):
            return False  # it is a path itself
        self._splits[part] = start
        return True


@dataclass
class Facts:
    """What all shards say of a part: how its rows are sorted, if they are, and ``together``.

    ``start`` is what all paths begin with, up to a slash.
    """

    start: bytes
    by_folder: bool = True
    by_key: bool = True
    together: bool = True

    @property
    def in_order(self) -> bool:
        """Whether it is in some order."""
        return self.together and (self.by_folder or self.by_key)


@dataclass
class Survey:
    """What the rows of all shards, each in turn, say of their order."""

    parting: Parting
    facts: dict[Part, Facts] = field(default_factory=dict)
    steps: set[tuple[Part, Part]] = field(default_factory=set)
    lost: bytes | None = None
    """A path that belongs to no part."""
    _seen: set[Part] = field(default_factory=set)
    _part: Part | None = None
    _last: tuple[bytes, bytes] = (b"", b"")

    def begin(self) -> None:
        """Go on to the next shard."""
        self._seen, self._part = set(), None

    def add(self, key: bytes) -> bool:
        """Take in a path; tell whether there is any use in going on."""
        placed = self.parting.place(key)
        if placed is None:
            self.lost = key
            return False
        part, within = placed
        if part != self._part:
            self._enter(part, within)
            if len(self.facts) > MOST_PARTS:
                return False
        facts = self.facts[part]
        last_key, last_place = self._last
        place = sorted_by(within, last_key if self._part == part else None)
        if self._part == part:
            facts.by_key = facts.by_key and last_place < place
            facts.by_folder = facts.by_folder and folded(last_place) < folded(place)
        while not within.startswith(facts.start):
            facts.start = facts.start[: facts.start.rfind(b"/", 0, -1) + 1]
        self._part, self._last = part, (within, place)
        return True

    def _enter(self, part: Part, within: bytes) -> None:
        facts = self.facts.setdefault(part, Facts(within[: within.rfind(b"/") + 1]))
        facts.together = facts.together and part not in self._seen
        self._seen.add(part)
        if self._part is not None:
            self.steps.add((self._part, part))


def sorted_by(key: bytes, before: bytes | None) -> bytes:
    """Give what a path is sorted by; ``before`` is the path of the row before it in its part.

    The row of a folder that can't be listed comes before all that is in it, and that of a listing
    that broke off after what it gave.
    """
    if key and not key.endswith(b"/"):
        return key
    folder = b"" if key == b"./" else key
    return folder + _BEHIND if before is not None and before.startswith(folder) else folder


def folded(key: bytes) -> bytes:
    """Give what sorts as the names in a path do, one after the other."""
    return key.replace(b"/", b"\0")
