"""The pages in a real browser: what they show, what they do, and what they let nobody do."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchcls.pages.cards import Card
from batchcls.pages.runpage import RunPage, run_page
from batchcls.records import RunInfo, RunSummary, Status
from batchcls.scan import ScanRules
from batchcls.tags import read_tags
from batchcls.text import plural
from batchcls.text import shown as readable

from .browser import (
    HOSTILE_LABEL,
    HOSTILE_NAMES,
    LONG_LABEL,
    UNREADABLE,
    Built,
    build,
    chromium,
    command,
    opened,
    shown,
)
from .conftest import ASSETS
from .warm import Warm

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A WebP image of one pixel.
PIXEL = "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA="
# What there are many of is looked at as far as it differs.
PART = {"exclude": [".card:nth-child(n + 9)", "tbody tr:nth-child(n + 9)", "svg > *"]}
EVERY_RULE = {"resultTypes": ["violations"]}
# All else is the same in any colours, and looked at once.
RULES_ON_COLOURS = {**EVERY_RULE, "runOnly": ["color-contrast", "link-in-text-block"]}
RULES = ScanRules(suffixes=frozenset({".jpg"}))
PAGES = ["report", "evaluation", "comparison"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Built:
    """What the commands wrote: once, whatever the number of processes that run tests."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "pages"
    folder.mkdir(exist_ok=True)
    return build(warm, folder)


