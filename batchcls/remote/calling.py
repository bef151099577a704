"""What is asked of a storage one call after the other: for a report, a model, a page.

Each is tried again where that may help. Where this process is told to end, a call is given up at
once, and nothing is done behind the back of what is cleaned up then.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchcls.locations import without_secrets
from batchcls.remote.filesystems import filesystem, settings_in_use
from batchcls.remote.retrying import Policy, Server, TroubleError
from batchcls.remote.storages import patience, waited
from batchcls.text import shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SLOWEST = 50_000  # bytes a second: what is slower is taken for stuck


class StorageError(Exception):
    """A call that failed, after all attempts; ``str`` of it is the reason, in a line.

    ``missing`` and ``forbidden`` tell the two that are no fault of a server. ``unclear`` where no
    answer came: what was asked for may have been done.
    """

    def __init__(self, error: TroubleError) -> None:
        super().__init__(str(error).removeprefix("can't be read: "))
        trouble = error.trouble
        self.missing, self.forbidden = trouble.missing, trouble.forbidden
        self.unclear = trouble.passing and not trouble.answered


class Access:
    """To what is at one URL: its file system, ``path`` in it, and calls that are tried again.

    ``what`` names the URL in messages, without a password. ``retries`` more attempts are made, by
    default as many as the settings say. Raises UsageError as ``filesystem`` does.
    """

    def __init__(self, url: str, *, retries: int | None = None) -> None:
        settings = settings_in_use()
        self.what = shown(without_secrets(url))
        self.fs: AbstractFileSystem
        self.path: str
        self.fs, self.path = filesystem(url, settings)
        asked = settings.storage
        self._policy = Policy(asked.retries if retries is None else retries, asked.timeout)

    def call(self, method: str, *arguments: Any, size: int = 0, **options: Any) -> Any:  # noqa: ANN401
        """Call a method of the file system, such as ``info``. Raises StorageError.

        ``size`` is of what is to be sent or fetched, in bytes.
        """
        if self.fs.async_impl:
            begin = getattr(self.fs, f"_{method}")
            return self._tried(lambda: begin(*arguments, **options), size)

        async def attempt() -> Any:  # noqa: ANN401
            return getattr(self.fs, method)(*arguments, **options)

        return self._tried(attempt, size)

    def request(
        self,
        operation: str,
        *,
        size: int = 0,
        retries: int | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Make a request of S3, such as ``head_object``. Raises StorageError.

        A body that is a file is sent from its beginning, each time. ``size`` is as for ``call``;
        ``retries`` are for this one.
        """

        async def attempt() -> dict[str, Any]:
            body = parameters.get("Body")
            if isinstance(body, io.IOBase):
                body.seek(0)
            found: dict[str, Any] = await self.fs._call_s3(operation, **parameters)
            return found

        answer: dict[str, Any] = self._tried(attempt, size, retries)
        return answer

    def _tried(
        self, attempt: Callable[[], Awaitable[Any]], size: int, retries: int | None = None
    ) -> Any:  # noqa: ANN401
        policy = self._policy if retries is None else replace(self._policy, retries=retries)
        seconds = patience(policy.timeout) + size / _SLOWEST
        work = Server(policy).tried(lambda: asyncio.wait_for(attempt(), seconds))
        try:
            if not self.fs.async_impl:
                return asyncio.run(work)
            return waited(asyncio.run_coroutine_threadsafe(work, self.fs.loop))
        except TroubleError as error:
            raise StorageError(error) from error
