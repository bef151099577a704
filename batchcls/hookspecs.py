"""The hooks of a plugin. Implement any of them in a module and name it in an entry point.

::

    # pyproject.toml
    [project.entry-points.batchcls]
    mine = "my_package.plugin"

    # my_package/plugin.py
    from batchcls import hookimpl

    @hookimpl
    def batchcls_classifiers():
        return [MyClassifier]

``batchcls.interfaces`` says what a featurizer and a classifier are. What ships with batchcls is
registered through these same hooks, in ``batchcls.builtin``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from batchcls.interfaces import Classifier, FeaturizerProvider, ReadyModel, ReportFormat

PROJECT = "batchcls"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def batchcls_featurizers() -> Sequence[FeaturizerProvider]:  # type: ignore[empty-body]
    """Give featurizers. Make nothing heavy yet: ``create`` is called when one is chosen."""


@hookspec
def batchcls_classifiers() -> Sequence[type[Classifier]]:  # type: ignore[empty-body]
    """Give classifier classes."""


@hookspec
def batchcls_report_formats() -> Sequence[ReportFormat]:  # type: ignore[empty-body]
    """Give report formats; the ending of ``--output`` chooses among them."""


@hookspec
def batchcls_ready_models() -> Sequence[ReadyModel]:  # type: ignore[empty-body]
    """Give models that need no training. Load nothing yet: ``load`` is called when one is."""
