"""``batchcls run --html``: the page of a run, made by the real command of real image files."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from .conftest import Result, make_classes, picture
from .warm import Warm

PICTURE = re.compile(r'src="data:image/(webp|jpeg);base64,([A-Za-z0-9+/=]+)"')


class Words(HTMLParser):
    """The words of a page that a person reads."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag, attrs):
        self._silent += tag in {"script", "style"}

    def handle_endtag(self, tag):
        self._silent -= tag in {"script", "style"}

    def handle_data(self, data):
        if not self._silent:
            self.words.append(data)


def words_of(page: Path) -> str:
    parser = Words()
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join("".join(parser.words).split())


def pictures_of(page: Path) -> list[Image.Image]:
    found = PICTURE.findall(page.read_text(encoding="utf-8"))
    return [Image.open(io.BytesIO(base64.b64decode(data))) for _, data in found]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eight images of two classes, a broken one, and an empty one."""
    folder = make_classes(tmp_path / "images")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    (folder / "empty.png").touch()
    return folder


@pytest.fixture
def coded(tmp_path: Path, warm: Warm) -> Callable[..., Result]:
    """What runs some code that calls the command, as a process of its own."""

    def call(code: str, *arguments: str | Path, **env: str) -> Result:
        ran = ["-c", code, *arguments]
        done = warm.run(ran, cwd=tmp_path, env={**os.environ, **env}, timeout=120)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


def test_page_has_every_image_its_picture_and_each_reason(batchcls, model, images, tmp_path):
    result: Result = batchcls("run", "images", "-m", model, "--html", "page.html")
    assert result.status == 3, result.err
    assert f"page: {'page.html'}" in result.out
    words = words_of(tmp_path / "page.html")
    for name in ["dark/0.jpg", "light/3.jpg", "broken.jpg", "empty.png"]:
        assert name in words
    with open(tmp_path / "report.csv", newline="", encoding="utf-8") as file:
        reasons = [row["error"] for row in csv.DictReader(file) if row["status"] == "error"]
    assert len(reasons) == 2
    assert all(reason in words for reason in reasons), reasons
    pictures = pictures_of(tmp_path / "page.html")
    assert [one.size for one in pictures] == [(96, 80)] * 8
    lightness = [one.convert("L").resize((1, 1)).getpixel((0, 0)) for one in pictures]
    assert sorted(value > 128 for value in lightness) == [False] * 4 + [True] * 4


def test_page_is_complete_in_itself(batchcls, model, images, tmp_path):
    batchcls("run", "images", "-m", model, "--html", "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    outside = re.findall(r'(?:src|href|action|data)\s*=\s*"(?!data:|#)([^"]*)"', text)
    assert outside == []
    assert "@import" not in text
    assert re.findall(r"url\((?!data:|['\"]?data:)", text) == []


def test_without_it_there_is_no_page_and_the_report_is_the_same(batchcls, model, images, tmp_path):
    batchcls("run", "images", "-m", model, "-o", "a.csv", "--html", "page.html", "--no-store")
    batchcls("run", "images", "-m", model, "-o", "b.csv", "--no-store")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["page.html"]


def test_limit_of_thumbnails_is_kept_and_said(batchcls, model, images, tmp_path):
    env = {"BATCHCLS_REPORT_THUMBNAILS": "5"}
    batchcls("run", "images", "-m", model, "--html", "page.html", **env)
    assert len(pictures_of(tmp_path / "page.html")) == 5
    assert "5 of 8 images" in words_of(tmp_path / "page.html")
    env = {"BATCHCLS_REPORT_THUMBNAILS": "0"}
    batchcls("run", "images", "-m", model, "--html", "page.html", **env)
    assert pictures_of(tmp_path / "page.html") == []


@pytest.mark.parametrize("later", [(), ("--no-store",)])
def test_second_night_has_the_same_pictures(batchcls, model, images, tmp_path, later):
    settle()
    first = batchcls("run", "images", "-m", model, "--html", "one.html")
    second = batchcls("run", "images", "-m", model, "--html", "two.html", *later)
    assert (first.status, second.status) == (3, 3)
    one, two = (
        PICTURE.findall((tmp_path / name).read_text(encoding="utf-8"))
        for name in ("one.html", "two.html")
    )
    assert len(one) == 8
    assert one == two


def settle() -> None:
    """Let the clock get on, or files are so new that they are not taken for known."""
    time.sleep(0.1)


def test_images_that_are_known_without_a_picture_are_drawn_once(batchcls, model, images, tmp_path):
    settle()
    batchcls("run", "images", "-m", model)
    known = batchcls("run", "images", "-m", model, "--html", "one.html", "-v")
    assert "10 of them known already" in known.out
    assert len(pictures_of(tmp_path / "one.html")) == 8
    info = json.loads(batchcls("cache", "info", "--json").out)
    assert {one["of"]: one["count"] for one in info["results"]}["thumbnails"] == 8


def test_image_that_changed_since_has_its_new_picture(batchcls, model, images, tmp_path):
    settle()
    batchcls("run", "images", "-m", model, "--html", "one.html")
    Image.new("RGB", (50, 40), (255, 0, 0)).save(images / "dark" / "0.jpg")
    batchcls("run", "images", "-m", model, "--html", "two.html")
    sizes = sorted(one.size for one in pictures_of(tmp_path / "two.html"))
    assert sizes == [(50, 40)] + [(96, 80)] * 7


def test_unknown_and_review_are_told(batchcls, model, images, tmp_path):
    for number in range(3):
        picture(number, (64, 64)).save(images / f"other{number}.png")
    batchcls("run", "images", "-m", model, "--html", "page.html", "--review-below", "1")
    words = words_of(tmp_path / "page.html")
    assert "unlike the training images" in words
    assert "the score is below 1 (report.review_below)" in words
    assert len(pictures_of(tmp_path / "page.html")) == 11


def test_names_are_data(batchcls, model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [
        b"<script>document.title='hacked'</script>.png".replace(b"/", b"-"),
        b'"><img src=x onerror=alert(1)>.png',
        b"'&amp;&lt;.png",
        b"line\nbreak.png",
        b"caf\xe9.png",
        "🖼️\u202egnp.png".encode(),
        b"n" * 251 + b".png",
        b"=1+1.png",
    ]
    for number, name in enumerate(names):
        picture(number).save(tmp_path / "image.png")
        os.rename(tmp_path / "image.png", os.fsencode(folder) + b"/" + name)
    result = batchcls("run", "images", "-m", model, "--html", "page.html")
    assert result.status == 0, result.err
    text = (tmp_path / "page.html").read_text(encoding="utf-8")  # it is UTF-8
    assert len(pictures_of(tmp_path / "page.html")) == len(names)

    class Tags(HTMLParser):
        found: list[str]

        def handle_starttag(self, tag, attrs):
            self.found.append(tag)
            assert not any(name.startswith("on") for name, _ in attrs), attrs

    parser = Tags()
    parser.found = []
    parser.feed(text)
    harmless = batchcls("run", "images", "-m", model, "--html", "page2.html", "--include", "n*")
    assert harmless.status == 0
    plain = Tags()
    plain.found = []
    plain.feed((tmp_path / "page2.html").read_text(encoding="utf-8"))
    assert parser.found.count("script") == plain.found.count("script")
    words = words_of(tmp_path / "page.html")
    assert "<script>document.title='hacked'<-script>.png" in words
    assert "line\\nbreak.png" in words
    assert "caf\\xe9.png" in words


def test_configuration_names_it_with_the_date(batchcls, model, images, tmp_path):
    (tmp_path / "config.toml").write_text(
        f'[run]\nimages = ["images"]\nmodel = "{model}"\noutput = "reports/{{date}}.csv"\n'
        'html = "reports/{date}.html"\nsummary = "summary.json"\nkeep_reports = 2\n'
    )
    (tmp_path / "reports").mkdir()
    for day in range(1, 5):
        for suffix in ("csv", "html"):
            (tmp_path / "reports" / f"2020-01-0{day}.{suffix}").write_text("<")
    result = batchcls("run", "--config", tmp_path / "config.toml", cwd=tmp_path.parent)
    assert result.status == 3, result.err
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    pages = [name for name in names if name.endswith("html")]
    assert len(pages) == 2
    assert pages[0] == "2020-01-04.html"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["page"] == str(tmp_path / "reports" / pages[1])


def test_no_more_pages_than_are_kept_where_the_report_is_no_file(batchcls, model, images, tmp_path):
    for day in range(1, 5):
        (tmp_path / f"2020-01-0{day}.html").write_text("<")
    arguments = ("run", "images", "-m", model, "--html", "{date}.html")
    env = {"BATCHCLS_RUN_OUTPUT": "-", "BATCHCLS_RUN_KEEP_REPORTS": "2"}
    result = batchcls(*arguments, **env)
    assert result.status == 3, result.err
    names = sorted(path.name for path in tmp_path.glob("*.html"))
    assert len(names) == 2
    assert names[0] == "2020-01-04.html"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("-", "a page is a file"),
        ("tags.tsv", "something else than a page of batchcls, and would be lost"),
        ("index.html", "something else than a page of batchcls, and would be lost"),
        ("report.csv", "is the report"),
        ("summary.json", "is the summary"),
        ("{nothing}.html", "there is no {nothing}"),
        ("absent/page.html", "the folder"),
        ("images", "a folder"),
    ],
)
def test_wrong_place_is_told_before_anything_is_done(
    batchcls, model, images, tmp_path, place, words
):
    (tmp_path / "tags.tsv").write_text("a.jpg\tdark\n")
    (tmp_path / "index.html").write_text("<!doctype html><title>Mine</title>")
    result = batchcls("run", "images", "-m", model, "--html", place, "--summary", "summary.json")
    assert result.status == 2, result.err
    assert words in result.err
    assert (tmp_path / "tags.tsv").read_text() == "a.jpg\tdark\n"
    assert (tmp_path / "index.html").read_text() == "<!doctype html><title>Mine</title>"
    assert not (tmp_path / "report.csv").exists()


def test_former_page_gives_way_to_the_next(batchcls, model, images, tmp_path):
    first = batchcls("run", "images", "-m", model, "--html", "page.html")
    (images / "empty.png").unlink()
    second = batchcls("run", "images", "-m", model, "--html", "page.html")
    assert (first.status, second.status) == (3, 3)
    assert "9 images, 1 unreadable" in words_of(tmp_path / "page.html")


def test_former_page_stays_where_the_run_fails(batchcls, model, images, tmp_path):
    former = '<meta name="generator" content="batchcls">'
    (tmp_path / "page.html").write_text(former)
    result = batchcls(
        *("run", "images", "-m", model, "--html", "page.html"), BATCHCLS_RUN_MIN_IMAGES="99"
    )
    assert result.status == 1
    assert (tmp_path / "page.html").read_text() == former
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []


FAILING = """
import sys
from batchcls.pages import runpage
def broken(page):
    from batchcls.errors import BatchclsError
    raise BatchclsError("page.html: can't be written: No space left on device")
