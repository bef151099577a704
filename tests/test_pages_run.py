"""The page of a run: what stands on it, whatever the files and the labels are called."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from batchcls.pages.cards import Card
from batchcls.pages.deck import make_deck
from batchcls.pages.render import bdi, duration, json_data, moment, percent, picture, render
from batchcls.pages.runpage import RunPage, run_page
from batchcls.records import RunInfo, RunSummary, Status
from batchcls.text import shown

from .conftest import Result
from .conftest import picture as made_picture

VOID = {"meta", "link", "img", "input", "br", "hr"}
STARTED = datetime(2026, 3, 29, 1, 30, tzinfo=timezone(timedelta(hours=1), "CET"))
HOSTILE = [
    "<script>alert(1)</script>.jpg",
    '"><img onerror=alert(1) src=x>.jpg',
    "' onmouseover='alert(1).jpg",
    "</script><script>alert(1)</script>]]>--><!--.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "line\nbreak\rtab\t.jpg",
    "&amp;&#x3c;.jpg",
    "emoji \U0001f600.png",
    "עברית\u202egpj.exe",
    "line\u2028separator.jpg",
    "not UTF-8 \udcff\udcfe.jpg",
    " blanks .jpg",
    "n" * 251 + ".jpg",
]


class Parsed(HTMLParser):
    """A page, read as strictly as it is to be written: each element that is opened is closed."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def all(self, tag: str, kind: str | None = None) -> list[dict[str, str | None]]:
        """Give the attributes of all elements of a name, and of a class."""
        found = [attributes for name, attributes in self.elements if name == tag]
        return [each for each in found if kind is None or each.get("class") == kind]

    @property
    def paths(self) -> list[bytes]:
        """Give the paths that the cards carry."""
        return [base64.b64decode(found["data-path"] or "") for found in self.all("li", "card")]

    @property
    def scripts(self) -> list[str]:
        """Give the scripts that are to run."""
        texts = [text for path, text in self.texts if path[-1:] == ("script",)]
        return [text for text in texts if not text.startswith("{")]

    def text(self, tag: str = "body") -> str:
        """Give all text within elements of a kind, blanks as one."""
        inside = (text for path, text in self.texts if tag in path and "script" not in path)
        return " ".join("".join(inside).split())

    def data(self) -> dict[str, object]:
        """Give what the scripts are told."""
        (text,) = (
            text for path, text in self.texts if path[-1:] == ("script",) and text.startswith("{")
        )
        found = json.loads(text)
        assert isinstance(found, dict)
        return found


def card(name: str = "a.jpg", label: str | None = "cat", **other: object) -> Card:
    fields = {"status": Status.OK, "score": 0.75, "runners_up": [("dog", 0.25)], **other}
    return Card(name, f"/images/{name}", label=label, **fields)  # type: ignore[arg-type]


def page_of(
    cards: Sequence[Card] = (),
    *,
    classes: Sequence[str] = ("cat", "dog"),
    summary: RunSummary | None = None,
    report: str = "/data/report.csv",
    sampled: int = 0,
    unreadable: Sequence[Card] = (),
    images: Sequence[str] = ("/images",),
) -> bytes:
    if summary is None:
        labels = Counter(card.label for card in cards if card.label is not None)
        states = Counter(card.status for card in cards)
        summary = RunSummary(
            labels,
            review=states[Status.REVIEW],
            unknown=states[Status.UNKNOWN],
            unreadable=len(unreadable),
            seconds=2.0,
        )
    info = RunInfo(
        tuple(images), report, "pets.batchcls", "0123456789abcdef" * 4, tuple(classes), ""
    )
    finished = STARTED + timedelta(minutes=3, seconds=7)
    return run_page(
        RunPage(info, summary, STARTED, finished, report, cards, sampled, unreadable, 500)
    )


def photograph(kind: str = "WEBP") -> bytes:
    file = io.BytesIO()
    made_picture().save(file, kind)
    return file.getvalue()


