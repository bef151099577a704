"""The conformance kit: it passes what is right, and each check fails for what it is for."""

from __future__ import annotations

import hashlib
import inspect
import io
import itertools
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from batchcls.arrays import expected_arrays, from_npy, to_npy
from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0
from batchcls.context import Context
from batchcls.errors import NetworkError, UsageError
from batchcls.options import options_of
from batchcls.plugins import build_registry, registry
from batchcls.records import NetworkInfo
from batchcls.settings import ModelsSettings, Settings
from batchcls.testing import (
    CLASSIFIER_CHECKS,
    FEATURIZER_CHECKS,
    ConformanceError,
    NotCheckedWarning,
    check_classifier,
    check_featurizer,
)

SHIPPED = build_registry([])


def test_what_ships_is_there_to_be_checked():
    assert SHIPPED.failed == []
    assert {"logistic"} <= set(SHIPPED.classifiers)
    assert {"efficientnet-lite0"} <= set(SHIPPED.featurizers)


QUICK = {"new-process": "it takes a second"}


SMALLER = {"forest": {"n_estimators": 20}}  # it is fitted dozens of times


@pytest.mark.parametrize("name", SHIPPED.classifiers)
def test_the_classifiers_that_ship_pass(name):
    check_classifier(SHIPPED.classifiers[name], **SMALLER.get(name, {}))


@pytest.mark.parametrize("name", SHIPPED.featurizers)
def test_the_featurizers_that_ship_pass(name):
    provider = SHIPPED.featurizers[name]
    options = options_of(provider.create).values()
    needed = [option.name for option in options if option.default is inspect.Parameter.empty]
    if needed:
        pytest.skip(f"needs {needed}")
    try:
        check_featurizer(provider)
    except NetworkError as error:
        pytest.skip(error.message)


class Good:
    """Nearest mean, which explains with the nearest images; a part of its state is bytes."""

    name = "good"

    def __init__(
        self,
        neighbors: int = 3,
        *,
        warmth: float = 1.0,
        weights: tuple[float, ...] = (1.0, 0.5),
        label: str | None = None,
        strict: bool = False,
        table: dict[str, int] | None = None,
    ):
        self.neighbors, self.warmth = neighbors, warmth
        self.means = self.images = np.zeros((0, 0), np.float32)
        self.targets = np.zeros(0, np.int64)
        self.scale = 1.0

    @classmethod
    def candidates(cls):
        return [{"warmth": 1.0}, {"warmth": 2.0}]

    def fit(self, features, targets, class_count):
        self.images, self.targets = features.copy(), targets.astype(np.int64)
        self.means = np.stack(
            [features[targets == index].mean(axis=0) for index in range(class_count)]
        )
        self.scale = float(features.var(axis=0, dtype=np.float64).mean()) or 1.0

    def predict_proba(self, features):
        return np.stack([self.one(row) for row in features])

    def one(self, row):
        distances = ((self.means.astype(np.float64) - row) ** 2).mean(axis=1) / self.scale
        weights = np.exp((distances.min() - distances) / self.warmth)
        return weights / weights.sum()

    def explain(self, features):
        explained = []
        for row in features:
            distances = ((self.images - row) ** 2).mean(axis=1)
            nearest = np.argsort(distances, kind="stable")[: self.neighbors]
            explained.append([(index, 1 / (1 + distances[index])) for index in nearest])
        return explained

    def to_state(self):
        return {**self.arrays(), "scale.json": self.json()}

    def arrays(self):
        return {"means": self.means, "images": self.images, "targets": self.targets}

    def json(self):
        return json.dumps({"scale": self.scale}).encode()

    def restore(self, state, dimension, class_count):
        rest = dict(state)
        if not isinstance(rest.get("scale.json"), bytes):
            raise ValueError("no scale")
        self.scale = self.read_scale(rest.pop("scale.json"))
        arrays = expected_arrays(
            rest,
            {
                "means": (np.float32, (class_count, dimension)),
                "images": (np.float32, (None, dimension)),
                "targets": (np.int64, (None,)),
            },
        )
        self.means, self.images, self.targets = (arrays[name] for name in self.arrays())
        if len(self.images) != len(self.targets):
            raise ValueError("not a target for each image")
        if set(self.targets.tolist()) != set(range(class_count)):
            raise ValueError("not the targets of all classes")

    def read_scale(self, data):
        scale = json.loads(data)["scale"]
        if not isinstance(scale, float) or not scale > 0:
            raise ValueError("no scale")
        return scale


def test_a_good_classifier_passes():
    check_classifier(Good)
    check_classifier(Good, neighbors=2, warmth=3.0, weights=(2.0,), label="x", table={"a": 1})


def test_what_is_optional_may_be_missing():
    class Least:
        name = "least"
        fit, predict_proba, one = Good.fit, Good.predict_proba, Good.one
        arrays, json, read_scale = Good.arrays, Good.json, Good.read_scale
        to_state, restore = Good.to_state, Good.restore
        warmth, means, images, targets = 1.0, 0, 0, 0

    check_classifier(Least, skip={"new-process": "it is made in a function"})


WRONG: list[Any] = []


def wrong(check: str, said: str, **options: Any) -> Callable[[Any], Any]:
    """Mark a class that is wrong so that ``check`` fails, and no other, and says ``said``."""

    def add(cls: Any) -> Any:
        WRONG.append(pytest.param(check, said, cls, options, id=f"{check}-{cls.__name__}"))
        return cls

    return add


@wrong("interface", "there is no method to_state")
class NoState(Good):
    to_state = None


