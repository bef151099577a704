"""What a process has taken so far, of memory and of the processor, as the system tells it (Linux).

``VmHWM`` is of the program alone that a process runs: other than ``ru_maxrss`` it knows nothing of
who started it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

PROC = "/proc"


def available() -> bool:
    """Tell whether this system tells it."""
    return os.path.exists(f"{PROC}/self/status")


def peak(process: int | str = "self") -> int:
    """Give the most memory that a process has had at once, in bytes."""
    with open(f"{PROC}/{process}/status", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise LookupError(f"{PROC}/{process}/status: no VmHWM")


def cpu(process: int | str = "self") -> float:
    """Give the seconds of the processor that a process has used, those of its children aside."""
    if process == "self":
        return time.process_time()  # finer
    with open(f"{PROC}/{process}/stat", "rb") as file:
        # The name, in brackets, may hold anything.
        parts = file.read().rpartition(b")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


class Work:
    """Measures some work of this process: seconds, the processor, and its memory early and late.

    Early is when ``early`` of the items are done, or half of them, if they are fewer.
    """

    def __init__(self, items: int, early: int = 50_000) -> None:
        self._items, self._early = items, min(early, max(1, items // 2))
        self.done = 0
        self._peak = 0
        self._cpu = cpu()
        self._began = time.perf_counter()

    def did(self, items: int = 1) -> None:
        """Count what is done."""
        self.done += items
        if not self._peak and self.done >= self._early:
            self._peak = peak()

    def figures(self) -> dict[str, float]:
        """Give what it took, up to now."""
        return {
            "done": self.done,
            "seconds": time.perf_counter() - self._began,
            "cpu": cpu() - self._cpu,
            "early_peak": self._peak,
            "peak": peak(),
        }


def tell(figures: Mapping[str, object]) -> None:
    """Print figures for the process that asked for them: one line of JSON, the last one."""
    print(json.dumps(figures), flush=True)
