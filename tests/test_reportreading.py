"""Reports read back: every row, or an error that says where and what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.assembly import report_format
from batchcls.comparison import Answer
from batchcls.errors import UsageError
from batchcls.records import Prediction, ReportRequest, Status
from batchcls.reportreading import ReportRows

from .conftest import fuzzed

SUFFIXES = [".csv", ".jsonl", ".parquet"]
CLASSES = ["pizza", "a, b", 'say "hi"\n', "=1+1"]
HEADER = "path,label,score,status,error\r\n"
ROW = "a.jpg,pizza,0.5,ok,\r\n"
NAMES = st.text(
    st.one_of(
        st.sampled_from('./"\\=+-@\t\r\n,; \u202e\uff1d'),
        st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    ),
    min_size=1,
)


def as_on_a_disk(name: str) -> str:
    """Bytes that are UTF-8 never come from a disk as surrogates."""
    return os.fsdecode(os.fsencode(name))


def predictions(names: list[str]) -> list[Prediction]:
    """One of each status in turn."""
    found = []
    for number, name in enumerate(names):
        status = list(Status)[number % 4]
        if status in {Status.OK, Status.REVIEW}:
            label = CLASSES[number % len(CLASSES)]
            score = number % 7 / 7
            leading = ((CLASSES.index(label), score),)
            found.append(Prediction(name, status, label, score, leading=leading))
        else:
            found.append(Prediction(name, status, error="why,\n not"))
    return found


def write(path: Path, rows: list[Prediction]) -> None:
    report = report_format(str(path)).open(str(path), ReportRequest(CLASSES, top=3))
    report.write(rows)
    report.commit()


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzzed(50)
@given(st.lists(NAMES.map(as_on_a_disk), unique_by=os.path.normpath, max_size=9))
def test_what_is_written_is_read_in_every_format(suffix, tmp_path_factory, names):
    path = tmp_path_factory.mktemp("report") / f"report{suffix}"
    written = predictions(names)
    write(path, written)
    read = list(ReportRows(str(path)))
    assert [(os.path.normpath(name), one.label, one.status) for name, one in read] == [
        (os.path.normpath(one.path), one.label, one.status) for one in written
    ]
    assert [one.score for _, one in read] == [
        one.score if one.score is None else pytest.approx(one.score, abs=1e-6) for one in written
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_has_its_bytes_and_no_guard_against_formulas(suffix, tmp_path):
    names = ["=1.jpg", "-.jpg", "\udcff.jpg", '".jpg', '"\\x41"', "./ordinary.jpg", "a\r\nb.jpg"]
    write(tmp_path / f"r{suffix}", predictions(names))
    assert [path for path, _ in ReportRows(str(tmp_path / f"r{suffix}"))] == names


def test_a_report_without_images_has_no_rows(tmp_path):
    for suffix in SUFFIXES:
        write(tmp_path / f"r{suffix}", [])
        assert list(ReportRows(str(tmp_path / f"r{suffix}"))) == []


def test_columns_may_stand_in_any_order_and_others_beside(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("\ufeffx,score,status,path,label\n7,1,review,a.jpg,pizza\n", encoding="utf-8")
    assert list(ReportRows(str(path))) == [("a.jpg", Answer("pizza", 1.0, Status.REVIEW))]


WRONG_CSV = {
    "": ": empty",
    "\r\n": ":1: not a report: it lacks the columns path, label, score, status",
    "path;label;score;status;error\r\n": ":1: not a report: it lacks the columns path, label",
    "a.jpg\tpizza\n": ":1: not a report",
    "path,label,status,error\r\n": ":1: not a report: it lacks the column score",
    HEADER + "a.jpg,pizza,0.5,ok\r\n": ":2: 4 cells, where the first line names 5 columns",
    HEADER + ROW + "b.jpg,pizza,0.5,ok,,\r\n": ":3: 6 cells",
    HEADER + ROW + "\r\n": ":3: 0 cells",
    HEADER + ROW + "b.jpg,piz": ":3: the line has no end, so the file may be cut off",
    HEADER + ROW.rstrip(): ":2: the line has no end",
    HEADER.rstrip(): ":1: the line has no end",
    HEADER + '"a.jpg,pizza,0.5,ok,\r\nb.jpg': ":2: not a row of a report",
    HEADER + '"a"x,pizza,0.5,ok,\r\n': ":2: not a row of a report",
    HEADER + '"a\nb","piz\nza",0.5,ok,\r\nc,d,e,ok,\r\n': ":5: score is 'e'",
    HEADER + "a.jpg,pizza,,ok,\r\n": ":2: score is empty",
    HEADER + "a.jpg,pizza,nan,ok,\r\n": ":2: score is nan",
    HEADER + "a.jpg,pizza,1.5,review,\r\n": ":2: score is 1.5",
    HEADER + "a.jpg,pizza,50%,ok,\r\n": ":2: score is '50%', and no number from 0 to 1",
    HEADER + "a.jpg,,0.5,ok,\r\n": ":2: no label, although the status is ok",
    HEADER + "a.jpg,pizza,,error,\r\n": ":2: a label or a score, although the status is error",
    HEADER + "a.jpg,,0.5,unknown,\r\n": ":2: a label or a score",
    HEADER + "a.jpg,pizza,0.5,fine,\r\n": ":2: status is 'fine', and none of ok, review, unknown",
    HEADER + "a.jpg,pizza,0.5,,\r\n": ":2: status is empty",
    HEADER + ",pizza,0.5,ok,\r\n": ":2: a row without a path",
    HEADER + "a\0.jpg,pizza,0.5,ok,\r\n": ":2: not a report: this is no text",
    "PK\x03\x04\0\0\n": ":1: not a report: this is no text",
}


@pytest.mark.parametrize(("text", "message"), WRONG_CSV.items())
def test_what_is_wrong_with_a_csv_is_told_with_its_line(tmp_path, text, message):
    assert_told(tmp_path / "r.csv", text.encode(), message)


def test_a_csv_without_line_breaks_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "r.csv"
    with path.open("wb") as file:
        file.write(b"path,label,score,status\n")
        file.seek(40 * 2**30)  # a sparse file, larger than any memory that this test may have
        file.write(b"\n")
    assert_told(path, None, ":2: not a report: this is no text")


GOOD = {"path": "a.jpg", "label": "pizza", "score": 0.5, "status": "ok", "error": None}
WRONG_JSON = {
    "not JSON\n": ":1: not a row of a report: no JSON object",
    "[1]\n": ":1: not a row of a report",
    "[" * 100_000 + "\n": ":1: not a row of a report",
    "{}\n": ":1: not a report: it lacks the columns path, label, score, status",
    '{"path": "a"}\n': ":1: not a report: it lacks the columns label, score, status",
    json.dumps(GOOD) + "\n{}\n": ":2: a row has path, label, score, status, and this one lacks",
    json.dumps(GOOD) + "\n\n": ":2: not a row of a report",
    json.dumps(GOOD) + '\n{"path": "b.j': ":2: the line has no end, so the file may be cut off",
    json.dumps(GOOD): ":1: the line has no end",
    json.dumps({**GOOD, "path": 7}) + "\n": ":1: a row without a path",
    json.dumps({**GOOD, "score": "0.5"}) + "\n": ":1: score is '0.5'",
    json.dumps({**GOOD, "score": True}) + "\n": ":1: score is True",
    json.dumps({**GOOD, "score": float("nan")}) + "\n": ":1: score is nan",
    json.dumps({**GOOD, "label": 7}) + "\n": ":1: no label",
    json.dumps({**GOOD, "status": ["ok"]}) + "\n": ":1: status is ['ok']",
    json.dumps({**GOOD, "status": None}) + "\n": ":1: status is empty",
}


@pytest.mark.parametrize(("text", "message"), WRONG_JSON.items())
def test_what_is_wrong_with_json_lines_is_told_with_its_line(tmp_path, text, message):
    assert_told(tmp_path / "r.jsonl", text.encode(), message)


def parquet(path: Path, *rows: dict, schema: pa.Schema | None = None) -> bytes:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
    return path.read_bytes()


def test_what_is_wrong_with_parquet_is_told_with_its_row(tmp_path):
    path = tmp_path / "r.parquet"
    whole = parquet(path, GOOD, {**GOOD, "path": "b.jpg"})
    assert len(list(ReportRows(str(path)))) == 2
    assert_told(path, whole[:-9], ": not a Parquet file, or cut off")
    assert_told(path, whole[: len(whole) // 2], ": not a Parquet file, or cut off")
    assert_told(path, b"", ": not a Parquet file, or cut off")
    assert_told(path, HEADER.encode(), ": not a Parquet file, or cut off")
    parquet(path, {"path": "a", "label": "b"})
    assert_told(path, None, ": not a report: it lacks the columns score, status")
    parquet(path, GOOD, {**GOOD, "status": "fine"})
    assert_told(path, None, ":row 2: status is 'fine'")
    parquet(path, {**GOOD, "path": b"a.jpg"})
    assert_told(path, None, ":row 1: a row without a path")
    parquet(path, {**GOOD, "score": "0.5"})
    assert_told(path, None, ":row 1: score is '0.5'")


@pytest.mark.parametrize("suffix", SUFFIXES)
@fuzzed(40)
@given(data=st.data())
def test_a_damaged_report_is_read_or_told(suffix, tmp_path_factory, data):
    """Bytes that change or are missing give rows, or an error of ours: never another one."""
    path = tmp_path_factory.mktemp("damaged") / f"r{suffix}"
    write(path, predictions([f"{number}.jpg" for number in range(9)]))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    path.write_bytes(content)
    try:
        assert len(list(ReportRows(str(path)))) <= 9
    except UsageError as error:
        assert error.message.startswith(str(path))


def test_what_is_no_file_is_told(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in [
        ("gone.csv", ": no such file"),
        ("folder.csv", ": a folder"),
        ("pipe.csv", ": a named pipe"),
        ("nul\0.csv", ": embedded null byte"),
    ]:
        with pytest.raises(UsageError) as caught:
            list(ReportRows(f"{tmp_path}/{name}"))
        assert message in caught.value.message


def assert_told(path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        list(ReportRows(str(path)))
    assert caught.value.message.startswith(f"{path}{message}"), caught.value.message
    assert caught.value.hint
