"""The CSV report: RFC 4180, UTF-8, one row for each image file.

Columns: ``path,label,score,status,error``, then as asked ``label_2,score_2`` and so on for the
runners-up, then ``score:CLASS`` for each class, then ``because``: the training images that decided,
each with its weight.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from batchcls.atomic import AtomicFile
from batchcls.records import Prediction, ReportRequest

COLUMNS = ("path", "label", "score", "status", "error")
SCORE_DECIMALS = 6

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV injection"), the full-width
# forms included.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class CsvReport:
    """Writes the report to ``path``, ``-`` being standard output."""

    def __init__(self, path: str, asked: ReportRequest) -> None:
        self._classes = asked.classes
        self._top = min(max(asked.top, 1), len(asked.classes))
        self._scores = asked.scores
        self._explain = asked.explain
        self._file = AtomicFile(path)
        header = self._header()
        self._width = len(header)
        try:
            self._rows([header])
        except BaseException:
            self.discard()
            raise

    def _header(self) -> list[str]:
        header = list(COLUMNS)
        for place in range(2, self._top + 1):
            header += [f"label_{place}", f"score_{place}"]
        if self._scores:
            header += [f"score:{name}" for name in self._classes]
        if self._explain:
            header.append("because")
        return header

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Add one row for each prediction."""
        self._rows(self._row(prediction) for prediction in predictions)

    def commit(self) -> None:
        """Put the report in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._file.discard()

    def _row(self, prediction: Prediction) -> list[str]:
        row = [
            cell_path(prediction.path),
            prediction.label or "",
            "" if prediction.score is None else _score(prediction.score),
            prediction.status.value,
            prediction.error or "",
        ]
        # Of a label that is withheld, the runners-up are, too; the scores of all were asked for.
        runners_up = prediction.best(self._top)[1:] if prediction.label is not None else ()
        for index, score in runners_up:
            row += [self._classes[index], _score(score)]
        row += ["", ""] * (self._top - 1 - len(runners_up))
        if self._scores and prediction.scores is not None:
            row += [_score(float(score)) for score in prediction.scores]
        elif self._scores:
            row += [""] * len(self._classes)
        if self._explain:
            because = prediction.because or ()
            row.append("; ".join(f"{cell_path(name)} ({weight:.3f})" for name, weight in because))
        return row

    def _rows(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        # A name that is not UTF-8 gets back the bytes that it has on the disk (PEP 383).
        self._file.write(_encoded(text.getvalue()))


def cell_path(path: str) -> str:
    """Give a path that no spreadsheet takes for a formula, and that names the same file."""
    return "./" + path if path.startswith(_FORMULA_STARTS) else path


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a Windows name with half a surrogate pair
        return text.encode("utf-8", "surrogatepass")


def _score(score: float) -> str:
    return f"{score:.{SCORE_DECIMALS}f}"


class CsvFormat:
    """Provider of the CSV report."""

    suffix = ".csv"

    def open(self, path: str, asked: ReportRequest) -> CsvReport:
        """Begin a report at ``path``."""
        return CsvReport(path, asked)
