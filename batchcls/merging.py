"""The reports of shards → the one report that a run over everything would have written.

The files are read as streams, so the memory that it takes does not grow with the number of rows:
once to check every row and to find the order (mergeorder.py), more often only where that is hidden,
and once to write. Before that nothing is written at all.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batchcls.atomic import output_file
from batchcls.errors import BatchclsError, UsageError
from batchcls.mergeorder import OBJECTS, Order, Sorter, found_order, told_order
from batchcls.mergeparts import Beginnings, Parting, Roots, Survey
from batchcls.records import Status
from batchcls.reportreading import suffix_of
from batchcls.shardfiles import ShardFile, Shards
from batchcls.text import disk_bytes, shown

_BATCH = 1000  # rows that are written at once
_ROWS_HELD = 10_000  # of Parquet, in all files together
_OPEN_ANYWAY = 64  # files besides the shards
_NO_ORDER = "the rows are in no order of a scan, and the shards were put one after the other"
_EITHER = (
    "whether the images came from folders or from object storage, which are sorted differently, "
    "can't be told; folders were taken"
)
_NAME_ROOTS = " (name what `batchcls run` was given: --images)"


class Target(Protocol):
    """Where the rows go."""

    notes: list[str]

    def add(self, position: int, row: bytes) -> None:
        """Take the next row of the file at ``position``; ``row`` is all of it, in a text."""
        ...

    def commit(self) -> None:
        """Put the report in its place."""
        ...

    def discard(self) -> None:
        """Leave what was there."""
        ...


class TextTarget:
    """A report that is a text: what stands in a row is written as it is."""

    def __init__(self, output: str, head: bytes) -> None:
        self.notes: list[str] = []
        self._file = output_file(output)
        self._rows = [head]

    def add(self, position: int, row: bytes) -> None:  # noqa: ARG002 - as of any target
        """Take the next row."""
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._flush()

    def commit(self) -> None:
        """Put the report in its place."""
        self._flush()
        self._file.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._file.discard()

    def _flush(self) -> None:
        self._file.write(b"".join(self._rows))
        self._rows.clear()


@dataclass
class Merged:
    """What was merged: how many rows of each status, and, in ``notes``, what is not certain."""

    counts: Counter[Status] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """All rows."""
        return self.counts.total()


def merge(shards: Shards, output: str, roots: Sequence[str], *, told: bool) -> Merged:
    """Write the merged report to ``output``, whole or not at all.

    ``roots`` are the folders that the run was given, as far as that is known; ``told`` by a person,
    and not by a configuration that may be about something else. Raises UsageError for reports that
    are no shards of one run, and as ``output_file`` does.
    """
    allow_open(2 * len(shards.files))
    target = _target(shards, output)
    try:
        merged = Merged()
        order = _order(shards, roots, merged, told=told)
        if order is None:
            for file in shards.files:
                _refuse_repeated(file)
            merged.notes.append(_NO_ORDER)
            _join(shards, target)
        else:
            merged.notes += [f"{order.doubt}{_NAME_ROOTS}"] if order.doubt else []
            if not _interleave(shards, order, target, merged.images):
                merged.notes.append(f"{_EITHER}{_NAME_ROOTS}")
        merged.notes += target.notes
        target.commit()
    except BaseException:
        target.discard()
        raise
    return merged


def _target(shards: Shards, output: str) -> Target:
    if suffix_of(shards.files[0].path) == ".parquet":
        from batchcls.mergeparquet import ParquetTarget

        return ParquetTarget(output, shards)
    return TextTarget(output, shards.first.head)


def _order(shards: Shards, roots: Sequence[str], merged: Merged, *, told: bool) -> Order | None:
    """Check every row, count, and find the order; None where there is none."""
    first = Survey(Beginnings())
    for file in shards.files:
        first.begin()
        for key in file.checked(merged.counts):
            first.add(key)

    def again(parting: Parting) -> Survey:
        survey = Survey(parting)
        for file in shards.files:
            survey.begin()
            if not all(survey.add(key) for key in _keys(file)):
                break
        return survey

    if len(roots) > 1:
        try:
            order = told_order(again(Roots(roots)), roots)
        except UsageError:
            if told:
                raise
            order = None  # the configuration is about other images
        if order is not None:
            return order
    objects = roots[0].startswith(OBJECTS) if len(roots) == 1 else None
    return found_order(first, again, objects=objects)


def _keys(file: ShardFile) -> Iterator[bytes]:
    rows = file.rows()
    for path, _ in rows:
        rows.take()
        yield disk_bytes(path)


def _refuse_repeated(file: ShardFile) -> None:
    """Raise UsageError for a path that is there twice. In an order that would have been seen."""
    rows, seen = file.rows(), set[str]()
    for path, _ in rows:
        rows.take()
        if path in seen:
            raise rows.repeated(path)
        seen.add(path)


def _join(shards: Shards, target: Target) -> None:
    for position, file in enumerate(shards.files):
        rows = file.rows()
        for _ in rows:
            target.add(position, rows.take())


# The rank of the part, what sorts a row there, the file, what would sort it otherwise, the row.
_Item = tuple[int, bytes, int, bytes | None, bytes]


def _interleave(shards: Shards, order: Order, target: Target, images: int) -> bool:
    """Write the rows in their order; tell whether it is the only one that they may have had."""
    streams = [
        _sorted(file, place, order, len(shards.files)) for place, file in enumerate(shards.files)
    ]
    last: tuple[int, bytes] | None = None
    last_other: tuple[int, bytes] = (-1, b"")
    sure = True
    for rank, key, position, other, row in heapq.merge(*streams):
        if last is not None and (rank, key) <= last:
            raise _changed(shards.files[position])
        last = (rank, key)
        if other is not None:
            sure = sure and last_other < (rank, other)
            last_other = (rank, other)
        images -= 1
        target.add(position, row)
    if images:
        raise _changed(shards.files[0])
    return sure


def _sorted(file: ShardFile, position: int, order: Order, files: int) -> Iterator[_Item]:
    rows, sort = file.rows(), Sorter(order)
    rows.batch = _ROWS_HELD // files + 1
    for path, _ in rows:
        key = sort(disk_bytes(path))
        if key is None:
            raise _changed(file)
        yield key[0], key[1], position, key[2], rows.take()


def _changed(file: ShardFile) -> BatchclsError:
    return BatchclsError(
        f"{shown(file.path)}: it was changed while it was read",
        hint="No report was written. Merge the shards once all of them are done.",
    )


def allow_open(count: int) -> None:
    """Let this process have so many files open at once. Raises BatchclsError where it may not."""
    try:
        import resource
    except ImportError:  # Windows
        return
    needed = count + _OPEN_ANYWAY
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BatchclsError(
            f"{needed:,} files must be open at once, and the system allows {hard:,}",
            hint="Raise the limit of open files (ulimit -n, LimitNOFILE), or make fewer shards.",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
