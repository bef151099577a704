"""How much memory there is to be had: of the machine's, and of what a container allows."""

from __future__ import annotations

import os
from collections.abc import Iterator


def available(root: str = "/") -> int | None:
    """Give the bytes that this process could take before the system runs short; None if unknown.

    ``root`` is where the system's own file systems are.
    """
    found = [*_of_machine(root), *_of_groups(root)]
    return max(0, min(found)) if found else None


def address_space() -> int | None:
    """Give the size of this process's address space; None if unknown."""
    pages = _text("/proc/self/statm").split()
    return int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else None


def _of_machine(root: str) -> Iterator[int]:
    for line in _text(os.path.join(root, "proc/meminfo")).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _of_groups(root: str) -> Iterator[int]:
    """Look at the control groups that this process is in, and those above."""
    base = os.path.join(root, "sys/fs/cgroup")
    for line in _text(os.path.join(root, "proc/self/cgroup")).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            bases = [base, os.path.join(base, "unified")]
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            bases = [os.path.join(base, "memory")]
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for start in bases:
            for depth in range(len(parts) + 1):
                yield from _of_group(os.path.join(start, *parts[:depth]), *names)


def _of_group(folder: str, limit: str, used: str, cached: str) -> Iterator[int]:
    most, now = (_text(os.path.join(folder, name)).strip() for name in (limit, used))
    if not (most.isdecimal() and now.isdecimal()):  # "max", or no such group
        return
    free = int(most) - int(now)
    for line in _text(os.path.join(folder, "memory.stat")).splitlines():
        name, _, value = line.partition(" ")
        if name == cached and value.isdecimal():
            free += int(value)  # what the system would give up before it runs short
    yield free


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
