"""URLs → storages and names in them, and back. A storage is made once, and kept."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from batchcls.errors import BatchclsError, DecodeError, UsageError
from batchcls.locations import is_url, normalised, without_secrets
from batchcls.reading import open_regular
from batchcls.remote.filesystems import chain_of, filesystem, options_of
from batchcls.remote.http import HttpStorage
from batchcls.remote.others import OtherStorage
from batchcls.remote.retrying import Policy, Server, TroubleError, insisted
from batchcls.remote.s3 import S3Storage
from batchcls.remote.storages import Storage, begun, waited
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.settings import Settings

_S3 = {"s3", "s3a"}
_HTTP = {"http", "https"}
_ARCHIVES = {"zip", "tar"}
# Of an archive in a storage so much is fetched at once, and some 32 times as much kept in memory.
_BLOCK = 4 * 2**20
_TO_CLOSE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Place:
    """A storage, and what is in it at a URL: that is ``head``, the text of a name, and ``tail``."""

    storage: Storage
    name: str
    head: str
    text: str
    tail: str = ""


class Connections:
    """The storages that are in use, by the beginning of their URLs. Safe to share among threads."""

    def __init__(self, settings: Settings, policy: Policy | None = None) -> None:
        storage = settings.storage
        self.policy = policy or Policy(storage.retries, storage.timeout)
        self._settings = settings
        self._storages: dict[tuple[str, str], Storage] = {}
        self._s3: Any = None
        self._making = threading.Lock()

    def place_of(self, url: str) -> Place:
        """Give the place of a URL. Raises UsageError, and BatchclsError for an archive.

        Its storage is made, which needs no answer of a server but where it is an archive.
        """
        url = normalised(url)
        protocol = chain_of(url)[0]
        with self._making:
            if protocol in _S3:
                return self._in_s3(url, protocol)
            if protocol in _HTTP:
                origin = "/".join(url.split("/", 3)[:3])
                make = partial(self._http, url)
                return Place(self._kept((origin, ""), make), url, "", url)
            if protocol in _ARCHIVES:
                return self._in_archive(url, protocol)
            return self._elsewhere(url)

    def give_up(self) -> None:
        """Cancel all that is under way: whoever waits for it gets a CancelledError."""
        for storage in list(self._storages.values()):
            storage.loop.call_soon_threadsafe(storage.server.give_up)

    def close(self) -> None:
        """Close all connections."""
        for storage in self._storages.values():
            try:
                waited_at_most(storage, _TO_CLOSE)
            except Exception:  # noqa: BLE001, S112 - there is nobody left who could need it
                continue
        self._storages.clear()

    def _kept(self, key: tuple[str, str], make: Callable[[], Storage]) -> Storage:
        found = self._storages.get(key)
        if found is None:
            found = self._storages[key] = make()
        return found

    def _fs(self, url: str) -> Any:  # noqa: ANN401
        return filesystem(url, self._settings, fresh=True)[0]

    def _in_s3(self, url: str, protocol: str) -> Place:
        if self._s3 is None:
            self._s3 = self._fs(url)
        bucket, _, key = url.removeprefix(f"{protocol}://").partition("/")
        if bucket.startswith("arn:"):  # which may have a "/" in it
            bucket = self._s3.split_path(url)[0]
            key = url.removeprefix(f"{protocol}://{bucket}").removeprefix("/")
        if not bucket:
            raise UsageError(f"{shown(url)}: no bucket", hint="Name one: s3://bucket/folder")
        head = f"{protocol}://{bucket}/"
        make = partial(S3Storage, self._s3, bucket, Server(self.policy))
        return Place(self._kept((head, ""), make), key, head, key)

    def _http(self, url: str) -> Storage:
        return HttpStorage(self._fs(url), Server(self.policy))

    def _in_archive(self, url: str, protocol: str) -> Place:
        head = f"{protocol}://"
        for (one, tail), storage in self._storages.items():
            if one == head and tail and url.endswith(tail):  # a name may have "::" in it
                text = url[len(head) : -len(tail)]
                return Place(storage, text.strip("/"), head, text, tail)
        text, _, archive = url.removeprefix(head).partition("::")
        if not archive:
            raise UsageError(
                f"{shown(without_secrets(url))}: no archive",
                hint=f"As in {head}::photos.{protocol}",
            )
        if not is_url(archive):
            archive = os.path.abspath(archive)
        storage = self._kept((head, f"::{archive}"), partial(self._archive, protocol, archive))
        return Place(storage, text.strip("/"), head, text, f"::{archive}")

    def _archive(self, protocol: str, archive: str) -> Storage:
        from fsspec.core import get_filesystem_class

        what = shown(without_secrets(archive))
        options = options_of(protocol, self._settings)

        def open_it() -> tuple[Any, IO[bytes]]:
            file: IO[bytes]
            if is_url(archive):
                fs, name = filesystem(archive, self._settings, fresh=True)
                file = fs.open(name, "rb", block_size=_BLOCK, cache_type="blockcache")
            else:
                file = open_regular(archive)
            try:
                return get_filesystem_class(protocol)(fo=file, **options), file
            except BaseException:
                file.close()
                raise

        try:
            fs, source = insisted(self.policy, open_it)
        except (TroubleError, DecodeError) as error:
            passing = isinstance(error, TroubleError) and error.trouble.passing
            kind = BatchclsError if passing else UsageError
            raise kind(
                f"{what}: {error}", hint=f"Is it a {protocol} archive, and may it be read?"
            ) from error
        return OtherStorage(fs, Server(self.policy), threads=1, source=source)

    def _elsewhere(self, url: str) -> Place:
        from fsspec.core import get_filesystem_class

        cut = url.index("://") + 3
        head, text = url[:cut], url[cut:]
        chain = chain_of(url)
        if len(chain) > 1 and "::" in text:
            raise UsageError(
                f"{shown(without_secrets(url))}: images can't be read through such a chain",
                hint="One that is in a chain may be a zip or a tar archive.",
            )
        storage = self._kept((head + text.partition("/")[0], ""), partial(self._other, url))
        inner = chain[-1]
        return Place(
            storage, get_filesystem_class(inner)._strip_protocol(f"{inner}://{text}"), head, text
        )

    def _other(self, url: str) -> Storage:
        return OtherStorage(
            self._fs(url), Server(self.policy), threads=self._settings.storage.connections
        )


def waited_at_most(storage: Storage, seconds: float) -> None:
    """Close a storage, if that can be done in time."""
    waited(begun(storage, asyncio.wait_for(storage.close(), seconds)))
