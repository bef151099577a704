"""Fetch a file whose SHA-256 is known, from the first of some addresses that gives it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence

from batchcls.downloading.alone import alone
from batchcls.downloading.httpget import (
    CUT,
    Answer,
    GetError,
    Patience,
    ask,
    check_address,
    refusal,
    shown_address,
)
from batchcls.downloading.partial import Partial, partial_path, sha256_of
from batchcls.errors import BatchclsError, UsageError
from batchcls.text import shown

__all__ = ["DownloadError", "Patience", "download", "lock_path"]

# A try that brought so many bytes is not counted: a line that breaks now and then gets there.
_GOOD_PROGRESS = 2**20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0  # seconds, between tries
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.A)

Progress = Callable[[int, "int | None"], None]
Say = Callable[[str], None]


class DownloadError(BatchclsError):
    """No address gave the file. ``reasons``: what was wrong with each, by address as shown."""

    def __init__(self, path: str, reasons: Sequence[tuple[str, str]], *, kept: int = 0) -> None:
        self.reasons = tuple(reasons)
        lines = [f"{address}: {reason}" for address, reason in reasons]
        rest = f" What has come, {kept:,} bytes, is kept: the next try goes on." if kept else ""
        super().__init__(
            "\n".join([f"{shown(path)}: can't be downloaded:", *lines]),
            hint="Check the network. HTTPS_PROXY names a proxy, REQUESTS_CA_BUNDLE the "
            f"certificates that it needs.{rest}",
        )


class _MismatchError(GetError):
    """What has come can't be part of the file; from its start it may come right."""


def download(
    addresses: Sequence[str],
    path: str,
    *,
    sha256: str,
    max_bytes: int,
    patience: Patience = Patience(),  # noqa: B008 - frozen
    on_progress: Progress = lambda _done, _total: None,
    say: Say = lambda _line: None,
) -> None:
    """Fetch ``path`` from the first of ``addresses`` (http, https) that gives it.

    The file appears once it is whole, on the disk, and has the ``sha256`` (hex); one that is there
    and has it is left alone. A download that ends early, by Ctrl-C or worse, leaves a hidden
    file beside ``path``, and the next one, in any process and from any of the addresses, goes
    on from there. Two processes take turns (``alone``); where they can't, the second one
    fetches into a file of its own, which it does not leave behind.

    No more than ``max_bytes`` are taken. ``on_progress`` is told the bytes that are there and
    those that there will be, or None; ``say`` gets a line when things go other than planned.

    Raises UsageError for addresses or a path that can't be, DownloadError where no address gave
    the file, BatchclsError where it can't be written.
    """
    sha256 = sha256.lower()
    _check(addresses, path)
    if _is_there(path, sha256):
        return
    wait = patience.connect + patience.silence
    with alone(lock_path(path), watched=partial_path(path), patience=wait, say=say) as held:
        if _is_there(path, sha256):  # by the process that we waited for
            return
        partial = Partial(path, sha256, private=not held)
        fetcher = _Fetcher(partial, max_bytes, patience, on_progress, say)
        try:
            reasons: list[tuple[str, str]] = []
            for address in addresses:
                if reasons:
                    say(f"{': '.join(reasons[-1])}; trying {shown_address(address)}")
                try:
                    fetcher.fetch(address)
                    partial.place()
                    return
                except GetError as error:
                    reasons.append((shown_address(address), error.reason))
            raise DownloadError(path, reasons, kept=partial.size if held else 0)
        finally:
            if held:
                partial.close()
            else:
                partial.discard()


