"""The measurements behind docs/scale.md: they measure what they say. No figure is tested."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from batchcls import assembly
from batchcls.records import ImageFile
from batchcls.remote.reading import RemoteFiles
from batchcls.scan import scan
from batchcls.sharding import shard_of
from batchcls.store.rows import unpacked_features, unpacked_prediction
from benchmarks.scale import costs, options, probe
from benchmarks.scale.bucket import BYTES, FOLDER, bucket, key_of
from benchmarks.scale.distantwork import DIFFERENT, NoWork
from benchmarks.scale.listing import ROOT, settings_for
from benchmarks.scale.rows import DIMENSION, Made, blocks, number_of
from benchmarks.scale.storing import opened

from .conftest import ROOT as PROJECT
from .conftest import picture

pytestmark = pytest.mark.skipif(not probe.available(), reason="needs /proc")

PAGE = PROJECT / "docs" / "scale.md"
TINY = {
    "names": 2500,
    "files": 1200,
    "objects": 30,
    "contents": 300,
    "rows": 2000,
    "shards": 4,
    "images": 400,
}


def measured(*arguments: str, folder: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    sizes = [text for name, size in TINY.items() for text in (f"--{name}", str(size))]
    command = [sys.executable, "-m", "benchmarks.scale", *sizes, "--folder", str(folder)]
    return subprocess.run(
        ["sh", "-c", f'{before}exec "$@"', "sh", *command, *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )


def tables(text: str) -> dict[str, list[dict[str, str]]]:
    """Read the tables by their titles: the rows, by column."""
    found = {}
    for title, part in re.findall(r"^## (.*?)\n\n(.*?)(?=\n\n|\Z)", text, re.DOTALL | re.MULTILINE):
        header, _, *rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()
        ]
        found[title] = [dict(zip(header, row, strict=True)) for row in rows]
    return found


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_everything_is_measured_and_nothing_is_left_behind(tmp_path):
    done = measured("--out", str(tmp_path / "tables.md"), folder=tmp_path / "work")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tables.md").read_text() == done.stdout
    assert list((tmp_path / "work").iterdir()) == []
    found = tables(done.stdout)
    assert list(found) == [
        "Listing a bucket",
        "Listing folders",
        "Reading objects",
        "The store",
        "Reports",
        "A Dask scheduler, and the one who asks",
        "Costs",
    ]

    whole, part = found["Listing a bucket"]
    assert (whole["names"], whole["taken"], part["names"]) == ("2,500", "2,500", "500")
    own = sum(shard_of(key_of(one).removeprefix(FOLDER), 16) == 3 for one in range(500))
    assert part["taken"] == str(own)
    [folders] = found["Listing folders"]
    assert folders["taken"] == "1,200"
    [objects] = found["Reading objects"]
    assert (objects["objects"], objects["size, KB"]) == ("30", "109")
    kept, recalled = found["The store"]
    assert kept["images"] == recalled["images"] == "300"
    assert 2600 < number(kept["bytes each on the disk"]) < 8000
    assert [row["report"] for row in found["Reports"]] == [
        "csv",
        "jsonl",
        "parquet",
        "`batchcls merge`, 4 shards",
    ]
    assert {row["rows"] for row in found["Reports"]} == {"2,000"}
    scheduled = found["A Dask scheduler, and the one who asks"]
    assert [row["images a task"] for row in scheduled] == ["64", "64", "64", "64", "256"]
    assert len(found["Costs"]) == 6

    del found["Costs"]
    for title, rows in found.items():
        for row in rows:
            for column, value in row.items():
                if column.endswith("/s") or "memory" in column or column == "and late":
                    assert number(value or "1") > 0, (title, column)


def test_what_fails_is_told_and_left_out(tmp_path):
    limit = "ulimit -n 40; "  # fewer files than there are shards
    done = measured("reports", "costs", "--shards", "60", folder=tmp_path, before=limit)
    assert done.returncode == 1, done.stderr
    assert "Left out: reports: " in done.stdout
    assert "Too many open files" in done.stdout
    assert list(tables(done.stdout)) == ["Costs"]
    assert list(tmp_path.iterdir()) == []


def test_the_bucket_has_what_it_says():
    with bucket(2345) as (address, _), closing(RemoteFiles(settings_for(address))) as remote:
        files = list(scan([ROOT], assembly.scan_rules(settings_for(address)), remote=remote))
        keys = [FOLDER + file.key for file in files]
        assert keys == [key_of(one) for one in range(2345)] == sorted(keys)
        assert len({file.identity for file in files}) == 2345
        with remote.opened(files[1234].path, 10**6) as content:
            assert len(content.file.read()) == BYTES
            assert content.identity == files[1234].identity


def test_made_up_results_are_like_real_ones():
    made = Made(class_count=1000, different=16)
    zeros = (made.features == 0).mean()
    assert made.features.shape == (16, DIMENSION)
    assert 0.45 < zeros < 0.55
    assert len({row.tobytes() for row in made.features}) == 16
    one, other = made.prediction(5), made.prediction(21)
    assert one.leading == other.leading
    assert one.score != other.score
    assert len(one.scores) == 1000
    assert one.label == made.classes[one.leading[0][0]]
    assert [number_of(made.file(one)) for one in (0, 999, 1000, 123_456)] == [0, 999, 1000, 123_456]
    assert [list(one) for one in blocks(5, 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("kept", [False, True])
def test_work_for_a_cluster_gives_what_a_store_can_keep(tmp_path, kept):
    memory = opened(str(tmp_path), 10)
    with closing(memory.store):
        files = [Made().file(number) for number in range(DIFFERENT - 4, DIFFERENT + 4)]
        done = NoWork(10, memory.ways if kept else None)(files)
        assert [outcome.prediction.path for outcome in done.outcomes] == [one.key for one in files]
        assert len(done.findings) == (8 if kept else 0)
        for finding in done.findings:
            [features] = finding.features.values()
            assert len(unpacked_features(features, DIMENSION)) == DIMENSION
            assert len(unpacked_prediction(finding.prediction, 10).scores) == 10
        memory.keep(done.findings)
        recalled = memory.recall(files, [one.identity for one in done.findings] or [None] * 8)
        assert all(isinstance(one, ImageFile) != kept for one in recalled)


def test_memory_is_told_early_and_late():
    code = (
        "from benchmarks.scale.probe import Work, tell\n"
        "work = Work(4)\nwork.did(2)\nmore = b'x' * 50_000_000\nwork.did(2)\ntell(work.figures())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    assert figures["done"] == 4
    assert 1e6 < figures["early_peak"] < figures["peak"] - 40e6
    assert figures["cpu"] > 0
    assert figures["seconds"] > 0


# Options


def test_all_is_measured_unless_something_is_named():
    asked, sizes = options.read([])
    assert tuple(asked.what) == options.NAMES
    assert sizes == options.Sizes()
    asked, sizes = options.read(["costs", "listing", "--quick", "--names", "5_000"])
    assert asked.what == ["listing", "costs"]
    assert sizes.names == 5000
    assert sizes.rows == options.QUICK.rows


@pytest.mark.parametrize("wrong", [["nonsense"], ["--names", "0"], ["--rows", "many"]])
def test_what_is_wrong_with_the_options_is_said(wrong, capsys):
    with pytest.raises(SystemExit):
        options.read(wrong)
    assert wrong[-1] in capsys.readouterr().err


# Costs


def test_costs_are_arithmetic():
    prices = costs.Prices(core_hour=0.10, spot_core_hour=0.02, listing=5.0, getting=0.5)
    one = costs.cost(72_000_000, 200.0, prices)
    assert one.core_hours == pytest.approx(100)
    assert one.cores_for_a_night == 13
    assert one.seconds == pytest.approx((360_000, 22_500, 360))
    assert (one.on_demand, one.spot) == pytest.approx((10.0, 2.0))
    assert one.requests == pytest.approx(72_000 / 1000 * 5.0 + 72_000 * 0.5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (5, "5 s"), (119, "119 s"), (120, "2 min"), (5000, "83 min"), (8640, "2.4 h")],
)
def test_times_are_told_in_units_that_suit_them(seconds, text):
    assert costs.duration(seconds) == text


# The page


def test_the_page_has_the_costs_as_they_are_computed():
    assert costs.table(costs.Prices()) in PAGE.read_text(encoding="utf-8")


def fenced(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def place(tmp_path, model):
    """A folder as the page has it, and a shell whose ``batchcls`` is this one."""
    (tmp_path / "photos").mkdir()
    for one in range(9):
        picture(one).save(tmp_path / "photos" / f"{one}.png")
    (tmp_path / "holiday.batchcls").write_bytes(model.read_bytes())
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "batchcls"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m batchcls "$@"\n')
    program.chmod(0o755)

    def shell(code: str, **env: str) -> None:
        for there, here in {
            "/data/photos": "photos",
            "s3://photos/2026": "photos",
            "s3://models/": "",
            "s3://reports/": "reports/",
        }.items():
            code = code.replace(there, here)
        path = f"{program.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", code],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return tmp_path, shell


def rows_of(report: Path) -> list[str]:
    return sorted(line.split(",")[0] for line in report.read_text().splitlines()[1:])


def test_the_example_for_slurm_works(place):
    folder, shell = place
    script, after = fenced("sh")[:2]
    assert "#SBATCH --array=1-64\n" in script
    for task in ("1", "2"):
        env = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2", "TMPDIR": str(folder)}
        shell(script, **env)
    [command] = re.findall(r"--wrap '(.*?)'", after)
    shell(command.replace("64", "2"))
    assert rows_of(folder / "report.csv") == [f"{one}.png" for one in range(9)]


def test_the_example_for_kubernetes_works(place):
    folder, shell = place
    [text] = fenced("yaml")
    job = yaml.safe_load(text)["spec"]
    [container] = job["template"]["spec"]["containers"]
    [code] = container["args"]
    assert container["command"] == ["sh", "-c"]
    assert job["completions"] == job["parallelism"] == 64
    assert f"/{job['completions']} " in code.replace("\n", " ")
    assert [one["mountPath"] for one in container["volumeMounts"]] == [
        one["value"] for one in container["env"]
    ]
    (folder / "reports").mkdir()
    store = {one["name"]: str(folder / "store") for one in container["env"]}
    for index in ("0", "1"):
        shell(code.replace("/64", "/2"), JOB_COMPLETION_INDEX=index, **store)
    reports = sorted((folder / "reports").iterdir())
    assert [one.name for one in reports] == ["1-of-2.csv", "2-of-2.csv"]
    assert sorted(rows_of(reports[0]) + rows_of(reports[1])) == [f"{one}.png" for one in range(9)]
