"""The checks of a classifier as far as it is saved and loaded, and explains."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from batchcls.testing.comparing import difference
from batchcls.testing.damage import Tattler, broken, refusal_problem
from batchcls.testing.elsewhere import probabilities_elsewhere
from batchcls.testing.running import Check, Problems, RaisedError, adder, doing
from batchcls.testing.subjects import ClassifierSubject, State, predict, travelled

CHECKS: list[Check[ClassifierSubject]] = []
check = adder(CHECKS)

_ARRAY_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}", re.A)
_BYTES_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}\.[A-Za-z0-9]{1,20}", re.A)
_REFUSAL = "interfaces.Classifier.restore: it raises ValueError, and nothing else, for "


@check(
    "state",
    "interfaces.Classifier.to_state: it gives plain numeric arrays by name, or bytes by name with "
    "an extension, which a model file keeps as they are",
    "instances",
)
def _state(subject: ClassifierSubject) -> Problems:
    with doing("to_state"):
        state = subject.usual.to_state()
    if not isinstance(state, Mapping):
        yield f"{type(state).__name__} came, no mapping"
        return
    bad = list(_bad_parts(state))
    yield from bad
    if bad:
        return
    kept = subject.state
    for name, part in state.items():
        again = kept.get(name)
        if isinstance(part, bytes) or not isinstance(again, np.ndarray):
            same = again == part
        else:
            dtype = part.dtype.newbyteorder("=")
            same = again.dtype == dtype and np.array_equal(again, part, equal_nan=dtype.kind == "f")
        if not same:
            yield f"{name} is not the same after a way through a model file"


def _bad_parts(state: State) -> Problems:
    for name, part in state.items():
        if not isinstance(part, (bytes, np.ndarray)):
            yield f"{name!r} is {type(part).__name__}, neither an array nor bytes"
            continue
        form = _BYTES_NAME if isinstance(part, bytes) else _ARRAY_NAME
        if not isinstance(name, str) or not form.fullmatch(name):
            kind = "bytes, NAME.EXTENSION" if isinstance(part, bytes) else "an array, NAME"
            yield f"{name!r} is no name for {kind}, of letters, digits, _ and -"
        elif isinstance(part, np.ndarray) and part.dtype.kind not in "biuf":
            yield f"{name} is {part.dtype}, not plain numbers"


@check(
    "restoration",
    "interfaces.Classifier.restore: a new one, made with the same options, gives the same "
    "probabilities, bit for bit, and can be saved again",
    "state",
)
def _restoration(subject: ClassifierSubject) -> Problems:
    batch = subject.usual_data.fresh
    due = predict(subject.usual, batch)
    restored = subject.restored()
    if differs := difference(predict(restored, batch), due):
        yield f"between the one that was saved and the one that was restored, {differs}"
        return
    try:
        again = subject.restored(travelled(subject, restored))
        differs = difference(predict(again, batch), due)
    except RaisedError as error:
        yield error.amid("the restored one, saved and restored again")
        return
    if differs:
        yield f"after saving the restored one and restoring that, {differs}"


@check(
    "new-process",
    "interfaces.Classifier.restore: in a new process, too, the probabilities are the same",
    "restoration",
)
def _new_process(subject: ClassifierSubject) -> Problems:
    batch = subject.usual_data.fresh
    got = probabilities_elsewhere(subject, batch)
    if differs := difference(got, predict(subject.usual, batch)):
        yield f"between this process and a new one, {differs}"


def _refused(
    subject: ClassifierSubject, state: State, what: str, dimension: int = 0, class_count: int = 0
) -> Problems:
    """Yield how a new one takes what it should refuse; the numbers are added to those of fit."""
    dataset = subject.usual_data
    classifier = subject.new()
    due = (dataset.dimension + dimension, dataset.class_count + class_count)
    yield from refusal_problem(lambda: classifier.restore(dict(state), *due), what)


@check("refuses-other-dimension", _REFUSAL + "a state of another number of features", "restoration")
def _refuses_dimension(subject: ClassifierSubject) -> Problems:
    for change in (1, -1):
        due = subject.usual_data.dimension
        what = f"the state of {due} features, the dimension being {due + change}"
        yield from _refused(subject, subject.state, what, dimension=change)


@check("refuses-other-classes", _REFUSAL + "a state of another number of classes", "restoration")
def _refuses_classes(subject: ClassifierSubject) -> Problems:
    for change in (1, -1):
        due = subject.usual_data.class_count
        what = f"the state of {due} classes, the class count being {due + change}"
        yield from _refused(subject, subject.state, what, class_count=change)


@check("refuses-missing-part", _REFUSAL + "a state that lacks a part", "restoration")
def _refuses_missing(subject: ClassifierSubject) -> Problems:
    for name in subject.state:
        rest = {other: part for other, part in subject.state.items() if other != name}
        yield from _refused(subject, rest, f"a state without {name}")
    if len(subject.state) > 1:
        yield from _refused(subject, {}, "an empty state")


@check(
    "refuses-extra-part",
    _REFUSAL + "a state with a part that to_state does not give",
    "restoration",
)
def _refuses_extra(subject: ClassifierSubject) -> Problems:
    extras: dict[str, Any] = {"surplus": np.zeros(1, np.float32), "surplus.bin": b"surplus"}
    for name, part in extras.items():
        yield from _refused(subject, {**subject.state, name: part}, f"a state with {name!r} more")


def _with_other_arrays(
    subject: ClassifierSubject, others: Callable[[str, Any], Iterator[tuple[str, Any]]]
) -> Problems:
    for name, part in subject.state.items():
        if isinstance(part, np.ndarray):
            for what, other in others(name, part):
                yield from _refused(subject, {**subject.state, name: other}, what)


@check("refuses-other-dtype", _REFUSAL + "an array of another dtype", "restoration")
def _refuses_dtype(subject: ClassifierSubject) -> Problems:
    def others(name: str, part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
        for dtype in (np.float32, np.float64, np.int16):
            if part.dtype != dtype:
                other = np.nan_to_num(part).astype(dtype)
                yield f"{name} as {other.dtype}, not {part.dtype}", other

    with np.errstate(all="ignore"):
        yield from _with_other_arrays(subject, others)


@check("refuses-other-shape", _REFUSAL + "an array of another shape", "restoration")
def _refuses_shape(subject: ClassifierSubject) -> Problems:
    dataset = subject.usual_data
    arrays = [part for part in subject.state.values() if isinstance(part, np.ndarray)]
    edges = Counter(edge for part in arrays for edge in {*part.shape} if edge > 1)
    # An edge that is none of these may be of any length: a number of neighbours, of trees.
    fixed = {dataset.dimension, dataset.class_count, *(edge for edge in edges if edges[edge] > 1)}

    def others(name: str, part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
        changed = [part[np.newaxis]]
        for axis, edge in enumerate(part.shape):
            if edge in fixed:
                changed.append(np.concatenate([part, part.take([-1], axis)], axis))
        for other in changed:
            yield f"{name} of shape {list(other.shape)}, not {list(part.shape)}", other

    yield from _with_other_arrays(subject, others)


@check("refuses-nan", _REFUSAL + "an array with NaN in it", "restoration")
def _refuses_nan(subject: ClassifierSubject) -> Problems:
    def others(name: str, part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
        if part.dtype.kind == "f" and part.size:
            other = part.copy()
            other.flat[part.size // 2] = np.nan
            yield f"{name} with a NaN", other

    yield from _with_other_arrays(subject, others)


@check("refuses-garbage", _REFUSAL + "bytes that are not what to_state gives", "restoration")
def _refuses_garbage(subject: ClassifierSubject) -> Problems:
    for name, part in subject.state.items():
        if isinstance(part, bytes):
            for what, other in broken(part):
                yield from _refused(subject, {**subject.state, name: other}, f"{name} {what}")


@check(
    "runs-nothing",
    "interfaces.Classifier.restore: it runs nothing that is in a state",
    "restoration",
)
def _runs_nothing(subject: ClassifierSubject) -> Problems:
    dataset = subject.usual_data
    for name, part in subject.state.items():
        for what, evil in Tattler.versions(part) if isinstance(part, bytes) else ():

            def use(evil: bytes = evil, name: str = name) -> None:
                classifier = subject.new()
                state = {**subject.state, name: evil}
                classifier.restore(state, dataset.dimension, dataset.class_count)
                classifier.predict_proba(dataset.fresh.copy())

            if Tattler.ran_in(use):
                yield f"code in {name} {what} was run"
