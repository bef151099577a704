"""The commands that are compared: this project, its two halves, and what else one would write."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import CommandError, Contender, environment
from benchmarks.pipelines.common import printed_seconds
from benchmarks.workspace import module_environment, python

OURS = "this project"
NOTHING_NEW = "this project (nothing new)"
NO_STORE = "this project (no store)"
DECODE_ONLY = "decode only"
INFERENCE_ONLY = "inference only"
HALVES = (DECODE_ONLY, INFERENCE_ONLY)


@dataclass(frozen=True)
class Other:
    """What one would write: its module in ``pipelines``, and the network that it runs."""

    module: str
    network: str


OTHERS = {
    "Pillow + TensorFlow": Other("pillow_tensorflow", "tensorflow"),
    "tf.data + TensorFlow": Other("tfdata_tensorflow", "tensorflow"),
    "tf.data + Keras": Other("tfdata_keras", "keras"),
    "Pillow + ONNX Runtime": Other("pillow_onnxruntime", "onnx"),
}
NAMES = (OURS, NOTHING_NEW, NO_STORE, *OTHERS, *HALVES)
# Keras' way differs from TensorFlow's by what it costs around the network: see the small ones.
LARGE = tuple(name for name in NAMES if name not in {NOTHING_NEW, NO_STORE, "tf.data + Keras"})


@dataclass(frozen=True)
class Place:
    """What the commands are handed: folders, framed photographs, and how many threads to use."""

    images: Path
    count: int
    scratch: Path
    pixels: Path
    threads: int
    network: Callable[[str], Path]

    def report(self, name: str) -> Path:
        """Give the CSV that a contender writes."""
        return self.scratch / f"{self.images.name} {name}.csv"


def contender(name: str, place: Place) -> Contender:
    """Make the contender ``name``. CommandError if what it needs can't be had."""
    if name in OTHERS:
        other = OTHERS[name]
        command = python(
            f"benchmarks.pipelines.{other.module}",
            place.images,
            place.report(name),
            "--network",
            place.network(other.network),
        )
        return Contender(name, command, module_environment(), inner=printed_seconds)
    if name in HALVES:
        threads = ["--threads", str(place.threads)]
        if name == DECODE_ONLY:
            command = python("benchmarks.pipelines.decode_only", place.images, *threads)
        else:
            module = "benchmarks.pipelines.inference_only"
            command = python(module, place.images, place.pixels, *threads)
        # As many threads as cores are at work already.
        added = {**module_environment(), "OPENBLAS_NUM_THREADS": "1"}
        return Contender(name, command, added, inner=printed_seconds)
    return _ours(name, place)


def _ours(name: str, place: Place) -> Contender:
    options = ["--no-store"] if name == NO_STORE else []
    run = _run(name, [place.images], place.report(name), place.scratch, options)
    known = place.count if name == NOTHING_NEW else 0

    def prepare() -> None:
        if name == NOTHING_NEW and not run.store.exists():
            run.fill()
        elif name != NOTHING_NEW:
            run.forget()

    def inner(_: str) -> float:
        return run.seconds(place.count, known)

    return Contender(name, run.command, run.environment, prepare, inner)


@dataclass(frozen=True)
class Run:
    """A run of this project, with a store of its own."""

    command: list[str]
    environment: Mapping[str, str]
    store: Path
    summary: Path

    def forget(self) -> None:
        """Let it know nothing of earlier runs."""
        shutil.rmtree(self.store, ignore_errors=True)

    def fill(self) -> None:
        """Let it know everything."""
        own = environment(self.environment)
        done = subprocess.run(self.command, env=own, capture_output=True, check=False)
        if done.returncode:
            raise CommandError(done.stderr.decode("utf-8", "replace"))

    def seconds(self, count: int, known: int) -> float:
        """Tell what the last run took without starting up; CommandError if it did other work."""
        summary = json.loads(self.summary.read_bytes())
        counts = summary["counts"]
        if (counts["images"], counts["error"], counts["recalled"]) != (count, 0, known):
            raise CommandError(f"{count:,} images, {known:,} of them known, were due: {counts}")
        return float(summary["seconds_classifying"])


def _run(
    name: str, images: list[Path], report: Path, scratch: Path, options: list[str] | None = None
) -> Run:
    summary, store = scratch / f"{name}.json", scratch / f"store of {name}"
    command = python("batchcls", "run", *images, "--model", "imagenet", "-o", report)
    command += ["--summary", str(summary), *(options or [])]
    return Run(command, own_environment(store), store, summary)


def own_environment(store: Path) -> dict[str, str]:
    """Give this project's settings: the defaults, no plugins, a store of its own."""
    return {
        **module_environment(),
        "BATCHCLS_INSTALLED_PLUGINS": "",
        "BATCHCLS_LOG_LEVEL": "normal",
        "BATCHCLS_STORE_FOLDER": str(store),
    }


def growing(name: str, images: Path, count: int, scratch: Path, *, stored: bool) -> Contender:
    """Make a run of this project over any number of images, with or without an empty store."""
    options = [] if stored else ["--no-store"]
    run = _run(name, [images], scratch / f"{name}.csv", scratch, options)
    return Contender(
        name, run.command, run.environment, run.forget, lambda _: run.seconds(count, 0)
    )


def starting_up(image: Path, scratch: Path) -> list[Contender]:
    """Make what a user waits for before anything is done, and Python's own part of it."""
    store = scratch / "store of starting up"
    own = own_environment(store)
    first = _run("first result", [image], scratch / "first.csv", scratch)
    predict = python("batchcls", "predict", image, "--model", "imagenet")
    return [
        Contender("python -c pass", [*python("x")[:1], "-c", "pass"]),
        Contender("batchcls --help", python("batchcls", "--help"), own),
        Contender("batchcls predict, one image", predict, own),
        Contender(
            "batchcls run, one image, nothing known", first.command, first.environment, first.forget
        ),
    ]


def labels_in(report: Path) -> dict[str, str]:
    """Read the label of each file from a report."""
    with report.open(encoding="utf-8", newline="") as lines:
        return {row["path"]: row["label"] for row in csv.DictReader(lines)}


def agreement(place: Place, name: str) -> float | None:
    """Tell for which share of the photographs a contender says what this project does."""
    ours, others = place.report(OURS), place.report(name)
    if name == OURS or not ours.exists() or not others.exists():
        return None
    own, other = labels_in(ours), labels_in(others)
    return sum(other.get(path) == label for path, label in own.items()) / len(own)
