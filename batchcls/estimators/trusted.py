"""The types of scikit-learn that a model file may hold; whatever is not here is refused.

What a file holds, a stranger may have written: an estimator of a trusted type with any content at
all. Two kinds are trusted: those whose ``predict_proba`` and ``transform`` are NumPy's work, which
checks its bounds (bad content then ends in an exception or in nonsense), and those that run through
compiled code that does not, but whose content ``estimatorchecks`` looks through: decision trees,
forests, both kinds of gradient boosting, support vector machines, and nearest neighbours by brute
force. So k-d trees, ball trees, sparse matrices, kernels of Gaussian processes, functions and
random generators are not among them.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection

_BY_MODULE = {
    "sklearn._loss.link": "IdentityLink Interval LogLink LogitLink MultinomialLogit",
    "sklearn._loss.loss": "ExponentialLoss HalfBinomialLoss HalfMultinomialLoss",
    "sklearn.calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration",
    "sklearn.decomposition": "IncrementalPCA PCA TruncatedSVD",
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier",
    "sklearn.ensemble": "AdaBoostClassifier BaggingClassifier ExtraTreesClassifier "
    "GradientBoostingClassifier HistGradientBoostingClassifier RandomForestClassifier "
    "StackingClassifier VotingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "sklearn.feature_selection": "SelectFromModel VarianceThreshold",
    "sklearn.impute": "SimpleImputer",
    "sklearn.isotonic": "IsotonicRegression",
    "sklearn.kernel_approximation": "Nystroem RBFSampler",
    "sklearn.linear_model": "LogisticRegression LogisticRegressionCV PassiveAggressiveClassifier "
    "Perceptron RidgeClassifier RidgeClassifierCV SGDClassifier",
    "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier",
    "sklearn.naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "sklearn.neighbors": "KNeighborsClassifier",
    "sklearn.neural_network": "MLPClassifier",
    "sklearn.neural_network._stochastic_optimizers": "AdamOptimizer SGDOptimizer",
    "sklearn.pipeline": "FeatureUnion Pipeline",
    "sklearn.preprocessing": "LabelBinarizer LabelEncoder MaxAbsScaler MinMaxScaler Normalizer "
    "PowerTransformer QuantileTransformer RobustScaler StandardScaler",
    "sklearn.random_projection": "GaussianRandomProjection",
    "sklearn.svm": "LinearSVC NuSVC SVC",
    "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier "
    "ExtraTreeRegressor",
}
_MODULE_OF = {name: module for module, names in _BY_MODULE.items() for name in names.split()}


def is_trusted(module: str, name: str, extra: Collection[str] = ()) -> bool:
    """Tell whether an object of the type ``module.name`` may be made.

    ``extra`` are full names that the author of a classifier vouches for. Imports nothing but
    modules that are named here: where scikit-learn defines a type differs between its versions.
    """
    if f"{module}.{name}" in extra:
        return True
    public = _MODULE_OF.get(name)
    if public is None:
        return False
    try:
        found = getattr(importlib.import_module(public), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module
