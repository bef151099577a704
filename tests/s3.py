"""An S3 server on loopback, and before it a proxy that counts what is asked, and does harm.

The server is moto's; objects are put into it directly, which takes no request. What a test, or a
command that it starts, asks for goes through the proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.servers import direct

ACCOUNT = "123456789012"
_BLOCK = 65536
# moto's own server knows no key with a line break; through the proxy it has this in its place.
_LINE_BREAK = "__LINE-BREAK__"
_numbers = count()


@dataclass(frozen=True)
class Request:
    """A request that came: ``key`` is "" for one about a bucket. ``status`` is what it got."""

    method: str
    bucket: str
    key: str
    query: str
    headers: dict[str, str] = field(repr=False)
    status: int = 0

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and not self.key and "list-type=2" in self.query


Harm = Callable[["Handler"], None]


@dataclass
class Fault:
    """Does ``harm`` to the next ``times`` requests of a ``method`` that are about ``key``.

    Without a key it is done to any, with ``listing`` to listings.
    """

    harm: Harm
    method: str = "GET"
    key: str | None = None
    times: int = sys.maxsize
    listing: bool = False

    def takes(self, request: Request) -> bool:
        if self.times <= 0 or request.method != self.method:
            return False
        if request.is_listing != self.listing or self.key not in {None, request.key}:
            return False
        self.times -= 1
        return True


class S3(ThreadingHTTPServer):
    """The proxy. ``url`` is its address; the server behind it is at ``direct``."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, behind: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = behind
        self.direct = f"http://{behind[0]}:{behind[1]}"
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.open = 0
        self.most_open = 0
        """How many requests were being answered at once, at most."""
        self.closing = threading.Event()
        self.bucket = ""
        self._noting = threading.Lock()

    @property
    def _backend(self) -> Any:
        from moto.s3.models import s3_backends

        return s3_backends[ACCOUNT]["aws"]

    def make_bucket(self, name: str = "") -> str:
        """Make a bucket that no other test has."""
        name = name or f"bucket-{os.getpid()}-{next(_numbers)}"
        self._backend.create_bucket(name, "us-east-1")
        return name

    def put(self, key: str, data: bytes, bucket: str = "") -> None:
        """Put an object into the test's bucket, or another one."""
        self._backend.put_object(bucket or self.bucket, key, data)

    def remove(self, key: str, bucket: str = "") -> None:
        """Remove an object."""
        self._backend.delete_object(bucket or self.bucket, key)

    def date(self, key: str, moment: float, bucket: str = "") -> None:
        """Let an object be of another time, in seconds since 1970."""
        when = datetime.fromtimestamp(moment, timezone.utc).replace(tzinfo=None)
        self._backend.get_object(bucket or self.bucket, key).last_modified = when

    def keys(self, bucket: str = "") -> list[str]:
        """List what is in a bucket."""
        return sorted(self._backend.get_bucket(bucket or self.bucket).keys.keys())

    def content(self, key: str, bucket: str = "") -> bytes:
        """Give what an object holds."""
        value: bytes = self._backend.get_object(bucket or self.bucket, key).value
        return value

    def uploads(self, bucket: str = "") -> int:
        """Count the multipart uploads that were neither completed nor aborted."""
        return len(self._backend.get_bucket(bucket or self.bucket).multiparts)

    def fail(self, harm: Harm, **where: Any) -> Fault:
        """Do harm to requests to come; see :class:`Fault`."""
        fault = Fault(harm, **where)
        self.faults.append(fault)
        return fault

    def count(self, method: str, key: str | None = None, *, listing: bool = False) -> int:
        """Count the requests that came, listings or others, about a key or about any."""
        return sum(
            each.method == method and each.is_listing == listing and key in {None, each.key}
            for each in self.requests
        )

    def counts(self, method: str = "GET") -> Counter[str]:
        """Count the requests for each key, without listings."""
        return Counter(each.key for each in self.requests if each.method == method and each.key)

    def clear(self) -> None:
        """Forget the requests so far, and do no more harm; what is silent hangs up."""
        self.faults.clear()
        self.closing.set()
        self.closing = threading.Event()
        end = time.monotonic() + 60
        while self.open and time.monotonic() < end:
            time.sleep(0.01)
        self.requests.clear()
        self.most_open = 0

    def begin(self, request: Request) -> Harm | None:
        with self._noting:
            self.requests.append(request)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
            return next((fault.harm for fault in self.faults if fault.takes(request)), None)

    def end(self) -> None:
        with self._noting:
            self.open -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client may always hang up


