"""What is in a bucket → image files: all of them, page by page, none held for long."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from batchcls.errors import BatchclsError, UsageError
from batchcls.scan import NoCare, scan
from batchcls.scanrules import ScanRules
from batchcls.settings import Settings

from .conftest import picture
from .remoting import SUFFIXES, Clock, content, found, keys, reason, remote
from .s3 import S3, delayed, pass_on, slow_down, status
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

ODD = [
    *("a b.jpg", "a%20b.jpg", "a+b.jpg", "ä日.jpg", "e\u0301.jpg", "x//y.jpg", "x/../y.jpg"),
    *("/lead.jpg", "//lead.jpg", "l\rf.jpg", "h#h.jpg", "q?q.jpg", "c::d.jpg", "c::e://f.jpg"),
    *("./dot.jpg", "t\tt.jpg", "b\\s.jpg", "a&b.jpg", "v?versionId=3.jpg", "\x01c.jpg", "*[x].jpg"),
    *("x/./z.jpg", "end .jpg", "%2F.jpg", "'\"<>.jpg", "zip://x::y.jpg", "?sig=1.jpg"),
]


def fill(s3: S3, *names: str) -> str:
    """Put objects, each with its key as content; give the bucket's URL."""
    for name in names:
        s3.put(name, name.encode())
    return f"s3://{s3.bucket}"


def test_all_pages_of_a_bucket_are_listed_in_the_order_of_the_keys(s3: S3):
    names = [f"{number % 7}/{number:05}.jpg" for number in range(2500)]
    bucket = fill(s3, *names, "notes.txt", "0/")
    with remote() as files:
        assert keys(files, bucket) == sorted(names)
    assert s3.count("GET", listing=True) == 3
    assert len(s3.requests) == 3


def test_the_next_page_is_on_its_way_while_one_is_worked_on(s3: S3):
    bucket = fill(s3, *(f"{number:05}.jpg" for number in range(2200)))
    with remote() as files:
        stream = scan([bucket], ScanRules(SUFFIXES), remote=files)
        next(stream)
        for _ in range(600):  # until it has come, though nobody asks for what is in it
            if s3.count("GET", listing=True) == 2:
                break
            threading.Event().wait(0.1)
        assert s3.count("GET", listing=True) == 2  # and the one after that has not been asked for
        assert len(list(stream)) == 2199
    assert s3.count("GET", listing=True) == 3


def test_odd_keys_are_listed_read_and_named_right(s3: S3):
    bucket = fill(s3, *ODD)
    s3.put("line__LINE-BREAK__break.jpg", b"line\nbreak.jpg")
    with remote() as files:
        listed = found(files, bucket)
        assert sorted(file.key for file in listed) == sorted([*ODD, "line\nbreak.jpg"])
        for file in listed:
            assert content(files, file.path) == file.key.encode()
            assert file.path == f"{bucket}/{file.key}"
    assert max(s3.counts().values()) == 1
    assert s3.count("HEAD") == 0


def test_odd_keys_below_a_folder_and_by_themselves(s3: S3):
    bucket = fill(s3, "a b/c+d%20/e?.jpg", "a b/x.jpg", "a b")
    with remote() as files:
        assert keys(files, f"{bucket}/a b/c+d%20") == ["e?.jpg"]
        assert keys(files, f"{bucket}/a b/c+d%20/e?.jpg") == [f"{bucket}/a b/c+d%20/e?.jpg"]
        assert keys(files, f"{bucket}/a b/") == ["c+d%20/e?.jpg", "x.jpg"]


def test_a_prefix_is_a_folder_and_the_object_of_that_very_name(s3: S3):
    bucket = fill(s3, "2026/a.jpg", "2026/b/c.jpg", "2026-old/d.jpg", "2026.jpg", "2026x")
    with remote() as files:
        assert keys(files, f"{bucket}/2026") == ["a.jpg", "b/c.jpg"]
        assert keys(files, f"{bucket}/2026/") == ["a.jpg", "b/c.jpg"]
        assert keys(files, f"{bucket}/2026.jpg") == [f"{bucket}/2026.jpg"]
        assert keys(files, f"{bucket}/2026x") == [f"{bucket}/2026x"]  # of any name
        s3.put("2026", b"an object, too")
        assert keys(files, f"{bucket}/2026") == [f"{bucket}/2026", "a.jpg", "b/c.jpg"]
        s3.put("2026", b"")  # what some programs mark a folder by
        assert keys(files, f"{bucket}/2026") == ["a.jpg", "b/c.jpg"]


