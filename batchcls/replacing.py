"""Whether a model that was just trained is to take the place of the one that is there.

Two ways to compare them: both models on images that were held out of training, or, without such
images, what each was made with on the same folds of a cross-validation. In both, the mean of
-ln(probability of the true class) decides, as it does when options are chosen; a class that a model
does not know has the probability 0, which costs what 1e-15 does.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.atomic import sync
from batchcls.classify import checked_probabilities
from batchcls.corrections import ImageNames
from batchcls.crossvalidation import fold_numbers, losses
from batchcls.errors import BatchclsError, DecodeError, UsageError
from batchcls.model import made_classifier
from batchcls.reading import opened
from batchcls.text import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier
    from batchcls.model import Model
    from batchcls.records import TaggedImage

# Digits of the log-loss that are printed, and that decide: what is below them is rounding.
DIGITS = 4


@dataclass(frozen=True)
class Score:
    """How good a model is: the mean log-loss in nats, 0 being perfect; the share that is right."""

    log_loss: float
    accuracy: float


@dataclass(frozen=True)
class Contest:
    """How good the present model and the new one are on the same ``images``, so many of them."""

    images: int
    present: Score
    new: Score

    @property
    def new_is_worse(self) -> bool:
        """Whether the new one has the higher log-loss, as printed. Of equals the new one wins."""
        return round(self.new.log_loss, DIGITS) > round(self.present.log_loss, DIGITS)


def score_of(
    probabilities: NDArray[np.float64], classes: Sequence[str], labels: Sequence[str]
) -> Score:
    """Judge ``probabilities``, float64 ``[N, C]``, of ``classes`` by the N true ``labels``.

    A label may be none of the classes.
    """
    number_of = {name: number for number, name in enumerate(classes)}
    numbers = np.array([number_of.get(label, -1) for label in labels], dtype=np.intp)
    known = np.flatnonzero(numbers >= 0)
    loss = np.full(len(labels), losses(np.zeros((1, 1)), np.zeros(1, dtype=np.intp))[0])
    loss[known] = losses(probabilities[known], numbers[known])
    if not len(classes):  # what has learnt nothing
        return Score(float(loss.mean()), 0.0)
    right = (probabilities.argmax(axis=1) == numbers) & (probabilities.max(axis=1) > 0)
    return Score(float(loss.mean()), float(right.mean()))


def score_of_model(model: Model, features: NDArray[np.float32], labels: Sequence[str]) -> Score:
    """Judge a model on images: their ``features`` as it sees them, float32 ``[N, D]``."""
    probabilities = checked_probabilities(model.classifier, features, len(model.classes))
    return score_of(probabilities, model.classes, labels)


def score_of_recipe(
    classifier_class: type[Classifier],
    options: Mapping[str, Any],
    features: NDArray[np.float32],
    taught: Sequence[str | None],
    labels: Sequence[str],
) -> Score:
    """Judge a classifier with ``options`` by cross-validation, on the folds of ``cross_validate``.

    ``features`` is float32 ``[N, D]``. It learns from the labels in ``taught``, from none of the
    images that have None there, and is judged by ``labels``, of which one is there twice.
    """
    targets = np.unique(np.asarray(labels, dtype=object), return_inverse=True)[1]
    folds = fold_numbers(targets.astype(np.intp))
    checked = folds >= 0
    classes = sorted({label for label in taught if label is not None})
    number_of = {name: number for number, name in enumerate(classes)}
    lessons = np.array([-1 if one is None else number_of[one] for one in taught], dtype=np.intp)
    probabilities = np.zeros((len(labels), len(classes)))
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        learnt = ~held_out & (lessons >= 0)
        # A class all of whose images are left out is not known to what is fitted.
        present, numbers = np.unique(lessons[learnt], return_inverse=True)
        if len(present) == 1:
            probabilities[np.ix_(held_out, present)] = 1.0
        if len(present) < 2:
            continue
        classifier = made_classifier(classifier_class, options)
        classifier.fit(features[learnt], numbers.astype(np.intp), len(present))
        probabilities[np.ix_(held_out, present)] = checked_probabilities(
            classifier, features[held_out], len(present)
        )
    true = [label for label, was in zip(labels, checked, strict=True) if was]
    return score_of(probabilities[checked], classes, true)


def not_held_out(
    held_out: Sequence[TaggedImage], tags: Sequence[TaggedImage], max_bytes: int
) -> list[str]:
    """Name the held-out images that are trained with: the same file, or one of the same content.

    Only files of the same size are read.
    """
    image_of = ImageNames()
    by_name = {image_of(tag.path): tag for tag in tags}
    sizes = {_size(tag.path) for tag in held_out} - {None}
    by_content: dict[bytes, TaggedImage] = {}
    problems = []
    for tag in tags:
        if _size(tag.path) in sizes and (digest := _digest(tag.path, max_bytes)):
            by_content.setdefault(digest, tag)
    trained_sizes = {_size(tag.path) for tag in by_content.values()}
    for tag in held_out:
        twin = by_name.get(image_of(tag.path))
        if twin is None and _size(tag.path) in trained_sizes:
            twin = by_content.get(_digest(tag.path, max_bytes))
        if twin is not None:
            problems.append(f"{tag.named}: held out, but trained with, too ({twin.named})")
    return problems


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):  # reading the image tells of it
        return None


def _digest(path: str, max_bytes: int) -> bytes:
    """Give the SHA-256 of a file, nothing if it can't be read: then it is no image, either."""
    try:
        with opened(path, max_bytes) as content:
            return content.digest
    except DecodeError:
        return b""


def previous_path(path: str, *, usable: bool = True) -> str:
    """Give the place that a model is kept at: ``model.previous.batchcls``, beside it.

    One that can't be used is ``model.unusable.batchcls``: the last one that can be stays.
    """
    stem, suffix = os.path.splitext(path)
    return f"{stem}.{'previous' if usable else 'unusable'}{suffix}"


def check_previous(path: str, *, usable: bool = True) -> None:
    """Raise UsageError where the model at ``path`` can't be kept, as something else is there."""
    previous = previous_path(path, usable=usable)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(previous).st_mode):
            raise UsageError(
                f"{shown(previous)}: not a file, where the former model is to be kept",
                hint="Move it away.",
            )


def keep_previous(path: str, *, usable: bool = True) -> str:
    """Give the model at ``path`` a second name, :func:`previous_path`, in one step.

    It stays where it is. Raises BatchclsError, and then nothing has changed.
    """
    previous = previous_path(path, usable=usable)
    folder = os.path.dirname(previous)
    temporary = os.path.join(folder, f".batchcls-{secrets.token_hex(8)}.tmp")
    source = os.path.realpath(path)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without hard links, or the target of a link elsewhere
            shutil.copy2(source, temporary)
            with open(temporary, "rb+") as copy:
                sync(copy.fileno())
        os.replace(temporary, previous)
    except OSError as error:
        raise BatchclsError(
            f"{shown(previous)}: the former model can't be kept: {error.strerror or error}",
            hint=f"{shown(path)} is untouched.",
        ) from error
    finally:
        # Where both are one file already, renaming leaves both names.
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return previous