PAGES: dict[str, Callable[[], bytes]] = {
    "nothing": page_of,
    "one image": lambda: page_of([card(thumbnail=photograph())]),
    "hostile names": lambda: page_of(
        [card(name) for name in HOSTILE],
        unreadable=[card(name, None, status=Status.ERROR, reason=name) for name in HOSTILE],
        images=HOSTILE,
        report=HOSTILE[0],
    ),
    "hostile labels": lambda: page_of(
        [card(label=name, runners_up=[(other, 0.1) for other in HOSTILE]) for name in HOSTILE],
        classes=HOSTILE,
    ),
    "each status": lambda: page_of(
        [
            card("u", None, status=Status.UNKNOWN, score=None, reason="unlike all"),
            card("r", status=Status.REVIEW, reason="less sure than 0.8"),
            card("o"),
        ],
        unreadable=[card("e", None, status=Status.ERROR, reason="cut short")],
    ),
    "a thousand classes": lambda: page_of(
        [card(f"{number}.jpg", f"class {number}") for number in range(40)],
        classes=[f"class {number}" for number in range(1000)],
        summary=RunSummary(Counter({f"class {number}": 1000 - number for number in range(1000)})),
    ),
}


@pytest.fixture(params=list(PAGES))
def page(request: pytest.FixtureRequest) -> bytes:
    return PAGES[request.param]()


# ---- Any page


def test_what_is_opened_is_closed_and_ids_are_unique(page):
    parsed = Parsed(page)
    assert page.startswith(b"<!doctype html>\n<html lang=")
    ids = [found["id"] for _, found in parsed.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for _, found in parsed.elements:
        for name in ("for", "aria-labelledby", "aria-describedby", "list"):
            for named in (found.get(name) or "").split():
                assert named in ids
        if (found.get("href") or "").startswith("#"):
            assert (found["href"] or "")[1:] in ids


def test_headings_are_in_order_and_there_are_landmarks(page):
    parsed = Parsed(page)
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(parsed.all(landmark)) == 1


def test_a_page_asks_for_nothing_else(page):
    parsed = Parsed(page)
    for _, found in parsed.elements:
        assert found.keys().isdisjoint({"srcset", "poster", "action", "formaction", "background"})
        assert (found.get("src") or "data:image/").startswith("data:image/")
        assert (found.get("href") or "#").startswith(("#", "data:image/"))
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"iframe", "object", "embed", "base"})
    styles = "".join(text for path, text in parsed.texts if path[-1:] == ("style",))
    assert "url(" not in styles
    assert "@import" not in styles
    assert re.search(rb"https?:", page) is None


def test_its_policy_lets_its_own_scripts_run_alone(page):
    parsed = Parsed(page)
    (policy,) = (found for found in parsed.all("meta") if "http-equiv" in found)
    assert policy["http-equiv"] == "Content-Security-Policy"
    rules = dict(rule.strip().split(" ", 1) for rule in (policy["content"] or "").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert len(parsed.scripts) == 2
    digests = [hashlib.sha256(text.encode()).digest() for text in parsed.scripts]
    assert rules["script-src"].split() == [
        f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests
    ]
    handlers = [name for _, found in parsed.elements for name in found if name.startswith("on")]
    assert handlers == []


def test_it_can_be_read_without_scripts(page):
    parsed = Parsed(page)
    for tag, kind in (("form", "filters"), ("div", "dock"), ("button", "pick")):
        assert all("hidden" in found for found in parsed.all(tag, kind))
    assert all("hidden" not in found for tag, found in parsed.elements if tag in {"li", "article"})


# ---- Names


def names_on(parsed: Parsed) -> list[str]:
    """The names of the cards, as they are read."""
    names: list[str] = []
    for path, text in parsed.texts:
        if "h3" in path and path[-1] == "bdi":
            names.append(text)
    return names


def test_hostile_names_are_text():
    parsed = Parsed(PAGES["hostile names"]())
    expected = []
    for name in HOSTILE:
        folder, slash, file = name.rpartition("/")
        expected += [shown(folder + slash)] * bool(slash) + [shown(file)]
    assert names_on(parsed) == expected
    titles = [found["title"] for found in parsed.all("h3")]
    assert titles == [shown(f"/images/{name}") for name in HOSTILE]
    cells = [text for path, text in parsed.texts if path[-2:] == ("td", "bdi")]
    assert cells == [shown(name) for name in HOSTILE for _ in range(2)]
    assert parsed.all("img") == []
    assert len(parsed.all("script")) == 3


def test_hostile_labels_are_text():
    parsed = Parsed(PAGES["hostile labels"]())
    assert parsed.data()["labels"] == HOSTILE
    guesses = [text for path, text in parsed.texts if path[-2:] == ("span", "bdi") and "ul" in path]
    assert set(guesses) >= {shown(label) for label in HOSTILE}
    options = [text for path, text in parsed.texts if path[-1:] == ("option",)]
    assert {f"{shown(label)} (1)" for label in HOSTILE} <= set(options)
    assert len(parsed.all("script")) == 3
    plain = page_of([card()])
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in Parsed(plain).elements}


