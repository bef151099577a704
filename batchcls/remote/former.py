"""Former reports in a storage: which there are, and the removal of the oldest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from batchcls.errors import BatchclsError
from batchcls.remote.calling import Access, StorageError

_WRITTEN = ("LastModified", "mtime", "updated", "last_modified", "created")


class RemotePlaces:
    """:class:`~batchcls.reportplaces.Places` at URLs."""

    def __init__(self) -> None:
        self._details: dict[str, dict[str, Any]] = {}

    def listed(self, folder: str) -> Iterable[str]:
        """Give the names in a folder; none where it is not there. Raises BatchclsError."""
        access = Access(folder)
        access.fs.invalidate_cache()
        names = []
        for one in _asked(access, "ls", detail=True) or []:
            name = one["name"].rstrip("/").rpartition("/")[2]
            if name:
                names.append(name)
                self._details[f"{folder}/{name}"] = one
        return names

    def written(self, path: str) -> float | None:
        """Give when a file was written, 0 where the storage does not say. Raises BatchclsError."""
        details = self._details.get(path)
        if details is None:  # in no folder that was listed
            details = _asked(Access(path), "info")
        if details is None or details.get("type") != "file":
            return None
        return next((_seconds(details[key]) for key in _WRITTEN if details.get(key)), 0.0)

    def is_same(self, path: str, other: str) -> bool:
        """Tell whether two URLs are of one object."""
        return path == other

    def is_link(self, path: str) -> bool:  # noqa: ARG002
        """Tell that there are no links."""
        return False

    def remove(self, path: str) -> None:
        """Delete an object. Raises OSError."""
        access = Access(path)
        try:
            access.call("rm_file", access.path)
        except StorageError as error:
            raise OSError(str(error)) from error

    def remove_empty(self, folder: str) -> bool:  # noqa: ARG002
        """Leave it: in most storages there are no folders."""
        return False


def _asked(access: Access, method: str, **options: Any) -> Any:  # noqa: ANN401
    """Ask for what is at a place; None where nothing is."""
    try:
        return access.call(method, access.path, **options)
    except StorageError as error:
        if error.missing:
            return None
        raise BatchclsError(
            f"{access.what}: can't be looked up: {error}",
            hint="Check the credentials, and what they allow.",
        ) from error


def _seconds(value: Any) -> float:  # noqa: ANN401 - each storage has its own
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return 0.0
    return float(value)
