"""Whether it is safe to predict with an estimator that a stranger may have written.

scikit-learn's compiled code believes what a fitted estimator says of itself: a child of a tree's
node that is not there, or a class that is not, is a read (or a write) outside the array, at best a
crash. Here are looked through, for the trusted types whose predictions run through such code:

- decision trees, and so forests, bagging and boosting of them: the nodes, and the number of
  features;
- gradient boosting, both kinds: also the shapes that the trees write into;
- support vector machines: all shapes, against ``_libsvm.pyx``;
- nearest neighbours: brute force only, and its labels.

The other trusted types are NumPy's work and need no look. Types that a plugin trusts in addition
are not looked into: that is for its author.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAF = -1
_MAX_PARTS = 1_000_000


def check_nodes(
    features: object,
    classes: NDArray[Any],
    outputs: object,
    nodes: NDArray[Any],
    values: NDArray[Any],
) -> None:
    """Check what a ``sklearn.tree._tree.Tree`` is about to be made of; ValueError if unsound.

    ``features`` is the number of features, ``classes`` the number of classes, int ``[1]``,
    ``outputs`` 1, ``nodes`` records ``[M]``, ``values`` float64 ``[M, 1, classes]``.
    """
    _sound(type(features) is int and 0 < features < 2**31 and outputs == 1, "a tree")
    _sound(classes.shape == (1,) and classes.dtype.kind == "i", "a tree's classes")
    due = {"left_child", "right_child", "feature", "threshold", "missing_go_to_left"}
    _sound(nodes.ndim == 1 and due <= set(nodes.dtype.names or ()), "a tree's nodes")
    count = len(nodes)
    _sound(count > 0 and values.dtype == np.float64, "a tree's values")
    _sound(values.shape == (count, 1, int(classes[0])), "a tree's values")
    inner = nodes["left_child"] != _LEAF
    _check_children(nodes["left_child"][inner], nodes["right_child"][inner], inner)
    feature = nodes["feature"][inner]
    _sound(((feature >= 0) & (feature < features)).all(), "a tree's features")


def _check_children(left: NDArray[Any], right: NDArray[Any], inner: NDArray[np.bool_]) -> None:
    """Check that children are there, and behind their parents, so that no way is without end."""
    above = np.flatnonzero(inner)
    for child in (left.astype(np.int64), right.astype(np.int64)):
        _sound(((child > above) & (child < len(inner))).all(), "a tree's children")


def check_estimator(estimator: Any) -> None:  # noqa: ANN401 - scikit-learn is untyped
    """Check a loaded estimator and all that is in it; ValueError if it is not safe to use.

    Everything in it is set to predict on one thread, as threads are the pipeline's.
    """
    try:
        for part in _parts(estimator):
            if getattr(part, "n_jobs", None) is not None:
                part.n_jobs = 1
            check = _CHECKS.get(type(part).__name__)
            if check is not None and type(part).__module__.startswith("sklearn.") and _fitted(part):
                check(part)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is missing, or of another type
        raise ValueError(f"it is not whole: {type(error).__name__}: {error}") from None


def _fitted(part: Any) -> bool:  # noqa: ANN401
    # As scikit-learn itself tells. Ensembles hold what they copied, which never is.
    return any(name.endswith("_") for name in vars(part))


def _parts(estimator: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield every object with attributes, the estimator first."""
    seen: set[int] = set()
    waiting = [estimator]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, (str, bytes, type)):
            continue
        seen.add(id(part))
        _sound(len(seen) <= _MAX_PARTS, "its number of parts")
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, (list, tuple, set)):
            waiting += part
        elif isinstance(part, np.ndarray):
            waiting += part.ravel().tolist() if part.dtype == object else []
        elif hasattr(part, "__dict__"):
            yield part
            waiting += vars(part).values()


def _check_decision_tree(tree: Any) -> None:  # noqa: ANN401
    from sklearn.tree._tree import Tree

    inner = tree.tree_
    _sound(type(inner) is Tree and inner.n_features == tree.n_features_in_, "a tree's features")


def _check_forest(forest: Any) -> None:  # noqa: ANN401
    # The trees are handed the features unchecked, in the forest's number and dtype.
    for tree in forest.estimators_:
        _sound(type(tree).__module__ == "sklearn.tree._classes", "a forest's trees")
        _sound("tree_" in vars(tree), "a forest's trees")
        _sound(tree.n_features_in_ == forest.n_features_in_, "a forest's features")


def _check_gradient_boosting(boosting: Any) -> None:  # noqa: ANN401
    trees = boosting.estimators_
    columns = _columns(boosting)
    _sound(isinstance(trees, np.ndarray) and trees.ndim == 2, "a boosting's trees")
    _sound(trees.shape[1] == columns and len(trees) > 0, "a boosting's trees")
    for tree in trees.flat:
        _sound(type(tree).__name__ == "DecisionTreeRegressor", "a boosting's trees")
        _sound(tree.n_features_in_ == boosting.n_features_in_, "a boosting's features")
        _sound(tree.tree_.value.shape[1:] == (1, 1), "a boosting's values")
    # The trees' sum is written where the first guess stands.
    _sound(type(boosting.init_).__name__ == "DummyClassifier", "a boosting's first guess")
    _sound(boosting.init_.strategy == "prior", "a boosting's first guess")
    for rows in (1, 2):
        first = boosting._raw_predict_init(np.zeros((rows, boosting.n_features_in_), np.float32))
        _sound(first.shape == (rows, columns) and first.dtype == float, "a boosting's first guess")


