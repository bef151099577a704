"""What ships with batchcls, registered like any plugin."""

from __future__ import annotations

from collections.abc import Sequence

from batchcls.hookspecs import hookimpl
from batchcls.interfaces import Classifier, FeaturizerProvider, ReadyModel, ReportFormat


@hookimpl
def batchcls_featurizers() -> Sequence[FeaturizerProvider]:
    """Register the embedded network."""
    from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0

    return [EfficientNetLite0()]


@hookimpl
def batchcls_classifiers() -> Sequence[type[Classifier]]:
    """Register logistic regression."""
    from batchcls.builtin.logistic import LogisticRegression

    return [LogisticRegression]


@hookimpl
def batchcls_report_formats() -> Sequence[ReportFormat]:
    """Register CSV."""
    from batchcls.reports.csv import CsvFormat

    return [CsvFormat()]


@hookimpl
def batchcls_ready_models() -> Sequence[ReadyModel]:
    """Register the 1,000 classes of ImageNet."""
    from batchcls.builtin.imagenet import ImageNet

    return [ImageNet()]
