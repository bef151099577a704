"""``batchcls compare``: the real command, of reports and models that real commands made."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from batchcls.text import shown

from .conftest import ASSETS, SOAK, Result, make_classes, picture
from .test_architecture import modules_loaded_by
from .warm import Warm

IMAGES = ASSETS / "images"
SUFFIXES = [".csv", ".jsonl", ".parquet"]
HEADER = ["path", "change", "old_label", "new_label"]
HEADER += ["old_score", "new_score", "old_status", "new_status"]
HOSTILE = [
    b"=cmd|1.jpg",
    b"-1.jpg",
    b"caf\xe9 \xff.jpg",
    b'"><img src=x onerror=alert(1)>.jpg',
    b"<script>alert(1)&amp;.jpg",
    b"line\nbreak\tand \x1b[31mred.jpg",
    "right\u202eto left \u05d0\u05d1 \U0001f9f8.jpg".encode(),
    b"W" * 251 + b".jpg",
    b"{{ 7 * 7 }}.jpg",
]


@pytest.fixture(scope="module")
def models(tmp_path_factory, warm) -> Path:
    """Models of the demo's images: ``old``, and ``new``, whose tags tell teddies from toys."""
    folder = tmp_path_factory.mktemp("models")
    tags = (ASSETS / "tags.tsv").read_text(encoding="utf-8")
    changed = tags.replace("\tfood", "\t<b>=meal</b>").replace("teddy1.jpg\ttoy", "teddy1.jpg\tted")
    train = ["-f", "efficientnet-lite0", "--framing", "crop", "--images", IMAGES, "-q"]
    for name, text in [("old", tags), ("new", changed)]:
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
        command(warm, folder, "train", f"{name}.tsv", "-o", f"{name}.batchcls", *train)
    return folder


@pytest.fixture
def report(batchcls, models):
    """Run with one of the models, or another one, and write a report."""

    def run(model: str | Path, output: str, *options: str | Path, **env: str) -> None:
        path = models / f"{model}.batchcls" if isinstance(model, str) else model
        result = batchcls("run", "-m", path, "-o", output, "-q", *options, **env)
        assert result.status in {0, 3}, result.err

    return run


@pytest.fixture(scope="module")
def made(models, warm) -> Path:
    """What both models say of the demo's images, as reports: made once."""
    for name in ("old", "new"):
        run = ["run", IMAGES, "-m", f"{name}.batchcls", "-o", f"{name}.csv", "-q"]
        command(warm, models, *run)
    return models


@pytest.fixture
def demo(made, tmp_path) -> None:
    """Those reports, in the current folder."""
    for name in ("old.csv", "new.csv"):
        shutil.copy(made / name, tmp_path)


def command(warm: Warm, folder: Path, *arguments: str | Path) -> None:
    """Run the command for what several tests share."""
    env = {**os.environ, "BATCHCLS_INSTALLED_PLUGINS": "", **store_of(folder)}
    warm.run(["-m", "batchcls", *arguments], cwd=folder, env=env, timeout=120).check_returncode()


def store_of(models: Path) -> dict[str, str]:
    """Where what is known of the demo's images is shared, by tests to which that doesn't matter."""
    return {"BATCHCLS_STORE_FOLDER": str(models / "store")}


def good(result: Result) -> Result:
    assert (result.status, result.err) == (0, "")
    return result


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


