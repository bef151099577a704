"""What tells that an object is unchanged, as far as its storage says it.

It takes the place of a file's inode and times (reading.py): 128 bits of a digest over what the
storage changes with the content. A listing says the same as an answer to a read, or an unchanged
object would be read each night.
"""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from batchcls.reading import Identity

_SECOND_NS = 1_000_000_000
# A time is no proof where the object may be changed again within the same tick of its clock.
_TICK_NS = 2_100_000_000
# Names in the ``info`` of fsspec's file systems, in lower case and without "_" and "-": what a
# storage names a version by; checksums of the content; and times.
_TAGS = ("etag", "generation", "versionid", "blobid", "sha", "contenthash")
_SUMS = ("md5", "md5hash", "contentmd5", "crc32c", "crc", "checksum", "chksum", "digest")
_TIMES = ("lastmodified", "modified", "mtime", "updated", "modifiedat", "datetime")


def identity_of(info: Mapping[str, Any], now: int | None = None) -> Identity | None:
    """Take from what a file system says of an object what identifies its content.

    None where it says nothing that does. ``now`` is in nanoseconds since 1970.
    """
    told = {
        name.lower().replace("_", "").replace("-", ""): value
        for name, value in info.items()
        if value is not None and str(value) != ""
    }
    modified = next((time for time in (_time(told.get(name)) for name in _TIMES) if time), 0)
    tags = [name for name in _TAGS if name in told][:1] or [name for name in _SUMS if name in told]
    size = told.get("size")
    if tags:
        marks = [f"{name}={_text(told[name])}" for name in tags]
    elif modified and is_settled(modified, now):
        marks = [f"modified={modified}"]
    else:
        return None
    return made(size if isinstance(size, int) else 0, modified, *marks)


def made(size: int, modified: int, *marks: str) -> Identity:
    """Make an identity. ``modified`` is in nanoseconds since 1970, 0 where it is not known."""
    digest = sha256("\0".join(marks).encode("utf-8", "surrogatepass")).digest()
    changed, inode = (
        int.from_bytes(digest[start : start + 8], "big", signed=True) for start in (0, 8)
    )
    return Identity(size, modified, changed, inode)


def is_settled(modified: int, now: int | None = None) -> bool:
    """Tell whether a later change would show in the time of the last one."""
    return (time.time_ns() if now is None else now) - modified > _TICK_NS


def seconds_ns(moment: datetime) -> int:
    """Give a moment in nanoseconds since 1970, to the second, as HTTP has it."""
    return int(moment.timestamp()) * _SECOND_NS


def http_time(text: str | None) -> int:
    """Give the moment that a header of HTTP tells, in nanoseconds since 1970; 0 for none."""
    try:
        return seconds_ns(parsedate_to_datetime(text)) if text else 0
    except (ValueError, TypeError, OverflowError, OSError):
        return 0


def _time(value: object) -> int:
    """Give a time, however a file system has it, in nanoseconds since 1970; 0 for none."""
    try:
        if isinstance(value, datetime):
            aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
            return seconds_ns(aware)
        if isinstance(value, bool):
            return 0
        if isinstance(value, (int, float)):
            return int(value) * _SECOND_NS
        if isinstance(value, tuple) and len(value) == 6:  # in a ZIP, of no zone
            return timegm((*value, 0, 0, 0)) * _SECOND_NS
        if isinstance(value, str):
            return http_time(value) or seconds_ns(datetime.fromisoformat(_iso(value)))
    except (ValueError, TypeError, OverflowError, OSError):
        pass
    return 0


def _iso(text: str) -> str:
    """Give a time in the form that Python before 3.11 reads, too: ``2026-11-24T18:30:00+00:00``."""
    text = text.replace("Z", "+00:00")
    whole, dot, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return whole + rest[digits:] if dot else text


def _text(value: object) -> str:
    return value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
