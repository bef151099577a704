"""The measurements: which processes each takes, and its table."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import CommandError
from benchmarks.scale import costs
from benchmarks.scale.cluster import cluster
from benchmarks.scale.options import Sizes
from benchmarks.table import markdown
from benchmarks.workspace import run_module

Figures = Mapping[str, float]

SHARD = "3/16"
FORMATS = ("csv", "jsonl", "parquet")
WORKERS = 2
MANY_CLASSES = 1000
MANY_IMAGES = 256  # in a task
_PEAKS = ["peak memory early, MB", "and late"]


@dataclass(frozen=True)
class Measurements:
    """All of them, with a ``scratch`` folder; each method gives a table in Markdown."""

    sizes: Sizes
    scratch: Path
    say: Callable[[str], None]

    def measured(self, name: str) -> str:
        """Give the table of one measurement. CommandError where it fails."""
        made: str = getattr(self, name)()
        return made

    def listing(self) -> str:
        """List a bucket, and take the names of a shard."""
        few = max(1, self.sizes.names // 5)
        whole = self._figures("listing", "bucket", self.sizes.names)
        part = self._figures("listing", "bucket", few, "--shard", SHARD)
        rows = [_listing_row("a bucket", whole), _listing_row(f"the same, `--shard {SHARD}`", part)]
        rows[0].append(_each(whole, "server_cpu"))
        rows[1].append(_each(part, "server_cpu"))
        return markdown([*_LISTING, "the server's CPU, µs"], rows)

    def folders(self) -> str:
        """List folders."""
        place = self._folder("folders")
        figures = self._figures("listing", "folders", self.sizes.files, "--folder", place)
        return markdown(_LISTING, [_listing_row("folders of 1,000 empty files", figures)])

    def objects(self) -> str:
        """Read objects."""
        figures = self._figures("listing", "objects", self.sizes.objects)
        header = ["objects", "size, KB", "objects/s", "CPU, ms each", "peak memory, MB"]
        header.append("the server's CPU, ms")
        row = [
            f"{figures['done']:,}",
            f"{figures['bytes'] / figures['done'] / 1e3:,.0f}",
            _rate(figures),
            f"{1e3 * figures['cpu'] / figures['done']:.2f}",
            _megabytes(figures["peak"]),
            f"{1e3 * figures['server_cpu'] / figures['done']:.2f}",
        ]
        return markdown(header, [row])

    def store(self) -> str:
        """Keep contents, and recall them."""
        folder, count = self._folder("store"), self.sizes.contents
        record = self._figures("storing", "record", count, folder)
        recall = self._figures("storing", "recall", count, folder)
        header = ["store", "images", "images/s", "of the first tenth", "of the last tenth"]
        rows = [
            [
                name,
                f"{one['done']:,}",
                _rate(one),
                f"{one['early_rate']:,.0f}",
                f"{one['late_rate']:,.0f}",
                *_peaks(one),
                f"{record['bytes'] / count:,.0f}",
            ]
            for name, one in (("kept, 8 at once", record), ("recalled, 128 at once", recall))
        ]
        return markdown([*header, *_PEAKS, "bytes each on the disk"], rows)

    def reports(self) -> str:
        """Write reports, and merge those of shards."""
        folder, count = self._folder("reports"), self.sizes.rows
        header = ["report", "rows", "seconds", "rows/s", *_PEAKS, "bytes a row"]
        rows = []
        for name in FORMATS:
            one = self._figures("reporting", "write", count, folder / f"whole.{name}")
            rows.append(_report_row(name, one, one["done"]))
        self._figures("reporting", "shards", count, folder, "--shards", self.sizes.shards)
        merged = folder / "merged.csv"
        one = self._figures("reporting", "merge", folder, merged)
        name = f"`batchcls merge`, {one['shards']:,} shards"
        rows.append(_report_row(name, one, count))
        if not filecmp.cmp(merged, folder / "whole.csv", shallow=False):
            raise CommandError("the merged report is not what one run has written")
        return markdown(header, rows)

    def scheduler(self) -> str:
        """Have a Dask cluster do nothing, and take what comes back."""
        variants = (
            ("kept in a store here", 10, "keep", 64),
            ("sent, but not kept", 10, "findings", 64),
            ("`--no-store`", 10, "labels", 64),
            (f"`--no-store`, {MANY_CLASSES:,} classes", MANY_CLASSES, "labels", 64),
            (f"`--no-store`, `images = {MANY_IMAGES}`", 10, "labels", MANY_IMAGES),
        )
        rows = []
        with cluster(self._folder("cluster"), WORKERS) as made:
            processes = ",".join(map(str, [made.scheduler, *made.workers]))
            for number, (name, classes, send, in_task) in enumerate(variants):
                figures = self._figures(
                    "scheduling",
                    *(self.sizes.images, self._folder(f"scheduler-{number}")),
                    *("--address", made.address, "--processes", processes),
                    *("--classes", classes, "--send", send, "--in-task", in_task),
                )
                rows.append(_scheduler_row(name, figures))
        return markdown(_SCHEDULER, rows)

    def costs(self) -> str:
        """Say what images cost; nothing is measured."""
        return costs.table(costs.Prices())

    def _figures(self, module: str, *arguments: object) -> Figures:
        """Run a module in a process of its own, and give what it prints."""
        told = " ".join(str(one).removeprefix(f"{self.scratch}/") for one in arguments[:3])
        self.say(f"{module} {told}")
        said = run_module(f"benchmarks.scale.{module}", *map(str, arguments))
        figures: Figures = json.loads(said.splitlines()[-1])
        self.say(f"{module} {told}: {figures['seconds']:.1f} s")
        return figures

    def _folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir()
        return folder


_LISTING = ["names in", "names", "taken", "names/s", "CPU, µs a name", *_PEAKS]
_SCHEDULER = [
    "what comes back",
    "images a task",
    "images/s here",
    "tasks/s",
    "CPU of who asks, µs an image",
    "of the scheduler",
    "of the workers",
    "most images/s by the busier one's CPU",
    "peak memory of who asks, MB",
    "of the scheduler",
]


def _listing_row(name: str, one: Figures) -> list[str]:
    return [
        name,
        f"{one['done']:,}",
        f"{one['taken']:,}",
        _rate(one),
        _each(one, "cpu"),
        *_peaks(one),
    ]


def _report_row(name: str, one: Figures, rows: float) -> list[str]:
    return [
        name,
        f"{rows:,}",
        f"{one['seconds']:.1f}",
        f"{rows / one['seconds']:,.0f}",
        *(_peaks(one) if one["early_peak"] else ["", _megabytes(one["peak"])]),
        f"{one['bytes'] / rows:,.1f}",
    ]


def _scheduler_row(name: str, one: Figures) -> list[str]:
    busier = max(one["cpu"], one["scheduler_cpu"])
    return [
        name,
        f"{one['in_task']:,}",
        _rate(one),
        f"{one['done'] / one['seconds'] / one['in_task']:,.1f}",
        *(_each(one, what) for what in ("cpu", "scheduler_cpu", "worker_cpu")),
        f"{one['done'] / busier:,.0f}" if busier else "",
        _megabytes(one["peak"]),
        _megabytes(one["scheduler_peak"]),
    ]


def _rate(one: Figures) -> str:
    return f"{one['done'] / one['seconds']:,.0f}"


def _each(one: Figures, what: str) -> str:
    return f"{1e6 * one[what] / one['done']:,.0f}"


def _peaks(one: Figures) -> list[str]:
    return [_megabytes(one["early_peak"]), _megabytes(one["peak"])]


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"
