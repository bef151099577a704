"""One object read whole: a model, a former report; or just its beginning."""

from __future__ import annotations

from typing import NoReturn

from batchcls.errors import BatchclsError, UsageError
from batchcls.remote.calling import Access, StorageError

MOST_BYTES = 2 * 2**30


class FetchError(BatchclsError):
    """What is at a URL can't be read."""


class NotThereError(UsageError):
    """Nothing is at a URL."""


def fetched(url: str) -> bytes:
    """Read what is at ``url``. Raises NotThereError, FetchError, or as ``filesystem`` does."""
    access = Access(url)
    try:
        size = access.call("info", access.path).get("size")
        if size is not None and size > MOST_BYTES:
            raise FetchError(
                f"{access.what}: too large to be read at once: {size:,} bytes",
                hint="Copy it to this machine.",
            )
        data: bytes = access.call("cat_file", access.path, size=size or MOST_BYTES)
    except StorageError as error:
        _fail(access, error)
    return data


def beginning_of(url: str, count: int, *, retries: int | None = None) -> bytes:
    """Give the first bytes of an object; none where it is not there, or may not be read.

    ``retries`` is how often more to try it, by default as often as the settings say. Raises
    FetchError where it can't be told.
    """
    access = Access(url, retries=retries)
    try:
        found = access.call("info", access.path)
        if found["type"] != "file" or not found["size"]:
            return b""
        data: bytes = access.call("cat_file", access.path, start=0, end=count)
    except StorageError as error:
        if error.missing or error.forbidden:
            return b""
        _fail(access, error)
    return data


def exists(url: str) -> bool:
    """Tell whether an object is there. Raises FetchError where it can't be told."""
    access = Access(url)
    try:
        return bool(access.call("info", access.path)["type"] == "file")
    except StorageError as error:
        if error.missing:
            return False
        _fail(access, error)


def stamp_of_object(url: str) -> tuple[str, ...] | None:
    """Give what tells whether another object has come to ``url``, None where there is none.

    Raises FetchError where it can't be told.
    """
    access = Access(url)
    try:
        found = access.call("info", access.path)
    except StorageError as error:
        if error.missing:
            return None
        _fail(access, error)
    told = ("ETag", "etag", "generation", "LastModified", "mtime", "last_modified", "size")
    return tuple(f"{name} {found[name]}" for name in told if found.get(name) is not None)


def _fail(access: Access, error: StorageError) -> NoReturn:
    """Say why an object can't be read."""
    if error.missing:
        hint = "Check the spelling of the bucket and the name."
        raise NotThereError(f"{access.what}: there is no such object", hint=hint) from error
    hint = (
        "Check the credentials, and what they allow."
        if error.forbidden
        else "Check the network, and whether the server is well."
    )
    raise FetchError(f"{access.what}: can't be read: {error}", hint=hint) from error