def test_markers_of_folders_are_no_images(s3: S3):
    bucket = fill(s3, "x/a.jpg")
    for marker in ("x/", "y/", "z.jpg/"):
        s3.put(marker, b"")
    s3.put("full/", b"an object whose key ends so")
    with remote() as files:
        assert keys(files, bucket) == ["x/a.jpg"]
        assert keys(files, bucket, all_files=True) == ["full/", "x/a.jpg"]
        assert keys(files, f"{bucket}/y") == []


TREE = [
    *("2023/a.jpg", "2023/raw/b.jpg", "2024/.hidden/c.jpg", "2024/.d.jpg", "2024/e.png"),
    *("2024/raw/f.jpg", "2024/raw/deep/g.jpg", "thumbs/h.JPG", "notes.txt", "i.jpg"),
]


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"hidden": True},
        {"all_files": True},
        {"exclude": ["raw/"]},
        {"exclude": ["/2023/"]},
        {"exclude": ["*.jpg", "!f.jpg"]},
        {"include": ["2024/"]},
        {"include": ["2024/", "*.JPG"], "exclude": ["raw"], "hidden": True},
        {"include": ["2023/**/b.jpg"]},
        {"include": ["nothing"]},
    ],
)
def test_patterns_choose_as_they_do_in_a_folder(rules: dict[str, Any], s3: S3, tmp_path: Path):
    bucket = fill(s3, *(f"in/{name}" for name in TREE))
    for name in TREE:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    local = [file.key for file in scan([str(tmp_path / "in")], ScanRules(SUFFIXES, **rules))]
    with remote() as files:
        assert sorted(keys(files, f"{bucket}/in", **rules)) == sorted(local)


def test_what_is_never_to_be_taken_is_not(s3: S3):
    bucket = fill(s3, "a.jpg", "report.csv", "x/b.jpg")
    skip = frozenset({f"{bucket}/report.csv", "/elsewhere"})
    with remote() as files:
        assert keys(files, bucket, all_files=True, skip=skip) == ["a.jpg", "x/b.jpg"]


def test_several_roots_begin_the_keys_and_give_each_object_once(s3: S3, tmp_path: Path):
    bucket = fill(s3, "a/1.jpg", "a/b/2.jpg", "a/b.jpg", "c/3.jpg")
    (tmp_path / "local").mkdir()
    picture().save(tmp_path / "local" / "4.jpg")
    with remote() as files:
        assert keys(files, f"{bucket}/a", "local", f"{bucket}/c/") == [
            *(f"{bucket}/a/1.jpg", f"{bucket}/a/b.jpg", f"{bucket}/a/b/2.jpg"),
            *("local/4.jpg", f"{bucket}/c/3.jpg"),
        ]
        assert keys(files, f"{bucket}/a", f"{bucket}/a/") == ["1.jpg", "b.jpg", "b/2.jpg"]
        assert keys(files, f"{bucket}/a", f"{bucket}/a/b", f"{bucket}/a/1.jpg") == [
            *(f"{bucket}/a/b.jpg", f"{bucket}/a/b/2.jpg", f"{bucket}/a/1.jpg"),
        ]


def test_an_empty_bucket_has_no_images(s3: S3):
    with remote() as files:
        assert keys(files, f"s3://{s3.bucket}") == []
        assert keys(files, f"s3://{s3.bucket}/") == []


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("s3://there-is-no-such-bucket", "no such bucket"),
        ("s3://there-is-no-such-bucket/x.jpg", "no such bucket"),
        ("s3://{}/nothing", "there is no such folder, and no such object"),
        ("s3://{}/a.jp", "there is no such folder, and no such object"),
        ("s3://", "no bucket"),
        ("nowhere://x/y", "nowhere"),
    ],
)
def test_a_root_that_is_not_there_is_told_before_anything_is_yielded(root: str, said: str, s3: S3):
    bucket = fill(s3, "a.jpg")
    root = root.format(s3.bucket)
    with remote() as files, pytest.raises(UsageError) as raised:
        scan([bucket, root], ScanRules(SUFFIXES), remote=files)
    assert said in raised.value.message
    assert raised.value.message.startswith(root)
    assert raised.value.hint


