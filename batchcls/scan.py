"""Scan: folders and files in, image files out, as a stream in a stable order.

Within a folder the entries are visited in the order of their names' bytes, a sub-folder's files
at the place of its name. Nothing here opens a file. What is at a URL is listed by who is handed in.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from batchcls.errors import UsageError
from batchcls.locations import is_url, path_or_url, without_secrets
from batchcls.records import ImageFile, unread_folder
from batchcls.scanrules import ScanRules
from batchcls.text import shown

# A folder that has given so many names since is alive, however long it takes to list.
_TOUCH = 1000
FOLDER_NAMED_AS_IMAGE = "a folder, not an image file"


class Care(Protocol):
    """What watches over the listing of folders, which may never end, and remembers where it did."""

    def listing(self, path: str) -> AbstractContextManager[None]:
        """Be told of a folder that is being listed."""
        ...

    def touch(self) -> None:
        """Be told that the listing gets on."""
        ...

    def reason(self, path: str) -> str | None:
        """Say why a folder is not to be touched any more, if so."""
        ...


class NoCare:
    """Watches nothing."""

    def listing(self, path: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return contextlib.nullcontext()

    def touch(self) -> None:
        """Do nothing."""

    def reason(self, path: str) -> str | None:  # noqa: ARG002
        """Know nothing."""
        return None


class Remote(Protocol):
    """What lists the roots that are URLs."""

    def listed(
        self,
        root: str,
        rules: ScanRules,
        care: Care,
        *,
        prefix: str = "",
        others: Collection[str] = (),
    ) -> Iterator[ImageFile]:
        """Find the image files at a URL, without what is below ``others``.

        Raises as :func:`scan` does, before anything is yielded.
        """
        ...


def scan(
    roots: Sequence[str],
    rules: ScanRules,
    care: Care | None = None,
    remote: Remote | None = None,
) -> Iterator[ImageFile]:
    """Find the image files in ``roots``, folders or files, each once; ``remote`` lists URLs.

    With one folder, ``key`` is the path below it; with several roots it begins with the root as
    it was given, so that no two files share one. A file given by itself is always taken. A root
    that does not exist, and a pattern that is none, is a UsageError, raised before anything is
    yielded.
    """
    rules.check()
    care = care or NoCare()
    kept = _distinct(roots, rules)
    urls = [root for root in kept if is_url(root)]
    begun = {}
    for url in urls:
        if remote is None:
            what = shown(without_secrets(url))
            raise UsageError(f"{what}: a URL", hint="Copy the images to this machine.")
        others = [other for other in urls if other != url]
        begun[url] = remote.listed(url, rules, care, prefix=_prefix(url, kept), others=others)
    return _scan(kept, rules, care, begun)


def _scan(
    roots: Sequence[str], rules: ScanRules, care: Care, begun: Mapping[str, Iterator[ImageFile]]
) -> Iterator[ImageFile]:
    local = [root for root in roots if root not in begun]
    walker = _Walker(rules, never=rules.skip | _claimed(local), care=care)
    for root in roots:
        if root in begun:
            yield from begun[root]
        elif not os.path.isdir(root):
            yield ImageFile(path=root, key=_posix(root))
        else:
            yield from walker.walk(root, _prefix(root, roots))


def _prefix(root: str, roots: Sequence[str]) -> str:
    """Give what the keys below a root begin with."""
    return "" if len(roots) == 1 else _posix(without_secrets(root)).rstrip("/") + "/"


def _distinct(roots: Iterable[str], rules: ScanRules) -> list[str]:
    """Drop a root that was named before, be it through a link; UsageError for one not there.

    Whether anything is at a URL is found out as that is listed; ``file://`` is a path.
    """
    seen: dict[str, str] = {}
    for given in roots:
        if is_url(root := path_or_url(given)):
            seen.setdefault(root.rstrip("/"), root)
            continue
        try:
            # A dangling link among images is one more unreadable image, no reason to stop.
            if not (os.path.islink(root) and rules.is_image_name(root)):
                os.stat(root)
            seen.setdefault(_identity(root), root)
        except (OSError, ValueError) as error:  # ValueError: a NUL in it
            raise UsageError(
                f"{shown(root)}: {getattr(error, 'strerror', None) or error}",
                hint="Name folders or image files that exist.",
            ) from None
    return list(seen.values())


def _identity(root: str) -> str:
    """Give what tells roots apart: a folder's place; a file's name, too, as two may be linked."""
    if os.path.isdir(root):
        return os.path.realpath(root)
    folder, name = os.path.split(os.path.abspath(root))
    return os.path.join(os.path.realpath(folder), name)


def _claimed(roots: Sequence[str]) -> set[str]:
    """Give the real paths that a walk leaves out, since each is a root of its own."""
    if len(roots) < 2:
        return set()
    folders = {os.path.realpath(root) for root in roots if os.path.isdir(root)}
    claimed = set(folders)
    for root in roots:
        if os.path.isdir(root):
            continue
        claimed.add(_identity(root))
        folder = os.path.dirname(_identity(root))
        # A link that a walk meets beside its target is a second name, with a row of its own, as
        # without this root. A link from elsewhere stands for its target.
        if not any(_is_below(folder, walked) for walked in folders):
            claimed.add(os.path.realpath(root))
    return claimed


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@dataclass(slots=True)
class _Level:
    """A folder on the way down: what is left of its entries, and where it is.

    ``real`` is its path with no link in it.
    """

    entries: Iterator[tuple[str, bool]]
    folder: str
    below: str
    real: str


class _Walker:
    """Depth-first, with a stack of its own: the depth is bounded by the file system alone.

    ``never`` holds real paths that are left out: the report, and the roots that are walked on
    their own although they lie inside another.
    """

    def __init__(self, rules: ScanRules, never: frozenset[str], care: Care) -> None:
        self.rules = rules
        self.never = never
        self.care = care
        self.visited: set[tuple[int, int]] = set()

    def walk(self, root: str, prefix: str) -> Iterator[ImageFile]:
        """Yield the image files under ``root``; keys begin with ``prefix``."""
        stack: list[_Level] = []
        yield from self._enter(stack, root, "", os.path.realpath(root), prefix)
        while stack:
            level = stack[-1]
            entry = next(level.entries, None)
            if entry is None:
                stack.pop()
                continue
            name, is_folder = entry
            path, below = os.path.join(level.folder, name), level.below + name
            if self.never and os.path.join(level.real, name) in self.never:
                continue
            if not is_folder:
                yield ImageFile(path=path, key=prefix + below)
                continue
            if self.rules.is_image_name(name) and self.rules.wants_file(name, below):
                yield ImageFile(path=path, key=prefix + below, problem=FOLDER_NAMED_AS_IMAGE)
            real = os.path.join(level.real, name)
            if self.rules.follow_links and os.path.islink(path):
                real = os.path.realpath(path)
                if real in self.never:
                    continue
            yield from self._enter(stack, path, below + "/", real, prefix)

    def _enter(
        self, stack: list[_Level], folder: str, below: str, real: str, prefix: str
    ) -> Iterator[ImageFile]:
        """Go down into ``folder``; yields it as a problem where it can't be listed."""
        error: OSError | None = None
        reason = self.care.reason(folder)
        try:
            if reason is None:
                with self.care.listing(folder):
                    if self._visited_before(folder):
                        return
                    entries, error = self._entries(folder, below)
                stack.append(_Level(iter(entries), folder, below, real))
        except OSError as failure:
            error = failure
        if reason is not None or error is not None:
            why = reason if error is None else error.strerror or error
            yield unread_folder(folder, prefix + below, f"{why}")

    def _visited_before(self, folder: str) -> bool:
        """Tell whether links led here already: a loop, or a second way to the same folder."""
        if not self.rules.follow_links:
            return False
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in self.visited:
            return True
        self.visited.add(identity)
        return False

    def _entries(self, folder: str, below: str) -> tuple[list[tuple[str, bool]], OSError | None]:
        """List what is wanted of a folder: (name, is a folder to go down into), sorted.

        Only names are kept, since one folder may hold a million files. Where a listing fails
        half-way, as on a network, what it gave counts, and the error is given, too.
        """
        found: list[tuple[str, bool]] = []
        error: OSError | None = None
        with os.scandir(folder) as entries:
            try:
                for number, entry in enumerate(entries, start=1):
                    if number % _TOUCH == 0:
                        self.care.touch()
                    is_folder = _is_folder(entry)
                    enter = is_folder and (self.rules.follow_links or not entry.is_symlink())
                    if self._wants(entry.name, below + entry.name, is_folder, enter):
                        found.append((entry.name, enter))
            except OSError as failure:
                error = failure
        found.sort(key=lambda item: os.fsencode(item[0]))
        return found, error

    def _wants(self, name: str, below: str, is_folder: bool, enter: bool) -> bool:
        if enter:
            return self.rules.wants_folder(name, below)
        # A link to a folder is left alone, but where it bears an image's name it gets its row.
        return (not is_folder or self.rules.is_image_name(name)) and self.rules.wants_file(
            name, below
        )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or no right to look: decoding will give the reason
        return False


def _posix(path: str) -> str:
    return path.replace(os.sep, "/") if os.sep != "/" else path
