"""Files at URLs, on a real S3 server that fails: each is there whole, or not at all."""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem

from batchcls.assembly import report_format
from batchcls.atomic import AtomicFile, output_file, write_atomically
from batchcls.errors import BatchclsError, ExitStatus, UsageError
from batchcls.records import Prediction, ReportRequest, Status
from batchcls.remote import placing
from batchcls.remote.fetching import (
    FetchError,
    NotThereError,
    beginning_of,
    exists,
    fetched,
    stamp_of_object,
)
from batchcls.remote.filesystems import settings_in_use, use_settings
from batchcls.settings import Settings, StorageSettings

from .s3 import S3, Handler, Harm, hang_up, pass_on, slow_down, status
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

UNTOUCHED = "What stood there before is untouched."


@pytest.fixture(autouse=True)
def few_retries() -> Iterator[None]:
    before = settings_in_use()
    use_settings(Settings(storage=StorageSettings(retries=2, timeout=20)))
    yield
    use_settings(before)


def url(s3: S3, key: str = "reports/one.csv") -> str:
    return f"s3://{s3.bucket}/{key}"


def asked(s3: S3) -> list[tuple[str, str]]:
    return [(one.method, one.query.partition("=")[0]) for one in s3.requests]


def lost(handler: Handler) -> None:
    """Do what is asked, and say nothing."""
    handler.fetched()
    handler.cut_off()


def where(part: str, harm: Harm, times: int = sys.maxsize) -> Harm:
    """Do harm to some requests whose address has ``part`` in it."""
    left = [times]

    def done(handler: Handler) -> None:
        if part in handler.path and left[0] > 0:
            left[0] -= 1
            harm(handler)
        else:
            pass_on(handler)

    return done


class TestAnObject:
    def test_is_there_when_it_is_committed_and_not_before(self, s3):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new ")
        file.write(b"report" * 1000)
        assert s3.content("reports/one.csv") == b"old"
        file.commit()
        assert s3.content("reports/one.csv") == b"new " + b"report" * 1000
        file.discard()  # does nothing
        assert s3.keys() == ["reports/one.csv"]
        assert s3.uploads() == 0

    def test_costs_three_requests(self, s3):
        file = output_file(url(s3))
        assert asked(s3) == [("POST", "uploads"), ("DELETE", "uploadId")]
        file.write(b"x")
        file.commit()
        assert asked(s3)[2:] == [("PUT", "")]
        s3.clear()
        write_atomically(url(s3), b"y")
        assert asked(s3) == [("PUT", "")]

    def test_that_is_discarded_leaves_what_was_there(self, s3):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new")
        file.discard()
        file.discard()
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0
        assert s3.count("PUT") == 0

    def test_may_be_empty(self, s3):
        write_atomically(url(s3), b"")
        assert s3.content("reports/one.csv") == b""

    @pytest.mark.parametrize(
        "key",
        ["a b+c%20d.csv", "täglich/ü.csv", "a::b::c.csv", "x/{y}.csv", "q?a=b#c.csv", "-"],
    )
    def test_may_have_any_key(self, s3, key):
        write_atomically(url(s3, key), b"x")
        assert s3.keys() == [key]

    def test_is_called_what_it_is(self, s3):
        s3.put("x", b"")
        for name, kind in [
            ("page.html", "text/html; charset=utf-8"),
            ("r.csv", "text/csv"),
            ("s.json", "application/json"),
            ("r.xyz", "binary/octet-stream"),
        ]:
            write_atomically(url(s3, name), b"x")
            asked = s3.requests[-1]
            assert (asked.headers.get("Content-Type") or "binary/octet-stream") == kind


class TestAServerThatFails:
    @pytest.mark.parametrize("harm", [status(500, "InternalError"), slow_down(), hang_up, lost])
    def test_once_or_twice_does_no_harm(self, s3, harm):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new" * 100_000)
        s3.fail(harm, method="PUT", times=2)
        file.commit()
        assert s3.count("PUT") == 3
        assert s3.content("reports/one.csv") == b"new" * 100_000

    def test_at_the_first_check_does_no_harm_either(self, s3):
        s3.fail(slow_down(), method="POST", times=1)
        s3.fail(hang_up, method="DELETE", times=1)
        output_file(url(s3)).discard()
        assert s3.uploads() == 0

    def test_always_leaves_the_former_one(self, s3):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new")
        s3.fail(status(503, "ServiceUnavailable"), method="PUT")
        with pytest.raises(BatchclsError) as caught:
            file.commit()
        assert caught.value.message == (
            f"{url(s3)}: can't be written: the server failed (503 Service Unavailable), 3 times"
        )
        assert caught.value.hint == f"{UNTOUCHED} Name a file elsewhere."
        assert caught.value.exit_status is ExitStatus.FAILED
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0

    def test_without_an_answer_may_have_done_it(self, s3):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new")
        s3.fail(lost, method="PUT")
        with pytest.raises(BatchclsError, match="the connection was cut, 3 times") as caught:
            file.commit()
        assert caught.value.hint.startswith("Either it is there whole, or what stood there before")
        assert s3.content("reports/one.csv") == b"new"

    def test_always_is_told_before_the_work(self, s3):
        s3.fail(hang_up, method="POST")
        with pytest.raises(
            BatchclsError, match="can't be written: the connection was cut, 3 times"
        ):
            output_file(url(s3))

    def test_can_tell_whether_all_has_come(self, s3):
        write_atomically(url(s3), b"new")
        sent = hashlib.md5(b"new", usedforsecurity=False).digest()
        assert s3.requests[-1].headers["Content-MD5"] == base64.b64encode(sent).decode()