def text_of(page: Page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def corrections(page: Page, target: Path) -> dict[str, str]:
    """Save the corrections; give what batchcls reads in the file."""
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save corrections.tsv").click()
    assert caught.value.suggested_filename == "corrections.tsv"
    caught.value.save_as(target)
    tags = read_tags(str(target), None, RULES)
    return {tag.path: tag.label for tag in tags}


# ---- What is on a page


@pytest.mark.parametrize("name", PAGES)
def test_nothing_on_a_page_keeps_a_person_out(browser, built, name):
    """axe-core finds no serious fault, wide and narrow, light and dark."""
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    with opened(browser, built.page(name)) as page:
        page.evaluate(axe)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            for scheme, rules in (("light", EVERY_RULE), ("dark", RULES_ON_COLOURS)):
                page.emulate_media(color_scheme=scheme)
                found = page.evaluate("([part, rules]) => axe.run(part, rules)", [PART, rules])
                grave = [
                    (one["id"], node["html"][:300], node["failureSummary"])
                    for one in found["violations"]
                    if one["impact"] in {"serious", "critical"}
                    for node in one["nodes"]
                ]
                assert grave == []
                assert "color-contrast" in {one["id"] for one in found["passes"]}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_no_wider_than_the_window(browser, built, name):
    with opened(browser, built.page(name)) as page:
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        if page.locator(".card").count():
            page.keyboard.press("j")
        for width in (1280, 390, 320):
            page.set_viewport_size({"width": width, "height": 700})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("innerWidth") == width


@pytest.mark.parametrize("name", PAGES)
def test_names_and_labels_are_shown_as_they_are(browser, built, name):
    """That no script of theirs ran, and nothing was asked for, is looked at wherever one opens."""
    with opened(browser, built.page(name)) as page:
        text = page.evaluate("document.body.textContent")
        for each in HOSTILE_NAMES:
            assert readable(each) in text
        assert HOSTILE_LABEL in text
        if name != "comparison":
            assert LONG_LABEL in text
        assert page.locator("script").count() == (1 if name == "comparison" else 3)
        assert page.locator("[onerror], [onfocus], [autofocus]").count() == 0
        assert page.locator("img:not([src^='data:'])").count() == 0
        if name == "report":
            assert readable(UNREADABLE) in text_of(page, "#unreadable ~ .scroll")


def test_every_image_has_its_picture(browser, built):
    with opened(browser, built.page("report")) as page:
        pictures = page.locator(".card img")
        assert pictures.count() == page.locator(".card").count() == 24 + len(HOSTILE_NAMES)
        sizes = pictures.evaluate_all(
            "all => Promise.all(all.map(one => (one.loading = 'eager', one.decode()))).then("
            "() => all.map(one => Math.max(one.naturalWidth, one.naturalHeight)))"
        )
        assert min(sizes) >= 100
        assert max(sizes) <= 512


@pytest.mark.parametrize("name", ["report", "evaluation"])
def test_without_scripts_a_page_can_be_read(browser, built, name):
    with opened(browser, built.page(name), script=False) as page:
        cards = page.locator(".card")
        assert cards.count() > 10
        assert cards.first.is_visible()
        assert cards.first.locator(".guesses").inner_text()
        assert not page.locator(".dock").is_visible()
        assert not page.locator("form.filters").is_visible()
        assert not page.locator(".pick").first.is_visible()


# ---- Filters


def test_filters_narrow_the_cards_and_say_how_many_are_left(browser, built):
    from playwright.sync_api import expect

    with opened(browser, built.page("report")) as page:
        cards, count = page.locator(".card"), page.locator("form.filters .count")
        everything = shown(cards)
        assert count.inner_text() == f"{len(everything)} images"
        labels = page.locator("select[name=label]")
        labels.select_option(labels.locator("option", has_text="food").get_attribute("value"))
        food = shown(cards)
        assert 0 < len(food) < len(everything)
        assert count.inner_text() == f"{len(food)} of {len(everything)} images"
        assert set(page.locator(".card:visible .best .guess").all_inner_texts()) == {"food"}
        page.get_by_label("Status").select_option("ok")
        assert set(page.locator(".card:visible .badge").all_inner_texts()) <= {"ok"}
        assert set(shown(cards)) < set(food)
        page.get_by_role("button", name="Clear").click()
        expect(count).to_have_text(f"{len(everything)} images")
        assert shown(cards) == everything
        page.get_by_label("Name or reason").fill("TOASTER")
        assert [Path(each).name for each in shown(cards)] != []
        assert all("toaster" in each for each in shown(cards))
        page.get_by_label("Name or reason").fill("no such thing")
        assert shown(cards) == []
        assert page.get_by_text("No image on this page is like that").is_visible()


def test_the_order_can_be_changed(browser, built):
    with opened(browser, built.page("report")) as page:
        cards, order = page.locator(".card"), page.get_by_label("Order")
        given = shown(cards)
        scores = "all => all.map(one => Number(one.dataset.score))"
        unsure = cards.evaluate_all(scores)
        assert unsure == sorted(unsure)
        order.select_option("sure")
        assert cards.evaluate_all(scores) == sorted(unsure, reverse=True)
        order.select_option("name")
        demo = [Path(each).name for each in shown(cards) if each not in known(built)]
        assert demo == sorted(os.listdir(ASSETS / "images"))
        order.select_option("")
        assert shown(cards) == given


def known(built: Built) -> set[str]:
    return {readable(path) for path in built.hostile}


def test_tiles_and_bars_lead_to_their_images(browser, built):
    with opened(browser, built.page("report")) as page:
        cards = page.locator(".card")
        tile = page.locator(".tile a", has_text="to review")
        tile.click()
        assert len(shown(cards)) == int(tile.locator("b").inner_text())
        assert page.get_by_label("Status").input_value() == "review"
        assert page.evaluate("document.activeElement.id") == "gallery"
        row = page.locator(".bar", has_text=HOSTILE_LABEL)
        row.get_by_role("link").click()
        assert len(shown(cards)) == int(row.locator(".bar-count").inner_text())
        assert page.get_by_label("Status").input_value() == ""
        labels = page.locator(".card:visible .best .guess").all_inner_texts()
        assert set(labels) == {HOSTILE_LABEL}


def test_a_cell_of_the_confusion_matrix_shows_its_pictures(browser, built):
    with opened(browser, built.page("evaluation")) as page:
        wrong = page.locator("#matrix td.wrong a").first
        count = int(wrong.inner_text())
        wrong.focus()
        page.keyboard.press("Enter")
        cards = page.locator(".card:visible")
        assert cards.count() == count > 0
        assert page.evaluate("document.activeElement.id") == "gallery"
        assert page.locator("#gallery").is_visible()
        assert set(cards.locator(".verdict").all_inner_texts()) == {"wrong"}
        [tag] = {text.removeprefix("Tagged ") for text in cards.locator(".truth").all_inner_texts()}
        [column] = set(cards.locator(".best .guess").all_inner_texts())
        row = wrong.locator("xpath=ancestor::tr").locator("th")
        assert row.get_attribute("title") == tag != column
        page.keyboard.press("j")  # from there on with the keyboard: the first of them
        assert page.locator(".card.is-current").count() == 1


def test_a_comparison_is_filtered_by_what_became_what(browser, built):
    with opened(browser, built.page("comparison")) as page:
        rows = page.locator("#changed tbody tr:visible")
        everything = rows.count()
        assert everything > 10
        step = page.locator("#became ~ ul a[data-step], .became a[data-step]").first
        step.click()
        assert 0 < rows.count() < everything
        page.get_by_role("button", name="Clear").click()
        name = rows.last.locator(".file").inner_text()
        page.get_by_label("Image or label").fill(name.upper())
        assert rows.locator(".file").all_inner_texts() == [name]


# ---- Corrections


def test_labels_are_corrected_with_the_keyboard_saved_and_learnt(browser, built, warm, tmp_path):
    due: dict[str, str] = {}
    with opened(browser, built.page("report")) as page:
        keys = page.keyboard

        def current() -> str:
            encoded = page.locator(".card.is-current").get_attribute("data-path")
            assert encoded is not None
            return os.fsdecode(base64.b64decode(encoded))

        def choice(number: int) -> str:
            return page.locator(".choice bdi").nth(number - 1).inner_text()

        keys.press("j")
        due[current()] = choice(2)
        keys.press("2")
        assert text_of(page, ".card.is-current .given").startswith("corrected to")
        keys.press("j")
        due[current()] = choice(1)
        keys.press("1")
        assert text_of(page, ".card.is-current .given").startswith("confirmed as")
        page.locator(".card", has_text="apple1.jpg").locator(".pick").focus()
        keys.press("3")
        keys.press("0")
        assert not page.locator(".card.is-current .given").is_visible()
        keys.press("t")
        keys.type("a new class, 1")  # its letters are no shortcuts
        keys.press("Enter")
        due[current()] = "a new class, 1"
        assert "a new class" in text_of(page, ".card.is-current .given")
        keys.press("ArrowRight")
        keys.press("2")
        keys.press("u")
        assert text_of(page, ".tally").startswith("3 corrections: 2 changed, 1 confirmed")
        assert len(due) == 3
        for _ in range(60):
            keys.press("Tab")
            if page.evaluate("document.activeElement.matches('.save')"):
                break
        with page.expect_download() as caught:
            keys.press("Enter")
        assert text_of(page, ".news") == "Saved. Next: batchcls train tags.tsv corrections.tsv"
        target = tmp_path / "corrections.tsv"
        caught.value.save_as(target)
    tags = read_tags(str(target), None, RULES)
    assert {tag.path: tag.label for tag in tags} == due
    # They are given to the training in the same folder; what it learnt is told.
    quick = ("-f", "efficientnet-lite0", "--framing", "crop", "-o", tmp_path / "new.batchcls")
    quick = (*quick, "--images", built.folder / "images")
    said = command(warm, built.folder, "train", "tags.tsv", target, *quick)
    tags = read_tags(str(built.folder / "tags.tsv"), str(built.folder / "images"), RULES)
    before = {tag.path: tag.label for tag in tags}
    pairs = [(before[path], label) for path, label in due.items() if path in before]
    changed = plural(sum(old != new for old, new in pairs), "label")
    added = plural(len(due) - len(pairs), "image")
    confirmed = sum(old == new for old, new in pairs)
    assert f"corrections.tsv: {changed} changed, {added} added, {confirmed} confirmed" in said
    assert "apple1.jpg: food -> a new class, 1 (tags.tsv:6" in said


def test_corrections_of_hostile_names_are_tags_of_those_files(browser, built, tmp_path):
    with opened(browser, built.page("report")) as page:
        for path in built.hostile:
            encoded = base64.b64encode(os.fsencode(path)).decode()
            page.locator(f'.card[data-path="{encoded}"] .pick').click()
            page.locator(".choice", has_text=HOSTILE_LABEL).click()
        assert text_of(page, ".tally").startswith(f"{len(built.hostile)} corrections")
        saved = corrections(page, tmp_path / "corrections.tsv")
    assert saved == dict.fromkeys(built.hostile, HOSTILE_LABEL)
    assert all(os.path.isfile(path) for path in saved)


def test_a_typed_label_is_the_class_of_that_name_before_any_other(browser, tmp_path):
    # A text field holds no line breaks, so those who type it mean either.
    classes = ("ab", "a\nb", "c\nd", "Pizza")
    image = tmp_path / "image.jpg"
    image.touch()
    info = RunInfo(("images",), "report.csv", "model", "00" * 32, classes, "2026-03-01T02:00:00Z")
    now = datetime(2026, 3, 1, 2, 0, tzinfo=timezone.utc)
    cards = [Card("image.jpg", str(image), Status.OK, "Pizza", 0.5)]
    summary = RunSummary(seconds=1.0)
    summary.labels["Pizza"] = 1
    page_path = tmp_path / "page.html"
    page_path.write_bytes(run_page(RunPage(info, summary, now, now, "-", cards, 0, [], 500)))
    with opened(browser, page_path) as page:
        page.locator(".pick").click()
        for text, label in (("ab", "ab"), ("cd", "c\nd"), (" Pizza ", "Pizza"), ("pizza", "pizza")):
            page.keyboard.press("t")
            page.keyboard.type(text)
            page.keyboard.press("Enter")
            assert corrections(page, tmp_path / "corrections.tsv") == {str(image): label}


def test_corrections_outlive_the_page_and_are_not_left_behind_in_silence(browser, built):
    with opened(browser, built.page("evaluation")) as page:
        asked: list[str] = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
        page.locator(".card .pick").nth(1).click()
        page.locator(".choice").nth(1).click()
        page.get_by_label("Another label").fill("typed")
        page.keyboard.press("Enter")
        assert page.locator(".card.is-corrected").count() == 1
        page.reload()
        assert asked == ["beforeunload"]
        assert page.locator(".card.is-corrected").count() == 1
        assert "corrected to typed, a new class" in text_of(page, ".card.is-corrected .given")
        with page.expect_download():
            page.get_by_role("button", name="Save corrections.tsv").click()
        # It is the tags that were corrected: not what the model is to learn from.
        assert text_of(page, ".news") == "Saved. Next: batchcls evaluate TAGS corrections.tsv"
        page.reload()
        assert asked == ["beforeunload"]


def test_a_wrong_tag_is_corrected_on_the_page_of_an_evaluation(browser, built, tmp_path):
    with opened(browser, built.page("evaluation")) as page:
        card = page.locator(".card", has=page.locator(".verdict.is-error")).first
        label = card.locator(".best .guess").inner_text()
        card.locator(".picture").click()
        page.locator(".choice", has_text=label).first.click()
        path = card.get_attribute("data-path")
        saved = corrections(page, tmp_path / "corrections.tsv")
    assert saved == {os.fsdecode(base64.b64decode(path)): label}


# ---- Large ones


def test_a_page_of_a_hundred_thousand_images_opens(browser, tmp_path):
    classes = [f"class {number:03}" for number in range(1000)]
    labels = {label: 100 - number % 7 for number, label in enumerate(classes)}
    summary = RunSummary(review=500, unknown=40, unreadable=2_000, recalled=60_000, seconds=200.0)
    summary.labels.update(labels)
    cards = [
        Card(
            f"folder/{number:06}.jpg",
            f"/photos/folder/{number:06}.jpg",
            Status.REVIEW,
            classes[number],
            0.3 + number / 1000,
            [(classes[number + 1], 0.2), (classes[number + 2], 0.1)],
            "the score is below 0.9 (report.review_below)",
            base64.b64decode(PIXEL),
        )
        for number in range(500)
    ]
    unreadable = [
        Card(f"{number}.jpg", f"/photos/{number}.jpg", Status.ERROR, reason="an empty file")
        for number in range(500)
    ]
    now = datetime.now(timezone.utc)
    info = RunInfo(("/photos",), "report.csv", "m.batchcls", "0" * 64, tuple(classes), str(now))
    page = RunPage(info, summary, now, now, "report.csv", cards, 200, unreadable, 500)
    (tmp_path / "large.html").write_bytes(run_page(page))
    with opened(browser, tmp_path / "large.html") as seen:
        assert seen.evaluate("document.readyState") in {"interactive", "complete"}
        assert seen.locator(".card").count() == 500
        assert seen.locator("h1").inner_text().startswith(f"{summary.images:,} images")
        seen.get_by_label("Name or reason").fill("000499")
        assert shown(seen.locator(".card")) == ["/photos/folder/000499.jpg"]
        seen.keyboard.press("Escape")
        assert seen.evaluate("document.documentElement.scrollWidth") <= 1280
