"""One that asks a Dask cluster whose workers have nothing to do.

    python -m benchmarks.scale.scheduling 100000 FOLDER --address ADDRESS --processes PID,PID,PID

It prints its figures as JSON: of the second half of the images, when tasks have their size. What is
sent back is the labels alone (``--send labels``), also what a store is to keep (``findings``), and
that is kept in one, too (``keep``), in FOLDER. The processes are the scheduler, and its workers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from batchcls.engines.dask import DaskEngine
from batchcls.pipeline import CHUNK
from benchmarks.scale.distantwork import NoWork
from benchmarks.scale.probe import Work, cpu, peak, tell
from benchmarks.scale.rows import Made, blocks
from benchmarks.scale.storing import opened

if TYPE_CHECKING:
    from batchcls.distant import Done
    from batchcls.records import ImageFile
    from batchcls.store.memory import StoreMemory

SENT = ("labels", "findings", "keep")
_WAIT, _LATE = 120.0, 60.0  # seconds


def _warn(text: str) -> None:
    raise RuntimeError(text)


def through(
    asked: argparse.Namespace, work: NoWork, memory: StoreMemory | None
) -> dict[str, float]:
    """Have the images go through the cluster."""
    processes: Sequence[int] = asked.processes
    engine = DaskEngine(asked.address, asked.in_task, _WAIT, _LATE, _warn)
    made = Made()

    def chunks() -> Iterator[list[ImageFile]]:
        for numbers in blocks(asked.images, CHUNK):
            yield [made.file(number) for number in numbers]

    half = asked.images // 2
    seen = 0
    measured: Work | None = None
    before: list[float] = []
    done: Done
    for done in engine.map(work, chunks()):
        if memory is not None:
            memory.keep(done.findings)
        seen += len(done.outcomes)
        if measured is not None:
            measured.did(len(done.outcomes))
        elif seen >= half:
            measured, before = Work(asked.images - seen), list(map(cpu, processes))
    if measured is None or seen != asked.images:
        raise RuntimeError(f"results of {seen:,} images, where there are {asked.images:,}")
    used = [now - then for now, then in zip(map(cpu, processes), before, strict=True)]
    return {
        **measured.figures(),
        "scheduler_cpu": used[0],
        "scheduler_peak": peak(processes[0]),
        "worker_cpu": sum(used[1:]),
        "in_task": asked.in_task,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("images", type=int)
    parser.add_argument("folder")
    parser.add_argument("--address", required=True)
    parser.add_argument(
        "--processes", required=True, type=lambda text: [int(one) for one in text.split(",")]
    )
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--send", choices=SENT, default="keep")
    parser.add_argument("--in-task", type=int, default=64)
    asked = parser.parse_args()
    memory = opened(asked.folder, asked.classes)
    with closing(memory.store):
        work = NoWork(asked.classes, None if asked.send == "labels" else memory.ways)
        tell(through(asked, work, memory if asked.send == "keep" else None))


if __name__ == "__main__":
    main()
