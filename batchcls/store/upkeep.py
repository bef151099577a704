"""Keeping the store small: what is in it, and taking out what is of no more use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from batchcls.errors import UsageError
from batchcls.store.schema import (
    APPLICATION_ID,
    StoreError,
    database_path,
    open_database,
    transaction,
    trouble,
)
from batchcls.store.store import USED_DAYS
from batchcls.text import shown

_DAY = 86_400
_BATCH = 1000
_VACUUM = 8 * 2**20  # bytes
# SQLite's file format: the magic, and where the application's number stands.
_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = 68
_OF_CONTENTS = ("features", "prediction", "failure", "file")
# Beside a database, what SQLite keeps while it is in use.
_BESIDE = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds. ``size`` is in bytes; ``ways`` counts results by what they are."""

    path: str
    size: int = 0
    files: int = 0
    contents: int = 0
    unreadable: int = 0
    reported: int = 0
    ways: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Pruned:
    """What was taken out."""

    files: int = 0
    contents: int = 0
    bytes: int = 0


def store_info(folder: str) -> StoreInfo:
    """Tell what the store in ``folder`` holds. Raises StoreError."""
    path = database_path(folder)
    if not os.path.exists(path):
        return StoreInfo(path)
    with _opened(folder) as database:
        counts = {
            table: int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
            for table in ("file", "content", "failure", "reported")
        }
        ways = [
            (str(title), int(count))
            for table in ("features", "prediction")
            for title, count in database.execute(
                f"SELECT title, count(*) FROM {table} JOIN way ON way.id = way"  # noqa: S608
                " GROUP BY way ORDER BY title"
            )
        ]
    size = sum(os.path.getsize(path + end) for end in _BESIDE if os.path.exists(path + end))
    return StoreInfo(
        path,
        size,
        counts["file"],
        counts["content"],
        counts["failure"],
        counts["reported"],
        ways,
    )


def prune(
    folder: str,
    *,
    gone: bool = False,
    unused_days: float | None = None,
    max_bytes: int | None = None,
) -> Pruned:
    """Take out files that are ``gone``, what no run has used for so long, and what is too much.

    Of what is too much, that which no run has used for the longest time goes first. Raises
    StoreError.
    """
    pruned = Pruned()
    if not os.path.exists(database_path(folder)):
        return pruned
    with _opened(folder) as database:
        before = _used_bytes(database)
        if gone:
            _prune_gone(database, pruned)
        if unused_days is not None:
            # The day of the last use is written down when the former is that old.
            day = int(time.time() / _DAY - unused_days) - USED_DAYS
            query = "SELECT id FROM content WHERE id > ? AND used <= ? ORDER BY id"
            _prune_contents(database, pruned, query, [day])
        while max_bytes is not None and _used_bytes(database) > max_bytes:
            query = "SELECT id FROM content WHERE id > ? ORDER BY used, id"
            if not _prune_contents(database, pruned, query, [], once=True):
                break
        _forget_ways(database)
        pages = _VACUUM // _pragma(database, "page_size")
        for _ in range(0, _pragma(database, "freelist_count"), pages):
            # Bit by bit, so that runs need not wait. (`execute` would free a single page.)
            database.executescript(f"PRAGMA incremental_vacuum({pages})")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        pruned.bytes = max(0, before - _used_bytes(database))
    return pruned


def shrink(folder: str, max_gigabytes: float) -> Pruned:
    """Make the store fit again where it has grown beyond its limit, with room for some nights."""
    limit = int(max_gigabytes * 1e9)
    path = database_path(folder)
    if not limit or not os.path.exists(path) or os.path.getsize(path) <= limit:
        return Pruned()
    return prune(folder, max_bytes=int(0.9 * limit))


