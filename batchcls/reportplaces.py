"""Where former reports are: what is asked of a folder on this machine, as of a storage."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol


class Places(Protocol):
    """What finds and removes files, by their paths or URLs."""

    def listed(self, folder: str) -> Iterable[str]:
        """Give the names in a folder; none where it is not there."""
        ...

    def written(self, path: str) -> float | None:
        """Give when a file was written, in seconds since 1970; None where there is no file."""
        ...

    def is_same(self, path: str, other: str) -> bool:
        """Tell whether two paths are of one file."""
        ...

    def is_link(self, path: str) -> bool:
        """Tell a link from a file."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file. Raises OSError."""
        ...

    def remove_empty(self, folder: str) -> bool:
        """Delete a folder, if it is empty; give whether it is gone."""
        ...


class LocalPlaces:
    """Folders on this machine."""

    def listed(self, folder: str) -> Iterable[str]:
        """Give the names in a folder; none where it can't be listed."""
        try:
            return os.listdir(folder or ".")
        except OSError:
            return []

    def written(self, path: str) -> float | None:
        """Give when a file was written; None where there is no file."""
        try:
            return os.stat(path).st_mtime if os.path.isfile(path) else None
        except OSError:  # gone meanwhile
            return None

    def is_same(self, path: str, other: str) -> bool:
        """Tell whether two paths are of one file."""
        return os.path.realpath(path) == os.path.realpath(other)

    def is_link(self, path: str) -> bool:
        """Tell a link from a file."""
        return os.path.islink(path)

    def remove(self, path: str) -> None:
        """Delete a file. Raises OSError."""
        os.unlink(path)

    def remove_empty(self, folder: str) -> bool:
        """Delete a folder, if it is empty; give whether it is gone."""
        try:
            os.rmdir(folder)
        except OSError:
            return False
        return True
