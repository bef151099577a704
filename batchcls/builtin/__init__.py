"""What ships with batchcls, registered like any plugin."""

from __future__ import annotations

from collections.abc import Sequence

from batchcls.hookspecs import hookimpl
from batchcls.interfaces import (
    Classifier,
    EngineProvider,
    FeaturizerProvider,
    ReadyModel,
    ReportFormat,
)


@hookimpl
def batchcls_featurizers() -> Sequence[FeaturizerProvider]:
    """Register the embedded network, Inception, and any network by path."""
    from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0
    from batchcls.builtin.inception import Inception
    from batchcls.builtin.tensorflow_network import TensorFlowNetwork

    return [EfficientNetLite0(), Inception(), TensorFlowNetwork()]


@hookimpl
def batchcls_classifiers() -> Sequence[type[Classifier]]:
    """Register logistic regression and a random forest."""
    from batchcls.builtin.forest import RandomForest
    from batchcls.builtin.logistic import LogisticRegression

    return [LogisticRegression, RandomForest]


@hookimpl
def batchcls_report_formats() -> Sequence[ReportFormat]:
    """Register CSV, JSON Lines and Parquet."""
    from batchcls.reports.csv import CsvFormat
    from batchcls.reports.jsonl import JsonLinesFormat
    from batchcls.reports.parquet import ParquetFormat

    return [CsvFormat(), JsonLinesFormat(), ParquetFormat()]


@hookimpl
def batchcls_ready_models() -> Sequence[ReadyModel]:
    """Register the 1,000 classes of ImageNet, by either network."""
    from batchcls.builtin.imagenet import ImageNet
    from batchcls.builtin.inception_imagenet import InceptionImageNet

    return [ImageNet(), InceptionImageNet()]


@hookimpl
def batchcls_engines() -> Sequence[EngineProvider]:
    """Register this machine and a Dask cluster."""
    from batchcls.builtin.engines import Dask, Local

    return [Local(), Dask()]
