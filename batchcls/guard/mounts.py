"""Which mount a file is on, told without waiting for one that does not answer."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import time

from batchcls.guard.forking import fork

_TABLE = "/proc/self/mounts"
_MOST_LINKS = 40
_PATIENCE = 1.0  # seconds, for following links


def mount_points(table: str = _TABLE) -> list[str] | None:
    """Give the mount points, the longest first; None where the system has no table of them."""
    try:
        with open(table, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    fields = (line.split(b" ") for line in lines)
    points = {os.fsdecode(_unescaped(each[1])) for each in fields if len(each) > 1}
    return sorted(points, key=len, reverse=True)


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def lies_in(path: str, place: str) -> bool:
    """Tell whether ``path`` is ``place`` or inside it, by their texts."""
    return path == place or path.startswith(place if place.endswith("/") else f"{place}/")


def place_of(path: str, folder: str, points: list[str] | None) -> tuple[str, str] | None:
    """Give what would have to be left alone if ``path`` is on a dead mount, and the mount's name.

    The former differs from the mount where the path gets there by a link. Without a table of
    mounts, both are ``folder``. None for the root of all files.
    """
    if points is None:
        return (folder, folder)
    steps = _followed(path)
    reached = steps[-1][1]
    mount = next(point for point in [*points, "/"] if lies_in(reached, point))
    if mount == "/":
        return None
    return next((prefix, mount) for prefix, place in steps if lies_in(place, mount))


def _followed(path: str) -> list[tuple[str, str]]:
    """Follow the links in ``path``: give each of its beginnings, and where that leads.

    A process of its own does it, which may hang where the path does; the last is as far as it came.
    """
    ours, theirs = os.pipe()
    try:
        child = fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        return [(path, path)]
    if child == 0:
        try:
            os.close(ours)
            _follow(path, theirs)
        finally:
            os._exit(0)
    os.close(theirs)
    told = b""
    end = time.monotonic() + _PATIENCE
    try:
        while select.select([ours], [], [], max(0, end - time.monotonic()))[0]:
            block = os.read(ours, 65536)
            if not block:
                break
            told += block
    finally:
        os.close(ours)
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
        _reap(child)
    fields = [os.fsdecode(field) for field in told.split(b"\0")[:-1]]
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return list(dict(pairs).items()) or [(path, path)]


def _reap(child: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
                continue
        return


def _follow(path: str, told: int) -> None:
    prefix = place = ""
    for part in path.strip("/").split("/"):
        prefix = f"{prefix}/{part}"
        rest = [part]
        links = 0
        while rest:
            place = os.path.normpath(f"{place.rstrip('/')}/{rest.pop(0)}")
            os.write(told, os.fsencode(f"{prefix}\0{place}\0"))  # before it may hang
            with contextlib.suppress(OSError):
                target = os.readlink(place)
                links += 1
                if links > _MOST_LINKS:
                    return
                place = "" if target.startswith("/") else os.path.dirname(place)
                rest = [*target.strip("/").split("/"), *rest]
