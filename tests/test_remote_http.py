"""Images on a web server: one by its address, or a folder that has a page of links."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from batchcls.errors import BatchclsError, UsageError
from batchcls.settings import Settings

from .remoting import PLENTY, Clock, content, found, keys, reason, remote
from .servers import direct

OLD = 1_600_000_000
NAMES = ["a.jpg", "b c.jpg", "in/d%e.jpg", "in/deep/f&g.jpg", "in/deep/h+i.jpg", "in/ä日.png"]
Harm = Callable[["Handler"], None]


class Web(ThreadingHTTPServer):
    """Serves a folder; does ``harm`` to the next ``times`` requests."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen: list[tuple[str, str]] = []
        self.harm: Harm | None = None
        self.times = 10**9
        self.tags = False

    @property
    def counts(self) -> Counter[str]:
        return Counter(method for method, _ in self.seen)


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def _answer(self, usual: Callable[[], None]) -> None:
        self.server.seen.append((self.command, self.path))
        harm = self.server.harm
        if harm is None or self.server.times <= 0:
            usual()
        else:
            self.server.times -= 1
            harm(self)

    def do_GET(self) -> None:
        self._answer(super().do_GET)

    def do_HEAD(self) -> None:
        self._answer(super().do_HEAD)

    def end_headers(self) -> None:
        if self.server.tags and os.path.isfile(self.translate_path(self.path)):
            status = os.stat(self.translate_path(self.path))
            self.send_header("ETag", f'"{status.st_mtime_ns:x}-{status.st_size:x}"')
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def status(number: int, **headers: str) -> Harm:
    def harm(handler: Handler) -> None:
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return harm


