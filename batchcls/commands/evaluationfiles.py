"""What ``batchcls evaluate`` leaves: a page (``--html``) and charts (``--plots``)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls.atomic import STDOUT, OutputFile, output_file
from batchcls.errors import BatchclsError, UsageError
from batchcls.locations import is_url
from batchcls.reading import is_no_page
from batchcls.text import shown

if TYPE_CHECKING:
    from datetime import datetime

    from batchcls.confidence import Confidence
    from batchcls.evaluation import Evaluation
    from batchcls.judging import Judge
    from batchcls.pages.cards import Card
    from batchcls.selection import Chosen, Selection

_CHARTS = ("reliability", "review", "confusion", "classes")
# How many runners-up are shown, and offered where a tag is corrected.
_RUNNERS_UP = 3


@dataclass(frozen=True)
class Evaluated:
    """An evaluation: of which model, by its name and its digest, on which tags, begun when."""

    model: str
    digest: str
    tags: Sequence[str]
    started: datetime
    evaluation: Evaluation
    confidence: Confidence


@dataclass(frozen=True)
class EvaluationFiles:
    """Files that are begun before the work, and there at the end, each whole.

    ``page`` is None where none is wanted; ``charts`` are by name, none where none are wanted.
    """

    page: OutputFile | None
    charts: Mapping[str, OutputFile]
    form: str

    def write(self, evaluated: Evaluated, selection: Selection, judge: Judge) -> None:
        """Put them in their places. Raises BatchclsError.

        The page shows the images of ``selection``, as ``judge`` sees them in a run.
        """
        if self.page is not None:
            self.page.write(_page(evaluated, selection, judge))
            self.page.commit()
        if self.charts:
            drawn = _charts(evaluated, self.form)
            for name, file in self.charts.items():
                file.write(drawn[name])
                file.commit()


@contextlib.contextmanager
def evaluation_files(html: str | None, plots: str | None, form: str) -> Iterator[EvaluationFiles]:
    """Begin the files that are wanted; what is not in its place at the end is removed.

    ``plots`` is a folder, made where it is not there; ``form`` is svg or png. Raises UsageError, or
    BatchclsError where the system says that they can't be written.
    """
    with contextlib.ExitStack() as stack:
        page = None
        if html is not None:
            _check_page(html)
            page = output_file(html)
            stack.callback(page.discard)
        charts = {}
        if plots is not None:
            _make_folder(plots, stack)
            for name in _CHARTS:
                charts[name] = output_file(os.path.join(plots, f"{name}.{form}"))
                stack.callback(charts[name].discard)
        yield EvaluationFiles(page, charts, form)


def _page(evaluated: Evaluated, selection: Selection, judge: Judge) -> bytes:
    from batchcls.pages.evaluationpage import EvaluationPage, evaluation_page

    evaluation = evaluated.evaluation
    return evaluation_page(
        EvaluationPage(
            model=evaluated.model,
            digest=evaluated.digest,
            tags=evaluated.tags,
            started=evaluated.started,
            metrics=evaluation.metrics,
            confidence=evaluated.confidence,
            unknown=evaluation.unknown,
            cards=[_card(evaluation, chosen, judge) for chosen in selection.chosen],
        )
    )


def _card(evaluation: Evaluation, chosen: Chosen, judge: Judge) -> Card:
    from batchcls.pages.cards import Card

    classes = evaluation.metrics.classes
    tag, prediction = evaluation.tags[chosen.number], evaluation.predictions[chosen.number]
    judged = judge(prediction)
    return Card(
        name=tag.path,
        path=os.path.abspath(tag.path),
        status=judged.status,
        label=prediction.label,
        score=prediction.score,
        runners_up=[
            (classes[index], score) for index, score in prediction.best(1 + _RUNNERS_UP)[1:]
        ],
        reason=judged.error,
        thumbnail=chosen.thumbnail,
        truth=tag.label,
    )


def _charts(evaluated: Evaluated, form: str) -> dict[str, bytes]:
    """Draw what is in _CHARTS."""
    from batchcls.pages import charts, chartstyle
    from batchcls.pages.evaluationpage import shown_classes

    found, metrics = evaluated.confidence, evaluated.evaluation.metrics
    counts = metrics.confusion_matrix
    chosen = shown_classes(metrics)
    with chartstyle.drawing():
        figures = {
            "reliability": charts.reliability_chart(found),
            "review": charts.review_chart(found),
            "confusion": charts.confusion_chart(
                [metrics.classes[index] for index in chosen],
                [[counts[truth][label] for label in chosen] for truth in chosen],
            ),
            "classes": charts.classes_chart(found),
        }
        return {name: chartstyle.as_file(figures[name], form) for name in _CHARTS}


def _check_page(html: str) -> None:
    """Refuse what can't be a page, and to replace what is none: tags, a model."""
    if html == STDOUT:
        raise UsageError("--html: a page is a file", hint="Name one: --html evaluation.html")
    if is_no_page(html):
        raise UsageError(
            f"--html: {shown(html)} is something else than a page of batchcls, and would be lost",
            hint="Name another file for it, or remove that one.",
        )


def _make_folder(plots: str, stack: contextlib.ExitStack) -> None:
    """Make the folder of the charts; where nothing comes into it, it goes again."""
    from batchcls.pages.chartstyle import available

    if is_url(plots):
        raise UsageError(
            f"--plots: {shown(plots)} is a URL, where a folder on this machine is needed",
            hint="Name a folder, and copy the charts.",
        )
    if not available():
        raise UsageError(
            "--plots: needs matplotlib, which is not installed",
            hint="pip install 'batchcls[charts]'",
        )
    if os.path.isdir(plots):
        return
    try:
        os.mkdir(plots)
    except FileExistsError:
        raise UsageError(
            f"--plots: {shown(plots)} is a file, where a folder is needed", hint="Name a folder."
        ) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(
            f"--plots: {shown(plots) or 'an empty name'}: the folder above it does not exist",
            hint="Create it, or name a folder elsewhere.",
        ) from None
    except OSError as error:
        raise BatchclsError(
            f"--plots: {shown(plots)}: the folder can't be made: {error.strerror or error}",
            hint="Make the one above it writable, or name a folder elsewhere.",
        ) from error
    stack.callback(_remove_empty, plots)


def _remove_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)
