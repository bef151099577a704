"""``batchcls merge``: the reports of shards become the very report that one run writes."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchcls.assembly import report_format
from batchcls.merging import merge
from batchcls.records import Prediction, ReportRequest, Status
from batchcls.shardfiles import find_shards, numbers
from batchcls.sharding import Shard, shard_of

from .conftest import Result, fuzzed, make_classes, picture
from .images import saved
from .reports import HOSTILE, SUFFIXES
from .test_architecture import HEAVY, modules_loaded_by
from .test_sharding import at_once

CLASSES = ["pizza", "a, b", 'say "hi"\n']


def prediction(path: str) -> Prediction:
    """Something to say of a path, always the same; one of each status in turn."""
    number = shard_of(path, 1000)
    status = list(Status)[number % 4]
    if status in {Status.OK, Status.REVIEW}:
        leading = ((number % 3, number / 1001),)
        return Prediction(path, status, CLASSES[number % 3], number / 1001, leading=leading)
    return Prediction(path, status, error="why,\n not")


def write(path: Path | str, paths: Sequence[str], **asked: object) -> None:
    """Write the report of a run over these paths, in this order."""
    classes = asked.pop("classes", CLASSES)
    report = report_format(str(path)).open(str(path), ReportRequest(classes, **asked))
    report.write(prediction(path) for path in paths)
    report.commit()


def write_shards(
    folder: Path, paths: Sequence[str], count: int, suffix: str = ".csv", **asked: object
) -> list[Path]:
    """Write what ``count`` runs of one shard each do, and ``all``, as one run over all does."""
    shards: list[list[str]] = [[] for _ in range(count)]
    for path in paths:
        shards[shard_of(path, count) - 1].append(path)
    files = [folder / f"r-{Shard(index, count).name}{suffix}" for index in range(1, count + 1)]
    for file, own in zip(files, shards, strict=True):
        write(file, own, **asked)
    write(folder / f"all{suffix}", paths, **asked)
    return files


def scanned(paths: Sequence[str]) -> list[str]:
    """Sort paths as a scan of folders finds them."""
    return sorted(paths, key=lambda path: os.fsencode(path).split(b"/"))


def good(result: Result, status: int = 0) -> Result:
    assert (result.status, result.err) == (status, ""), result
    return result


def refused(result: Result, message: str, folder: Path) -> None:
    """A wrong usage, and not a byte written."""
    assert result.status == 2, result
    assert message in result.err
    assert result.err.count("\n") == 2, "a message, and a hint"
    assert "Traceback" not in result.err
    assert not (folder / "out.csv").exists()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


@pytest.fixture
def images(tmp_path):
    """Sixty small pictures in nested folders, with the names that have been somebody's undoing."""
    folder = tmp_path / "images"
    for place in ("a", "a-b", "a/b", "a.b", "ä", "z/z/z", "x.jpg", "a/b-c", "A"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    places = ("", "a", "a-b", "a/b", "a.b", "z/z/z", "x.jpg", "a/b-c", "A")
    for number in range(36):
        picture(number).save(folder / places[number % 9] / f"{number:02}.png")
    data = saved(picture(), "PNG")
    for name in HOSTILE:
        if name.endswith(b".png"):
            for place in ("ä", "."):
                with open(os.path.join(os.fsencode(folder), place.encode(), name), "wb") as file:
                    file.write(data)
    (folder / "a" / "broken.jpg").write_bytes(b"no picture")
    (folder / "a.png").write_bytes(data)
    return folder


def test_shards_become_the_report_of_one_run(batchcls, model, images, tmp_path):
    """In each format; what the first runs have found, the others find in the store."""
    run = ["run", "images", "-m", model, "-q", "--top", "2", "--scores"]
    for suffix in SUFFIXES:
        shards = ([*run, "--shard", f"{k}/4", "-o", f"{{shard}}{suffix}"] for k in (1, 2, 3, 4))
        for result in at_once(batchcls, *shards):
            assert result.status in {0, 3}, result.err
        whole, merged = (tmp_path / f"{name}{suffix}" for name in ("all", "merged"))
        assert batchcls(*run, "-o", whole).status == 3
        files = [f"{k}-of-4{suffix}" for k in (3, 1, 4, 2)]  # in any order
        result = batchcls("merge", *files, "-o", merged)
        assert result.status == 3
        assert "4 shards, " in result.out
        assert "2 unreadable" in result.out
        assert result.err == "batchcls: warning: 2 images could not be read; the report says why\n"
        assert merged.read_bytes() == whole.read_bytes()
    rows = (tmp_path / "all.csv").read_bytes()
    assert b'"a' in rows or b"line\nbreak" in rows


def test_roots_in_any_order_become_the_report_of_one_run(batchcls, model, tmp_path):
    """The second one lies inside the first one, and the third is the last by its name no more."""
    for place in ("p/old", "p/new", "p", "b", "a/deep/er"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        for number in range(8):
            picture(number).save(tmp_path / place / f"{place.replace('/', '-')}{number}.png")
    roots = ["p", "p/new", "b", "./a/deep"]
    run = ["run", *roots, "-m", model, "-q"]
    told = [part for root in roots for part in ("--images", root)]
    for suffix in SUFFIXES:
        done = at_once(
            batchcls, *([*run, "--shard", f"{k}/3", "-o", f"{{shard}}{suffix}"] for k in (1, 2, 3))
        )
        assert [result.status for result in done] == [0, 0, 0]
        good(batchcls(*run, "-o", f"all{suffix}"))
        merge = ["merge", *(f"{k}-of-3{suffix}" for k in (1, 2, 3)), "-o", f"m{suffix}"]
        expected = (tmp_path / f"all{suffix}").read_bytes()
        good(batchcls(*merge, *told))
        assert (tmp_path / f"m{suffix}").read_bytes() == expected
        (tmp_path / "config.toml").write_text(f"[run]\nimages = {json.dumps(roots)}\n")
        good(batchcls(*merge))
        assert (tmp_path / f"m{suffix}").read_bytes() == expected
        (tmp_path / "config.toml").write_text("[run]\nimages = ['elsewhere', 'and there']\n")
        result = batchcls(*merge)
        assert result.status == 0
        assert (tmp_path / f"m{suffix}").read_bytes() == expected
        wrong = batchcls(*merge, "--images", "b", "--images", "p")
        assert wrong.status == 2
        assert "is below none of the folders that were named" in wrong.err
        wrong = batchcls(*merge, *reversed_roots(roots))
        assert wrong.status == 2
        assert "the images of " in wrong.err
        assert "come before those of " in wrong.err
        assert (tmp_path / f"m{suffix}").read_bytes() == expected


def reversed_roots(roots: Sequence[str]) -> list[str]:
    return [part for root in reversed(roots) for part in ("--images", root)]


def test_roots_are_found_in_the_rows_where_nobody_tells_them(batchcls, tmp_path):
    roots = ["data/b", "mnt/x/c", "data/a", "mnt/x/b", "data/b2", "z.jpg"]
    paths = [
        path
        for root in roots
        for path in scanned([f"{root}/{n % 7}/{n:03}.png" for n in range(40)])
    ]
    files = write_shards(tmp_path, [*paths, "q.jpg", "p.jpg"], 4)
    result = batchcls("merge", *files, "-o", "out.csv", "--max-errors", "100%")
    assert result.status == 0
    # Which of two single files came first nobody can tell, and that is said.
    told = (tmp_path / "all.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    assert told or "is taken to come before" in result.err
    write_shards(tmp_path, paths, 4)
    result = good(batchcls("merge", *files, "-o", "out.csv", "--max-errors", "100%", "-q"))
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_files_that_were_given_one_by_one_are_in_the_order_that_the_shards_have(tmp_path):
    paths = [f"{number:03}.png" for number in range(60)]
    random.Random(0).shuffle(paths)
    files = [str(file) for file in write_shards(tmp_path, paths, 3)]
    merged = merge(find_shards(files, None), "out.csv", [], told=False)
    [note] = merged.notes
    assert note.startswith("the order can't be told in full from the shards: ")
    found = rows(tmp_path / "out.csv")
    for file in files:
        own = rows(Path(file))
        assert [path for path in found if path in own] == own
    assert merge(find_shards(files, None), "out.csv", paths, told=True).notes == []
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_shards_that_contradict_each_other_are_put_one_after_the_other(batchcls, tmp_path):
    """As of runs that were given the same folders in another order each."""
    paths = {root: scanned([f"{root}/{n}.png" for n in range(30)]) for root in "ab"}
    files = write_shards(tmp_path, paths["a"] + paths["b"], 2)
    write(files[1], [path for path in paths["b"] + paths["a"] if shard_of(path, 2) == 2])
    result = batchcls("merge", *files, "-o", "out.csv", "--max-errors", "100%")
    assert result.status == 0
    assert "the rows are in no order of a scan, and the shards were put one after" in result.err
    assert rows(tmp_path / "out.csv") == rows(files[0]) + rows(files[1])


def test_object_storage_has_an_order_of_its_own(batchcls, tmp_path):
    keys = [f"{name}{end}" for name in ("a", "a-b", "a.b", "b") for end in ("/x", "/y", ".png")]
    keys += [f"a{n}/{n}.png" for n in range(40)]
    files = write_shards(tmp_path, sorted(keys), 3)
    result = good(batchcls("merge", *files, "-o", "out.csv", "--max-errors", "100%", "-q"))
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    # Two rows that either order may have: of folders, unless it is told.
    paths = [path for path in ("a-b/1", "a/1", "a-b/2", "a/2") if shard_of(path, 2) in {1, 2}]
    a = next(f"a/{n}" for n in range(99) if shard_of(f"a/{n}", 2) == 1)
    b = next(f"a-b/{n}" for n in range(99) if shard_of(f"a-b/{n}", 2) == 2)
    files = write_shards(tmp_path, [b, a], 2)
    result = batchcls("merge", *files, "-o", "out.csv", "--max-errors", "100%")
    assert "folders were taken" in result.err
    assert rows(tmp_path / "out.csv") == [a, b]
    merge_ = ["merge", *files, "-o", "out.csv", "--max-errors", "100%", "-q"]
    good(batchcls(*merge_, "--images", "s3://bucket/photos"))
    assert rows(tmp_path / "out.csv") == [b, a]
    good(batchcls(*merge_, "--images", "photos"))
    assert rows(tmp_path / "out.csv") == [a, b]
    assert paths


def rows(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [row["path"] for row in csv.DictReader(file)]


@pytest.mark.parametrize("end", ["./", "photos/"])
def test_the_row_of_a_folder_is_where_the_scan_has_it(tmp_path, end):
    """Before all that is in it; but after it where a listing broke off."""
    below = [f"{'' if end == './' else end}{n:02}.png" for n in range(20)]
    others = [] if end == "./" else ["z.png", "photos-2/x.png"]
    for paths in ([end, *below, *reversed(others)], [*below, end, *reversed(others)]):
        files = write_shards(tmp_path, paths, 3)
        merged = merge(find_shards(list(map(str, files)), None), "out.csv", [], told=False)
        assert merged.notes == []
        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_missing_shards_are_told_and_nothing_is_written(batchcls, tmp_path):
    paths = [f"{number:03}.png" for number in range(100)]
    files = write_shards(tmp_path, paths, 12)
    some = [file for file in files if not file.name.startswith(("r-02", "r-05", "r-06", "r-12"))]
    message = "4 of 12 shards are missing: 2, 5 to 6, 12; nothing was written"
    refused(batchcls("merge", *some, "-o", "out.csv"), message, tmp_path)
    (tmp_path / "out.csv").write_text("former")
    result = batchcls("merge", *some, "-o", "out.csv")
    assert result.status == 2
    assert (tmp_path / "out.csv").read_text() == "former"
    result = batchcls("merge", *some, "-o", "out.csv", "--partial", "--max-errors", "100%", "-q")
    assert result.status == 3
    assert "the report is not whole: 4 of 12 shards are missing: 2, 5 to 6, 12" in result.err
    assert rows(tmp_path / "out.csv") == [
        path for path in paths if shard_of(path, 12) not in {2, 5, 6, 12}
    ]
    refused_one = batchcls("merge", *files[1:], "-o", "o.csv")
    assert "1 of 12 shards is missing: 1; nothing" in refused_one.err


def test_numbers_are_told_in_words():
    assert numbers([1, 2, 3, 5, 7, 8, 10]) == "1 to 3, 5, 7 to 8, 10"
    assert numbers([4]) == "4"


def test_what_is_no_set_of_shards_is_refused(batchcls, tmp_path):
    paths = [f"{number:03}.png" for number in range(40)]
    files = write_shards(tmp_path, paths, 2)
    one, two = (file.name for file in files)
    (tmp_path / "copy.csv").write_bytes(files[0].read_bytes())
    (tmp_path / "7-of-8.csv").write_bytes(files[0].read_bytes())
    (tmp_path / "r-2-of-2.jsonl").touch()
    (tmp_path / "plain.csv").write_bytes(files[0].read_bytes())
    os.rename(files[1], tmp_path / "second.csv")
    write(tmp_path / "empty.csv", [])
    (tmp_path / "r-1-of-2.txt").write_text("x")
    place, stranger = next(
        (place, path)
        for place, path in enumerate(paths)
        if shard_of(path, 2) != shard_of(paths[0], 2)
    )
    row = f"all.csv:{line_of(tmp_path / 'all.csv', place + 1)}: {stranger} belongs to shard "
    merge_ = ["merge", "-o", "out.csv"]
    for arguments, message in [
        ([one, one], f"{one} and {one}: both are shard 1/2"),
        ([one, "copy.csv", "second.csv"], f"{one} and copy.csv: both are shard 1/2"),
        (["all.csv", one], row),
        ([one, "second.csv", "all.csv"], row),
        ([one, "7-of-8.csv"], f"{one} is one of 2 shards by its name, and 7-of-8.csv one of 8"),
        (["plain.csv", "second.csv"], "how many shards there are is not told"),
        ([one, "second.csv", "--shards", "3"], f"{one} is one of 2 shards by its name, and --sh"),
        (["plain.csv", "second.csv", "--shards", "3"], "belongs to shard"),
        ([one, "second.csv", "--shards", "0"], "--shards 0: there are from 1 to 100,000 shards"),
        ([one, "empty.csv"], "empty.csv: it has no rows, and its name does not say which of 2"),
        ([one, "r-2-of-2.jsonl"], f"{one} and r-2-of-2.jsonl: shards of one run have the same"),
        ([one, "r-1-of-2.txt"], "r-1-of-2.txt: no report by its name"),
        ([one, two], f"{two}: no such file"),
        ([one, "second.csv", "-o", "x.parquet"], "the shards are .csv, and merging keeps"),
        ([one, "second.csv", "-o", one], f"--output: {one} is one of the shards"),
        ([one, "second.csv", "-o", "no/x.csv"], "no/x.csv: the folder"),
        ([one, "second.csv", "-o", "-", "--json"], "only one thing can go to standard output"),
        ([one, "second.csv", "--max-errors", "many"], "run -> max_errors"),
    ]:
        refused(batchcls(*merge_, *arguments), message, tmp_path)
    assert batchcls("merge", one, "second.csv").status == 2  # no --output
    result = batchcls("merge", "plain.csv", "second.csv", "--shards", "2", "-o", "out.csv", "-q")
    assert result.status == 3
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_a_name_that_lies_is_refused(batchcls, tmp_path):
    files = write_shards(tmp_path, [f"{number:03}.png" for number in range(40)], 2)
    os.rename(files[0], tmp_path / "x")
    os.rename(files[1], files[0])
    os.rename(tmp_path / "x", files[1])
    result = batchcls("merge", *files, "-o", "out.csv")
    message = "r-1-of-2.csv:2: 0"
    refused(result, message, tmp_path)
    assert "belongs to shard 2/2, and by its name the file is 1/2" in result.err


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("order", ["sorted", "in no order"])
def test_a_row_that_is_there_twice_is_refused(batchcls, tmp_path, suffix, order):
    own = [path for path in (f"{n:03}.png" for n in range(40)) if shard_of(path, 2) == 1]
    if order == "sorted":
        own.insert(4, own[3])
        place = 5
    else:
        own = [*own, own[3]]
        place = len(own)
    write(tmp_path / f"r-1-of-2{suffix}", own)
    write(tmp_path / f"r-2-of-2{suffix}", [])
    result = batchcls("merge", f"r-1-of-2{suffix}", f"r-2-of-2{suffix}", "-o", f"o{suffix}")
    line = {".csv": f"{line_of(tmp_path / 'r-1-of-2.csv', place)}", ".jsonl": f"{place}"}
    where = line.get(suffix, f"row {place}")
    refused(result, f"r-1-of-2{suffix}:{where}: {own[3]} is there a second time", tmp_path)
    assert not (tmp_path / f"o{suffix}").exists()


def line_of(path: Path, row: int) -> int:
    """Give the line that a row begins in, counted from 1; there are line breaks in rows."""
    if not path.exists():
        return 0
    with path.open(newline="") as file:
        reader = csv.reader(file)
        for _ in range(row):
            next(reader)
        return reader.line_num + 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_and_classes_must_be_the_same(batchcls, tmp_path, suffix):
    paths = [f"{number:03}.png" for number in range(40)]
    files = write_shards(tmp_path, paths, 2, suffix, scores=True)
    own = [path for path in paths if shard_of(path, 2) == 2]
    merge_ = ["merge", *files, "-o", f"out{suffix}"]
    for asked, message in [
        ({}, "it lacks score:pizza, score:a, b, score:say"),
        ({"scores": True, "top": 2}, "it has label_2, score_2"),
        ({"scores": True, "classes": [*CLASSES[:2], "x\x1b"]}, ", and has score:x\\x1b"),
        ({"scores": True, "classes": CLASSES[::-1]}, "the same ones, in another order"),
    ]:
        write(files[1], own, **asked)
        result = batchcls(*merge_)
        refused(result, message, tmp_path)
        assert f"{files[1]}: other columns than in {files[0]}: " in result.err
        assert not (tmp_path / f"out{suffix}").exists()
    if suffix == ".parquet":
        write_shards(tmp_path, paths, 2, suffix)
        write(files[1], own, classes=[*CLASSES, "another"])
        refused(batchcls(*merge_), "it was made with another model than", tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_shard_may_have_no_rows(batchcls, tmp_path, suffix):
    paths = [path for path in (f"{n:03}.png" for n in range(40)) if shard_of(path, 4) != 3]
    files = write_shards(tmp_path, paths, 4, suffix)
    result = batchcls("merge", *files, "-o", f"out{suffix}", "--max-errors", "99")
    assert result.status == 0
    assert (tmp_path / f"out{suffix}").read_bytes() == (tmp_path / f"all{suffix}").read_bytes()
    files = write_shards(tmp_path, [], 4, suffix)
    result = batchcls("merge", *files, "-o", f"out{suffix}")
    assert result.status == 0
    assert "there is no image in any shard" in result.err
    assert (tmp_path / f"out{suffix}").read_bytes() == (tmp_path / f"all{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_shard_is_refused(batchcls, tmp_path, suffix):
    files = write_shards(tmp_path, [f"{number:03}.png" for number in range(300)], 2, suffix)
    data = files[1].read_bytes()
    files[1].write_bytes(data[:-20])
    result = batchcls("merge", *files, "-o", f"out{suffix}")
    assert result.status == 2
    assert str(files[1]) in result.err
    assert "cut off" in result.err or "no JSON object" in result.err
    assert not (tmp_path / f"out{suffix}").exists()


def test_exit_status_is_that_of_a_run_over_everything(batchcls, model, tmp_path):
    make_classes(tmp_path / "images", count=2)
    (tmp_path / "images" / "bad.jpg").write_text("no image")
    run = ["run", "images", "-m", model, "-q"]
    at_once(batchcls, *([*run, "--shard", f"{k}/2"] for k in (1, 2)))
    merge_ = ["merge", "report-1-of-2.csv", "report-2-of-2.csv", "-o", "out.csv"]
    result = batchcls(*merge_)
    assert result.status == 3
    assert result.out == "2 shards, 5 images, 1 unreadable\nreport: out.csv\n"
    assert batchcls(*merge_, "--max-errors", "20%").status == 0
    assert batchcls(*merge_, "--max-errors", "19%").status == 3
    assert batchcls(*merge_, BATCHCLS_RUN_MAX_ERRORS="1").status == 0
    quiet = batchcls(*merge_, "-q", "--max-errors", "1")
    assert (quiet.out, quiet.err) == ("", "")
    result = batchcls(*merge_, "--json")
    assert result.status == 3
    assert json.loads(result.out) == {
        "shards": 2,
        "missing": [],
        "images": 5,
        "ok": 4,
        "review": 0,
        "unknown": 0,
        "error": 1,
        "report": str(tmp_path / "out.csv"),
        "notes": [],
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_to_standard_output_go_the_bytes_alone(tmp_path, suffix):
    files = write_shards(tmp_path, scanned([f"a{n % 9}/{n}.png" for n in range(90)]), 3, suffix)
    done = subprocess.run(
        [sys.executable, "-m", "batchcls", "merge", *files, "-o", "-"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == (tmp_path / f"all{suffix}").read_bytes()
    assert b"3 shards, 90 images" in done.stderr


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for count in (2_000, 10_000):
        files = write_shards(
            tmp_path, scanned([f"{n % 30:02}/{n:06}.png" for n in range(count)]), 16
        )
        shards = find_shards(list(map(str, files)), None)
        tracemalloc.start()
        assert merge(shards, "out.csv", [], told=False).images == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    assert peaks[1] < peaks[0] * 1.5, peaks


def test_parquet_has_the_row_groups_of_one_run(tmp_path):
    paths = scanned([f"{n % 30:02}/{n:06}.png" for n in range(40_000)])
    files = write_shards(tmp_path, paths, 3, ".parquet")
    merge(find_shards(list(map(str, files)), None), "out.parquet", [], told=False)
    assert pq.ParquetFile("out.parquet").num_row_groups == 2
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "all.parquet").read_bytes()


def test_merging_loads_nothing_heavy(tmp_path):
    files = write_shards(tmp_path, [f"{number:03}.png" for number in range(40)], 2)
    code = f"""
import sys
sys.argv = ["batchcls", "merge", *{list(map(str, files))!r}, "-o", "out.csv", "-q"]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert error.code == 3
"""
    assert {name.partition(".")[0] for name in modules_loaded_by(code)} & HEAVY == set()


NAME = st.one_of(
    st.sampled_from(["a", "a-b", "a.b", "b", "=1", "-x", '"', "\n", "é", "\udce9", "./"[0] + "a"]),
    st.binary(min_size=1, max_size=3).map(os.fsdecode),
).filter(lambda name: not {"/", "\0"} & set(name) and name not in {".", ".."})
TREE = st.lists(
    st.lists(NAME, min_size=1, max_size=4).map("/".join), min_size=1, max_size=40, unique=True
)


def merged_bytes(
    folder: Path, paths: Sequence[str], count: int, suffix: str, roots: Sequence[str]
) -> tuple[bytes, bytes, list[str]]:
    """Merge shards, in the process: give what came of it, what one run writes, and the notes."""
    files = write_shards(folder, paths, count, suffix)
    output = folder / f"merged{suffix}"
    shards = find_shards(list(map(str, files)), None)
    merged = merge(shards, str(output), roots, told=bool(roots))
    assert merged.images == len(paths)
    return output.read_bytes(), (folder / f"all{suffix}").read_bytes(), merged.notes


@fuzzed(50)
@given(TREE, st.integers(1, 7), st.sampled_from(SUFFIXES))
def test_any_folder_is_merged_as_it_was_scanned(tmp_path_factory, paths, count, suffix):
    folder = tmp_path_factory.mktemp("m")
    merged, whole, _ = merged_bytes(folder, scanned(paths), count, suffix, ["photos"])
    assert merged == whole
    merged, _, notes = merged_bytes(folder, scanned(paths), count, suffix, [])
    assert merged == whole or notes


@fuzzed(50)
@given(TREE, st.integers(1, 7), st.sampled_from(SUFFIXES))
def test_any_bucket_is_merged_as_it_was_listed(tmp_path_factory, paths, count, suffix):
    folder = tmp_path_factory.mktemp("m")
    keys = sorted(paths, key=os.fsencode)
    merged, whole, _ = merged_bytes(folder, keys, count, suffix, ["s3://bucket"])
    assert merged == whole
    merged, _, notes = merged_bytes(folder, keys, count, suffix, [])
    assert merged == whole or notes


@fuzzed(50)
@given(st.lists(TREE, min_size=2, max_size=4), st.data(), st.integers(1, 7))
def test_any_roots_that_are_told_are_merged_as_they_were_scanned(
    tmp_path_factory, trees, data, count
):
    """Some of them may lie inside others, which then have not what is below these."""
    names = st.lists(NAME, min_size=1, max_size=3).map("/".join)
    roots = data.draw(st.lists(names, min_size=len(trees), max_size=len(trees), unique=True))
    prefixes = [f"{root}/" for root in roots]
    paths = []
    for prefix, tree in zip(prefixes, trees, strict=True):
        inner = [one for one in prefixes if one.startswith(prefix) and one != prefix]
        below = [prefix + path for path in scanned(tree)]
        paths += [path for path in below if not any(f"{path}/".startswith(one) for one in inner)]
    assume(len(set(paths)) == len(paths))
    folder = tmp_path_factory.mktemp("m")
    merged, whole, notes = merged_bytes(folder, paths, count, ".csv", roots)
    assert merged == whole
    assert notes == []


@fuzzed(50)
@given(st.permutations(["b", "a/x", "c", "a/y", "d"]), st.integers(2, 5), st.integers(0, 3))
def test_roots_that_each_shard_has_need_not_be_told(tmp_path_factory, roots, count, deep):
    paths = []
    for root in roots:
        for shard in range(1, count + 1):
            names = (f"{root}/{'s/' * deep}{n:03}.png" for n in range(999))
            paths += [next(name for name in names if shard_of(name, count) == shard)]
        paths[-count:] = scanned(paths[-count:])
    folder = tmp_path_factory.mktemp("m")
    merged, whole, notes = merged_bytes(folder, paths, count, ".csv", [])
    assert merged == whole
    assert notes == []
