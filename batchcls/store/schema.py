"""The store's database: one SQLite file, its tables, and how it is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from batchcls.errors import BatchclsError
from batchcls.text import shown

FILE_NAME = "store.sqlite"
# "bcls", in the header of the file: what else is there is somebody's, and is left alone.
APPLICATION_ID = 0x62636C73
# To be raised with the tables. A store of another version is not read: a newer one belongs to a
# newer batchcls, and of an older one nothing is lost but time.
VERSION = 1
# How long another run's transaction is waited for; each takes milliseconds.
BUSY_SECONDS = 20.0
# Of a new store. A commit writes whole pages, and contents, by their digests, come in no order: of
# 16 KB they are 240 KB for a chunk, of 2 KB 80. Features, over several, fill them as well.
_PAGE_SIZE = 2048
# How long the log grows until it is moved into the database, in bytes.
_LOG_SIZE = 16 * 2**20

# Ids are never used again (AUTOINCREMENT), so one that another process has pruned leads nowhere.
# What is read back has a checksum of its own in each row (`rows.py`).
_TABLES = """
CREATE TABLE content (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    used INTEGER NOT NULL
);
CREATE TABLE file (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    content INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX file_by_content ON file (content);
CREATE TABLE way (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    used INTEGER NOT NULL
);
CREATE TABLE features (
    id INTEGER PRIMARY KEY,
    content INTEGER NOT NULL,
    way INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX features_by_content ON features (content, way);
CREATE TABLE prediction (
    content INTEGER NOT NULL,
    way INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (content, way)
) WITHOUT ROWID;
CREATE TABLE failure (
    content INTEGER NOT NULL,
    way INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (content, way)
) WITHOUT ROWID;
CREATE TABLE reported (
    report TEXT NOT NULL,
    path BLOB NOT NULL,
    digest BLOB,
    PRIMARY KEY (report, path)
) WITHOUT ROWID;
CREATE TABLE note (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
"""


class StoreError(BatchclsError):
    """Why the store can't be used. `run` goes on without it."""


def database_path(folder: str) -> str:
    """Give the path of the database in the store's folder."""
    return os.path.join(folder, FILE_NAME)


def open_database(folder: str) -> sqlite3.Connection:
    """Open the database in ``folder``, made if there is none. Raises StoreError."""
    path = database_path(folder)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{shown(folder)}: can't be made: {error.strerror or error}") from error
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise StoreError(f"{shown(path)}: {error}") from error
    # A damaged row may hold anything; what is no UTF-8 is no error, but a row that is not sound.
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    try:
        _prepare(connection, path)
    except (sqlite3.Error, UnicodeError) as error:  # its messages may quote what is damaged
        connection.close()
        raise trouble(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("BEGIN")  # or another run may make the tables between two of these
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.execute("COMMIT")
    if application != APPLICATION_ID:
        if tables:
            raise StoreError(
                f"{shown(path)}: another program's database, not a store of batchcls",
                hint="Name another folder (store.folder).",
            )
    elif version > VERSION:
        raise StoreError(
            f"{shown(path)}: of a newer batchcls (version {version}; this one reads {VERSION})",
            hint="Upgrade batchcls, or name another folder (store.folder).",
        )
    # Readers and a writer at once, and a commit costs no sync: a process that dies loses nothing
    # that was committed. Where the file system can't, SQLite's usual journal does.
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    [page_size] = connection.execute("PRAGMA page_size").fetchone()  # that of an older store stays
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_SIZE // page_size}")
    connection.execute("PRAGMA synchronous = NORMAL")
    # A database from a stranger, or one that is broken, runs nothing.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    with transaction(connection):  # also shows whether it can be written to
        [application] = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:  # nobody else has made it meanwhile
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Do what follows wholly or not at all, also where a signal interrupts it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def trouble(path: str, error: Exception) -> StoreError:
    """Say what is wrong with the store at ``path`` as a person would."""
    text = str(error)
    damaged = not isinstance(error, sqlite3.Error) or any(
        word in text for word in ("malformed", "not a database", "no such table", "no such column")
    )
    return StoreError(
        f"{shown(path)}: it is damaged ({shown(text)})" if damaged else f"{shown(path)}: {text}",
        hint="`batchcls cache clear` makes a new one." if damaged else "",
    )