@wrong("name", "its name is ''")
class Nameless(Good):
    name = ""


@wrong("name", "its name is None")
class NamedLate(Good):
    candidates = None
    name = None

    def __init__(self):
        super().__init__()
        self.name = "late"


@wrong("construction", "can't be made with neighbors=7: not so many", neighbors=7)
class FewNeighbors(Good):
    def __init__(self, neighbors: int = 3):
        super().__init__()
        if neighbors > 5:
            raise ValueError("not so many")


@wrong("construction", "constructing it with {} failed: ZeroDivisionError", neighbors=7)
class BadDefault(Good):
    def __init__(self, neighbors: int = 0):
        super().__init__()
        self.share = 1 / neighbors


@wrong("construction", "has no option 'neighbors'", neighbors=7)
class HiddenOption(Good):
    def __init__(self, **options):
        super().__init__(**options)


@wrong("options", "nobody can give an option through **options: name each option")
class HiddenOptions(HiddenOption):
    candidates = None


@wrong("options", "the default of neighbors, 'three', is refused by its own annotation")
class WrongDefault(Good):
    candidates = None

    def __init__(self, neighbors: int = "three"):
        super().__init__()


@wrong("options", "its option edges can't be checked: Type unions may not contain more than one")
class StrangeType(Good):
    candidates = None

    def __init__(self, edges: list[int] | tuple[int, ...] = ()):
        super().__init__()


@wrong("options", "the default of most, inf, is refused")
class Infinite(Good):
    def __init__(self, most: float = np.inf, warmth: float = 1.0):
        super().__init__()


@wrong("options", "the default of edges, (1, 2), comes back from JSON as [1, 2]")
class Bare(Good):
    def __init__(self, edges=(1, 2), warmth: float = 1.0):
        super().__init__()


@wrong("options", "given on the command line as label=none arrives as None")
class Nothing(Good):
    def __init__(self, label: str | None = "none", warmth: float = 1.0):
        super().__init__()


@wrong("options", "can't be given on the command line, as edges=5")
class Mixed(Good):
    def __init__(self, edges: tuple[tuple[int, ...], ...] = ((5,),), warmth: float = 1.0):
        super().__init__()


@wrong("candidates", "has no option 'depth'")
class StrangeCandidate(Good):
    @classmethod
    def candidates(cls):
        return [{"warmth": 1.0}, {"depth": 3}]


@wrong("candidates", "gave no candidate")
class NoCandidate(Good):
    @classmethod
    def candidates(cls):
        return []


@wrong("candidates", "candidates() gave <list_iterator")
class IteratedCandidates(Good):
    @classmethod
    def candidates(cls):
        return iter([{}])


@wrong("candidates", "the options being {'warmth': 0.0} failed: ValueError: no warmth")
class UselessCandidate(Good):
    @classmethod
    def candidates(cls):
        return [{"warmth": 0.0}]

    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        if not self.warmth:
            raise ValueError("no warmth")


@wrong("fit", "fit on 40 images of 5 classes, 16 features failed: ValueError: two classes only")
class Binary(Good):
    candidates = None

    def fit(self, features, targets, class_count):
        if class_count > 2:
            raise ValueError("two classes only")
        super().fit(features, targets, class_count)


@wrong("probabilities", "float32 [1, 2] came where float64 [1, 2] was due")
class Single(Good):
    def predict_proba(self, features):
        return super().predict_proba(features).astype(np.float32)


@wrong("probabilities", "float64 [2] came where float64 [1, 2] was due")
class Squeezed(Good):
    def predict_proba(self, features):
        return super().predict_proba(features).squeeze()


@wrong("probabilities", "for a batch of 1 a list came, no array")
class Listed(Good):
    def predict_proba(self, features):
        return super().predict_proba(features).tolist()


@wrong("probabilities", "a row sums to 2")
class Doubled(Good):
    def one(self, row):
        return 2 * super().one(row)


@wrong("probabilities", "values below 0 came: -0.")
class Negative(Good):
    def one(self, row):
        return 2 * super().one(row) - 1 / len(self.means)


@wrong("probabilities", "values came that are not finite")
class Infinitely(Good):
    def one(self, row):
        return super().one(row) * np.nan


@wrong("few-images", "fit on 4 images of 2 classes, 16 features (2 of each) failed: ValueError")
class Thirsty(Good):
    candidates = None

    def fit(self, features, targets, class_count):
        if np.bincount(targets).min() < 3:
            raise ValueError("too few")
        super().fit(features, targets, class_count)


@wrong("few-images", "and 8 more of the kind")
class Pairs(Good):
    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        if np.bincount(targets).min() < 2:
            self.scale = np.nan


@wrong("dimensions", "(more features than images) failed: LinAlgError: Singular matrix")
class Inverting(Good):
    def fit(self, features, targets, class_count):
        if features.shape[1] > 8 * len(features):
            raise np.linalg.LinAlgError("Singular matrix")
        super().fit(features, targets, class_count)


@wrong("degenerate-features", "after fit on 8 images of 2 classes, 16 features (no feature varies)")
class Dividing(Good):
    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        self.scale = float(features.var(axis=0, dtype=np.float64).mean())

    def one(self, row):
        with np.errstate(all="ignore"):
            return super().one(row)


@wrong("scale", "16 features (a million in size), values came that are not finite")
class Half(Good):
    def fit(self, features, targets, class_count):
        with np.errstate(all="ignore"):
            super().fit(features.astype(np.float16).astype(np.float32), targets, class_count)

    def one(self, row):
        with np.errstate(all="ignore"):
            return super().one(row)


