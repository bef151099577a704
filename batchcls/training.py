"""Train: tags + features → a model, with an honest word on what to expect of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import __version__
from batchcls.crossvalidation import (
    CrossValidation,
    candidates_of,
    cross_validate,
    stratified_sample,
)
from batchcls.errors import PluginFailedError, TagsError
from batchcls.extraction import Extractor
from batchcls.framing import PREPROCESSING, Framing
from batchcls.manifest import ClassifierEntry, FeaturizerEntry, Manifest
from batchcls.model import Model, made_classifier
from batchcls.noveltyfitting import FittedNovelty, fit_novelty
from batchcls.options import to_json
from batchcls.pipeline import chunked
from batchcls.records import ImageFile, TaggedImage
from batchcls.store.memory import RecallingExtractor
from batchcls.text import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.extraction import Extracted
    from batchcls.interfaces import Classifier, Featurizer
    from batchcls.pipeline import Engine
    from batchcls.store.memory import StoreMemory

# Framings are compared on at most this many images, each of which is featurized four times.
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
    targets = np.array([classes.index(tag.label) for tag in tags], dtype=np.intp)
    features, framing, framing_losses = _features(tags, targets, len(classes), parts, on_progress)
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
    names = _names(tags) if hasattr(parts.classifier_class, "explain") else []
    model = Model(
        manifest,
        parts.featurizer,
        classifier,
        digest="",
        training_images=names,
        novelty=novelty.novelty if novelty is not None else None,
    )
    return Training(model, images_per_class, validation, framing_losses, novelty)


def _features(
    tags: Sequence[TaggedImage],
    targets: NDArray[np.intp],
    class_count: int,
    parts: Parts,
    on_progress: Callable[[int], None],
) -> tuple[NDArray[np.float32], Framing, dict[Framing, float]]:
    """Featurize all images in the framing that is asked for, or is best."""
    if parts.framing is not None:
        [features] = _extract(tags, [parts.framing], parts, on_progress)
        return features, parts.framing, {}
    framings = list(Framing)
    sample = stratified_sample(targets, FRAMING_SAMPLE)
    sampled = _extract([tags[int(index)] for index in sample], framings, parts, on_progress)
    losses: dict[Framing, float] = {}
    for framing, candidate in zip(framings, sampled, strict=True):
        loss = cross_validate(
            parts.classifier_class, candidate, targets[sample], class_count, parts.candidates
        ).log_loss
        if loss is not None:
            losses[framing] = loss
    best = min(losses, key=lambda framing: losses[framing]) if losses else Framing.SQUARE
    rest = np.setdiff1d(np.arange(len(tags)), sample)
    [others] = _extract([tags[int(index)] for index in rest], [best], parts, on_progress)
    features = np.empty((len(tags), parts.featurizer.dimension), dtype=np.float32)
    features[sample] = sampled[framings.index(best)]
    features[rest] = others
    return features, best, losses


def _extract(
    tags: Sequence[TaggedImage],
    framings: Sequence[Framing],
    parts: Parts,
    on_progress: Callable[[int], None],
) -> list[NDArray[np.float32]]:
    """Featurize tagged images: float32 ``[N, D]`` for each framing. TagsError lists the bad."""
    extractor = parts.extractor(framings)
    files = [ImageFile(tag.path, tag.path) for tag in tags]
    blocks: list[list[NDArray[np.float32]]] = [
        [np.empty((0, parts.featurizer.dimension), np.float32)] for _ in framings
    ]
    reasons: list[str | None] = []
    for extracted in parts.engine.map(extractor, chunked(files)):
        for fault in extracted.faults.values():  # no tag is to blame
            raise PluginFailedError(fault.reason, hint="No model was written.", trace=fault.trace)
        reasons += extracted.reasons
        for block, features in zip(blocks, extracted.features, strict=True):
            block.append(features)
        on_progress(len(extracted.reasons))
    problems = [
        f"{tag.named}: {reason}"
        for tag, reason in zip(tags, reasons, strict=True)
        if reason is not None
    ]
    if problems:
        raise TagsError(problems, hint="Mend or replace these images, or take out their tags.")
    return [np.concatenate(block) for block in blocks]


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
