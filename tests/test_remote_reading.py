"""Objects of a bucket, read: each by one request, and again only where that may help."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from batchcls import reading
from batchcls.errors import DecodeError
from batchcls.remote import bodies
from batchcls.remote.reading import RemoteFiles

from .remoting import PLENTY, Clock, content, found, reason, remote, settings
from .s3 import S3, cut, hang_up, shortened, silent, slow_down, status, vanished
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

DATA = os.urandom(300_000)


@pytest.fixture
def url(s3: S3) -> str:
    """An object of 300,000 bytes."""
    s3.put("in/a.jpg", DATA)
    return f"s3://{s3.bucket}/in/a.jpg"


def test_an_object_is_read_by_one_request(s3: S3, url: str):
    with remote() as files, files.opened(url, PLENTY) as opened:
        assert opened.file.read() == DATA
        assert opened.digest == hashlib.sha256(DATA).digest()
    assert [(each.method, each.key) for each in s3.requests] == [("GET", "in/a.jpg")]


def test_listing_reading_and_asking_say_the_same_of_an_object(s3: S3, url: str):
    with remote() as files:
        [listed] = found(files, f"s3://{s3.bucket}")
        with files.opened(url, PLENTY) as opened:
            assert opened.identity == listed.identity == files.identify(url)
        identity = listed.identity
        assert identity is not None
        assert identity.size == len(DATA)
        assert abs(identity.modified / 1e9 - time.time()) < 3600
        s3.clear()
        assert files.identities([listed]) == [identity]
        assert s3.requests == []


def test_what_identifies_an_object_changes_with_its_content(s3: S3, url: str):
    with remote() as files:
        before = files.identify(url)
        s3.put("in/a.jpg", DATA[::-1])
        after = files.identify(url)
        assert before is not None
        assert after is not None
        assert before.size == after.size
        assert (before.changed, before.inode) != (after.changed, after.inode)
        for number in (before.modified, before.changed, before.inode, after.changed):
            assert -(2**63) <= number < 2**63
        s3.remove("in/a.jpg")
        assert files.identify(url) is None


def test_an_object_that_was_replaced_since_it_was_listed_is_what_it_is_now(s3: S3, url: str):
    with remote() as files:
        [listed] = found(files, f"s3://{s3.bucket}")
        list(files.through([[]]))
        s3.put("in/a.jpg", b"other")
        list(files.through([[listed]]))
        with files.opened(url, PLENTY) as opened:
            assert opened.file.read() == b"other"
            assert opened.identity == files.identify(url) != listed.identity


def test_files_on_this_machine_are_read_as_ever(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(DATA)
    os.utime(tmp_path / "a.jpg", (1e9, 1e9))
    path = str(tmp_path / "a.jpg")
    with remote() as files:
        assert content(files, path) == DATA
        assert files.identify(path) == reading.identify(path)
        assert reason(files, str(tmp_path / "none")).startswith("no such file")
        assert reason(files, path, 10).startswith("too large: 300,000 bytes")


def test_too_large_is_told_without_reading_it(s3: S3, url: str):
    large = "too large: 300,000 bytes, more than 1,000 (decode.max_bytes)"
    with remote() as files:
        assert reason(files, url, 1000) == large
        [listed] = found(files, f"s3://{s3.bucket}")
    limited = settings()
    limited.decode.max_bytes = 1000
    s3.clear()
    with remote(settings=limited) as files:
        list(files.through([[listed]]))
        assert reason(files, url, 1000) == large
    assert s3.requests == []


@pytest.mark.parametrize("size", [0, 1, bodies.BLOCK, 3 * bodies.BLOCK, 3 * bodies.BLOCK + 1])
@pytest.mark.parametrize("ahead", [False, True])
def test_any_size_in_memory_or_not(size: int, ahead: bool, s3: S3, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "IN_MEMORY", 2 * bodies.BLOCK)
    data = os.urandom(size)
    s3.put("b.jpg", data)
    with remote() as files:
        listed = found(files, f"s3://{s3.bucket}")
        list(files.through([listed if ahead else []]))
        with files.opened(f"s3://{s3.bucket}/b.jpg", PLENTY) as opened:
            assert opened.digest == hashlib.sha256(data).digest()
            assert opened.file.tell() == 0
            assert opened.file.read() == data
            has_number = hasattr(opened.file, "fileno") and size > 2 * bodies.BLOCK
            assert (opened.file.fileno() > 2) if has_number else True
    assert s3.count("GET", "b.jpg") == 1


HARMS: dict[str, Any] = {
    "500": status(500, "InternalError"),
    "503": slow_down(),
    "500 by a proxy": status(500),
    "429": status(429),
    "408": status(408, "RequestTimeout"),
    "hang up": hang_up,
    "cut": cut(1000),
    "cut at once": cut(0),
    "fewer bytes": shortened(5000),
    "throttled": status(400, "RequestTimeout"),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("listed", [True, False])
def test_what_passes_is_tried_again(harm: str, listed: bool, s3: S3, url: str):
    if harm == "fewer bytes" and not listed:
        pytest.skip("nobody says how many there should be")
    clock = Clock()
    with remote(clock) as files:
        chunk = found(files, f"s3://{s3.bucket}") if listed else []
        s3.fail(HARMS[harm], key="in/a.jpg", times=10 if harm == "hang up" else 5)
        list(files.through([chunk]))
        assert content(files, url) == DATA
    # A server that hangs up may have closed an old connection: aiohttp asks once more.
    assert s3.count("GET", "in/a.jpg") in ({6, 11} if harm == "hang up" else {6})
    assert clock.pauses == [0.2, 0.4, 0.8, 1.6, 3.2]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("500", "the server failed (500 Internal Error), 3 times"),
        ("503", "the server failed (503 Slow Down), 3 times"),
        ("500 by a proxy", "the server failed (500 Internal Server Error), 3 times"),
        ("429", "the server failed (429 Too Many Requests), 3 times"),
        ("hang up", "the connection was cut, 3 times"),
        ("cut", "the connection was cut, 3 times"),
        ("fewer bytes", "the connection was cut, 3 times"),
    ],
)
def test_what_does_not_pass_is_a_reason(harm: str, said: str, s3: S3, url: str):
    with remote(Clock(), retries=2) as files:
        chunk = found(files, f"s3://{s3.bucket}")
        s3.fail(HARMS[harm], key="in/a.jpg")
        list(files.through([chunk]))
        assert reason(files, url) == said
    assert s3.count("GET", "in/a.jpg") in ({3, 6} if harm == "hang up" else {3})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (vanished(), "no such object: it may have vanished"),
        (status(404), "no such object: it may have vanished"),
        (status(403, "AccessDenied"), "permission denied"),
        (status(403, "ExpiredToken"), "permission denied (Expired Token)"),
        (status(403), "permission denied"),
        (status(401), "permission denied"),
        (status(400, "InvalidRequest"), "the server refuses it (400 Invalid Request)"),
        (
            status(403, "InvalidObjectState"),
            "archived: it has to be restored before it can be read",
        ),
    ],
)
def test_what_would_fail_again_is_not_tried_again(harm: Any, said: str, s3: S3, url: str):
    clock = Clock()
    s3.fail(harm, key="in/a.jpg")
    with remote(clock) as files:
        assert reason(files, url) == said
    assert s3.count("GET", "in/a.jpg") == 1
    assert clock.pauses == []


def test_no_retries(s3: S3, url: str):
    s3.fail(slow_down(), key="in/a.jpg")
    with remote(retries=0) as files:
        assert reason(files, url) == "the server failed (503 Slow Down)"
    assert len(s3.requests) == 1


def test_a_server_is_given_the_time_that_it_asks_for(s3: S3, url: str):
    clock = Clock()
    s3.fail(slow_down(Retry_After="7"), key="in/a.jpg", times=1)
    s3.fail(slow_down(Retry_After="86400"), key="in/a.jpg", times=1)
    with remote(clock) as files:
        assert content(files, url) == DATA
    assert clock.pauses == [7, 60]


def test_silence_has_an_end(s3: S3, url: str):
    touched: list[float] = []
    s3.fail(silent, key="in/a.jpg")
    files = RemoteFiles(settings(retries=1, timeout=0.7), lambda: touched.append(0))
    try:
        assert reason(files, url) == "no answer within 0.7 s, 2 times"
    finally:
        files.close()
    assert s3.count("GET", "in/a.jpg") == 2
    assert touched


def test_a_body_that_drips_has_an_end(s3: S3, url: str):
    def drip(handler: Any) -> None:
        number, headers, body = handler.fetched()
        handler.give(number, headers, body[:1])
        for position in range(1, 200):
            handler.wfile.write(body[position : position + 1])
            if handler.server.closing.wait(0.1):
                return

    s3.fail(drip, key="in/a.jpg")
    with remote(retries=0, timeout=1.0) as files:
        assert reason(files, url) == "too slow: hardly a byte came"


def test_a_checksum_that_does_not_fit(s3: S3, url: str):
    def flip(handler: Any) -> None:
        number, headers, body = handler.fetched()
        assert any(name.startswith("x-amz-checksum") for name, _ in headers)
        handler.give(number, headers, body[:-1] + bytes([body[-1] ^ 1]))

    import s3fs

    client = s3fs.S3FileSystem(skip_instance_cache=True)
    client.call_s3("put_object", Bucket=s3.bucket, Key="in/a.jpg", Body=DATA)
    s3.fail(flip, key="in/a.jpg", times=1)
    with remote(Clock(), retries=1) as files:
        assert content(files, url) == DATA
        s3.fail(flip, key="in/a.jpg")
        assert reason(files, url) == "it came damaged: its checksum is another, 2 times"


def test_no_room_for_a_large_object(s3: S3, url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "IN_MEMORY", 1000)
    full = open("/dev/full", "wb")  # noqa: SIM115 - closed by who has asked for it
    monkeypatch.setattr(bodies.tempfile, "TemporaryFile", lambda **_: full)
    with remote() as files:
        assert "No space left on device" in reason(files, url)
    assert s3.count("GET", "in/a.jpg") == 1


def test_a_server_that_is_down_is_not_asked_a_million_times(s3: S3):
    chunk_size = 8
    for number in range(80):
        s3.put(f"{number:02}.jpg", b"x")
    clock = Clock()
    with remote(clock, retries=5, timeout=5.0, connections=4) as files:
        listed = found(files, f"s3://{s3.bucket}")
        s3.clear()
        s3.fail(slow_down())
        reasons = [reason(files, file.path) for file in listed[:40]]
        asked = len(s3.requests)
        assert reasons[0] == "the server failed (503 Slow Down), 6 times"
        down = "the storage does not answer: the server failed (503 Slow Down)"
        assert reasons[3:] == [down] * 37
        assert asked == 3 * 6 + 1  # the first three, and one to see whether it is back
        clock.now += 6
        assert reason(files, listed[40].path) == down
        assert len(s3.requests) == asked + 1
        s3.faults.clear()
        assert reason(files, listed[41].path) == down  # nobody has looked yet
        clock.now += 6
        assert content(files, listed[42].path) == b"x"
        for start in range(48, 80, chunk_size):
            for file in listed[start : start + chunk_size]:
                assert content(files, file.path) == b"x"


def test_one_success_between_and_a_server_is_not_down(s3: S3):
    for number in range(20):
        s3.put(f"{number:02}.jpg", b"x")
    bad = [f"{number:02}.jpg" for number in range(20) if number % 3]
    for key in bad:
        s3.fail(status(500), key=key)
    with remote(Clock(), retries=2, timeout=0.1) as files:
        for file in found(files, f"s3://{s3.bucket}"):
            if file.key in bad:
                assert reason(files, file.path).endswith("3 times")
            else:
                assert content(files, file.path) == b"x"
    assert len([each for each in s3.requests if each.key in bad]) == 3 * len(bad)


def test_errors_of_the_work_pass_through(s3: S3, url: str):
    with remote() as files:
        with pytest.raises(DecodeError, match="damaged"), files.opened(url, PLENTY) as opened:
            raise DecodeError("damaged")
        assert opened.file.closed
        with pytest.raises(ZeroDivisionError), files.opened(url, PLENTY):
            raise ZeroDivisionError


def test_it_can_be_sent_to_another_process(s3: S3, url: str):
    with remote(retries=3) as files:
        again = pickle.loads(pickle.dumps(files))
    try:
        assert content(again, url) == DATA
    finally:
        again.close()
