"""Teach a classifier with a few labelled images, then classify whole folders.

``from batchcls import Model`` is the Python face; the command is ``batchcls``.
Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["BatchclsError", "Model", "Prediction", "StopRun", "__version__", "hookimpl"]

if TYPE_CHECKING:
    from batchcls.errors import BatchclsError, StopRun
    from batchcls.hookspecs import hookimpl
    from batchcls.model import Model
    from batchcls.records import Prediction

_HOME = {
    "BatchclsError": "batchcls.errors",
    "Model": "batchcls.model",
    "Prediction": "batchcls.records",
    "StopRun": "batchcls.errors",
    "hookimpl": "batchcls.hookspecs",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - what a module attribute may be
    """Import the public names when they are first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