class Handler(BaseHTTPRequestHandler):
    """Passes one request after the other on."""

    protocol_version = "HTTP/1.1"
    server: S3

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = parts.path.removeprefix("/").partition("/")
        request = Request(
            self.command, unquote(bucket), unquote(key), parts.query, dict(self.headers)
        )
        self.body = self._body()
        harm = self.server.begin(request)
        try:
            (harm or pass_on)(self)
        finally:
            self.server.end()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def fetched(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the server: status, headers and body."""
        connection = http.client.HTTPConnection(*self.server.behind, timeout=120)
        path = self.path.replace("%0A", _LINE_BREAK)
        connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "transfer-encoding", "content-length", "expect"}:
                connection.putheader(name, value)
        if self.body or self.command in {"PUT", "POST"}:
            connection.putheader("Content-Length", str(len(self.body)))
        connection.endheaders(self.body)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        skipped = {"connection", "transfer-encoding", "content-length", "server", "date"}
        headers = [
            (name, value) for name, value in answer.getheaders() if name.lower() not in skipped
        ]
        length = answer.getheader("Content-Length") or "0"
        headers.append(("Content-Length", length if self.command == "HEAD" else str(len(body))))
        return answer.status, headers, body

    def give(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut_off(self) -> None:
        """Hang up."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        pass


def pass_on(handler: Handler) -> None:
    """Do no harm."""
    status, headers, body = handler.fetched()
    if _LINE_BREAK.encode() in body and handler.command == "GET":
        body = body.replace(_LINE_BREAK.encode(), b"%0A")
        headers = [each for each in headers if each[0] != "Content-Length"]
        headers.append(("Content-Length", str(len(body))))
    handler.give(status, headers, body)


def status(number: int, code: str = "", **headers: str) -> Harm:
    """Answer with a status, and, as S3 does, with the name of the error."""

    def harm(handler: Handler) -> None:
        body = (
            (
                f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
                "<Message>harm</Message></Error>"
            ).encode()
            if code
            else b""
        )
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        handler.give(number, [*pairs, ("Content-Length", str(len(body)))], body)

    return harm


def slow_down(**headers: str) -> Harm:
    """Ask for less."""
    return status(503, "SlowDown", **headers)


def vanished() -> Harm:
    """Say that an object is not there."""
    return status(404, "NoSuchKey")


def cut(after: int) -> Harm:
    """Hang up after so many bytes of a body that was promised whole."""

    def harm(handler: Handler) -> None:
        number, headers, body = handler.fetched()
        handler.give(number, headers, body[:after])
        handler.cut_off()

    return harm


def shortened(to: int) -> Harm:
    """Send but so many bytes, and say that this is all."""

    def harm(handler: Handler) -> None:
        number, headers, body = handler.fetched()
        skipped = ("Content-Length", "x-amz-checksum")
        headers = [pair for pair in headers if not pair[0].startswith(skipped)]
        handler.give(number, [*headers, ("Content-Length", str(to))], body[:to])

    return harm


def hang_up(handler: Handler) -> None:
    """Close, without a word."""
    handler.cut_off()


def silent(handler: Handler) -> None:
    """Say nothing."""
    handler.server.closing.wait(120)
    handler.cut_off()


def delayed(seconds: float) -> Harm:
    """Take some time."""

    def harm(handler: Handler) -> None:
        handler.server.closing.wait(seconds)
        pass_on(handler)

    return harm


def environment(url: str) -> dict[str, str]:
    """Give the variables by which a program finds the server, and nothing of this machine's own."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": url,
    }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """One for all tests of a process."""
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    proxy = S3(moto.get_host_and_port())
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    yield proxy
    proxy.closing.set()
    proxy.shutdown()
    proxy.server_close()
    moto.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server, with an empty ``bucket``, as this process and those that it starts find it."""
    direct(monkeypatch)
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in environment(s3_server.url).items():
        monkeypatch.setenv(name, value)
    s3_server.clear()
    s3_server.bucket = s3_server.make_bucket()
    yield s3_server
    s3_server.clear()
