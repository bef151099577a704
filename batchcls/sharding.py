"""Shards: one scan, split among processes that know nothing of each other.

Which shard a file belongs to depends on its path in the report alone. It is a promise, the same for
ever and on any machine: the first 8 bytes of the SHA-256 of the path, taken as a big-endian number,
modulo the number of shards, plus 1. The path is taken as its bytes on the disk (in UTF-8 where the
system has characters), without one leading ``./``, which a CSV may have for spreadsheets' sake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from batchcls.errors import ConfigError
from batchcls.text import disk_bytes, shown

if TYPE_CHECKING:
    from batchcls.records import ImageFile, RunSummary

MOST_SHARDS = 100_000
_SHARD = re.compile(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", re.ASCII)
_NAMED = re.compile(r"(?<![0-9])([0-9]{1,6})-of-([0-9]{1,6})(?![0-9])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` parts; ``index`` counts from 1."""

    index: int
    count: int

    def has(self, key: str) -> bool:
        """Tell whether a file belongs to it, by its path in the report."""
        return shard_of(key, self.count) == self.index

    @property
    def name(self) -> str:
        """Give it as a part of a file's name, ``03-of-16``: such names sort."""
        return f"{self.index:0{len(str(self.count))}}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_of(key: str, count: int) -> int:
    """Give the shard that a path in a report belongs to, from 1 to ``count``."""
    digest = sha256(disk_bytes(key.removeprefix("./"))).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


def parse_shard(text: str) -> Shard:
    """Read ``3/16``. Raises ConfigError."""
    match = _SHARD.fullmatch(text)
    shard = Shard(int(match[1]), int(match[2])) if match else None
    if shard is None or not 1 <= shard.index <= shard.count <= MOST_SHARDS:
        raise ConfigError(
            f"run -> shard: {shown(text)!r} is no shard",
            hint="As in 3/16, the third of 16. They are counted from 1, and there are "
            f"{MOST_SHARDS:,} at most.",
        )
    return shard


def shard_in_name(path: str) -> Shard | None:
    """Find what a report's name says of its shard, ``03-of-16``; the last such part counts."""
    found = None
    for match in _NAMED.finditer(path):
        shard = Shard(int(match[1]), int(match[2]))
        if 1 <= shard.index <= shard.count <= MOST_SHARDS:
            found = shard
    return found


@dataclass
class Share:
    """What a shard takes of a scan, or all of it without one; ``summary`` counts what it leaves.

    A folder that can't be listed has its row in one shard's report, as any file. Here it may be
    another shard's, whose process may well have listed it: then no report tells what is missing,
    and the summary must.
    """

    shard: Shard | None
    summary: RunSummary

    def of(self, files: Iterable[ImageFile]) -> Iterator[ImageFile]:
        """Give the files that belong to the shard."""
        return iter(files) if self.shard is None else self._of(self.shard, files)

    def _of(self, shard: Shard, files: Iterable[ImageFile]) -> Iterator[ImageFile]:
        for file in files:
            if shard.has(file.key):
                yield file
                continue
            self.summary.elsewhere += 1
            if file.problem is not None and file.key.endswith("/"):
                self.summary.unlisted += 1
                self.summary.first_unlisted = self.summary.first_unlisted or file