def test_nothing_on_a_page_turns_the_direction_of_writing():
    for name in ("hostile names", "hostile labels"):
        text = PAGES[name]().decode()
        assert not set(text) & {
            chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
        }


def test_paths_come_back_byte_for_byte():
    parsed = Parsed(PAGES["hostile names"]())
    assert parsed.paths == [os.fsencode(f"/images/{name}") for name in HOSTILE]


def test_lone_surrogates_break_nothing():
    name = "\udcff\udbff\ud800"  # some of which no file system has
    page = page_of([card("x", name, runners_up=[(name, 0.5)], reason=name)], classes=[name])
    assert Parsed(page).data()["labels"] == [name]


def test_data_cannot_end_its_element():
    text = json_data({"a": "</script><!--&\u2028\u2029\udcff"})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": "</script><!--&\u2028\u2029\udcff"}


# ---- What is said


def test_it_counts():
    parsed = Parsed(PAGES["each status"]())
    text = parsed.text()
    assert parsed.text("title") == "4 images, 1 to review, 1 unknown, 1 unreadable"
    assert parsed.text("h1") == parsed.text("title")
    for tile in ("4 images", "1 ok", "1 to review", "1 unknown", "1 unreadable", "0 known already"):
        assert tile in text
    assert "2 images/s" in text
    assert "All 3 images, the least sure first." in text
    assert "cat 2 50.0 %" in text
    assert "(unknown) 1 25.0 %" in text
    assert "(unreadable) 1 25.0 %" in text
    assert "less sure than 0.8" in text
    assert "unlike all" in text
    assert [text for path, text in parsed.texts if path[-2:] == ("td", "bdi")] == ["e", "cut short"]
    assert "reported before" not in text


def test_it_tells_of_the_run():
    parsed = Parsed(page_of([card()], images=["/images", "/more", "/most"]))
    text = parsed.text()
    assert "In /images and 2 other places" in text
    assert "Classified by pets.batchcls in 3 min 7 s" in text
    assert "2026-03-29 01:30:00 (CET, UTC+01:00)" in text
    assert parsed.all("time")[0]["datetime"] == "2026-03-29T01:30:00+01:00"
    assert "2 classes" in text
    assert "0123456789abcdef Begun" in text
    assert "/data/report.csv, a row for each image" in text


def test_it_says_that_there_are_more_images_than_cards():
    cards = [card(f"{number}.jpg") for number in range(500)]
    summary = RunSummary(Counter(cat=99_990), unknown=10, unreadable=1234, seconds=100)
    broken = [card(f"{number}.bad", None, status=Status.ERROR) for number in range(500)]
    text = Parsed(page_of(cards, summary=summary, sampled=200, unreadable=broken)).text()
    assert (
        "500 of 100,000 images: the 300 least sure, and a sample of 200 of the others; "
        "all are in /data/report.csv." in text
    )
    assert "The first 500 of 1,234 files that could not be read; all are in" in text
    assert "1,012 images/s" in text


def test_no_card_was_asked_for():
    summary = RunSummary(Counter(cat=7), unreadable=1, seconds=1)
    text = Parsed(page_of(summary=summary, report="-")).text()
    assert "0 of 7 images; all are in the report on standard output." in text
    assert "1 file could not be read; the reasons are in the report on standard output." in text


def test_nothing_was_found():
    parsed = Parsed(page_of())
    assert parsed.text("title") == "No images"
    assert "There is no image to show." in parsed.text()
    assert "No image has a label." in parsed.text()
    assert "every file could be read" in parsed.text()
    assert parsed.all("li", "card") == []


def test_the_first_labels_are_there_and_the_others_when_asked_for():
    parsed = Parsed(PAGES["a thousand classes"]())
    rows = [found for found in parsed.all("li") if (found.get("class") or "").startswith("bar")]
    assert len(rows) == 1000
    assert "970 more labels" in parsed.text("summary")
    first = parsed.text("ul")
    assert first.index("class 0 1,000") < first.index("class 29 971")
    links = [found["data-show"] for found in parsed.all("a") if "data-show" in found]
    assert "label=39" in links
    assert "label=40" not in links  # no card bears it


def test_more_labels_than_a_page_can_have():
    labels = Counter({f"class {number}": 1 for number in range(21_000)})
    page = page_of(summary=RunSummary(labels), classes=list(labels))
    assert "20,970 more labels" in Parsed(page).text()
    assert "and 19,970 more" in Parsed(page).text()
    assert len(page) < 2_000_000


