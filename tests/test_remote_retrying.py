"""What went wrong, in a line; how long to wait; and what identifies an object, whoever says it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import aiohttp
import botocore.exceptions
import pytest
from fsspec.exceptions import FSTimeoutError

from batchcls.errors import DecodeError, UsageError
from batchcls.reading import Identity
from batchcls.remote.identity import identity_of
from batchcls.remote.retrying import Policy, TroubleError, insisted
from batchcls.remote.troubles import CutError, StatusError, TooSlowError, seconds_of, trouble_of

from .remoting import Clock

DAY = datetime(2026, 11, 24, 18, 30, 5, 250_000, tzinfo=timezone.utc)
DAY_NS = int(DAY.timestamp()) * 10**9


def client_error(status: int, code: str, **headers: str) -> botocore.exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "a message"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return botocore.exceptions.ClientError(response, "GetObject")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class HttpError(Exception):
    """As of Google's library."""

    def __init__(self, code: int) -> None:
        super().__init__("backend error")
        self.code = code


class HttpResponseError(Exception):
    """As of Azure's library."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__("a long story")
        self.status_code, self.error_code = status, code
        self.response = type("Response", (), {"headers": {"Retry-After": "3"}})()


@pytest.mark.parametrize(
    ("error", "reason", "passing"),
    [
        (client_error(503, "SlowDown"), "the server failed (503 Slow Down)", True),
        (client_error(500, "500"), "the server failed (500 Internal Server Error)", True),
        (client_error(400, "Throttling"), "the server failed (400 Throttling)", True),
        (client_error(404, "NoSuchKey"), "no such object: it may have vanished", False),
        (client_error(404, "NoSuchBucket"), "no such bucket", False),
        (client_error(403, "403"), "permission denied", False),
        (client_error(599, "599"), "the server refuses it (599)", False),
        (
            caused(OSError(16, "Please slow down"), client_error(503, "SlowDown")),
            "the server failed (503 Slow Down)",
            True,
        ),
        (
            caused(TimeoutError("timeout"), client_error(400, "RequestTimeout")),
            "the server failed (400 Request Timeout)",
            True,
        ),
        (
            caused(FileNotFoundError("x"), client_error(404, "404")),
            "no such object: it may have vanished",
            False,
        ),
        (FileNotFoundError("x"), "no such object: it may have vanished", False),
        (PermissionError("x"), "permission denied", False),
        (HttpError(503), "the server failed (503 Service Unavailable)", True),
        (HttpError(412), "the server refuses it (412 Precondition Failed)", False),
        (HttpResponseError(503, "ServerBusy"), "the server failed (503 Server Busy)", True),
        (
            HttpResponseError(409, "BlobArchived"),
            "archived: it has to be restored before it can be read",
            False,
        ),
        (HttpResponseError(409, "BadState"), "the server refuses it (409 Bad State)", False),
        (StatusError(502, "Bad Gateway", 0), "the server failed (502 Bad Gateway)", True),
        (TimeoutError(), "no answer within 30 s", True),
        (asyncio.TimeoutError(), "no answer within 30 s", True),
        (TimeoutError(), "no answer within 30 s", True),
        (FSTimeoutError(), "no answer within 30 s", True),
        (aiohttp.ServerTimeoutError(), "no answer within 30 s", True),
        (
            botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"),
            "no answer within 30 s",
            True,
        ),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"),
            "no connection to the server",
            True,
        ),
        (ConnectionRefusedError(111, "refused"), "no connection to the server", True),
        (socket.gaierror(-2, "unknown"), "no connection to the server", True),
        (ConnectionResetError(104, "reset"), "the connection was cut", True),
        (BrokenPipeError(32, "pipe"), "the connection was cut", True),
        (aiohttp.ServerDisconnectedError(), "the connection was cut", True),
        (aiohttp.ClientPayloadError("x"), "the connection was cut", True),
        (
            botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
            "the connection was cut",
            True,
        ),
        (botocore.exceptions.HTTPClientError(error="x"), "the connection was cut", True),
        (CutError(), "the connection was cut", True),
        (EOFError(), "the connection was cut", True),
        (TooSlowError(), "too slow: hardly a byte came", True),
        (
            botocore.exceptions.NoCredentialsError(),
            "no credentials: Unable to locate credentials",
            False,
        ),
        (
            ssl.SSLCertVerificationError("certificate verify failed"),
            "no safe connection: ('certificate verify failed',)",
            False,
        ),
        (RuntimeError("two\nlines\x07"), "can't be read: two lines\\x07", False),
        (RuntimeError(), "can't be read: RuntimeError", False),
        (OSError(5, "Input/output error"), "can't be read: [Errno 5] Input/output error", False),
    ],
)
def test_whatever_went_wrong_is_a_line(error: Exception, reason: str, passing: bool):
    trouble = trouble_of(error, 30)
    assert (trouble.reason, trouble.passing) == (reason, passing)
    assert trouble.after(1) == reason
    assert trouble.after(4) == (f"{reason}, 4 times" if passing else reason)


def test_a_circle_of_causes_has_an_end():
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert trouble_of(one, 1).reason == "can't be read: one"


def test_what_a_server_asks_for():
    assert trouble_of(client_error(503, "SlowDown", **{"retry-after": "12"}), 1).wait == 12
    assert trouble_of(HttpResponseError(503, "ServerBusy"), 1).wait == 3
    assert trouble_of(StatusError(429, "", 5), 1).wait == 5
    soon = datetime.now(timezone.utc) + timedelta(seconds=100)
    assert 50 < seconds_of(format_datetime(soon)) <= 100
    for text in (None, "", "soon", "-5", format_datetime(soon - timedelta(days=1))):
        assert seconds_of(text) == 0


def test_pauses_double_and_have_an_end():
    longest = Policy(random=lambda: 1.0)
    assert [longest.pause(failed) for failed in range(1, 10)] == [
        *(0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20, 20),
    ]
    assert longest.pause(100) == 20
    shortest = Policy(random=lambda: 0.0)
    assert shortest.pause(1) == 0.1
    assert shortest.pause(1, asked=7) == 7
    assert shortest.pause(1, asked=10_000) == 60
    assert len({Policy().pause(5) for _ in range(20)}) > 1


def test_what_blocks_is_insisted_on(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.pauses.append)
    policy = Policy(2, random=lambda: 1.0)
    errors: list[Exception] = [TimeoutError(), ConnectionResetError()]

    def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "well"

    assert insisted(policy, attempt) == "well"
    assert clock.pauses == [0.2, 0.4]
    errors[:] = [TimeoutError()] * 3
    with pytest.raises(TroubleError, match="no answer within 30 s, 3 times"):
        insisted(policy, attempt)
    errors[:] = [FileNotFoundError(), TimeoutError()]
    with pytest.raises(TroubleError, match="no such object"):
        insisted(policy, attempt)
    for error in (UsageError("x"), DecodeError("x")):
        errors[:] = [error]
        with pytest.raises(type(error)):
            insisted(policy, attempt)


S3_INFO = {"ETag": '"a"', "LastModified": DAY, "size": 5, "name": "x", "StorageClass": "STANDARD"}
STAMP = format_datetime(DAY)
BEFORE = format_datetime(DAY - timedelta(1))
ZULU = "2026-11-24T18:30:05.250Z"
TELLING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (S3_INFO, {"ETag": '"b"'}),
    ({"etag": "a", "generation": "1", "updated": ZULU, "size": 5}, {"etag": "b"}),
    ({"generation": "1", "mtime": DAY, "size": 5}, {"generation": "2"}),
    ({"etag": "a", "last_modified": DAY, "size": 5}, {"etag": "b"}),
    ({"content_md5": b"\1", "last_modified": DAY, "size": 5}, {"content_md5": b"\2"}),
    ({"CRC": 1, "date_time": (2026, 11, 24, 18, 30, 5), "size": 5}, {"CRC": 2}),
    ({"Last-Modified": STAMP, "size": 5}, {"Last-Modified": BEFORE}),
    ({"mtime": DAY.timestamp(), "size": 5}, {"mtime": DAY.timestamp() + 2}),
    ({"modified": DAY.replace(tzinfo=None), "size": 5}, {"size": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("info", "change"), TELLING)
def test_what_identifies_an_object(info: dict[str, Any], change: dict[str, Any]):
    identity = identity_of(info, now=DAY_NS + 10**10)
    assert identity is not None
    assert (identity.size, identity.modified) in {(5, DAY_NS), (5, 0)}
    assert identity == identity_of({**info, "mimetype": "image/jpeg", "other": 1}, DAY_NS + 10**11)
    assert identity != identity_of({**info, **change}, DAY_NS + 10**11)
    for number in (identity.changed, identity.inode):
        assert -(2**63) <= number < 2**63


def test_what_identifies_nothing():
    for info in (
        {},
        {"size": 5, "name": "x", "type": "file"},
        {"size": 5, "created": DAY},
        {"etag": "", "size": 5},
        {"etag": None, "last_modified": "yesterday"},
        {"mtime": True},
    ):
        assert identity_of(info, DAY_NS + 10**11) is None
    # A time alone is none as long as the file may change again within the same second.
    assert identity_of({"mtime": DAY, "size": 5}, DAY_NS + 10**9) is None
    assert identity_of({"mtime": DAY, "size": 5}, DAY_NS + 10**10) is not None


def test_times_of_a_listing_may_be_finer():
    fine, coarse = DAY, DAY.replace(microsecond=0)
    one, other = ({"ETag": "a", "LastModified": day, "size": 5} for day in (fine, coarse))
    assert identity_of(one) == identity_of(other)
    assert isinstance(identity_of(one), Identity)
