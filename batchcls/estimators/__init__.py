"""Any scikit-learn classifier as a classifier of batchcls, in one line.

::

    # my_plugin.py, which the configuration names: plugins = ["./my_plugin.py"]
    from batchcls import hookimpl
    from batchcls.estimators import estimator_classifier

    @hookimpl
    def batchcls_classifiers():
        return [
            estimator_classifier("boosting", "sklearn.ensemble.HistGradientBoostingClassifier"),
            estimator_classifier("svm", "sklearn.svm.SVC", C=10, probability=True),
        ]

Its options are the parameters of the estimator, less ``n_jobs``, ``verbose`` and ``warm_start``
(threads are the pipeline's, and so is the screen). scikit-learn is imported when it is used.
"""

from __future__ import annotations

from batchcls.estimators.classifier import estimator_classifier

__all__ = ["estimator_classifier"]