def _check_hist_gradient_boosting(boosting: Any) -> None:  # noqa: ANN401
    width, columns = boosting.n_features_in_, _columns(boosting)
    _sound(getattr(boosting, "_preprocessor", None) is None, "a boosting's preprocessing")
    for trees in boosting._predictors:
        _sound(len(trees) == columns, "a boosting's trees")
        for tree in trees:
            _sound(type(tree).__name__ == "TreePredictor", "a boosting's trees")
            nodes = tree.nodes
            due = {"left", "right", "is_leaf", "feature_idx", "is_categorical"}
            _sound(nodes.ndim == 1 and due <= set(nodes.dtype.names or ()), "a tree's nodes")
            inner = nodes["is_leaf"] == 0
            _sound(len(nodes) > 0 and not nodes["is_categorical"].any(), "a tree's nodes")
            _check_children(nodes["left"][inner], nodes["right"][inner], inner)
            feature = nodes["feature_idx"][inner]
            _sound(((feature >= 0) & (feature < width)).all(), "a tree's features")
    categorical = boosting._bin_mapper.is_categorical_
    _sound(categorical.shape == (width,) and not categorical.any(), "a boosting's features")
    _sound(np.shape(boosting._baseline_prediction) in {(), (1, columns)}, "a boosting's baseline")


def _columns(boosting: Any) -> int:  # noqa: ANN401
    count = len(boosting.classes_)
    columns = 1 if count == 2 else count
    _sound(boosting.n_trees_per_iteration_ == columns, "a boosting's trees")
    return columns


def _check_support_vectors(machine: Any) -> None:  # noqa: ANN401
    count, pairs = len(machine.classes_), len(machine.classes_) * (len(machine.classes_) - 1) // 2
    vectors = machine.support_vectors_
    length = len(vectors)
    sizes = machine._n_support
    _sound(machine.kernel in {"linear", "poly", "rbf", "sigmoid"}, "a machine's kernel")
    _sound(machine._sparse is False and length > 0, "a machine's vectors")
    _sound(vectors.shape == (length, machine.n_features_in_), "a machine's vectors")
    _sound(machine.support_.shape == (length,), "a machine's vectors")
    _sound(sizes.shape == (count,) and (sizes >= 0).all(), "a machine's sizes")
    _sound(int(sizes.sum()) == length, "a machine's sizes")
    _sound(machine._dual_coef_.shape == (count - 1, length), "a machine's coefficients")
    _sound(machine._intercept_.shape == (pairs,), "a machine's intercepts")
    for scale in (machine._probA, machine._probB):
        _sound(scale.shape in {(0,), (pairs,)}, "a machine's probabilities")
    _sound(machine._probA.shape == machine._probB.shape, "a machine's probabilities")


def _check_neighbors(neighbors: Any) -> None:  # noqa: ANN401
    known, labels = neighbors._fit_X, neighbors._y
    _sound(neighbors._fit_method == "brute" and neighbors._tree is None, "neighbours by a tree")
    _sound(known.shape == (neighbors.n_samples_fit_, neighbors.n_features_in_), "its images")
    _sound(known.dtype.kind == "f" and labels.dtype.kind == "i", "its images")
    _sound(neighbors.outputs_2d_ is False and labels.shape == (len(known),), "its labels")
    count = len(neighbors.classes_)
    _sound(((labels >= 0) & (labels < count)).all(), "its labels")
    _sound(np.array_equal(neighbors.classes_, np.arange(count)), "its classes")
    _sound(type(neighbors.n_neighbors) is int, "its number of neighbours")
    _sound(0 < neighbors.n_neighbors <= len(known), "its number of neighbours")
    _sound(isinstance(neighbors.effective_metric_, str), "its metric")
    _sound(set(neighbors.effective_metric_params_) <= {"p"}, "its metric")


_CHECKS = {
    "DecisionTreeClassifier": _check_decision_tree,
    "DecisionTreeRegressor": _check_decision_tree,
    "ExtraTreeClassifier": _check_decision_tree,
    "ExtraTreeRegressor": _check_decision_tree,
    "ExtraTreesClassifier": _check_forest,
    "GradientBoostingClassifier": _check_gradient_boosting,
    "HistGradientBoostingClassifier": _check_hist_gradient_boosting,
    "KNeighborsClassifier": _check_neighbors,
    "NuSVC": _check_support_vectors,
    "RandomForestClassifier": _check_forest,
    "SVC": _check_support_vectors,
}


def _sound(condition: Any, what: str) -> None:  # noqa: ANN401 - also NumPy's booleans
    if not condition:
        raise ValueError(f"not to be trusted: {what} can't be so")
