"""``python -m benchmarks``: everything in one go."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import contenders, options, table
from benchmarks.figures import all_figures
from benchmarks.growth import SIZES, measure_growth
from benchmarks.measuring import CommandError, Contender, alternate
from benchmarks.workspace import Workspace, run_module


class Benchmark:
    """Measures what is asked for, and collects what there is to say."""

    def __init__(self, asked: argparse.Namespace, workspace: Workspace) -> None:
        self._asked = asked
        self._workspace = workspace
        self._parts: list[str] = []
        self.failed = False

    @property
    def text(self) -> str:
        """All that was found, in Markdown."""
        return "\n\n".join(part for part in self._parts if part)

    def run(self) -> None:
        """Do it all."""
        asked = self._asked
        machine = json.loads(run_module("benchmarks.machine"))
        self._parts.append(table.machine(machine))
        if asked.growth:
            self._growth()
            return
        threads = int(machine["cores"])
        if asked.images:
            self._part(f"{asked.images:,} photographs of about 500x375")
            self._speed("small", asked.images, asked.only, threads)
        if asked.large:
            self._part(f"{asked.large:,} photographs of 12 megapixels")
            large = [name for name in asked.only if name in contenders.LARGE]
            self._speed("large", asked.large, large, threads)
        if not asked.no_start_up:
            self._part("Starting up")
            self._starting_up()
        if not asked.no_labels:
            self._part("Labels")
            self._labels()

    def _speed(self, kind: str, count: int, names: Sequence[str], threads: int) -> None:
        space = self._workspace
        images = space.photographs(kind, count)
        pixels = space.pixels(images)
        place = contenders.Place(
            images=images,
            count=count,
            scratch=space.scratch,
            pixels=pixels,
            threads=threads,
            network=lambda name: space.network(name, pixels),
        )
        ready: list[Contender] = []
        failed: dict[str, str] = {}
        for name in names:
            try:
                ready.append(contenders.contender(name, place))
            except CommandError as error:
                failed[name] = str(error)
        results = alternate(ready, self._asked.rounds, str(space.scratch), say)
        self._fail({**failed, **results.failed})
        summed, limit = all_figures(
            count,
            results.measured,
            contenders.OURS,
            contenders.HALVES,
            unlimited=[contenders.NOTHING_NEW],
        )
        agreements = {name: contenders.agreement(place, name) for name in summed}
        self._parts.append(table.speed(summed, limit, agreements))

    def _starting_up(self) -> None:
        space = self._workspace
        image = min(space.photographs("small", self._asked.images or 1).glob("*.jpg"))
        starts = contenders.starting_up(image, space.scratch)
        results = alternate(starts, self._asked.rounds, str(space.scratch), say)
        self._fail(results.failed)
        summed, _ = all_figures(1, results.measured, contenders.OURS, contenders.HALVES)
        self._parts.append(table.starting_up(summed))

    def _labels(self) -> None:
        space = self._workspace
        enlarged = space.photographs("enlarged")
        try:
            network = space.network("tensorflow", space.pixels(enlarged))
            say("comparing labels")
            found = run_module("benchmarks.labels", space.photos, enlarged, network)
        except CommandError as error:
            self._fail({"labels": str(error)})
        else:
            self._parts.append(table.labels(json.loads(found.splitlines()[-1])))

    def _growth(self) -> None:
        space, asked = self._workspace, self._asked
        self._part("Many images")
        images = space.photographs("small", asked.images)
        sizes = asked.sizes or SIZES
        grown = measure_growth(images, sizes, asked.rounds, space.scratch, say)
        self._parts.append(table.growth(grown))

    def _part(self, title: str) -> None:
        self._parts.append(f"## {title}")

    def _fail(self, failed: dict[str, str]) -> None:
        self._parts.append(table.failures(failed))
        self.failed = self.failed or bool(failed)


def say(text: str) -> None:
    """Tell what is being done."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables; give the exit status: 1 if something was left out."""
    asked = options.read(arguments)
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=asked.folder) as scratch:
        place = Path(scratch).resolve()
        benchmark = Benchmark(
            asked, Workspace(asked.folder.resolve(), asked.photos.resolve(), place, say)
        )
        try:
            benchmark.run()
        except (CommandError, FileNotFoundError) as error:
            say(str(error))
            benchmark.failed = True
        finally:  # what was measured is told, whatever came then
            print(benchmark.text)
            if asked.out is not None:
                asked.out.write_text(benchmark.text + "\n", encoding="utf-8")
    return int(benchmark.failed)


if __name__ == "__main__":
    sys.exit(main())