def page(*links: str) -> Harm:
    """Answer with a page of links."""
    body = "".join(f'<a href="{link}">x</a>\n' for link in links).encode()

    def harm(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return harm


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    direct(monkeypatch)
    folder = tmp_path / "served"
    for name in [*NAMES, "notes.txt"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (OLD, OLD))
    server = Web(folder)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_address_is_one_image(web: Web):
    url = f"{web.url}/b%20c.jpg"
    with remote() as files:
        [one] = found(files, url)
        assert (one.path, one.key, one.problem) == (url, url, None)
        assert web.counts == {"HEAD": 1}
        assert content(files, url) == b"b c.jpg"
        assert web.counts == {"HEAD": 1, "GET": 1}
        assert keys(files, f"{web.url}/notes.txt") == [f"{web.url}/notes.txt"]


def test_a_folder_is_what_its_page_links_to(web: Web):
    with remote() as files:
        listed = found(files, f"{web.url}/")
        assert [file.key for file in listed] == NAMES
        for file in listed:
            assert content(files, file.path) == file.key.encode()
        assert keys(files, f"{web.url}/in/deep/") == ["f&g.jpg", "h+i.jpg"]
        chosen = keys(files, f"{web.url}/", exclude=["deep/"], include=["in/"])
        assert chosen == [NAMES[2], NAMES[5]]


def test_only_links_below_the_folder_count(web: Web):
    web.harm = page(
        *("x.jpg", "x.jpg", "?C=N;O=D", "../up.jpg", "/in/y.jpg", "/other.jpg", "./in/"),
        *(f"{web.url}/in/z&amp;1.jpg", "https://elsewhere.example/in/w.jpg", "#top", "/", ""),
        *("sub/k.jpg", "../in/../in/l.jpg", "mailto:a@b.example"),
    )
    web.times = 1
    with remote() as files:
        assert keys(files, f"{web.url}/in/") == ["x.jpg", "y.jpg", "z&1.jpg"]


def test_folders_that_lead_on_for_ever_have_an_end(web: Web):
    web.harm = page("a.jpg", "loop/")
    with remote() as files:
        *some, last = found(files, f"{web.url}/")
    assert len(some) == 64
    assert last.problem == "the folder can't be read: more than 64 folders deep"


@pytest.mark.parametrize("root", ["nothing.jpg", "nothing/"])
def test_nothing_there(root: str, web: Web):
    with remote() as files, pytest.raises(UsageError) as raised:
        found(files, f"{web.url}/{root}")
    assert raised.value.message.startswith(f"{web.url}/{root}: no such folder")


def test_forbidden_or_out_of_order(web: Web):
    web.harm = status(403)
    with remote(Clock(), retries=2) as files:
        with pytest.raises(UsageError, match="permission denied"):
            found(files, f"{web.url}/a.jpg")
        web.harm = status(502)
        with pytest.raises(BatchclsError, match=r"\(502 Bad Gateway\), 3 times"):
            found(files, f"{web.url}/a.jpg")


def test_a_folder_that_fails_is_a_row(web: Web):
    def harm(handler: Handler) -> None:
        if handler.path.startswith("/in"):
            return status(500)(handler)
        return SimpleHTTPRequestHandler.do_GET(handler)

    web.harm = harm
    with remote(Clock(), retries=1) as files:
        *some, last = found(files, f"{web.url}/")
    assert [file.key for file in some] == ["a.jpg", "b c.jpg"]
    assert last.key == "in/"
    assert last.problem == (
        "the folder can't be read: the server failed (500 Internal Server Error), 2 times"
    )


def test_a_server_that_knows_no_head(web: Web):
    url = f"{web.url}/a.jpg"

    def harm(handler: Handler) -> None:
        if handler.command == "HEAD":
            return status(405)(handler)
        return SimpleHTTPRequestHandler.do_GET(handler)

    web.harm = harm
    with remote() as files:
        [one] = found(files, url)
        assert content(files, one.path) == b"a.jpg"
        assert files.identities([one]) == [None]


@pytest.mark.parametrize("tags", [True, False])
def test_what_identifies_an_image_is_asked_for_without_reading_it(tags: bool, web: Web):
    web.tags = tags
    with remote() as files:
        listed = found(files, f"{web.url}/")
        web.seen.clear()
        before = files.identities(listed)
        assert web.counts == {"HEAD": len(NAMES)}
        assert None not in before
        for file, identity in zip(listed, before, strict=True):
            with files.opened(file.path, PLENTY) as opened:
                assert opened.identity == identity
                assert opened.identity.size == len(file.key.encode())
                assert opened.identity.modified == OLD * 10**9
        (web.folder / "a.jpg").write_bytes(b"A.JPG")
        os.utime(web.folder / "a.jpg", (OLD + 10, OLD + 10))
        after = files.identities(listed)
        assert after[0] != before[0]
        assert after[1:] == before[1:]


def test_what_was_changed_just_now_may_change_again_unseen(web: Web):
    web.tags = True
    now = time.time()
    os.utime(web.folder / "a.jpg", (now, now))
    with remote() as files, files.opened(f"{web.url}/a.jpg", PLENTY) as opened:
        assert opened.identity is None


def test_a_server_that_says_nothing_of_its_images(web: Web):
    def harm(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")

    web.harm = harm
    with remote() as files, files.opened(f"{web.url}/a.jpg", PLENTY) as opened:
        assert opened.file.read() == b"abc"
        assert opened.identity is None
        assert reason(files, f"{web.url}/a.jpg", 2).startswith("too large: 3 bytes")


def test_too_large_is_not_read(web: Web):
    sent = threading.Event()

    def harm(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        sent.wait(30)

    web.harm = harm
    try:
        with remote() as files:
            said = reason(files, f"{web.url}/a.jpg", 10**9)
            assert said.startswith("too large: 1,000,000,000,000")
    finally:
        sent.set()


def test_trouble_passes_or_does_not(web: Web):
    url, clock = f"{web.url}/a.jpg", Clock()
    web.harm, web.times = status(503, Retry_After="4"), 2
    with remote(clock, retries=2) as files:
        assert content(files, url) == b"a.jpg"
        assert clock.pauses == [4, 4]
        web.harm, web.times = status(404), 1
        assert reason(files, url) == "no such object: it may have vanished"

        def cut(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b"not all")
            handler.close_connection = True

        web.harm, web.times = cut, 2
        assert content(files, url) == b"a.jpg"
        web.harm, web.times = cut, 3
        assert reason(files, url) == "the connection was cut, 3 times"


def test_headers_come_from_the_settings_and_passwords_are_not_told(web: Web):
    def harm(handler: Handler) -> None:
        if handler.headers.get("X-Token") != "sesame":
            return status(401)(handler)
        usual = getattr(SimpleHTTPRequestHandler, f"do_{handler.command}")
        return usual(handler)

    web.harm = harm
    chosen = Settings(filesystem={"https": {"headers": {"X-Token": "sesame"}}})
    with remote(settings=chosen) as files:
        assert content(files, f"{web.url}/a.jpg") == b"a.jpg"
    secret = f"{web.url}/a.jpg?X-Amz-Signature=0123&x=1"
    with remote() as files, pytest.raises(UsageError) as raised:
        found(files, secret)
    assert "0123" not in str(raised.value)
    web.harm = None
    with remote() as files:
        [one] = found(files, secret)
        assert one.path == secret
        assert one.key == f"{web.url}/a.jpg"


def test_a_redirection_is_followed(web: Web):
    def harm(handler: Handler) -> None:
        if handler.path == "/old.jpg":
            return status(302, Location="/a.jpg")(handler)
        usual = getattr(SimpleHTTPRequestHandler, f"do_{handler.command}")
        return usual(handler)

    web.harm = harm
    with remote() as files:
        [one] = found(files, f"{web.url}/old.jpg")
        assert content(files, one.path) == b"a.jpg"
