"""The writers of reports: what stands in them, in each format, and how much of it is held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.plugins import registry
from batchcls.records import Prediction, ReportRequest, Status
from batchcls.reportcolumns import quoted_path, rounded, unquoted_path

from .conftest import fuzzed
from .reports import HOSTILE, SUFFIXES, TYPED, Row, bytes_of, rows_of

CLASSES = ["cat", "dog", 'a, "b".c', "Ж\u2028\u202e🦓"]


def labelled(path: str, *scores: float, **others: Any) -> Prediction:
    best = int(np.argmax(scores))
    return Prediction(
        path,
        Status.OK,
        label=CLASSES[best],
        score=scores[best],
        scores=np.array(scores),
        **others,
    )


def write(path: Path, *predictions: Prediction, **asked: Any) -> list[Row]:
    """Write a report by the format of its ending, in two parts, and read it."""
    report = registry().report_format(path.suffix).open(str(path), ReportRequest(CLASSES, **asked))
    report.write(predictions[:1])
    report.write(predictions[1:])
    report.commit()
    return rows_of(path)


class TestWriter:
    def test_jsonl_is_an_object_on_each_line(self, tmp_path):
        bad = Prediction("sub/b.jpg", Status.ERROR, error='cut off, or "broken"')
        write(tmp_path / "r.jsonl", labelled("a.jpg", 0.25, 0.75, 0.0, 0.0), bad)
        assert (tmp_path / "r.jsonl").read_bytes() == (
            b'{"path":"a.jpg","label":"dog","score":0.75,"status":"ok","error":null}\n'
            b'{"path":"sub/b.jpg","label":null,"score":null,"status":"error",'
            b'"error":"cut off, or \\"broken\\""}\n'
        )

    def test_jsonl_has_nothing_that_a_terminal_obeys_and_no_other_line_breaks(self, tmp_path):
        names = [os.fsdecode(name) for name in HOSTILE]
        write(tmp_path / "r.jsonl", *(labelled(name, 0.1, 0.2, 0.3, 0.4) for name in names))
        text = (tmp_path / "r.jsonl").read_bytes().decode()
        lines = text.splitlines()
        assert len(lines) == len(names)
        assert all(line.isprintable() for line in lines)
        assert "🦓" in text

    @pytest.mark.parametrize("suffix", TYPED)
    def test_strict_readers_take_any_name(self, tmp_path, suffix):
        """Lone surrogates, say, which JSON can spell, are refused by most, with the whole file."""
        import pyarrow.json

        names = [os.fsdecode(name) for name in HOSTILE]
        path = tmp_path / f"r{suffix}"
        bad = (Prediction(name, Status.ERROR, error=f"no {name}") for name in names)
        rows = write(path, *bad)
        if suffix == ".jsonl":
            assert pyarrow.json.read_json(path)["path"].to_pylist() == [row["path"] for row in rows]
        assert [bytes_of(row["path"], suffix) for row in rows] == HOSTILE
        assert "no caf\\xe9.png" in {row["error"] for row in rows}

    def test_parquet_has_types_and_tells_the_classes(self, tmp_path):
        why = (("one.jpg", 0.12345), ("two; (0.5).jpg", 0.5))
        first = labelled("a.jpg", 0.25, 0.75, 0.0, 0.0, because=why)
        rows = write(
            tmp_path / "r.parquet",
            first,
            Prediction("b.jpg", Status.ERROR, error="x"),
            top=2,
            scores=True,
            explain=True,
        )
        table = pq.read_table(tmp_path / "r.parquet")
        types = dict(zip(table.schema.names, table.schema.types, strict=True))
        reasons = types.pop("because")
        assert {name: str(type_) for name, type_ in types.items()} == {
            **dict.fromkeys(("path", "label", "status", "error", "label_2"), "string"),
            **dict.fromkeys(("score", "score_2", *(f"score:{name}" for name in CLASSES)), "double"),
        }
        assert reasons.value_type == pa.struct([("image", pa.string()), ("weight", pa.float64())])
        assert json.loads(table.schema.metadata[b"batchcls.classes"]) == CLASSES
        assert rows[0]["because"] == [
            {"image": "one.jpg", "weight": 0.123},
            {"image": "two; (0.5).jpg", "weight": 0.5},
        ]
        assert rows[0]["score:dog"] == rows[0]["score"] == 0.75
        assert set(rows[1].values()) == {"b.jpg", "error", "x", None}

    def test_because_is_an_array_in_jsonl(self, tmp_path):
        rows = write(
            tmp_path / "r.jsonl",
            labelled("a.jpg", 0.5, 0.25, 0.25, 0.0, because=(("one.jpg", 0.12345),)),
            Prediction("b.jpg", Status.ERROR, error="x"),
            explain=True,
        )
        assert rows[0]["because"] == [{"image": "one.jpg", "weight": 0.123}]
        assert rows[1]["because"] is None

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_label_that_is_withheld_has_no_runners_up_but_the_scores_that_were_asked_for(
        self, tmp_path, suffix
    ):
        withheld = Prediction(
            "a.jpg", Status.UNKNOWN, error="unlike", scores=np.array([0.1, 0.2, 0.3, 0.4])
        )
        [row] = write(tmp_path / f"r{suffix}", withheld, top=2, scores=True)
        assert [row["label"], row["score"], row["label_2"], row["score_2"]] == [None] * 4
        assert [row[f"score:{name}"] for name in CLASSES] == [0.1, 0.2, 0.3, 0.4]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_discarded_it_leaves_the_old_report(self, tmp_path, suffix):
        path = tmp_path / f"r{suffix}"
        path.write_bytes(b"old")
        report = registry().report_format(suffix).open(str(path), ReportRequest(CLASSES))
        report.write([labelled(f"{number}.jpg", 0.1, 0.2, 0.3, 0.4) for number in range(1000)])
        report.discard()
        del report
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == [path.name]

    @pytest.mark.parametrize("suffix", TYPED)
    def test_bytes_do_not_depend_on_how_many_come_at_once(self, tmp_path, suffix):
        predictions = [
            labelled(f"{number}.jpg", *np.roll([0.7, 0.2, 0.1, 0.0], number % 4))
            for number in range(40_000)
        ]
        found = set()
        for at_once in (7, 40_000):
            path = tmp_path / f"{at_once}{suffix}"
            report = registry().report_format(suffix).open(str(path), ReportRequest(CLASSES))
            for start in range(0, len(predictions), at_once):
                report.write(predictions[start : start + at_once])
            report.commit()
            found.add(path.read_bytes())
        assert len(found) == 1


# What is written is far more than what may be held: rows, classes, scores, and most MB.
MANY = {
    ".csv": (30_000, 4, False, 8),
    ".jsonl": (30_000, 4, False, 8),
    ".parquet": (100_000, 300, True, 150),
}
WRITE_MANY = """
import sys
from pathlib import Path
import numpy as np
from batchcls.plugins import registry
from batchcls.records import Prediction, ReportRequest, Status

