"""Compiled code on one thread."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Hold every BLAS, and OpenMP on this thread, to one thread. It imports scikit-learn.

    For fitting. More threads were slower at every size (three times with 10,000 images), and a
    hundred times where another process wanted the same cores.
    """
    limit: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limit


def one_openmp_thread() -> AbstractContextManager[Any]:
    """Hold OpenMP to one thread, for what this thread does: others are not affected."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="openmp")
    return limit


@cache
def _controller() -> Any:  # noqa: ANN401 - threadpoolctl is untyped
    # It knows the libraries that are loaded when it is made; SciPy brings a BLAS of its own.
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
