"""The CSV report: one row for every image, as RFC 4180 has it, whole or not at all."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.records import Prediction, ReportRequest, Status
from batchcls.reports.csv import CsvReport, cell_path

from .conftest import Result, fuzzed, picture

CLASSES = ["cat", "dog", "a, b"]


def ok(path: str, *scores: float) -> Prediction:
    best = int(np.argmax(scores))
    return Prediction(
        path, Status.OK, label=CLASSES[best], score=scores[best], scores=np.array(scores)
    )


def written(path: Path, *predictions: Prediction, top: int = 1, scores: bool = False) -> bytes:
    report = CsvReport(str(path), ReportRequest(CLASSES, top=top, scores=scores))
    report.write(predictions[:1])
    report.write(predictions[1:])
    report.commit()
    return path.read_bytes()


def test_a_row_is_path_label_score_status_error(tmp_path):
    bad = Prediction("sub/b.jpg", Status.ERROR, error='cut off, or "broken"')
    assert written(tmp_path / "r.csv", ok("a.jpg", 0.25, 0.75, 0.0), bad) == (
        b"path,label,score,status,error\r\n"
        b"a.jpg,dog,0.750000,ok,\r\n"
        b'sub/b.jpg,,,error,"cut off, or ""broken"""\r\n'
    )


def test_top_adds_the_runners_up_and_scores_a_column_per_class(tmp_path):
    data = written(
        tmp_path / "r.csv",
        ok("a.jpg", 0.25, 0.7, 0.05),
        Prediction("b.jpg", Status.ERROR, error="x"),
        top=2,
        scores=True,
    )
    assert data.decode().splitlines() == [
        'path,label,score,status,error,label_2,score_2,score:cat,score:dog,"score:a, b"',
        "a.jpg,dog,0.700000,ok,,cat,0.250000,0.250000,0.700000,0.050000",
        "b.jpg,,,error,x,,,,,",
    ]


def test_top_has_no_more_columns_than_there_are_classes(tmp_path):
    data = written(tmp_path / "r.csv", ok("a.jpg", 0.5, 0.5, 0.0), top=99)
    assert data.decode().splitlines() == [
        "path,label,score,status,error,label_2,score_2,label_3,score_3",
        'a.jpg,cat,0.500000,ok,,dog,0.500000,"a, b",0.000000',
    ]


def test_no_images_are_a_header_and_no_rows(tmp_path):
    assert written(tmp_path / "r.csv") == b"path,label,score,status,error\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_a_path_that_a_spreadsheet_takes_for_a_formula_begins_with_dot_slash(tmp_path, start):
    path = f"{start}cmd.jpg"
    rows = read(written(tmp_path / "r.csv", ok(path, 1.0, 0.0, 0.0)))
    assert rows[1][0] == f"./{path}"
    assert os.path.normpath(rows[1][0]) == path


def test_other_paths_are_left_as_they_are():
    for path in ("a.jpg", "/abs/=x.jpg", " =x", "é=1.jpg", "./-x.jpg", ".hidden", "'x"):
        assert cell_path(path) == path


def read(data: bytes) -> list[list[str]]:
    text = data.decode("utf-8", "surrogateescape")
    return list(csv.reader(text.splitlines(keepends=True), strict=True))


NAMES = st.binary(min_size=1, max_size=20).map(lambda name: name.replace(b"\0", b"0"))


@fuzzed(150)
@given(names=st.lists(NAMES, max_size=8), error=st.text(max_size=20))
def test_every_name_keeps_its_bytes_and_every_row_its_cells(tmp_path, names, error):
    error = error.encode("utf-8", "replace").decode().replace("\0", "")
    predictions = [Prediction(os.fsdecode(name), Status.ERROR, error=error) for name in names]
    data = written(tmp_path / "r.csv", *predictions)
    rows = list(csv.reader(_lines(data), strict=True))
    assert len(rows) == len(names) + 1
    for name, row in zip(names, rows[1:], strict=True):
        assert os.fsencode(row[0]) in {name, b"./" + name}
        assert row[1:] == ["", "", "error", error]


def _lines(data: bytes) -> list[str]:
    """Cut at line feeds only: `str.splitlines` takes a dozen characters for line ends."""
    return [line.decode("utf-8", "surrogateescape") for line in data.splitlines(keepends=True)]


def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path):
    data = written(tmp_path / "r.csv", ok(os.fsdecode(b"caf\xe9.jpg"), 1.0, 0.0, 0.0))
    assert b"\r\ncaf\xe9.jpg,cat," in data


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images and two files that are none, one of them with a name that is not UTF-8."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    picture(1).save(folder / "-x.jpg")
    picture(2).save(folder / "sub/a, b.jpg")
    picture(3).save(os.fsencode(folder) + b"/caf\xe9.png")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("text")
    return folder


def test_the_command_writes_a_row_for_every_image_file(images, tmp_path, batchcls):
    result: Result = batchcls("run", "in", "--top", "2")
    assert result.status == 3, result.err
    rows = read((tmp_path / "report.csv").read_bytes())
    assert rows[0] == ["path", "label", "score", "status", "error", "label_2", "score_2"]
    assert [(os.fsencode(row[0]), row[3]) for row in rows[1:]] == [
        (b"./-x.jpg", "ok"),
        (b"caf\xe9.png", "ok"),
        (b"empty.jpg", "error"),
        (b"sub/a, b.jpg", "ok"),
        (b"text.jpg", "error"),
    ]
    for row in rows[1:]:
        if row[3] == "ok":
            assert float(row[2]) >= float(row[6]) > 0
            assert row[4] == ""
        else:
            assert row[1] == row[2] == row[5] == row[6] == ""
            assert row[4] != ""


def test_the_command_with_scores_has_a_column_for_each_of_a_thousand_classes(images, batchcls):
    result: Result = batchcls("run", "in/-x.jpg", "--scores", "-o", "-", "-q")
    assert result.status == 0, result.err
    header, row = read(result.out.encode("utf-8", "surrogateescape"))
    assert len(header) == len(row) == 5 + 1000
    assert header[5].startswith("score:")
    assert sum(float(score) for score in row[5:]) == pytest.approx(1, abs=1e-3)
    assert max(row[5:], key=float) == row[2]


def test_standard_output_gets_the_report_and_nothing_else(images, tmp_path, batchcls):
    result: Result = batchcls("run", "in", "-o", "-")
    assert result.status == 3
    assert result.out.startswith("path,label,score,status,error\r\n")
    assert len(result.out.splitlines()) == 6
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("in", 2, "in: a folder, where a file is to be written"),
        ("no/report.csv", 2, "the folder"),
        ("/dev/full", 1, "/dev/full: can't be written: No space left on device"),
        ("report.xyz", 2, "there is no report format '.xyz'"),
        ("report.html", 2, "A page is written besides the report: --html report.html"),
    ],
)
def test_a_report_that_cannot_be_written_ends_the_command_with_a_message(
    images, batchcls, output, status, said
):
    result: Result = batchcls("run", "in", "-o", output)
    assert result.status == status
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_run_that_fails_leaves_the_old_report(images, tmp_path):
    (tmp_path / "report.csv").write_bytes(b"old")
    code = (
        "import resource, runpy, sys;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "sys.argv = ['batchcls', 'run', 'in', '--scores'];"
        "runpy.run_module('batchcls', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "batchcls: error: report.csv: can't be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "report.csv").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["in", "report.csv"]