@wrong("inputs", "predict_proba changed the features that it was given")
class Centring(Good):
    def predict_proba(self, features):
        features -= 1
        return super().predict_proba(features)


@wrong("inputs", "fit changed the targets that it was given")
class Sorting(Good):
    def fit(self, features, targets, class_count):
        order = np.argsort(targets, kind="stable")
        super().fit(features, targets, class_count)
        targets[:] = targets[order]


@wrong("inputs", "fit on arrays that can't be written to failed: ValueError: buffer source")
class Buffered(Good):
    def fit(self, features, targets, class_count):
        if not features.flags.writeable:
            raise ValueError("buffer source array is read-only")
        super().fit(features, targets, class_count)


@wrong("repetition", "asked again, row 0 differs by")
class Restless(Good):
    def one(self, row):
        noisy = super().one(row) + np.random.default_rng().random(len(self.means)) / 1e6
        return noisy / noisy.sum()


@wrong("instances", "after another was fitted, row 0 differs by")
class Sharing(Good):
    shared: ClassVar[dict[str, float]] = {}

    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        self.shared["scale"] = self.scale

    def one(self, row):
        self.scale = self.shared["scale"]
        return super().one(row)


@wrong("instances", "after another was fitted: predict_proba on a batch of 41 failed: ValueError")
class SharingMeans(Good):
    shared: ClassVar[dict[str, Any]] = {}

    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        self.shared["means"] = self.means

    def one(self, row):
        self.means = self.shared["means"]
        return super().one(row)


@wrong("determinism", "of two that were fitted to 37 images of 7 classes, 23 features, row")
class Unseeded(Good):
    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        self.scale *= np.random.default_rng().uniform(1, 2)


@wrong("own-results", "in what came for one batch, after another batch, row 0 differs by")
class Reusing(Good):
    def __init__(self):
        super().__init__()
        self.local = threading.local()

    candidates = None

    def predict_proba(self, features):
        result = super().predict_proba(features)
        kept = self.local.__dict__.setdefault(result.shape, np.empty_like(result))
        kept[:] = result
        return kept


@wrong("batch-independence", "between a batch of 41 and its image")
class Product(Good):
    def predict_proba(self, features):
        logits = features @ self.means.T
        weights = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64))
        return weights / weights.sum(axis=1, keepdims=True)


@wrong("batch-independence", "23 features: between a batch of 41 and its image 3 alone, row 0")
class Normalising(Good):
    def predict_proba(self, features):
        if len(features) > 7:
            features = features - features.mean(axis=0) / 100
        return super().predict_proba(features)


@wrong("threads", "8 threads at once")
class Leaving(Good):
    def one(self, row):
        self.row = row
        self.distances = (self.means - self.row).astype(np.float64)
        self.row = super().one(self.row)
        return self.row


@wrong("threads", "between 8 threads at once and one, row 0 differs by")
class OneRow(Good):
    def predict_proba(self, features):
        self.features = features
        time.sleep(1e-4)
        return super().predict_proba(np.resize(self.features, features.shape))


@wrong("threads", "on 8 threads at once: predict_proba on a batch of")
class Colliding(Good):
    busy = False

    def predict_proba(self, features):
        if self.busy:
            raise RuntimeError("busy")
        self.busy = True
        time.sleep(1e-3)
        self.busy = False
        return super().predict_proba(features)


@wrong("learning", "it got 0 of 40 others right")
class Rolled(Good):
    def one(self, row):
        return np.roll(super().one(row), 1)


@wrong("learning", "it got 8 of 40 others right")
class Undecided(Good):
    def one(self, row):
        return np.full(len(self.means), 1 / len(self.means))


@wrong("state", "list came, no mapping")
class ListedState(Good):
    def to_state(self):
        return list(super().to_state().items())


@wrong("state", "'scale' is float, neither an array nor bytes")
class NumberInState(Good):
    def to_state(self):
        return {**super().to_state(), "scale": self.scale}


@wrong("state", "'my means' is no name for an array, NAME, of letters")
class SpacedState(Good):
    def to_state(self):
        return {**super().to_state(), "my means": self.means}


@wrong("state", "'scale' is no name for bytes, NAME.EXTENSION, of letters")
class BareBytes(Good):
    def to_state(self):
        return {**super().to_state(), "scale": b"1"}


@wrong("state", "classes is object, not plain numbers")
class ObjectState(Good):
    def to_state(self):
        return {**super().to_state(), "classes": np.array(["a", "b"], dtype=object)}


@wrong("state", "means.npy is not the same after a way through a model file")
class NpyState(Good):
    def to_state(self):
        state = super().to_state()
        return {**state, "means.npy": to_npy(state.pop("means"))}


@wrong("restoration", "between the one that was saved and the one that was restored, row 0 differs")
class Rounding(Good):
    def json(self):
        return json.dumps({"scale": round(self.scale, 3)}).encode()


@wrong("restoration", "restore from what to_state gave, in a new object failed: TypeError")
class NoRestoring(Good):
    def restore(self, state, dimension):
        pass


