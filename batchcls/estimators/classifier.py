"""A scikit-learn classifier as a classifier of batchcls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from inspect import Signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from batchcls.arrays import expected_arrays
from batchcls.blas import one_openmp_thread, one_thread
from batchcls.errors import PluginError, UsageError
from batchcls.estimators import skopsfile
from batchcls.estimators.checks import check_estimator
from batchcls.estimators.source import EstimatorSource
from batchcls.options import to_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE = "estimator.skops"
_PROBES = 8
# Another processor, or another BLAS, may round otherwise.
_CLOSE = 1e-4

# Exact for an image whatever else is in the batch: each row goes down a tree by itself. (Measured
# to the bit, and compared in the tests.) Others sum by BLAS, in an order that depends on the number
# of rows, and are therefore asked row by row.
_FORESTS = frozenset(
    f"sklearn.ensemble._forest.{name}"
    for name in ("ExtraTreesClassifier", "RandomForestClassifier")
)
_TREES = frozenset(
    f"sklearn.tree._classes.{name}" for name in ("DecisionTreeClassifier", "ExtraTreeClassifier")
)


class _OptionsOf:
    """The ``__signature__`` of a class, read from the estimator when it is asked for."""

    def __get__(self, instance: object, owner: type[EstimatorClassifier]) -> Signature:
        return owner.source.signature()


class EstimatorClassifier:
    """What :func:`estimator_classifier` makes a subclass of; not used by itself.

    A model keeps the fitted estimator in the form of skops, which runs nothing when it is read
    (``skopsfile``), and what it says of up to eight training images: a scikit-learn of another
    version may read it if it still says the same of them.
    """

    name: ClassVar[str]
    source: ClassVar[EstimatorSource]
    floor: ClassVar[float]
    options: ClassVar[Sequence[Mapping[str, Any]]]
    __signature__ = _OptionsOf()

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - whatever the estimator takes
        self._options = options
        self._estimator = self.source.make(options)
        self._probe: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._said: NDArray[np.float64] = np.zeros((0, 0))

    @classmethod
    def candidates(cls) -> Sequence[Mapping[str, Any]]:
        """List the options that cross-validation chooses among."""
        return cls.options

    def fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        """Learn from ``features``, float32 ``[N, D]``, and ``targets``, int ``[N]``.

        Raises UsageError where the estimator can't learn from so few images, or so.
        """
        first = np.unique(targets, return_index=True)[1][:_PROBES]
        # What the estimator warns of, it would repeat for every fold; cross-validation tells
        # how good it is.
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._estimator.fit(features.astype(np.float64), targets)
                self._check_classes(class_count)
                self._probe = np.ascontiguousarray(features[first], dtype=np.float32)
                self._said = self.predict_proba(self._probe)
            except (ValueError, ArithmeticError, NotImplementedError) as error:
                raise UsageError(
                    f"the classifier {self.name} can't learn from these images: {error}"
                ) from error

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities, float64 ``[N, C]``."""
        with one_openmp_thread():  # the pipeline's threads keep the cores busy
            probabilities = self._predicted(features.astype(np.float64))
        # A probability of 0 says that something can't be, which no few images can tell.
        probabilities *= 1 - self.floor
        probabilities += self.floor / probabilities.shape[1]
        return probabilities

    def _predicted(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        kind = type(self._estimator)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _TREES:
            return np.array(self._estimator.predict_proba(features), np.float64)
        if name in _FORESTS:
            # The same sum, in the same order, as the forest's own, which changes the warnings'
            # filters of the whole process while others predict, and takes four times as long.
            trees = self._estimator.estimators_
            rows = features.astype(np.float32)
            total: NDArray[np.float64] = (
                trees[0].predict_proba(rows, check_input=False).astype(np.float64)
            )
            for tree in trees[1:]:
                total += tree.predict_proba(rows, check_input=False)
            total /= len(trees)
            return total
        each = [self._estimator.predict_proba(row[np.newaxis]) for row in features]
        return np.concatenate(each, dtype=np.float64)

    def to_state(self) -> Mapping[str, NDArray[Any] | bytes]:
        """Give the estimator as skops has it, and its probes.

        Raises PluginError if it can't be kept, or not be read again.
        """
        try:
            data = skopsfile.dumps(self._estimator)
            state: dict[str, NDArray[Any] | bytes]
            state = {_FILE: data, "probe": self._probe, "said": self._said}
            type(self)(**self._options).restore(state, self._probe.shape[1], self._said.shape[1])
        except (ValueError, TypeError) as error:
            raise PluginError(
                f"the classifier {self.name} can't be kept in a model: {error}"
            ) from error
        return state

    def restore(
        self, state: Mapping[str, NDArray[Any] | bytes], dimension: int, class_count: int
    ) -> None:
        """Take it back; ValueError if it is not sound, or says otherwise than it did."""
        arrays = dict(state)
        data = arrays.pop(_FILE, None)
        if not isinstance(data, bytes):
            raise ValueError(f"broken: it has no {_FILE}")
        due: dict[str, tuple[type[np.generic], tuple[int | None, ...]]] = {
            "probe": (np.float32, (None, dimension)),
            "said": (np.float64, (None, class_count)),
        }
        probes = expected_arrays(arrays, due)
        self._probe, self._said = probes["probe"], probes["said"]
        if not 0 < len(self._probe) == len(self._said) <= _PROBES:
            raise ValueError("broken: its probes are not as many as their probabilities")
        loaded, version = skopsfile.loads(data, self.source.trusted)
        try:
            self._take(loaded, dimension, class_count)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's numbers lead to
            reason = error if type(error) is ValueError else f"{type(error).__name__}: {error}"
            other = skopsfile.of_other_version(version)
            raise ValueError(f"it can't be used: {reason}{other}") from None

    def _take(self, loaded: Any, dimension: int, class_count: int) -> None:  # noqa: ANN401
        expected = type(self._estimator)
        if type(loaded) is not expected:
            raise ValueError(f"it is a {type(loaded).__name__}, not a {expected.__name__}")
        check_estimator(loaded)
        parameters = loaded.get_params(deep=False)
        kept = {name: parameters.get(name) for name in self._options}
        if isinstance(self.source.estimator, type | str) and _plain(kept) != _plain(self._options):
            raise ValueError("broken: it was made with other options than the model says")
        if getattr(loaded, "n_features_in_", dimension) != dimension:
            raise ValueError(f"it is for {loaded.n_features_in_} features, not {dimension}")
        self._estimator = loaded
        self._check_classes(class_count)
        says = self.predict_proba(self._probe)
        if says.shape != self._said.shape or not np.allclose(says, self._said, 0, _CLOSE):
            raise ValueError("it says otherwise than when it was trained")

    def _check_classes(self, class_count: int) -> None:
        if not np.array_equal(self._estimator.classes_, np.arange(class_count)):
            raise ValueError("its classes are not those of the model")


def estimator_classifier(
    name: str,
    estimator: str | Callable[..., Any],
    *,
    trusted: Collection[str] = (),
    candidates: Sequence[Mapping[str, Any]] = ({},),
    floor: float = 0.0,
    **defaults: Any,  # noqa: ANN401 - whatever the estimator takes
) -> type[EstimatorClassifier]:
    """Make a classifier of batchcls of a scikit-learn one.

    ``estimator`` is where it is, as ``"sklearn.svm.SVC"`` or ``"my_package.mine:Pipeline"``, and
    then imported only when it is used; or a class; or a function that returns an estimator, whose
    keyword parameters are the options. ``defaults`` are options that differ from its own. Where
    it has a ``random_state`` of None, that is a fixed seed: the same training gives the same model.

    ``candidates`` are the options that cross-validation chooses among, the most cautious first.
    ``floor`` is the share of an even chance that is mixed into the probabilities, for estimators
    that are certain too soon (0.001 limits the log-loss of an image to 9 or so).

    ``trusted`` are the full names of types that are neither scikit-learn's nor plain numbers but
    part of the fitted estimator, as ``"xgboost.core.Booster"``. batchcls looks into what the
    compiled code of scikit-learn relies on; what these types make of a stranger's file is for you
    to know.
    """
    source = EstimatorSource(name, estimator, defaults, frozenset(trusted))
    path = estimator if isinstance(estimator, str) else estimator.__qualname__
    members = {
        "__doc__": f"{path}, through scikit-learn.",
        "__module__": __name__,
        "name": name,
        "source": source,
        "floor": floor,
        "options": tuple(candidates),
    }
    return type(f"EstimatorClassifier_{name}", (EstimatorClassifier,), members)


def _plain(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give options as JSON has them, where a tuple is a list; None for what it has not."""
    try:
        return to_json(options)
    except PluginError:
        return None
