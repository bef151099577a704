"""What the tests of images at URLs share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from batchcls.errors import DecodeError
from batchcls.records import ImageFile
from batchcls.remote.reading import RemoteFiles
from batchcls.remote.retrying import Policy
from batchcls.scan import scan
from batchcls.scanrules import ScanRules
from batchcls.settings import Settings, StorageSettings

SUFFIXES = frozenset({".jpg", ".png"})
PLENTY = 2**40


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def settings(**storage: Any) -> Settings:
    """Settings with these in ``[storage]``."""
    return Settings(storage=StorageSettings(**storage))


@contextmanager
def remote(clock: Clock | None = None, **options: Any) -> Iterator[RemoteFiles]:
    """Files at URLs, with ``options`` as in [storage]; with a ``clock`` attempts take no time."""
    chosen = options.pop("settings", None) or settings(**options)
    policy = None
    if clock is not None:
        storage = chosen.storage
        policy = Policy(storage.retries, storage.timeout, clock, clock.sleep, lambda: 1.0)
    files = RemoteFiles(chosen, policy=policy)
    try:
        yield files
    finally:
        files.close()


def found(files: RemoteFiles, *roots: str, **rules: Any) -> list[ImageFile]:
    """Scan."""
    return list(scan(roots, ScanRules(rules.pop("suffixes", SUFFIXES), **rules), remote=files))


def keys(files: RemoteFiles, *roots: str, **rules: Any) -> list[str]:
    """Scan; give the names in the report."""
    return [file.key for file in found(files, *roots, **rules)]


def content(files: RemoteFiles, path: str, max_bytes: int = PLENTY) -> bytes:
    """Read a file."""
    with files.opened(path, max_bytes) as opened:
        return opened.file.read()


def reason(files: RemoteFiles, path: str, max_bytes: int = PLENTY) -> str:
    """Fail to read a file, and give the reason."""
    try:
        with files.opened(path, max_bytes):
            raise AssertionError(f"{path} can be read")
    except DecodeError as error:
        assert not error.lasting
        return str(error)