# ---- Cards and choices


def test_a_label_that_is_offered_is_known_by_its_number():
    deck = make_deck(
        [
            card("a", "dog", runners_up=[("cat", 0.1), ("emu", 0.1)]),
            card("b", None, status=Status.UNKNOWN, runners_up=[("emu", 0.5)]),
            card("c", "cat", truth="yak"),
        ],
        ["cat", "dog", "emu"],
    )
    assert deck.labels == ["cat", "dog", "emu", "yak"]
    assert deck.classes == 3
    assert [view.choices for view in deck.views] == [(1, 0, 2), (2,), (0, 3, 1)]
    assert [(view.label, view.truth) for view in deck.views] == [(1, None), (None, None), (0, 3)]
    assert [(item.label, item.count) for item in deck.by_label] == [("cat", 1), ("dog", 1)]
    assert deck.places["yak"] == 3


def test_the_id_tells_pages_apart():
    cards = [card("a"), card("b")]
    assert make_deck(cards, ["cat"], "x").id == make_deck(cards, ["cat"], "x").id
    others = [make_deck(cards[:1], ["cat"], "x").id, make_deck(cards, ["cat"], "y").id]
    assert len({make_deck(cards, ["cat"], "x").id, *others}) == 3


def test_pictures_are_told_by_their_first_bytes():
    for kind in ("WEBP", "JPEG", "PNG"):
        data = photograph(kind)
        address = picture(data)
        assert address is not None
        assert address.startswith(f"data:image/{kind.lower()};base64,")
        assert base64.b64decode(address.partition(",")[2]) == data
    assert picture(None) is None
    assert picture(b"<svg onload=alert(1)>") is None
    assert "no picture" in Parsed(page_of([card(thumbnail=b"")])).text()


def test_a_full_page_is_small_enough_to_be_sent():
    thumbnail = photograph()
    thumbnail += b"\0" * (5000 - len(thumbnail))
    cards = [
        card(
            f"folder/{number}.jpg",
            f"class {number}",
            runners_up=[(f"class {number + other}", 0.1) for other in range(3)],
            thumbnail=thumbnail,
            status=Status.REVIEW,
            reason="less sure than 0.5",
        )
        for number in range(500)
    ]
    page = page_of(cards, classes=[f"class {number}" for number in range(503)])
    assert len(Parsed(page).all("img")) == 500
    assert 500 * 5000 < len(page) < 5_000_000


# ---- Words


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0.0 %"),
        (0.00001, "<0.1 %"),
        (0.1234, "12.3 %"),
        (0.99999, ">99.9 %"),
        (1, "100.0 %"),
    ],
)
def test_a_share_in_per_cent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (7530, "2 h 5 min"),
        (-1, "0.0 s"),
    ],
)
def test_how_long_something_took(seconds, text):
    assert duration(seconds) == text


def test_a_moment_has_its_zone():
    utc = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert moment(utc) == (
        '<time datetime="2026-01-02T03:04:05+00:00">2026-01-02 03:04:05 (UTC+00:00)</time>'
    )


def test_a_name_is_set_apart():
    assert bdi("<b>\u202e") == "<bdi>&lt;b&gt;\\u202e</bdi>"


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError):
        render("run.html.j2")


# ---- The real command


def test_the_page_of_a_run(tmp_path: Path, model: Path, batchcls: Callable[..., Result]):
    folder = tmp_path / "images"
    folder.mkdir()
    names = ["plain.jpg", '"><img onerror=alert(1)>.jpg', "line\nbreak.jpg", "\udcff\udcfe.jpg"]
    for seed, name in enumerate(names):
        file = io.BytesIO()
        made_picture(seed, (640, 400)).save(file, "JPEG")
        with open(os.fsencode(folder / name), "wb") as target:
            target.write(file.getvalue())
    (folder / "broken.jpg").write_bytes(b"nothing")
    done = batchcls("run", "images", "-m", model, "--html", "report.html", "-o", "report.csv")
    assert done.status == 3, done.err
    page = (tmp_path / "report.html").read_bytes()
    parsed = Parsed(page)
    assert parsed.text("title") == "5 images, 4 unknown, 1 unreadable"
    assert set(parsed.paths) == {os.fsencode(folder / name) for name in names}
    for found in parsed.all("img"):
        kind, _, data = (found["src"] or "").partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert f"data:image/{(image.format or '').lower()}" == kind
            assert image.size == (192, 120)
    assert len(parsed.all("img")) == len(names)
    assert "broken.jpg" in parsed.text("table")
