"""Reading reports back, as streams: ``.csv``, ``.jsonl`` and ``.parquet``.

Of each row only what is compared: path, label, score and status; of a text, all of it as it stands
there, if that is wanted. Whatever is wrong is a UsageError that names the file and the line (of
Parquet, the row).
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, NoReturn

from batchcls.comparison import Answer
from batchcls.errors import DecodeError, UsageError
from batchcls.locations import is_url
from batchcls.reading import open_regular, read_reason
from batchcls.records import Status
from batchcls.reportcolumns import unquoted_path
from batchcls.reports.csv import cell_path
from batchcls.text import shown

COLUMNS = ("path", "label", "score", "status")
# A line of more characters is none of a report. (With 1,000 classes one has 10,000.)
_LONGEST_LINE = 16 * 2**20
_BATCH = 10_000
_HINT = "Make it anew: batchcls run --output"
_NO_FILE_HINT = "Name two reports, which `batchcls run` writes, or two models."
_STATUSES = {status.value: status for status in Status}
_LABELLED = (Status.OK, Status.REVIEW)

Row = tuple[str, Answer]


class ReportRows:
    """The rows of the report at ``source``: each a path, and what was said of it.

    A path is as on the disk, whatever the format did to it. The file is read anew, and checked row
    by row, each time that it is gone through. Raises UsageError, and FetchError at a URL.

    ``columns`` are the names of all, in order, once the first row was read, or the end. Of a
    ``whole`` text, ``head`` is then what stands before the first row, and :meth:`take` gives the
    bytes of a row; and each row must have all columns. ``batch`` rows of Parquet are held at once.
    A ``copy`` of it may lie elsewhere.
    """

    def __init__(
        self, source: str, *, whole: bool = False, copy: str = "", hint: str = _NO_FILE_HINT
    ) -> None:
        self.source = source
        self._place = copy or source
        self.columns: tuple[str, ...] = ()
        self.head = b""
        self.kept: list[bytes] | None = [] if whole else None
        self.batch = _BATCH
        self._hint = hint
        self._read = _READERS[suffix_of(source)]
        self._number = 0
        # Few labels stand in many rows: one object each.
        self._labels: dict[str, str] = {}

    def __iter__(self) -> Iterator[Row]:
        self._number = 0
        with self._opened() as file:
            try:
                for number, cells in self._read(self, file):
                    self._number = number
                    yield self._row(*cells)
            except OSError as error:
                self.fail(read_reason(error))

    def _opened(self) -> IO[bytes]:
        if is_url(self._place):
            from batchcls.remote.fetching import fetched

            return io.BytesIO(fetched(self._place))
        try:
            return open_regular(self._place)
        except (OSError, DecodeError, ValueError) as error:  # ValueError: a NUL in the name
            reason = read_reason(error) if isinstance(error, OSError) else str(error)
            raise UsageError(f"{shown(self.source)}: {reason}", hint=self._hint) from None

    def repeated(self, path: str) -> UsageError:
        """Say that the row just yielded has the path of a former one."""
        return self.problem(f"{shown(path)} is there a second time")

    def take(self) -> bytes:
        """Give what was read of a whole text since the last time."""
        kept = self.kept or []
        taken = b"".join(kept)
        kept.clear()
        return taken

    def _row(self, path: object, label: object, score: object, name: object) -> Row:
        status = _STATUSES.get(name) if isinstance(name, str) else None
        if not isinstance(path, str) or not path:
            self.fail("a row without a path")
        if status is None:
            self.fail(f"status is {_told(name)}, and none of {', '.join(_STATUSES)}")
        if status not in _LABELLED:
            if label is not None or score is not None:
                self.fail(f"a label or a score, although the status is {status.value}")
        elif not isinstance(label, str) or not label:
            self.fail(f"no label, although the status is {status.value}")
        elif not isinstance(score, (int, float)) or isinstance(score, bool) or not 0 <= score <= 1:
            self.fail(f"score is {_told(score)}, and no number from 0 to 1")
        else:
            label = self._labels.setdefault(label, label)
            return on_disk(path), Answer(label, float(score), status)
        return on_disk(path), Answer(None, None, status)

    def problem(self, message: str, *, hint: str = "") -> UsageError:
        """Say what is wrong with the row just yielded."""
        where = shown(self.source)
        if self._number:
            unit = "row " if self._read is _parquet_rows else ""
            where += f":{unit}{self._number}"
        return UsageError(f"{where}: {message}", hint=hint or f"{_HINT} {shown(self.source)}")

    def fail(self, message: str, number: int = 0) -> NoReturn:
        """Raise UsageError for the file, or for a line in it, counted from 1."""
        self._number = number or self._number
        raise self.problem(message)

    def begin(self, columns: Iterable[str], number: int = 0, head: bytes = b"") -> None:
        """Take the names of the columns. Raises UsageError where one is missing."""
        self.columns, self.head = tuple(columns), head
        known = set(self.columns)
        missing = [name for name in COLUMNS if name not in known]
        if missing:
            column = "column" if len(missing) == 1 else "columns"
            self.fail(f"not a report: it lacks the {column} {', '.join(missing)}", number)


# The number of a line or row, from 1, and what stands in its COLUMNS.
Cells = Iterator[tuple[int, tuple[object, ...]]]


def _csv_rows(report: ReportRows, file: IO[bytes]) -> Cells:
    lines = _Lines(report, file)
    # A row that ends within quotes is an error with `strict`, as is text after them.
    reader = csv.reader(lines, strict=True)
    header: list[str] = []
    number = 1  # of the line that a row begins in: a quoted cell may hold line breaks
    try:
        for row in reader:
            if not header:
                header = row
                report.begin(header, 1, report.take())
                places = [header.index(name) for name in COLUMNS]
            elif len(row) != len(header):
                lines.check_end()
                report.fail(_width(len(row), len(header)), number)
            else:
                path, label, score, status = [row[place] for place in places]
                yield number, (path, label or None, _number(score), status)
            number = reader.line_num + 1
    except csv.Error as error:
        report.fail(f"not a row of a report: {error}", number)
    if not header:
        report.fail("empty: not even the names of the columns are in it")
    lines.check_end()


def _width(cells: int, columns: int) -> str:
    return f"{cells:,} cells, where the first line names {columns:,} columns"


def _number(text: str) -> float | str | None:
    """Give a cell's number, None for an empty one, and the text where it is none."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _json_rows(report: ReportRows, file: IO[bytes]) -> Cells:
    lines = _Lines(report, file)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            lines.check_end()
            report.fail("not a row of a report: no JSON object", number)
        if number == 1:
            report.begin(row, 1)
        elif report.kept is not None and tuple(row) != report.columns:
            report.fail("the columns are not those of the first line", number)
        elif any(name not in row for name in COLUMNS):
            report.fail(f"a row has {', '.join(COLUMNS)}, and this one lacks some", number)
        yield number, _cells(row)
    lines.check_end()