runpage.run_page = broken
sys.argv = ["batchcls", "run", "images", "-m", sys.argv[1], "--html", "page.html"]
from batchcls.__main__ import main
main()
"""


def test_page_that_can_not_be_written_is_a_warning_and_the_report_is_there(
    coded, model, images, tmp_path
):
    done = coded(FAILING, model)
    assert done.status == 3
    assert "warning: there is no page: page.html: can't be written" in done.err
    assert (tmp_path / "report.csv").exists()
    assert not (tmp_path / "page.html").exists()
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []


FAULTY = FAILING.replace("raise BatchclsError(", "raise RecursionError(")


def test_page_that_can_not_be_made_is_a_warning_and_the_report_is_there(
    coded, model, images, tmp_path
):
    done = coded(FAULTY, model)
    assert done.status == 3
    assert "warning: there is no page: making it failed: RecursionError" in done.err
    assert "Traceback" in done.err  # to be sent to us
    assert "dark" in done.out  # the table is there
    assert (tmp_path / "report.csv").exists()
    assert not (tmp_path / "page.html").exists()


def test_another_run_with_the_same_page_takes_none_away(batchcls, model, images, tmp_path):
    (tmp_path / "plugin.py").write_text(WAITING)
    first = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "images", "-m", model, "--html", "page.html"],
        env={**os.environ, "BATCHCLS_PLUGINS": "plugin.py"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "begun").exists():
        assert first.poll() is None
        time.sleep(0.05)
    second = batchcls("run", "images", "-m", model, "-o", "two.csv", "--html", "page.html")
    assert second.status == 3, second.err
    (tmp_path / "page.html").unlink()
    (tmp_path / "go on").touch()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 3, err
    assert "no page" not in err
    assert len(pictures_of(tmp_path / "page.html")) == 8


WAITING = """
import os, time
from batchcls import hookimpl

