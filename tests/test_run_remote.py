"""`batchcls run s3://…`: the real command, and a server that counts what it asks for."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SOAK, Result, picture
from .images import saved
from .s3 import S3, Harm, delayed, silent, slow_down, status, vanished
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414
from .servers import eventually

Command = Callable[..., Result]
MANY = 100 if SOAK == 1 else 1000
FAST = {"BATCHCLS_STORAGE_RETRIES": "1", "BATCHCLS_STORAGE_TIMEOUT": "1"}


def jpeg(number: int) -> bytes:
    return saved(picture(number), "JPEG")


def fill(s3: S3, count: int, folder: str = "in") -> str:
    """Put images; give the URL of their folder."""
    for number in range(count):
        s3.put(f"{folder}/{number:04}.jpg", jpeg(number))
    return f"s3://{s3.bucket}/{folder}"


def rows(path: Path | str = "report.csv") -> dict[str, dict[str, str]]:
    """Give the rows of a report, by path."""
    with open(path, encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


@pytest.mark.fuzz
def test_many_images_are_read_once_and_not_again_in_the_next_night(
    s3: S3, batchcls: Command, model: Path
):
    url = fill(s3, MANY)
    s3.fail(slow_down(), key="in/0007.jpg", times=2)
    s3.fail(status(500), times=3)
    first = batchcls("run", url, "-m", model)
    assert (first.status, first.err.count("Traceback")) == (0, 0)
    report = Path("report.csv").read_bytes()
    assert list(rows()) == [f"{number:04}.jpg" for number in range(MANY)]
    assert "error" not in {row["status"] for row in rows().values()}
    counts = s3.counts()
    assert len(counts) == MANY
    assert counts["in/0007.jpg"] == 3
    assert sum(counts.values()) == MANY + 5
    assert s3.count("HEAD") == 0
    listings = s3.count("GET", listing=True)

    s3.clear()
    second = batchcls("run", url, "-m", model)
    assert second.status == 0
    assert Path("report.csv").read_bytes() == report
    assert s3.counts() == {}
    assert len(s3.requests) == s3.count("GET", listing=True) <= listings


def test_what_has_changed_is_all_that_is_read(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 40)
    assert batchcls("run", url, "-m", model).status == 0
    before = rows()
    s3.clear()
    s3.put("in/0003.jpg", saved(picture(3).rotate(90), "JPEG"))
    s3.put("in/new.jpg", jpeg(77))
    s3.put("in/copy.jpg", jpeg(5))
    s3.remove("in/0004.jpg")
    assert batchcls("run", url, "-m", model).status == 0
    assert dict(s3.counts()) == {"in/0003.jpg": 1, "in/new.jpg": 1, "in/copy.jpg": 1}
    after = rows()
    assert set(after) == (set(before) - {"0004.jpg"}) | {"new.jpg", "copy.jpg"}
    assert after["copy.jpg"]["score"] == after["0005.jpg"]["score"]
    assert {**after["0010.jpg"]} == before["0010.jpg"]


def test_a_report_is_that_of_the_same_files_on_this_machine(
    s3: S3, batchcls: Command, model: Path, tmp_path: Path
):
    contents = {
        **{f"{number}.jpg": jpeg(number) for number in range(20)},
        "deep/er/x.png": saved(picture(50), "PNG"),
        "ä b%20+#?.jpg": jpeg(60),
        "damaged.jpg": jpeg(1)[:300],
        "empty.jpg": b"",
        "text.jpg": b"a text",
        ".hidden.jpg": jpeg(1),
        "notes.txt": b"a text",
    }
    for name, data in contents.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
        s3.put(f"in/{name}", data)
    local = batchcls("run", "in", "-m", model, "-o", "local.csv", "--no-store")
    assert local.status == 3
    for options in ((), ("--jobs", "4"), ("--no-store", "--jobs", "1")):
        far = batchcls("run", f"s3://{s3.bucket}/in", "-m", model, *options)
        assert far.status == 3
        assert rows() == rows("local.csv")


HARMS: dict[str, tuple[Harm, str]] = {
    "vanished.jpg": (vanished(), "no such object: it may have vanished"),
    "forbidden.jpg": (status(403, "AccessDenied"), "permission denied"),
    "failing.jpg": (slow_down(), "the server failed (503 Slow Down), 2 times"),
    "silent.jpg": (silent, "no answer within 1 s, 2 times"),
}


def test_an_image_that_cannot_be_read_is_a_row(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 20)
    for name, (harm, _) in HARMS.items():
        s3.put(f"in/{name}", jpeg(1))
        s3.fail(harm, key=f"in/{name}")
    done = batchcls("run", url, "-m", model, **FAST)
    assert done.status == 3
    found = rows()
    assert len(found) == 24
    for name, (_, reason) in HARMS.items():
        assert (found[name]["status"], found[name]["error"]) == ("error", reason)
    assert sum(row["status"] != "error" for row in found.values()) == 20
    s3.clear()
    assert batchcls("run", url, "-m", model, **FAST).status == 0  # they are tried again
    assert set(s3.counts()) == {f"in/{name}" for name in HARMS}


def test_a_server_that_goes_down_costs_rows_and_no_night(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 220)
    for number in range(20, 220):
        s3.fail(status(503), key=f"in/{number:04}.jpg")
    start = time.monotonic()
    done = batchcls("run", url, "-m", model, **FAST)
    assert time.monotonic() - start < 100
    assert done.status == 3
    errors = [row["error"] for row in rows().values() if row["status"] == "error"]
    assert len(errors) == 200
    down = "the storage does not answer: the server failed (503 Service Unavailable)"
    assert errors.count(down) > 50
    s3.clear()
    assert batchcls("run", url, "-m", model, **FAST).status == 0
    assert len(s3.counts()) == 200


@pytest.mark.parametrize(
    ("root", "status_", "said"),
    [
        ("s3://there-is-no-such-bucket/x", 2, "no such bucket"),
        ("s3://{}/nothing", 2, "there is no such folder, and no such object"),
        ("gs://bucket/x", 2, "pip install 'batchcls[gs]'"),
        ("nosuch://bucket/x", 2, "nosuch"),
        ("zip://none.zip", 2, "none.zip"),
    ],
)
def test_nothing_at_a_url_is_told_and_no_report_written(
    root: str, status_: int, said: str, s3: S3, batchcls: Command, model: Path
):
    done = batchcls("run", root.format(s3.bucket), "-m", model)
    assert done.status == status_
    assert said in done.err
    assert "Traceback" not in done.err
    assert not Path("report.csv").exists()


def test_nobody_answers(s3: S3, batchcls: Command, model: Path):
    done = batchcls(
        "run", "s3://bucket/x", "-m", model, **FAST, AWS_ENDPOINT_URL="http://127.0.0.1:9"
    )
    assert done.status == 1
    assert "s3://bucket/x: no connection to the server, 2 times" in done.err
    assert not Path("report.csv").exists()


def test_a_listing_that_breaks_half_way(s3: S3, batchcls: Command, model: Path):
    for number in range(1030):
        s3.put(f"in/{number:04}.txt" if number < 1000 else f"in/{number:04}.jpg", jpeg(number))
    s3.put("in/0000.jpg", jpeg(0))
    s3.fail(lambda handler: _second(handler, s3), listing=True)
    done = batchcls("run", f"s3://{s3.bucket}/in", "-m", model, **FAST)
    assert done.status == 3
    found = rows()
    assert found["0000.jpg"]["status"] != "error"
    assert found["./"]["error"] == (
        "the folder can't be read: the server failed (503 Slow Down), 2 times"
    )


def _second(handler, s3: S3) -> None:
    """Fail where more is asked for."""
    from .s3 import pass_on

    (slow_down() if "continuation-token" in handler.path else pass_on)(handler)


def test_folders_here_and_there_and_in_an_archive(
    s3: S3, batchcls: Command, model: Path, tmp_path: Path
):
    url = fill(s3, 3)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("x/1.jpg", jpeg(8))
        archive.writestr("y.jpg", jpeg(9))
    s3.put("a.zip", data.getvalue())
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "z.jpg").write_bytes(jpeg(10))
    inside = f"zip://::s3://{s3.bucket}/a.zip"
    roots = ["local", url, inside]
    assert batchcls("run", *roots, "-m", model).status == 0
    assert list(rows()) == [
        "local/z.jpg",
        *(f"{url}/{number:04}.jpg" for number in range(3)),
        *(f"{inside}/x/1.jpg", f"{inside}/y.jpg"),
    ]
    s3.clear()
    assert batchcls("run", *roots, "-m", model).status == 0
    assert set(s3.counts()) <= {"a.zip"}


def test_a_page_of_images_in_a_bucket(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 12)
    assert batchcls("run", url, "-m", model).status == 0
    s3.clear()
    assert batchcls("run", url, "-m", model, "--html", "page.html").status == 0
    assert max(s3.counts().values()) == 1  # each is drawn once
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("data:image/") >= 12
    s3.clear()
    assert batchcls("run", url, "-m", model, "--html", "page.html").status == 0
    assert s3.counts() == {}


def test_since_goes_by_what_the_listing_says(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 3)
    assert batchcls("run", url, "-m", model, "--since", "1h").status == 0
    assert len(rows()) == 3
    s3.date("in/0001.jpg", time.time() - 7200)
    s3.clear()
    assert batchcls("run", url, "-m", model, "--since", "1h").status == 0
    assert list(rows()) == ["0000.jpg", "0002.jpg"]
    assert s3.counts() == {}


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("where", ["reading", "listing"])
def test_a_run_that_waits_for_a_silent_server_can_be_ended(
    where: str, s3: S3, model: Path, tmp_path: Path
):
    url = fill(s3, 20)
    s3.fail(silent, listing=where == "listing")
    command = [sys.executable, "-m", "batchcls", "run", url, "-m", model]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: s3.open >= 1, "it waits", 120)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - start < 60
    assert "Traceback" not in said
    assert not (tmp_path / "report.csv").exists()


def test_slow_is_not_dead(s3: S3, batchcls: Command, model: Path):
    """A server that takes longer than an image may is no image that hangs."""
    url = fill(s3, 10)
    s3.fail(delayed(2.5), key="in/0003.jpg")
    done = batchcls("run", url, "-m", model, BATCHCLS_DECODE_MAX_SECONDS="1")
    assert (done.status, "took more than" in done.err) == (0, False)
    assert "error" not in {row["status"] for row in rows().values()}
    assert set(s3.counts().values()) == {1}


def test_a_run_that_was_killed_goes_on_where_it_was(s3: S3, batchcls: Command, model: Path):
    url = fill(s3, 30)
    s3.fail(silent, key="in/0025.jpg")
    command = [sys.executable, "-m", "batchcls", "run", url, "-m", model]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            eventually(lambda: len(s3.counts()) == 30, "all are asked for", 120)
            time.sleep(2)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    s3.clear()
    assert batchcls("run", url, "-m", model).status == 0
    assert len(rows()) == 30
    assert 1 <= len(s3.counts()) < 30
