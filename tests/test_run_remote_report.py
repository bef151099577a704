"""Reports, summaries, pages and models at URLs: the real command, and a real S3 server."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from .conftest import Result, make_classes, picture
from .s3 import S3, Handler, hang_up, slow_down, status
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

Command = Callable[..., Result]
COMMAND = [sys.executable, "-m", "batchcls"]
ALL = {f"{number}.png" for number in range(4)}
# How to train where it does not matter: by itself it would try four ways to frame images.
QUICKLY = ("-f", "efficientnet-lite0", "--framing", "pad")


@pytest.fixture(autouse=True)
def few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHCLS_STORAGE_RETRIES", "1")
    monkeypatch.setenv("BATCHCLS_RUN_MODEL", "imagenet")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        picture(number).save(folder / f"{number}.png")
    return folder


def url(s3: S3, key: str = "reports/one.csv") -> str:
    return f"s3://{s3.bucket}/{key}"


def paths(content: bytes) -> set[str]:
    return {row["path"] for row in csv.DictReader(io.StringIO(content.decode()))}


def today() -> str:
    return datetime.now().strftime("%Y-%m-%d")


def test_what_it_writes_is_no_image(batchcls, images, s3):
    for path in images.iterdir():
        s3.put(f"images/{path.name}", path.read_bytes())
    s3.put("images/2026-01-01.csv", b"old")
    for _ in range(2):
        result = batchcls(
            *("run", url(s3, "images"), "--all-files", "-o", url(s3, "images/{date}.csv")),
            *("--summary", url(s3, "images/last"), "--html", url(s3, "images/page")),
        )
        assert (result.status, result.err) == (0, "")
        assert paths(s3.content(f"images/{today()}.csv")) == ALL


class Held:
    """Lets a request wait, until the test has done what it does meanwhile; then it is cut off."""

    def __init__(self) -> None:
        self.come, self.let_go = threading.Event(), threading.Event()

    def __call__(self, handler: Handler) -> None:
        self.come.set()
        self.let_go.wait(100)
        handler.cut_off()


def test_all_is_at_urls_as_it_is_on_a_disk(batchcls, images, s3, tmp_path):
    batchcls("run", "images", "-o", "here.csv", "--html", "here.html")
    result = batchcls(
        *("run", "images", "-o", url(s3, "reports/{date}.csv")),
        *("--summary", url(s3, "last.json"), "--html", url(s3, "pages/{date}.html")),
    )
    assert (result.status, result.err) == (0, "")
    report, page = f"reports/{today()}.csv", f"pages/{today()}.html"
    assert f"report: {url(s3, report)}\npage: {url(s3, page)}\n" in result.out
    assert s3.keys() == ["last.json", page, report]
    assert s3.uploads() == 0
    assert s3.content(report) == (tmp_path / "here.csv").read_bytes()
    assert b'<meta name="generator" content="batchcls">' in s3.content(page)
    told = json.loads(s3.content("last.json"))
    assert told["report"] == url(s3, report)
    assert told["page"] == url(s3, page)
    assert told["report_written"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.csv", "here.html", "images"]


def test_each_is_replaced(batchcls, images, s3):
    options = ("--summary", url(s3, "last.json"), "--html", url(s3, "page.html"))
    for _ in range(2):
        assert batchcls("run", "images", "-o", url(s3), *options).status == 0
    (images / "0.png").unlink()
    assert batchcls("run", "images", "-o", url(s3), *options).status == 0
    assert paths(s3.content("reports/one.csv")) == ALL - {"0.png"}
    assert json.loads(s3.content("last.json"))["counts"]["images"] == 3


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_other_formats(batchcls, images, s3, tmp_path, ending):
    for place in (f"here.{ending}", url(s3, f"one.{ending}")):
        assert batchcls("run", "images", "-o", place).status == 0
    assert s3.content(f"one.{ending}") == (tmp_path / f"here.{ending}").read_bytes()
    compared = batchcls("compare", f"here.{ending}", url(s3, f"one.{ending}"))
    assert "agreed    4 of 4" in compared.out


def test_a_configuration_names_urls(batchcls, images, s3, tmp_path):
    (tmp_path / "config.toml").write_text(
        f'[run]\nimages = ["images"]\noutput = "{url(s3)}"\n'
        f'[filesystem.s3]\nendpoint_url = "{s3.url}"\n[storage]\nretries = 0\n'
    )
    assert batchcls("run", AWS_ENDPOINT_URL="http://127.0.0.1:9").status == 0
    assert paths(s3.content("reports/one.csv")) == ALL


def test_a_file_url_is_a_file(batchcls, images, tmp_path):
    for _ in range(2):
        result = batchcls(
            *("run", "images", "-o", f"file://{tmp_path}/one.csv"),
            *("--summary", f"file://{tmp_path}/last.json", "--html", f"file://{tmp_path}/one.html"),
        )
        assert result.status == 0
    assert json.loads((tmp_path / "last.json").read_bytes())["report"] == f"{tmp_path}/one.csv"


LOOK = """
import os, sys, threading

