"""How charts look and what they become: SVG that takes on a page's colours, or files.

The same numbers give the same bytes, whatever a person's matplotlibrc says.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from batchcls.text import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that nothing else in a chart has: in a page each becomes what the page's style says.
TEXT, LINES, FIRST, SECOND = "#1b1f24", "#8b929a", "#1f5fbf", "#b3470d"
_IN_PAGE = {
    TEXT: "currentColor",
    LINES: "var(--chart-lines)",
    FIRST: "var(--chart-first)",
    SECOND: "var(--chart-second)",
}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINES,
    "axes.labelcolor": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "grid.color": LINES,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "batchcls",
    "text.color": TEXT,
    "text.parse_math": False,  # a class may be called $x$
    "xtick.color": LINES,
    "ytick.color": LINES,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
}
# What would make every file another one.
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_DPI = 150


def available() -> bool:
    """Tell whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Have figures made and written in this style, and silently.

    Neither a font that lacks a character of a name, nor a cache of fonts that can't be kept, is
    worth a word.
    """
    import matplotlib

    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            yield
    finally:
        log.setLevel(level)


def as_file(figure: Figure, form: str) -> bytes:
    """Give a chart as an image file, dark on white; ``form`` is svg or png."""
    file = io.BytesIO()
    metadata = _NO_METADATA if form == "svg" else {"Software": None}
    figure.savefig(
        file, format=form, dpi=_DPI, bbox_inches="tight", facecolor="white", metadata=metadata
    )
    return file.getvalue()


def inline(figure: Figure, name: str, text: str) -> Markup:
    """Give a chart as SVG that stands in a page: ``name`` is its own, ``text`` says what it shows.

    The page's style has --chart-lines, --chart-first and --chart-second.
    """
    file = io.BytesIO()
    figure.savefig(file, format="svg", bbox_inches="tight", transparent=True, metadata=_NO_METADATA)
    source = file.getvalue().decode("utf-8")
    box = re.search(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', source)
    if box is None:
        raise AssertionError("matplotlib's SVG has no viewBox")
    body = source[box.end() :]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>[^<]*</style>", "", body)  # it would be of the whole page
    # Brackets in names are escaped: what stands between real ones is matplotlib's own.
    body = re.sub(r"<[^<>]*>", lambda tag: _at_home(tag[0], name), body)
    head = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="{}" '
        'stroke-linejoin="round" stroke-linecap="butt">'
    ).format(shown(text), box[1])
    return head + Markup(body)  # noqa: S704  # see above


def _at_home(tag: str, name: str) -> str:
    """Fit a tag into a page: its colours and font, and ids that no other chart has."""
    for colour, variable in _IN_PAGE.items():
        tag = tag.replace(colour, variable)
    tag = tag.replace("'DejaVu Sans', sans-serif", "system-ui, sans-serif")
    tag = re.sub(r' id="[^"]*_\d+"', "", tag)  # of groups, that nothing refers to
    tag = tag.replace("xlink:href", "href")
    return re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", tag)
