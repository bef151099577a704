"""A program that is called at the end of a run, good or bad: to mail, to ping, to publish."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from batchcls.blas import environment_as_given
from batchcls.runsummary import as_bytes
from batchcls.text import shown

SECONDS = 60.0
SECONDS_WHEN_TOLD_TO_END = 10.0  # the system is going down, or loses its patience


def call_at_end(
    command: Sequence[str],
    summary: dict[str, Any],
    warn: Callable[[str], None],
    *,
    seconds: float = SECONDS,
) -> bool:
    """Run ``command`` with the summary on its standard input; give whether all went well.

    What it prints goes to standard error. Where it can't be run, fails, or takes longer than
    ``seconds`` (then it is killed, with its children), ``warn`` is told, and no more.
    """
    name = shown(command[0])
    try:
        output = _standard_error()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**environment_as_given(), **_environment(summary)},
            start_new_session=True,  # it has its own end, and all that it starts can be killed
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        reason = getattr(error, "strerror", None) or error
        warn(f"on_end: {name} can't be run: {reason}")
        return False
    try:
        process.communicate(as_bytes(summary), timeout=seconds)  # it need not read it
    except subprocess.TimeoutExpired:
        _kill(process)
        warn(f"on_end: {name} took longer than {seconds:g} s, and was killed")
        return False
    except BaseException:
        _kill(process)
        raise
    status = process.returncode
    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        warn(f"on_end: {name} failed: it ended {how}")
    return status == 0


def _environment(summary: dict[str, Any]) -> dict[str, str]:
    return {
        "BATCHCLS_STATUS": str(summary["status"]),
        "BATCHCLS_EXIT_STATUS": str(summary["exit_status"]),
        "BATCHCLS_REPORT": str(summary["report"]),
    }


def _standard_error() -> int:
    try:
        sys.stderr.flush()
        descriptor = sys.stderr.fileno()
        os.fstat(descriptor)
    except (AttributeError, OSError, ValueError):  # the process has none
        return subprocess.DEVNULL
    return descriptor


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with contextlib.suppress(OSError):
            subprocess.run(tree, capture_output=True, check=False)
    else:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    process.wait()
