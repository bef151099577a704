"""The differences of a comparison as CSV: RFC 4180, UTF-8, a row for each file that differs.

Columns: ``path,change,old_label,new_label,old_score,new_score,old_status,new_status``; what only
one side has leaves the other's cells empty. Paths are as in a report's CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from batchcls.atomic import output_file
from batchcls.comparison import Answer, Difference
from batchcls.reportcolumns import SCORE_DECIMALS
from batchcls.reports.csv import cell_path
from batchcls.text import disk_bytes

COLUMNS = (
    *("path", "change", "old_label", "new_label"),
    *("old_score", "new_score", "old_status", "new_status"),
)
_BLOCK = 1000


class DifferencesFile:
    """Writes the differences to ``path``, ``-`` being standard output; there whole or not at all.

    Raises as output_file does.
    """

    def __init__(self, path: str) -> None:
        self._rows: list[Sequence[str]] = [COLUMNS]
        self._file = output_file(path)

    def add(self, difference: Difference) -> None:
        """Add a row."""
        old, new = _cells(difference.old), _cells(difference.new)
        pairs = [cell for pair in zip(old, new, strict=True) for cell in pair]
        self._rows.append([cell_path(difference.path), difference.change.value, *pairs])
        if len(self._rows) >= _BLOCK:
            self._flush()

    def commit(self) -> None:
        """Put the file in its place."""
        self._flush()
        self._file.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._file.discard()

    def _flush(self) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(self._rows)
        self._rows = []
        self._file.write(disk_bytes(text.getvalue()))


def _cells(answer: Answer | None) -> tuple[str, str, str]:
    if answer is None:
        return "", "", ""
    score = "" if answer.score is None else f"{answer.score:.{SCORE_DECIMALS}f}"
    return answer.label or "", score, answer.status.value
