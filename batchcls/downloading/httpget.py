"""One HTTP request whose answer comes in blocks; what goes wrong is a reason of one line.

The time-outs of requests start anew with every byte, and finding an address by its name has none
at all: who drips a byte a second, in the body or in the headers, would hold us for days. So the
request runs on a thread of its own, and this one waits for what it brings, and no longer.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urljoin, urlsplit

from batchcls.text import shown

if TYPE_CHECKING:
    from requests import Response, Session

_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})
"""What a server says that it may not say a moment later; so do all the 5xx."""
CUT = "the connection was cut"
_BLOCK = 2**16
_AHEAD = 16  # blocks that may wait for being written
# Seconds for the thread's own time-outs, which know more, to speak first.
_GRACE = 1.0


@dataclass(frozen=True)
class Patience:
    """How long to wait; the times are in seconds and above 0."""

    connect: float = 10.0
    """For a connection."""
    silence: float = 30.0
    """For the next byte. An answer's headers may take ``connect + silence`` in all."""
    slowest: float = 1000.0
    """Bytes a second, averaged over ``window``; below it the try has failed. 0: any will do."""
    window: float = 10.0
    attempts: int = 3
    """Tries for each address where what failed may pass: all that is above, a cut connection,
    408, 429, 5xx."""


class GetError(Exception):
    """Why an address gave nothing, in a line; ``passing``: whether another try may help."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


@dataclass(frozen=True)
class Answer:
    """Any but a redirect. ``headers`` go by name in any case, ``blocks`` are the bytes as sent."""

    status: int
    headers: Mapping[str, str]
    blocks: Iterator[bytes]


@contextlib.contextmanager
def ask(address: str, headers: Mapping[str, str], patience: Patience) -> Iterator[Answer]:
    """GET ``address``; ends in time whatever the server does.

    Proxies, certificates and ``.netrc`` are those of the environment, as requests has them.
    Redirects are followed to http and https, and never from https to http. Raises GetError, as
    ``blocks`` does.
    """
    import requests  # noqa: F401 - its import must not count as the server's time

    request = _Request(address, headers, patience)
    try:
        response = request.start()
        yield Answer(response.status_code, response.headers, request.blocks())
    finally:
        request.stop()


def check_address(address: str) -> str:
    """Give the scheme, ``http`` or ``https``. ValueError for another one, or for no address."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an http or https address")
    return parts.scheme


