"""Reports in each format: names that did harm to other programs, and reading them back."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

SUFFIXES = (".csv", ".jsonl", ".parquet")
TYPED = SUFFIXES[1:]
Row = dict[str, Any]

# Names that a file can have, and that have been some program's undoing.
HOSTILE = [
    b"plain.png",
    b"=1+1.png",
    b"@SUM(A1).png",
    b"-x.png",
    b"quote\"s and 'others'.png",
    b'"quoted".png',
    b'"',
    b'"caf\xe9\\.png',
    b"<img src=x onerror=alert(1)>.png",
    b"comma, semicolon; tab\t.png",
    b"line\nbreak\r\n.png",
    b"\x1b[31mred\x7f\x01.png",
    "line\u2028separator\u2029next\x85.png".encode(),
    "\u202egnp.exe.png".encode(),
    "🦓👩\u200d🔬.png".encode(),
    "e\u0301 and \u00e9.png".encode(),
    b"caf\xe9.png",
    b"\xff\xfe\xed\xb2\x80.png",
    b"caf\\xe9.png",
    b"back\\slash\\\\.png",
    b"x" * 251 + b".png",
]


def rows_of(path: Path | str) -> list[Row]:
    """Read a report by the common reader of its format; what is missing is None."""
    suffix = os.path.splitext(path)[1]
    if suffix == ".parquet":
        with open(path, "rb") as file:
            rows: list[Row] = pq.read_table(file).to_pylist()
        return rows
    if suffix == ".jsonl":
        with open(path, encoding="utf-8", newline="\n") as file:
            return [json.loads(line) for line in file]
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return [
            {
                name: None if not cell else float(cell) if name.startswith("score") else cell
                for name, cell in row.items()
            }
            for row in csv.DictReader(file, strict=True)
        ]


def bytes_of(cell: str, suffix: str) -> bytes:
    """Give a file's name from the column `path`, as docs/usage.md says."""
    if suffix == ".csv":
        return os.fsencode(cell).removeprefix(b"./")
    if cell.startswith('"'):
        return cell[1:-1].encode().decode("unicode_escape").encode("latin-1")
    return cell.encode()