class TestAPlaceThatIsNone:
    def test_a_bucket_that_is_not_there(self, s3):
        with pytest.raises(UsageError) as caught:
            output_file("s3://no-such-bucket/one.csv")
        assert caught.value.message == (
            "s3://no-such-bucket/one.csv: there is no bucket no-such-bucket"
        )
        assert "spelling" in caught.value.hint

    def test_a_bucket_that_takes_nothing_is_told_before_the_work(self, s3):
        s3.put("reports/one.csv", b"old")
        s3.fail(status(403, "AccessDenied"), method="POST")
        with pytest.raises(BatchclsError) as caught:
            output_file(url(s3))
        assert caught.value.message == f"{url(s3)}: can't be written: permission denied"
        assert "Check the credentials" in caught.value.hint
        assert s3.count("POST") == 1  # it is of no use to ask again
        assert s3.uploads() == 0

    def test_a_bucket_that_takes_nothing_any_more(self, s3):
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(b"new")
        s3.fail(status(403, "ExpiredToken"), method="PUT")
        with pytest.raises(BatchclsError, match=r"permission denied \(Expired Token\)") as caught:
            file.commit()
        assert caught.value.hint.startswith(UNTOUCHED)
        assert s3.content("reports/one.csv") == b"old"

    def test_no_credentials(self, s3, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        use_settings(Settings(filesystem={"s3": {"use_ssl": False}}))  # connections are its own
        with pytest.raises(BatchclsError, match="no credentials"):
            output_file(url(s3))
        assert s3.requests == []

    @pytest.mark.parametrize("place", ["", "/", "/folder/", "/.", "/..", "/a/\0"])
    def test_no_name(self, s3, place):
        with pytest.raises(UsageError, match="not a file's name"):
            output_file(f"s3://{s3.bucket}{place}")

    @pytest.mark.parametrize(
        ("address", "protocol"),
        [
            ("https://example.org/one.csv", "https"),
            ("http://example.org/one.csv", "http"),
            ("zip://one.csv::s3://bucket/a.zip", "zip"),
            ("zip://a.zip", "zip"),
            ("simplecache::s3://bucket/one.csv", "simplecache::s3"),
        ],
    )
    def test_what_can_only_be_read(self, address, protocol):
        with pytest.raises(UsageError) as caught:
            output_file(address)
        assert f"{protocol}:// can only be read" in caught.value.message

    def test_what_is_not_known(self):
        with pytest.raises(UsageError, match="Protocol not known: nothing"):
            output_file("nothing://bucket/one.csv")

    def test_a_package_that_is_not_there(self):
        with pytest.raises(UsageError) as caught:
            output_file("gs://bucket/one.csv")
        assert caught.value.hint == "Install it: pip install 'batchcls[gs]'"

    def test_a_password_is_not_told(self):
        with pytest.raises(UsageError) as caught:
            output_file("https://me:secret@example.org/one.csv")
        assert "secret" not in str(caught.value)

    def test_a_file_for_this_machine_alone_is_no_url(self):
        with pytest.raises(UsageError, match="a URL, where a file on this machine is needed"):
            AtomicFile("s3://bucket/one.csv")


class TestAVeryLargeObject:
    @pytest.fixture(autouse=True)
    def parts(self, monkeypatch):
        monkeypatch.setattr(placing, "MOST_AT_ONCE", 1000)
        monkeypatch.setattr(placing, "_PART", 6 * 2**20)  # S3 takes no smaller ones

    DATA = np.random.default_rng(0).bytes(15 * 2**20)

    def begun(self, s3: S3) -> AtomicFile:
        s3.put("reports/one.csv", b"old")
        file = output_file(url(s3))
        file.write(self.DATA)
        s3.clear()
        return file

    def test_is_sent_in_parts(self, s3):
        self.begun(s3).commit()
        assert [method for method, _ in asked(s3)] == ["POST", "PUT", "PUT", "PUT", "POST"]
        assert s3.content("reports/one.csv") == self.DATA
        assert s3.uploads() == 0

    @pytest.mark.parametrize("harm", [slow_down(), hang_up, lost])
    def test_each_part_is_tried_again(self, s3, harm):
        file = self.begun(s3)
        s3.fail(where("partNumber=2", harm, 2), method="PUT")
        file.commit()
        assert s3.count("PUT") == 5
        assert s3.content("reports/one.csv") == self.DATA

    @pytest.mark.parametrize(
        ("part", "method"), [("partNumber=1", "PUT"), ("partNumber=3", "PUT"), ("uploadId", "POST")]
    )
    def test_leaves_nothing_where_a_part_fails(self, s3, part, method):
        file = self.begun(s3)
        s3.fail(where(part, slow_down()), method=method)
        with pytest.raises(BatchclsError, match="503 Slow Down") as caught:
            file.commit()
        assert caught.value.hint.startswith(UNTOUCHED)
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0

    def test_is_there_although_the_answer_was_lost(self, s3):
        file = self.begun(s3)
        s3.fail(where("uploadId", lost, 1), method="POST")
        file.commit()
        assert s3.content("reports/one.csv") == self.DATA
        assert s3.uploads() == 0

    def test_leaves_nothing_where_the_upload_has_vanished(self, s3):
        file = self.begun(s3)
        s3.fail(where("uploadId", status(404, "NoSuchUpload")), method="POST")
        with pytest.raises(BatchclsError, match="can't be written: no such object"):
            file.commit()
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0

    def test_leaves_nothing_where_it_is_interrupted(self, s3):
        file = self.begun(s3)
        here = threading.get_ident()

        def interrupt(handler: Handler) -> None:
            signal.pthread_kill(here, signal.SIGINT)
            handler.server.closing.wait(20)  # which the client does not wait for
            handler.cut_off()

        s3.fail(where("partNumber=2", interrupt), method="PUT")
        with pytest.raises(KeyboardInterrupt):
            file.commit()
        assert s3.content("reports/one.csv") == b"old"
        assert s3.uploads() == 0


PREDICTIONS = [
    Prediction("a.jpg", Status.OK, "cat", 0.75, scores=np.array([0.75, 0.25])),
    Prediction("b\udce9.jpg", Status.ERROR, error="no such file"),
]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_each_format_is_the_same_at_a_url(s3, tmp_path, ending):
    request = ReportRequest(["cat", "dog"], scores=True)
    for place in (str(tmp_path / f"one.{ending}"), url(s3, f"one.{ending}")):
        report = report_format(place).open(place, request)
        report.write(PREDICTIONS)
        report.commit()
    assert s3.content(f"one.{ending}") == (tmp_path / f"one.{ending}").read_bytes()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_each_format_is_discarded_at_a_url(s3, ending):
    s3.put(f"one.{ending}", b"old")
    report = report_format(f"x.{ending}").open(url(s3, f"one.{ending}"), ReportRequest(["a", "b"]))
    report.write(PREDICTIONS)
    report.discard()
    assert s3.content(f"one.{ending}") == b"old"
    assert s3.uploads() == 0


def test_the_last_attempt_may_be_the_first(s3):
    s3.fail(slow_down(), method="PUT")
    with pytest.raises(BatchclsError, match=r"\(503 Slow Down\)\n"):
        write_atomically(url(s3), b"x", retries=0)
    assert s3.count("PUT") == 1


def test_a_file_url_is_a_file(tmp_path):
    write_atomically(f"file://{tmp_path}/one.csv", b"x")
    assert (tmp_path / "one.csv").read_bytes() == b"x"


def test_a_full_disk_for_temporary_files_is_told(s3):
    code = f"""
import resource, signal
from batchcls.atomic import output_file
from batchcls.errors import BatchclsError
file = output_file({url(s3)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    file.write(b"x" * 1_000_000)
    file.commit()
except BatchclsError as error:
    print(error)
"""
    s3.put("reports/one.csv", b"old")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, hint = done.stdout.splitlines()
    assert first.startswith(f"{url(s3)}: can't be gathered in ")
    assert hint.startswith(f"{UNTOUCHED} Make room in ")
    assert s3.content("reports/one.csv") == b"old"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_killed_process_leaves_nothing(s3, tmp_path):
    code = f"""
from batchcls.atomic import output_file
file = output_file({url(s3)!r})
file.write(b"x" * 1_000_000)
print("begun", flush=True)
file.commit()
"""
    s3.put("reports/one.csv", b"old")
    come = threading.Event()

    def hold(handler: Handler) -> None:
        come.set()
        handler.server.closing.wait(20)
        handler.cut_off()

    s3.fail(hold, method="PUT")
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        assert come.wait(60)
        assert list(folder.iterdir()) == []
        process.kill()
    assert s3.content("reports/one.csv") == b"old"
    assert s3.uploads() == 0


class Shelf(LocalFileSystem):
    """Real folders, as of another machine."""

    protocol = "shelf"
    fails_to_move = False

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("shelf://"))

    def mv(self, path1, path2, **options):
        if Shelf.fails_to_move:
            raise PermissionError(path2)
        super().mv(path1, path2, **options)


