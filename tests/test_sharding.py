"""Shards: which file belongs to which, and runs that each take one of them, all at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.errors import ConfigError
from batchcls.records import ImageFile, RunSummary
from batchcls.sharding import (
    MOST_SHARDS,
    Shard,
    Share,
    parse_shard,
    shard_in_name,
    shard_of,
)

from .conftest import Result, fuzzed, make_classes, picture
from .images import saved
from .reports import HOSTILE, SUFFIXES, rows_of
from .test_architecture import HEAVY, modules_loaded_by

PATHS = st.binary(min_size=1, max_size=40).map(os.fsdecode)


def at_once(
    batchcls: Callable[..., Result], *commands: Sequence[str | bytes | Path]
) -> list[Result]:
    """Run the command several times, all at the same time."""
    with ThreadPoolExecutor(len(commands)) as threads:
        return list(threads.map(lambda command: batchcls(*command), commands))


@pytest.mark.parametrize(
    ("path", "of_16", "of_1000"),
    [
        (b"a.jpg", 11, 27),
        (b"2026/11/IMG_0042.jpg", 1, 825),
        ("Zürich/犬.png".encode(), 6, 702),
        (b"caf\xe9.jpg", 8, 176),
        (b"line\nbreak\t.png", 5, 509),
    ],
)
def test_the_shard_of_a_path_never_changes(path, of_16, of_1000):
    """These are promised. Nobody's shards may move with a new version."""
    key = os.fsdecode(path)
    assert (shard_of(key, 16), shard_of(key, 1000)) == (of_16, of_1000)
    number = int(hashlib.sha256(path).hexdigest()[:16], 16)  # as the documentation has it
    assert shard_of(key, 16) == number % 16 + 1


def test_a_path_that_a_csv_writes_otherwise_is_in_the_same_shard():
    assert shard_of("./=1+1.png", 99) == shard_of("=1+1.png", 99)
    assert Shard(shard_of("./", 7), 7).has("./")


@fuzzed(200)
@given(st.lists(PATHS, unique=True, max_size=30), st.integers(1, 40))
def test_each_path_is_in_exactly_one_shard(paths, count):
    files = [ImageFile(path, path) for path in paths]
    found: Counter[str] = Counter()
    for index in range(1, count + 1):
        summary = RunSummary()
        taken = list(Share(Shard(index, count), summary).of(files))
        assert taken == [file for file in files if file in taken]  # the order is kept
        assert summary.elsewhere == len(files) - len(taken)
        found.update(file.key for file in taken)
    assert found == Counter(paths)


def test_shards_are_about_as_large_as_each_other():
    sizes = Counter(shard_of(f"2026/11/IMG_{number:05}.jpg", 16) for number in range(16_000))
    assert len(sizes) == 16
    assert all(850 < size < 1150 for size in sizes.values())  # 5 standard deviations


def test_nothing_is_left_out_without_a_shard():
    summary = RunSummary()
    files = [ImageFile("a", "a"), ImageFile("b", "b/", "the folder can't be read: no")]
    assert list(Share(None, summary).of(files)) == files
    assert summary == RunSummary()


@pytest.mark.parametrize(
    ("text", "shard"),
    [
        ("1/1", Shard(1, 1)),
        ("3/16", Shard(3, 16)),
        (" 03 / 16 ", Shard(3, 16)),
        (f"{MOST_SHARDS}/{MOST_SHARDS}", Shard(MOST_SHARDS, MOST_SHARDS)),
    ],
)
def test_a_shard_is_read(text, shard):
    assert parse_shard(text) == shard
    assert parse_shard(str(shard)) == shard


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "3", "/16", "3/", "0/16", "17/16", "-1/16", "1/0", "1/100001", "3/16/2"),
        *("a/b", "1.0/2", "3-of-16", "٣/١٦", "1/99999999999999999999", "3\n/16x"),
    ],
)
def test_what_is_no_shard_is_an_error_that_says_so(text):
    with pytest.raises(ConfigError, match=r"^run -> shard: .* is no shard") as caught:
        parse_shard(text)
    assert "3/16" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "shard"),
    [
        ("report-03-of-16.csv", Shard(3, 16)),
        ("1-of-2/2026-11-24-7-of-9.csv", Shard(7, 9)),
        ("3-of-16", Shard(3, 16)),
        ("x3-of-16x.csv", Shard(3, 16)),
        ("report.csv", None),
        ("17-of-16.csv", None),
        ("0-of-16.csv", None),
        ("1-of-1234567.csv", None),
    ],
)
def test_a_shard_is_found_in_a_name(path, shard):
    assert shard_in_name(path) == shard


