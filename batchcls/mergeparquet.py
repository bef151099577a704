"""Merging shards that are Parquet files: the rows as they are, in row groups as of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from batchcls.atomic import output_file
from batchcls.errors import DecodeError, UsageError
from batchcls.reading import open_regular
from batchcls.reports.parquet import Sink, begun, imported, rows_in_group
from batchcls.shardfiles import Shards
from batchcls.text import shown

# Of what is read from one file at once: together with the other files it is a row group.
_LEAST_ROWS = 16


class ParquetTarget:
    """Writes the report to ``output``: only which file the next row comes from is told.

    Raises UsageError where pyarrow is missing, and where the files are of different models.
    """

    def __init__(self, output: str, shards: Shards) -> None:
        self.notes: list[str] = []
        self._arrow, parquet = imported(output)
        self._files = [_Source(parquet, file.place) for file in shards.files]
        self._schema = self._files[0].schema
        self._check(shards)
        self._most = rows_in_group(len(self._schema.names))
        self._positions: list[int] = []
        self._batches = [
            one.batches(max(_LEAST_ROWS, self._most // len(self._files))) for one in self._files
        ]
        self._rest: list[Any] = [None] * len(self._files)
        self._sink = Sink(output_file(output))
        try:
            self._writer = begun(parquet, self._sink, self._schema)
        except BaseException:
            self._sink.discard()
            raise

    def add(self, position: int, row: bytes) -> None:  # noqa: ARG002 - as of any target
        """Take the next row of the file at ``position``."""
        self._positions.append(position)
        if len(self._positions) == self._most:
            self._flush()

    def commit(self) -> None:
        """Put the report in its place."""
        if self._positions:
            self._flush()
        self._writer.close()
        self._close()
        self._sink.commit()

    def discard(self) -> None:
        """Leave what was there."""
        self._sink.discard()
        self._close()

    def _check(self, shards: Shards) -> None:
        """Raise UsageError for columns of another type, or classes of another model."""
        first, versions = shards.files[0].path, set()
        for file, source in zip(shards.files, self._files, strict=True):
            metadata = source.schema.metadata or {}
            own = self._schema.metadata or {}
            versions.add(metadata.get(b"batchcls.version", b"?").decode(errors="replace"))
            if not source.schema.equals(self._schema) or (
                metadata.get(b"batchcls.classes") != own.get(b"batchcls.classes")
            ):
                raise UsageError(
                    f"{shown(file.path)}: it was made with another model than {shown(first)}",
                    hint="Make all shards with the same model and the same options.",
                )
        if len(versions) > 1:
            told = ", ".join(map(shown, sorted(versions)))
            self.notes.append(f"the shards are of different versions of batchcls: {told}")

    def _flush(self) -> None:
        """Write the rows that were told as a row group."""
        pieces: list[Any] = []
        starts: dict[int, int] = {}
        total = 0
        for position, count in Counter(self._positions).items():
            starts[position] = total
            total += count
            pieces += self._next(position, count)
        places = []
        for position in self._positions:
            places.append(starts[position])
            starts[position] += 1
        self._positions.clear()
        rows = self._arrow.Table.from_batches(pieces, schema=self._schema)
        self._writer.write_table(rows.take(self._arrow.array(places)).combine_chunks())

    def _next(self, position: int, count: int) -> Iterator[Any]:
        """Give the next rows of a file, as pieces."""
        while count:
            rest = self._rest[position]
            if rest is None or not rest.num_rows:
                rest = next(self._batches[position])
            piece = rest.slice(0, count)
            self._rest[position] = rest.slice(piece.num_rows)
            count -= piece.num_rows
            yield piece

    def _close(self) -> None:
        for source in self._files:
            source.file.close()


class _Source:
    """One of the files, opened."""

    def __init__(self, parquet: Any, path: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self.file: IO[bytes] = _opened(path)
        self._opened = parquet.ParquetFile(self.file)
        self.schema = self._opened.schema_arrow

    def batches(self, rows: int) -> Iterator[Any]:
        """Give all rows, at most so many at once."""
        found: Iterator[Any] = self._opened.iter_batches(rows)
        return found


def _opened(path: str) -> IO[bytes]:
    try:
        return open_regular(path)
    except (OSError, DecodeError, ValueError) as error:
        raise UsageError(f"{shown(path)}: {error}") from None