def look():
    with open(os.environ["SEEN"], "a") as file:
        known = sorted({"fsspec", "s3fs", "aiohttp", "botocore"} & set(sys.modules))
        file.write(f"{known} {threading.active_count()}\\n")

os.register_at_fork(before=look)
"""


def test_the_guardian_knows_nothing_of_it(batchcls, images, s3, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LOOK)
    seen = tmp_path / "seen"
    options = ("--summary", url(s3, "last.json"), "--html", url(s3, "page.html"))
    result = batchcls(
        *("run", "images", "-o", url(s3, "{date}.csv"), "--new-only", *options),
        PYTHONPATH=str(tmp_path / "site"),
        SEEN=str(seen),
        BATCHCLS_RUN_KEEP_REPORTS="3",
    )
    assert result.status == 0
    assert seen.read_text().splitlines()[0] == "[] 1"


class TestWhatCanNotBeWritten:
    def test_a_server_that_fails_leaves_the_former_report(self, batchcls, images, s3):
        s3.put("reports/one.csv", b"old")
        s3.fail(slow_down(), method="PUT", key="reports/one.csv")
        result = batchcls("run", "images", "-o", url(s3), "--summary", url(s3, "last.json"))
        assert result.status == 1
        why = f"{url(s3)}: can't be written: the server failed (503 Slow Down), 2 times"
        assert result.err.splitlines() == [
            f"batchcls: error: {why}",
            "What stood there before is untouched. Name a file elsewhere.",
        ]
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0
        told = json.loads(s3.content("last.json"))
        assert (told["status"], told["report_written"]) == ("failed", False)
        assert why in told["error"]
        s3.clear()
        assert batchcls("run", "images", "-o", url(s3)).status == 0
        assert paths(s3.content("reports/one.csv")) == ALL

    def test_a_place_that_takes_nothing_is_told_before_the_work(self, batchcls, images, s3):
        s3.fail(status(403, "AccessDenied"), method="POST")
        result = batchcls("run", "images", "-o", url(s3), "-v")
        assert result.status == 1
        assert f"{url(s3)}: can't be written: permission denied" in result.err
        assert "there is work for the network" not in result.err

    def test_a_bucket_that_is_not_there(self, batchcls, images, s3):
        result = batchcls("run", "images", "-o", "s3://no-such-bucket/one.csv")
        assert result.status == 2
        assert "there is no bucket no-such-bucket" in result.err

    @pytest.mark.parametrize("option", ["--output", "--summary", "--html"])
    def test_an_address_that_can_only_be_read(self, batchcls, images, option):
        result = batchcls("run", "images", option, "https://example.org/x")
        assert result.status == 2
        setting = option.removeprefix("--")
        assert f"run -> {setting}: https://example.org/x: https:// can only be read" in result.err

    def test_a_summary_that_can_not_be_written_is_a_warning(self, batchcls, images, s3):
        s3.fail(slow_down(), method="PUT", key="last.json")
        result = batchcls("run", "images", "-o", url(s3), "--summary", url(s3, "last.json"))
        assert result.status == 0
        assert "there is no summary: " in result.err
        assert s3.keys() == ["reports/one.csv"]

    def test_a_page_that_can_not_be_written_is_a_warning(self, batchcls, images, s3):
        s3.fail(hang_up, method="PUT", key="page.html")
        result = batchcls("run", "images", "-o", url(s3), "--html", url(s3, "page.html"))
        assert result.status == 0
        assert "there is no page: " in result.err
        assert s3.keys() == ["reports/one.csv"]

    @pytest.mark.parametrize("option", ["--summary", "--html"])
    def test_what_is_something_else_is_left_alone(self, batchcls, images, s3, option):
        s3.put("mine", b"something else")
        result = batchcls("run", "images", "-o", url(s3), option, url(s3, "mine"))
        assert result.status == 2
        assert f"{url(s3, 'mine')} is something else than " in result.err
        assert s3.keys() == ["mine"]
        assert s3.content("mine") == b"something else"

    @pytest.mark.parametrize("option", ["--summary", "--html"])
    def test_what_can_not_be_told_to_be_something_else_is_left_alone(
        self, batchcls, images, s3, option
    ):
        s3.put("mine", b"{")
        s3.fail(slow_down(), method="HEAD", key="mine")
        result = batchcls("run", "images", "-o", url(s3), option, url(s3, "mine"))
        assert result.status == 1
        assert f"{url(s3, 'mine')}: can't be read: the server failed" in result.err
        assert s3.keys() == ["mine"]
        assert s3.content("mine") == b"{"

    def test_the_summary_tells_that_a_page_was_refused(self, batchcls, images, s3):
        s3.put("mine", b"something else")
        options = ("--html", url(s3, "mine"), "--summary", url(s3, "last.json"))
        assert batchcls("run", "images", "-o", url(s3), *options).status == 2
        told = json.loads(s3.content("last.json"))
        assert told["status"] == "usage"
        assert "something else than a page of batchcls" in told["error"]

    def test_one_is_not_the_other(self, batchcls, images, s3):
        for options in (("--summary", url(s3)), ("--html", url(s3))):
            result = batchcls("run", "images", "-o", url(s3), *options)
            assert result.status == 2
            assert "is the report" in result.err

    def test_a_plugins_format_that_writes_to_this_machine(self, batchcls, images, s3, tmp_path):
        (tmp_path / "lines.py").write_text(LINES)
        plugins = {"BATCHCLS_PLUGINS": "lines.py"}
        result = batchcls("run", "images", "-o", url(s3, "one.local"), **plugins)
        assert result.status == 2
        assert f"{url(s3, 'one.local')}: a URL, where a file on this machine" in result.err
        assert batchcls("run", "images", "-o", url(s3, "one.lines"), **plugins).status == 0
        assert s3.content("one.lines").splitlines() == [name.encode() for name in sorted(ALL)]


LINES = """
from batchcls import hookimpl
from batchcls.atomic import AtomicFile, output_file

