"""Settings → the parts that the pipeline is handed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchcls.calibration import calibration_images
from batchcls.context import Context
from batchcls.crossvalidation import candidates_of
from batchcls.decode import Decoder
from batchcls.engines.local import LocalEngine
from batchcls.errors import TagsError
from batchcls.featurizerchoice import choose_featurizer
from batchcls.framing import Framing
from batchcls.imageformats import image_suffixes
from batchcls.model import made_classifier
from batchcls.options import checked_options
from batchcls.pipeline import unreadable
from batchcls.plugins import registry
from batchcls.records import ImageFile, ReportRequest, TaggedImage
from batchcls.scan import ScanRules
from batchcls.tags import read_tags
from batchcls.text import shown
from batchcls.training import Parts

if TYPE_CHECKING:
    from batchcls.interfaces import ReportFormat
    from batchcls.model import Model
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

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


def context(settings: Settings, terminal: Terminal, tagged: Sequence[TaggedImage] = ()) -> Context:
    """Give what a provider is told; ``tagged`` are the images that are being trained with."""
    given = Context(settings, say=terminal.say, warn=terminal.warn, progress=terminal.download)
    if not tagged:
        return given
    return replace(given, sample=calibration_images(tagged, decoder(settings)))


def training_parts(settings: Settings, context: Context) -> Parts:
    """Give what a model is made of. PluginError where a name is not known."""
    name = settings.train.classifier
    # Before the featurizer, which may take its time: what is wrong is told at once.
    classifier_class = registry().classifier(name)
    given = settings.classifier.get(name, {})
    options = checked_options(f"the classifier {shown(name)}", classifier_class, given)
    for candidate in candidates_of(classifier_class, options):
        made_classifier(classifier_class, candidate)
    chosen = choose_featurizer(context)
    framing = settings.train.framing
    return Parts(
        decoder=decoder(settings),
        featurizer=chosen.featurizer,
        classifier_class=classifier_class,
        framing=None if framing == "auto" else Framing(framing),
        engine=engine(settings),
        featurizer_options=chosen.options,
        classifier_options=options,
        featurizer_plugin=chosen.plugin,
        classifier_plugin=registry().owner("classifier", name),
    )


def report_format(settings: Settings) -> ReportFormat:
    """Give the format that the ending of the output tells; ``-`` and devices have none."""
    suffix = os.path.splitext(settings.run.output)[1].lower() or DEFAULT_FORMAT
    return registry().report_format(suffix)


def report_request(settings: Settings, model: Model) -> ReportRequest:
    """Give what the report is to hold."""
    asked = settings.report
    return ReportRequest(model.classes, asked.top, asked.scores, asked.explain)
