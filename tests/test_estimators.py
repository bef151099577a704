"""Classifiers of scikit-learn: options, models, and what a stranger could put into a model."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import data, integers, sampled_from

from batchcls.builtin.forest import RandomForest
from batchcls.crossvalidation import cross_validate
from batchcls.errors import PluginError, UsageError
from batchcls.estimators import estimator_classifier, skopsfile
from batchcls.estimators.checks import check_estimator
from batchcls.model import made_classifier
from batchcls.options import options_of

from .conftest import fuzzed, make_classes

DIMENSION, CLASSES = 24, 3


def scaled(C: float = 1.0, whiten: bool = False):  # noqa: N803
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), PCA(5, whiten=whiten), LogisticRegression(C=C))


def calibrated():
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import LinearSVC

    return CalibratedClassifierCV(LinearSVC(), cv=2)


def stacked():
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.naive_bayes import GaussianNB

    return StackingClassifier([("a", GaussianNB()), ("b", RandomForestClassifier(3))], cv=2)


def of(path, **defaults):
    return estimator_classifier("it", f"sklearn.{path}", **defaults)


CLASSIFIERS = {
    "forest": of("ensemble.RandomForestClassifier", n_estimators=10, floor=1e-3),
    "extra-trees": of("ensemble.ExtraTreesClassifier", n_estimators=3),
    "tree": of("tree.DecisionTreeClassifier"),
    "boosting": of("ensemble.GradientBoostingClassifier", n_estimators=3),
    "hist-boosting": of("ensemble.HistGradientBoostingClassifier", max_iter=3, min_samples_leaf=2),
    "ada": of("ensemble.AdaBoostClassifier", n_estimators=3),
    "bagging": of("ensemble.BaggingClassifier", n_estimators=3),
    "svc": of("svm.SVC", probability=True),
    "neighbors": of("neighbors.KNeighborsClassifier", weights="distance"),
    "naive": of("naive_bayes.GaussianNB"),
    "lda": of("discriminant_analysis:LinearDiscriminantAnalysis"),
    "mlp": of("neural_network.MLPClassifier", max_iter=5, hidden_layer_sizes=(8,)),
    "pipeline": estimator_classifier("it", scaled),
    "calibrated": estimator_classifier("it", calibrated),
    "stacked": estimator_classifier("it", stacked),
}


def images(classes=CLASSES, count=36):
    random = np.random.default_rng(classes)
    targets = np.arange(count) % classes
    features = random.normal(targets[:, np.newaxis], 2.0, (count, DIMENSION))
    return features.astype(np.float32), targets.astype(np.intp)


def fitted(kind, classes=CLASSES):
    classifier = CLASSIFIERS[kind]() if isinstance(kind, str) else kind()
    classifier.fit(*images(classes), classes)
    return classifier


# Round trips


def test_a_new_process_says_the_same_to_the_bit(tmp_path):
    features, _ = images()
    due = {}
    for kind in CLASSIFIERS:
        for classes in (2, 3):
            classifier = fitted(kind, classes)
            state = classifier.to_state()
            name = f"{kind}-{classes}"
            due[name] = classifier.predict_proba(features[:8])
            (tmp_path / f"{name}.skops").write_bytes(state["estimator.skops"])
            np.savez(tmp_path / f"{name}.npz", probe=state["probe"], said=state["said"])
    code = f"""
        import sys
        import numpy as np
        from tests.test_estimators import CLASSIFIERS, DIMENSION, images
        assert "sklearn" not in sys.modules
        for name in {list(due)!r}:
            kind, _, classes = name.rpartition("-")
            state = dict(np.load(f"{{name}}.npz"))
            state["estimator.skops"] = open(f"{{name}}.skops", "rb").read()
            classifier = CLASSIFIERS[kind]()
            classifier.restore(state, DIMENSION, int(classes))
            np.save(f"{{name}}.npy", classifier.predict_proba(images()[0][:8]))
    """
    root = os.path.dirname(os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, probabilities in due.items():
        assert np.array_equal(np.load(tmp_path / f"{name}.npy"), probabilities), name


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_probabilities_depend_on_nothing_else_in_the_batch(kind):
    features, _ = images()
    classifier = fitted(kind)
    together = classifier.predict_proba(features)
    assert together.dtype == np.float64
    assert np.allclose(together.sum(axis=1), 1)
    for rows in ([3], [5, 3], [*range(7, 14), 3]):
        assert np.array_equal(classifier.predict_proba(features[rows])[-1], together[3])


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_same_training_gives_the_same_bytes(kind):
    one, other = fitted(kind).to_state(), fitted(kind).to_state()
    assert one["estimator.skops"] == other["estimator.skops"]


def test_threads_may_predict_at_once():
    from concurrent.futures import ThreadPoolExecutor

    features, _ = images()
    for kind in ("forest", "hist-boosting", "neighbors", "svc"):
        classifier = fitted(kind)
        due = classifier.predict_proba(features[:12])
        with ThreadPoolExecutor(4) as threads:
            for given in threads.map(classifier.predict_proba, [features[:12]] * 4):
                assert np.array_equal(given, due)


# Options


def test_options_are_those_of_the_estimator():
    options = options_of(RandomForest)
    assert str(options["n_estimators"]) == "n_estimators=200"
    assert str(options["bootstrap"]) == "bootstrap=false"
    assert options["bootstrap"].type is bool
    assert str(options["max_features"]) == "max_features=sqrt"
    assert not {"n_jobs", "verbose", "warm_start", "self"} & set(options)
    assert [str(option) for option in options_of(CLASSIFIERS["pipeline"]).values()] == [
        "C=1.0",
        "whiten=false",
    ]


def test_an_unknown_option_lists_those_that_exist():
    with pytest.raises(UsageError, match="has no option 'n_tree'") as caught:
        made_classifier(RandomForest, {"n_tree": 3})
    assert "n_estimators=200" in caught.value.hint
    with pytest.raises(UsageError, match="has no option 'n_jobs'"):
        made_classifier(RandomForest, {"n_jobs": 3})


def test_a_wrong_value_is_told_when_it_is_constructed():
    with pytest.raises(UsageError, match=r"The 'n_estimators' parameter .* must be an int in"):
        made_classifier(RandomForest, {"n_estimators": 0})
    with pytest.raises(UsageError, match=r"The 'criterion' parameter .*Got 'best' instead"):
        made_classifier(RandomForest, {"criterion": "best"})
    with pytest.raises(UsageError, match="bootstrap: expected true or false"):
        made_classifier(RandomForest, {"bootstrap": 3})
    with pytest.raises(UsageError, match="C: expected a number"):
        made_classifier(CLASSIFIERS["pipeline"], {"C": "much"})


def test_seed_and_threads_are_fixed():
    assert RandomForest()._estimator.random_state == 0
    assert RandomForest()._estimator.n_jobs == 1
    assert RandomForest(random_state=7)._estimator.random_state == 7
    assert CLASSIFIERS["pipeline"]()._estimator.named_steps["pca"].random_state == 0


@pytest.mark.parametrize("path", ["svm.LinearSVC", "linear_model.RidgeClassifier", "svm.SVC"])
def test_an_estimator_without_probabilities_says_what_to_do(path):
    with pytest.raises(PluginError, match="gives no probabilities") as caught:
        of(path)()
    assert "CalibratedClassifierCV" in caught.value.hint


@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        (estimator_classifier("it", "no_such_package.Forest"), "needs no_such_package.Forest"),
        (of("ensemble.NoSuchForest"), "which can't be had"),
        (estimator_classifier("it", "nothing"), "which can't be had"),
        (of("naive_bayes.GaussianNB", trees=3), "there is no option trees"),
        (estimator_classifier("it", dict), "neither a class nor a function of Python"),
        (estimator_classifier("it", io.BytesIO), "BytesIO is no estimator"),
        (of("gaussian_process.GaussianProcessClassifier"), "can't be kept in a model"),
    ],
)
def test_a_classifier_that_can_not_be_is_told(classifier, said):
    with pytest.raises(PluginError, match=re.escape(said)):
        classifier()


def test_too_few_images_are_told():
    features, targets = images(count=3)
    with pytest.raises(UsageError, match="can't learn from these images: "):
        CLASSIFIERS["neighbors"]().fit(features, targets, CLASSES)


def test_nearest_neighbors_by_a_tree_are_not_kept():
    classifier = of("neighbors.KNeighborsClassifier", algorithm="kd_tree")()
    classifier.fit(*images(), CLASSES)
    with pytest.raises(PluginError, match=r"can't be kept in a model: .*KDTree"):
        classifier.to_state()


def test_a_wrong_label_does_not_ruin_the_log_loss_of_the_forest():
    features, targets = images(count=60)
    targets[0] = 1
    found = cross_validate(RandomForest, features * 3, targets, CLASSES)
    assert found.log_loss < 1
    assert found.probabilities.min() >= 0.001 / CLASSES


def test_candidates_are_given_to_cross_validation():
    given = [{"n_estimators": 2}, {"n_estimators": 4}]
    classifier = of("ensemble.RandomForestClassifier", candidates=given)
    assert list(classifier.candidates()) == given
    assert cross_validate(classifier, *images(), CLASSES).options in given


class Vouched:
    """A classifier of somebody else, in Python."""

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def get_params(self, deep=True):
        return {"sharpness": self.sharpness}

    def set_params(self, **parameters):
        vars(self).update(parameters)
        return self

    def fit(self, features, targets):
        self.classes_ = np.unique(targets)
        self.means_ = np.stack([features[targets == c].mean(axis=0) for c in self.classes_])
        return self

    def predict_proba(self, features):
        distances = ((features[:, np.newaxis] - self.means_) ** 2).mean(axis=2)
        weights = np.exp(-self.sharpness * distances)
        return weights / weights.sum(axis=1, keepdims=True)


def test_types_of_others_are_taken_where_the_author_vouches_for_them():
    with pytest.raises(PluginError, match="can't be kept in a model") as caught:
        estimator_classifier("it", Vouched)()
    full = f"{Vouched.__module__}.Vouched"
    assert full in caught.value.hint
    trusting = estimator_classifier("it", Vouched, trusted=(full,))
    assert options_of(trusting)["sharpness"].type is float
    classifier = fitted(trusting)
    restored = trusting()
    restored.restore(classifier.to_state(), DIMENSION, CLASSES)
    features, _ = images()
    assert np.array_equal(restored.predict_proba(features), classifier.predict_proba(features))


# What a stranger could put into a model


def edited(kind, edit, *, compress=zipfile.ZIP_STORED):
    """The state of a fitted classifier, its schema and members changed by ``edit``."""
    state = dict(fitted(kind).to_state())
    with zipfile.ZipFile(io.BytesIO(state["estimator.skops"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    edit(schema, members)
    members["schema.json"] = json.dumps(schema).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    state["estimator.skops"] = out.getvalue()
    return state


def refused(kind, state, said, dimension=DIMENSION, classes=CLASSES):
    with pytest.raises(ValueError, match=said):
        CLASSIFIERS[kind]().restore(state, dimension, classes)


def node(loader, full, **more):
    module, _, name = full.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, **more}


def text(value):
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


EMPTY = node("TupleNode", "builtins.tuple", content=[])
COMMAND = node("TupleNode", "builtins.tuple", content=[text("touch executed")])
HOSTILE = {
    "function": node("FunctionNode", "os.system"),
    "eval": node("TypeNode", "builtins.eval"),
    "constructor": node("ConstructorFromReduceNode", "os.system", content=COMMAND),
    "object": node("ObjectNode", "subprocess.Popen"),
    "method": node(
        "MethodNode",
        "sklearn.naive_bayes.GaussianNB",
        content={"func": "fit", "obj": node("ObjectNode", "sklearn.naive_bayes.GaussianNB")},
    ),
    "methodcaller": node("OperatorFuncNode", "operator.methodcaller", attrs=COMMAND),
    "partial": node(
        "PartialNode",
        "functools.partial",
        content={
            "func": node("FunctionNode", "os.system"),
            "args": COMMAND,
            "kwds": EMPTY,
            "namespace": EMPTY,
        },
    ),
    "ufunc": node("FunctionNode", "numpy.add"),
    "list-of-calls": node("ListNode", "os.system", content=[]),
    "dict-of-calls": node("DictNode", "subprocess.Popen", key_types=EMPTY, content={}),
    "tuple-of-calls": node("TupleNode", "os.system", content=[]),
    "scalar": node("NdArrayNode", "os.system", type="json", content=[], shape=EMPTY),
    "loss": node("LossNode", "os.system", __reduce__={"args": COMMAND}),
    "dataset": node("ObjectNode", "sklearn.datasets.fetch_openml"),
    "estimator": node(
        "ObjectNode", "sklearn.preprocessing._function_transformer.FunctionTransformer"
    ),
    "test-module": node("ObjectNode", "sklearn.tests.test_base.GaussianNB"),
    "trusted-name": node("ObjectNode", "evil.GaussianNB"),
    "random": node("RandomStateNode", "numpy.random.mtrand.RandomState", content=EMPTY),
    "sparse": node("SparseMatrixNode", "scipy.sparse._csr.csr_matrix", type="scipy", file="x"),
    "no-kind": {"__loader__": "NoNode", "__module__": "a", "__class__": "b"},
    "cached": node("CachedNode", "builtins.str"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_could_run_something_is_refused(tmp_path, kind):
    def edit(schema, members):
        schema["content"]["content"]["epsilon_"] = HOSTILE[kind]

    refused("naive", edited("naive", edit), "it holds .* which is not trusted")
    assert not (tmp_path / "executed").exists()


def test_a_pickle_is_no_array():
    def edit(schema, members):
        out = io.BytesIO()
        np.save(out, np.array([{}], dtype=object), allow_pickle=True)
        members["0.npy"] = out.getvalue()

    refused("naive", edited("naive", edit), "an array of something else than numbers")
    with pytest.raises(ValueError, match="broken: "):
        skopsfile.loads(b"\x80\x04K\x01.")


def test_the_wrong_class_is_refused():
    refused("lda", fitted("naive").to_state(), "it is a GaussianNB, not a LinearDiscriminant")


def test_another_dimension_or_number_of_classes_is_refused():
    state = dict(fitted("naive").to_state())
    refused("naive", state, "probe is float32", dimension=DIMENSION + 1)
    refused("naive", state, "said is float64", classes=2)
    state["probe"] = np.zeros((len(state["probe"]), DIMENSION + 1), np.float32)
    refused("naive", state, "it is for 24 features, not 25", dimension=DIMENSION + 1)


def test_other_options_than_the_models_are_refused():
    with pytest.raises(ValueError, match="other options than the model says"):
        CLASSIFIERS["forest"](n_estimators=3).restore(
            fitted("forest").to_state(), DIMENSION, CLASSES
        )


def test_a_part_that_is_missing_or_too_many_is_refused():
    state = dict(fitted("naive").to_state())
    refused("naive", {**state, "more": b""}, "expected the arrays")
    del state["estimator.skops"]
    refused("naive", state, "it has no estimator.skops")


def test_other_words_than_it_had_are_refused():
    state = dict(fitted("naive").to_state())
    state["said"] = state["said"][:, ::-1]
    refused("naive", state, "it says otherwise than when it was trained$")


@pytest.mark.parametrize("length", [0, 1, 30, 500, -100, -1])
def test_a_truncated_file_is_refused(length):
    state = dict(fitted("naive").to_state())
    state["estimator.skops"] = state["estimator.skops"][:length]
    refused("naive", state, "broken: ")


def test_nothing_is_unpacked_to_more_than_the_file_holds():
    def bomb(schema, members):
        members["bomb"] = bytes(2**20)

    refused("naive", edited("naive", bomb, compress=zipfile.ZIP_DEFLATED), "is compressed")

    def claim(schema, members):
        out = io.BytesIO()
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
        np.lib.format.write_array_header_1_0(out, header)
        members["0.npy"] = out.getvalue()

    refused("naive", edited("naive", claim), "size is not what it claims")

    def twice(schema, members):
        parts = schema["content"]["content"]
        parts["theta_"]["file"] = parts["var_"]["file"]

    refused("naive", edited("naive", twice), "broken: ")


def test_no_part_may_refer_to_another_or_be_nested_without_end():
    def refer(schema, members):
        schema["content"]["content"]["theta_"] = {"__id__": 1}

    refused("naive", edited("naive", refer), "refers to another")
    for depth in (100, 100_000):
        deep = '{"__loader__":"ListNode","__module__":"builtins","__class__":"list","content":['
        schema = deep * depth + "]}" * depth
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("schema.json", schema)
        with pytest.raises(ValueError, match="nested too deeply"):
            skopsfile.loads(out.getvalue())


def found(schema, loader):
    """Yield the nodes of one kind."""
    if isinstance(schema, dict):
        if schema.get("__loader__") == loader:
            yield schema
        for part in schema.values():
            yield from found(part, loader)
    elif isinstance(schema, list):
        for part in schema:
            yield from found(part, loader)


def changed_array(members, name, change):
    array = np.load(io.BytesIO(members[name]))
    array = change(array)
    out = io.BytesIO()
    np.save(out, array)
    members[name] = out.getvalue()


def put(field, value):
    def change(array):
        array[field][0] = value
        return array

    return change


TREES = {
    "child-outside": ("nodes", put("left_child", 10**6)),
    "right-outside": ("nodes", put("right_child", 10**6)),
    "child-before": ("nodes", put("right_child", -2)),
    "endless": ("nodes", put("left_child", 0)),
    "feature-outside": ("nodes", put("feature", DIMENSION)),
    "feature-before": ("nodes", put("feature", -3)),
    "too-few-values": ("values", lambda values: values[:-1]),
    "no-nodes": ("nodes", lambda nodes: nodes[:0]),
    "other-nodes": ("nodes", lambda nodes: np.zeros(len(nodes))),
    "text-for-values": ("values", lambda values: values.astype("U1")),
}


@pytest.mark.parametrize("kind", ["tree", "forest", "extra-trees", "boosting", "ada", "stacked"])
@pytest.mark.parametrize("case", TREES)
def test_trees_that_lead_astray_are_refused(kind, case):
    field, change = TREES[case]

    def edit(schema, members):
        tree = list(found(schema, "TreeNode"))[-1]["content"]["content"]
        changed_array(members, tree[field]["file"], change)

    refused(kind, edited(kind, edit), "not to be trusted: a tree")


def test_a_tree_that_lies_about_its_size_is_refused():
    def count(schema, members):
        tree = next(found(schema, "TreeNode"))["content"]["content"]
        tree["node_count"] = text(10**6)

    refused("tree", edited("tree", count), "of another size than it claims")

    def features(schema, members):
        for tree in found(schema, "TreeNode"):
            tree["__reduce__"]["args"]["content"][0] = text(10**6)

    refused("tree", edited("tree", features), "a tree's features")
    refused("boosting", edited("boosting", features), "a tree's features")

    def outputs(schema, members):
        next(found(schema, "TreeNode"))["__reduce__"]["args"]["content"][2] = text(10**6)

    refused("tree", edited("tree", outputs), "not to be trusted: a tree")


def hist_nodes(field, value):
    def change(estimator):
        estimator._predictors[0][0].nodes[field][0] = value

    return change


def setting(**values):
    return lambda estimator: vars(estimator).update(values)


def of_part(part, **values):
    return lambda estimator: vars(getattr(estimator, part)).update(values)


UNSOUND = {
    "hist-left": ("hist-boosting", hist_nodes("left", 10**6)),
    "hist-endless": ("hist-boosting", hist_nodes("right", 0)),
    "hist-feature": ("hist-boosting", hist_nodes("feature_idx", DIMENSION)),
    "hist-categorical": ("hist-boosting", hist_nodes("is_categorical", 1)),
    "hist-classes": ("hist-boosting", setting(n_trees_per_iteration_=1)),
    "boosting-features": ("boosting", setting(n_features_in_=3)),
    "boosting-classes": ("boosting", setting(classes_=np.arange(2))),
    "boosting-guess": ("boosting", of_part("init_", class_prior_=np.ones(1), n_classes_=1)),
    "boosting-first": ("boosting", setting(init_="zero")),
    "forest-features": ("forest", setting(n_features_in_=3)),
    "forest-trees": ("forest", setting(estimators_=[None])),
    "svc-coefficients": ("svc", setting(_dual_coef_=np.zeros((1, 1)))),
    "svc-intercepts": ("svc", setting(_intercept_=np.zeros(0))),
    "svc-sizes": ("svc", setting(_n_support=np.array([2**30, -(2**30), 36], np.int32))),
    "svc-vectors": ("svc", setting(support_vectors_=np.zeros((36, 3)))),
    "svc-kernel": ("svc", setting(kernel="precomputed")),
    "svc-missing": ("svc", lambda estimator: delattr(estimator, "_probA")),
    "neighbors-labels": ("neighbors", setting(_y=np.full(36, 10**6))),
    "neighbors-few": ("neighbors", setting(_y=np.zeros(3, int))),
    "neighbors-many": ("neighbors", setting(n_neighbors=10**6)),
    "neighbors-images": ("neighbors", setting(_fit_X=np.zeros((36, 3)))),
    "neighbors-metric": ("neighbors", setting(effective_metric_params_={"V": np.zeros(1)})),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_what_compiled_code_would_believe_is_checked(case):
    kind, change = UNSOUND[case]
    estimator = fitted(kind)._estimator
    check_estimator(estimator)
    change(estimator)
    with pytest.raises(ValueError, match=r"not to be trusted|not whole|it says|shape"):
        check_estimator(skopsfile.loads(skopsfile.dumps(estimator))[0])


@fuzzed(150)
@given(data())
def test_whatever_a_file_holds_it_is_refused_or_does_no_harm(draw):
    kinds = ["boosting", "forest", "hist-boosting", "mlp", "neighbors", "stacked", "svc"]
    kind = draw.draw(sampled_from(kinds))
    state = dict(_states(kind))
    with zipfile.ZipFile(io.BytesIO(state["estimator.skops"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw.draw(sampled_from(["schema.json", *members]))
    content = bytearray(members[name])
    for _ in range(draw.draw(integers(1, 3))):
        content[draw.draw(integers(0, len(content) - 1))] = draw.draw(integers(32, 126))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for other, what in members.items():
            archive.writestr(other, bytes(content) if other == name else what)
    classifier = CLASSIFIERS[kind]()
    try:
        classifier.restore({**state, "estimator.skops": out.getvalue()}, DIMENSION, CLASSES)
    except ValueError:
        return
    assert classifier.predict_proba(images()[0][:4]).shape == (4, CLASSES)


@functools.cache
def _states(kind):
    return fitted(kind).to_state()


def test_threads_in_a_file_are_not_started():
    estimator = fitted("stacked")._estimator
    estimator.estimators_[1].n_jobs = 10**6
    check_estimator(estimator)
    assert estimator.estimators_[1].n_jobs == 1


# Another scikit-learn


def aged(kind, more=lambda schema, members: None):
    def edit(schema, members):
        for part in found(schema, "DictNode"):
            if "_sklearn_version" in part["content"]:
                part["content"]["_sklearn_version"] = text("1.2.3")
        more(schema, members)

    return edited(kind, edit)


@pytest.mark.parametrize("kind", ["forest", "pipeline", "hist-boosting"])
def test_of_another_version_is_read_if_it_says_the_same(kind):
    classifier = CLASSIFIERS[kind]()
    classifier.restore(aged(kind), DIMENSION, CLASSES)  # a warning would be an error here
    features, _ = images()
    assert np.array_equal(classifier.predict_proba(features), fitted(kind).predict_proba(features))


def test_of_another_version_is_refused_if_it_says_otherwise_or_has_another_form():
    def other(schema, members):
        name = schema["content"]["content"]["theta_"]["file"]
        changed_array(members, name, lambda means: means[::-1])

    told = r"trained with scikit-learn 1\.2\.3, here is .*: train it anew"
    refused("naive", aged("naive", other), "it says otherwise .*" + told)

    def renamed(schema, members):
        schema["__module__"] = "sklearn.naive_bayes_"

    refused("naive", aged("naive", renamed), "not trusted.*" + told)

    def missing(schema, members):
        del schema["content"]["content"]["var_"]

    refused("naive", aged("naive", missing), "it can't be used: AttributeError: .*" + told)


# The command


PLUGIN = """
    from batchcls import hookimpl
    from batchcls.estimators import estimator_classifier

    @hookimpl
    def batchcls_classifiers():
        return [estimator_classifier("nb", "sklearn.naive_bayes.GaussianNB", var_smoothing=1e-3)]
