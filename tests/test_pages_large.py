"""Pages of very many images: what they take, to the order of magnitude."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SOAK

# A run's way from outcomes to report and page, with 100,000 outcomes that nothing was computed for.
CODE = """
import json, os, random, sys, time
from collections.abc import Iterator
from datetime import datetime, timezone

import numpy as np

from batchcls import pipeline
from batchcls.commands.run import RunPlan
from batchcls.commands.runhtml import RunHtml
from batchcls.judging import Judge
from batchcls.maxerrors import parse_max_errors
from batchcls.records import Outcome, Prediction, ReportRequest, RunInfo, RunSummary, Status
from batchcls.reports.csv import CsvReport
from batchcls.settings import Settings
from batchcls.terminal import Terminal
from batchcls.thumbnails import thumbnail

COUNT, CLASSES = int(sys.argv[1]), [f"class {number}" for number in range(1000)]
settings = Settings()
plan = RunPlan(
    settings, None, template="report.csv", report="report.csv", summary="", html="page.html",
    started=datetime.now(timezone.utc), allowance=parse_max_errors(0), since=None,
    must_explain=False,
)
info = RunInfo(("images",), "report.csv", "model", "0" * 64, tuple(CLASSES), "2026")
judge = Judge(0.5, True)
page = RunHtml(plan, info, judge, Terminal(quiet=True))
chance = random.Random(1)
patches = np.random.default_rng(1).integers(0, 256, (18, 24, 3), dtype=np.uint8)
drawn = thumbnail(np.kron(patches, np.ones((8, 8, 1), np.uint8)))

def outcome(number):
    name = f"folder {number // 1000}/photograph {number}.jpg"
    if number % 50 == 0:
        return Outcome(Prediction(name, Status.ERROR, error="an empty file"), None, file=name)
    scores = sorted((chance.random() for _ in range(10)), reverse=True)
    leading = tuple((chance.randrange(1000), score) for score in scores)
    distance = 1.5 if number % 99 == 0 else 0.5
    made = Prediction(
        name, Status.OK, CLASSES[leading[0][0]], scores[0], leading=leading, distance=distance
    )
    wanted = page.gallery.wants(made)
    return Outcome(made, b"0" * 32, file=name, thumbnail=drawn if wanted else None)

def chunks() -> Iterator[list[Outcome]]:
    for first in range(0, COUNT, 8):
        yield [outcome(number) for number in range(first, first + 8)]

def add(outcomes, predictions):
    page.add(zip(outcomes, predictions, strict=True))

def peak():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

before = peak()
summary = RunSummary()
report = CsvReport("report.csv", ReportRequest(CLASSES))
pipeline.run(chunks(), report, summary, judge, on_batch=add, at_end=lambda: None)
start = time.perf_counter()
assert page.commit(summary)
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "megabytes": peak() - before,
    "bytes": os.path.getsize("page.html"),
    "rows": sum(1 for _ in open("report.csv")) - 1,
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of memory")
@pytest.mark.fuzz
def test_page_of_a_run_over_very_many_images(tmp_path: Path):
    """Over 20,000; in a soak, over 100,000."""
    most = 20_000 if SOAK == 1 else 100_000

    def made(count: int) -> dict[str, float]:
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(count)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ},
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, float] = json.loads(done.stdout)
        return found

    few, many = made(2000), made(most)
    assert many["rows"] == most
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"{most:,}" in text
    # As large as that of a part of them, give or take: it shows no more images.
    assert text.count("data:image/webp") == 500
    assert 0.5 < many["bytes"] / few["bytes"] < 1.5
    assert many["bytes"] < 10_000_000
    # Of the many nothing is kept but those that are shown.
    assert many["megabytes"] < 150
    assert many["megabytes"] - few["megabytes"] < most / 2000  # half a kilobyte for each
    assert many["seconds"] < 60
