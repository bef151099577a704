"""The CSV report: RFC 4180, UTF-8, one row for each image file.

``reportcolumns.py`` says which columns there are. Scores have six decimals, and ``because`` is
``IMAGE (WEIGHT); IMAGE (WEIGHT)``, of three.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from batchcls.atomic import output_file
from batchcls.records import Prediction, ReportRequest
from batchcls.reportcolumns import SCORE_DECIMALS, WEIGHT_DECIMALS, ReportColumns
from batchcls.text import disk_bytes

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV injection"), the full-width
# forms included.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class CsvReport:
    """Writes the report to ``path``, ``-`` being standard output."""

    def __init__(self, path: str, asked: ReportRequest) -> None:
        self._columns = ReportColumns(asked)
        self._file = output_file(path)
        try:
            self._rows([self._columns.names])
        except BaseException:
            self.discard()
            raise

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
        path, *others = self._columns.values(prediction)
        row = [cell_path(str(path)), *(_cell(value) for value in others)]
        if prediction.scores is not None and self._columns.scored:
            row += map(_score, prediction.scores.tolist())
        else:
            row += [""] * len(self._columns.scored)
        if self._columns.explained:
            because = prediction.because or ()
            row.append("; ".join(_reason(name, weight) for name, weight in because))
        return row

    def _rows(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        # A name that is not UTF-8 gets back the bytes that it has on the disk (PEP 383).
        self._file.write(disk_bytes(text.getvalue()))


def cell_path(path: str) -> str:
    """Give a path that no spreadsheet takes for a formula, and that names the same file."""
    return "./" + path if path.startswith(_FORMULA_STARTS) else path


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _score(value)


def _reason(name: str, weight: float) -> str:
    return f"{cell_path(name)} ({weight:.{WEIGHT_DECIMALS}f})"


def _score(score: float) -> str:
    return f"{score:.{SCORE_DECIMALS}f}"


class CsvFormat:
    """Provider of the CSV report."""

    suffix = ".csv"

    def open(self, path: str, asked: ReportRequest) -> CsvReport:
        """Begin a report at ``path``."""
        return CsvReport(path, asked)
