"""Cross-validation: what to expect of a classifier, from the labelled images alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.classify import checked_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier

# Up to this many images, each is left out by itself in turn; above it there are FOLDS parts.
LEAVE_ONE_OUT = 24
FOLDS = 5
_SEED = 0

# ML.NET's and scikit-learn's way: a probability of 0 costs -ln(1e-15), not infinity.
_TINY = 1e-15


@dataclass(frozen=True)
class CrossValidation:
    """Each image's probabilities from a classifier that was fitted without it.

    ``checked`` are the indices of the images that could be left out (a class's only image can't),
    ``probabilities`` theirs, float64 ``[M, C]``; ``folds`` is the number of parts.
    """

    options: Mapping[str, Any]
    folds: int
    targets: NDArray[np.intp]
    checked: NDArray[np.intp]
    probabilities: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each checked image got its label."""
        best: NDArray[np.intp] = self.probabilities.argmax(axis=1)
        right: NDArray[np.bool_] = best == self.targets[self.checked]
        return right

    @property
    def accuracy(self) -> float | None:
        """Share of the checked images that got their label; None if there are none."""
        return float(self.right.mean()) if len(self.checked) else None

    @property
    def log_loss(self) -> float | None:
        """Mean of -ln(probability of the true class); None if nothing was checked."""
        if not len(self.checked):
            return None
        return float(losses(self.probabilities, self.targets[self.checked]).mean())


def losses(probabilities: NDArray[np.float64], targets: NDArray[np.intp]) -> NDArray[np.float64]:
    """Give -ln(probability of the true class), float64 ``[N]``."""
    true = probabilities[np.arange(len(targets)), targets]
    loss: NDArray[np.float64] = -np.log(np.clip(true, _TINY, 1.0))
    return loss


def cross_validate(
    classifier_class: type[Classifier],
    features: NDArray[np.float32],
    targets: NDArray[np.intp],
    class_count: int,
    candidates: Sequence[Mapping[str, Any]] | None = None,
) -> CrossValidation:
    """Try the candidate options on the same folds; give the one with the lowest log-loss.

    ``features`` is float32 ``[N, D]``, ``targets`` int ``[N]``. Of equals the first, the most
    cautious, wins. With nothing to leave out the middle candidate is taken, unchecked. Raises
    PluginFailedError where the classifier gives no probabilities.
    """
    candidates = candidates_of(classifier_class) if candidates is None else candidates
    folds = fold_numbers(targets)
    checked = np.flatnonzero(folds >= 0)
    count = int(folds.max(initial=-1)) + 1
    if not len(checked):
        nothing = np.empty((0, class_count))
        middle = candidates[len(candidates) // 2]
        return CrossValidation(middle, 0, targets, checked, nothing)
    probabilities = [np.empty((len(targets), class_count)) for _ in candidates]
    for fold in range(count):
        held_out = folds == fold
        fitted = _fitted(classifier_class, candidates, features, targets, ~held_out, class_count)
        for place, classifier in enumerate(fitted):
            probabilities[place][held_out] = checked_probabilities(
                classifier, features[held_out], class_count
            )
    results = [
        CrossValidation(options, count, targets, checked, found[checked])
        for options, found in zip(candidates, probabilities, strict=True)
    ]
    return min(results, key=lambda result: result.log_loss or 0.0)


def _fitted(
    classifier_class: type[Classifier],
    candidates: Sequence[Mapping[str, Any]],
    features: NDArray[np.float32],
    targets: NDArray[np.intp],
    learnt: NDArray[np.bool_],
    class_count: int,
) -> Iterator[Classifier]:
    """Give a classifier for each of the candidates, fitted to the ``learnt`` images.

    One of ours whose candidates share much of the work has ``_fit_each``, no part of what a plugin
    gives. An inherited one does not count, as it would pass by a ``fit`` of the class's own.
    """
    if "_fit_each" in vars(classifier_class):
        fit_each = getattr(classifier_class, "_fit_each")  # noqa: B009 - no part of the protocol
        yield from fit_each(candidates, features[learnt], targets[learnt], class_count)
        return
    for options in candidates:
        classifier = classifier_class(**options)
        classifier.fit(features[learnt], targets[learnt], class_count)
        yield classifier


def candidates_of(
    classifier_class: type[Classifier], given: Mapping[str, Any] | None = None
) -> list[Mapping[str, Any]]:
    """List the options to choose among: the classifier's candidates, but for what is ``given``."""
    own = getattr(classifier_class, "candidates", None)
    candidates: list[Mapping[str, Any]] = []
    for candidate in own() if own is not None else [{}]:
        options = {**candidate, **(given or {})}
        if options not in candidates:
            candidates.append(options)
    return candidates


def fold_numbers(targets: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give each image the number of the fold that leaves it out, int ``[N]``; -1 is never.

    A class's images are spread over the folds, so that none ever lacks a class in training; the
    only image of a class is therefore never left out.
    """
    classes, counts = np.unique(targets, return_counts=True)
    usable = classes[counts > 1]
    total = int(counts[counts > 1].sum())
    folds = np.full(len(targets), -1, dtype=np.intp)
    number = total if total <= LEAVE_ONE_OUT else FOLDS
    random = np.random.default_rng(_SEED)
    given = 0
    for target in usable:
        members = random.permutation(np.flatnonzero(targets == target))
        folds[members] = (given + np.arange(len(members))) % number
        given += len(members)
    return folds


def stratified_sample(targets: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Give the sorted indices of about ``size`` images, each class in its share, none left out.

    A class keeps at least two images, or all it has.
    """
    if len(targets) <= size:
        return np.arange(len(targets))
    random = np.random.default_rng(_SEED)
    chosen = []
    for target in np.unique(targets):
        members = np.flatnonzero(targets == target)
        share = max(2, round(size * len(members) / len(targets)))
        chosen.append(random.permutation(members)[:share])
    return np.sort(np.concatenate(chosen))


def comparison_sample(targets: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Give the sorted indices of about ``size`` images, to compare ways of seeing them with.

    As ``stratified_sample``, but of more classes than ``size`` has pairs of images for, some stand
    for all: which way is best shows without the others, and a fit costs as much as it has classes.
    """
    classes, counts = np.unique(targets, return_counts=True)
    most = max(2, size // 2)
    if len(classes) <= most:
        return stratified_sample(targets, size)
    random = np.random.default_rng(_SEED)
    order = np.concatenate([random.permutation(classes[counts > 1]), classes[counts == 1]])
    members = np.flatnonzero(np.isin(targets, order[:most]))
    return members[stratified_sample(targets[members], size)]