class Words(HTMLParser):
    """A page: the words that a person reads, and the elements with their attributes."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.text = page.read_text(encoding="utf-8")
        self.parts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(self.text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open):
            self.parts.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.parts).split())


class TestReports:
    def test_two_reports_say_what_differs(self, batchcls, demo, tmp_path):
        result = good(batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv", "--html", "c.html"))
        old = {row["path"]: row for row in rows_of(tmp_path / "old.csv")}
        new = {row["path"]: row for row in rows_of(tmp_path / "new.csv")}
        differ = [path for path in new if old[path]["label"] != new[path]["label"]]
        assert 8 <= len(differ) < len(new) == 24
        changes = rows_of(tmp_path / "ch.csv")
        assert list(changes[0]) == HEADER
        assert [row["path"] for row in changes] == differ
        for row in changes:
            assert row["change"] == "label"
            for what in ("label", "score", "status"):
                assert row[f"old_{what}"] == old[row["path"]][what]
                assert row[f"new_{what}"] == new[row["path"]][what]
        assert f"agreed    {24 - len(differ)} of 24 (" in result.out
        assert f"changed   {len(differ)} (" in result.out
        assert f"\n{len(differ)} changes\n" in result.out
        assert "differences: ch.csv" in result.out
        assert "page: c.html" in result.out
        page = Words(tmp_path / "c.html").words
        assert f"{24 - len(differ)} agreed" in page
        assert all(path in page for path in differ)

    def test_every_format_with_every_other(self, batchcls, made, report):
        """A file that can't be read, labels to review, and names in subfolders, in each."""
        counts: Counter[str] = Counter()
        for suffix in SUFFIXES:
            options = (IMAGES, "--review-below", "0.7", "--no-unknown")
            for name in ("old", "new"):
                report(name, f"{name}{suffix}", *options, **store_of(made))
        for old, new in zip(SUFFIXES, [*SUFFIXES[1:], SUFFIXES[0]], strict=True):
            found = json.loads(good(batchcls("compare", f"old{old}", f"new{new}", "--json")).out)
            del found["old"], found["new"]
            counts[json.dumps(found)] += 1
        assert list(counts.values()) == [3]
        assert found["changed_label"] >= 8
        for suffix in SUFFIXES[1:]:
            same = json.loads(good(batchcls("compare", "old.csv", f"old{suffix}", "--json")).out)
            assert same["agreed"] == same["in_both"] == 24
            assert same["total_variation_distance"] == 0

    def test_the_summary_as_json_has_what_the_rows_have(self, batchcls, demo, tmp_path):
        found = json.loads(good(batchcls("compare", "old.csv", "new.csv", "--json")).out)
        old, new = rows_of(tmp_path / "old.csv"), rows_of(tmp_path / "new.csv")
        mixes = [Counter(row["label"] or row["status"] for row in rows) for rows in (old, new)]
        told = {one["label"] or one["status"]: (one["old"], one["new"]) for one in found["mix"]}
        assert told == {key: (mixes[0][key], mixes[1][key]) for key in mixes[0] | mixes[1]}
        sizes = [abs(one["change"]) for one in found["mix"]]
        assert sizes == sorted(sizes, reverse=True)
        assert found["total_variation_distance"] == pytest.approx(sum(sizes) / 2, abs=1e-5)
        steps = Counter(
            (one["label"] or one["status"], other["label"] or other["status"])
            for one, other in zip(old, new, strict=True)
            if one["label"] != other["label"]
        )
        assert {
            (one["from"]["label"] or one["from"]["status"], one["to"]["label"]): one["images"]
            for one in found["transitions"]
        } == dict(steps)
        assert found["agreed"] + found["changed_label"] + found["changed_status"] == 24

    def test_the_order_of_the_rows_does_not_matter(self, batchcls, demo, tmp_path):
        before = good(batchcls("compare", "old.csv", "new.csv", "--json")).out
        for name in ("old", "new"):
            header, *lines = (tmp_path / f"{name}.csv").read_bytes().splitlines(keepends=True)
            random.Random(name).shuffle(lines)
            (tmp_path / f"{name}.csv").write_bytes(b"".join([header, *lines]))
        assert good(batchcls("compare", "old.csv", "new.csv", "--json")).out == before

    def test_status_changes_new_files_and_vanished_ones(self, batchcls, model, report, tmp_path):
        folder = make_classes(tmp_path / "images")
        picture(1).save(folder / "noise.jpg")
        report(model, "old.csv", folder)
        (folder / "light/0.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
        (folder / "dark/1.jpg").unlink()
        shutil.copy(folder / "dark/2.jpg", folder / "extra.jpg")
        report(model, "new.csv", folder, "--no-unknown", "--review-below", "0.999999")
        result = good(batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv", "--html", "c.html"))
        changes = {row["path"]: row for row in rows_of(tmp_path / "ch.csv")}
        assert changes["light/0.jpg"]["change"] == "status"
        assert changes["light/0.jpg"]["new_status"] == "error"
        assert changes["light/0.jpg"]["new_score"] == changes["light/0.jpg"]["new_label"] == ""
        assert changes["dark/1.jpg"]["change"] == "vanished"
        assert changes["dark/1.jpg"]["new_status"] == ""
        assert changes["extra.jpg"]["change"] == "new"
        assert changes["extra.jpg"]["old_status"] == changes["extra.jpg"]["old_label"] == ""
        noise = changes["noise.jpg"]
        assert (noise["old_status"], noise["new_status"]) == ("unknown", "review")
        assert noise["old_label"] == "" != noise["new_label"]
        reviewed = [row for row in changes.values() if row["old_label"] == row["new_label"] != ""]
        assert reviewed
        assert {(row["old_status"], row["new_status"]) for row in reviewed} == {("ok", "review")}
        assert "only new  1\n" in result.out
        assert "only old  1\n" in result.out
        page = Words(tmp_path / "c.html").words
        assert "1 only new 1 only old" in page
        assert "Only in the new Images that the old report does not have." in page
        assert "light/0.jpg" in page
        assert "dark/1.jpg" in page

    def test_equal_reports_agree_and_the_status_is_zero_either_way(self, batchcls, demo, tmp_path):
        result = good(batchcls("compare", "old.csv", "old.csv", "-o", "ch.csv", "--html", "c.html"))
        assert "agreed    24 of 24 (100.0 %)" in result.out
        assert rows_of(tmp_path / "ch.csv") == []
        assert (tmp_path / "ch.csv").read_bytes() == ",".join(HEADER).encode() + b"\r\n"
        assert (
            "No image has another label or status than before." in Words(tmp_path / "c.html").words
        )

    def test_reports_without_images(self, batchcls, tmp_path):
        (tmp_path / "empty").mkdir()
        for suffix in SUFFIXES:
            batchcls("run", "empty", "-o", f"r{suffix}", "-q")
            result = batchcls("compare", f"r{suffix}", f"r{suffix}", "--html", "c.html")
            assert result.status == 0
            assert result.err == "batchcls: warning: there is no image to compare\n"
            assert "There is no image." in Words(tmp_path / "c.html").words

    def test_reports_of_different_folders_are_told(self, batchcls, made, report):
        report("old", "old.csv", IMAGES, **store_of(made))
        report("old", "new.csv", IMAGES, ASSETS / "images" / "car1.jpg", **store_of(made))
        result = batchcls("compare", "old.csv", "new.csv")
        assert result.status == 0
        assert "no image is in both: is each report of the same folder?" in result.err

    def test_quiet_says_nothing_and_writes(self, batchcls, demo, tmp_path):
        result = good(batchcls("compare", "old.csv", "old.csv", "-q", "-o", "ch.csv"))
        assert result.out == ""
        assert (tmp_path / "ch.csv").exists()

    def test_differences_on_standard_output(self, batchcls, demo, tmp_path):
        piped = batchcls("compare", "old.csv", "new.csv", "-o", "-")
        good(batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv"))
        assert "agreed" in piped.err
        assert piped.out.encode() == (tmp_path / "ch.csv").read_bytes()


class TestModels:
    def test_two_models_differ_as_their_reports_do(self, batchcls, models, demo, tmp_path):
        """With and without the store; images of the configuration by default."""
        old, new = models / "old.batchcls", models / "new.batchcls"
        expected = json.loads(good(batchcls("compare", "old.csv", "new.csv", "--json")).out)
        good(batchcls("compare", "old.csv", "new.csv", "-q", "-o", "reports.csv"))
        (tmp_path / "config.toml").write_text(f'[run]\nimages = ["{IMAGES}"]\n', encoding="utf-8")
        for number, env in enumerate([{}, {"BATCHCLS_STORE_ENABLED": "false"}]):
            call = ("compare", old, new, "-o", f"{number}.csv", "--html", f"{number}.html")
            found = json.loads(good(batchcls(*call, "--json", **env)).out)
            assert found.pop("compared") == "models"
            assert found.pop("classes_only_old") == ["food"]
            assert found.pop("classes_only_new") == ["<b>=meal</b>", "ted"]
            for name in ("old", "new"):
                assert found.pop(name) == str(models / f"{name}.batchcls")
            assert found == {key: expected[key] for key in found}
            told, same = ((tmp_path / f"{one}.csv").read_bytes() for one in (number, "reports"))
            assert told == same
            page = Words(tmp_path / f"{number}.html")
            assert "Only the new model knows 2 classes <b>=meal</b>, ted" in page.words
            assert "b" not in {tag for tag, attrs in page.elements if attrs}

    def test_judging_is_as_in_a_run(self, batchcls, model, models, report, tmp_path):
        folder = tmp_path / "images"
        shutil.copytree(IMAGES, folder)
        picture(1).save(folder / "noise.jpg")
        (folder / "broken.jpg").touch()
        (tmp_path / "config.toml").write_text("[report]\nreview_below = 0.9999\n", encoding="utf-8")
        report("old", "old.csv", folder)
        report(model, "new.csv", folder)
        expected = json.loads(good(batchcls("compare", "old.csv", "new.csv", "--json")).out)
        call = ("compare", models / "old.batchcls", model, folder, "--json")
        found = json.loads(good(batchcls(*call)).out)
        assert found["mix"] == expected["mix"]
        assert found["transitions"] == expected["transitions"]
        statuses = {one["status"]: one["new"] for one in found["mix"] if one["label"] is None}
        assert statuses == {"unknown": statuses["unknown"], "error": 1}
        assert statuses["unknown"] >= 1
        assert any((one["from"]["status"], one["to"]["status"]) for one in found["transitions"])
        assert found["in_both"] == 26

    def test_a_ready_model_knows_other_classes(self, batchcls, made):
        call = ("compare", made / "old.batchcls", "imagenet", IMAGES)
        result = good(batchcls(*call, **store_of(made)))
        assert "only the old model knows 3 classes: appliance, food, toy" in result.out
        assert re.search(r"only the new model knows [\d,]+ classes: .* and \d+ more", result.out)
        assert "changed   24 (100.0 %)" in result.out

    def test_what_runs_found_out_is_not_computed_anew(self, models, report, tmp_path):
        shutil.copytree(IMAGES, tmp_path / "images")
        for path in (tmp_path / "images").iterdir():
            os.utime(path, (10**9, 10**9))  # old enough to be known
        options = [str(models / "old.batchcls"), str(models / "new.batchcls"), "images", "-q"]
        code = f"""
import sys
sys.argv = ["batchcls", "compare", *{options!r}]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
"""
        network = {"ai_edge_litert.interpreter", "PIL.Image"}
        report("old", "old.csv", tmp_path / "images")
        assert modules_loaded_by(code) >= {"ai_edge_litert.interpreter"}  # for the new one
        assert modules_loaded_by(code) & network == set()

    def test_one_network_decodes_for_both_where_there_is_a_store(self, batchcls, models, tmp_path):
        """The second model asks the store for the features that the first one has just kept."""
        good(batchcls("compare", models / "old.batchcls", models / "new.batchcls", IMAGES, "-q"))
        results = json.loads(good(batchcls("cache", "info", "--json")).out)["results"]
        counts = {one["of"].removesuffix(".batchcls"): one["count"] for one in results}
        labels = {f"labels {models / name}": 24 for name in ("old", "new")}
        assert counts == {"features efficientnet-lite0 crop": 24, **labels}

    def test_a_page_or_a_list_among_the_images_is_no_image(self, batchcls, models, tmp_path):
        shutil.copytree(IMAGES, tmp_path / "images")
        call = ("compare", models / "old.batchcls", models / "new.batchcls", "images", "--json")
        for _ in range(2):
            result = good(
                batchcls(
                    *call,
                    *("-o", "images/ch.csv", "--html", "images/c.html"),
                    BATCHCLS_SCAN_ALL_FILES="true",
                )
            )
            assert json.loads(result.out)["in_both"] == 24


class TestHostileNames:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_names_are_data_everywhere(self, batchcls, report, tmp_path, suffix):
        folder = tmp_path / "images"
        folder.mkdir()
        for number, name in enumerate(HOSTILE):
            source = sorted(IMAGES.iterdir())[number]
            shutil.copy(source, os.path.join(os.fsencode(folder), name))
        report("old", f"old{suffix}", folder)
        (folder / os.fsdecode(HOSTILE[0])).rename(folder / "=renamed.jpg")
        report("new", f"new{suffix}", folder)
        result = good(
            batchcls("compare", f"old{suffix}", f"new{suffix}", "-o", "ch.csv", "--html", "c.html")
        )
        differences = rows_of(tmp_path / "ch.csv")
        names = {os.fsencode(row["path"].removeprefix("./")) for row in differences}
        assert len(names) == len(differences) >= 3
        assert names <= {*HOSTILE, b"=renamed.jpg"}
        assert all(row["path"][0] not in "=+-@\t\r\n" for row in differences)
        assert {row["path"]: row["change"] for row in differences if "=" in row["path"][:3]} == {
            "./=renamed.jpg": "new",
            "./=cmd|1.jpg": "vanished",
        }
        assert all(part.isprintable() for part in result.out.split("\n"))
        page = Words(tmp_path / "c.html")
        assert_harmless(page)
        for name in names:
            assert shown(os.fsdecode(name)) in page.words
        found = json.loads(good(batchcls("compare", f"old{suffix}", f"new{suffix}", "--json")).out)
        assert found["only_new"] == found["only_old"] == 1

    def test_names_of_the_reports_themselves(self, batchcls, made, report, tmp_path):
        names = [b'<img src=x onerror="alert(1)">.csv', b"caf\xe9\n.csv"]
        for name in names:
            report("old", os.fsdecode(name), IMAGES, **store_of(made))
        result = good(batchcls("compare", *names, "--html", "c.html"))
        assert "caf\\xe9\\n.csv" in result.out
        assert json.loads(good(batchcls("compare", *names, "--json")).out)["new"] == os.fsdecode(
            names[1]
        )
        page = Words(tmp_path / "c.html")
        assert_harmless(page)
        assert '<img src=x onerror="alert(1)">.csv' in page.words
        assert "caf\\xe9\\n.csv" in page.words


def assert_harmless(page: Words) -> None:
    """Nothing in it but what the template has, and nothing that asks for anything."""
    tags = {tag for tag, _ in page.elements}
    assert tags & {"img", "iframe", "object", "b", "embed", "base"} <= {"b"}
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    for _, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on")]
        for name in ("src", "href"):
            assert (attrs.get(name) or "#").startswith(("#", "data:"))
    assert "http" not in page.text.replace("http-equiv", "").replace("http://www.w3.org/2000", "")
    assert "\\u202e" in page.text or "\u202e" not in page.text


class TestRefusals:
    @pytest.fixture
    def two(self, tmp_path) -> Path:
        for name in ("old.csv", "new.csv"):
            write_report(tmp_path / name, [("a.jpg", "pizza", "0.5", "ok", "")])
        return tmp_path

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["old.csv", "imagenet", "."], "old.csv is a report by its name, and imagenet is none"),
            (["imagenet", "new.csv"], "new.csv is a report by its name, and imagenet is none"),
            (["old.csv", "new.csv", "."], "images are for comparing two models"),
            (["imagenet", "imagenet"], "no images: nothing to compare the models on"),
            (["imagenet", "gone.batchcls", "."], "gone.batchcls: no such file"),
            (["imagenet", "imagenet", "gone"], "gone: No such file or directory"),
            (["old.csv", "gone.csv"], "gone.csv: no such file"),
            (["old.csv", "new.csv", "-o", "x.txt"], "--output x.txt: the differences are written"),
            (["old.csv", "new.csv", "-o", "./old.csv"], "--output: ./old.csv is being compared"),
            (["old.csv", "new.csv", "--html", "new.csv"], "--html: new.csv is being compared"),
            (["old.csv", "new.csv", "-o", "x.csv", "--html", "x.csv"], "is that of --output, too"),
            (["old.csv", "new.csv", "--html", "x.html"], "something else than a page of batchcls"),
            (["old.csv", "new.csv", "--html", "-", "--json"], "only one thing can go to standard"),
            (["old.csv", "new.csv", "-o", "gone/x.csv"], "gone/x.csv: the folder"),
        ],
    )
    def test_what_makes_no_sense_is_told_and_nothing_is_done(
        self, batchcls, two, arguments, message
    ):
        (two / "x.html").write_text("<!doctype html><title>Mine</title>", encoding="utf-8")
        before = {path: path.read_bytes() for path in two.iterdir()}
        result = batchcls("compare", *arguments)
        assert result.status == 2
        assert message in result.err
        assert len(result.err.splitlines()) >= 2  # what to do, too
        assert result.out == ""
        assert {path: path.read_bytes() for path in two.iterdir()} == before

    def test_a_format_of_a_plugin_is_not_read_back(self, batchcls, two):
        (two / "p.py").write_text(
            "from batchcls import hookimpl\n"
            "class Format:\n    suffix = '.tsv'\n"
            "    def open(self, path, asked): ...\n"
            "@hookimpl\ndef batchcls_report_formats():\n    return [Format()]\n",
            encoding="utf-8",
        )
        (two / "c.toml").write_text('plugins = ["p.py"]\n', encoding="utf-8")
        result = batchcls("compare", "a.tsv", "b.tsv", "x.jpg", "--config", "c.toml")
        assert result.status == 2
        assert "a.tsv: a report that ends in .tsv can't be read back" in result.err
        assert ".csv, .jsonl, .parquet" in result.err

    @pytest.mark.parametrize("side", ["old", "new"])
    def test_a_report_that_is_wrong_leaves_what_was_there(self, batchcls, two, side):
        good(batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv", "--html", "c.html"))
        rows = [(f"{number}.jpg", "duck", "0.5", "ok", "") for number in range(3000)]
        write_report(two / f"{side}.csv", [*rows, rows[7]])
        before = {path: path.read_bytes() for path in two.iterdir()}
        result = batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv", "--html", "c.html")
        assert result.status == 2
        assert f"{side}.csv:3002: 7.jpg is there a second time" in result.err
        assert f"batchcls run --output {side}.csv" in result.err
        assert {path: path.read_bytes() for path in two.iterdir()} == before


def write_report(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "score", "status", "error"), *rows])


