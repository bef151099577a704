"""A real HTTP server on loopback that behaves as well, or as badly, as it is told."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Behaviour = Callable[["Handler"], None]
_BLOCK = 8192


def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy or certificate of this machine come between a test and its server."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", os.devnull)


@dataclass
class Seen:
    """A request, and how many bytes of a body were sent for it."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0


class Server(ThreadingHTTPServer):
    """Serves ``body``. The n-th request meets the n-th of ``plan``, the last one all that follow.

    A context manager. As a proxy it answers for every host itself.
    """

    daemon_threads = True
    request_queue_size = 50

    def __init__(self, body: bytes, *plan: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.plan = list(plan) or [whole()]
        self.seen: list[Seen] = []
        self.closing = threading.Event()
        self.faults: list[BaseException] = []
        self._planning = threading.Lock()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self.server_address[1]}"
        self.url = f"{self.origin}/files/archive.zip"

    def take(self, request: Seen) -> Behaviour:
        with self._planning:
            self.seen.append(request)
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        assert not self.faults, self.faults

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):  # the client may always hang up
            self.faults.append(error)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Server

    def _answer(self) -> None:
        self.close_connection = True
        self.request_seen = Seen(self.command, self.path, dict(self.headers))
        self.server.take(self.request_seen)(self)

    do_GET = do_CONNECT = _answer  # noqa: N815 - http.server wants it so

    def head(self, status: int, **headers: str | int | None) -> None:
        self.request_seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def send_body(self, data: bytes, *, chunked: bool = False, every: float = 0) -> None:
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            self.request_seen.sent += len(block)
            if every:
                self.server.closing.wait(every)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


@dataclass(frozen=True)
class _File:
    """Sends the file, or the part of it that was asked for."""

    body: bytes | None = None
    ranges: bool = True
    etag: str | None = '"one"'
    modified: str | None = None
    declared: int | None = None
    """Content-Length, where it is a lie."""
    length: bool = True
    chunked: bool = False
    encoding: str | None = None
    content_range: str | None = None
    """What to say instead of the truth."""
    cut: int | None = None
    """Hang up after so many bytes."""
    hold: bool = False
    """After the cut, hang on instead and say nothing."""
    every: float = 0
    """Seconds between blocks."""
    extra: dict[str, str] = field(default_factory=dict)

    def __call__(self, handler: Handler) -> None:
        body = handler.server.body if self.body is None else self.body
        asked = handler.headers.get("Range", "")
        same = handler.headers.get("If-Range") in {None, self.etag, self.modified}
        start = 0
        if self.ranges and asked and same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                handler.head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
                return
        part = body[start:]
        declared = len(part) if self.declared is None else self.declared
        truth = f"bytes {start}-{len(body) - 1}/{len(body)}" if start else None
        handler.head(
            206 if start else 200,
            Content_Type="application/zip",
            Content_Length=declared if self.length and not self.chunked else None,
            Transfer_Encoding="chunked" if self.chunked else None,
            Content_Encoding=self.encoding,
            Content_Range=self.content_range if start and self.content_range else truth,
            ETag=self.etag,
            Last_Modified=self.modified,
            **self.extra,
        )
        if self.cut is None:
            handler.send_body(part, chunked=self.chunked, every=self.every)
            return
        handler.send_body(part[: self.cut], every=self.every)
        handler.wfile.flush()
        if self.hold:
            handler.server.closing.wait(60)


whole = _File


def cut(after: int, **options: Any) -> Behaviour:
    """Hang up after so many bytes of a body that was promised whole."""
    return _File(cut=after, **options)


def stall(after: int, **options: Any) -> Behaviour:
    """Send so many bytes, then nothing, and keep the connection."""
    return _File(cut=after, hold=True, **options)


def status(number: int, **headers: str) -> Behaviour:
    """Answer with a status."""
    return lambda handler: handler.head(number, Content_Length=0, **headers)


def redirect(target: str, number: int = 302) -> Behaviour:
    """Send on to ``target``."""
    return status(number, Location=target)


def silent(handler: Handler) -> None:
    """Accept, and say nothing."""
    handler.server.closing.wait(60)


def hang_up(handler: Handler) -> None:
    """Accept, and close."""


def not_http(handler: Handler) -> None:
    """Speak another protocol."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


def drip(handler: Handler) -> None:
    """Send a byte every now and then, and never end."""
    handler.head(200, Content_Length=len(handler.server.body))
    _drip(handler, b"x")


def drip_headers(handler: Handler) -> None:
    """Send the headers a byte every now and then, and never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    _drip(handler, b"x")


def drip_chunk_size(handler: Handler) -> None:
    """Send the size of a chunk a byte every now and then, and never end."""
    handler.head(200, Transfer_Encoding="chunked")
    _drip(handler, b"0")


def endless(handler: Handler) -> None:
    """Send, with no length declared, for ever."""
    handler.head(200)
    with contextlib.suppress(OSError):
        while not handler.server.closing.is_set():
            handler.send_body(bytes(_BLOCK))


def _drip(handler: Handler, byte: bytes) -> None:
    with contextlib.suppress(OSError):
        while not handler.server.closing.wait(0.1):
            handler.wfile.write(byte)
            handler.wfile.flush()


_launched: list[subprocess.Popen[str]] = []


def launch(code: str, *arguments: str, quiet: bool = False) -> subprocess.Popen[str]:
    """Run Python code as a process of its own; ``quiet`` drops what it says on standard error."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    )
    _launched.append(process)
    return process


def end_launched() -> None:
    """End the processes that a test that failed has left."""
    while _launched:
        process = _launched.pop()
        if process.returncode is None:
            process.kill()
        process.communicate(timeout=60)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a process that must end well, with nothing to say."""
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "")


def eventually(condition: Callable[[], bool], what: str, limit: float = 60) -> None:
    """Wait until ``condition`` holds; fail after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)
