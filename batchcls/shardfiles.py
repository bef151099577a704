"""The reports of shards: which of how many each file is, told by its rows, and by its name."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from batchcls.errors import UsageError
from batchcls.records import Status
from batchcls.reportreading import ReportRows
from batchcls.sharding import MOST_SHARDS, Shard, shard_in_name, shard_of
from batchcls.text import disk_bytes, shown

_HINT = "Name the reports of all shards, as `batchcls run --shard` writes them."
# So many rows tell that the number of shards is wrong.
_TELLING = 1000
_NO_COPIES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ShardFile:
    """The report of one shard. ``columns`` are empty where none is known: JSON Lines, no rows.

    ``head`` is what stands in it before the first row. ``place`` is where it lies: of a
    URL, a copy.
    """

    path: str
    place: str
    shard: Shard
    columns: tuple[str, ...]
    head: bytes

    def rows(self) -> ReportRows:
        """Read it anew, with all that stands in each row if it is a text."""
        return ReportRows(self.path, whole=True, copy=self.place, hint=_HINT)

    def check(self, rows: int | None = None) -> None:
        """Raise UsageError where a row is not of the shard, be it of so many ``rows`` alone."""
        deque(islice(self.checked(Counter()), rows), maxlen=0)

    def checked(self, counts: Counter[Status]) -> Iterator[bytes]:
        """Give the path in each row, and count the rows by their statuses.

        Raises UsageError for the first row that is not of the shard.
        """
        rows, shard, before = self.rows(), self.shard, ""
        for path, answer in rows:
            rows.take()
            belongs = shard_of(path, shard.count)
            if belongs != shard.index:
                raise rows.problem(
                    f"{shown(path)} belongs to shard {belongs}/{shard.count}, and the rows before "
                    f"it to {shard}",
                    hint="This is not the report of one shard, or there are more or fewer shards.",
                )
            if path == before:
                raise rows.repeated(path)
            before = path
            counts[answer.status] += 1
            yield disk_bytes(path)


@dataclass(frozen=True)
class Shards:
    """The reports that are there, in the order of their shards, and which are ``missing``."""

    files: list[ShardFile]
    count: int
    missing: list[int]

    @property
    def first(self) -> ShardFile:
        """The first report that tells its columns; the first one where none does."""
        return next((file for file in self.files if file.columns), self.files[0])


def find_shards(
    paths: Sequence[str], count: int | None, copies: Mapping[str, str] = _NO_COPIES
) -> Shards:
    """Tell which shard each report is, of ``count``, or of as many as the names say.

    ``copies`` has a file for each URL among the paths.

    Raises UsageError where that can't be told, where a shard is there twice, and where the columns
    differ. Of each file only the first row is read, if that is enough.
    """
    count = _count_of(paths, count)
    files: dict[int, ShardFile] = {}
    for path in paths:
        file = _identified(path, copies.get(path, path), count)
        other = files.setdefault(file.shard.index, file)
        if other is not file:
            for one in (file, other):  # which may be no shard at all
                one.check()
            raise UsageError(
                f"{shown(other.path)} and {shown(path)}: both are shard {file.shard}",
                hint="Name each report once.",
            )
    missing = [index for index in range(1, count + 1) if index not in files]
    for file in files.values() if missing else ():
        file.check(_TELLING)  # there may be fewer shards
    found = Shards([files[index] for index in sorted(files)], count, missing)
    for file in found.files:
        _check_columns(file, found)
    return found


def numbers(found: Sequence[int]) -> str:
    """Give ascending numbers for people: ``2, 5 to 7``."""
    parts: list[list[int]] = []
    for number in found:
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join(f"{one[0]} to {one[-1]}" if len(one) > 1 else str(one[0]) for one in parts)


def _count_of(paths: Sequence[str], count: int | None) -> int:
    """Read from the names how many shards there are; they must agree. Raises UsageError."""
    told: dict[int, str] = {}
    for path in paths:
        named = _named(path) if count is None else shard_in_name(os.path.basename(path))
        if named is not None:
            told.setdefault(named.count, path)
    if count is not None:
        for other, path in told.items():
            if other != count:
                raise UsageError(
                    f"{shown(path)} is one of {other:,} shards by its name, and --shards is "
                    f"{count:,}",
                    hint="Leave --shards out, or give the file a name that is true.",
                )
        return count
    if len(told) > 1:
        (one, first), (other, second), *_ = told.items()
        raise UsageError(
            f"{shown(first)} is one of {one:,} shards by its name, and {shown(second)} one of "
            f"{other:,}",
            hint="Name the reports of one run in shards.",
        )
    if not told:
        raise UsageError(
            "how many shards there are is not told by the names of the reports",
            hint="--shards 16 tells it, and so do names such as report-03-of-16.csv.",
        )
    return next(iter(told))


def _named(path: str) -> Shard | None:
    """Find the shard in a name, or else in the folder's."""
    folder, name = os.path.split(path)
    return shard_in_name(name) or shard_in_name(folder)


def _identified(path: str, place: str, count: int) -> ShardFile:
    """Read the first row, and let it tell which shard it is; where there is none, let the name."""
    rows = ReportRows(path, whole=True, copy=place, hint=_HINT)
    first = next(iter(rows), None)
    named = _named(path)
    if named is not None and named.count != count:
        named = None
    if first is None:
        if named is None:
            raise UsageError(
                f"{shown(path)}: it has no rows, and its name does not say which of "
                f"{count:,} shards it is",
                hint=f"Call it as `batchcls run` does: report-{Shard(1, count).name}.csv, say.",
            )
        return ShardFile(path, place, named, rows.columns, rows.head)
    shard = Shard(shard_of(first[0], count), count)
    if named is not None and named != shard:
        raise rows.problem(
            f"{shown(first[0])} belongs to shard {shard}, and by its name the file is {named}",
            hint="Name the reports of one run in shards, each with the name that it was given.",
        )
    return ShardFile(path, place, shard, rows.columns, rows.head)


def _check_columns(file: ShardFile, found: Shards) -> None:
    """Raise UsageError where the columns are not those of the first report."""
    first = found.first
    columns = first.columns
    if not file.columns or file.columns == columns:
        return
    lacks = [name for name in columns if name not in file.columns]
    has = [name for name in file.columns if name not in columns]
    parts = [
        f"{verb} {', '.join(map(shown, names[:5]))}{' and more' if len(names) > 5 else ''}"
        for verb, names in (("lacks", lacks), ("has", has))
        if names
    ]
    what = f"it {', and '.join(parts)}" if parts else "the same ones, in another order"
    raise UsageError(
        f"{shown(file.path)}: other columns than in {shown(first.path)}: {what}",
        hint="Make all shards with the same model and the same options.",
    )


def check_count(count: int | None) -> None:
    """Raise UsageError for a number of shards that there can't be."""
    if count is not None and not 1 <= count <= MOST_SHARDS:
        raise UsageError(
            f"--shards {count}: there are from 1 to {MOST_SHARDS:,} shards",
            hint="As many as `batchcls run --shard K/N` was told.",
        )
