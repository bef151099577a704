"""Train: tags + features → a model, with an honest word on what to expect of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import __version__
from batchcls.crossvalidation import (
    CrossValidation,
    candidates_of,
    comparison_sample,
    cross_validate,
    stratified_sample,
)
from batchcls.errors import TagsError
from batchcls.extraction import Extractor
from batchcls.framing import PREPROCESSING, Framing
from batchcls.manifest import ClassifierEntry, FeaturizerEntry, Manifest
from batchcls.model import Model, made_classifier
from batchcls.noveltyfitting import FittedNovelty, fit_novelty
from batchcls.options import to_json
from batchcls.records import TaggedImage
from batchcls.store.memory import RecallingExtractor
from batchcls.text import shown
from batchcls.trainingfeatures import Effort, TaggedFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.extraction import Extracted
    from batchcls.interfaces import Classifier, Engine, Featurizer
    from batchcls.records import ImageFile
    from batchcls.store.memory import StoreMemory

# Framings are compared on about this many images, each of which is featurized four times.
FRAMING_SAMPLE = 400
# Options are compared on at most this many: more would cost minutes and change nothing.
OPTIONS_SAMPLE = 2000


@dataclass(frozen=True)
class Parts:
    """What a model is made of. ``framing`` None lets cross-validation choose.

    Options are as given, those of the classifier without what cross-validation is to choose.
    Plugins are named by package and version, empty for what ships with batchcls. ``memory`` gives,
    for framings, what the store knows of features in them.
    """

    decoder: Decoder
    featurizer: Featurizer
    classifier_class: type[Classifier]
    framing: Framing | None
    engine: Engine
    featurizer_options: Mapping[str, Any] = field(default_factory=dict)
    classifier_options: Mapping[str, Any] = field(default_factory=dict)
    featurizer_plugin: str = ""
    classifier_plugin: str = ""
    memory: Callable[[Sequence[Framing]], StoreMemory | None] = lambda _: None

    def extractor(self, framings: Sequence[Framing]) -> Callable[[list[ImageFile]], Extracted]:
        """Give what turns files into features in these framings."""
        memory = self.memory(framings)
        if memory is None:
            return Extractor(self.decoder, self.featurizer, framings)
        extractor = Extractor(self.decoder, self.featurizer, framings, memory=memory)
        return RecallingExtractor(extractor, memory)

    @property
    def candidates(self) -> list[Mapping[str, Any]]:
        """The classifier's options that cross-validation chooses among."""
        return candidates_of(self.classifier_class, self.classifier_options)


@dataclass(frozen=True)
class Training:
    """A trained model and how it did.

    ``validation`` is the cross-validation that chose the options; ``framing_losses`` the
    cross-validated log-loss of each framing that was compared; ``novelty`` what was found of
    unknown images, None where the training images can't tell.
    """

    model: Model
    images_per_class: dict[str, int]
    validation: CrossValidation
    framing_losses: dict[Framing, float]
    novelty: FittedNovelty | None = None
    effort: Effort = field(default_factory=Effort)


def too_few_classes(tags: Sequence[TaggedImage]) -> list[str]:
    """Say that there is one class only, if so."""
    classes = {tag.label for tag in tags}
    if len(classes) != 1:
        return []
    return [
        f"{tags[0].named}: one class only: all images are tagged {tags[0].label!r}; "
        "a classifier needs two or more"
    ]


