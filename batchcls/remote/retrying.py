"""Trying again: what may help, how long to wait before it, and when a server is given up.

One policy for all storages; that of their libraries is turned off where it can be, or attempts
would multiply.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from batchcls.errors import BatchclsError, DecodeError
from batchcls.remote.troubles import Trouble, trouble_of

Result = TypeVar("Result")

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 20.0
# What a server may ask for (Retry-After).
_LONGEST_WAIT = 60.0
# So many objects in a row that all attempts were in vain for, in so long a time at least (that of
# one silence), and the server is taken to be out of order; then one is tried every few seconds.
_IN_VAIN = 3
_PROBE = 5.0


@dataclass(frozen=True)
class Policy:
    """How often and when. ``timeout`` is for how many seconds a server may be silent."""

    retries: int = 5
    timeout: float = 30.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = field(default=random.random)

    def pause(self, failed: int, asked: float = 0.0) -> float:
        """Give the seconds to wait after so many failed attempts; the server may ask for more.

        Of many that fail at once, no two come back at the same moment.
        """
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failed - 1, 20))
        return max(min(asked, _LONGEST_WAIT), longest * (0.5 + self.random() / 2))

    def trouble(self, error: BaseException) -> Trouble:
        """Say what went wrong."""
        return trouble_of(error, self.timeout)


class TroubleError(Exception):
    """A call that failed, after all attempts; the text is the reason, in a line."""

    def __init__(self, trouble: Trouble, attempts: int) -> None:
        super().__init__(trouble.after(attempts))
        self.trouble = trouble


def insisted(policy: Policy, attempt: Callable[[], Result]) -> Result:
    """Do what blocks, again and again as the policy has it. Raises TroubleError."""
    failed = 0
    while True:
        try:
            return attempt()
        except (BatchclsError, DecodeError):
            raise
        except Exception as error:
            failed += 1
            trouble = policy.trouble(error)
            if not trouble.passing or failed > policy.retries:
                raise TroubleError(trouble, failed) from error
            time.sleep(policy.pause(failed, trouble.wait))


class Server:
    """What is known of a server, and calls of it that are tried again.

    To be used on one event loop. When it has failed often enough in a row, most calls fail at once.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._since: float | None = None  # no call has had an answer
        self._in_vain = 0
        self._probe = 0.0
        self._last = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def tried(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Await ``attempt()`` until it is well. Raises TroubleError; DecodeErrors pass through."""
        task = asyncio.current_task()
        known = task is None or task in self._tasks
        if task is not None:
            self._tasks.add(task)
        try:
            return await self._tried(attempt)
        finally:
            if task is not None and not known:
                self._tasks.discard(task)

    def give_up(self) -> None:
        """Cancel all calls that are under way. To be called on the loop."""
        for task in list(self._tasks):
            task.cancel()

    async def _tried(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        failed = 0
        while True:
            try:
                result = await attempt()
            except DecodeError:
                self._answered()
                raise
            except Exception as error:
                trouble = self.policy.trouble(error)
                failed += 1
                self._note(trouble)
                if not trouble.passing or failed > self.policy.retries:
                    raise TroubleError(trouble, failed) from error
                await self.policy.sleep(self.policy.pause(failed, trouble.wait))
            else:
                self._answered()
                return result

    async def tried_unless_down(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Do as ``tried`` does, but where the server is out of order: then fail at once.

        So a million objects don't take a million times as long as one may. Every few seconds one
        call is made all the same, once. Raises TroubleError.
        """

        async def once() -> Result:
            if self.is_down and not self._may_probe():
                raise _DownError
            return await attempt()

        try:
            return await self.tried(once)
        except TroubleError as error:
            if isinstance(error.__cause__, _DownError):
                down = Trouble(f"the storage does not answer: {self._last}")
                raise TroubleError(down, 1) from None
            if error.trouble.passing:
                self._in_vain += 1
                self._last = error.trouble.reason
            raise

    @property
    def is_down(self) -> bool:
        """Whether it has failed too often in a row, and for too long."""
        if self._since is None or self._in_vain < _IN_VAIN:
            return False
        return self.policy.clock() - self._since >= self.policy.timeout

    def _may_probe(self) -> bool:
        now = self.policy.clock()
        if now < self._probe:
            return False
        self._probe = now + _PROBE
        return True

    def _note(self, trouble: Trouble) -> None:
        if not trouble.passing and trouble.answered:
            self._answered()
        elif self._since is None:
            self._since = self.policy.clock()

    def _answered(self) -> None:
        self._since, self._in_vain = None, 0


class _DownError(Exception):
    """The server is out of order, and this is not the call to find out whether it still is."""
