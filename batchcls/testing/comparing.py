"""Whether two results are the same, bit for bit, and doing work on many threads at once."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Threads are made to take turns this often, in seconds, so that they meet where they can.
_TURN = 1e-5


def difference(got: NDArray[Any], due: NDArray[Any]) -> str:
    """Say which row differs and by how much; empty if both, ``[N, ...]``, are the same."""
    if got.shape != due.shape:
        return f"{list(got.shape)} came where {list(due.shape)} was due"
    differs = (got != due) & ~(np.isnan(got) & np.isnan(due))
    if not differs.any():
        return ""
    rows = np.flatnonzero(differs.reshape(len(got), -1).any(axis=1))
    row = int(rows[0])
    amount = float(np.abs(got[row].astype(np.float64) - due[row].astype(np.float64)).max())
    others = f", and {len(rows) - 1} more of {len(got)} rows differ" if len(rows) > 1 else ""
    return f"row {row} differs by {amount:.2g}{others}"


def differing_in_threads(
    work: Callable[[int], NDArray[Any]], tasks: int, threads: int, seconds: float
) -> list[str]:
    """Do ``work(task)`` for each task on some threads at once, again until time is up, then alone.

    Says what differed, once for each thread at most; what ``work`` raises is raised here. Alone
    comes last, so that the first call of all is one of many.
    """
    barrier = threading.Barrier(threads)
    end = time.monotonic() + seconds

    def one(thread: int) -> tuple[dict[int, NDArray[Any]], str]:
        first: dict[int, NDArray[Any]] = {}
        barrier.wait()
        while True:
            for step in range(tasks):
                task = (step + thread) % tasks
                result = np.array(work(task))
                if differs := difference(result, first.setdefault(task, result)):
                    return first, differs
            if time.monotonic() > end:
                return first, ""

    turn = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(one, range(threads)))
    finally:
        sys.setswitchinterval(turn)
    alone = [np.array(work(task)) for task in range(tasks)]
    said = []
    for first, differs in done:
        all_differ = [differs, *(difference(first[task], alone[task]) for task in first)]
        said += [one for one in all_differ if one][:1]
    return said