class _Lines:
    """The lines of a text file, with their ends; bytes that are not UTF-8 as in names (PEP 383)."""

    def __init__(self, report: ReportRows, file: IO[bytes]) -> None:
        self._report, self._file = report, file
        self._last = "\n"
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        while data := self._file.readline(_LONGEST_LINE):
            self._number += 1
            if not self._number - 1:
                data = data.removeprefix(b"\xef\xbb\xbf")  # an editor's
            if len(data) == _LONGEST_LINE or b"\0" in data:
                self._report.fail("not a report: this is no text", self._number)
            if self._report.kept is not None:
                self._report.kept.append(data)
            self._last = data.decode("utf-8", "surrogateescape")
            yield self._last

    def check_end(self) -> None:
        """Raise UsageError where the last line has no end: then its last cell may lack some."""
        if not self._last.endswith(("\n", "\r")):
            self._report.fail("the line has no end, so the file may be cut off", self._number)


def _parquet_rows(report: ReportRows, file: IO[bytes]) -> Cells:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            f"{shown(report.source)}: reading Parquet needs pyarrow",
            hint="pip install 'batchcls[parquet]'",
        ) from None
    number = 0
    try:
        opened = pq.ParquetFile(file)
        report.begin(opened.schema_arrow.names)
        for batch in opened.iter_batches(report.batch, columns=list(COLUMNS)):
            for row in batch.to_pylist():
                number += 1
                yield number, _cells(row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = shown(" ".join(str(error).split()))[:200]
        report.fail(f"not a Parquet file, or cut off: {reason}")


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Give the cells of a row in the order of COLUMNS, the path with its own bytes."""
    path, *others = [row[name] for name in COLUMNS]
    return unquoted_path(path) if isinstance(path, str) else path, *others


def on_disk(path: str) -> str:
    """Give a path without the ``./`` that keeps spreadsheets from taking it for a formula.

    Whatever the format: a path may have had it before, too, and then names the same file.
    """
    bare = path.removeprefix("./")
    return bare if bare != path and cell_path(bare) == path else path


def _told(value: object) -> str:
    return "empty" if value is None or value == "" else shown(repr(value))[:80]


_READERS: dict[str, Callable[[ReportRows, IO[bytes]], Cells]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
}
FORMATS = tuple(_READERS)


def suffix_of(source: str) -> str:
    """Give the ending that tells the format, in lower case."""
    return os.path.splitext(source)[1].lower()
