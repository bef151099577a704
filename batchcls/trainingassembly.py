"""Settings → the labelled images and the parts that training is handed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchcls import assembly, fingerprint
from batchcls.calibration import calibration_images
from batchcls.context import Context
from batchcls.crossvalidation import candidates_of
from batchcls.errors import TagsError
from batchcls.featurizerchoice import ChosenFeaturizer, choose_featurizer
from batchcls.framing import PREPROCESSING, Framing
from batchcls.model import made_classifier
from batchcls.options import checked_options
from batchcls.pipeline import unreadable
from batchcls.plugins import registry
from batchcls.records import ImageFile, TaggedImage
from batchcls.store.memory import StoreMemory, Ways
from batchcls.tags import read_tags
from batchcls.text import shown
from batchcls.training import Parts

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal


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
        tagged: Sequence[TaggedImage] = read_tags(source, images, assembly.scan_rules(settings))
        sound = tagged
    except TagsError as error:
        tagged, sound, problems, hint = error.tagged, error.sound, error.problems, error.hint
    problems = [*problems, *problems_of(tagged)]
    if not problems:
        return list(sound)
    decoder = assembly.decoder(settings)
    files = [ImageFile(tag.path, tag.named) for tag in sound]
    problems += [
        f"{file.key}: {reason}"
        for file, reason in unreadable(files, decoder, assembly.engine(settings))
    ]
    raise TagsError(sorted(problems, key=_line_number), hint=hint)


def _line_number(problem: str) -> int:
    """Give the line of a problem that begins with ``FILE:LINE:``, to list them in order."""
    match = re.match(r"[^\n]*?:(\d+): ", problem)
    return int(match[1]) if match else 0


def training_context(
    settings: Settings, terminal: Terminal, tagged: Sequence[TaggedImage]
) -> Context:
    """Give what a provider is told; ``tagged`` are the images that are being trained with."""
    given = assembly.context(settings, terminal)
    return replace(given, sample=calibration_images(tagged, assembly.decoder(settings)))


def training_parts(settings: Settings, context: Context, store: Store | None = None) -> Parts:
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
        decoder=assembly.decoder(settings),
        featurizer=chosen.featurizer,
        classifier_class=classifier_class,
        framing=None if framing == "auto" else Framing(framing),
        engine=assembly.engine(settings),
        featurizer_options=chosen.options,
        classifier_options=options,
        featurizer_plugin=chosen.plugin,
        classifier_plugin=registry().owner("classifier", name),
        memory=lambda framings: _memory(settings, chosen, framings, store),
    )


def _memory(
    settings: Settings,
    chosen: ChosenFeaturizer,
    framings: Sequence[Framing],
    store: Store | None,
) -> StoreMemory | None:
    if store is None:
        return None
    featurizer = chosen.featurizer
    ways = []
    for framing in framings:
        name = fingerprint.features_name(
            settings,
            digest=featurizer.digest,
            framing=framing.value,
            preprocessing=PREPROCESSING,
            plugin=chosen.plugin,
        )
        ways.append(store.way(name, f"features {featurizer.name} {framing.value}"))
    decoding = store.way(fingerprint.failing(settings), "unreadable")
    return StoreMemory(store, Ways(decoding, tuple(ways)), featurizer.dimension)
