"""``batchcls evaluate``: how good a model is on tagged images that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls import assembly, trainingassembly
from batchcls.commands.choose import chosen_model, model_name
from batchcls.commands.evaluationfiles import Evaluated, evaluation_files
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.corrections import told
from batchcls.evaluation import evaluate, unknown_classes
from batchcls.judging import Judge
from batchcls.selection import Selection
from batchcls.terminal import print_json
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_MATRIX_CLASSES = 12
_MISTAKES_SHOWN = 20


def evaluate_command(
    settings: Settings,
    model_option: str | None,
    sources: Sequence[str],
    images: str | None,
    top: int,
    terminal: Terminal,
    *,
    as_json: bool,
    html: str | None = None,
    plots: str | None = None,
    plots_format: str = "svg",
) -> None:
    """Classify tagged images and print what the model is worth, as tables or as JSON.

    Of several ``sources`` of tags the later one wins.
    And write it to the page ``html``, and as charts, ``svg`` or ``png``, into the folder ``plots``,
    where these are named.
    """
    started = datetime.now().astimezone()
    report = settings.report
    with evaluation_files(html, plots, plots_format) as files:
        model = chosen_model(settings, model_option, terminal)
        warn_of_plugins(terminal)
        merged = trainingassembly.merged_tags(
            settings, sources, images, lambda tagged: unknown_classes(tagged, model.classes)
        )
        for correction in merged.corrections:
            terminal.say("\n".join(told(correction)))
        tags = merged.tags
        selection = Selection(tags, report.thumbnails if html is not None else 0)
        work = model.chunk_classifier(
            settings.decode.max_pixels, picks=selection if html is not None else None
        )
        with terminal.progress("evaluating", total=len(tags)) as advance:
            evaluation = evaluate(
                tags,
                model.classes,
                work,
                assembly.engine(settings),
                top=top,
                on_progress=advance,
                selection=selection,
            )
        evaluated = Evaluated(
            model_name(settings, model_option),
            model.digest,
            tuple(sources),
            started,
            evaluation,
            evaluation.confidence(unknown=report.unknown),
        )
        try:
            files.write(evaluated, selection, Judge(report.review_below, report.unknown))
        finally:  # where a disk is full, that does not take the numbers away, too
            if as_json:
                _print_json(evaluated)
            else:
                _print(evaluated, terminal)
    for what, where in (("page", html), ("charts", plots)):
        if where is not None:
            terminal.result(f"{what}: {shown(where)}")


def _print_json(evaluated: Evaluated) -> None:
    evaluation = evaluated.evaluation
    print_json(
        {
            **evaluation.metrics.to_dict(),
            "unknown": evaluation.unknown,
            **evaluated.confidence.to_dict(),
        }
    )


def _print(evaluated: Evaluated, terminal: Terminal) -> None:
    evaluation, confidence = evaluated.evaluation, evaluated.confidence
    metrics = evaluation.metrics
    rows = []
    for one in confidence.classes:
        if one.support or len(metrics.classes) <= _MATRIX_CLASSES:
            shares = (one.precision, one.recall, one.f1, metrics.per_class_log_loss[one.name])
            rows.append(
                [shown(one.name), f"{one.support:,}", f"{one.right:,}", *map(_number, shares)]
            )
    terminal.table(
        ["class", "images", "right", "precision", "recall", "F1", "log-loss"],
        rows,
    )
    terminal.result("")
    unknown = evaluation.unknown
    terminal.table(
        ["metric", "value"],
        [
            ["log-loss", _number(metrics.log_loss)],
            ["log-loss reduction", _number(metrics.log_loss_reduction)],
            ["micro accuracy", _number(metrics.micro_accuracy)],
            ["macro accuracy", _number(metrics.macro_accuracy)],
            *(
                [f"top-{k} accuracy", _number(share)]
                for k, share in metrics.top_k_accuracy.items()
                if k > 1
            ),
            ["calibration error", _number(confidence.calibration_error)],
            *([["called unknown", f"{unknown:,}"]] if unknown is not None else []),
        ],
    )
    if len(metrics.classes) <= _MATRIX_CLASSES:
        terminal.result("\nConfusion matrix: a row for each true class, a column for each label")
        terminal.table(
            ["", *(shown(name) for name in metrics.classes)],
            [
                [shown(name), *(f"{count:,}" for count in row)]
                for name, row in zip(metrics.classes, metrics.confusion_matrix, strict=True)
            ],
        )
    mistakes = evaluation.mistakes
    if mistakes:
        terminal.result(f"\n{plural(len(mistakes), 'mistake')}")
        terminal.table(
            ["image", "tag", "label", "score"],
            [
                [
                    shown(tag.path),
                    shown(tag.label),
                    shown(prediction.label or ""),
                    _number(prediction.score),
                ]
                for tag, prediction in mistakes[:_MISTAKES_SHOWN]
            ],
            numbers_from=3,
        )
        if len(mistakes) > _MISTAKES_SHOWN:
            terminal.result(f"({len(mistakes) - _MISTAKES_SHOWN:,} more)")
        terminal.result(f"\n{confidence.advice}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