class TestLarge:
    def test_of_many_changes_the_page_has_the_first_and_the_list_all(self, batchcls, tmp_path):
        labels = [f"label {number}" for number in range(150)]
        row = ("0.5", "ok", "")
        shared = [(f"{n}.jpg", labels[n % 150], *row) for n in range(2000)]
        other = [(f"{n}.jpg", labels[(n + 1) % 150], *row) for n in range(2000)]
        write_report(tmp_path / "old.csv", [*shared, *((f"o{n}", "old", *row) for n in range(600))])
        write_report(tmp_path / "new.csv", [*other, *((f"n{n}", "new", *row) for n in range(700))])
        result = good(batchcls("compare", "old.csv", "new.csv", "-o", "ch.csv", "--html", "c.html"))
        counts = Counter(row["change"] for row in rows_of(tmp_path / "ch.csv"))
        assert counts == {"label": 2000, "new": 700, "vanished": 600}
        assert "(1,980 more)" in result.out
        assert "(132 more labels)" in result.out
        page = Words(tmp_path / "c.html")
        assert "the first 1,000 of 2,000" in page.words
        assert "These are the first 500 of 700." in page.words
        assert "These are the first 500 of 600." in page.words
        assert "52 more labels, with smaller changes." in page.words
        assert "130 more, each of them rarer." in page.words
        assert sum(tag == "tr" for tag, _ in page.elements) == 3 + 1000 + 500 + 500
        assert len(page.text) < 1_000_000

    @pytest.mark.fuzz
    def test_memory_grows_by_little_for_each_row(self, tmp_path):
        """All are told in full: below what 1 KB a row would take beside the program."""
        count = 30_000 if SOAK == 1 else 100_000
        random.seed(1)
        rows = [
            (f"folder/camera-{number:08}.jpg", random.choice("abc"), "0.5", "ok", "")
            for number in range(count)
        ]
        write_report(tmp_path / "old.csv", rows)
        random.shuffle(rows)
        rows = [(row[0], random.choice("abc"), *row[2:]) for row in rows]
        write_report(tmp_path / "new.csv", rows)
        code = """
import sys
sys.argv = ["batchcls", "compare", "old.csv", "new.csv", "-q", "-o", "ch.csv", "--html", "c.html"]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
# Of this process alone: ru_maxrss begins with what its parent had.
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert int(done.stdout) < 60_000 + count  # kilobytes
        changed = {row["path"] for row in rows_of(tmp_path / "ch.csv")}
        assert 0.6 * count < len(changed) < 0.73 * count


def test_comparing_reports_loads_no_network_and_no_pillow(tmp_path):
    for name in ("old.csv", "new.csv"):
        write_report(tmp_path / name, [("a.jpg", "pizza", "0.5", "ok", "")])
    code = """
import sys
sys.argv = ["batchcls", "compare", "old.csv", "new.csv", "--json"]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
"""
    loaded = {name.partition(".")[0] for name in modules_loaded_by(code)}
    heavy = {"numpy", "PIL", "ai_edge_litert", "jinja2", "pyarrow", "joblib", "tensorflow", "rich"}
    assert "batchcls" in loaded
    assert loaded & heavy == set()
