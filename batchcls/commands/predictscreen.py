"""What ``batchcls predict`` looks like to a person: rows of a table that are drawn as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from batchcls.screen import STATUS_STYLES, bar
from batchcls.terminal import print_drawn
from batchcls.text import shown

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from batchcls.records import Prediction

# Columns of characters.
_BAR = 10
_SCORE = 6  # 0.1234
_GAP = 2
_LEAST_LABEL = 20
_LONGEST_NAME = 48
_INDENT = 2
# Wider than this, the eye loses the line; on less, the label goes before the bar.
_WIDEST = 120
_LEAST_WITH_BAR = 32


class PredictScreen:
    """Draws a prediction when it is there, in line with those before it.

    The names of all ``images`` are known from the start, so columns need not wait for the last one.
    A name that is too long for its column has lines of its own, which the terminal breaks: what is
    copied from there is the name.
    """

    def __init__(
        self, on: Console, images: Sequence[str], classes: Sequence[str], top: int
    ) -> None:
        """Make room for the names; ``top`` labels are shown of each image."""
        self._on, self._classes, self._top = on, classes, top
        self._width = min(on.width, _WIDEST)
        self._bar = _BAR if self._width >= _LEAST_WITH_BAR else 0
        self._measure = (self._bar + _GAP if self._bar else 0) + _SCORE
        room = min(_LONGEST_NAME, self._width - self._measure - 2 * _GAP - _LEAST_LABEL)
        lengths = (cell_len(shown(name)) for name in images)
        self._names = max((length for length in lengths if length <= room), default=_INDENT - _GAP)

    def draw(self, prediction: Prediction) -> None:
        """Draw what is said of an image. Raises OutputError."""
        print_drawn(self._on, *self._parts(prediction))

    def _parts(self, prediction: Prediction) -> Iterator[RenderableType]:
        name = Text(shown(prediction.path))
        if cell_len(name.plain) > self._names:
            name.no_wrap = True
            yield name
            name = Text()
        rows = Table.grid(padding=(0, _GAP, 0, 0))
        rows.add_column(width=self._names)
        rows.add_column(width=self._measure)
        rows.add_column(overflow="fold", max_width=self._label_room)
        best = [] if prediction.label is None else prediction.best(self._top)
        for rank, (index, score) in enumerate(best):
            dim = "dim" if rank else ""
            style = dim or STATUS_STYLES[prediction.status.value]
            measure = bar(score, self._bar, self._on, style=style, track=True)
            measure.append(f"{score:>{self._measure - self._bar}.4f}", style=dim)
            label = Text(shown(self._classes[index]), style=dim or "bold")
            rows.add_row("" if rank else name, measure, label)
        status = Text(prediction.status.value, STATUS_STYLES[prediction.status.value])
        reason = Text(shown(prediction.error or ""))
        beside = self._names > 0
        if reason and beside:
            rows.add_row("" if best else name, status, reason)
        because = [
            Text(f"because of {shown(image)} ({weight:.3f})", style="dim")
            for image, weight in prediction.because or ()
        ]
        if beside:
            for text in because:
                rows.add_row("", "", text)
        if rows.row_count:
            yield rows
        if not beside:
            told = [Text.assemble(status, "  ", reason)] if reason else []
            yield from (Padding(text, (0, 0, 0, _INDENT)) for text in [*told, *because])

    @property
    def _label_room(self) -> int:
        return max(1, self._width - self._names - self._measure - 2 * _GAP)