def test_a_url_where_nothing_lists_it():
    with pytest.raises(UsageError, match="s3://bucket/x: a URL"):
        scan(["s3://bucket/x"], ScanRules(SUFFIXES))


def test_a_url_of_a_file_on_this_machine_is_its_path(tmp_path: Path):
    picture().save(tmp_path / "a.jpg")
    with remote() as files:
        assert [file.path for file in found(files, f"file://{tmp_path}")] == [f"{tmp_path}/a.jpg"]


def test_forbidden_to_list(s3: S3):
    bucket = fill(s3, "x/a.jpg")
    s3.fail(status(403, "AccessDenied"), listing=True)
    with remote() as files:
        with pytest.raises(UsageError, match="permission denied") as raised:
            found(files, bucket)
        assert "credentials" in raised.value.hint
        with pytest.raises(UsageError, match="permission denied"):
            s3.fail(status(403), method="HEAD", key="x")
            found(files, f"{bucket}/x")
        [one] = found(files, f"{bucket}/x/a.jpg")  # but an object may be read
        assert content(files, one.path) == b"x/a.jpg"
        assert one.identity == files.identify(one.path)


def test_allowed_to_list_the_folder_and_nothing_else(s3: S3):
    """As by a policy that names the prefix with its "/"."""
    bucket = fill(s3, "x/a.jpg", "x/b.jpg", "xy.jpg")

    def harm(handler: Any) -> None:
        allowed = "prefix=x/&" in handler.path or "prefix=x%2F&" in handler.path
        (pass_on if allowed else status(403, "AccessDenied"))(handler)

    s3.fail(harm, listing=True)
    with remote() as files:
        assert keys(files, f"{bucket}/x") == ["a.jpg", "b.jpg"]


def test_a_folder_that_is_given_up_is_not_listed(s3: S3):
    class GivenUp(NoCare):
        def reason(self, path: str) -> str | None:
            return "did not answer within 60 s"

    with remote() as files:
        [one] = scan([f"s3://{s3.bucket}"], ScanRules(SUFFIXES), GivenUp(), remote=files)
    assert one.problem == "the folder can't be read: did not answer within 60 s"
    assert s3.requests == []


def test_wrong_keys(s3: S3):
    bucket = fill(s3, "x/a.jpg")
    s3.fail(status(403, "SignatureDoesNotMatch"), listing=True)
    with remote() as files, pytest.raises(UsageError) as raised:
        found(files, bucket)
    assert raised.value.message == f"{bucket}: permission denied (Signature Does Not Match)"


