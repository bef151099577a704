"""The report as a Parquet file, by pyarrow (``pip install 'batchcls[parquet]'``).

``reportcolumns.py`` says which columns there are: text, and float64 for scores, null where there is
nothing. Scores are the numbers of the CSV. ``because`` is a list of structs, ``image`` and
``weight``. The metadata of the schema have ``batchcls.version``, and ``batchcls.classes``, the
classes of the model as JSON.

pyarrow, 0.2 s to load, is imported when a report is begun.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from batchcls import __version__
from batchcls.atomic import OutputFile, output_file
from batchcls.errors import UsageError
from batchcls.records import Prediction, ReportRequest
from batchcls.reportcolumns import ReportColumns, because, rounded
from batchcls.text import shown

# What is held until it is written: a row group. Of 1,000 classes it has 2,086 rows, and 17 MB of
# scores. Smaller ones cost more: the file tells of each column in each of them, and all that is
# held until its end.
_GROUP_CELLS = 2**21
_GROUP_ROWS = 2**15
_ALWAYS = ("path", "status")  # are never null


class ParquetReport:
    """Writes the report to ``path``. Raises UsageError where pyarrow is missing.

    Row groups are cut by the number of rows alone, so the bytes do not depend on how many
    predictions come at once.
    """

    def __init__(self, path: str, asked: ReportRequest) -> None:
        pyarrow, parquet = imported(path)
        self._arrow = pyarrow
        self._columns = ReportColumns(asked)
        self._most = rows_in_group(len(self._columns.names))
        self._schema = _schema(pyarrow, self._columns, asked.classes)
        self._plain: list[list[str | float | None]] = []
        self._scores: list[Any] = []
        self._because: list[list[tuple[str, float]] | None] = []
        self._sink = Sink(output_file(path))
        try:
            self._writer = begun(parquet, self._sink, self._schema)
        except BaseException:
            self._sink.discard()
            raise

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Add one row for each prediction."""
        for prediction in predictions:
            self._plain.append(self._columns.portable(prediction))
            if self._columns.scored:
                scores = prediction.scores
                self._scores.append(None if scores is None else rounded(scores))
            if self._columns.explained:
                self._because.append(because(prediction))
            if len(self._plain) == self._most:
                self._flush()

    def commit(self) -> None:
        """Put the report in its place."""
        if self._plain:
            self._flush()
        self._writer.close()
        self._sink.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._sink.discard()
        with contextlib.suppress(Exception):  # it has failed before, or else writes to nowhere
            self._writer.close()

    def _flush(self) -> None:
        """Write what is held as a row group."""
        plain = [list(column) for column in zip(*self._plain, strict=True)]
        arrays = [
            self._arrow.array(column, type=self._schema.field(place).type)
            for place, column in enumerate(plain)
        ]
        if self._columns.scored:
            arrays += self._score_arrays()
        if self._columns.explained:
            arrays.append(self._arrow.array(self._because, type=self._schema.field(-1).type))
        self._plain, self._scores, self._because = [], [], []
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def _score_arrays(self) -> list[Any]:
        """Give an array for each class, from a row for each image."""
        import numpy as np

        missing = np.array([scores is None for scores in self._scores])
        matrix = np.zeros((len(self._columns.scored), len(missing)))  # [C, N]
        if not missing.all():
            matrix[:, ~missing] = np.transpose([one for one in self._scores if one is not None])
        return [self._arrow.array(column, mask=missing) for column in matrix]


def rows_in_group(columns: int) -> int:
    """Give how many rows a row group has, all but the last one."""
    return max(1, min(_GROUP_ROWS, _GROUP_CELLS // columns))


def begun(parquet: Any, sink: Sink, schema: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Begin a report in ``sink``: give pyarrow's writer."""
    # Of a thousand scores the least and the greatest are a third of such a file's end.
    plain = [name for name in schema.names if name != "because" and not name.startswith("score:")]
    return parquet.ParquetWriter(sink, schema, compression="zstd", write_statistics=plain)


class Sink:
    """The file as pyarrow wants it: it asks where it is, and may write once it is discarded."""

    closed = False

    def __init__(self, file: OutputFile) -> None:
        self._file = file
        self._length = 0
        self._discarded = False

    def write(self, data: bytes) -> int:
        """Add ``data``; nothing once the file is discarded."""
        if not self._discarded:
            self._file.write(data)
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        """Give how many bytes were written."""
        return self._length

    def flush(self) -> None:
        """Do nothing: the end of the file flushes it."""

    def close(self) -> None:
        """Do nothing: the end of the work does."""

    def commit(self) -> None:
        """Put the file in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._discarded = True
        self._file.discard()


def imported(path: str) -> tuple[Any, Any]:
    """Import pyarrow, for the report at ``path``. Raises UsageError where it can't be."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"{shown(path)}: a report in Parquet needs pyarrow ({shown(str(error))})",
            hint="pip install 'batchcls[parquet]'; or let the report end in .csv or .jsonl.",
        ) from None
    return pyarrow, pyarrow.parquet


def _schema(pyarrow: Any, columns: ReportColumns, classes: Sequence[str]) -> Any:  # noqa: ANN401
    text, number = pyarrow.string(), pyarrow.float64()
    types = {name: number if _is_score(name) else text for name in columns.plain}
    types.update(dict.fromkeys(columns.scored, number))
    reasons = pyarrow.list_(pyarrow.struct([("image", text), ("weight", number)]))
    types.update(dict.fromkeys(columns.explained, reasons))
    fields = [
        pyarrow.field(name, type_, nullable=name not in _ALWAYS) for name, type_ in types.items()
    ]
    metadata = {"batchcls.version": __version__, "batchcls.classes": json.dumps(list(classes))}
    return pyarrow.schema(fields, metadata=metadata)


def _is_score(name: str) -> bool:
    return name == "score" or name.startswith("score_")


class ParquetFormat:
    """Provider of the report as Parquet."""

    suffix = ".parquet"

    def open(self, path: str, asked: ReportRequest) -> ParquetReport:
        """Begin a report at ``path``."""
        return ParquetReport(path, asked)
