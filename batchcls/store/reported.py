"""What former reports had, so that a report can have only what is new.

A path with its content is new once: when it first comes, and again when its content changes. What
could not be read for a reason that may pass is new until it can be. The record is kept in the store
for each report by its name; the last report itself counts, too, so that nothing is reported again
just because the first runs were of everything.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO

from batchcls.errors import BatchclsError, UsageError
from batchcls.locations import is_url
from batchcls.records import Outcome, Status
from batchcls.reportreading import ReportRows, suffix_of
from batchcls.store.store import Store

_BATCH = 1000
# What this run reports, until the report is in its place.
_PENDING = "pending:"


class Reported:
    """The record of one report. ``name`` tells reports apart: the absolute path, or template.

    ``failing`` names what decides whether a file can be decoded: an error is reported once for it.
    One run at a time may use it.
    """

    def __init__(self, store: Store, name: str, failing: str) -> None:
        self._store = store
        self._name = os.fsencode(name).decode("utf-8", "backslashreplace")
        self._failing = failing.encode()
        self._batch: list[tuple[str, bytes, bytes | None]] = []
        self._again: set[bytes] = set()
        self._change("DELETE FROM reported WHERE report = ?", [(_PENDING + self._name,)])

    def add_former(self, path: str) -> None:
        """Let what the report at ``path`` has count as reported, if it is one.

        But for errors: as the content is not known, they would never be new again.
        """
        rows = (cell for cell, is_error in _rows_of(path) if not is_error)
        while batch := list(islice(rows, _BATCH)):
            self._change(
                "INSERT OR IGNORE INTO reported VALUES (?, ?, NULL)",
                [(self._name, cell) for cell in batch],
            )

    def add_present(self, path: str) -> None:
        """Let what the report at ``path`` has be reported again: it is about to be replaced."""
        self._again.update(cell for cell, _ in _rows_of(path))

    def is_new(self, outcome: Outcome) -> bool:
        """Tell whether no former report had this; from now on this one has it."""
        prediction = outcome.prediction
        path, digest = _bytes(prediction.path), outcome.digest
        if prediction.status is Status.ERROR:
            # What can be cured comes again until it is; and so does all when decoders change.
            lasting = outcome.lasting and digest is not None
            digest = hashlib.sha256((digest or b"") + self._failing).digest() if lasting else None

        def find(database: sqlite3.Connection) -> tuple[bytes | None] | None:
            row: tuple[bytes | None] | None = database.execute(
                "SELECT digest FROM reported WHERE report = ? AND path = ?", [self._name, path]
            ).fetchone()
            return row

        row = self._store.attempt(find, None)
        self._check()
        known = row is not None and row[0] in {None, digest}
        if digest is not None and (row is None or row[0] != digest):
            self._batch.append((_PENDING + self._name, path, digest))
            if len(self._batch) >= _BATCH:
                self._flush()
        return not known or path in self._again

    def commit(self) -> None:
        """Keep what this run has reported. To be called when the report is in its place."""
        self._flush()
        pending = _PENDING + self._name

        def move(database: sqlite3.Connection) -> None:
            with self._store.transaction(database):
                database.execute(
                    "INSERT OR REPLACE INTO reported"
                    " SELECT ?, path, digest FROM reported WHERE report = ?",
                    [self._name, pending],
                )
                database.execute("DELETE FROM reported WHERE report = ?", [pending])

        self._store.attempt(move, None)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        self._change("INSERT OR REPLACE INTO reported VALUES (?, ?, ?)", batch)

    def _change(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        def write(database: sqlite3.Connection) -> None:
            with self._store.transaction(database):
                database.executemany(statement, rows)

        self._store.attempt(write, None)
        self._check()

    def _check(self) -> None:
        if not self._store.working:
            raise BatchclsError(
                "the store failed, and so it can't be told which images are new",
                hint="No report was written; the former one is untouched.",
            )


def _rows_of(path: str) -> Iterator[tuple[bytes, bool]]:
    """Yield the paths in a report, and whether of an error; nothing where it isn't one.

    Raises FetchError where it is at a URL, and can't be read. A plugin's format is not known here:
    of such a report the store alone tells what it had.
    """
    if suffix_of(path) in {".jsonl", ".parquet"}:
        with contextlib.suppress(UsageError):
            for name, answer in ReportRows(path):
                yield _bytes(name), answer.status is Status.ERROR
        return
    try:  # as CSV, with whatever a spreadsheet made of the other columns
        with _opened(path) as file:
            rows = csv.DictReader(file)
            if not {"path", "status"} <= set(rows.fieldnames or ()):
                return
            for row in rows:
                if row["path"]:
                    yield _bytes(row["path"]), row["status"] == Status.ERROR.value
    except (OSError, csv.Error, UnicodeError, UsageError):  # UsageError: nothing is at the URL
        return


def _opened(path: str) -> IO[str]:
    if not is_url(path):
        return open(path, encoding="utf-8", errors="surrogateescape", newline="")
    from batchcls.remote.fetching import fetched

    data = io.BytesIO(fetched(path))
    return io.TextIOWrapper(data, encoding="utf-8", errors="surrogateescape", newline="")


def _bytes(path: str) -> bytes:
    return path.removeprefix("./").encode("utf-8", "surrogatepass")