def test_no_credentials(s3: S3, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    bucket = fill(s3, "a.jpg")
    with remote() as files, pytest.raises(UsageError, match="no credentials") as raised:
        found(files, bucket)
    assert "anon = true" in raised.value.hint
    anonymous = Settings(filesystem={"s3": {"anon": True}})
    with remote(settings=anonymous) as files:
        assert keys(files, bucket) == ["a.jpg"]


def test_options_stand_under_the_protocol(s3: S3, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bucket = fill(s3, "a.jpg")
    options = {"key": "k", "secret": "s", "endpoint_url": s3.url}
    for protocol in ("s3", "s3a"):
        with remote(settings=Settings(filesystem={"s3": options})) as files:
            root = f"{protocol}://{s3.bucket}"
            [one] = found(files, root)
            assert (one.key, one.path) == ("a.jpg", f"{root}/a.jpg")
            assert content(files, one.path) == b"a.jpg"
    wrong = Settings(filesystem={"s3": {"nonsense": 1}})
    with remote(settings=wrong) as files, pytest.raises(UsageError, match="nonsense"):
        found(files, bucket)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, s3: S3):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    clock = Clock()
    with remote(clock, retries=3) as files, pytest.raises(BatchclsError) as raised:
        found(files, "s3://bucket/x")
    assert not isinstance(raised.value, UsageError)
    assert raised.value.message == "s3://bucket/x: no connection to the server, 4 times"
    assert len(clock.pauses) >= 3


def test_a_page_is_tried_again(s3: S3):
    bucket = fill(s3, *(f"{number:05}.jpg" for number in range(1100)))
    clock = Clock()
    s3.fail(slow_down(), listing=True, times=2)
    with remote(clock) as files:
        stream = scan([bucket], ScanRules(SUFFIXES), remote=files)
        s3.fail(status(500, "InternalError"), listing=True, times=3)
        assert len(list(stream)) == 1100
    assert s3.count("GET", listing=True) == 2 + 2 + 3
    assert len(clock.pauses) == 5


def test_a_listing_that_breaks_half_way_gives_what_it_had(s3: S3):
    bucket = fill(s3, *(f"in/{number:05}.jpg" for number in range(1100)))
    with remote(Clock(), retries=2) as files:
        stream = scan([f"{bucket}/in"], ScanRules(SUFFIXES), remote=files)
        s3.fail(slow_down(), listing=True)
        *some, last = list(stream)
        assert [file.key for file in some] == [f"{number:05}.jpg" for number in range(1000)]
        assert last.key == "./"
        assert last.path == f"{bucket}/in/"
        assert (
            last.problem == "the folder can't be read: the server failed (503 Slow Down), 3 times"
        )


def test_a_listing_that_is_given_up_leaves_nothing_behind(s3: S3):
    bucket = fill(s3, *(f"{number:05}.jpg" for number in range(1500)))
    with remote() as files:
        stream = scan([bucket], ScanRules(SUFFIXES), remote=files)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert keys(files, f"{bucket}/00001.jpg") == [f"{bucket}/00001.jpg"]


class Watching(NoCare):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.touched = 0

    def listing(self, path: str):
        self.listed.append(path)
        return super().listing(path)

    def touch(self) -> None:
        self.touched += 1


def test_signs_of_life_while_a_server_takes_its_time(s3: S3):

    bucket = fill(s3, "a.jpg")
    s3.fail(delayed(2.5), listing=True, times=1)
    care = Watching()
    with remote() as files:
        assert len(list(scan([bucket], ScanRules(SUFFIXES), care, remote=files))) == 1
    assert care.touched >= 2
    assert care.listed == [bucket]


def test_an_object_that_vanished_since_it_was_listed(s3: S3):
    bucket = fill(s3, "a.jpg")
    with remote() as files:
        [one] = found(files, bucket)
        s3.remove("a.jpg")
        assert reason(files, one.path) == "no such object: it may have vanished"


class Endless(ThreadingHTTPServer):
    """Lists as many keys as it is told, as S3 does, without having any object."""

    daemon_threads = True

    def __init__(self, keys: int) -> None:
        super().__init__(("127.0.0.1", 0), Lister)
        self.keys, self.page = keys, 1000
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Lister(BaseHTTPRequestHandler):
    server: Endless

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        start = int(asked.get("continuation-token", ["0"])[0])
        end = min(start + self.server.page, self.server.keys)
        contents = "".join(
            f"<Contents><Key>{number:09}-{'x' * 80}.jpg</Key><ETag>&quot;{number:x}&quot;</ETag>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{number + 1}</Size>"
            "</Contents>"
            for number in range(start, end)
        )
        more = end < self.server.keys
        token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
        body = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{token}{contents}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endless(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endless]:
    server = Endless(0)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    yield server
    server.shutdown()
    server.server_close()


def test_memory_does_not_grow_with_the_number_of_objects(endless: Endless):
    endless.keys, endless.page = 3000, 200
    held = {}
    with remote() as files:
        tracemalloc.start()
        try:
            stream = scan(["s3://bucket"], ScanRules(SUFFIXES), remote=files)
            for number, _ in enumerate(stream, start=1):
                if number in {500, 2500}:
                    gc.collect()
                    held[number] = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert number == 3000
    # What is known of 2,000 objects is some 800,000 bytes.
    assert held[2500] - held[500] < 300_000


def test_a_listing_that_goes_in_circles_ends(endless: Endless, monkeypatch: pytest.MonkeyPatch):
    endless.keys = 5000
    monkeypatch.setattr(Lister, "do_GET", _always_the_first(Lister.do_GET))
    with remote() as files:
        *some, last = found(files, "s3://bucket")
    assert len(some) == 1000
    assert last.problem == "the folder can't be read: the listing does not get on"


def _always_the_first(answer: Any) -> Any:
    def do_GET(self: Lister) -> None:  # noqa: N802
        self.path = self.path.partition("?")[0]
        answer(self)

    return do_GET
