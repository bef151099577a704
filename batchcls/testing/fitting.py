"""The checks of a classifier as far as it learns and classifies; ``states`` has the rest."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.crossvalidation import candidates_of
from batchcls.options import options_of, to_json
from batchcls.testing import data
from batchcls.testing.data import Dataset
from batchcls.testing.optionchecks import OPTIONS_RULE, option_problems
from batchcls.testing.running import Check, Problems, RaisedError, adder, doing
from batchcls.testing.subjects import ClassifierSubject, counted, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray


CHECKS: list[Check[ClassifierSubject]] = []
check = adder(CHECKS)

_METHODS = ("fit", "predict_proba", "to_state", "restore")
_LONGEST_NAME = 200
_SUM_TOLERANCE = 1e-6
_THREADS = 8
_THREAD_SECONDS = 0.3
_LEARNT = 0.95


@check("interface", f"interfaces.Classifier: it has the methods {', '.join(_METHODS)}")
def _interface(subject: ClassifierSubject) -> Problems:
    for method in _METHODS:
        if not callable(getattr(subject.cls, method, None)):
            yield f"there is no method {method}"


@check("name", "interfaces.Classifier.name: the class has a name, a line of 1 to 200 characters")
def _name(subject: ClassifierSubject) -> Problems:
    yield from name_problems(getattr(subject.cls, "name", None))


def name_problems(name: object) -> Problems:
    """Yield what is wrong with a name."""
    plain = isinstance(name, str) and name.isprintable() and name == name.strip()
    if not (isinstance(name, str) and plain and 0 < len(name) <= _LONGEST_NAME):
        yield f"its name is {name!r}"


@check(
    "construction",
    "interfaces.Classifier: it is constructed with its options, cls(**options), and with none "
    "where all have defaults",
    "interface",
)
def _construction(subject: ClassifierSubject) -> Problems:
    known = options_of(subject.cls).values()
    complete = all(option.default is not inspect.Parameter.empty for option in known)
    for options in (subject.options, {}) if complete else (subject.options,):
        try:
            subject.new(options)
        except RaisedError as error:
            yield error
            return


@check("options", OPTIONS_RULE, "construction")
def _options(subject: ClassifierSubject) -> Problems:
    yield from option_problems(subject.cls, subject.options)


@check(
    "candidates",
    "interfaces.Classifier: candidates() lists options, as mappings, that it can be fitted with",
    "construction",
    "fit",
)
def _candidates(subject: ClassifierSubject) -> Problems:
    own = getattr(subject.cls, "candidates", None)
    if own is None:
        return
    with doing("candidates()"):
        given = own()
    if not isinstance(given, Sequence) or not all(isinstance(one, Mapping) for one in given):
        yield f"candidates() gave {given!r}"
        return
    if not given:
        yield "candidates() gave no candidate"
        return
    dataset = data.blobs([4, 4, 4], 16, seed=8)
    for options in candidates_of(subject.cls, subject.options):
        try:
            classifier = subject.new(options)
            with doing(f"fit on {dataset}, the options being {dict(options)}"):
                to_json(options)
                classifier.fit(dataset.features.copy(), dataset.targets.copy(), 3)
        except RaisedError as error:
            yield error


@check(
    "fit",
    "interfaces.Classifier.fit: it learns from float32 [N, D] and int [N], of 2 classes and of 5",
    "construction",
)
def _fit(subject: ClassifierSubject) -> Problems:
    for counts in ([8, 8], [8] * 5):
        yield from _fits(subject, data.blobs(counts, 16, seed=9))


def _fits(subject: ClassifierSubject, dataset: Dataset) -> Problems:
    try:
        subject.fitted(dataset)
    except RaisedError as error:
        yield error


@check(
    "probabilities",
    "interfaces.Classifier.predict_proba: it gives float64 [N, C], finite, none below 0, each row "
    "summing to 1 (within 1e-6)",
    "fit",
)
def _probabilities(subject: ClassifierSubject) -> Problems:
    for counts in ([8, 8], [8] * 5):
        dataset = data.blobs(counts, 16, seed=9)
        classifier = subject.fitted(dataset)
        for batch in (dataset.fresh[:1], dataset.fresh[:8], dataset.features):
            with doing(f"predict_proba on {counted(batch)}"):
                got = classifier.predict_proba(batch.copy())
            due = [len(batch), dataset.class_count]
            if not isinstance(got, np.ndarray):
                yield f"for {counted(batch)} a {type(got).__name__} came, no array"
            elif got.dtype != np.float64 or list(got.shape) != due:
                yield f"{got.dtype} {list(got.shape)} came where float64 {due} was due"
            else:
                yield from _improper(got, counted(batch))


def _improper(got: NDArray[Any], what: str) -> Problems:
    """Yield what makes rows no probabilities."""
    if not np.isfinite(got).all():
        yield f"for {what}, values came that are not finite"
    elif (got < 0).any():
        yield f"for {what}, values below 0 came: {got.min():.2g}"
    elif np.abs(got.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        sums = got.sum(axis=1)
        yield f"for {what}, a row sums to {sums[np.abs(sums - 1).argmax()]:.9g}"


def _works(subject: ClassifierSubject, datasets: Iterable[Dataset]) -> Problems:
    """Yield what goes wrong with data that are hard to learn from."""
    for dataset in datasets:
        try:
            classifier = subject.fitted(dataset)
            far = np.concatenate([np.zeros_like(dataset.fresh[:1]), dataset.fresh[:4] * 100])
            for what, batch in (
                ("the images it was fitted to", dataset.features),
                ("other images", dataset.fresh),
                ("images unlike those it was fitted to", far),
            ):
                yield from _improper(predict(classifier, batch), f"{what}, after fit on {dataset}")
        except RaisedError as error:
            yield error


@check(
    "few-images",
    "interfaces.Classifier.fit: every class occurs, but perhaps only once or twice",
    "probabilities",
)
def _few_images(subject: ClassifierSubject) -> Problems:
    yield from _works(subject, data.few_images())


@check(
    "dimensions",
    "interfaces.Classifier.fit: there may be more features than images, or fewer",
    "probabilities",
)
def _dimensions(subject: ClassifierSubject) -> Problems:
    yield from _works(subject, data.other_dimensions())


@check(
    "degenerate-features",
    "interfaces.Classifier: features may not vary, and images may be equal",
    "probabilities",
)
def _degenerate(subject: ClassifierSubject) -> Problems:
    yield from _works(subject, data.degenerate())


@check(
    "scale",
    "interfaces.Classifier: features may be large, tiny or far from 0",
    "probabilities",
)
def _scale(subject: ClassifierSubject) -> Problems:
    yield from _works(subject, data.scaled())


@check(
    "inputs",
    "interfaces.Classifier: it does not write to what it is given, and needs not be able to",
    "fit",
    "probabilities",
)
def _inputs(subject: ClassifierSubject) -> Problems:
    dataset = data.usual()
    features, targets, batch = dataset.features, dataset.targets, dataset.fresh[:8].copy()
    before: list[NDArray[Any]] = [features.copy(), targets.copy(), batch.copy()]
    after: list[NDArray[Any]] = [features, targets, batch]
    classifier = subject.new()
    with doing(f"fit on {dataset}"):
        classifier.fit(features, targets, dataset.class_count)
    with doing(f"predict_proba on {counted(batch)}"):
        classifier.predict_proba(batch)
    for what, now, was in zip(
        (
            "fit changed the features",
            "fit changed the targets",
            "predict_proba changed the features",
        ),
        after,
        before,
        strict=True,
    ):
        if not np.array_equal(now, was):
            yield f"{what} that it was given"
    for array in before:
        array.flags.writeable = False
    classifier = subject.new()
    with doing("fit on arrays that can't be written to"):
        classifier.fit(before[0], before[1], dataset.class_count)
    with doing("predict_proba on an array that can't be written to"):
        classifier.predict_proba(before[2])


@check(
    "learning",
    f"interfaces.Classifier.fit: it learns: of classes far apart, {_LEARNT:.0%} or more come right",
    "probabilities",
)
def _learning(subject: ClassifierSubject) -> Problems:
    dataset = data.separable()
    best = predict(subject.fitted(dataset), dataset.fresh).argmax(axis=1)
    right = int((best == dataset.fresh_targets).sum())
    if right < _LEARNT * len(best):
        yield f"fitted to {dataset}, it got {right} of {len(best)} others right"
