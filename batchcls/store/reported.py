"""What former reports had, so that a report can have only what is new.

A path with its content is new once: when it first comes, and again when its content changes. What
could not be read at all is new until it can be. The record is kept in the store for each report by
its name; the last report itself counts, too, so that nothing is reported again just because the
first runs were of everything.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice

from batchcls.errors import BatchclsError
from batchcls.records import Outcome, Status
from batchcls.store.store import Store

_BATCH = 1000
# What this run reports, until the report is in its place.
_PENDING = "pending:"


class Reported:
    """The record of one report. ``name`` tells reports apart: the absolute path, or template."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = os.fsencode(name).decode("utf-8", "backslashreplace")
        self._batch: list[tuple[str, bytes, bytes | None]] = []
        self._change("DELETE FROM reported WHERE report = ?", [(_PENDING + self._name,)])

    def add_former(self, path: str) -> None:
        """Let what the report at ``path`` has count as reported, if it is a report in CSV."""
        rows = _rows_of(path)
        while batch := list(islice(rows, _BATCH)):
            self._change(
                "INSERT OR IGNORE INTO reported VALUES (?, ?, NULL)",
                [(self._name, cell) for cell in batch],
            )

    def is_new(self, outcome: Outcome) -> bool:
        """Tell whether no former report had this; from now on this one has it."""
        prediction = outcome.prediction
        path = _bytes(prediction.path)

        def find(database: sqlite3.Connection) -> tuple[bytes | None] | None:
            row: tuple[bytes | None] | None = database.execute(
                "SELECT digest FROM reported WHERE report = ? AND path = ?", [self._name, path]
            ).fetchone()
            return row

        row = self._store.attempt(find, None)
        self._check()
        if row is not None and (row[0] is None or row[0] == outcome.digest):
            return False
        if outcome.digest is not None:
            self._batch.append((_PENDING + self._name, path, outcome.digest))
            if len(self._batch) >= _BATCH:
                self._flush()
        return True

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


def _rows_of(path: str) -> Iterator[bytes]:
    """Yield the paths in a CSV report, as it has them; nothing where it isn't one."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.DictReader(file)
            if not {"path", "status"} <= set(rows.fieldnames or ()):
                return
            for row in rows:
                # Without content, it would never be new again.
                if row["path"] and row["status"] != Status.ERROR.value:
                    yield _bytes(row["path"])
    except (OSError, csv.Error, UnicodeError):
        return


def _bytes(path: str) -> bytes:
    return path.removeprefix("./").encode("utf-8", "surrogatepass")
