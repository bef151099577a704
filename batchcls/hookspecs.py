"""The hooks of a plugin. Implement any of them in a module, and name it in an entry point.

::

    # pyproject.toml
    [project.entry-points.batchcls]
    mine = "my_package.plugin"

    # my_package/plugin.py
    from batchcls import hookimpl

    @hookimpl
    def batchcls_classifiers():
        return [MyClassifier]

A plugin may also be a single file that the configuration names: ``plugins = ["./my_plugin.py"]``.

``batchcls.interfaces`` says what a featurizer and a classifier are; ``docs/plugins.md`` goes
through the first ones step by step. What ships with batchcls is registered through these same
hooks, in ``batchcls.builtin``.

Keep the import of a plugin cheap: it is imported at every start. Import what is heavy in the
functions that use it. A plugin that can't be imported, a hook that raises, or a name that is taken,
is told as a warning, and whatever has no need of it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

from batchcls.interfaces import (
    Classifier,
    EngineProvider,
    FeaturizerProvider,
    ReadyModel,
    ReportFormat,
)
from batchcls.records import Prediction, RunInfo, RunSummary

PROJECT = "batchcls"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def batchcls_featurizers() -> Sequence[FeaturizerProvider]:  # type: ignore[empty-body]
    """Give featurizers. Make nothing heavy yet: ``create`` is called when one is chosen."""


@hookspec
def batchcls_classifiers() -> Sequence[type[Classifier]]:  # type: ignore[empty-body]
    """Give classifier classes. ``batchcls.estimators`` makes one of any scikit-learn estimator."""


@hookspec
def batchcls_report_formats() -> Sequence[ReportFormat]:  # type: ignore[empty-body]
    """Give report formats; the ending of ``--output`` chooses among them."""


@hookspec
def batchcls_ready_models() -> Sequence[ReadyModel]:  # type: ignore[empty-body]
    """Give models that need no training. Load nothing yet: ``load`` is called when one is."""


@hookspec
def batchcls_engines() -> Sequence[EngineProvider]:  # type: ignore[empty-body]
    """Give engines, which say where images are worked on; ``--engine`` chooses among them."""


@hookspec
def batchcls_commands() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Give commands by name: functions whose parameters typer turns into arguments and options.

    Raise ``batchcls.BatchclsError`` for what a user can do something about.
    """


@hookspec
def batchcls_run_started(run: RunInfo) -> None:
    """Be told that a run begins, before its first image.

    This hook and the next two may leave parameters out that they have no use for. Raise
    ``batchcls.StopRun("why")`` in this one or the next to stop the run: it ends with status 1 and
    no report, and the former report stays. Anything else that is raised is told as a warning with
    the name of the plugin, which is then not called again in this run; the run goes on.
    """


@hookspec
def batchcls_run_batch(run: RunInfo, predictions: Sequence[Prediction]) -> None:
    """Be told of some more predictions, in the order of the report, always on the same thread.

    The run waits for it: be quick.
    """


@hookspec
def batchcls_run_finished(run: RunInfo, summary: RunSummary) -> None:
    """Be told of the end, good or bad, after the report is in its place.

    ``summary.error`` is None, or says why the run ended early; then there is no new report.
    """
