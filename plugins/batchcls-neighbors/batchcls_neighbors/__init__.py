"""A plugin of batchcls: the classifier ``knn``, k nearest neighbours."""

from __future__ import annotations

from batchcls import hookimpl
from batchcls_neighbors.knn import NearestNeighbors


@hookimpl
def batchcls_classifiers() -> list[type[NearestNeighbors]]:
    """Register the classifier."""
    return [NearestNeighbors]
