"""Images at URLs, read as reading.py reads those on this machine, which are read here, too."""

from __future__ import annotations

import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, TypeVar

from batchcls import reading
from batchcls.errors import BatchclsError, DecodeError
from batchcls.locations import is_url
from batchcls.reading import Content, Identity, too_many_bytes
from batchcls.records import ImageFile
from batchcls.remote.ahead import GIVEN_UP, MOST_BYTES, Ahead, Stream
from batchcls.remote.connections import Connections
from batchcls.remote.listing import listed
from batchcls.remote.retrying import Policy, TroubleError
from batchcls.remote.storages import begun, waited

if TYPE_CHECKING:
    from batchcls.remote.bodies import Fetched
    from batchcls.scan import Care
    from batchcls.scanrules import ScanRules
    from batchcls.settings import Settings

Item = TypeVar("Item")


class RemoteFiles:
    """Lists, identifies and reads images, at URLs or on this machine. Safe to share among threads.

    ``touch`` is called about once a second, on the thread that waits for a storage. ``wants`` tells
    which files will be read, so that reading ahead pays: by default those that no earlier run knows
    the content of. Where it is sent to another process, it begins anew there, without these.
    """

    def __init__(
        self,
        settings: Settings,
        touch: Callable[[], object] = lambda: None,
        *,
        wants: Callable[[ImageFile], bool] = lambda file: file.content is None,
        policy: Policy | None = None,
        max_bytes_ahead: int = MOST_BYTES,
    ) -> None:
        self._settings, self._touch, self._wants = settings, touch, wants
        self._connections = Connections(settings, policy)
        self._ahead = Ahead(
            self._begin_ahead,
            self._is_read,
            settings.storage.connections,
            max_bytes_ahead,
            min(reading.IN_MEMORY, settings.decode.max_bytes),
        )
        self._streams: weakref.WeakSet[Stream[Any]] = weakref.WeakSet()

    def __reduce__(self) -> tuple[Callable[..., RemoteFiles], tuple[Settings]]:
        return RemoteFiles, (self._settings,)

    def listed(
        self,
        root: str,
        rules: ScanRules,
        care: Care,
        *,
        prefix: str = "",
        others: Collection[str] = (),
    ) -> Iterator[ImageFile]:
        """Find the image files at a URL; see :func:`batchcls.remote.listing.listed`."""
        return listed(root, rules, care, self._connections, prefix=prefix, others=others)

    def through(self, chunks: Iterable[list[Item]]) -> Stream[Item]:
        """Pass chunks of image files on, and read ahead what is in them and those after them.

        Closing it gives up all that is under way here: whoever waits for a file gets a DecodeError.
        """
        stream = Stream(self._ahead, chunks, self._connections.give_up)
        self._streams.add(stream)
        return stream

    @contextlib.contextmanager
    def opened(self, path: str, max_bytes: int) -> Iterator[Content]:
        """Read a file of at most ``max_bytes``, and take its digest.

        What was read ahead is taken. Raises DecodeError with the reason if that can't be done.
        """
        if not is_url(path):
            with reading.opened(path, max_bytes) as content:
                yield content
            return
        fetched = self._fetched(path, max_bytes)
        try:
            if fetched.size > max_bytes:
                raise too_many_bytes(fetched.size, max_bytes)
            yield Content(fetched.file, fetched.digest(), fetched.identity)
        finally:
            fetched.close()

    def identify(self, path: str) -> Identity | None:
        """Look a file up without reading it; None where that can't be done."""
        if not is_url(path):
            return reading.identify(path)
        try:
            return waited(self._begin_identify(path), self._touch)
        except (TroubleError, BatchclsError, CancelledError):
            return None

    def identities(self, files: Sequence[ImageFile]) -> list[Identity | None]:
        """Look files up, many at once. Nothing is asked for that their listing has told."""
        found: list[Identity | None] = [file.identity for file in files]
        asked: deque[tuple[int, Future[Identity | None]]] = deque()
        for index, file in enumerate(files):
            if file.problem is not None or file.identity is not None:
                continue
            if not is_url(file.path):
                found[index] = reading.identify(file.path)
                continue
            with contextlib.suppress(BatchclsError):
                if self._connections.place_of(file.path).storage.asks_each:
                    asked.append((index, self._begin_identify(file.path)))
            if len(asked) >= self._settings.storage.connections:
                self._take(asked, found)
        while asked:
            self._take(asked, found)
        return found

    def close(self) -> None:
        """Give up what was begun, and close the connections."""
        for stream in list(self._streams):
            stream.close()
        self._ahead.close()
        self._connections.give_up()
        self._connections.close()

    def _take(
        self, asked: deque[tuple[int, Future[Identity | None]]], found: list[Identity | None]
    ) -> None:
        index, future = asked.popleft()
        with contextlib.suppress(TroubleError, CancelledError):
            found[index] = waited(future, self._touch)

    def _is_read(self, file: ImageFile) -> bool:
        return is_url(file.path) and file.problem is None and self._wants(file)

    def _begin_identify(self, path: str) -> Future[Identity | None]:
        place = self._connections.place_of(path)
        storage = place.storage
        work = storage.server.tried_unless_down(lambda: storage.identify(place.name))
        return begun(storage, work)

    def _begin_ahead(self, file: ImageFile) -> Future[Fetched]:
        try:
            return self._begin(file.path, self._settings.decode.max_bytes, file.identity)
        except BatchclsError as error:
            failed: Future[Any] = Future()
            failed.set_exception(DecodeError(error.message, lasting=False))
            return failed

    def _begin(self, path: str, max_bytes: int, identity: Identity | None) -> Future[Fetched]:
        place = self._connections.place_of(path)
        storage = place.storage
        work = storage.server.tried_unless_down(
            lambda: storage.read(place.name, max_bytes, identity)
        )
        return begun(storage, work)

    def _fetched(self, path: str, max_bytes: int) -> Fetched:
        read = self._ahead.take(path)
        future = None if read is None else read.future
        identity = None if read is None else read.file.identity
        if identity is not None and identity.size > max_bytes:
            raise too_many_bytes(identity.size, max_bytes)
        try:
            if future is None:
                future = self._begin(path, max_bytes, identity)
            return waited(future, self._touch)
        except TroubleError as error:
            raise DecodeError(str(error), lasting=False) from error
        except BatchclsError as error:
            raise DecodeError(error.message, lasting=False) from error
        except CancelledError:
            raise DecodeError(GIVEN_UP, lasting=False) from None
