"""Progress for a log, where there is no terminal for a bar: a line every now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from batchcls.errors import BatchclsError

EVERY = 30.0  # seconds

Tell = Callable[[str, int, int | None, float], None]


class ProgressLines:
    """Counts, and tells ``message, done, total, per second`` of it at most every some seconds.

    ``total`` may be a function that takes its time: it is called on a thread.
    """

    def __init__(
        self,
        what: str,
        total: int | Callable[[], int] | None,
        tell: Tell,
        every: float | None = None,
    ) -> None:
        self._what = what
        self._total = total if isinstance(total, int) else None
        self._tell = tell
        self._every = EVERY if every is None else every
        self._done = self._told = 0
        self._last = time.monotonic()
        if callable(total):
            threading.Thread(target=self._count, args=(total,), daemon=True).start()

    def advance(self, steps: int) -> None:
        """Count some more."""
        self._done += steps
        now = time.monotonic()
        if now - self._last < self._every:
            return
        rate = (self._done - self._told) / max(now - self._last, 1e-9)
        self._told, self._last = self._done, now
        of = f" of {self._total:,}" if self._total is not None else ""
        message = f"{self._what}: {self._done:,}{of} images, {rate:,.0f} images/s"
        self._tell(message, self._done, self._total, rate)

    def _count(self, total: Callable[[], int]) -> None:
        with contextlib.suppress(BatchclsError):  # the work itself meets the same error
            self._total = total()
