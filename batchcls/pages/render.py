"""Templates → pages.

A page is one file that asks for nothing else: styles, scripts and pictures stand in it, and its
content security policy lets nothing in, nor any script run but those that are named here. Whatever
a template prints is data: escaped, and made visible by :func:`batchcls.text.shown`, but for what is
markup already.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from batchcls.text import plural, shown

# What lets a person filter, sort and correct cards; both do nothing on a page that has none.
GALLERY = ("page.js", "corrections.js")

_TEMPLATES = "templates"
# What a picture's file begins with.
_PICTURES = {
    b"RIFF": "image/webp",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}


class Script(NamedTuple):
    """A script that stands in a page. ``hash`` is what the page's policy knows it by."""

    text: Markup
    hash: str


def render(template: str, *, scripts: Sequence[str] = GALLERY, **context: object) -> bytes:
    """Give the page that a template makes of ``context``, in UTF-8.

    ``scripts`` are the files among the templates that the page needs; any other script in it, an
    event handler in an attribute too, is not run. Lone surrogates come out as escapes.
    """
    page = _environment().get_template(template)
    text = page.render(**context, scripts=[_script(name) for name in scripts])
    return text.encode("utf-8", "backslashreplace")


def bdi(text: str) -> Markup:
    """Give a name to show, so that its direction of writing leaves alone what stands beside."""
    return Markup("<bdi>{}</bdi>").format(shown(text))


def thousands(count: int) -> str:
    """Give ``1,234,567``."""
    return f"{count:,}"


def percent(share: float, digits: int = 1) -> str:
    """Give a share, 0 to 1, as ``12.3 %``; what is neither none nor all never looks so."""
    text = f"{share:.{digits}%}"
    least = 10**-digits
    if share > 0 and float(text[:-1]) == 0:
        text = f"<{least:.{digits}f}%"
    elif share < 1 and float(text[:-1]) == 100:
        text = f">{100 - least:.{digits}f}%"
    return f"{text[:-1]} %"


def score(value: float) -> str:
    """Give a score, 0 to 1, with three decimals."""
    return f"{value:.3f}"


def moment(time: datetime) -> Markup:
    """Give a ``<time>`` element: local time with its zone. ``time`` has one."""
    offset = time.strftime("%z")
    zone = f"UTC{offset[:3]}:{offset[3:5]}"
    name = time.tzname() or ""
    if name and not name.startswith(("UTC", "+", "-")):
        zone = f"{name}, {zone}"
    return Markup('<time datetime="{}">{} ({})</time>').format(
        time.isoformat(timespec="seconds"), f"{time:%Y-%m-%d %H:%M:%S}", zone
    )


def duration(seconds: float) -> str:
    """Give ``3.2 s``, ``4 min 12 s`` or ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def picture(data: bytes | None) -> Markup | None:
    """Give an image file as a ``data:`` address; None where it is none that a browser shows."""
    if data is None:
        return None
    for beginning, kind in _PICTURES.items():
        if data.startswith(beginning):
            text = base64.b64encode(data).decode("ascii")
            return Markup(f"data:{kind};base64,{text}")  # noqa: S704  # Base64 is no markup
    return None


def json_data(value: object) -> Markup:
    """Give JSON that may stand in a ``<script type="application/json">``, whatever is in it."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII: no U+2028, no lone surrogates
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704  # what could end the element is escaped


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("batchcls.pages", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bdi": bdi,
        "duration": duration,
        "json_data": json_data,
        "moment": moment,
        "percent": percent,
        "picture": picture,
        "score": score,
        "thousands": thousands,
    }
    environment.globals |= {"plural": plural, "style": _style}
    return environment


def _shown(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return shown(value)
    return value


@cache
def _source(name: str) -> str:
    return (resources.files("batchcls.pages") / _TEMPLATES / name).read_text("utf-8")


def _style(name: str) -> Markup:
    """Give a file of styles, to stand in a ``<style>``."""
    return Markup(_source(name))  # noqa: S704  # ours


@cache
def _script(name: str) -> Script:
    text = _source(name)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Script(Markup(text), f"sha256-{digest}")  # noqa: S704  # ours
