"""``batchcls train --replace-if-better``: the present model, and what decides whether it stays."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batchcls import modelfile, replacing, trainingassembly
from batchcls.atomic import STDOUT
from batchcls.corrections import ImageNames
from batchcls.crossvalidation import stratified_sample
from batchcls.errors import BatchclsError, ModelFileError
from batchcls.model import Model
from batchcls.reading import stamp_of
from batchcls.replacing import Contest, Score, score_of_model, score_of_recipe
from batchcls.text import plural, shown
from batchcls.training import OPTIONS_SAMPLE
from batchcls.trainingfeatures import TaggedFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.corrections import Merged
    from batchcls.manifest import Manifest
    from batchcls.records import TaggedImage
    from batchcls.settings import Settings
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal
    from batchcls.training import Training

_ADVICE = "To tell them apart takes tagged images that are held out of training: --held-out TAGS"


@dataclass(frozen=True)
class Verdict:
    """What came of a comparison; ``way`` says how it was made, or why there could be none.

    The present model stays where it could not be compared with, and where the new one
    ``is_same``: its labels, then, are known from earlier runs, and the former model is kept.
    """

    contest: Contest | None
    way: str
    is_same: bool = False

    @property
    def keeps_present(self) -> bool:
        """Whether the present model stays."""
        return self.contest is None or self.contest.new_is_worse


class Replacement:
    """The model that stands at ``output``, and whether another takes its place.

    ``present`` is None where there is none that can be used; ``exists`` tells these two apart.
    ``held_out`` names tags to compare on. Raises UsageError where the present model could not be
    kept beside the new one, and TagsError for held-out tags that can't be used: images that are
    trained with, and classes that neither model knows, are among the reasons.
    """

    def __init__(
        self,
        settings: Settings,
        terminal: Terminal,
        output: str,
        merged: Merged,
        held_out: str | None,
    ) -> None:
        self._settings, self._terminal, self._merged = settings, terminal, merged
        self._output, self._source = output, held_out
        self.exists = output != STDOUT and os.path.isfile(output)
        self._stamp = stamp_of(output)
        self.present: Model | None = None
        self._score: Score | None = None
        if self.exists:
            try:
                self.present = Model.from_file(output, modelfile.read(output))
            except ModelFileError as error:
                terminal.warn(f"there is no comparing with the present model: {error.message}")
            replacing.check_previous(output, usable=self.present is not None)
        self._held_out: list[TaggedImage] = []
        if held_out is not None:
            images = settings.train.images
            self._held_out = trainingassembly.tags(settings, held_out, images, self._problems_of)

    def _problems_of(self, held_out: Sequence[TaggedImage]) -> list[str]:
        tags, present = self._merged.tags, self.present
        known = {tag.label for tag in tags} | set(present.classes if present else ())
        problems = [
            f"{tag.named}: no image to train with has the class {tag.label!r}"
            + (", nor does the present model know it" if present else "")
            for tag in held_out
            if tag.label not in known
        ]
        return problems + replacing.not_held_out(held_out, tags, self._settings.decode.max_bytes)

    def measure_present(self, store: Store | None) -> None:
        """Judge the present model on the held-out images, so that a bad one is told of early."""
        if self.present is not None and self._source is not None:
            self._score = self._on_held_out(self.present, store)

    def judge(self, training: Training, manifest: Manifest, store: Store | None) -> Verdict | None:
        """Compare the new model with the present one; None where there is none to compare with.

        ``manifest`` is that of the new one's file.
        """
        if self.present is None:
            return None
        if _is_same(self.present.manifest, manifest):
            return Verdict(None, "both have learnt the same", is_same=True)
        if self._score is None or self._source is None:
            return self._by_cross_validation(self.present, training, store)
        images = len(self._held_out)
        contest = Contest(images, self._score, self._on_held_out(training.model, store))
        way = f"on {plural(images, 'held-out image')} ({shown(self._source)})"
        for which, model in (("present", self.present), ("new", training.model)):
            lacking = sorted({tag.label for tag in self._held_out} - set(model.classes))
            if lacking:
                names = ", ".join(shown(name) for name in lacking)
                way += f"; the {which} model does not know {names}"
        return Verdict(contest, way)

    def keep_present(self) -> None:
        """Give the present model, if there is a file at all, its second name.

        Raises BatchclsError where it is not the one any more that was compared with.
        """
        if stamp_of(self._output) != self._stamp:
            raise BatchclsError(
                f"{shown(self._output)}: changed while this one was trained",
                hint="It was left as it is now. To compare with it: train again.",
            )
        if self.exists:
            replacing.keep_previous(self._output, usable=self.present is not None)

    def tell(self, verdict: Verdict | None, size: str) -> None:
        """Print what was compared, and which model is there now; ``size`` is that of the new one.

        Raises OutputError.
        """
        terminal, output = self._terminal, shown(self._output)
        usable = self.present is not None
        former = shown(replacing.previous_path(self._output, usable=usable))
        written = f"model       {output} {size}"
        if verdict is None:
            after = f"; the former one, which can't be used, is {former}" if self.exists else ""
            terminal.result(written + (after or "; there was none to compare with"))
            return
        _print(verdict, terminal)
        if not verdict.keeps_present:
            terminal.result(f"{written}, as its log-loss is not higher; the former one is {former}")
            return
        if verdict.is_same:
            terminal.result(f"model       {output} stays as it was: the new one is the same")
            return
        why = "the new one is worse" if verdict.contest else "the new one may be worse"
        terminal.result(
            f"model       {output} stays as it was: {why}, and was not written. To have it: "
            "train without --replace-if-better, with --output another.batchcls"
        )

    def _on_held_out(self, model: Model, store: Store | None) -> Score:
        labels = [tag.label for tag in self._held_out]
        return score_of_model(model, self._features(model, self._held_out, store), labels)

    def _by_cross_validation(
        self, present: Model, training: Training, store: Store | None
    ) -> Verdict:
        """Judge both models' featurizer, framing, classifier and options on the same folds.

        The present one is taught with the tags that it seems to have been trained with.
        """
        merged, validation = self._merged, training.validation
        if validation.log_loss is None or validation.accuracy is None:
            return Verdict(None, f"no class has a second image to check with. {_ADVICE}")
        new = Score(validation.log_loss, validation.accuracy)
        images = len(validation.checked)
        count = known_sources(present, merged)
        labels = [tag.label for tag in merged.tags]
        taught = _labels_before(merged, count)
        way = f"by cross-validation on {plural(images, 'image')}; "
        if _is_same_recipe(present, training.model) and taught == labels:
            way += "both are made alike, and "
            way += "of the same tags, it seems" if count else "the present one's tags are not known"
            return Verdict(Contest(images, new, new), f"{way}. {_ADVICE}")
        # The images, and so the folds, that training has checked the new one with.
        targets = np.unique(np.array(labels, dtype=object), return_inverse=True)[1]
        sample = stratified_sample(targets.astype(np.intp), OPTIONS_SAMPLE)
        score = score_of_recipe(
            type(present.classifier),
            present.manifest.classifier.options,
            self._features(present, [merged.tags[place] for place in sample], store),
            [taught[place] for place in sample],
            [labels[place] for place in sample],
        )
        later = ", ".join(shown(source) for source, _ in merged.read[count:] if count)
        way += "both are made anew for it" + (f", the present one without {later}" if later else "")
        return Verdict(Contest(images, score, new), way)

    def _features(
        self, model: Model, tags: Sequence[TaggedImage], store: Store | None
    ) -> NDArray[np.float32]:
        """Give the features of images as ``model`` sees them, float32 ``[N, D]``."""
        parts = trainingassembly.parts_of_model(self._settings, model, store)
        with self._terminal.progress("comparing", total=len(tags)) as advance:
            work = TaggedFeatures(tags, parts, advance)
            features = work.matrix(len(tags))
            everyone = np.arange(len(tags))
            work.fill([features], everyone, everyone, [model.framing])
        work.check()
        return features


def known_sources(present: Model, merged: Merged) -> int | None:
    """Tell with how many of the sources of tags a model was trained; None where it can't be told.

    The number of images that each class had tells it; first, that of fewer than all of the sources.
    """
    images = present.manifest.training.get("images_per_class")
    total = len(merged.read)
    counts: list[int] = [*range(total - 1, 0, -1), total]
    for count in counts:
        if Counter(tag.label for tag in merged.before(count).tags) == images:
            return count
    return None


def _labels_before(merged: Merged, count: int | None) -> list[str | None]:
    """Give each image's label in the first ``count`` sources; the present one where it is None."""
    if count is None or count == len(merged.read):
        return [tag.label for tag in merged.tags]
    image_of = ImageNames()
    before = {image_of(tag.path): tag.label for tag in merged.before(count).tags}
    return [before.get(image_of(tag.path)) for tag in merged.tags]


def _is_same(present: Manifest, new: Manifest) -> bool:
    """Tell whether two models say the same of every image: what they hold is the same."""

    def held(manifest: Manifest) -> tuple[object, ...]:
        return (manifest.members, manifest.classes, manifest.featurizer, manifest.classifier)

    return held(present) == held(new)


def _is_same_recipe(present: Model, new: Model) -> bool:
    """Tell whether two models differ in nothing but what they learnt from."""

    def recipe(model: Model) -> tuple[object, ...]:
        sees, learns = model.manifest.featurizer, model.manifest.classifier
        return (sees.digest, sees.framing, sees.preprocessing, learns.name, learns.options)

    return recipe(present) == recipe(new)


def _print(verdict: Verdict, terminal: Terminal) -> None:
    terminal.result("")
    contest = verdict.contest
    if contest is None:
        terminal.result(f"compared    not: {verdict.way}")
        return
    both = (contest.present, contest.new)
    terminal.table(
        ["", "present", "new"],
        [
            ["log-loss", *(f"{one.log_loss:.{replacing.DIGITS}f}" for one in both)],
            ["accuracy", *(f"{one.accuracy:.3f}" for one in both)],
        ],
    )
    terminal.result(f"compared    {verdict.way}")
