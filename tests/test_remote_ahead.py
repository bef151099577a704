"""Reading ahead: many at once, each once, in bounds, and given up without a trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchcls.engines.local import LocalEngine
from batchcls.errors import DecodeError
from batchcls.pipeline import chunked
from batchcls.records import ImageFile, KnownContent
from batchcls.remote.reading import RemoteFiles
from batchcls.scan import scan
from batchcls.scanrules import ScanRules

from .remoting import PLENTY, SUFFIXES, Clock, content, found, reason, remote, settings
from .s3 import S3, delayed, silent, status
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414
from .servers import eventually


def fill(s3: S3, count: int, size: int = 1000) -> str:
    """Put objects of ``size`` bytes, each of another content; give the bucket's URL."""
    for number in range(count):
        s3.put(f"{number:04}.jpg", data(number, size))
    return f"s3://{s3.bucket}"


def data(number: int, size: int = 1000) -> bytes:
    return f"{number:04}".encode() * (size // 4)


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_each_object_is_read_once_by_whatever_thread(jobs: int, s3: S3):
    bucket = fill(s3, 150)
    with remote() as files:
        listed = found(files, bucket)

        def work(chunk: list[ImageFile]) -> list[bytes]:
            return [content(files, file.path) for file in chunk]

        results = LocalEngine(jobs).map(work, files.through(chunked(listed)))
        read = [one for chunk in results for one in chunk]
    assert read == [data(number) for number in range(150)]
    assert set(s3.counts().values()) == {1}
    assert len(s3.requests) == 151


def test_many_are_under_way_at_once_and_no_more_than_allowed(s3: S3):
    bucket = fill(s3, 60)
    with remote(connections=10) as files:
        listed = found(files, bucket)
        s3.clear()
        s3.fail(delayed(0.3))
        start = time.monotonic()
        for chunk in files.through(chunked(listed)):
            for file in chunk:
                assert len(content(files, file.path)) == 1000
        seconds = time.monotonic() - start
    assert s3.most_open == 10
    assert seconds < 60 * 0.3 / 2
    assert set(s3.counts().values()) == {1}


def test_chunks_pass_in_their_order_whatever_is_in_them(s3: S3, tmp_path: Path):
    bucket = fill(s3, 4)
    (tmp_path / "local.jpg").touch()
    with remote() as files:
        a, b, c, d = found(files, bucket)
        chunks = [
            [],
            [ImageFile(str(tmp_path / "local.jpg"), "local.jpg"), a],
            [],
            [replace(b, content=KnownContent(1, b"digest")), replace(c, problem="it is broken")],
            [ImageFile("s3://there-is-no-such-bucket/x.jpg", "x.jpg"), d],
            [],
        ]
        assert list(files.through(iter(chunks))) == chunks
        for file in (a, d):
            assert len(content(files, file.path)) == 1000
        assert reason(files, "s3://there-is-no-such-bucket/x.jpg") == "no such bucket"
        assert dict(s3.counts()) == {"0000.jpg": 1, "0003.jpg": 1, "x.jpg": 1}
        assert len(content(files, b.path)) == 1000  # all the same, if it has to be


def test_what_is_held_has_a_bound(s3: S3):
    bucket = fill(s3, 40, size=100_000)
    files = RemoteFiles(settings(connections=8), max_bytes_ahead=350_000)
    try:
        listed = found(files, bucket)
        stream = files.through(chunked(listed))
        first = next(stream)
        eventually(lambda: s3.count("GET") == 3 and s3.open == 0, "three are read")
        time.sleep(0.3)
        assert len(s3.counts()) == 3
        for file in first[:2]:
            content(files, file.path)
        eventually(lambda: len(s3.counts()) == 5, "two more are read")
        for file in [*first[2:], *(file for chunk in stream for file in chunk)]:
            content(files, file.path)
    finally:
        files.close()
    assert set(s3.counts().values()) == {1}
    assert len(s3.counts()) == 40


def test_a_huge_object_is_not_read_ahead_and_holds_up_no_other(s3: S3):
    s3.put("a-huge.jpg", bytes(500_000))
    bucket = fill(s3, 3)
    files = RemoteFiles(settings(), max_bytes_ahead=100_000)
    try:
        listed = found(files, bucket)
        list(files.through([listed]))
        eventually(lambda: len(s3.counts()) == 3, "the others are read")
        time.sleep(0.3)
        assert "a-huge.jpg" not in s3.counts()
        with files.opened(f"{bucket}/a-huge.jpg", PLENTY) as opened:
            assert len(opened.file.read()) == 500_000
            assert opened.identity == next(f for f in listed if "huge" in f.path).identity
    finally:
        files.close()


def test_no_more_is_drawn_than_is_read(s3: S3):
    bucket = fill(s3, 1)
    drawn = 0

    def endless() -> Iterator[list[ImageFile]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield [ImageFile(f"{bucket}/{drawn}-{number}.jpg", "") for number in range(8)]

    with remote(connections=2, retries=0) as files:
        stream = files.through(endless())
        next(stream)
        time.sleep(0.3)
        assert drawn <= 3
        stream.close()
        assert list(stream) == []


def test_where_all_is_known_chunks_go_on_as_they_come():
    drawn = 0

    def endless() -> Iterator[list[ImageFile]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield []

    with remote() as files:
        stream = files.through(endless())
        for _ in range(500):
            assert next(stream) == []
        time.sleep(0.3)
        assert drawn < 600


def test_what_the_source_raises_comes_after_the_chunks_before_it(s3: S3):
    bucket = fill(s3, 1)

    def source() -> Iterator[list[ImageFile]]:
        yield [ImageFile(f"{bucket}/0000.jpg", "")]
        yield []
        raise DecodeError("no more")

    with remote() as files:
        stream = files.through(source())
        assert len(next(stream)) == 1
        assert next(stream) == []
        with pytest.raises(DecodeError, match="no more"):
            next(stream)
        assert list(stream) == []


def test_closing_gives_up_what_is_under_way(s3: S3):
    bucket = fill(s3, 30)
    closed = threading.Event()

    def source(listed: list[ImageFile]) -> Iterator[list[ImageFile]]:
        try:
            yield from chunked(listed)
        finally:
            closed.set()

    with remote(connections=4) as files:
        listed = found(files, bucket)
        s3.fail(silent)
        stream = files.through(source(listed))
        next(stream)
        eventually(lambda: s3.open == 4, "four are under way")
        start = time.monotonic()
        stream.close()
        assert closed.wait(20)
        assert time.monotonic() - start < 20
        asked = len(s3.requests)
        time.sleep(0.3)
        assert len(s3.requests) == asked
    assert list(stream) == []


def test_who_waits_while_it_is_closed_gets_a_reason(s3: S3):
    bucket = fill(s3, 20)
    said: list[str] = []
    with remote(connections=2) as files:
        listed = found(files, bucket)
        s3.fail(silent)
        stream = files.through(chunked(listed))
        chunk = next(stream)

        def wait() -> None:
            said.extend(reason(files, file.path) for file in chunk)

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually(lambda: s3.open == 2, "they are under way")
        stream.close()
        waiting.join(60)
        assert said == ["reading it was given up"] * 8
        s3.faults.clear()
        s3.put("another.jpg", b"x")
        assert content(files, f"{bucket}/another.jpg") == b"x"


def test_who_draws_while_a_listing_is_silent_is_let_go_when_it_is_closed(s3: S3):
    bucket = fill(s3, 1100)
    ended = threading.Event()
    drawn: list[int] = []
    files = RemoteFiles(settings(), wants=lambda _: False)
    try:
        listed = scan([bucket], ScanRules(SUFFIXES), remote=files)
        s3.fail(silent, listing=True)
        stream = files.through(chunked(listed))

        def draw() -> None:
            drawn.extend(map(len, stream))
            ended.set()

        threading.Thread(target=draw, daemon=True).start()
        eventually(lambda: sum(drawn) == 1000, "all of the first page is worked on")
        assert not ended.wait(0.5)
        start = time.monotonic()
        stream.close()
        assert ended.wait(20)
        assert time.monotonic() - start < 20
    finally:
        files.close()
    assert sum(drawn) == 1000


def test_a_stream_that_is_forgotten_leaves_no_thread_behind():
    def endless() -> Iterator[list[ImageFile]]:
        while True:
            yield []

    before = set(threading.enumerate())
    with remote() as files:
        stream = files.through(endless())
        next(stream)
        del stream
        eventually(lambda: set(threading.enumerate()) <= before, "its thread ends")


def test_what_was_given_up_may_be_read_by_another_stream(s3: S3):
    bucket = fill(s3, 8)
    with remote(connections=2) as files:
        listed = found(files, bucket)
        first = files.through([listed])
        next(first)
        first.close()
        assert reason(files, listed[0].path) == "reading it was given up"
        for chunk in files.through([listed]):
            for file in chunk:
                assert len(content(files, file.path)) == 1000


def test_failures_ahead_are_reasons_in_their_place(s3: S3):
    bucket = fill(s3, 16)
    s3.fail(status(403, "AccessDenied"), key="0003.jpg")
    s3.fail(status(500), key="0009.jpg")
    with remote(Clock(), retries=1) as files:
        listed = found(files, bucket)
        for chunk in files.through(chunked(listed)):
            for file in chunk:
                if file.key == "0003.jpg":
                    assert reason(files, file.path) == "permission denied"
                elif file.key == "0009.jpg":
                    assert reason(files, file.path).endswith("(500 Internal Server Error), 2 times")
                else:
                    assert len(content(files, file.path)) == 1000
