"""What a guardian sees of its worker."""

from __future__ import annotations

import contextlib
import os
import time

from batchcls.guard.board import HELD, STATES, Board


class Worker:
    """A forked process. ``status`` is that of ``os.waitpid`` once it has ended."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._gone = False
        self.status = 0
        self.stopped = False

    def ended(self) -> bool:
        """Tell whether it has; learn whether it was stopped or continued."""
        while not self._gone:
            flags = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
            found, status = os.waitpid(self._number, flags)
            if found == 0:
                break
            self.stopped = os.WIFSTOPPED(status)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self._gone = True
                self.status = status
        return self._gone

    def kill(self, signal_number: int) -> None:
        """Send it a signal."""
        if not self._gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._number, signal_number)

    def await_end(self, seconds: float) -> bool:
        """Wait for its end, if it comes in time."""
        end = time.monotonic() + seconds
        pause = 0.001
        while not self.ended():
            if time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return True


class Ages:
    """For how long each slot of a board has been as it is, as far as anybody watched it."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._seen: list[int] = []
        self._ages: list[float] = []

    def advance(self, step: float) -> None:
        """Look again, ``step`` seconds later."""
        now = self._board.sequences()
        new = len(now) - len(self._seen)
        before = zip(self._seen + [0] * new, self._ages + [0.0] * new, strict=True)
        self._ages = [
            age + step if number == seen and number & STATES == HELD else 0.0
            for number, (seen, age) in zip(now, before, strict=True)
        ]
        self._seen = now

    def oldest(self) -> float:
        """Give the highest age."""
        return max(self._ages, default=0.0)

    def older_than(self, seconds: float) -> dict[int, int]:
        """Give the slots that are older, and the sequence number of each."""
        return {slot: self._seen[slot] for slot, age in enumerate(self._ages) if age > seconds}
