"""What the browser tests share: a real Chromium, and the pages that real commands wrote."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import ASSETS, picture
from .warm import Warm

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# Set where a browser must be there (.ci/run). Read before a test may clean the environment.
NEEDED = bool(os.environ.get("BATCHCLS_NEEDS_BROWSER"))
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]

# A label and names that would do something if they were taken for markup, or break the page.
SCRIPT = "</script><script>window.hacked=1</script>"
HOSTILE_LABEL = f'toy"{SCRIPT}'
LONG_LABEL = "L" * 300
HOSTILE_NAMES = [
    "<script>window.hacked=2</script>.jpg",  # a folder, and a file in it
    '"><img src=x onerror=window.hacked=3>.jpg',
    "' onfocus=window.hacked=4 autofocus '.jpg",
    'line\nbreak\tand "quotes".jpg',
    os.fsdecode(b"caf\xe9 \xff.jpg"),
    "right\u202eto left \u05d0\u05d1 \U0001f9f8.jpg",
    "W" * 251 + ".jpg",
    "=cmd|1.jpg",
    "{{ 7 * 7 }} ${7} &amp;.jpg",
]
UNREADABLE = "<img src=x onerror=window.hacked=5>.jpg"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium with a profile of its own; skip where there is none."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        reason = f"needs a browser: {', '.join(_NAMES)} (apt-get install chromium)"
        if NEEDED:
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser,
    path: Path,
    *,
    width: int = 1280,
    height: int = 900,
    scheme: Any = "light",
    script: bool = True,
) -> Iterator[Page]:
    """Open a page from disk. What it complains of, does of its own, or asks for is a failure."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        java_script_enabled=script,
        accept_downloads=True,
    )
    complaints: list[str] = []
    requests: list[str] = []
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda one: complaints.append(f"{one.type}: {one.text}"))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(path.as_uri())
        yield page
        if script:
            assert page.evaluate("window.hacked") is None
        assert complaints == []
        own = (path.as_uri(), "data:", "blob:")
        assert [url for url in requests if not url.startswith(own)] == []
    finally:
        context.close()


def shown(cards: Locator) -> list[str]:
    """Give the names of the cards that can be seen, in their order."""
    return cards.evaluate_all(
        "cards => cards.filter(c => c.offsetParent).map(c => c.querySelector('.name').title)"
    )


@dataclass
class Built:
    """A folder with what the commands made of demo images and hostile ones.

    ``hostile`` are the paths of the hostile ones.
    """

    folder: Path
    hostile: list[str] = field(default_factory=list)

    def page(self, name: str) -> Path:
        """Give the page of that name: ``report``, ``evaluation``, ``comparison``."""
        return self.folder / f"{name}.html"


def command(warm: Warm, folder: Path, *arguments: str | Path) -> str:
    """Run a real command in ``folder``, which must succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHCLS_")}
    done = warm.run(
        ["-m", "batchcls", *arguments],
        cwd=folder,
        env={
            **kept,
            "BATCHCLS_INSTALLED_PLUGINS": "",
            "BATCHCLS_MODELS_DOWNLOAD": "false",
            "BATCHCLS_STORE_FOLDER": str(folder / "store"),
            "BATCHCLS_LOG_LEVEL": "normal",
        },
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).decode("utf-8", "surrogateescape")


def build(warm: Warm, folder: Path) -> Built:
    """Have real commands write all pages, once for all who ask."""
    import fcntl

    images = folder / "images"
    built = Built(folder, [str(images / name) for name in HOSTILE_NAMES])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.page("comparison").exists():
            _write(warm, built, images)
    return built


def _write(warm: Warm, built: Built, images: Path) -> None:
    folder = built.folder
    shutil.copytree(ASSETS / "images", images)
    for seed, path in enumerate(map(Path, built.hostile)):
        path.parent.mkdir(exist_ok=True)
        picture(seed, (160, 120)).save(path)
    (images / UNREADABLE).touch()
    toy = f'"{_quoted(HOSTILE_LABEL)}"'
    tags = "path\tlabel\n" + (ASSETS / "tags.tsv").read_text(encoding="utf-8").replace("toy", toy)
    tags += "".join(f"{name}\t{LONG_LABEL}\n" for name in ("rings1.jpg", "orange1.jpg"))
    (folder / "tags.tsv").write_text(tags, encoding="utf-8")
    quick = ("-f", "efficientnet-lite0", "--framing", "crop", "--images", images)
    command(warm, folder, "train", "tags.tsv", "-o", "old.batchcls", *quick)
    run = ("run", images, "-m", "old.batchcls", "--max-errors", "1")
    page = ("--review-below", "0.8", "--no-unknown", "--html", "report.html")
    command(warm, folder, *run, "-o", "old.csv", *page)
    test = (ASSETS / "test-tags.tsv").read_text(encoding="utf-8").replace("toy", toy)
    lines = [line for line in test.splitlines() if not line.startswith(("rings", "orange"))]
    lines += [f'"{_quoted(path)}"\t{LONG_LABEL}' for path in built.hostile]
    (folder / "test.tsv").write_bytes(os.fsencode("\n".join(["path\tlabel", *lines, ""])))
    evaluate = ("evaluate", "test.tsv", "--images", images, "-m", "old.batchcls")
    command(warm, folder, *evaluate, "--html", "evaluation.html")
    command(warm, folder, *run, "-o", "new.csv")
    command(warm, folder, "compare", "old.csv", "new.csv", "--html", "comparison.html")


def _quoted(cell: str) -> str:
    return cell.replace('"', '""')
