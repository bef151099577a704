"""Compiled code on one thread."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

_VARIABLE = "OPENBLAS_NUM_THREADS"
_added: set[str] = set()


def one_from_the_start() -> None:
    """Have OpenBLAS start no threads in this process, if it is called before NumPy is imported.

    That takes a third of the time of the import (measured: 0.04 s), and nothing here is faster with
    them. What the variable says already is left alone.
    """
    if _VARIABLE not in os.environ:
        os.environ[_VARIABLE] = "1"
        _added.add(_VARIABLE)


def held_from_the_start() -> bool:
    """Tell whether OpenBLAS has had but one thread since it was loaded."""
    return _VARIABLE in _added


def one_blas_thread() -> AbstractContextManager[Any]:
    """Hold BLAS to one thread: the chunks keep the cores busy, which more would only fight.

    (Measured: a third of the speed with 1,000 classes.) Importing what does it takes 4 ms.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def environment_as_given() -> dict[str, str]:
    """Give the environment for somebody else's program: as this process got it."""
    return {name: value for name, value in os.environ.items() if name not in _added}


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
