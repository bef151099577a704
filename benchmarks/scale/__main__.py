"""``python -m benchmarks.scale``: one measurement after the other, and a table of each."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.measuring import CommandError
from benchmarks.scale import options, probe
from benchmarks.scale.measurements import Measurements
from benchmarks.workspace import run_module

TITLES = {
    "listing": "Listing a bucket",
    "folders": "Listing folders",
    "objects": "Reading objects",
    "store": "The store",
    "reports": "Reports",
    "scheduler": "A Dask scheduler, and the one who asks",
    "costs": "Costs",
}


def say(text: str) -> None:
    """Tell what is being done."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables; give the exit status: 1 if something was left out."""
    asked, sizes = options.read(arguments)
    if not probe.available():
        say("this needs Linux: what a process takes is read from /proc")
        return 1
    parts = [table.machine(json.loads(run_module("benchmarks.machine")))]
    failed: dict[str, str] = {}
    asked.folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in asked.what:
            with tempfile.TemporaryDirectory(prefix="scale-", dir=asked.folder) as scratch:
                measurements = Measurements(sizes, Path(scratch).resolve(), say)
                try:
                    found = measurements.measured(name)
                except CommandError as error:
                    say(str(error))
                    failed[name] = str(error)
                    continue
                parts.append(f"## {TITLES[name]}\n\n{found}")
    finally:  # what was measured is told, whatever came then
        parts.append(table.failures(failed))
        text = "\n\n".join(part for part in parts if part)
        print(text)
        if asked.out is not None:
            asked.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
