r"""The report as JSON Lines: UTF-8, an object for each image file, on a line of its own.

``reportcolumns.py`` says which columns there are: each object has them all, in their order, null
where there is nothing. Scores are the numbers of the CSV. ``because`` is an array of objects
``{"image": ..., "weight": ...}``.

A line is nothing but what can be printed, whatever a file is called: the rest is ``\uXXXX``. So no
line break of Unicode cuts one in two, and none does harm to a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from batchcls.atomic import output_file
from batchcls.records import Prediction, ReportRequest
from batchcls.reportcolumns import ReportColumns, because, rounded

_NOT_PLAIN = re.compile("[^ -~]")


class JsonLinesReport:
    """Writes the report to ``path``."""

    def __init__(self, path: str, asked: ReportRequest) -> None:
        self._columns = ReportColumns(asked)
        self._file = output_file(path)

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Add one line for each prediction."""
        self._file.write(b"".join(_line(self._object(one)) for one in predictions))

    def commit(self) -> None:
        """Put the report in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._file.discard()

    def _object(self, prediction: Prediction) -> dict[str, Any]:
        columns, scores = self._columns, prediction.scores
        found: dict[str, Any] = dict(zip(columns.plain, columns.portable(prediction), strict=True))
        if scores is not None and columns.scored:
            found.update(zip(columns.scored, rounded(scores).tolist(), strict=True))
        else:
            found.update(dict.fromkeys(columns.scored))
        if columns.explained:
            reasons = because(prediction)
            found["because"] = reasons and [
                {"image": name, "weight": weight} for name, weight in reasons
            ]
        return found


def _line(value: dict[str, Any]) -> bytes:
    data = msgspec.json.encode(value)
    # The usual line, told fast: with control characters escaped, DEL alone is left.
    if not data.isascii() or b"\x7f" in data:
        text = data.decode()
        if not text.isprintable():
            data = _NOT_PLAIN.sub(_printable, text).encode()
    return data + b"\n"


def _printable(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


class JsonLinesFormat:
    """Provider of the report as JSON Lines."""

    suffix = ".jsonl"

    def open(self, path: str, asked: ReportRequest) -> JsonLinesReport:
        """Begin a report at ``path``."""
        return JsonLinesReport(path, asked)
