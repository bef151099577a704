"""What went wrong with a storage, whichever library says so: a reason in a line, and what to do.

The libraries of object storages have their own exceptions each. They are told by their names and by
what they carry, so that none has to be imported to tell that it is not the one.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from batchcls.text import shown

# HTTP statuses, and names that servers give to errors, of what may be better in a moment.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_PASSING_CODES = {
    *("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded"),
    *("InternalError", "ServiceUnavailable", "ServerBusy", "OperationTimedOut"),
    *("RequestThrottled", "TooManyRequestsException", "BandwidthLimitExceeded"),
}
_FORBIDDEN = {401, 403, 407}
_MISSING = {404, 410}
_ARCHIVED = {"InvalidObjectState", "BlobArchived"}
_NO_BUCKET = "NoSuchBucket"
# The names of exceptions, as no module of theirs is imported here.
_TIMEOUTS = {"ReadTimeoutError", "ConnectTimeoutError", "AioReadTimeoutError", "FSTimeoutError"}
_NO_CONNECTION = {
    *("EndpointConnectionError", "ProxyConnectionError", "ClientConnectorError"),
    *("ClientConnectorDNSError", "ClientProxyConnectionError", "NewConnectionError"),
}
_CUT = {
    *("ConnectionClosedError", "IncompleteReadError", "IncompleteRead", "ResponseStreamingError"),
    *("ClientPayloadError", "ServerDisconnectedError", "ClientOSError", "ClientConnectionError"),
    *("ContentLengthError", "TransferEncodingError", "HTTPClientError", "ResponseParserError"),
    *("RemoteDisconnected", "ChunkedEncodingError"),
    *("ProtocolError", "ServiceRequestError", "ServiceResponseError"),
}
# aiohttp's, for what it can't make sense of; its code is what a server would say to a client.
_OF_PARSING = "HttpProcessingError"
_DAMAGED = {"FlexibleChecksumError", "ChecksumError"}
_CERTIFICATES = {"SSLError", "ClientSSLError", "ClientConnectorSSLError"}
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("TokenRetrievalError", "SSOTokenLoadError", "DefaultCredentialsError"),
    *("ClientAuthenticationError", "UnauthorizedSSOTokenError", "ProfileNotFound"),
}
_LONGEST = 300


class CutError(Exception):
    """What came is not what was promised: fewer bytes, or more."""


class TooSlowError(Exception):
    """So little came in so long a time that it might never end."""


class StatusError(Exception):
    """An HTTP status that is none of success; the server asks to ``wait``, in seconds."""

    def __init__(self, status: int, phrase: str, wait: float) -> None:
        super().__init__(phrase)
        self.status = status
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call failed: ``reason`` is a line. ``passing`` where another attempt may help.

    ``missing`` and ``forbidden`` tell what is no fault of the server, ``anonymous`` a lack of
    credentials. ``answered`` where a server did answer; ``wait`` is in seconds, as it asks for.
    """

    reason: str
    passing: bool = False
    missing: bool = False
    forbidden: bool = False
    anonymous: bool = False
    answered: bool = False
    wait: float = 0.0

    def after(self, attempts: int) -> str:
        """Give the reason, and how often it was tried."""
        return f"{self.reason}, {attempts} times" if self.passing and attempts > 1 else self.reason


def trouble_of(error: BaseException, timeout: float) -> Trouble:
    """Say what went wrong; ``timeout`` is for how many seconds a server may be silent."""
    for one in _chain(error):
        status, code = _status(one), _code(one)
        if status or code:
            return _of_answer(status, code, _wait(one))
    for one in _chain(error):
        trouble = _of_transport(one, timeout)
        if trouble is not None:
            return trouble
    if isinstance(error, FileNotFoundError):
        return Trouble("no such object: it may have vanished", missing=True, answered=True)
    if isinstance(error, PermissionError):
        return Trouble("permission denied", forbidden=True, answered=True)
    return Trouble(f"can't be read: {_line(error)}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it came from."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)


