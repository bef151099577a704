"""Since when: a date, a date with a time, or so long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from batchcls.errors import ConfigError
from batchcls.text import shown

_AGO = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]+)?)?"
    r"(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?)?",
    re.ASCII | re.IGNORECASE,
)
_FORMS = (
    "A date (2026-11-24), a date with a time (2026-11-24T18:30, 2026-11-24T18:30:00+01:00, …Z), "
    "or so long ago (90m, 36h, 7d, 2w). A time without an offset is this machine's."
)


def parse_since(text: str, now: datetime) -> float:
    """Give the moment as a POSIX timestamp.

    Raises ConfigError for what is no moment, and for one to come, which no file can have.
    """
    text = text.strip()
    try:
        moment = _ago(text, now) or _moment(text)
        if moment is not None:
            since = moment.timestamp()  # of a time without an offset, as this machine has it
            if since <= now.timestamp():
                return since
            raise ConfigError(f"run -> since: {shown(text)} is still to come", hint=_FORMS)
    except (ValueError, OverflowError, OSError):  # a 30th of February; beyond what systems count
        pass
    raise ConfigError(f"run -> since: {shown(text)!r} is no moment", hint=_FORMS)


def _ago(text: str, now: datetime) -> datetime | None:
    match = _AGO.fullmatch(text.lower())
    if match is None:
        return None
    # Hours that have passed, whatever the clocks were set to meanwhile.
    seconds = float(match[1]) * _SECONDS[match[2]]
    return now.astimezone(timezone.utc) - timedelta(seconds=seconds)


def _moment(text: str) -> datetime | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    zone = timezone.utc if match[7] else None
    if match[8]:
        offset = timedelta(hours=int(match[9]), minutes=int(match[10]))
        zone = timezone(-offset if match[8] == "-" else offset)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone)
