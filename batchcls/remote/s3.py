"""S3: a page of a listing, and an object by one request.

What identifies an object comes with the listing, and with the answer to a read, so that nothing has
to be asked besides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchcls.reading import Identity
from batchcls.remote.bodies import BLOCK, Body, Fetched
from batchcls.remote.identity import identity_of
from batchcls.remote.retrying import Server
from batchcls.remote.storages import patience
from batchcls.remote.troubles import CutError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# The most that S3 gives at once.
KEYS = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, by key, in the order of their keys; ``token`` asks for the next page."""

    objects: list[tuple[str, Identity | None]]
    token: str | None


class S3Storage:
    """A bucket; names are keys. ``fs`` is an ``s3fs.S3FileSystem``."""

    asks_each = False

    def __init__(self, fs: AbstractFileSystem, bucket: str, server: Server) -> None:
        self._fs, self.bucket, self.server = fs, bucket, server
        self.loop: asyncio.AbstractEventLoop = fs.loop

    async def page(self, prefix: str, token: str | None = None, keys: int = KEYS) -> Page:
        """List objects whose keys begin with ``prefix``."""
        more = {} if token is None else {"ContinuationToken": token}
        answer = await self._call("list_objects_v2", Prefix=prefix, MaxKeys=keys, **more)
        found = [
            (one["Key"], _identity(one, one.get("Size"))) for one in answer.get("Contents", [])
        ]
        return Page(found, answer.get("NextContinuationToken"))

    async def read(self, name: str, max_bytes: int, listed: Identity | None) -> Fetched:
        """Read an object, as :class:`Storage` has it."""
        answer = await self._call("get_object", Key=name)
        source = answer["Body"]
        try:
            size = answer.get("ContentLength")
            identity = _settled(_identity(answer, size), listed)
            body = Body(self.server.policy, max_bytes, size)
            try:
                while block := await source.read(BLOCK):
                    body.write(block)
                return body.done(identity)
            except BaseException:
                body.close()
                raise
        finally:
            source.close()

    async def identify(self, name: str) -> Identity | None:
        """Ask for what identifies an object."""
        answer = await self._call("head_object", Key=name)
        return _identity(answer, answer.get("ContentLength"))

    async def close(self) -> None:
        """Close the connections, of other buckets, too."""
        client: Any = getattr(self._fs, "_s3", None)
        if client is not None:
            await client.close()

    async def _call(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401
        call: Callable[..., Any] = self._fs._call_s3
        work = call(method, Bucket=self.bucket, **parameters)
        return await asyncio.wait_for(work, patience(self.server.policy.timeout))


def _identity(answer: dict[str, Any], size: int | None) -> Identity | None:
    names = ("ETag", "LastModified")
    told = {name: answer[name] for name in names if name in answer}
    return identity_of({**told, "size": size})


def _settled(identity: Identity | None, listed: Identity | None) -> Identity | None:
    """Give what the next listing will say, where the object is the one that was listed.

    CutError where it is, and yet of another size.
    """
    if identity is None or listed is None:
        return identity
    if (identity.changed, identity.inode) != (listed.changed, listed.inode):
        return identity
    if identity.size != listed.size:
        raise CutError(f"{identity.size:,} bytes of {listed.size:,}")
    return listed  # times may be given otherwise by a listing
