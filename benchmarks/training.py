"""Training on many labelled photographs, with nothing known and again with the store's knowledge.

    python -m benchmarks.training --images 10000 --classes 10

The photographs are made as for the benchmark, and so are kept; a class is those of a few sources.
Each training is a process of its own, which tells how long the features and the fit took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import CommandError, Contender, Measured, measure
from benchmarks.options import add_places
from benchmarks.table import markdown
from benchmarks.workspace import Workspace, module_environment, python

HEADER = [
    "training",
    "wall, s",
    "features, s",
    "images/s",
    "known before",
    "fit, s",
    "peak memory, MB",
]


def tags_of(folder: Path, classes: int) -> list[str]:
    """Give the lines of tags, a class being the photographs of neighbouring sources.

    Of fewer sources than classes, a class is a share of one's photographs, and can't be told apart.
    """
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".jpg")
    sources = sorted({_source(name) for name in names})
    if classes <= len(sources):
        number = {source: place * classes // len(sources) for place, source in enumerate(sources)}
        labels = [number[_source(name)] for name in names]
    else:
        labels = [place % classes for place, _ in enumerate(names)]
    width = len(str(classes - 1))
    pairs = zip(names, labels, strict=True)
    return [f"{folder / name}\tclass{label:0{width}}\n" for name, label in pairs]


def _source(name: str) -> str:
    return name.partition("-")[2]


def row(name: str, told: str, measured: Measured) -> list[str]:
    """Give the row of the table for a run, and for what it told of its phases."""
    phases = json.loads(told)
    features, fit = phases["features"], phases["fit"]
    return [
        name,
        f"{measured.wall:.1f}",
        f"{features['seconds']:.1f}",
        f"{features['images'] / max(features['seconds'], 1e-3):,.0f}",
        f"{features['recalled']:,}",
        f"{fit['seconds']:.1f}",
        f"{measured.resident / 1e6:,.0f}",
    ]


def compare(tags: Path, scratch: Path, more: Sequence[str]) -> list[list[str]]:
    """Train twice, one after the other, with one store. Raises CommandError."""
    rows = []
    told = scratch / "phases.json"
    for name in ("nothing known", "again"):
        command = python("benchmarks.training", "--child", tags, told, *more)
        added = {
            **module_environment(),
            "BATCHCLS_STORE_FOLDER": str(scratch / "store"),
            "BATCHCLS_INSTALLED_PLUGINS": "",
            "BATCHCLS_MODELS_DOWNLOAD": "false",
        }
        measured = measure(Contender(name, command, added), str(scratch))
        print(f"{name}: {measured.wall:.1f} s", file=sys.stderr)
        rows.append(row(name, told.read_text(encoding="utf-8"), measured))
    return rows


def train(tags: str, told: str, classifier: str) -> None:
    """Train as the command does, and write down what it says of its phases."""
    from batchcls import settings as project
    from batchcls.commands.train import train_command
    from batchcls.terminal import Terminal

    class Listening(Terminal):
        """Keeps the events; says nothing but problems."""

        def event(self, name: str, message: str, **fields: object) -> None:  # noqa: ARG002
            phases[name] = fields

    phases: dict[str, dict[str, object]] = {}
    settings = project.load_settings(None, os.environ)
    settings.train.tags, settings.train.classifier = tags, classifier
    settings.train.featurizer = "efficientnet-lite0"
    train_command(settings, "trained.batchcls", Listening(quiet=True))
    Path(told).write_text(json.dumps(phases), encoding="utf-8")


def read(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Measure training, with nothing known and again; a table in Markdown.",
    )
    parser.add_argument("--images", type=int, default=10_000, help="photographs (%(default)s)")
    parser.add_argument("--classes", type=int, default=10, help="classes (%(default)s)")
    parser.add_argument("--classifier", default="logistic", help="(%(default)s)")
    add_places(parser)
    options = parser.parse_args(arguments)
    if not 2 <= options.classes <= options.images:
        parser.error("classes are at least 2, and at most as many as images")
    return options


def main() -> None:
    """Make the photographs, train twice, and print the table."""
    if sys.argv[1:2] == ["--child"]:
        train(*sys.argv[2:])
        return
    options = read()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        scratch = Path(name)

        def say(message: str) -> None:
            print(message, file=sys.stderr)

        try:
            place = Workspace(options.folder.resolve(), options.photos.resolve(), scratch, say)
            folder = place.photographs("small", options.images)
            tags = scratch / "tags.tsv"
            tags.write_text("".join(tags_of(folder, options.classes)), encoding="utf-8")
            rows = compare(tags, scratch, [options.classifier])
        except (CommandError, FileNotFoundError) as error:
            raise SystemExit(str(error)) from None
    print(f"{options.images:,} photographs in {options.classes:,} classes:\n")
    print(markdown(HEADER, rows))


if __name__ == "__main__":
    main()
