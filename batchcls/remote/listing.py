"""What is at a URL → image files, as a stream: a bucket page by page, all else folder by folder.

S3 is listed flat, in the order of the keys: a page is on its way while the one before it is worked
on, and no more than these two are held. Other storages are visited in the order of scan.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING

from batchcls.errors import BatchclsError, UsageError
from batchcls.locations import without_secrets
from batchcls.records import ImageFile, unread_folder
from batchcls.remote.http import HttpStorage
from batchcls.remote.retrying import TroubleError
from batchcls.remote.s3 import Page, S3Storage
from batchcls.remote.storages import begun, waited
from batchcls.remote.walking import Walk, Wanted
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.reading import Identity
    from batchcls.remote.connections import Connections, Place
    from batchcls.scan import Care
    from batchcls.scanrules import ScanRules

_CREDENTIALS = "Are these the right credentials, and do they allow it?"
_PUBLIC = " For what is public, set anon = true in [filesystem.s3]."
_SPELLING = "Check the spelling"


def listed(
    root: str,
    rules: ScanRules,
    care: Care,
    connections: Connections,
    *,
    prefix: str = "",
    others: Collection[str] = (),
) -> Iterator[ImageFile]:
    """Find the image files at ``root``, a folder, or an object, which is always taken.

    Keys begin with ``prefix``; what is below the URLs of ``others``, which are listed on their own,
    is left out. Raises UsageError where nothing is there, or it may not be listed, and
    BatchclsError where there is no answer, before anything is yielded.
    """
    place = connections.place_of(root)
    reason = care.reason(root)
    if reason is not None:
        return iter([unread_folder(root, prefix, reason)])
    wanted = Wanted(rules, _below(place, map(connections.place_of, others)))
    try:
        if isinstance(place.storage, S3Storage):
            return _Bucket(root, place, place.storage, wanted, care, prefix).files()
        return _elsewhere(root, place, wanted, care, prefix)
    except TroubleError as error:
        is_s3 = isinstance(place.storage, S3Storage)
        raise _failure(root, error, is_s3=is_s3) from error


def _below(root: Place, others: Iterable[Place]) -> list[tuple[str, str]]:
    """Give the URLs of those places that are within the root's, as beginning and end."""
    return [
        (other.head + other.text.rstrip("/"), other.tail)
        for other in others
        if other.storage is root.storage
        and other.name.rstrip("/") != root.name.rstrip("/")
        and (not root.name or other.name.startswith(root.name.rstrip("/") + "/"))
    ]


def _elsewhere(
    root: str, place: Place, wanted: Wanted, care: Care, prefix: str
) -> Iterator[ImageFile]:
    storage = place.storage
    walk = Walk(root, place, storage, wanted, care, prefix)  # type: ignore[arg-type]  # not S3
    if walk.is_folder():
        return walk.files(walk.entries(place.name))
    identity = None if isinstance(storage, HttpStorage) else walk.identity()
    return iter([ImageFile(root, without_secrets(root), identity=identity)])


class _Bucket:
    """Objects below a prefix, and the object of that name itself, if it is one."""

    def __init__(
        self, root: str, place: Place, storage: S3Storage, wanted: Wanted, care: Care, prefix: str
    ) -> None:
        self._root, self._storage, self._wanted, self._care = root, storage, wanted, care
        self._head, self._prefix = place.head, prefix
        key = place.name
        self._key = key
        self._folder = key if key == "" or key.endswith("/") else f"{key}/"

    def files(self) -> Iterator[ImageFile]:
        """List it. Raises TroubleError, or UsageError, where that can't be begun."""
        first = self._begin(None)
        may_be_object = self._key != "" and not self._key.endswith("/")
        try:
            own = self._own() if may_be_object else None
            page: Page | None = self._waited(first)
        except TroubleError as error:
            first.cancel()
            if not error.trouble.forbidden or not may_be_object:
                raise
            # An object may be read by those who may not list what else is there.
            own, page = ImageFile(self._root, self._name, identity=self._asked(error)), None
        if page is not None and own is None and self._key and not page.objects:
            raise UsageError(
                f"{self._name}: there is no such folder, and no such object",
                hint=f"{_SPELLING}, and the endpoint ([filesystem.s3]).",
            )
        if own is not None and page is not None and page.objects and _is_empty(own.identity):
            own = None  # what marks the folder
        return self._stream(own, page)

    @property
    def _name(self) -> str:
        return without_secrets(self._root)

    def _begin(self, token: str | None) -> Future[Page]:
        work = self._storage.server.tried(lambda: self._storage.page(self._folder, token))
        return begun(self._storage, work)

    def _waited(self, future: Future[Page]) -> Page:
        with self._care.listing(self._root):
            return waited(future, self._care.touch)

    def _own(self) -> ImageFile | None:
        """Give the object that has the very name: its key is the first that begins with it.

        Who may list just the folder is not told of it.
        """
        work = self._storage.server.tried(lambda: self._storage.page(self._key, keys=1))
        try:
            page = self._waited(begun(self._storage, work))
        except TroubleError as error:
            if error.trouble.forbidden and not error.trouble.anonymous:
                return None
            raise
        for key, identity in page.objects:
            if key == self._key:
                return ImageFile(self._root, self._name, identity=identity)
        return None

    def _asked(self, forbidden: TroubleError) -> Identity | None:
        work = self._storage.server.tried(lambda: self._storage.identify(self._key))
        try:
            with self._care.listing(self._root):
                return waited(begun(self._storage, work), self._care.touch)
        except TroubleError:
            raise forbidden from None

    def _stream(self, own: ImageFile | None, page: Page | None) -> Iterator[ImageFile]:
        if own is not None:
            yield own
        following: Future[Page] | None = None
        try:
            while page is not None:
                token = page.token
                following = None if token is None else self._begin(token)
                for key, identity in page.objects:
                    file = self._file(key, identity)
                    if file is not None:
                        yield file
                page = None if following is None else self._waited(following)
                if page is not None and page.token is not None and page.token == token:
                    yield self._broken("the listing does not get on")
                    return
        except TroubleError as error:
            yield self._broken(str(error))
        finally:
            if following is not None:
                following.cancel()

    def _file(self, key: str, identity: Identity | None) -> ImageFile | None:
        below = key[len(self._folder) :]
        if not below or not key.startswith(self._folder):
            return None
        if key.endswith("/") and _is_empty(identity):
            return None  # what marks a folder
        url = self._head + key
        if not self._wanted(below, url):
            return None
        return ImageFile(url, self._prefix + below, identity=identity)

    def _broken(self, why: str) -> ImageFile:
        return unread_folder(self._head + self._folder, self._prefix, why)


def _is_empty(identity: Identity | None) -> bool:
    return identity is not None and identity.size == 0


def _failure(root: str, error: TroubleError, *, is_s3: bool) -> BatchclsError:
    """Say why a root can't be listed, and what to do."""
    what, trouble = shown(without_secrets(root)), error.trouble
    reason = str(error).replace("object: it may have vanished", "folder, and no such object")
    kind: type[BatchclsError] = UsageError
    if trouble.forbidden:
        hint = _CREDENTIALS + (_PUBLIC if is_s3 else "")
    elif trouble.missing:
        hint = f"{_SPELLING}, and the endpoint ([filesystem.s3])." if is_s3 else f"{_SPELLING}."
    elif trouble.passing:
        kind, hint = BatchclsError, "Check the network, and the address of the server."
    else:
        hint = "Check the URL, and the options in [filesystem]."
    return kind(f"{what}: {reason}", hint=hint)
