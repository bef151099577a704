"""The memory of a process and of all that it started, as a sum that counts nothing twice (Linux).

The largest process alone would hide what others of its tree take; a sum of their resident memory
would count shared pages several times. The proportional set size, PSS, shares them out.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Iterator

PROC = "/proc"


def available() -> bool:
    """Tell whether this system tells the PSS of a process."""
    return os.path.exists(f"{PROC}/self/smaps_rollup")


class Peak:
    """The most that was seen, in bytes; None where nothing was."""

    def __init__(self) -> None:
        self.bytes: int | None = None

    def see(self, size: int) -> None:
        """Take one sample."""
        if size:
            self.bytes = max(size, self.bytes or 0)


@contextlib.contextmanager
def sampled(root: int, interval: float) -> Iterator[Peak]:
    """Look at the tree of the process ``root`` every ``interval`` seconds, while inside."""
    peak = Peak()
    if not available():
        yield peak
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(interval):
            peak.see(sum(map(_pss, tree(root))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def tree(root: int) -> list[int]:
    """List a process and its descendants."""
    children = defaultdict(list)
    for name in os.listdir(PROC):
        if name.isdigit() and (parent := _parent(name)) is not None:
            children[parent].append(int(name))
    found = [root]
    for process in found:  # grows meanwhile
        found += children[process]
    return found


def _parent(process: str) -> int | None:
    try:
        with open(f"{PROC}/{process}/stat", "rb") as file:
            # The name, in brackets, may hold anything.
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:  # it has ended
        return None


def _pss(process: int) -> int:
    try:
        with open(f"{PROC}/{process}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # it has ended
        pass
    return 0