class Writer:
    def __init__(self, file):
        self.file = file

    def write(self, predictions):
        for prediction in predictions:
            self.file.write(prediction.path.encode() + b"\\n")

    def commit(self):
        self.file.commit()

    def discard(self):
        self.file.discard()

class Lines:
    suffix = ".lines"

    def open(self, path, asked):
        return Writer(output_file(path))

class LocalLines:
    suffix = ".local"

    def open(self, path, asked):
        return Writer(AtomicFile(path))

@hookimpl
def batchcls_report_formats():
    return [Lines(), LocalLines()]
"""


class TestRunsThatEndEarly:
    def begun(self, s3: S3, held: Held, tmp_path: Path, *options: str) -> subprocess.Popen[bytes]:
        """Start a run; give it when it sends its report, which does not come to its end."""
        s3.put("reports/one.csv", b"old")
        s3.fail(held, method="PUT", key="reports/one.csv")
        process = subprocess.Popen(
            [*COMMAND, "run", "images", "-o", url(s3), *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert held.come.wait(100)
        return process

    def test_one_that_is_killed_leaves_the_former_report(self, batchcls, images, s3, tmp_path):
        held = Held()
        with self.begun(s3, held, tmp_path) as process:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        held.let_go.set()
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0
        s3.clear()
        assert batchcls("run", "images", "-o", url(s3)).status == 0
        assert paths(s3.content("reports/one.csv")) == ALL

    def test_one_that_is_told_to_end_leaves_the_former_report(self, images, s3, tmp_path):
        held = Held()
        with self.begun(s3, held, tmp_path, "--summary", url(s3, "last.json")) as process:
            process.terminate()
            _, err = process.communicate(timeout=100)
        held.let_go.set()
        assert process.returncode == 128 + signal.SIGTERM
        assert b"no report was written" in err
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0
        assert json.loads(s3.content("last.json"))["status"] == "interrupted"

    def test_two_at_once(self, batchcls, images, s3, tmp_path):
        held = Held()
        with self.begun(s3, held, tmp_path) as process:
            second = batchcls("run", "images", "-o", url(s3))
            elsewhere = batchcls("run", "images", "-o", url(s3, "another.csv"))
            s3.faults.clear()
            held.let_go.set()
            process.communicate(timeout=100)
        assert second.status == 4
        assert f"another run (process {process.pid}, since" in second.err
        assert f"is writing {url(s3)}" in second.err
        assert elsewhere.status == 0
        assert process.returncode == 0  # it has tried again
        assert paths(s3.content("reports/one.csv")) == ALL

    def test_a_worker_that_dies_does_no_harm(self, batchcls, images, s3, tmp_path):
        (tmp_path / "dying.py").write_text(DYING)
        result = batchcls("run", "images", "-o", url(s3), BATCHCLS_PLUGINS="dying.py")
        assert result.status == 0, result.err
        assert "was killed" in result.err
        assert paths(s3.content("reports/one.csv")) == ALL


# A plugin that kills the first worker when all is read.
DYING = """
import os, signal
from batchcls import hookimpl