suffix, count, scores = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "True"
classes = [f"class {number}" for number in range(count)]

def held():  # of this process alone: ru_maxrss begins with what its parent had
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

format_ = registry().report_format(suffix)
report = format_.open("r" + suffix, ReportRequest(classes, top=2, scores=scores))
before = held()
for start in range(0, int(sys.argv[4]), 8):
    predictions = []
    for number in range(start, start + 8):
        values = np.full(count, 1 / 8 / count)
        values[number % count] = 0.875
        leading = ((number % count, 0.875), ((number + 1) % count, 1 / 8 / count))
        label, all_ = classes[number % count], values if scores else None
        name = f"{number:06} " + "x" * 1000 + ".jpg"
        predictions.append(
            Prediction(name, Status.OK, label=label, score=0.875, scores=all_, leading=leading)
        )
    report.write(predictions)
report.commit()
print(held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_that_are_many_are_not_held(tmp_path, suffix):
    count, classes, scores, most = MANY[suffix]
    done = subprocess.run(
        [sys.executable, "-c", WRITE_MANY, suffix, str(classes), str(scores), str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < most
    if suffix == ".parquet":
        table = pq.read_table("r.parquet", columns=["path", "score"])
        paths, scores = table["path"].to_pylist(), table["score"].to_pylist()
    else:
        rows = rows_of(tmp_path / f"r{suffix}")
        paths, scores = [row["path"] for row in rows], [row["score"] for row in rows]
    assert [int(path[:6]) for path in paths] == list(range(count))
    assert set(scores) == {0.875}


class TestColumns:
    NAMES = st.binary(max_size=12).map(os.fsdecode)

    @fuzzed(300)
    @given(name=NAMES | st.text(st.characters(), max_size=8) | st.text('"\\x01e9u\udce9\ud800'))
    def test_a_quoted_path_is_unicode_and_leads_back(self, name):
        quoted = quoted_path(name)
        quoted.encode("utf-8")
        assert unquoted_path(quoted) == name

    @fuzzed(300)
    @given(names=st.sets(NAMES | st.text('"\\x1e9\udce9'), max_size=8))
    def test_no_two_names_are_quoted_alike(self, names):
        assert len({quoted_path(name) for name in names}) == len(names)

    @fuzzed(300)
    @given(
        scores=st.lists(
            st.floats(0, 1)
            | st.integers(0, 2**20).map(lambda one: one / 2**20)
            | st.integers(0, 10**7).map(lambda one: one / 10**7)
        )
    )
    def test_numbers_are_those_of_the_csv(self, scores):
        assert rounded(np.array(scores)).tolist() == [float(f"{one:.6f}") for one in scores]
