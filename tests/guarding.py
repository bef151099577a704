"""A command that is guarded, for tests to start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# A command with the handlers of the real one. What WORK does is the test's; each worker writes a
# line to `lives`, so that it knows how many there were.
COMMAND = """
import ctypes, faulthandler, math, os, signal, sys, threading, time
from batchcls.errors import BatchclsError, Terminated
from batchcls.guard import Flight, Stage, Verdicts, guarded

def life():
    with open("lives", "a") as file:
        print(os.getpid(), file=file)
    return len(open("lives").readlines())

def crash():
    ctypes.string_at(0)

{work}

def terminated(number, frame):
    raise Terminated(128 + number)

def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, terminated)
    def warn(message):
        print("warning:", message, file=sys.stderr, flush=True)
    try:
        status = guarded(work, seconds={seconds}, folder={folder!r}, warn=warn)
    except BatchclsError as error:
        print("error:", error.message, file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)

print("started")
main()
"""


@dataclass
class Done:
    status: int
    out: str
    err: str
    lives: int


class Guarded:
    """Starts commands, and tells what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._outputs: dict[int, tuple[Path, Path]] = {}

    def start(self, work: str, *, seconds: str = "60") -> subprocess.Popen[bytes]:
        code = COMMAND.format(work=work, seconds=seconds, folder=str(self.folder / "journal"))
        number = len(self._outputs)
        # Files, since a pipe is held open by a process that nothing can end.
        outputs = (self.folder / f"{number}.out", self.folder / f"{number}.err")
        with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._outputs[process.pid] = outputs
        return process

    def end(self, process: subprocess.Popen[bytes], timeout: float = 60) -> Done:
        try:
            process.wait(timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out, err = (output.read_text() for output in self._outputs[process.pid])
        return Done(process.returncode, out, err, len(self.lives()))

    def run(self, work: str, *, seconds: str = "60") -> Done:
        return self.end(self.start(work, seconds=seconds))

    def lives(self) -> list[int]:
        """The workers' process ids so far."""
        lives = self.folder / "lives"
        return [int(line) for line in lives.read_text().split()] if lives.exists() else []

    def worker(self, count: int = 1) -> int:
        until(lambda: len(self.lives()) >= count)
        return self.lives()[count - 1]

    def journals(self) -> list[Path]:
        return list((self.folder / "journal").glob("*"))

    def tidy(self) -> None:
        """End what a test has left."""
        for worker in self.lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


def until(happens: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    if not Path("/proc/self").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"
