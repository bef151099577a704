"""Settings → the parts that the pipeline is handed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from batchcls.decode import Decoder
from batchcls.engines.local import LocalEngine
from batchcls.errors import TagsError
from batchcls.framing import Framing
from batchcls.imageformats import image_suffixes
from batchcls.pipeline import unreadable
from batchcls.plugins import DEFAULT_FEATURIZER, registry
from batchcls.records import ImageFile, TaggedImage
from batchcls.scan import ScanRules
from batchcls.tags import read_tags
from batchcls.training import Parts

if TYPE_CHECKING:
    from batchcls.interfaces import ReportWriter
    from batchcls.model import Model
    from batchcls.settings import Settings

STDOUT = "-"
DEFAULT_FORMAT = ".csv"


def scan_rules(settings: Settings, *, skip: str | None = None) -> ScanRules:
    """Give the rules of the scan; ``skip`` is a file that is never taken, the report."""
    never = set()
    if skip is not None and skip != STDOUT:
        folder, name = os.path.split(os.path.abspath(skip))
        # By its own name and, where it is a link, by its target's.
        never |= {os.path.join(os.path.realpath(folder), name), os.path.realpath(skip)}
    scan = settings.scan
    return ScanRules(
        suffixes=image_suffixes(settings.decode.pillow_plugins),
        all_files=scan.all_files,
        include=tuple(scan.include),
        exclude=tuple(scan.exclude),
        hidden=scan.hidden,
        follow_links=scan.follow_links,
        skip=frozenset(never),
    )


def decoder(settings: Settings) -> Decoder:
    """Give the decoder."""
    return Decoder(settings.decode.max_pixels)


def engine(settings: Settings) -> LocalEngine:
    """Give the engine."""
    return LocalEngine(settings.run.jobs)


def tags(
    settings: Settings,
    source: str,
    images: str | None,
    problems_of: Callable[[Sequence[TaggedImage]], list[str]],
) -> list[TaggedImage]:
    """Read tags, and list all that is wrong with them in one TagsError.

    ``problems_of`` says what is wrong with them together. Where anything is, the images that can't
    be read are named, too; otherwise that is found as they are used.
    """
    problems: list[str] = []
    hint = ""
    try:
        tagged: Sequence[TaggedImage] = read_tags(source, images, scan_rules(settings))
        sound = tagged
    except TagsError as error:
        tagged, sound, problems, hint = error.tagged, error.sound, error.problems, error.hint
    problems = [*problems, *problems_of(tagged)]
    if not problems:
        return list(sound)
    files = [ImageFile(tag.path, tag.named) for tag in sound]
    problems += [
        f"{file.key}: {reason}"
        for file, reason in unreadable(files, decoder(settings), engine(settings))
    ]
    raise TagsError(sorted(problems, key=_line_number), hint=hint)


def _line_number(problem: str) -> int:
    """Give the line of a problem that begins with ``FILE:LINE:``, to list them in order."""
    match = re.match(r"[^\n]*?:(\d+): ", problem)
    return int(match[1]) if match else 0


def training_parts(settings: Settings) -> Parts:
    """Give what a model is made of. PluginError where a name is not known."""
    name = settings.train.featurizer
    featurizer = DEFAULT_FEATURIZER if name == "auto" else name
    framing = settings.train.framing
    return Parts(
        decoder=decoder(settings),
        featurizer=registry().featurizer(featurizer).create(),
        classifier_class=registry().classifier(settings.train.classifier),
        framing=None if framing == "auto" else Framing(framing),
        engine=engine(settings),
    )


def report(settings: Settings, model: Model) -> ReportWriter:
    """Begin the report; the ending of its name tells the format. ``-`` and devices have none."""
    output = settings.run.output
    suffix = os.path.splitext(output)[1].lower() or DEFAULT_FORMAT
    return (
        registry()
        .report_format(suffix)
        .open(output, model.classes, top=settings.report.top, scores=settings.report.scores)
    )
