"""The check of a classifier that can explain its labels."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.testing import data
from batchcls.testing.data import Dataset
from batchcls.testing.running import Check, Problems, adder, doing
from batchcls.testing.subjects import ClassifierSubject, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKS: list[Check[ClassifierSubject]] = []
check = adder(CHECKS)


@check(
    "explanation",
    "interfaces.Classifier.explain: for each image a sequence of (index in the order of fit, "
    "finite weight); the same after restore",
    "restoration",
    "learning",
)
def _explanation(subject: ClassifierSubject) -> Problems:
    if not hasattr(subject.cls, "explain"):
        return
    dataset = data.separable()
    classifier: Any = subject.fitted(dataset)
    best = predict(classifier, dataset.fresh).argmax(axis=1)
    for count in (len(best), 1):
        with doing(f"explain on a batch of {count}"):
            explained = classifier.explain(dataset.fresh[:count].copy())
        problems = list(_problems(explained, dataset, best[:count]))
        yield from problems
        if problems:
            return
    first: Any = subject.usual
    second: Any = subject.restored()
    batch = subject.usual_data.fresh
    with doing("explain, before to_state and after restore"):
        pairs = [
            [list(map(tuple, row)) for row in one.explain(batch.copy())] for one in (first, second)
        ]
    if pairs[0] != pairs[1]:
        yield "the restored one explains otherwise than the one that was saved"


def _problems(
    explained: Any,  # noqa: ANN401 - whatever came
    dataset: Dataset,
    best: NDArray[np.intp],
) -> Problems:
    """Yield what is wrong with what ``explain`` gave; ``best`` are the classes of the images."""
    if not hasattr(explained, "__len__") or len(explained) != len(best):
        yield f"for {len(best)} images {explained!r:.100} came"
        return
    for image, decided in enumerate(explained):
        try:
            pairs = [(index, weight) for index, weight in decided]
        except (TypeError, ValueError):
            yield f"for image {image}, {decided!r:.100} came, no sequence of (index, weight)"
            return
        for index, weight in pairs:
            in_range = isinstance(index, numbers.Integral) and 0 <= int(index) < len(
                dataset.features
            )
            if not in_range or not math.isfinite(weight):
                yield f"for image {image}, {(index, weight)!r} came"
                return
        if not pairs:
            yield f"for image {image} no training image is named"
            return
        first, _ = max(pairs, key=lambda pair: pair[1])
        if dataset.targets[first] != best[image]:
            yield (
                f"image {image} is said to be of class {best[image]}, mostly because of training "
                f"image {first}, which is of class {dataset.targets[first]}: is the index that of "
                "fit's order?"
            )
            return
