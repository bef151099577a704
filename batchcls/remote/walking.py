"""What is wanted of a storage, by the rules of a scan; and going through it folder by folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls.records import ImageFile, unread_folder
from batchcls.remote.retrying import TroubleError
from batchcls.remote.storages import Entry, Folders, begun, waited
from batchcls.scan import FOLDER_NAMED_AS_IMAGE

if TYPE_CHECKING:
    from batchcls.reading import Identity
    from batchcls.remote.connections import Place
    from batchcls.scan import Care
    from batchcls.scanrules import ScanRules

# A server may have an endless number of folders, each in the one before.
_DEEPEST = 64


class Wanted:
    """Tells what is wanted; ``others`` are URLs, in two parts, that are listed on their own."""

    def __init__(self, rules: ScanRules, others: Sequence[tuple[str, str]] = ()) -> None:
        self.rules = rules
        self._others = tuple(others)
        self._last = ("", True)  # most files are in the folder of the one before

    def __call__(self, below: str, url: str) -> bool:
        """Tell whether a file is wanted, by its path below the root, and its URL."""
        folder, _, name = below.rpartition("/")
        if self._last[0] != folder:
            self._last = (folder, self._way(folder))
        return self._last[1] and self.file(name, below, url)

    def file(self, name: str, below: str, url: str) -> bool:
        """Tell whether a file in a folder that is wanted is so, too."""
        return self.rules.wants_file(name, below) and not self.is_others(url)

    def folder(self, name: str, below: str) -> bool:
        """Tell whether a folder in a folder that is wanted is so, too."""
        # These are names like any other in a storage, and not hidden.
        return self.rules.wants_folder("" if name in {".", ".."} else name, below)

    def is_others(self, url: str) -> bool:
        """Tell whether it is never taken, or listed on its own."""
        if url in self.rules.skip:
            return True
        for place, tail in self._others:
            within = url.removesuffix(tail)
            if within == place or within.startswith(f"{place}/"):
                return True
        return False

    def _way(self, folder: str) -> bool:
        parts = folder.split("/") if folder else []
        return all(
            self.folder(part, "/".join(parts[: number + 1])) for number, part in enumerate(parts)
        )


@dataclass(slots=True)
class _Level:
    """A folder on the way down: what is left of its entries."""

    entries: Iterator[Entry]
    below: str


class Walk:
    """Depth-first, in the order of the names' bytes; each folder once."""

    def __init__(
        self,
        root: str,
        place: Place,
        storage: Folders,
        wanted: Wanted,
        care: Care,
        prefix: str,
    ) -> None:
        self._root, self._place, self._storage = root, place, storage
        self._wanted, self._care, self._prefix = wanted, care, prefix
        self._visited = {place.name.rstrip("/")}

    def is_folder(self) -> bool:
        """Tell whether the root is a folder. Raises TroubleError where it is nothing."""
        storage, name = self._storage, self._place.name
        work = storage.server.tried(lambda: storage.is_folder(name))
        with self._care.listing(self._root):
            return waited(begun(storage, work), self._care.touch)

    def identity(self) -> Identity | None:
        """Give what identifies the root, which is an object."""
        storage, name = self._storage, self._place.name
        work = storage.server.tried(lambda: storage.identify(name))
        with self._care.listing(self._root):
            return waited(begun(storage, work), self._care.touch)

    def entries(self, name: str, url: str = "") -> list[Entry]:
        """List a folder, in order. Raises TroubleError."""
        storage = self._storage
        work = storage.server.tried(lambda: storage.entries(name))
        with self._care.listing(url or self._root):
            found = waited(begun(storage, work), self._care.touch)
        found.sort(key=lambda entry: os.fsencode(entry.shown))
        return found

    def files(self, entries: list[Entry]) -> Iterator[ImageFile]:
        """Yield the image files below the root, which has these ``entries``."""
        stack = [_Level(iter(entries), "")]
        while stack:
            level = stack[-1]
            entry = next(level.entries, None)
            if entry is None:
                stack.pop()
                continue
            below, url = level.below + entry.shown, self._url(entry.name)
            if not entry.is_folder:
                if self._wanted.file(entry.shown, below, url):
                    yield ImageFile(url, self._prefix + below, identity=entry.identity)
                continue
            rules = self._wanted.rules
            if not self._wanted.folder(entry.shown, below) or self._wanted.is_others(url):
                continue
            if rules.is_image_name(entry.shown) and rules.wants_file(entry.shown, below):
                yield ImageFile(url, self._prefix + below, problem=FOLDER_NAMED_AS_IMAGE)
            name = entry.name.rstrip("/")
            if name in self._visited:
                continue
            self._visited.add(name)
            try:
                if len(stack) >= _DEEPEST:
                    yield self._unread(url, below, f"more than {_DEEPEST} folders deep")
                    continue
                reason = self._care.reason(url)
                if reason is not None:
                    yield self._unread(url, below, reason)
                    continue
                stack.append(_Level(iter(self.entries(entry.name, url)), f"{below}/"))
            except TroubleError as error:
                yield self._unread(url, below, str(error))

    def _url(self, name: str) -> str:
        """Give the URL of what is in the storage by a name, which is below the root's."""
        place = self._place
        if not place.head:  # names are URLs
            return name
        rest = name[len(place.name.rstrip("/")) :].lstrip("/")
        text = place.text.rstrip("/")
        return f"{place.head}{text}{'/' if text else ''}{rest}{place.tail}"

    def _unread(self, url: str, below: str, why: str) -> ImageFile:
        return unread_folder(url, f"{self._prefix}{below}/", why)