@hookimpl
def batchcls_run_started(run):
    open("begun", "w").close()
    while not os.path.exists("go on"):
        time.sleep(0.05)
"""

CRASHING = """
import os, signal, sys
from batchcls import drawing
once = drawing.Drawer.__call__
def crash(self, entries):
    if not os.path.exists("crashed"):
        open("crashed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return once(self, entries)
drawing.Drawer.__call__ = crash
sys.argv = ["batchcls", "run", "images", "-m", sys.argv[1], "--html", "page.html", *sys.argv[2:]]
from batchcls.__main__ import main
main()
"""


def test_worker_that_dies_while_it_draws_is_followed_by_another(
    batchcls, coded, model, images, tmp_path
):
    settle()
    batchcls("run", "images", "-m", model, "-o", "other.csv")
    done = coded(CRASHING, model)
    assert (tmp_path / "crashed").exists()
    assert done.status == 3, done.err
    assert (tmp_path / "report.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert len(pictures_of(tmp_path / "page.html")) == 8
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []


def test_only_what_is_new(batchcls, model, images, tmp_path):
    settle()
    run = ("run", "images", "-m", model, "-o", "{time}.csv", "--new-only", "--html", "page.html")
    batchcls(*run)
    assert len(pictures_of(tmp_path / "page.html")) == 8
    picture(5).save(images / "new.png")
    result = batchcls(*run)
    assert result.status in {0, 3}, result.err
    assert "new.png" in words_of(tmp_path / "page.html")


SLOW = """
import sys, time
from batchcls import drawing
drawing.shrunk = lambda picture: time.sleep(60)
sys.argv = ["batchcls", "run", "images", "-m", sys.argv[1], "--html", "page.html"]
from batchcls.__main__ import main
main()
"""


def test_image_that_takes_too_long_to_draw_is_known_as_before(
    batchcls, coded, model, images, tmp_path
):
    settle()
    batchcls("run", "images", "-m", model, "-o", "other.csv")
    for _ in range(2):
        done = coded(SLOW, model, BATCHCLS_DECODE_MAX_SECONDS="1")
        assert done.status == 3, done.err
        assert "took more than 1 s" in done.err
        assert (tmp_path / "report.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
        assert words_of(tmp_path / "page.html").count("no picture") == 8
    # Nor is it taken for slow from then on.
    batchcls("run", "images", "-m", model)
    assert (tmp_path / "report.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


KILLED = """
import os, signal, sys
from batchcls.commands.runhtml import RunHtml
from batchcls.reports.csv import CsvReport
from batchcls.store.reported import Reported

def then_killed(once):
    def call(*arguments):
        result = once(*arguments)
        if not os.path.exists("crashed"):
            open("crashed", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

owner = {"report": CsvReport, "record": Reported, "page": RunHtml}[sys.argv[1]]
owner.commit = then_killed(owner.commit)
sys.argv = ["batchcls", "run", "images", "-m", *sys.argv[2:], "--new-only", "--html", "page.html"]
from batchcls.__main__ import main
main()
"""


@pytest.mark.parametrize("after", ["report", "record", "page"])
def test_worker_that_dies_at_the_end_takes_nothing_new_away(
    batchcls, coded, model, images, tmp_path, after
):
    settle()
    batchcls("run", "images", "-m", model, "--new-only")
    picture(5).save(images / "new.png")
    done = coded(KILLED, after, model)
    assert (tmp_path / "crashed").exists()
    assert done.status == 0, done.err
    with open(tmp_path / "report.csv", newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["new.png"]
    assert len(pictures_of(tmp_path / "page.html")) == 1
    # The next night it has been told.
    batchcls("run", "images", "-m", model, "--new-only")
    assert len((tmp_path / "report.csv").read_text().splitlines()) == 1
