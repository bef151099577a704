"""An S3-compatible server on loopback, with a bucket that is made up: of any number of keys.

    python -m benchmarks.scale.bucket 10000000

It prints its address, and ends when its standard input does. Pages of a listing are one text into
which their number is put, so that the server is never what is waited for. Each object is the same
bytes, of the size that the listing says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from benchmarks.measuring import environment
from benchmarks.workspace import module_environment, python

KEYS = 1000  # in a page, as S3 gives at most
FOLDER = "photos/2026/"
BYTES = 109_000  # as the photographs of docs/performance.md
NAME = "photos"
_PAGE = b"@page@@@"  # as long as the number that is put in its place
_DIGITS = len(_PAGE)
_MODIFIED = "2026-03-01T12:00:00.000Z"
_HTTP_MODIFIED = "Sun, 01 Mar 2026 12:00:00 GMT"


def key_of(number: int) -> str:
    """Give the key of an object."""
    return f"{FOLDER}{number // KEYS:0{_DIGITS}}/{number % KEYS:06}.jpg"


def etag_of(page: str, place: int) -> str:
    """Give the ETag of an object: another for each, in the form of an MD5."""
    return f'"{page}{place:024x}"'


def contents(keys: int) -> bytes:
    """Give the entries of one page, with _PAGE in place of its number."""
    page = _PAGE.decode()
    return "".join(
        f"<Contents><Key>{FOLDER}{page}/{place:06}.jpg</Key>"
        f"<LastModified>{_MODIFIED}</LastModified>"
        f"<ETag>{etag_of(page, place).replace(chr(34), '&quot;')}</ETag>"
        f"<Size>{BYTES}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for place in range(keys)
    ).encode()


class Bucket(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self, keys: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys = keys
        self.whole = contents(KEYS)
        self.body = os.urandom(1000) * (BYTES // 1000)

    def page(self, number: int, most: int, prefix: str) -> bytes:
        """Give the page of a listing."""
        keys = min(self.keys - number * KEYS, most)
        entries = self.whole if keys == KEYS else contents(keys)
        further = keys == KEYS and self.keys > (number + 1) * KEYS
        token = f"<NextContinuationToken>{number + 1}</NextContinuationToken>" if further else ""
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{NAME}</Name><Prefix>{prefix}</Prefix><KeyCount>{keys}</KeyCount>"
            f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(further).lower()}</IsTruncated>{token}"
        )
        page = entries.replace(_PAGE, f"{number:0{_DIGITS}}".encode())
        return b"".join([head.encode(), page, b"</ListBucketResult>"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Bucket

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        key = url.path.partition(f"/{NAME}")[2].strip("/")
        if key:
            page, _, rest = key.removeprefix(FOLDER).partition("/")
            tag = etag_of(page, int(rest.partition(".")[0]))
            more = {"ETag": tag, "Last-Modified": _HTTP_MODIFIED}
            self._answer(self.server.body, "image/jpeg", **more)
            return
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        prefix = asked.get("prefix", "")
        token = int(asked.get("continuation-token", "0"))
        if not (FOLDER.startswith(prefix) or prefix == ""):
            raise ValueError(f"there is only {FOLDER}, and not {prefix}")
        most = int(asked.get("max-keys", KEYS))
        self._answer(self.server.page(token, most, prefix), "application/xml")

    def _answer(self, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def bucket(keys: int) -> Iterator[tuple[str, int]]:
    """Run one in a process of its own; give its address, and the process."""
    command = python("benchmarks.scale.bucket", str(keys))
    with subprocess.Popen(
        command,
        env=environment(module_environment()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.stdin.close()
            process.wait(30)


def main() -> None:
    """Serve until nobody wants it any more."""
    server = Bucket(int(sys.argv[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
