"""A Dask cluster on loopback: a scheduler and workers, each a process, as one would start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DASK = [sys.executable, "-m", "dask"]


class Cluster:
    """A scheduler; workers of one thread each are added by name."""

    def __init__(self, folder: Path, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.env = {**os.environ, **env}
        self._file = folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._start(
            "scheduler",
            *("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"),
            *("--dashboard-address", ":0", "--scheduler-file", str(self._file)),
        )
        self.address: str = json.loads(self._waited_for())["address"]

    @property
    def file(self) -> Path:
        """What tells the address of the scheduler."""
        return self._file

    def _waited_for(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._file.exists() and (text := self._file.read_text()).endswith("}"):
                return text
            time.sleep(0.05)
        raise TimeoutError(self.log("scheduler"))

    def add(self, name: str, *options: str, **env: str) -> None:
        """Start a worker, and wait until it is at work."""
        self._start(
            name,
            *("worker", self.address, "--name", name, "--nthreads", "1", "--nworkers", "1"),
            *("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", ":0"),
            *("--local-directory", str(self.folder / f"{name}-files"), *options),
            **env,
        )
        deadline = time.monotonic() + 90
        while "Registered to:" not in self.log(name):
            if time.monotonic() > deadline or self.processes[name].poll() is not None:
                raise TimeoutError(self.log(name))
            time.sleep(0.05)

    def _start(self, name: str, *arguments: str, **env: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*DASK, *arguments],
                cwd=self.folder,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> str:
        """Give what a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def working(self, name: str) -> list[int]:
        """Give the processes that do the work of a worker, which its nanny has started."""
        nanny = self.processes[name].pid
        found = []
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                state = (process / "stat").read_text().rpartition(") ")[2].split()
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if int(state[1]) == nanny and state[0] != "Z" and b"resource_tracker" not in command:
                found.append(int(process.name))
        return found

    def kill(self, name: str) -> bool:
        """Kill what does the work of a worker; its nanny starts another."""
        pids = self.working(name)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def stop(self, name: str) -> None:
        """Kill a process and all that it has started."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def close(self) -> None:
        """Kill everything."""
        for name in list(self.processes):
            self.stop(name)
