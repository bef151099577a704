"""Reports: writing one of many rows, and merging those of shards.

    python -m benchmarks.scale.reporting write 1000000 REPORT
    python -m benchmarks.scale.reporting shards 1000000 FOLDER --shards 16
    python -m benchmarks.scale.reporting merge FOLDER REPORT

Each prints its figures as JSON; ``merge`` is the command itself.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from batchcls.records import ReportRequest
from batchcls.sharding import Shard, shard_of
from benchmarks.scale.probe import Work, tell
from benchmarks.scale.rows import CHUNK, Made, blocks


def write(count: int, path: str) -> dict[str, float]:
    """Write a report in the format that its name says, chunk by chunk."""
    from batchcls import assembly

    made = Made()
    work, seconds = Work(count), 0.0
    report = assembly.report_format(path).open(path, ReportRequest(made.classes))
    for numbers in blocks(count, CHUNK):
        predictions = [made.prediction(one) for one in numbers]
        began = time.perf_counter()
        report.write(predictions)
        seconds += time.perf_counter() - began
        work.did(len(numbers))
    began = time.perf_counter()
    report.commit()
    seconds += time.perf_counter() - began
    return {**work.figures(), "seconds": seconds, "bytes": os.path.getsize(path)}


def shards(count: int, folder: str, number: int) -> dict[str, float]:
    """Write the reports of all shards."""
    from batchcls.reports.csv import CsvReport

    made = Made()
    work = Work(count)
    reports = []
    for index in range(1, number + 1):
        path = os.path.join(folder, f"report-{Shard(index, number).name}.csv")
        reports.append(CsvReport(path, ReportRequest(made.classes)))
    for one in range(count):
        prediction = made.prediction(one)
        reports[shard_of(prediction.path, number) - 1].write([prediction])
        work.did()
    for report in reports:
        report.commit()
    return work.figures()


def merge(folder: str, path: str) -> dict[str, float]:
    """Merge them, by the command. RuntimeError where it fails."""
    from batchcls.__main__ import main as command

    files = sorted(str(file) for file in Path(folder).glob("report-*-of-*.csv"))
    sys.argv = ["batchcls", "merge", *files, "--output", path, "--quiet"]
    work = Work(len(files))
    try:
        command()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"batchcls merge: exit status {end.code}") from None
    return {**work.figures(), "shards": len(files), "bytes": os.path.getsize(path)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("write", "shards"):
        one = commands.add_parser(name)
        one.add_argument("count", type=int)
        one.add_argument("place")
        one.add_argument("--shards", type=int, default=16)
    one = commands.add_parser("merge")
    one.add_argument("folder")
    one.add_argument("place")
    asked = parser.parse_args()
    if asked.what == "write":
        tell(write(asked.count, asked.place))
    elif asked.what == "shards":
        tell(shards(asked.count, asked.place, asked.shards))
    else:
        tell(merge(asked.folder, asked.place))


if __name__ == "__main__":
    main()
