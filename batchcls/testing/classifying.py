"""The checks of a fitted classifier: an image gets what is its own, whatever goes on about it."""

from __future__ import annotations

import numpy as np

from batchcls.testing import data
from batchcls.testing.comparing import difference, differing_in_threads
from batchcls.testing.running import Check, Problems, RaisedError, adder, doing
from batchcls.testing.subjects import ClassifierSubject, counted, predict

CHECKS: list[Check[ClassifierSubject]] = []
check = adder(CHECKS)

_THREADS = 8
_THREAD_SECONDS = 0.3


@check(
    "repetition",
    "interfaces.Classifier.predict_proba: the same images get the same probabilities each time",
    "probabilities",
)
def _repetition(subject: ClassifierSubject) -> Problems:
    batch = subject.usual_data.fresh
    first = predict(subject.usual, batch)
    for _ in range(2):
        if differs := difference(predict(subject.usual, batch), first):
            yield f"asked again, {differs}"
            return


@check(
    "instances",
    "interfaces.Classifier: an instance is fitted once, then only read, whatever others do",
    "repetition",
)
def _instances(subject: ClassifierSubject) -> Problems:
    dataset = subject.usual_data
    before = predict(subject.usual, dataset.fresh)
    try:
        subject.fitted(data.blobs([6, 6], 9, seed=10))
        differs = difference(predict(subject.usual, dataset.fresh), before)
    except RaisedError as error:
        yield error.amid("after another was fitted")
        return
    if differs:
        yield f"after another was fitted, {differs}"


@check(
    "determinism",
    "interfaces.Classifier.fit: the same images teach the same",
    "instances",
)
def _determinism(subject: ClassifierSubject) -> Problems:
    dataset = subject.usual_data
    second = subject.fitted(dataset)
    due = predict(subject.usual, dataset.fresh)
    if differs := difference(predict(second, dataset.fresh), due):
        yield f"of two that were fitted to {dataset}, {differs}"


@check(
    "own-results",
    "interfaces.Classifier.predict_proba: what it gave is the caller's, and does not change later",
    "instances",
)
def _own_results(subject: ClassifierSubject) -> Problems:
    batch = subject.usual_data.fresh[:8]
    with doing(f"predict_proba on {counted(batch)}"):
        first = subject.usual.predict_proba(batch.copy())
    kept = first.copy()
    predict(subject.usual, subject.usual_data.fresh[8:16])
    if differs := difference(first, kept):
        yield f"in what came for one batch, after another batch, {differs}"


@check(
    "batch-independence",
    "interfaces.Classifier.predict_proba: for an image it must give the same probabilities "
    "whatever else is in the batch, bit for bit",
    "instances",
    "dimensions",
)
def _batch_independence(subject: ClassifierSubject) -> Problems:
    for dataset in (subject.usual_data, data.wide()):
        classifier = subject.usual if dataset is subject.usual_data else subject.fitted(dataset)
        batch = dataset.fresh
        whole = predict(classifier, batch)
        size = f"{dataset.dimension} features: between a batch of {len(batch)} and"
        for what, rows in (
            *((f"its image {row} alone", [row]) for row in range(8)),
            ("a batch of its first 8", list(range(8))),
            ("the batch turned round", list(range(len(batch)))[::-1]),
            ("a batch of three times row 3", [3] * 3),
        ):
            if differs := difference(predict(classifier, batch[rows]), whole[rows]):
                yield f"{size} {what}, {differs}"
        strangers = np.concatenate([batch[:2] * 1000, batch[:4]])
        if differs := difference(predict(classifier, strangers)[2:], whole[:4]):
            yield f"{size} a batch with two quite other images in front, {differs}"


@check(
    "threads",
    "interfaces.Classifier.predict_proba: it is called from several threads at once",
    "instances",
)
def _threads(subject: ClassifierSubject) -> Problems:
    dataset = subject.usual_data
    batches = [dataset.fresh[row : row + 1 + row % 8] for row in range(7)]
    classifier = subject.fitted(dataset)  # what is made at the first call is not there yet
    try:
        found = differing_in_threads(
            lambda task: predict(classifier, batches[task]), len(batches), _THREADS, _THREAD_SECONDS
        )
    except RaisedError as error:
        yield error.amid(f"on {_THREADS} threads at once")
        return
    if found:
        yield f"between {_THREADS} threads at once and one, {found[0]}"
