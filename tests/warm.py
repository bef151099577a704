"""Commands as processes of their own that need not import first what is slow to import.

The suite starts thousands of them. One process for each worker of pytest imports NumPy,
scikit-learn and the like, and this project, once, and forks a process for each command
(``warmprocess.py``). What is asked of the interpreter itself, by a variable of the environment,
gets a fresh one, and so does all that is about importing, starting and ending. BATCHCLS_FRESH=1
lets everything have one: it takes twice as long, and shows what a module forgot to import.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_SCRIPT = Path(__file__).with_name("warmprocess.py")
FRESH = os.environ.get("BATCHCLS_FRESH", "") not in {"", "0"} or not hasattr(os, "pidfd_open")
# What a command imports of others' code that takes long, in no order that matters.
USUAL = (
    *(
        "numpy",
        "scipy.stats",
        "sklearn.linear_model",
        "sklearn.ensemble",
        "sklearn.model_selection",
    ),
    *("sklearn.calibration", "sklearn.pipeline", "threadpoolctl", "joblib", "PIL.Image"),
    *("ai_edge_litert.interpreter", "typer", "msgspec", "pluggy", "importlib.metadata", "sqlite3"),
    *("http.client", "concurrent.futures", "multiprocessing.connection", "shutil", "zipfile"),
    *("s3fs", "distributed", "jinja2", "platformdirs", "requests", "PIL.ImageCms", "batchcls.*"),
)
# What the interpreter, compiled libraries and some packages read as they begin.
_OF_THE_INTERPRETER = (
    "PYTHON",
    "LD_",
    "MALLOC",
    "OMP_",
    "OPENBLAS",
    "MKL_",
    "LANG",
    "LC_",
    "DASK_",
    "FSSPEC_",
)


class Warm:
    """A process that forks others. ``modules`` are imported in it."""

    def __init__(self, modules: Sequence[str] = USUAL) -> None:
        self._modules = modules
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._environment = _of_the_interpreter(os.environ)

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Tell whether a process with such an environment can be forked from this one."""
        return not FRESH and _of_the_interpreter(environment) == self._environment

    def run(
        self,
        arguments: Sequence[str | bytes | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        terminal: int | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Do as ``subprocess.run([sys.executable, *arguments])``, with no standard input.

        Where ``terminal`` is given, the file descriptor of one, all output goes there.
        """
        given = [os.fsdecode(one) for one in arguments]
        if not self.serves(env):
            return subprocess.run(
                [sys.executable, *given],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if terminal is None else terminal,
                stderr=subprocess.PIPE if terminal is None else terminal,
                timeout=timeout,
                check=False,
            )
        request = {"arguments": given, "folder": os.fspath(cwd), "environment": {**env}}
        with contextlib.ExitStack() as stack:
            asked = stack.enter_context(self._connected())
            nothing = stack.enter_context(open(os.devnull, "rb"))
            (out, out_end), (err, err_end) = (
                [
                    stack.enter_context(open(end, mode, 0))
                    for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True)
                ]
                for _ in range(2)
            )
            ends = [one.fileno() if terminal is None else terminal for one in (out_end, err_end)]
            streams = array.array("i", [nothing.fileno(), *ends])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
            message = json.dumps(request).encode() + b"\n"
            message = message[asked.sendmsg([message], ancillary) :]
            asked.sendall(message)
            out_end.close()
            err_end.close()
            found = _all_of((asked, out, err), time.monotonic() + timeout)
            if found is None:
                asked.shutdown(socket.SHUT_RDWR)
                raise subprocess.TimeoutExpired(given, timeout)
        return subprocess.CompletedProcess(given, json.loads(found[0]), found[1], found[2])

    def close(self) -> None:
        """Let it end. What it has forked goes on."""
        if self._process is not None:
            os.close(self._life)
            self._process.wait()

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._process is None:
                self._begin()
        asked = socket.socket(socket.AF_UNIX)
        asked.connect(self._address)
        return asked

    def _begin(self) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("")  # a name that the system gives, and that no folder has
            listening.listen(64)
            self._address = listening.getsockname()
            end, self._life = os.pipe()
            descriptors = (listening.fileno(), end)
            self._process = subprocess.Popen(
                [sys.executable, _SCRIPT, *map(str, descriptors), *self._modules],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
            )
            os.close(end)


def _all_of(ends: Sequence[socket.socket | IO[bytes]], until: float) -> list[bytes] | None:
    """Read all that comes, to the end of each; None where that is not reached in time."""
    found: dict[Any, list[bytes]] = {one: [] for one in ends}
    with selectors.DefaultSelector() as selector:
        for one in ends:
            selector.register(one, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                return None
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                found[key.fileobj].append(data)
                if not data:
                    selector.unregister(key.fileobj)
    return [b"".join(blocks) for blocks in found.values()]


def _of_the_interpreter(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if name.startswith(_OF_THE_INTERPRETER)
    }