def shown_address(address: str) -> str:
    """Give an address for people, without the password and the key that may be in it."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        return shown(parts._replace(netloc=host, query="", fragment="").geturl())
    except ValueError:
        return shown(address)


def refusal(status: int) -> GetError:
    """Give what a status other than those of success means."""
    try:
        said = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        said = str(status)
    return GetError(said, passing=status in _PASSING or status >= 500)


class _Request:
    """A request on a thread. Of what the thread hands over the last is ``b""`` or an exception."""

    def __init__(self, address: str, headers: Mapping[str, str], patience: Patience) -> None:
        self._address = address
        self._headers = headers
        self._patience = patience
        self._brought: queue.Queue[Response | bytes | BaseException] = queue.Queue(_AHEAD)
        self._stopped = False

    def start(self) -> Response:
        threading.Thread(target=self._run, name="http", daemon=True).start()
        limit = self._patience.connect + self._patience.silence
        try:
            first = self._brought.get(timeout=limit + _GRACE)
        except queue.Empty:
            raise GetError(f"no answer within {limit:g} s", passing=True) from None
        if isinstance(first, BaseException):
            _fail(first, self._patience)
        assert not isinstance(first, bytes)
        return first

    def blocks(self) -> Iterator[bytes]:
        patience = self._patience
        window_began = heard = time.monotonic()
        count = 0
        while True:
            end = heard + patience.silence + _GRACE
            if patience.slowest:
                end = min(end, window_began + patience.window)
            block: Response | bytes | BaseException | None
            try:
                block = self._brought.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                block = None
            now = time.monotonic()
            if isinstance(block, BaseException):
                _fail(block, patience)
            if block == b"":
                return
            if isinstance(block, bytes):
                count += len(block)
                heard = now
            elif now - heard >= patience.silence + _GRACE:
                raise _silent(patience)
            if now - window_began >= patience.window:
                rate = count / (now - window_began)
                # No byte at all is silence, which has a limit of its own. And where blocks wait,
                # it is the disk here that is slow.
                if 0 < rate < patience.slowest and self._brought.empty():
                    slow = f"too slow: {rate:,.0f} bytes/s over {patience.window:g} s"
                    raise GetError(slow, passing=True)
                window_began, count = now, 0
            if isinstance(block, bytes):
                yield block

    def stop(self) -> None:
        """Let the thread end: at once, or with what its socket says next, a time-out at last."""
        self._stopped = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._brought.get_nowait()

    def _run(self) -> None:
        import requests

        class Session(requests.Session):
            def get_redirect_target(self, resp: Response) -> None:
                """Give none, or the whole body of a redirect is read, however long it is."""

        try:
            with Session() as session, self._open(session) as response:
                self._brought.put(response)
                while not self._stopped:
                    # Not iter_content: it waits for a whole block, and undoes Content-Encoding.
                    block: bytes = response.raw.read1(_BLOCK, decode_content=False)
                    self._brought.put(block)
                    if not block:
                        break
        except BaseException as error:  # noqa: BLE001 - it is the waiting thread's to raise
            self._brought.put(error)

    def _open(self, session: Session) -> Response:
        address = self._address
        for _ in range(_MAX_REDIRECTS + 1):
            response = session.get(
                address,
                headers=self._headers,
                stream=True,
                allow_redirects=False,
                timeout=(self._patience.connect, self._patience.silence),
            )
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            address = _next_address(address, response.headers.get("Location"))
        raise GetError(f"redirected more than {_MAX_REDIRECTS} times")


def _next_address(address: str, location: str | None) -> str:
    if not location:
        raise GetError("a redirect that leads nowhere")
    try:
        # Whoever parses headers takes them for Latin-1.
        following = urljoin(address, location.encode("latin-1").decode("utf-8"))
        scheme = check_address(following)
    except ValueError:
        raise GetError(f"redirected to {_brief(shown_address(location))}, not http(s)") from None
    if scheme == "http" and check_address(address) == "https":
        raise GetError(f"redirected from https to {_brief(shown_address(following))}")
    return following


def _fail(error: BaseException, patience: Patience) -> NoReturn:
    """Raise a GetError with the reason that ``error`` tells, or ``error`` itself if it's a bug."""
    import requests
    import urllib3

    expected = (
        *(requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException),
        *(OSError, ValueError),
    )
    if isinstance(error, GetError) or not isinstance(error, expected):
        raise error
    root = _root(error)
    if isinstance(error, requests.exceptions.ProxyError):
        raise GetError(f"the proxy can't be used: {_words(root)}") from error
    if isinstance(error, requests.exceptions.ConnectTimeout):
        raise GetError(f"no connection within {patience.connect:g} s", passing=True) from error
    if isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)):
        raise _silent(patience) from error
    cut = (ConnectionError, http.client.HTTPException, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    if isinstance(root, http.client.IncompleteRead):
        raise GetError(CUT, passing=True) from error
    if isinstance(root, cut) and not isinstance(root, ConnectionRefusedError):
        raise GetError(f"{CUT} ({_words(root)})", passing=True) from error
    raise GetError(_words(root)) from error


def _silent(patience: Patience) -> GetError:
    return GetError(f"silent for {patience.silence:g} s", passing=True)


def _root(error: BaseException) -> BaseException:
    """Give the first cause: requests and urllib3 wrap it several times, in different ways."""
    for _ in range(20):
        if isinstance(error, http.client.HTTPException):
            break
        wrapped = [getattr(error, "reason", None), error.__cause__, error.__context__, *error.args]
        inner = next((part for part in wrapped if isinstance(part, BaseException)), None)
        if inner is None:
            break
        error = inner
    return error


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        what = getattr(error, "verify_message", "") or (error.reason or "").replace("_", " ")
        return f"TLS: {_brief(what.lower() or error)}"
    if isinstance(error, socket.gaierror):
        return f"its name can't be resolved: {_brief(error.strerror or error)}"
    if isinstance(error, OSError) and error.strerror:
        return _brief(error.strerror)
    return _brief(error if str(error) else type(error).__name__)


def _brief(what: object) -> str:
    """Give one short line, whatever a stranger's server put into it."""
    return shown(" ".join(str(what).split()))[:200]
