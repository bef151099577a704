"""What reading and listing ask of a storage, whichever it is; and waiting for it.

Its calls are coroutines on the loop that fsspec runs on a thread of its own. Each is one attempt:
``server`` tries again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from batchcls.reading import Identity
    from batchcls.remote.bodies import Fetched
    from batchcls.remote.retrying import Server

Result = TypeVar("Result")

_LOOK = 1.0  # seconds: so often whoever waits gives a sign of life


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of an object, or a folder. ``shown`` is its name in its folder."""

    name: str
    shown: str
    is_folder: bool = False
    identity: Identity | None = None


class Storage(Protocol):
    """Objects by their names, which are in the terms of the storage."""

    loop: asyncio.AbstractEventLoop
    server: Server
    asks_each: bool
    """Whether a listing says nothing that identifies an object, but ``identify`` does."""

    async def read(self, name: str, max_bytes: int, listed: Identity | None) -> Fetched:
        """Read an object of at most ``max_bytes``; ``listed`` is what a listing said of it."""
        ...

    async def identify(self, name: str) -> Identity | None:
        """Ask what identifies an object, without reading it."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class Folders(Storage, Protocol):
    """One that is listed folder by folder."""

    async def is_folder(self, name: str) -> bool:
        """Tell whether a folder is there, and not an object. FileNotFoundError for neither."""
        ...

    async def entries(self, name: str) -> list[Entry]:
        """List a folder."""
        ...


def begun(storage: Storage, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
    """Begin what is then done on the loop of a storage."""
    return asyncio.run_coroutine_threadsafe(work, storage.loop)


def waited(
    future: concurrent.futures.Future[Result], touch: Callable[[], object] = lambda: None
) -> Result:
    """Wait for a result; ``touch`` is called about once a second. It is given up if this is."""
    try:
        while not concurrent.futures.wait([future], timeout=_LOOK).done:
            touch()
    except BaseException:
        future.cancel()
        raise
    return future.result()


def patience(timeout: float) -> float:
    """Give how long a server may take to begin its answer: to connect, too."""
    return 2 * timeout + 5