@hookimpl
def batchcls_run_batch(predictions):
    if not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
"""

NOTED = """
import os, sys
from batchcls.commands.runplaces import Before

def in_a_child(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def write():
    from batchcls.atomic import write_atomically
    print(before.is_another(), flush=True)
    write_atomically(sys.argv[1], sys.argv[2].encode())

before = Before(sys.argv[1])
for _ in range(3):
    in_a_child(write)
"""


@pytest.mark.parametrize("there", [True, False])
def test_a_worker_knows_the_report_of_one_that_was_killed(s3, warm, tmp_path, there):
    if there:
        s3.put("reports/one.csv", b"old")
    call = ["-c", NOTED, url(s3), "new"]
    done = warm.run(call, cwd=tmp_path, env=os.environ, timeout=120)
    done.check_returncode()
    assert done.stdout.split() == [b"False", b"True", b"True"]


class TestEveryNight:
    def test_the_oldest_reports_and_pages_are_deleted(self, batchcls, images, s3):
        for day in range(1, 6):
            s3.put(f"reports/2026-01-0{day}.csv", b"old")
            s3.put(f"pages/2026-01-0{day}.html", b"old")
        for key in ("reports/x.csv", "reports/2026-01-01.csv.bak", "reports/sub/2026-01-01.csv"):
            s3.put(key, b"mine")
        options = ("-o", url(s3, "reports/{date}.csv"), "--html", url(s3, "pages/{date}.html"))
        result = batchcls("run", "images", *options, BATCHCLS_RUN_KEEP_REPORTS="3")
        assert (result.status, result.err) == (0, "")
        kept = [*(f"2026-01-0{day}" for day in (4, 5)), today()]
        assert s3.keys() == sorted(
            [
                *(f"reports/{date}.csv" for date in kept),
                *(f"pages/{date}.html" for date in kept),
                *("reports/x.csv", "reports/2026-01-01.csv.bak", "reports/sub/2026-01-01.csv"),
            ]
        )

    def test_folders_of_dates(self, batchcls, images, s3):
        for day in range(1, 6):
            s3.put(f"2026/01/0{day}.csv", b"old")
        options = ("-o", url(s3, "{year}/{month}/{day}.csv"))
        assert batchcls("run", "images", *options, BATCHCLS_RUN_KEEP_REPORTS="2").status == 0
        assert s3.keys() == ["2026/01/05.csv", datetime.now().strftime("%Y/%m/%d.csv")]

    def test_what_can_not_be_listed_or_deleted_is_a_warning(self, batchcls, images, s3):
        for day in range(1, 4):
            s3.put(f"reports/2026-01-0{day}.csv", b"old")
        options = ("-o", url(s3, "reports/{date}.csv"))
        fault = s3.fail(status(403, "AccessDenied"), listing=True)
        result = batchcls("run", "images", *options, BATCHCLS_RUN_KEEP_REPORTS="2")
        assert result.status == 0
        assert "former reports could not be looked up: " in result.err
        fault.times = 0
        s3.fail(status(403, "AccessDenied"), method="DELETE", key="reports/2026-01-01.csv")
        result = batchcls("run", "images", *options, BATCHCLS_RUN_KEEP_REPORTS="2")
        assert result.status == 0
        assert (
            f"1 former report could not be deleted: {url(s3, 'reports/2026-01-01.csv')}: "
            "permission denied" in result.err
        )
        assert s3.keys() == [
            *("reports/2026-01-01.csv", "reports/2026-01-03.csv", f"reports/{today()}.csv")
        ]

    def test_buckets_by_date_can_not_be_looked_through(self, batchcls, images, s3):
        options = ("-o", "s3://reports-{year}/{date}.csv")
        result = batchcls("run", "images", *options, BATCHCLS_RUN_KEEP_REPORTS="2")
        assert result.status == 2
        assert "run -> keep_reports: s3://reports-{year}/{date}.csv: the name of the" in result.err
        assert batchcls("run", "images", "--new-only", *options).status == 2

    def test_only_what_is_new(self, batchcls, images, s3):
        def reported(key: str, *options: str) -> set[str]:
            result = batchcls("run", "images", "-o", url(s3, key), *options)
            assert result.status == 0, result.err
            return paths(s3.content(key.replace("{date}", today())))

        assert reported("one.csv") == ALL
        assert reported("one.csv", "--new-only") == set()
        picture(50).save(images / "new.png")
        assert reported("one.csv", "--new-only") == {"new.png"}
        assert reported("one.csv", "--new-only") == set()

    @pytest.mark.parametrize("ending", ["csv", "jsonl"])
    def test_only_what_is_new_by_date(self, batchcls, images, s3, ending):
        def reported() -> set[str]:
            options = ("-o", url(s3, f"{{date}}.{ending}"), "--new-only")
            result = batchcls("run", "images", *options)
            assert result.status == 0, result.err
            content = s3.content(f"{today()}.{ending}")
            if ending == "csv":
                return paths(content)
            return {json.loads(line)["path"] for line in content.splitlines()}

        former = (
            b"path,label,score,status,error\n0.png,cat,0.5,ok,\n"
            if ending == "csv"
            else b'{"path": "0.png", "label": "cat", "score": 0.5, "status": "ok", "error": null}\n'
        )
        s3.put(f"2026-01-01.{ending}", former)
        assert reported() == ALL - {"0.png"}
        # A second run of the day has what the first one had.
        assert reported() == ALL - {"0.png"}
        picture(50).save(images / "new.png")
        assert reported() == ALL - {"0.png"} | {"new.png"}

    def test_what_former_reports_had_must_be_told(self, batchcls, images, s3):
        s3.put("2026-01-01.csv", b"path,label,score,status,error\n0.png,cat,0.5,ok,\n")
        s3.fail(slow_down(), method="GET", key="2026-01-01.csv")
        result = batchcls("run", "images", "-o", url(s3, "{date}.csv"), "--new-only")
        assert result.status == 1
        assert f"{url(s3, '2026-01-01.csv')}: can't be read: the server failed" in result.err
        assert s3.keys() == ["2026-01-01.csv"]


class TestModels:
    def test_one_is_trained_to_a_url_and_used_from_there(self, batchcls, images, s3, tmp_path):
        make_classes(tmp_path / "tagged")
        train = ("train", "tagged/tags.tsv", *QUICKLY, "-q")
        assert batchcls(*train, "-o", "here.batchcls").status == 0
        assert batchcls(*train, "-o", url(s3, "m.batchcls")).status == 0
        for source, report in (("here.batchcls", "a.csv"), (url(s3, "m.batchcls"), "b.csv")):
            assert batchcls("run", "images", "-m", source, "-o", report).status == 0
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
        s3.requests.clear()
        assert batchcls("run", "images", "-m", url(s3, "m.batchcls")).status == 0
        assert s3.count("GET", "m.batchcls") == 1
        predicted = batchcls("predict", "images/0.png", "-m", url(s3, "m.batchcls"))
        assert predicted.status == 0
        evaluated = batchcls(
            *("evaluate", "tagged/tags.tsv", "-m", url(s3, "m.batchcls")),
            *("--html", url(s3, "e.html")),
        )
        assert evaluated.status == 0
        assert b"<meta name=" in s3.content("e.html")

    def test_a_configured_one_is_trained_first(self, batchcls, images, s3, tmp_path, monkeypatch):
        monkeypatch.delenv("BATCHCLS_RUN_MODEL")
        make_classes(tmp_path / "tagged")
        (tmp_path / "config.toml").write_text(
            f'[run]\nimages = ["images"]\nmodel = "{url(s3, "m.batchcls")}"\n'
            '[train]\ntags = ["tagged/tags.tsv"]\nfeaturizer = "efficientnet-lite0"\n'
            'framing = "pad"\n'
        )
        first, second = batchcls("run"), batchcls("run")
        assert (first.status, second.status) == (0, 0)
        assert f"There is no {url(s3, 'm.batchcls')} yet: training it" in first.err
        assert "training" not in second.err

    def test_what_is_no_model(self, batchcls, images, s3):
        s3.put("m.batchcls", b"something else")
        for place, why in [
            (url(s3, "m.batchcls"), "not a model file: not a zip"),
            (url(s3, "n.batchcls"), "there is no such object"),
            ("s3://no-such-bucket/m.batchcls", "there is no such object"),
        ]:
            result = batchcls("run", "images", "-m", place)
            assert result.status == 2
            assert f"batchcls: error: {place}: {why}" in result.err

    def test_one_that_may_not_be_read(self, batchcls, images, s3):
        s3.put("m.batchcls", b"PK")
        for method in ("GET", "HEAD"):
            s3.fail(status(403, "AccessDenied"), method=method, key="m.batchcls")
        result = batchcls("run", "images", "-m", url(s3, "m.batchcls"))
        assert result.status == 2
        assert "can't be read: permission denied\nCheck the credentials" in result.err

    def test_only_one_on_this_machine_is_replaced_if_better(self, batchcls, s3, tmp_path):
        make_classes(tmp_path / "tagged")
        result = batchcls(
            "train", "tagged/tags.tsv", "-o", url(s3, "m.batchcls"), "--replace-if-better"
        )
        assert result.status == 2
        assert "--replace-if-better is a file on this machine" in result.err

    def test_no_other_object_is_lost(self, batchcls, s3, tmp_path):
        make_classes(tmp_path / "tagged")
        s3.put("tags.tsv", b"a.jpg\tcat\n")
        result = batchcls("train", "tagged/tags.tsv", "-o", url(s3, "tags.tsv"))
        assert result.status == 2
        assert "something else than a model, and would be lost" in result.err


class TestOtherCommands:
    def test_predict_says_where_urls_go(self, batchcls, s3):
        result = batchcls("predict", url(s3, "x.jpg"))
        assert result.status == 2
        assert f"{url(s3, 'x.jpg')}: predict takes files on this machine" in result.err
        assert "batchcls run URL" in result.err

    def test_compare_writes_to_urls(self, batchcls, images, s3):
        batchcls("run", "images", "-o", url(s3, "old.csv"))
        (images / "0.png").unlink()
        batchcls("run", "images", "-o", url(s3, "new.csv"))
        names = (url(s3, "old.csv"), url(s3, "new.csv"))
        where = ("-o", url(s3, "changes.csv"), "--html", url(s3, "changes.html"))
        assert batchcls("compare", *names, *where).status == 0
        assert b"0.png,vanished" in s3.content("changes.csv")
        assert b"<meta name=" in s3.content("changes.html")
        refused = batchcls("compare", *names, "-o", names[0])
        assert refused.status == 2
        assert "is being compared, and would be lost" in refused.err
        missing = batchcls("compare", names[0], url(s3, "no.csv"))
        assert missing.status == 2
        assert f"{url(s3, 'no.csv')}: there is no such object" in missing.err

    def test_models_are_compared_on_images_of_this_machine(self, batchcls, s3):
        result = batchcls("compare", "imagenet", "imagenet", url(s3, "images"))
        assert result.status == 2
        assert "on this machine, not at URLs" in result.err

    def test_tags_may_be_at_a_url_and_images_may_not(self, batchcls, s3, tmp_path):
        folder = make_classes(tmp_path / "tagged")
        s3.put("tags.tsv", (folder / "tags.tsv").read_bytes())
        train = ("train", url(s3, "tags.tsv"), *QUICKLY, "-q")
        assert batchcls(*train, "--images", "tagged").status == 0
        result = batchcls(*train)
        assert result.status == 2
        place = url(s3, "dark/0.jpg")
        assert f"tags.tsv:1: {place}: a URL, where a file on this machine is needed" in result.err

    def test_charts_and_the_store_are_on_this_machine(self, batchcls, images, s3, tmp_path):
        folder = make_classes(tmp_path / "tagged")
        charts = batchcls("evaluate", str(folder / "tags.tsv"), "--plots", url(s3, "charts"))
        assert charts.status == 2
        assert "where a folder on this machine is needed" in charts.err
        run = batchcls("run", "images", BATCHCLS_STORE_FOLDER=url(s3, "store"))
        assert run.status == 2
        assert "store -> folder" in run.err
        assert not (tmp_path / "s3:").exists()