def _of_answer(status: int, code: str, wait: float) -> Trouble:
    if code == _NO_BUCKET:
        return Trouble("no such bucket", missing=True, answered=True)
    if code in _ARCHIVED:
        return Trouble("archived: it has to be restored before it can be read", answered=True)
    if status in _MISSING:
        return Trouble("no such object: it may have vanished", missing=True, answered=True)
    if status in _PASSING or code in _PASSING_CODES:
        return Trouble(
            f"the server failed ({_named(status, code)})", passing=True, answered=True, wait=wait
        )
    if status in _FORBIDDEN:
        told = "" if not code or code in {"AccessDenied", "Forbidden"} else f" ({_words(code)})"
        return Trouble(f"permission denied{told}", forbidden=True, answered=True)
    return Trouble(f"the server refuses it ({_named(status, code)})", answered=True)


def _of_transport(error: BaseException, timeout: float) -> Trouble | None:
    """Say what is wrong where no server has said it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NO_CREDENTIALS:
        return Trouble(f"no credentials: {_line(error)}", forbidden=True, anonymous=True)
    if isinstance(error, ssl.SSLCertVerificationError) or names & _CERTIFICATES:
        return Trouble(f"no safe connection: {_line(error)}")
    for reason, kinds, named in (
        ("it came damaged: its checksum is another", (), _DAMAGED),
        ("too slow: hardly a byte came", (TooSlowError,), set()),
        (
            f"no answer within {timeout:g} s",
            (TimeoutError, asyncio.TimeoutError, socket.timeout),
            _TIMEOUTS,
        ),
        (
            "no connection to the server",
            (ConnectionRefusedError, socket.gaierror),
            _NO_CONNECTION,
        ),
        ("the connection was cut", (ConnectionError, CutError, EOFError), _CUT),
    ):
        if isinstance(error, kinds) or names & named:
            return Trouble(reason, passing=True)
    return None


def _status(error: BaseException) -> int:
    """Give the HTTP status that an error tells of, or 0."""
    if any(kind.__name__ == _OF_PARSING for kind in type(error).__mro__):
        return 0
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore
        return _number(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for one, names in ((error, ("status", "status_code", "code")), (response, ("status_code",))):
        for name in names:  # not one more than is needed: some are deprecated
            number = _number(getattr(one, name, None))
            if number:
                return number
    return 0


def _number(status: object) -> int:
    if isinstance(status, str) and status.isdecimal():
        status = int(status)
    return status if isinstance(status, int) and 300 <= status <= 599 else 0


def _code(error: BaseException) -> str:
    """Give the name that the server has for an error, or ""."""
    response: Any = getattr(error, "response", None)
    code: Any = getattr(error, "error_code", None)  # Azure
    if isinstance(response, Mapping):
        code = response.get("Error", {}).get("Code")
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z][\w.-]{0,80}", code) else ""


def _wait(error: BaseException) -> float:
    """Give how many seconds the server asks to wait."""
    if isinstance(error, StatusError):
        return error.wait
    response: Any = getattr(error, "response", None)
    headers: Any = getattr(response, "headers", None) or getattr(error, "headers", None)
    if isinstance(response, Mapping):
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders")
    with contextlib.suppress(AttributeError, TypeError):
        return seconds_of(headers.get("retry-after") or headers.get("Retry-After"))
    return 0.0


def seconds_of(retry_after: str | None) -> float:
    """Give the seconds that a ``Retry-After`` means: a number, or a date. 0 for none."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _named(status: int, code: str) -> str:
    name = _words(code)
    if not name:
        with contextlib.suppress(ValueError):
            name = http.HTTPStatus(status).phrase
    return f"{status or ''} {name}".strip()


def _words(code: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return shown(text or type(error).__name__)[:_LONGEST]
