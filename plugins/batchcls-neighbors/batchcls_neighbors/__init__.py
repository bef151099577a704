"""A plugin of batchcls: the classifier ``knn``, k nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls import hookimpl

if TYPE_CHECKING:
    from batchcls.interfaces import Classifier


@hookimpl
def batchcls_classifiers() -> list[type[Classifier]]:
    """Register the classifier; NumPy is imported only when classifiers are looked for."""
    from batchcls_neighbors.knn import NearestNeighbors

    return [NearestNeighbors]