@wrong("restoration", "saved and restored again: saving what to_state gives")
class Once(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        self.arrays = None


@wrong("restoration", "between the one that was saved and the one that was restored", warmth=0.5)
class Forgetting(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        self.warmth = 1.0


@wrong("restoration", "was restored, [41, 8] came where [41, 7] was due")
class Growing(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        self.means = np.vstack([self.means, self.means[:1]])


@wrong("restoration", "after saving the restored one and restoring that, row 0 differs by")
class Fading(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        self.json = lambda: b'{"scale": 0.5}'


@wrong("new-process", "between this process and a new one, row 0 differs by")
class Local(Good):
    here = os.getpid()

    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        self.scale *= 1 + self.here * 1e-9

    def one(self, row):
        result = super().one(row) + os.getpid() * 1e-6
        return result / result.sum()


@wrong("new-process", "restore and predict_proba in a new process failed: RuntimeError: not here")
class Homesick(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        if not hasattr(Homesick, "fitted"):
            raise RuntimeError("not here")

    def fit(self, features, targets, class_count):
        super().fit(features, targets, class_count)
        Homesick.fitted = True


def explaining(said: str) -> Callable[[Any], Any]:
    """Make a class of a function that spoils what ``explain`` gives."""

    def add(spoil: Any) -> Any:
        members = {"explain": lambda self, features: spoil(self, Good.explain(self, features))}
        wrong("explanation", said)(type(spoil.__name__, (Good,), members))
        return spoil

    return add


@explaining("for 1 images [[")
def one_too_many(self, explained):
    return explained if len(explained) > 1 else explained * 2


@explaining("for image 0, 7 came, no sequence of (index, weight)")
def numbers(self, explained):
    return [7 for _ in explained]


@explaining("for image 0, (100, 1.0) came")
def out_of_range(self, explained):
    return [[(len(self.images), 1.0)] for _ in explained]


@explaining("for image 0, (0.0, 1.0) came")
def no_index(self, explained):
    return [[(0.0, 1.0)] for _ in explained]


@explaining("for image 0, (0, nan) came")
def no_weight(self, explained):
    return [[(0, float("nan"))] for _ in explained]


@explaining("a look at what it gave failed: TypeError: must be real number, not str")
def weight_in_words(self, explained):
    return [[(0, "much")] for _ in explained]


@explaining("for image 0 no training image is named")
def no_reason(self, explained):
    return [[] for _ in explained]


@explaining("is the index that of fit's order?")
def by_class(self, explained):
    place = np.argsort(np.argsort(self.targets, kind="stable"))
    return [[(place[index], weight) for index, weight in row] for row in explained]


@explaining("explain on a batch of 40 failed: ZeroDivisionError")
def raising(self, explained):
    return 1 / 0


@wrong("explanation", "the restored one explains otherwise than the one that was saved")
class Distracted(Good):
    sharp = 1.0

    def explain(self, features):
        return [[(i, w * self.sharp) for i, w in row] for row in super().explain(features)]

    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, class_count)
        self.sharp = 2.0


@wrong("refuses-other-dimension", "restore took the state of 23 features, the dimension being 24")
class AnyDimension(Good):
    def restore(self, state, dimension, class_count):
        own = state["means"].shape[1] if "means" in state and state["means"].ndim == 2 else 0
        super().restore(state, own, class_count)


@wrong("refuses-other-classes", "restore took the state of 7 classes, the class count being 6")
class AnyClasses(Good):
    def restore(self, state, dimension, class_count):
        super().restore(state, dimension, len(state["means"]) if "means" in state else 0)


@wrong("refuses-missing-part", "restore took a state without scale.json")
class Lenient(Good):
    def restore(self, state, dimension, class_count):
        super().restore({"scale.json": b'{"scale": 1.0}', **state}, dimension, class_count)


@wrong(
    "refuses-missing-part",
    "ValueError was due for a state without means, but restore failed: KeyError: 'means'",
)
class Trusting(Good):
    def restore(self, state, dimension, class_count):
        state["means"]
        super().restore(state, dimension, class_count)


@wrong("refuses-extra-part", "restore took a state with 'surplus.bin' more")
class Overlooking(Good):
    def restore(self, state, dimension, class_count):
        state = {name: part for name, part in state.items() if not name.startswith("surplus")}
        super().restore(state, dimension, class_count)


@wrong("refuses-other-dtype", "restore took means as float64, not float32")
class Casting(Good):
    def restore(self, state, dimension, class_count):
        dtypes = {"means": np.float32, "images": np.float32, "targets": np.int64}
        state = {
            name: part.astype(dtypes[name]) if name in dtypes else part
            for name, part in state.items()
        }
        super().restore(state, dimension, class_count)


@wrong("refuses-other-shape", "restore took means of shape [1, 7, 23], not [7, 23]")
class Reshaping(Good):
    def restore(self, state, dimension, class_count):
        state = {
            name: part[0] if name == "means" and part.ndim == 3 else part
            for name, part in state.items()
        }
        super().restore(state, dimension, class_count)


@wrong("refuses-other-shape", "restore took images of shape [38, 23], not [37, 23]")
class Uncounted(Good):
    def restore(self, state, dimension, class_count):
        state = dict(state)
        if {"images", "targets"} <= set(state) and state["images"].ndim == 2:
            state["images"] = state["images"][: len(state["targets"])]
        super().restore(state, dimension, class_count)


@wrong("refuses-nan", "restore took means with a NaN")
class Mending(Good):
    def restore(self, state, dimension, class_count):
        state = {
            name: part if isinstance(part, bytes) else np.nan_to_num(part)
            for name, part in state.items()
        }
        super().restore(state, dimension, class_count)


@wrong("refuses-garbage", "restore took scale.json that is empty")
class Guessing(Good):
    def read_scale(self, data):
        try:
            return super().read_scale(data)
        except ValueError:
            return 1.0


@wrong("refuses-garbage", "scale.json that is empty, but restore failed: KeyError")
class Misraising(Good):
    def read_scale(self, data):
        try:
            return super().read_scale(data)
        except ValueError:
            raise KeyError("scale") from None


@wrong("runs-nothing", "code in scale.json (a pickle) was run")
class Pickling(Good):
    def json(self):
        return pickle.dumps(self.scale)

    def read_scale(self, data):
        try:
            scale = pickle.loads(data)
        except Exception as error:
            raise ValueError("no scale") from error
        if not isinstance(scale, float):
            raise ValueError("no scale")
        return scale


@wrong("runs-nothing", "code in scale.json (a .npy of objects) was run")
class NumPyPickling(Good):
    def json(self):
        return to_npy(np.array(self.scale))

    def read_scale(self, data):
        try:
            return float(np.load(io.BytesIO(data), allow_pickle=True))
        except Exception as error:
            raise ValueError("no scale") from error


@wrong("runs-nothing", "code in scale.json (a zip with pickles in it) was run")
class ZipPickling(Good):
    def json(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("scale/data.pkl", pickle.dumps(self.scale))
        return out.getvalue()

    def read_scale(self, data):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                return float(pickle.loads(archive.read("scale/data.pkl")))
        except Exception as error:
            raise ValueError("no scale") from error


@pytest.fixture
def soon(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads meet once only, where the test is about something else."""
    if request.node.callspec.params["check"] != "threads":
        for module in ("classifying", "featurizing"):
            monkeypatch.setattr(f"batchcls.testing.{module}._THREAD_SECONDS", 0)


def failures(check: Callable[..., None], *arguments: Any, **options: Any) -> ConformanceError:
    with pytest.raises(ConformanceError) as caught:
        check(*arguments, **options)
    return caught.value


@pytest.mark.parametrize(("check", "said", "cls", "options"), WRONG)
def test_a_wrong_classifier_fails_the_check_that_is_for_it_and_no_other(
    check, said, cls, options, soon
):
    skip = {} if check == "new-process" else QUICK
    error = failures(check_classifier, cls, skip=skip, **options)
    assert list(error.failures) == [check], error
    assert said in error.failures[check]
    assert f"\n\n{check}: {CLASSIFIER_CHECKS[check]}\n  - " in str(error)
    assert f": 1 of {len(CLASSIFIER_CHECKS)} checks failed" in str(error)


def test_there_is_a_wrong_classifier_for_each_check():
    assert {param.values[0] for param in WRONG} == set(CLASSIFIER_CHECKS)


class GoodFeaturizer:
    """Brightness of 4 x 4 blocks, through a layer of random weights."""

    name = "toy"
    input_size = 16

    def __init__(self, files):
        if set(files) != {"weights.npy", "settings.json"}:
            raise ValueError("not the two files")
        self.files = files
        self.weights = self.read_weights(files["weights.npy"])
        if self.weights.dtype != np.float32 or self.weights.shape != (48, 12):
            raise ValueError("not the weights")
        self.scale = json.loads(files["settings.json"])["scale"]
        self.dimension = self.weights.shape[1]
        self.digest = hashlib.sha256(b"".join(files[name] for name in sorted(files))).hexdigest()

    def read_weights(self, data):
        return from_npy(data)

    def featurize(self, pixels):
        return np.stack([self.one(picture) for picture in pixels])

    def one(self, picture):
        blocks = picture.reshape(4, 4, 4, 4, 3).mean(axis=(1, 3), dtype=np.float64)
        return (blocks.reshape(1, -1) @ self.weights * self.scale)[0].astype(np.float32)

    def to_files(self):
        return self.files


class GoodProvider:
    name = "toy"
    description = "Brightness of blocks"
    featurizer: Any = GoodFeaturizer

    def create(self, context, seed: int = 0, scale: float = 1.0):
        weights = np.random.default_rng(seed).normal(0, 1, (48, 12)).astype(np.float32)
        files = {
            "weights.npy": self.weights_file(weights),
            "settings.json": json.dumps({"scale": scale}).encode(),
        }
        return self.featurizer(files)

    def weights_file(self, weights):
        return to_npy(weights)

    def restore(self, files):
        return self.featurizer(files)

    def about(self, context):
        return NetworkInfo(True, 100, "Apache-2.0")


def test_a_good_featurizer_passes():
    check_featurizer(GoodProvider())
    check_featurizer(GoodProvider(), context=Context(), seed=3, scale=0.5)


WRONG_FEATURIZERS: list[Any] = []


def wrong_featurizer(check: str, said: str) -> Callable[[Any], Any]:
    """Mark a provider, or a featurizer, as ``wrong`` does."""

    def add(cls: Any) -> Any:
        provider = cls
        if issubclass(cls, GoodFeaturizer):
            provider = type(cls.__name__, (GoodProvider,), {"featurizer": cls})
        name = f"{check}-{cls.__name__}"
        WRONG_FEATURIZERS.append(pytest.param(check, said, provider, id=name))
        return cls

    return add


@wrong_featurizer("interface", "the featurizer has no to_files")
class NoFiles(GoodFeaturizer):
    @property
    def to_files(self):
        raise AttributeError("to_files")


@wrong_featurizer("interface", "the provider has no name")
class NoName(GoodProvider):
    @property
    def name(self):
        raise AttributeError("name")


@wrong_featurizer("name", "its name is 'toy\\n'")
class Lines(GoodProvider):
    name = "toy\n"

    class featurizer(GoodFeaturizer):  # noqa: N801
        name = "toy\n"


@wrong_featurizer("name", "its name is 'other', its provider's is 'toy'")
class Misnamed(GoodFeaturizer):
    name = "other"


@wrong_featurizer("description", "the provider's description is None")
class Undescribed(GoodProvider):
    description = None


@wrong_featurizer("options", "nobody can give an option through **options")
class Hiding(GoodProvider):
    def create(self, context, **options):
        return super().create(context, **options)


@wrong_featurizer("options", "the default of seed, 'none', is refused by its own annotation")
class SeedOfText(GoodProvider):
    def create(self, context, seed: int = "none"):
        return super().create(context)


@wrong_featurizer("about", "about gave 'here'")
class AboutText(GoodProvider):
    def about(self, context):
        return "here"


@wrong_featurizer("about", "at_hand is 'yes'")
class AboutYes(GoodProvider):
    def about(self, context):
        return NetworkInfo("yes")


@wrong_featurizer("about", "size is '100 MB'")
class AboutSize(GoodProvider):
    def about(self, context):
        return NetworkInfo(True, "100 MB")


@wrong_featurizer("about", "place is None")
class AboutNone(GoodProvider):
    def about(self, context):
        return NetworkInfo(True, place=None)


@wrong_featurizer("about", "about(context) failed: OSError: no folder")
class AboutRaises(GoodProvider):
    def about(self, context):
        raise OSError("no folder")


@wrong_featurizer("sizes", ", of type int64")
class NumPySize(GoodFeaturizer):
    input_size = np.int64(16)


@wrong_featurizer("sizes", "dimension is 0, of type int")
class NoDimension(GoodFeaturizer):
    def __init__(self, files):
        super().__init__(files)
        self.dimension = 0


@wrong_featurizer("digest", "it is 'DEADBEEF'")
class ShortDigest(GoodFeaturizer):
    def __init__(self, files):
        super().__init__(files)
        self.digest = "DEADBEEF"


@wrong_featurizer("digest", "of another, made in the same way, it is")
class Stamped(GoodProvider):
    stamps = itertools.count()

    def weights_file(self, weights):
        return to_npy(weights + np.float32(next(self.stamps)))


@wrong_featurizer("features", "float64 [1, 12] came where float32 [1, 12] was due")
class DoubleFeatures(GoodFeaturizer):
    def featurize(self, pixels):
        return super().featurize(pixels).astype(np.float64)


@wrong_featurizer("features", "float32 [12] came where float32 [1, 12] was due")
class SqueezedFeatures(GoodFeaturizer):
    def featurize(self, pixels):
        return super().featurize(pixels).squeeze()


@wrong_featurizer("features", "featurize on a batch of 7 failed: ValueError: one by one")
class OneByOne(GoodFeaturizer):
    def featurize(self, pixels):
        if len(pixels) > 1:
            raise ValueError("one by one")
        return super().featurize(pixels)


@wrong_featurizer("features", "for a batch of 1, values came that are not finite")
class NaNFeatures(GoodFeaturizer):
    def featurize(self, pixels):
        return super().featurize(pixels) * np.float32(np.nan)


@wrong_featurizer("features", "for a batch of 1 a list came, no array")
class ListedFeatures(GoodFeaturizer):
    def featurize(self, pixels):
        return super().featurize(pixels).tolist()


@wrong_featurizer("plain-pictures", "for a black picture, values came that are not finite")
class Standardising(GoodFeaturizer):
    def one(self, picture):
        flat = np.full(12, np.nan, np.float32)
        return super().one(picture) if picture.std() else flat


@wrong_featurizer("plain-pictures", "for a red picture: featurize on a batch of 1 failed: Zero")
class NoRed(GoodFeaturizer):
    def one(self, picture):
        return super().one(picture) * np.float32(1 if picture[..., 1:].any() else 1 / (0 * 1))


@wrong_featurizer("inputs", "featurize changed the pixels that it was given")
class Inverting8(GoodFeaturizer):
    def featurize(self, pixels):
        if pixels.flags.writeable and pixels.base is None:
            np.subtract(255, pixels, out=pixels)
            return super().featurize(255 - pixels)
        return super().featurize(pixels)


@wrong_featurizer("inputs", "pixels that can't be written to failed: ValueError: assignment")
class InPlace(GoodFeaturizer):
    def featurize(self, pixels):
        pixels[:1] = pixels[:1]
        return super().featurize(pixels)


@wrong_featurizer("repetition", "asked again, row 0 differs by")
class DroppingOut(GoodFeaturizer):
    def one(self, picture):
        noise = np.random.default_rng().normal(0, 1e-3, 12)
        return super().one(picture) + noise.astype(np.float32)


@wrong_featurizer("memory-layout", "featurize on every other picture of an array failed")
class ViaBuffer(GoodFeaturizer):
    def featurize(self, pixels):
        if not pixels.flags.c_contiguous:
            raise ValueError("ndarray is not C-contiguous")
        return super().featurize(pixels)


@wrong_featurizer("memory-layout", "between pixels that lie side by side and turned channels, row")
class ViaPointer(GoodFeaturizer):
    def featurize(self, pixels):
        return super().featurize(pixels if pixels.strides[-1] > 0 else pixels[..., ::-1])


@wrong_featurizer("batch-independence", "between a batch of 7 and its image 0 alone, row 0")
class Averaging(GoodFeaturizer):
    def featurize(self, pixels):
        features = super().featurize(pixels)
        return features - features.mean(axis=0) / 1000


@wrong_featurizer("batch-independence", "row 0 differs by")
class BlasBatch(GoodFeaturizer):
    def featurize(self, pixels):
        blocks = pixels.reshape(-1, 4, 4, 4, 4, 3).mean(axis=(2, 4), dtype=np.float32)
        wide = np.tile(blocks.reshape(len(pixels), -1), 30)
        features = wide @ np.tile(self.weights, (30, 1)) * np.float32(self.scale)
        return features + super().featurize(pixels) * 0


@wrong_featurizer("own-results", "in what came for one batch of 1, after another, row 0 differs by")
class Viewing(GoodFeaturizer):
    def __init__(self, files):
        super().__init__(files)
        self.local = threading.local()

    def featurize(self, pixels):
        result = super().featurize(pixels)
        kept = self.local.__dict__.setdefault(result.shape, np.empty_like(result))
        kept[:] = result
        return kept


@wrong_featurizer("threads", "between 4 threads at once and one, row 0 differs by")
class OneInput(GoodFeaturizer):
    def one(self, picture):
        self.input = picture
        time.sleep(1e-5)
        return super().one(self.input)


@wrong_featurizer("threads", "on 4 threads at once: featurize on a batch of 1 failed: RuntimeError")
class OneThread(GoodFeaturizer):
    busy = False

    def one(self, picture):
        if self.busy:
            raise RuntimeError("in use")
        self.busy = True
        time.sleep(1e-3)
        self.busy = False
        return super().one(picture)


@wrong_featurizer("telling-apart", "those of pictures 0 and 1 are the same")
class Blind(GoodFeaturizer):
    def one(self, picture):
        return super().one(np.zeros_like(picture))


@wrong_featurizer("files", "list came, no mapping")
class ListedFiles(GoodFeaturizer):
    def to_files(self):
        return list(self.files)


@wrong_featurizer("files", "'settings.json' is str, not bytes")
class TextFile(GoodFeaturizer):
    def to_files(self):
        return {**self.files, "settings.json": "{}"}


@wrong_featurizer("files", "'featurizer/a/b.bin' can't be a member of a model file")
class FileInFolder(GoodFeaturizer):
    def to_files(self):
        return {**self.files, "a/b.bin": b""}


@wrong_featurizer("files", "the files are not the same after a way through a model file")
class Dated(GoodFeaturizer):
    dates = itertools.count()

    def to_files(self):
        return {**self.files, "settings.json": b'{"scale": 1.0}' + b" " * next(self.dates)}


@wrong_featurizer("restoration", "and the one that was restored, digest differs: '")
class DigestOfTime(GoodProvider):
    def restore(self, files):
        restored = super().restore(files)
        restored.digest = "0" * 64
        return restored


@wrong_featurizer("restoration", "and the one that was restored, row 0 differs by")
class Unscaled(GoodProvider):
    def restore(self, files):
        restored = super().restore(files)
        restored.scale = 0.5
        return restored


@wrong_featurizer("restoration", "restore from what to_files gave failed: FileNotFoundError")
class FromDisk(GoodProvider):
    def restore(self, files):
        raise FileNotFoundError("weights.npy")


@wrong_featurizer("restoration", "to_files of the restored one failed: TypeError")
class SavedOnce(GoodProvider):
    def restore(self, files):
        restored = super().restore(files)
        restored.to_files = None
        return restored


@wrong_featurizer("restoration", "after saving the restored one and restoring that, digest differs")
class SavedOtherwise(GoodProvider):
    def restore(self, files):
        restored = super().restore(files)
        restored.files = {**files, "settings.json": files["settings.json"] + b" "}
        return restored


@wrong_featurizer("restoration", "restored_by is 'nobody': there is no featurizer 'nobody'")
class RestoredByNobody(GoodFeaturizer):
    restored_by = "nobody"


@wrong_featurizer("refuses-missing-file", "restore took files without settings.json")
class Defaulting(GoodProvider):
    def restore(self, files):
        return super().restore({"settings.json": b'{"scale": 1.0}', **files})

    def create(self, context):
        return super().create(context)


@wrong_featurizer(
    "refuses-missing-file", "ValueError was due for no files, but restore failed: Key"
)
class TrustingFiles(GoodProvider):
    def restore(self, files):
        files["weights.npy"]
        return super().restore(files)


@wrong_featurizer("refuses-extra-file", "restore took files with 'surplus.bin' more")
class OverlookingFiles(GoodProvider):
    def restore(self, files):
        return super().restore({k: v for k, v in files.items() if k != "surplus.bin"})


@wrong_featurizer("refuses-garbage", "restore took weights.npy cut to half its length")
class Lazy(GoodFeaturizer):
    def read_weights(self, data):
        try:
            return super().read_weights(data)
        except ValueError:
            return np.zeros((48, 12), np.float32)


@wrong_featurizer("refuses-garbage", "settings.json that is empty, but restore failed: OSError")
class MisraisingFiles(GoodProvider):
    def restore(self, files):
        try:
            return super().restore(files)
        except json.JSONDecodeError:
            raise OSError("broken") from None


@wrong_featurizer("runs-nothing", "code in weights.npy (a pickle) was run")
class PickledWeights(GoodProvider):
    def weights_file(self, weights):
        return pickle.dumps(weights)

    class featurizer(GoodFeaturizer):  # noqa: N801
        def read_weights(self, data):
            try:
                weights = pickle.loads(data)
            except Exception as error:
                raise ValueError("no weights") from error
            if not isinstance(weights, np.ndarray):
                raise ValueError("no weights")
            return weights


@pytest.mark.parametrize(("check", "said", "provider"), WRONG_FEATURIZERS)
def test_a_wrong_featurizer_fails_the_check_that_is_for_it_and_no_other(
    check, said, provider, soon
):
    error = failures(check_featurizer, provider())
    assert list(error.failures) == [check], error
    assert said in error.failures[check]
    assert f"\n\n{check}: {FEATURIZER_CHECKS[check]}\n  - " in str(error)


def test_there_is_a_wrong_featurizer_for_each_check():
    assert {param.values[0] for param in WRONG_FEATURIZERS} == set(FEATURIZER_CHECKS)


def test_all_that_is_wrong_is_told_at_once_with_what_was_not_checked_and_skipped():
    class Hopeless(Rolled):
        name = ""

        def to_state(self):
            return []

    error = failures(check_classifier, Hopeless, skip={"scale": "it is my own"}, neighbors=2)
    assert list(error.failures) == ["name", "learning", "state"]
    assert error.unchecked["refuses-garbage"] == "needs state"
    text = str(error)
    assert text.startswith(f"check_classifier({Hopeless.__qualname__}, neighbors=2): 3 of ")
    assert "\n\nNot checked:\n  - needs state: restoration, new-process, refuses-" in text
    assert text.endswith("\n\nSkipped:\n  - scale: it is my own")


def test_what_the_author_s_code_raised_is_the_cause():
    error = failures(check_classifier, Binary)
    assert isinstance(error.__cause__, ValueError)
    assert "(test_testing.py, line " in str(error)


def test_a_check_can_be_skipped():
    with pytest.raises(ConformanceError):
        check_classifier(Product)
    check_classifier(Product, skip={"batch-independence": "BLAS is faster", **QUICK})

    class Provider(GoodProvider):
        featurizer = Averaging

    check_featurizer(Provider(), skip={"batch-independence": "it is only a little"})


@pytest.mark.parametrize(
    ("skip", "said"),
    [
        ({"batches": "x"}, "skip: there is no check 'batches'; there is: interface, name, "),
        ({"threads": " "}, "skip: say why 'threads' is to be skipped"),
    ],
)
def test_a_skip_must_name_a_check_and_give_a_reason(skip, said):
    for check, what in ((check_classifier, Good), (check_featurizer, GoodProvider())):
        with pytest.raises(ValueError, match=said):
            check(what, skip=skip)


def test_a_class_that_a_new_process_can_not_find_is_told_of():
    class Inner(Good):
        pass

    with pytest.warns(NotCheckedWarning, match=r"not checked: new-process: .*skip=") as caught:
        check_classifier(Inner)
    assert caught[0].filename == __file__


def test_a_class_that_is_registered_in_this_process_alone_is_told_of(monkeypatch):
    cls = type("Made", (Good,), {"name": "made-here"})
    monkeypatch.setitem(registry().classifiers, "made-here", cls)
    with pytest.warns(NotCheckedWarning, match="a new process can't import {'name': 'made-here'}"):
        check_classifier(cls)


def test_options_that_do_not_exist_are_told():
    error = failures(check_classifier, Good, neighbours=3)
    assert "has no option 'neighbours'" in error.failures["construction"]
    assert "Did you mean neighbors?" in error.failures["construction"]
    with pytest.raises(UsageError, match="has no option 'sed'"):
        check_featurizer(GoodProvider(), sed=3)


def test_a_network_that_is_not_at_hand_is_no_failure():
    class Far(GoodProvider):
        def create(self, context):
            assert context.settings.models.download is False
            assert context.sample(8).shape == (16, 8, 8, 3)
            raise NetworkError("not here")

    with pytest.raises(NetworkError, match="not here"):
        check_featurizer(Far())


def test_the_context_is_the_author_s_where_there_is_one():
    class Asking(GoodProvider):
        def create(self, context):
            assert context.settings.models.folder == "here"
            return super().create(context)

    check_featurizer(Asking(), context=Context(Settings(models=ModelsSettings(folder="here"))))


def test_a_featurizer_that_is_made_already_is_restored_by_the_registry_s():
    check_featurizer(EfficientNetLite0().create(Context()))
    with pytest.raises(TypeError, match="options \\['seed'\\] are for a provider's create"):
        check_featurizer(EfficientNetLite0().create(Context()), seed=3)


def test_a_featurizer_that_nothing_restores_is_told_of():
    with pytest.warns(NotCheckedWarning) as caught:
        check_featurizer(GoodProvider().create(Context()))
    [told] = [str(one.message) for one in caught]
    assert told.startswith("check_featurizer(GoodFeaturizer): not checked: restoration, refuses-")
    names = told.split(": ")[2].split(", ")
    assert len(names) == 5
    assert "no provider was given, and the registry has none of its name (or give" in told
    check_featurizer(GoodProvider().create(Context()), skip=dict.fromkeys(names, "it stays here"))
    with pytest.warns(NotCheckedWarning, match="not checked: refuses-missing-file, .*nothing: "):
        check_featurizer(GoodProvider().create(Context()), skip={"restoration": "it stays here"})


def test_a_featurizer_may_be_restored_by_another_provider(monkeypatch):
    asked = []

    class Other(GoodProvider):
        def restore(self, files):
            asked.append(files)
            return super().restore(files)

    class Given(GoodFeaturizer):
        name = "given"
        restored_by = "toy"

    class Converting(GoodProvider):
        name = "converter"
        featurizer = Given
        restore = None

    monkeypatch.setitem(registry().featurizers, "toy", Other())
    check_featurizer(Converting())
    assert asked


def test_no_test_framework_is_needed():
    code = """
import sys
from batchcls.builtin.logistic import LogisticRegression
from batchcls.testing import check_classifier
check_classifier(LogisticRegression)
assert not {"pytest", "_pytest", "hypothesis"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
