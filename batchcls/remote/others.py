"""Whatever else fsspec knows: other object storages, archives, remote file systems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, TypeVar

from batchcls.reading import IN_MEMORY, Identity, too_many_bytes
from batchcls.remote.bodies import BLOCK, Body, Fetched
from batchcls.remote.identity import identity_of
from batchcls.remote.retrying import Server
from batchcls.remote.storages import Entry, patience
from batchcls.remote.troubles import CutError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Result = TypeVar("Result")

# Of what is read by one call, which tells nothing of how it gets on, in bytes a second.
_SLOW = 16 * 1024
# How many times as long as a server may take to answer a thread may have to be waited for.
_ROUNDS = 10


class OtherStorage:
    """Any file system of fsspec; names are its paths.

    What is not asynchronous works on ``threads``: one for an archive, which is read from one place
    to the next. ``source`` is the file of an archive, to be closed with it.
    """

    asks_each = False

    def __init__(
        self,
        fs: AbstractFileSystem,
        server: Server,
        threads: int,
        source: IO[bytes] | None = None,
    ) -> None:
        from fsspec.asyn import get_loop

        self._fs, self.server, self._source = fs, server, source
        self.loop: asyncio.AbstractEventLoop = fs.loop if fs.async_impl else get_loop()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="batchcls-storage")

    async def read(self, name: str, max_bytes: int, listed: Identity | None) -> Fetched:
        """Read an object, as :class:`Storage` has it.

        What identifies it is asked for once more afterwards, as an answer to a read does not say.
        """
        info = {} if listed is not None else await self._info(name)
        before = listed if listed is not None else identity_of(info)
        size = listed.size if listed is not None else info.get("size")
        if size is not None and size > max_bytes:
            raise too_many_bytes(size, max_bytes)
        body = Body(self.server.policy, max_bytes)
        try:
            await self._fill(body, name, size)
            if before is None:
                return body.done(None)
            after = identity_of(await self._info(name))
            if after == before and before.size and body.size != before.size:
                raise CutError(f"{body.size:,} bytes of {before.size:,}")
            return body.done(after if after == before else None)
        except BaseException:
            body.close()
            raise

    async def identify(self, name: str) -> Identity | None:
        """Ask for what identifies an object."""
        return identity_of(await self._info(name))

    async def is_folder(self, name: str) -> bool:
        """Tell whether it is a folder, and not an object."""
        if not name.strip("/"):
            return True
        return (await self._info(name)).get("type") == "directory"

    async def entries(self, name: str) -> list[Entry]:
        """List a folder. One that has a marker of its own is not in itself."""
        folder = name.rstrip("/")
        found = []
        for one in await self._call("ls", name, detail=True):
            path = one["name"].rstrip("/")
            if path in {folder, ""}:
                continue
            is_folder = one.get("type") == "directory"
            identity = None if is_folder else identity_of(one)
            found.append(Entry(path, path.rpartition("/")[2], is_folder, identity))
        return found

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._source is not None:
            self._fs.close()
            self._source.close()

    async def _info(self, name: str) -> dict[str, Any]:
        info: dict[str, Any] = await self._call("info", name)
        return info

    async def _fill(self, body: Body, name: str, size: int | None) -> None:
        if self._fs.async_impl and size is not None and size <= IN_MEMORY:
            limit = patience(self.server.policy.timeout) + size / _SLOW
            body.write(await asyncio.wait_for(self._fs._cat_file(name), limit))
            return

        def copy() -> None:
            with self._fs.open(name, "rb") as source:
                while block := source.read(BLOCK):
                    body.write(block)

        await self._on_thread(copy, lambda: body.size)

    async def _call(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        if self._fs.async_impl:
            work = getattr(self._fs, f"_{method}")(*arguments, **options)
            # A large folder has many pages.
            return await asyncio.wait_for(work, _ROUNDS * patience(self.server.policy.timeout))
        call = getattr(self._fs, method)
        return await self._on_thread(lambda: call(*arguments, **options), lambda: 0)

    async def _on_thread(self, work: Callable[[], Result], got: Callable[[], int]) -> Result:
        """Do what waits on a thread; TimeoutError where it doesn't get on, by what it ``got``."""
        began = False

        def begin() -> Result:
            nonlocal began
            began = True
            return work()

        future = self.loop.run_in_executor(self._threads, begin)
        future.add_done_callback(_forget)  # nothing ends a thread that is given up
        limit = patience(self.server.policy.timeout)
        rounds, before = 0, -1
        while True:
            done, _ = await asyncio.wait([future], timeout=limit)
            if done:
                return future.result()
            rounds, now = rounds + 1, got()
            if now == before if began else rounds > _ROUNDS:
                raise TimeoutError
            before = now


def _forget(future: asyncio.Future[Any]) -> None:
    """Take what comes too late, or it would be told of as lost."""
    if not future.cancelled():
        future.exception()