"""


def test_the_command_trains_a_forest_and_a_plugin_of_one_line(tmp_path, batchcls, monkeypatch):
    monkeypatch.setenv("BATCHCLS_CONFIG", "config.toml")
    make_classes(tmp_path / "tagged", count=3, size=(48, 40))
    (tmp_path / "mine.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "config.toml").write_text('plugins = ["./mine.py"]\n[train]\nframing = "square"\n')
    for name, option, shown in (
        ("forest", "n_estimators=7", "forest n_estimators=7"),
        ("nb", "var_smoothing=0.01", "nb var_smoothing=0.01"),
    ):
        trained = batchcls(
            *("train", "tagged/tags.tsv", "-c", name, "-C", option, "-o", "m.batchcls")
        )
        assert trained.status == 0, trained.err
        assert f"classifier  {shown}" in trained.out
        result = batchcls("run", "tagged", "-m", "m.batchcls", "-o", "-", "-q")
        assert result.status == 0, result.err
        rows = [line.split(",")[:2] for line in result.out.splitlines()[1:]]
        assert len(rows) == 6
        assert all(path.startswith(label) for path, label in rows)
    wrong = batchcls("train", "tagged/tags.tsv", "-c", "forest", "-C", "trees=7")
    assert wrong.status == 2
    assert "has no option 'trees'" in wrong.err
    assert "n_estimators=200" in wrong.err


def test_finding_classifiers_imports_no_scikit_learn():
    code = (
        "import sys; from batchcls.plugins import registry;"
        "assert registry().classifiers['forest'];"
        "assert not {'sklearn', 'skops', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
