"""The summary of a run, as a program reads it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import batchcls as package
from batchcls.records import RunInfo, RunSummary
from batchcls.runsummary import as_bytes, status_of, summary_of, write_summary
from batchcls.sharding import Shard

STARTED = datetime(2026, 11, 24, 2, 15, tzinfo=timezone(timedelta(hours=1)))
KEYS = [
    *(
        "format",
        "status",
        "exit_status",
        "error",
        "started",
        "finished",
        "seconds",
        "seconds_classifying",
        "counts",
    ),
    *("labels", "report", "report_written", "page", "images", "shard", "model", "versions"),
]
INFO = RunInfo(
    images=("photos", "/data"),
    output="report.csv",
    model="birds.batchcls",
    model_digest="abc123",
    classes=("crow", "owl"),
    started="2026-11-24T01:15:00+00:00",
)


def a_summary() -> RunSummary:
    return RunSummary(
        labels=Counter({"owl": 3, "crow": 3, "magpie": 9}),
        review=4,
        unknown=2,
        unreadable=3,
        faults=1,
        recalled=12,
        left_out=5,
    )


def told(summary: RunSummary | None = None, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "started": STARTED,
        "finished": STARTED + timedelta(seconds=61.25),
        "exit_status": 0,
        "report": "report.csv",
        "report_written": True,
        **changes,
    }
    info = arguments.pop("info", INFO)
    return summary_of(info, summary or a_summary(), **arguments)


def test_summary_says_what_was_done(tmp_path):
    value = json.loads(as_bytes(told()))
    assert list(value) == KEYS
    assert value["format"] == 1
    assert (value["status"], value["exit_status"], value["error"]) == ("ok", 0, None)
    assert value["started"] == "2026-11-24T01:15:00.000+00:00"
    assert value["finished"] == "2026-11-24T01:16:01.250+00:00"
    assert value["seconds"] == 61.25
    assert value["counts"] == {
        "images": 20,
        "ok": 11,
        "review": 4,
        "unknown": 2,
        "error": 3,
        "plugin_failed": 1,
        "left_out": 5,
        "computed": 8,
        "recalled": 12,
    }
    counts = value["counts"]
    assert counts["ok"] + counts["review"] + counts["unknown"] + counts["error"] == counts["images"]
    assert list(value["labels"].items()) == [("magpie", 9), ("crow", 3), ("owl", 3)]
    assert value["report"] == str(tmp_path / "report.csv")
    assert value["page"] is None
    assert json.loads(as_bytes(told(page="a.html")))["page"] == str(tmp_path / "a.html")
    assert value["images"] == [str(tmp_path / "photos"), "/data"]
    assert value["shard"] is None
    assert json.loads(as_bytes(told(shard=Shard(3, 16))))["shard"] == {"index": 3, "count": 16}
    assert value["model"] == {"name": "birds.batchcls", "digest": "abc123", "classes": 2}


def test_versions_are_those_that_are_installed_and_nothing_is_imported_for_them():
    code = (
        "import json, sys; from batchcls.runsummary import versions\n"
        "found = versions()\n"
        "heavy = {'numpy', 'PIL', 'tensorflow', 'sklearn', 'ai_edge_litert'} & set(sys.modules)\n"
        "print(json.dumps([found, sorted(heavy)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    versions, heavy = json.loads(done.stdout)
    assert heavy == []
    assert versions["batchcls"] == package.__version__
    assert versions["python"] == platform.python_version()
    assert versions["platform"]
    for name in ("numpy", "pillow", "ai-edge-litert", "scikit-learn"):
        assert versions[name] == importlib.metadata.version(name)
    assert versions["tensorflow"]


@pytest.mark.parametrize(
    ("exit_status", "status"),
    [
        *((0, "ok"), (1, "failed"), (2, "usage"), (3, "unreadable"), (4, "busy")),
        *((130, "interrupted"), (143, "interrupted"), (129, "interrupted"), (77, "failed")),
    ],
)
def test_every_exit_status_has_its_word(exit_status, status):
    assert status_of(exit_status) == status
    assert told(exit_status=exit_status)["status"] == status


def test_run_that_ended_before_it_had_a_model():
    value = told(
        RunSummary(), info=None, exit_status=2, error="no model", report="-", report_written=False
    )
    assert list(value) == KEYS
    assert value["model"] is None
    assert (value["images"], value["labels"], value["counts"]["images"]) == ([], {}, 0)
    assert (value["report"], value["report_written"], value["error"]) == ("-", False, "no model")


def test_names_that_are_not_utf8_give_valid_json():
    data = as_bytes(told(report="/data/caf\udce9.csv", images=["\udcff"], error='"\n\x1b'))
    value = json.loads(data.decode("utf-8"))
    assert os.fsencode(value["report"]) == b"/data/caf\xe9.csv"
    assert os.fsencode(value["images"][0]).endswith(b"\xff")
    assert value["error"] == '"\n\x1b'
    assert "über" in as_bytes(told(error="über")).decode("utf-8")


def test_summary_is_written_whole_or_not_at_all(tmp_path):
    said: list[str] = []
    for _ in range(2):
        assert write_summary("s.json", "s.json", told(), said.append)
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "ok"
    assert write_summary("{year}/s.json", "2026/s.json", told(), said.append)
    assert (tmp_path / "2026" / "s.json").exists()
    assert said == []
    for place in ("no/such/s.json", "2026", "/dev/full"):
        assert not write_summary(place, place, told(), said.append)
    assert len(said) == 3
    assert all(one.startswith("there is no summary: ") for one in said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026", "s.json"]
