"""The moment that the name of a report tells, by the placeholders in its template.

``values`` are what the placeholders were filled in with, by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

# How each is filled in, and a pattern of what that may be.
FORMS = {
    "date": ("%Y-%m-%d", r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": ("%H%M%S", r"[0-9]{6}"),
    "year": ("%Y", r"[0-9]{4}"),
    "month": ("%m", r"[0-9]{2}"),
    "day": ("%d", r"[0-9]{2}"),
    "hour": ("%H", r"[0-9]{2}"),
}


def agree(values: Mapping[str, str]) -> bool:
    """Whether there is a moment that all the placeholders may have been filled in from."""
    year, month, day, hour, minute, second = map(int, _moment(values).values())
    try:
        at = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return False
    return all(at.strftime(FORMS[name][0]) == value for name, value in values.items())


def _moment(values: Mapping[str, str]) -> dict[str, str]:
    """Give year to second; what no placeholder tells is filled in: 2000 had a 29th of February."""
    date, time = values.get("date", ""), values.get("time", "")
    return {
        "Y": date[:4] or values.get("year", "2000"),
        "m": date[5:7] or values.get("month", "01"),
        "d": date[8:] or values.get("day", "01"),
        "H": time[:2] or values.get("hour", "00"),
        "M": time[2:4] or "00",
        "S": time[4:] or "00",
    }


def order_of(values: Mapping[str, str]) -> str:
    """Give what sorts reports by their moment; the same for all where there is no year, say."""
    told = set(values)
    if "date" in told:
        told |= {"year", "month", "day"}
    if "time" in told:
        told |= {"hour"}
    in_order = ["year", "month", "day", "hour"]
    depth = next((index for index, one in enumerate(in_order) if one not in told), 4)
    if not depth or told & set(in_order[depth:]):
        return ""
    moment = _moment(values)
    return "".join(moment[one] for one in "YmdHMS")
