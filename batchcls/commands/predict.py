"""``batchcls predict``: a line for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from batchcls.commands.choose import chosen_model
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.errors import ExitStatus, UsageError
from batchcls.imageformats import require_plugins
from batchcls.locations import is_url, without_secrets
from batchcls.records import Prediction, Status
from batchcls.terminal import drawn_output, print_json, print_text
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal


def predict_command(
    settings: Settings,
    model_option: str | None,
    images: Sequence[str],
    terminal: Terminal,
    *,
    as_json: bool,
    must_explain: bool = False,
) -> ExitStatus:
    """Classify ``images`` and print label and score of each."""
    url = next((image for image in images if is_url(image)), None)
    if url is not None:
        raise UsageError(
            f"{shown(without_secrets(url))}: predict takes files on this machine",
            hint="To classify what is at a URL: batchcls run URL --output -",
        )
    require_plugins(settings.decode.pillow_plugins)
    model = chosen_model(settings, model_option, terminal)
    warn_of_plugins(terminal)
    predictions = model.predict_iter(
        images,
        jobs=settings.run.jobs,
        max_pixels=settings.decode.max_pixels,
        explain=must_explain or (settings.report.explain and model.explains),
        review_below=settings.report.review_below,
        unknown=settings.report.unknown,
    )
    top = settings.report.top
    objects = []
    draw = None if as_json else _drawing(images, model.classes, top)
    failed = False
    for prediction in predictions:
        failed = failed or prediction.status is Status.ERROR
        if as_json:
            objects.append(_object(prediction, model.classes, top))
        elif draw is not None:
            draw(prediction)
        else:
            print_text(_line(prediction, model.classes, top))
            for name, weight in prediction.because or ():
                print_text(f"    because of {shown(name)} ({weight:.3f})")
    if as_json:
        print_json(objects)
    return ExitStatus.UNREADABLE if failed else ExitStatus.OK


def _drawing(
    images: Sequence[str], classes: Sequence[str], top: int
) -> Callable[[Prediction], None] | None:
    """Give what draws a prediction for a person who looks on; None in a pipe."""
    on = drawn_output()
    if on is None:
        return None
    from batchcls.commands.predictscreen import PredictScreen

    return PredictScreen(on, images, classes, top).draw


def _line(prediction: Prediction, classes: Sequence[str], top: int) -> str:
    cells = [shown(prediction.path)]
    if prediction.label is None:
        return "  ".join([*cells, prediction.status.value, shown(prediction.error or "")])
    for index, score in prediction.best(top):
        cells += [shown(classes[index]), f"{score:.4f}"]
    if prediction.status is Status.REVIEW:
        cells.append(prediction.status.value)
    return "  ".join(cells)


def _object(prediction: Prediction, classes: Sequence[str], top: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "path": prediction.path,
        "label": prediction.label,
        "score": prediction.score,
        "status": prediction.status.value,
        "error": prediction.error,
    }
    if prediction.label is not None and top > 1:
        result["top"] = [
            {"label": classes[index], "score": score} for index, score in prediction.best(top)
        ]
    if prediction.because is not None:
        result["because"] = [
            {"image": name, "weight": weight} for name, weight in prediction.because
        ]
    return result
