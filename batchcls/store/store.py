"""The store itself: questions and answers, in SQL. Safe to share between threads.

Whatever goes wrong (a full disk, a damaged file, another run that holds it too long) is told once,
and from then on it knows nothing and keeps nothing: no run ends because of its store.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from batchcls.reading import Identity
from batchcls.store.rows import file_checksum, file_row, sealed, unsealed
from batchcls.store.schema import StoreError, database_path, open_database, transaction, trouble

Result = TypeVar("Result")

# A content's last use is written down when the former is this old: not every night anew. `prune`
# allows for it.
USED_DAYS = 7
# What a power cut may cost, in seconds and contents; the death of a process costs no commit.
_DURABLE_SECONDS = 1.0
_DURABLE_CONTENTS = 32
_DAY = 86_400

_RECALL = """
SELECT file.path, size, modified, changed, inode, file.content, checksum,
    content.digest, content.used, prediction.data, failure.data
FROM file JOIN content ON content.id = file.content
LEFT JOIN prediction ON prediction.content = file.content AND prediction.way = ?
LEFT JOIN failure ON failure.content = file.content AND failure.way = ?
WHERE file.path IN
"""
_PUT_FILE = "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_FEATURES = "INSERT OR REPLACE INTO features (content, way, data) VALUES (?, ?, ?)"
_PUT_PREDICTION = "INSERT OR REPLACE INTO prediction VALUES (?, ?, ?)"
_PUT_FAILURE = "INSERT OR REPLACE INTO failure VALUES (?, ?, ?)"


class Recalled(NamedTuple):
    """What is known of a file that is as it was: its content, and what came of that."""

    content: int
    digest: bytes
    prediction: bytes | None
    failure: str | None


@dataclass(slots=True)
class Finding:
    """What was found out about a file, to be kept.

    ``identity`` is None where it may not be relied on. ``features`` are by way.
    """

    path: bytes
    digest: bytes
    identity: Identity | None = None
    features: Mapping[int, bytes] = field(default_factory=dict)
    prediction: bytes | None = None
    failure: str | None = None


class Store:
    """An open store. ``warn`` is told when it gives up."""

    def __init__(self, folder: str, warn: Callable[[str], None]) -> None:
        """Open the store in ``folder``. Raises StoreError."""
        self._path = database_path(folder)
        self._connection: sqlite3.Connection | None = open_database(folder)
        self._warn = warn
        self._lock = threading.RLock()
        self._today = int(time.time() // _DAY)
        self._durable = time.monotonic()
        self._at_risk = 0
        self._syncing: bool | None = None

    @property
    def working(self) -> bool:
        """Whether it hasn't given up."""
        return self._connection is not None

    def close(self) -> None:
        """Close it; everything recorded is kept."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def way(self, name: str, title: str) -> int:
        """Give the id of a way of computing; ``name`` is what decides the results, all of it.

        ``title`` is for people.
        """

        def find(database: sqlite3.Connection) -> int:
            row = database.execute("SELECT id, used FROM way WHERE name = ?", [name]).fetchone()
            if row is not None and row[1] > self._today - USED_DAYS:
                return int(row[0])
            with self.transaction(database):
                database.execute(
                    "INSERT INTO way (name, title, used) VALUES (?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET used = excluded.used",
                    [name, title, self._today],
                )
            [id_] = database.execute("SELECT id FROM way WHERE name = ?", [name]).fetchone()
            return int(id_)

        return self.attempt(find, -1)

    def note(self, name: str) -> str | None:
        """Give what was noted under a name."""

        def find(database: sqlite3.Connection) -> str | None:
            row = database.execute("SELECT value FROM note WHERE name = ?", [name]).fetchone()
            value = None if row is None else unsealed(name.encode(), 0, row[0])
            return None if value is None else value.decode()

        return self.attempt(find, None)

    def set_note(self, name: str, value: str) -> None:
        """Note something."""

        def write(database: sqlite3.Connection) -> None:
            with self.transaction(database):
                row = sealed(name.encode(), 0, value.encode())
                database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", [name, row])

        self.attempt(write, None)

    def recall(
        self, files: Sequence[tuple[bytes, Identity | None]], predicting: int, failing: int
    ) -> list[Recalled | None]:
        """Say what is known of each file, path and identity: None where it was not seen as it is.

        Of the predictions those of the way ``predicting``, of the failures those of ``failing``.
        """
        nothing: list[Recalled | None] = [None] * len(files)

        def find(database: sqlite3.Connection) -> list[Recalled | None]:
            marks = ",".join("?" * len(files))
            rows = database.execute(
                f"{_RECALL} ({marks})", [predicting, failing, *(path for path, _ in files)]
            )
            found = {}
            stale = []
            for path, *numbers, content, checksum, digest, used, prediction, failure in rows:
                identity = Identity(*numbers)
                sound = isinstance(path, bytes) and isinstance(digest, bytes)
                if not sound or checksum != file_checksum(path, identity, content):
                    continue
                found[path] = (
                    identity,
                    Recalled(
                        content,
                        digest,
                        unsealed(digest, predicting, prediction),
                        _reason(digest, failing, failure),
                    ),
                )
                if not isinstance(used, int) or used <= self._today - USED_DAYS:
                    stale.append(content)
            if stale:
                with self.transaction(database):
                    database.executemany(
                        "UPDATE content SET used = ? WHERE id = ?",
                        [(self._today, content) for content in stale],
                    )
            known = [found.get(path, (None, None)) for path, _ in files]
            return [
                recalled if identity is not None and identity == before else None
                for (before, recalled), (_, identity) in zip(known, files, strict=True)
            ]

        return self.attempt(find, nothing)

    def content(self, digest: bytes, failing: int) -> tuple[int, str | None] | None:
        """Give the id of a content, and why it can't be decoded, if that is known."""

        def find(database: sqlite3.Connection) -> tuple[int, str | None] | None:
            row = database.execute(
                "SELECT id, failure.data FROM content LEFT JOIN failure"
                " ON failure.content = id AND failure.way = ? WHERE digest = ?",
                [failing, digest],
            ).fetchone()
            return None if row is None else (row[0], _reason(digest, failing, row[1]))

        return self.attempt(find, None)

    def features(self, content: int, digest: bytes, ways: Sequence[int]) -> list[bytes] | None:
        """Give the features of a content by each of ``ways``; None where one is not kept."""

        def find(database: sqlite3.Connection) -> list[bytes] | None:
            found = []
            for way in ways:
                row = database.execute(
                    "SELECT data FROM features WHERE content = ? AND way = ?", [content, way]
                ).fetchone()
                data = None if row is None else unsealed(digest, way, row[0])
                if data is None:
                    return None
                found.append(data)
            return found

        return self.attempt(find, None)

    def record(self, findings: Sequence[Finding], predicting: int, failing: int) -> None:
        """Keep findings, all of them or none; the process may die right after."""
        if not findings:
            return
        # Before the lock is taken, whatever can be.
        features, predictions, failures = [], [], []
        for finding in findings:
            digest = finding.digest
            for way, data in finding.features.items():
                features.append((digest, way, sealed(digest, way, data)))
            if finding.prediction is not None:
                data = sealed(digest, predicting, finding.prediction)
                predictions.append((digest, predicting, data))
            if finding.failure is not None:
                reason = finding.failure.encode("utf-8", "replace")
                failures.append((digest, failing, sealed(digest, failing, reason)))

        def write(database: sqlite3.Connection) -> None:
            with self.transaction(database, contents=len(findings)):
                ids = {one.digest: self._content(database, one.digest) for one in findings}
                files = [
                    file_row(one.path, one.identity, ids[one.digest])
                    for one in findings
                    if one.identity is not None
                ]
                database.executemany(_PUT_FILE, files)
                for statement, rows in (
                    (_PUT_FEATURES, features),
                    (_PUT_PREDICTION, predictions),
                    (_PUT_FAILURE, failures),
                ):
                    if rows:
                        found = [(ids[digest], way, data) for digest, way, data in rows]
                        database.executemany(statement, found)

        self.attempt(write, None)

    def _content(self, database: sqlite3.Connection, digest: bytes) -> int:
        row = database.execute("SELECT id FROM content WHERE digest = ?", [digest]).fetchone()
        if row is not None:
            return int(row[0])
        cursor = database.execute(
            "INSERT INTO content (digest, used) VALUES (?, ?)", [digest, self._today]
        )
        return int(cursor.lastrowid or 0)

    def attempt(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Do some work with the database; gives ``otherwise`` where the store has given up."""
        with self._lock:
            if self._connection is None:
                return otherwise
            try:
                return work(self._connection)
            except (sqlite3.Error, OverflowError, TypeError, ValueError, struct.error) as error:
                # Those that aren't SQLite's: something stands in it that was never written.
                self._give_up(trouble(self._path, error))
            return otherwise

    def _give_up(self, error: StoreError) -> None:
        self.close()
        self._warn(f"the store: {error.message}; going on without it. {error.hint}".rstrip())

    @contextlib.contextmanager
    def transaction(self, database: sqlite3.Connection, contents: int = 0) -> Iterator[None]:
        """Do what follows wholly or not at all; now and then so that no power cut undoes it."""
        self._at_risk += contents
        due = (
            self._at_risk >= _DURABLE_CONTENTS
            or time.monotonic() > self._durable + _DURABLE_SECONDS
        )
        if due is not self._syncing:
            database.execute(f"PRAGMA synchronous = {'FULL' if due else 'NORMAL'}")
            self._syncing = due
        with transaction(database):
            yield
        if due:
            self._at_risk, self._durable = 0, time.monotonic()


def _reason(digest: bytes, failing: int, row: object) -> str | None:
    reason = unsealed(digest, failing, row)
    return None if reason is None else reason.decode("utf-8", "replace")