@fuzzed(100)
@given(st.integers(1, MOST_SHARDS).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_names_of_shards_sort_and_tell_them(numbers):
    shard = Shard(*numbers)
    assert shard_in_name(f"r-{shard.name}.csv") == shard
    if shard.index < shard.count:
        assert shard.name < Shard(shard.index + 1, shard.count).name


def test_a_shard_loads_nothing_heavy():
    loaded = modules_loaded_by("import batchcls.sharding, batchcls.shardfiles, batchcls.merging")
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


@pytest.fixture
def images(tmp_path):
    """Sixty small pictures, some of them with odd names, and two that can't be read."""
    folder = tmp_path / "images"
    for place in ("", "a", "a-b", "a/b", "ä", "a.b"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number in range(40):
        place = ("", "a", "a-b", "a/b", "a.b")[number % 5]
        picture(number).save(folder / place / f"{number:02}.png")
    data = saved(picture(), "PNG")
    for name in HOSTILE[:-1]:
        if name.endswith(b".png"):
            with open(os.path.join(os.fsencode(folder), "ä".encode(), name), "wb") as file:
                file.write(data)
    (folder / "a" / "broken.jpg").write_bytes(b"no picture")
    (folder / "a" / "empty.png").touch()
    return folder


def test_shards_at_once_on_one_store_are_all_rows_once(batchcls, model, images, tmp_path):
    """In each format; what the first runs have found, the others find in the store."""
    run = ["run", "images", "-m", model, "-v"]
    for suffix in SUFFIXES:
        done = at_once(
            batchcls,
            *([*run, "--shard", f"{k}/4", "-o", f"{{shard}}{suffix}"] for k in range(1, 5)),
        )
        whole = batchcls(*run, "-o", f"all{suffix}")
        assert whole.status == 3
        rows = []
        for index, result in enumerate(done, start=1):
            report = tmp_path / f"{index}-of-4{suffix}"
            own = rows_of(report)
            assert result.status == (3 if any(row["status"] == "error" for row in own) else 0)
            assert f"shard {index}/4: {len(own)} images" in result.out
            warnings = [line for line in result.err.splitlines() if "warning" in line]
            assert [line for line in warnings if "could not be read" not in line] == []
            assert own
            rows += own
        expected = rows_of(tmp_path / f"all{suffix}")
        assert Counter(map(str, rows)) == Counter(map(str, expected))
        assert len(expected) > 55
        assert "known already" in whole.out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_report_is_named_by_the_shard_unless_it_has_a_name(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    run = ["run", "images", "-m", model, "--shard", "03/16"]
    assert batchcls(*run).status == 0
    assert batchcls(*run, "-o", "chosen.csv").status == 0
    assert batchcls(*run, BATCHCLS_RUN_OUTPUT="variable-{shard}.jsonl").status == 0
    folder = tmp_path / "{of} mine"
    folder.mkdir()
    (folder / "config.toml").write_text("[run]\nimages = ['../images']\nshard = '2/5'\n")
    assert batchcls("run", "--config", folder / "config.toml", "-m", model).status == 0
    assert batchcls(*run, "-o", "x", "--config", folder / "config.toml").status == 0
    (folder / "config.toml").write_text("[run]\nimages = ['../images']\noutput = 'mine.csv'\n")
    result = batchcls(
        *("run", "--config", folder / "config.toml", "-m", model), BATCHCLS_RUN_SHARD="2/5"
    )
    assert result.status == 0, result.err
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv"))
    assert found == [
        *("chosen.csv", "report-03-of-16.csv"),
        *("{of} mine/mine.csv", "{of} mine/report-2-of-5.csv"),
    ]
    assert (tmp_path / "variable-03-of-16.jsonl").exists()


def test_summary_and_page_tell_the_shard(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=8)
    folders = ["--summary", "{shard}/s.json", "--html", "{shard}.html"]
    result = batchcls("run", "images", "-m", model, "--shard", "2/2", *folders)
    assert result.status == 0, result.err
    summary = json.loads((tmp_path / "2-of-2" / "s.json").read_text())
    assert summary["shard"] == {"index": 2, "count": 2}
    rows = rows_of(tmp_path / "report-2-of-2.csv")
    assert summary["counts"]["images"] == len(rows) == 16 - summary_of_other(batchcls, model)
    assert summary["report"] == str(tmp_path / "report-2-of-2.csv")
    assert (tmp_path / "2-of-2.html").exists()


def summary_of_other(batchcls, model) -> int:
    result = batchcls(
        *("run", "images", "-m", model, "--shard", "1/2", "--log-format", "json", "-o", "1.csv")
    )
    finished = [json.loads(line) for line in result.err.splitlines()][-1]
    assert finished["message"].startswith("shard 1/2: ")
    return finished["counts"]["images"]


def test_wrong_usage_is_status_2_and_nothing_is_done(batchcls, tmp_path):
    make_classes(tmp_path / "images", count=1)
    for arguments, message in [
        (["--shard", "0/4"], "run -> shard: '0/4' is no shard"),
        (["--shard", ""], "run -> shard: '' is no shard"),  # a variable that is not set
        (["-o", "{shard}.csv"], "run -> output: {shard}.csv: {shard} is for a run of one shard"),
        (["--summary", "{shard}"], "run -> summary: {shard}: {shard} is for a run of one shard"),
    ]:
        result = batchcls("run", "images", *arguments)
        assert result.status == 2
        assert message in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_former_reports_are_those_of_the_shard(batchcls, model, tmp_path):
    """What is new, and which reports are too many, each shard tells by its own."""
    make_classes(tmp_path / "images", count=6)
    (tmp_path / "r").mkdir()
    for index in (1, 2):
        (tmp_path / "r" / f"2020-01-01-{index}-of-2.csv").write_text("path,status\n")
    (tmp_path / "config.toml").write_text(
        "[run]\nimages = ['images']\noutput = 'r/{date}-{shard}.csv'\nkeep_reports = 1\n"
    )
    run = ["run", "-m", model, "--new-only", "--wait", "60"]
    done = at_once(batchcls, [*run, "--shard", "1/2"], [*run, "--shard", "2/2"])
    assert [result.status for result in done] == [0, 0], done
    first, second = sorted((tmp_path / "r").iterdir())
    assert [len(path.name) for path in (first, second)] == [len("2026-11-24-1-of-2.csv")] * 2
    assert len(rows_of(first)) + len(rows_of(second)) == 12
    day = time.time() - 86400
    for path in (first, second):
        os.rename(path, path.with_name(f"2026-01-01{path.name[10:]}"))
        os.utime(path.with_name(f"2026-01-01{path.name[10:]}"), (day, day))
    shutil.copy(tmp_path / "images" / "dark" / "0.jpg", tmp_path / "images" / "new.jpg")
    done = at_once(batchcls, [*run, "--shard", "1/2"], [*run, "--shard", "2/2"])
    assert [result.status for result in done] == [0, 0], done
    news = [row["path"] for path in sorted((tmp_path / "r").iterdir()) for row in rows_of(path)]
    assert news == ["new.jpg"]
    assert "were reported before" in done[0].out


def test_too_few_images_are_told_of_the_whole_folder(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=4)
    run = ["run", "images", "-m", model, "--shard", "1/4"]
    assert batchcls(*run, BATCHCLS_RUN_MIN_IMAGES="8").status == 0
    result = batchcls(*run, BATCHCLS_RUN_MIN_IMAGES="9")
    assert result.status == 1
    assert "only 8 images, where 9 or more were expected" in result.err


def test_a_shard_without_images_is_no_empty_folder(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=1)
    empty = [
        k for k in range(1, 6) if k not in {shard_of(f"{c}/0.jpg", 5) for c in ("dark", "light")}
    ]
    result = batchcls("run", "images", "-m", model, "--shard", f"{empty[0]}/5")
    assert result.status == 0
    assert "no images found" not in result.err
    assert rows_of(tmp_path / f"report-{empty[0]}-of-5.csv") == []
    (tmp_path / "nothing").mkdir()
    assert "no images found" in batchcls("run", "nothing", "-m", model, "--shard", "1/5").err


@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="needs setpriv to give up root's rights"
)
def test_a_folder_that_can_not_be_read_is_one_row_and_every_shard_tells_of_it(model, tmp_path):
    images = make_classes(tmp_path / "images", count=3)
    (images / "secret").mkdir()
    (images / "secret").chmod(0)
    drop = "-dac_override,-dac_read_search"
    drops = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"] * (os.geteuid() == 0)
    owner = shard_of("secret/", 2)
    for index in (1, 2):
        run = [*drops, sys.executable, "-m", "batchcls", "run", "images", "-m", model, "-q"]
        for options, status in [((), 3), (("--max-errors", "1"), 0)]:
            command = [*run, "--shard", f"{index}/2", *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if "setpriv" in done.stderr:
                pytest.skip(f"setpriv: {done.stderr}")
            assert done.returncode == status, done.stderr
            rows = rows_of(tmp_path / f"report-{index}-of-2.csv")
            told = [row["error"] for row in rows if row["path"] == "secret/"]
            assert told == ["the folder can't be read: Permission denied"] * (index == owner)
            elsewhere = "secret/: the folder can't be read" in done.stderr
            assert elsewhere == (index != owner)