class TestFoldersOfAnotherMachine:
    @pytest.fixture(autouse=True)
    def shelf(self, monkeypatch):
        fsspec.register_implementation("shelf", Shelf, clobber=True)
        monkeypatch.setattr(Shelf, "fails_to_move", False)

    def test_a_file_is_moved_to_its_place(self, tmp_path):
        (tmp_path / "one.csv").write_bytes(b"old")
        file = output_file(f"shelf://{tmp_path}/one.csv")
        file.write(b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]
        assert (tmp_path / "one.csv").read_bytes() == b"old"
        file.commit()
        assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]
        assert (tmp_path / "one.csv").read_bytes() == b"new"

    def test_folders_are_made(self, tmp_path):
        write_atomically(f"shelf://{tmp_path}/a/b/one.csv", b"new")
        assert (tmp_path / "a/b/one.csv").read_bytes() == b"new"

    def test_what_can_not_be_moved_leaves_the_former_one(self, tmp_path, monkeypatch):
        (tmp_path / "one.csv").write_bytes(b"old")
        file = output_file(f"shelf://{tmp_path}/one.csv")
        file.write(b"new")
        monkeypatch.setattr(Shelf, "fails_to_move", True)
        with pytest.raises(BatchclsError, match="can't be written: permission denied"):
            file.commit()
        assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]
        assert (tmp_path / "one.csv").read_bytes() == b"old"

    def test_a_folder_that_takes_nothing_is_told_before_the_work(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(BatchclsError, match="can't be written"):
            output_file(f"shelf://{tmp_path}/file/one.csv")

    def test_memory_is_one_too(self):
        write_atomically("memory://folder/one.csv", b"new")
        assert fsspec.filesystem("memory").cat("/folder/one.csv") == b"new"


class TestFetching:
    def test_what_is_there(self, s3):
        s3.put("one", b"12345")
        s3.put("empty", b"")
        s3.put("folder/x", b"")
        assert fetched(url(s3, "one")) == b"12345"
        assert beginning_of(url(s3, "one"), 2) == b"12"
        assert beginning_of(url(s3, "one"), 20) == b"12345"
        assert beginning_of(url(s3, "empty"), 2) == b""
        assert exists(url(s3, "one"))
        assert not exists(url(s3, "folder"))
        assert stamp_of_object(url(s3, "one")) == stamp_of_object(url(s3, "one")) is not None

    def test_what_is_not_there(self, s3):
        assert beginning_of(url(s3, "one"), 2) == b""
        assert not exists(url(s3, "one"))
        assert stamp_of_object(url(s3, "one")) is None
        for place in (url(s3, "one"), "s3://no-such-bucket/one"):
            with pytest.raises(NotThereError, match="there is no such object"):
                fetched(place)

    def test_another_object_has_another_stamp(self, s3):
        s3.put("one", b"12345")
        before = stamp_of_object(url(s3, "one"))
        s3.put("one", b"54321")
        assert stamp_of_object(url(s3, "one")) != before

    def test_what_may_not_be_read(self, s3):
        s3.put("one", b"12345")
        s3.fail(status(403), method="HEAD")
        assert beginning_of(url(s3, "one"), 2) == b""
        for ask in (fetched, exists, stamp_of_object):
            with pytest.raises(FetchError, match="can't be read: permission denied") as caught:
                ask(url(s3, "one"))
            assert "credentials" in caught.value.hint

    def test_what_can_not_be_told(self, s3):
        s3.put("one", b"12345")
        s3.fail(slow_down(), method="GET", key="one")
        for ask in (fetched, lambda place: beginning_of(place, 2)):
            with pytest.raises(FetchError, match="can't be read: the server failed"):
                ask(url(s3, "one"))

    def test_a_server_that_fails_once_does_no_harm(self, s3):
        s3.put("one", b"12345")
        s3.fail(slow_down(), method="HEAD", times=1)
        s3.fail(hang_up, method="GET", times=1)
        assert fetched(url(s3, "one")) == b"12345"


def test_nothing_is_left_in_the_current_folder(tmp_path: Path, s3):
    write_atomically(url(s3), b"x")
    assert list(tmp_path.iterdir()) == []
