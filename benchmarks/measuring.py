"""Measure commands as whole processes, taking turns.

What imports much must not be imported here: until it runs its own program, a new process is this
one, and the system counts this one's memory as its peak.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.treememory import Peak, sampled

# The unit of ru_maxrss.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
# Of what a command said when it failed, the end says why.
_TOLD = 2000
# Seconds between two looks at the memory of a run that is not timed.
SAMPLING = 0.05


class CommandError(Exception):
    """A command that failed, with what it said."""


@dataclass(frozen=True)
class Measured:
    """One run of a command: seconds and bytes.

    ``resident`` is the peak of the largest of its processes, ``proportional`` that of the sum over
    all of them, where it was sampled. ``inner`` is what the command itself took for its work
    without starting up, where it says so.
    """

    wall: float
    cpu: float
    resident: int
    proportional: int | None = None
    inner: float | None = None


@dataclass(frozen=True)
class Contender:
    """A command to be measured, as ``name``.

    ``prepare`` is called before each run and is not measured; ``inner`` is handed the standard
    output of a run, and tells what the command took without starting up. Either may raise
    CommandError.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    inner: Callable[[str], float | None] = lambda _: None


@dataclass
class Results:
    """What came of the contenders, by name: their rounds, in order, or why there are none."""

    measured: dict[str, list[Measured]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def alternate(
    contenders: Sequence[Contender],
    rounds: int,
    folder: str,
    say: Callable[[str], None] = lambda _: None,
) -> Results:
    """Run all of them in turn, ``rounds`` times, after a round that does not count.

    So whatever else the machine does meets all alike. In the first round the memory of the tree is
    sampled, which costs time. ``folder`` is the current one of the commands.
    """
    results = Results()
    proportional: dict[str, int | None] = {}
    for number in range(rounds + 1):
        for contender in contenders:
            name = contender.name
            if name in results.failed:
                continue
            try:
                one = measure(contender, folder, None if number else SAMPLING)
            except CommandError as error:
                say(f"{name}: {error}")
                results.failed[name] = str(error)
                results.measured.pop(name, None)
                continue
            what = f"round {number} of {rounds}" if number else "warming up"
            say(f"{what}: {name}, {one.wall:.2f} s")
            if number == 0:
                proportional[name] = one.proportional
            else:
                whole = replace(one, proportional=proportional[name])
                results.measured.setdefault(name, []).append(whole)
    return results


def measure(contender: Contender, folder: str, sample: float | None = None) -> Measured:
    """Run a command once, on its own. CommandError if it fails.

    The memory of its tree is sampled every so many seconds, or not at all.
    """
    contender.prepare()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            contender.command,
            cwd=folder,
            env=environment(contender.environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        watch = sampled(process.pid, sample) if sample else contextlib.nullcontext(Peak())
        with watch as peak:
            usage = _wait(process)
            wall = time.perf_counter() - start
        if process.returncode:
            told = f"{_text(err).strip()}\n{_text(out).strip()}".strip()[-_TOLD:]
            raise CommandError(f"exit status {process.returncode}: {told or 'it said nothing'}")
        return Measured(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            resident=usage.ru_maxrss * _PEAK_UNIT,
            proportional=peak.bytes,
            inner=contender.inner(_text(out)),
        )


def environment(added: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a command: this one's without this project's settings, and more."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCLS_")}
    return {**own, **added}


def _wait(process: subprocess.Popen[bytes]) -> Any:  # noqa: ANN401 - struct_rusage
    """Wait for a process; give what it and all that it waited for used."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _text(file: Any) -> str:  # noqa: ANN401 - of tempfile, without a name
    file.seek(0)
    text: str = file.read().decode("utf-8", "replace")
    return text