def lock_path(path: str) -> str:
    """Give the path of the file that is locked while ``path`` is being fetched."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.lock")


class _Fetcher:
    """Fills ``partial``, with what the tries have in common."""

    def __init__(
        self, partial: Partial, max_bytes: int, patience: Patience, on_progress: Progress, say: Say
    ) -> None:
        self._partial = partial
        self._max_bytes = max_bytes
        self._patience = patience
        self._on_progress = on_progress
        self._say = say

    def fetch(self, address: str) -> None:
        """Fill it from ``address``, up to the right SHA-256. Raises GetError."""
        best = self._partial.size
        tries = 0
        restarted = False
        while True:
            try:
                self._check(self._transfer(address))
                return
            except _MismatchError as error:
                self._partial.discard()
                if restarted:
                    raise
                restarted = True
                self._say(f"{shown_address(address)}: {error.reason}; once more from the start")
            except GetError as error:
                if self._partial.size >= best + _GOOD_PROGRESS:
                    best, tries = self._partial.size, 0
                tries += 1
                if not error.passing or tries >= self._patience.attempts:
                    raise
                self._say(f"{shown_address(address)}: {error.reason}; trying again")
                time.sleep(min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE))

    def _transfer(self, address: str) -> str:
        """Get what is missing; give what to say of the file if it proves to be wrong."""
        partial = self._partial
        if partial.size > self._max_bytes:
            partial.discard()
        partial.pieced = partial.size > 0
        if partial.size and partial.size == partial.note.total:
            return ""  # an earlier process ended between the last byte and the renaming
        origin = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()
        with ask(address, self._headers(origin), self._patience) as answer:
            if answer.status == 416 and partial.size:
                return ""  # nothing is missing, or nothing fits; the SHA-256 will tell
            if answer.status == 206:
                total = _continues(answer, partial)
            elif answer.status == 200:
                total = _length(answer)
                self._refuse_if_larger(total)
                partial.begin(origin, _validator(answer.headers), total)
            else:
                raise refusal(answer.status)
            self._refuse_if_larger(total)
            self._fill(answer, total)
            kind = _one_word(answer.headers.get("Content-Type", ""))
            encoding = _one_word(answer.headers.get("Content-Encoding", "identity"))
            return f"{kind}, encoded: {encoding}" if encoding != "identity" else kind

    def _headers(self, origin: str) -> dict[str, str]:
        from batchcls import __version__

        headers = {
            "User-Agent": f"batchcls/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # the SHA-256 is that of the bytes as they are kept
        }
        partial = self._partial
        if partial.size:
            headers["Range"] = f"bytes={partial.size}-"
            # Another address has other validators for the same file; there the SHA-256 alone tells.
            if partial.note.validator and partial.note.origin == origin:
                headers["If-Range"] = partial.note.validator
        return headers

    def _fill(self, answer: Answer, total: int | None) -> None:
        partial = self._partial
        self._on_progress(partial.size, total)
        try:
            for block in answer.blocks:
                partial.append(block)
                if partial.size > self._max_bytes:
                    break
                self._on_progress(partial.size, total)
            else:
                if total is not None and partial.size < total:
                    raise GetError(CUT, passing=True)
        except GetError as error:
            whole = "" if total is None else f" of {total:,}"
            reason = f"{error.reason} after {partial.size:,}{whole} bytes"
            raise GetError(reason, passing=error.passing) from error.__cause__
        finally:
            partial.close()
        self._refuse_if_larger(partial.size)

    def _refuse_if_larger(self, size: int | None) -> None:
        if size is not None and size > self._max_bytes:
            self._partial.discard()
            raise GetError(f"too large: {size:,} bytes, of {self._max_bytes:,} at the most")

    def _check(self, about: str) -> None:
        partial = self._partial
        found = partial.sha256()
        if found == partial.note.sha256:
            return
        about = f"{partial.size:,} bytes{about and f', {about}'}"
        reason = f"not the right file: SHA-256 {found} ({about}), not {partial.note.sha256}"
        if partial.pieced:
            raise _MismatchError(reason)
        unsure = partial.note.total is None  # without a length nothing tells a cut-off file
        partial.discard()
        raise GetError(reason, passing=unsure)


def _check(addresses: Sequence[str], path: str) -> None:
    if isinstance(addresses, str) or not addresses:
        raise UsageError("no address to download from", hint="Name one or more.")
    for address in addresses:
        try:
            check_address(address)
        except ValueError as error:
            raise UsageError(
                f"{shown_address(address) or 'an empty address'}: {error}",
                hint="An address starts with https:// or http://.",
            ) from None
    folder = os.path.dirname(path) or "."
    if "\0" in path or os.path.basename(path) in {"", ".", ".."} or os.path.isdir(path):
        raise UsageError(f"{shown(path) or 'an empty path'}: not a file's name")
    if not os.path.isdir(folder):
        raise UsageError(
            f"{shown(path)}: the folder {shown(folder)} does not exist", hint="Create it."
        )


def _is_there(path: str, sha256: str) -> bool:
    if not os.path.isfile(path):
        return False
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return sha256_of(file) == sha256
    return False


def _continues(answer: Answer, partial: Partial) -> int | None:
    """Give the size of the whole file; _MismatchError where the answer does not go on from here."""
    said = answer.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(said.strip())
    if match is None or not partial.size:
        raise _MismatchError(f"an unasked or unusable part of the file ({said[:100]!r})")
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    known = partial.note.total
    if first != partial.size or last < first or (total is not None and last >= total):
        raise _MismatchError(f"another part of the file than was asked for ({said[:100]!r})")
    if None not in {total, known} and total != known:
        raise _MismatchError(f"a file of {total:,} bytes, where it was one of {known:,}")
    return known if total is None else total


def _length(answer: Answer) -> int | None:
    said = answer.headers.get("Content-Length", "")
    chunked = "Transfer-Encoding" in answer.headers
    return int(said) if said.isascii() and said.isdigit() and not chunked else None


def _validator(headers: Mapping[str, str]) -> str:
    """Give what If-Range takes: a weak ETag may stand for different bytes."""
    tag = headers.get("ETag", "")
    said = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return said if said.isascii() and said.isprintable() and len(said) <= 200 else ""


def _one_word(text: str) -> str:
    return shown(text.partition(";")[0].strip())[:50]
