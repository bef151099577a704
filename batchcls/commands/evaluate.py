"""``batchcls evaluate``: how good a model is on tagged images that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls import assembly, trainingassembly
from batchcls.commands.choose import chosen_model
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.evaluation import Evaluation, evaluate, unknown_classes
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
    tags_source: str,
    images: str | None,
    top: int,
    terminal: Terminal,
    *,
    as_json: bool,
) -> None:
    """Classify tagged images and print what the model is worth, as tables or as JSON."""
    model = chosen_model(settings, model_option, terminal)
    warn_of_plugins(terminal)
    tags = trainingassembly.tags(
        settings, tags_source, images, lambda tagged: unknown_classes(tagged, model.classes)
    )
    work = model.chunk_classifier(settings.decode.max_pixels)
    with terminal.progress("evaluating", total=len(tags)) as advance:
        evaluation = evaluate(
            tags, model.classes, work, assembly.engine(settings), top=top, on_progress=advance
        )
    if as_json:
        print_json({**evaluation.metrics.to_dict(), "unknown": evaluation.unknown})
    else:
        _print(evaluation, terminal)


def _print(evaluation: Evaluation, terminal: Terminal) -> None:
    metrics = evaluation.metrics
    images = {
        name: sum(row) for name, row in zip(metrics.classes, metrics.confusion_matrix, strict=True)
    }
    rows = []
    for index, name in enumerate(metrics.classes):
        loss = metrics.per_class_log_loss[name]
        if loss is not None or len(metrics.classes) <= _MATRIX_CLASSES:
            right = metrics.confusion_matrix[index][index]
            rows.append([shown(name), f"{images[name]:,}", f"{right:,}", _number(loss)])
    terminal.table(["class", "images", "right", "log-loss"], rows)
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


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
