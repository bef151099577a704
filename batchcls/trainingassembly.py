"""Settings → the labelled images and the parts that training is handed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from batchcls import assembly, fingerprint
from batchcls.calibration import calibration_images
from batchcls.context import Context
from batchcls.corrections import Merged, merge
from batchcls.crossvalidation import candidates_of
from batchcls.errors import TagsError
from batchcls.featurizerchoice import choose_featurizer
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
    from batchcls.interfaces import Featurizer
    from batchcls.model import Model
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
    return merged_tags(settings, [source], images, problems_of).tags


def merged_tags(
    settings: Settings,
    sources: Sequence[str],
    images: str | None,
    problems_of: Callable[[Sequence[TaggedImage]], list[str]],
) -> Merged:
    """Read the tags of several sources, of which the later one wins, as :func:`tags` does.

    ``images`` is the folder of the paths in all of them. What is wrong in any is listed at once.
    """
    read: list[tuple[str, Sequence[TaggedImage]]] = []
    unsound: list[TaggedImage] = []
    problems: list[str] = []
    hint = ""
    for source in sources:
        try:
            tagged: Sequence[TaggedImage] = read_tags(source, images, assembly.scan_rules(settings))
        except TagsError as error:
            tagged, sound = error.tagged, set(error.sound)
            unsound += [tag for tag in tagged if tag not in sound]
            problems += error.problems
            hint = hint or error.hint
        read.append((source, tagged))
    merged = merge(read)
    problems += problems_of(merged.tags)
    if not problems:
        return merged
    decoder = assembly.decoder(settings)
    skipped = set(unsound)
    files = [ImageFile(tag.path, tag.named) for tag in merged.tags if tag not in skipped]
    problems += [
        f"{file.key}: {reason}"
        for file, reason in unreadable(files, decoder, assembly.engine(settings))
    ]
    raise TagsError(sorted(problems, key=lambda problem: _place(problem, sources)), hint=hint)


def _place(problem: str, sources: Sequence[str]) -> tuple[int, int]:
    """Give the source and the line of a problem that begins with ``FILE:LINE:``, to sort by."""
    match = re.match(r"([^\n]*?):(\d+): ", problem)
    if match is None:
        return 0, 0
    file = match[1]
    number = next((number for number, one in enumerate(sources) if shown(one) == file), 0)
    return number, int(match[2])


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
        memory=lambda framings: _memory(
            settings, chosen.featurizer, chosen.plugin, framings, store
        ),
    )


def parts_of_model(settings: Settings, model: Model, store: Store | None = None) -> Parts:
    """Give what a model was made of, to featurize images, and to fit its like, as it does."""
    entry, recipe = model.manifest.featurizer, model.manifest.classifier
    return Parts(
        decoder=assembly.decoder(settings),
        featurizer=model.featurizer,
        classifier_class=type(model.classifier),
        framing=model.framing,
        engine=assembly.engine(settings),
        featurizer_options=entry.options,
        classifier_options=recipe.options,
        featurizer_plugin=entry.plugin,
        classifier_plugin=recipe.plugin,
        memory=lambda framings: _memory(settings, model.featurizer, entry.plugin, framings, store),
    )


def _memory(
    settings: Settings,
    featurizer: Featurizer,
    plugin: str,
    framings: Sequence[Framing],
    store: Store | None,
) -> StoreMemory | None:
    if store is None:
        return None
    ways = []
    for framing in framings:
        name = fingerprint.features_name(
            settings,
            digest=featurizer.digest,
            framing=framing.value,
            preprocessing=PREPROCESSING,
            plugin=plugin,
        )
        ways.append(store.way(name, f"features {featurizer.name} {framing.value}"))
    decoding = store.way(fingerprint.failing(settings), "unreadable")
    return StoreMemory(store, Ways(decoding, tuple(ways)), featurizer.dimension)
