"""A Dask cluster on loopback: a scheduler and workers of one thread, each a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.measuring import CommandError, environment
from benchmarks.workspace import module_environment

_DASK = [sys.executable, "-m", "dask"]
_START = 120.0  # seconds


@dataclass
class Cluster:
    """The ``address`` of the scheduler, and the processes."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def scheduler(self) -> int:
        """The scheduler's process."""
        return self.processes[0].pid

    @property
    def workers(self) -> list[int]:
        """The workers' processes."""
        return [process.pid for process in self.processes[1:]]

    def start(self, *arguments: str) -> Path:
        """Start a process; give the file of what it says."""
        told = self.folder / f"{len(self.processes)}.log"
        with told.open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    [*_DASK, *arguments, "--host", "127.0.0.1", "--no-dashboard"],
                    cwd=self.folder,
                    # One thread for BLAS, as Dask's nannies have it.
                    env=environment({**module_environment(), "OPENBLAS_NUM_THREADS": "1"}),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        return told


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Run one as long as the context lasts. CommandError where it does not start."""
    made = Cluster(folder)
    try:
        file = folder / "scheduler.json"
        told = made.start("scheduler", "--port", "0", "--scheduler-file", str(file))
        _await(lambda: file.exists() and file.read_text().rstrip().endswith("}"), told)
        made.address = str(json.loads(file.read_text())["address"])
        for number in range(workers):
            place = str(folder / f"worker-{number}")
            told = made.start(
                *("worker", made.address, "--nthreads", "1", "--no-nanny"),
                *("--local-directory", place),
            )
            _await(partial(_registered, told), told)
        yield made
    finally:
        for process in reversed(made.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _registered(told: Path) -> bool:
    return "Registered to:" in told.read_text(errors="replace")


def _await(is_there: Callable[[], bool], told: Path) -> None:
    deadline = time.monotonic() + _START
    while not is_there():
        if time.monotonic() > deadline:
            raise CommandError(told.read_text(errors="replace")[-2000:])
        time.sleep(0.05)