def clear(folder: str, *, reported: bool = False) -> bool:
    """Delete what the store in ``folder`` holds; give whether there was one.

    What reports had, which `run --new-only` goes by, stays, unless ``reported``: it can't be
    computed again. (In a store that is damaged it is lost.) Raises UsageError, StoreError.
    """
    path = database_path(folder)
    try:
        with open(path, "rb") as file:
            head = file.read(_APPLICATION_AT + 4)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{shown(path)}: {error.strerror or error}") from error
    application = int.from_bytes(head[_APPLICATION_AT:], "big")
    if head.startswith(_MAGIC) and application != APPLICATION_ID:
        raise UsageError(
            f"{shown(path)}: another program's database, not a store of batchcls",
            hint="It was left as it is. Name the store's folder (store.folder).",
        )
    if not reported and _emptied(folder):
        return True
    for end in _BESIDE:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + end)
        except OSError as error:
            raise StoreError(f"{shown(path + end)}: {error.strerror or error}") from error
    return True


def _emptied(folder: str) -> bool:
    """Take out all but what reports had; False where that is nothing, or can't be done."""
    try:
        with _opened(folder) as database:
            if database.execute("SELECT 1 FROM reported LIMIT 1").fetchone() is None:
                return False
            with transaction(database):
                for table in (*_OF_CONTENTS, "content", "way", "note"):
                    database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            database.execute("VACUUM")
            return True
    except StoreError:
        return False


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[sqlite3.Connection]:
    database = open_database(folder)
    try:
        yield database
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise trouble(database_path(folder), error) from error
    finally:
        database.close()


def _used_bytes(database: sqlite3.Connection) -> int:
    used = _pragma(database, "page_count") - _pragma(database, "freelist_count")
    return used * _pragma(database, "page_size")


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _prune_gone(database: sqlite3.Connection, pruned: Pruned) -> None:
    last = b""
    folders: dict[bytes, bool] = {}
    while True:
        rows = database.execute(
            "SELECT path FROM file WHERE path > ? ORDER BY path LIMIT ?", [last, _BATCH]
        ).fetchall()
        if not rows:
            break
        last = rows[-1][0]
        missing = [path for (path,) in rows if _is_gone(path, folders)]
        with transaction(database):
            database.executemany("DELETE FROM file WHERE path = ?", [(path,) for path in missing])
        pruned.files += len(missing)
    orphans = (
        "SELECT id FROM content WHERE id > ?"
        " AND NOT EXISTS (SELECT 1 FROM file WHERE file.content = content.id) ORDER BY id"
    )
    _prune_contents(database, pruned, orphans, [])


def _is_gone(path: bytes, folders: dict[bytes, bool]) -> bool:
    """Tell whether a file is gone; not so if its disk may just not be mounted."""
    if os.path.lexists(path):
        return False
    folder = os.path.dirname(path)
    if folder not in folders:
        if len(folders) > _BATCH:
            folders.clear()
        folders[folder] = _may_be_unmounted(folder)
    return not folders[folder]


def _may_be_unmounted(folder: bytes) -> bool:
    """Tell whether the nearest folder that is there is empty, as one is that waits for a disk."""
    if os.path.isdir(folder):
        return False
    while not os.path.isdir(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return True  # a drive that is not there
        folder = above
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _prune_contents(
    database: sqlite3.Connection,
    pruned: Pruned,
    query: str,
    values: list[int],
    *,
    once: bool = False,
) -> bool:
    """Take out the contents that a query gives, with all that is known of them.

    Its first value is the id that those of the last batch ended with.
    """
    last = -1
    while True:
        found = database.execute(f"{query} LIMIT {_BATCH}", [last, *values]).fetchall()
        if not found:
            return last >= 0
        last = found[-1][0]
        with transaction(database):
            for table in _OF_CONTENTS:
                cursor = database.executemany(
                    f"DELETE FROM {table} WHERE content = ?",  # noqa: S608 - a name of ours
                    found,
                )
                if table == "file":
                    pruned.files += cursor.rowcount
            database.executemany("DELETE FROM content WHERE id = ?", found)
        pruned.contents += len(found)
        if once:
            return True


def _forget_ways(database: sqlite3.Connection) -> None:
    """Forget ways of computing that nothing is left of."""
    used = " UNION ".join(
        f"SELECT way FROM {table}"  # noqa: S608 - names of ours
        for table in ("features", "prediction", "failure")
    )
    old = int(time.time() / _DAY) - USED_DAYS
    with transaction(database):
        database.execute(f"DELETE FROM way WHERE used <= ? AND id NOT IN ({used})", [old])  # noqa: S608
