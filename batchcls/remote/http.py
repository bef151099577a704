"""HTTP: an object by one request, and folders as far as a server has pages of links for them."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from batchcls.reading import Identity
from batchcls.remote.bodies import BLOCK, Body, Fetched
from batchcls.remote.identity import http_time, identity_of, is_settled
from batchcls.remote.retrying import Server
from batchcls.remote.storages import Entry, patience
from batchcls.remote.troubles import StatusError, seconds_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Statuses of servers that know only GET; and, besides, for an address that is signed for that.
_NO_METHOD = {405, 501}
_NO_HEAD = {400, 403, *_NO_METHOD}


class HttpStorage:
    """A server; names are URLs. ``fs`` is fsspec's ``HTTPFileSystem``."""

    asks_each = True

    def __init__(self, fs: AbstractFileSystem, server: Server) -> None:
        self._fs, self.server = fs, server
        self.loop: asyncio.AbstractEventLoop = fs.loop

    async def read(self, name: str, max_bytes: int, listed: Identity | None) -> Fetched:  # noqa: ARG002
        """Read an object, as :class:`Storage` has it."""
        async with self._answer("get", name) as answer:
            body = Body(self.server.policy, max_bytes, _size(answer.headers))
            try:
                while block := await answer.content.read(BLOCK):
                    body.write(block)
                return body.done(_identity(answer.headers))
            except BaseException:
                body.close()
                raise

    async def identify(self, name: str) -> Identity | None:
        """Ask for what identifies an object."""
        if self.asks_each:
            try:
                async with self._answer("head", name) as answer:
                    return _identity(answer.headers)
            except StatusError as error:
                if error.status not in _NO_HEAD:
                    raise
                self.asks_each = error.status not in _NO_METHOD
        return None

    async def is_folder(self, name: str) -> bool:
        """Tell by the "/" at its end. Raises StatusError where nothing is there."""
        if name.endswith("/"):
            return True
        try:
            async with self._answer("head", name):
                return False
        except StatusError as error:
            if error.status not in _NO_HEAD:
                raise
        async with self._answer("get", name):  # closed before anything but its beginning came
            self.asks_each = False
            return False

    async def entries(self, name: str) -> list[Entry]:
        """List the links on the page of a folder that lead below it."""
        work = self._fs._ls(name, detail=True)
        limit = 10 * patience(self.server.policy.timeout)
        links = {html.unescape(one["name"]) for one in await asyncio.wait_for(work, limit)}
        folder = name.rstrip("/") + "/"
        found = {}
        for link in links:
            base, slash, more = link.removeprefix(folder).partition("/")
            # Such as those that order a page by date, or lead up.
            if not link.startswith(folder) or base in {"", ".", ".."} or base[0] in "?#" or more:
                continue
            shown = unquote(base, errors="surrogateescape")
            found[folder + base + slash] = Entry(folder + base + slash, shown, slash == "/")
        return list(found.values())

    async def close(self) -> None:
        """Close the connections."""
        session: Any = getattr(self._fs, "_session", None)
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _answer(self, method: str, url: str) -> AsyncIterator[Any]:
        session: Any = await self._fs.set_session()
        options = dict(self._fs.kwargs)
        # Or a server might send something else than what its length and its tag are of.
        options["headers"] = {**options.get("headers", {}), "Accept-Encoding": "identity"}
        options.setdefault("allow_redirects", True)

        async def ask() -> Any:  # noqa: ANN401
            return await getattr(session, method)(self._fs.encode_url(url), **options)

        answer = await asyncio.wait_for(ask(), patience(self.server.policy.timeout))
        try:
            if answer.status >= 400:
                wait = seconds_of(answer.headers.get("Retry-After"))
                raise StatusError(answer.status, answer.reason or "", wait)
            yield answer
        finally:
            answer.close()


def _size(headers: Any) -> int | None:  # noqa: ANN401
    length = headers.get("Content-Length", "")
    encoded = headers.get("Content-Encoding", "identity") not in {"", "identity"}
    return int(length) if length.isdecimal() and not encoded else None


def _identity(headers: Any) -> Identity | None:  # noqa: ANN401
    modified = http_time(headers.get("Last-Modified"))
    if modified and not is_settled(modified):
        return None  # many tags are but of the time and the size
    names = ("ETag", "Content-MD5", "Last-Modified")
    told = {name: headers[name] for name in names if name in headers}
    return identity_of({**told, "size": _size(headers)})