def train(
    tags: Sequence[TaggedImage],
    parts: Parts,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Training:
    """Train on labelled images.

    Raises TagsError that lists every image that can't be read, or says that there is one class
    only; PluginFailedError where the featurizer or the classifier fails.
    """
    if problems := too_few_classes(tags):
        raise TagsError(problems)
    classes = sorted({tag.label for tag in tags})
    numbers = {name: number for number, name in enumerate(classes)}
    targets = np.array([numbers[tag.label] for tag in tags], dtype=np.intp)
    start = time.perf_counter()
    work = TaggedFeatures(tags, parts, on_progress)
    features, framing, framing_losses = _features(work, targets)
    sample = stratified_sample(targets, OPTIONS_SAMPLE)
    validation = cross_validate(
        parts.classifier_class, features[sample], targets[sample], len(classes), parts.candidates
    )
    classifier = made_classifier(parts.classifier_class, validation.options)
    classifier.fit(features, targets, len(classes))
    novelty = fit_novelty(features, targets)
    counts = np.bincount(targets, minlength=len(classes))
    images_per_class = {name: int(count) for name, count in zip(classes, counts, strict=True)}
    manifest = Manifest(
        batchcls=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        classes=classes,
        featurizer=FeaturizerEntry(
            name=parts.featurizer.name,
            digest=parts.featurizer.digest,
            framing=framing.value,
            preprocessing=PREPROCESSING,
            input_size=parts.featurizer.input_size,
            dimension=parts.featurizer.dimension,
            options=to_json(parts.featurizer_options),
            restored_by=getattr(parts.featurizer, "restored_by", ""),
            plugin=parts.featurizer_plugin,
        ),
        classifier=ClassifierEntry(
            name=parts.classifier_class.name,
            options=to_json(validation.options),
            plugin=parts.classifier_plugin,
        ),
        training={"images": len(tags), "images_per_class": images_per_class},
        metrics=_metrics(validation, framing_losses, novelty),
    )
    work.effort.fit = time.perf_counter() - start - work.effort.features
    names = _names(tags) if hasattr(parts.classifier_class, "explain") else []
    model = Model(
        manifest,
        parts.featurizer,
        classifier,
        digest="",
        training_images=names,
        novelty=novelty.novelty if novelty is not None else None,
    )
    return Training(model, images_per_class, validation, framing_losses, novelty, work.effort)


def _features(
    work: TaggedFeatures, targets: NDArray[np.intp]
) -> tuple[NDArray[np.float32], Framing, dict[Framing, float]]:
    """Featurize all images in the framing that is asked for, or is best: ``[N, D]``."""
    parts = work.parts
    features = work.matrix(len(targets))
    everyone = np.arange(len(targets))
    if parts.framing is not None:
        work.fill([features], everyone, everyone, [parts.framing])
        work.check()
        return features, parts.framing, {}
    framings = list(Framing)
    sample = comparison_sample(targets, FRAMING_SAMPLE)
    rest = np.setdiff1d(everyone, sample)
    sampled = [work.matrix(len(sample)) for _ in framings]
    work.fill(sampled, np.arange(len(sample)), sample, framings)
    if work.problems:  # to list those of the others with them
        work.fill([features], rest, rest, framings[:1])
    work.check()
    compared, numbers = np.unique(targets[sample], return_inverse=True)
    losses: dict[Framing, float] = {}
    for framing, candidate in zip(framings, sampled, strict=True):
        loss = cross_validate(
            parts.classifier_class,
            candidate,
            numbers.astype(np.intp),
            len(compared),
            parts.candidates,
        ).log_loss
        if loss is not None:
            losses[framing] = loss
    best = min(losses, key=lambda framing: losses[framing]) if losses else Framing.SQUARE
    features[sample] = sampled[framings.index(best)]
    del sampled
    work.fill([features], rest, rest, [best])
    work.check()
    return features, best, losses


def _names(tags: Sequence[TaggedImage]) -> list[str]:
    """Name the images below the folder that has them all: models travel, folders don't."""
    paths = [os.path.abspath(tag.path) for tag in tags]
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    except ValueError:  # on several drives
        return [shown(path) for path in paths]
    return [shown(os.path.relpath(path, folder).replace(os.sep, "/")) for path in paths]


def _metrics(
    validation: CrossValidation, losses: dict[Framing, float], novelty: FittedNovelty | None
) -> dict[str, Any]:
    return {
        "cross_validation": {
            "folds": validation.folds,
            "checked": len(validation.checked),
            "right": int(validation.right.sum()),
            "accuracy": validation.accuracy,
            "log_loss": validation.log_loss,
        },
        "log_loss_by_framing": {framing.value: loss for framing, loss in losses.items()},
        "unknown": novelty.to_dict() if novelty is not None else None,
    }
