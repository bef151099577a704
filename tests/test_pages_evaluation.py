"""The page of an evaluation, its charts as files, and the command that writes them."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from batchcls.evaluation import Evaluation, metrics_of
from batchcls.pages import charts, chartstyle
from batchcls.pages.cards import Card
from batchcls.pages.evaluationpage import (
    MOST_CLASSES,
    EvaluationPage,
    evaluation_page,
    matrix_of,
    shown_classes,
)
from batchcls.records import Outcome, Prediction, Status, TaggedImage
from batchcls.selection import Selection

from .conftest import Result, make_classes, picture
from .warm import Warm

VOID = {"meta", "link", "input", "img", "br", "hr"}
HOSTILE = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=alert(1)>',
    "</script></style></svg>-->]]>",
    '$x_1$ #1b1f24 url(#p) id="q" {{ 7*7 }} {% raw %}',
    "line\nbreak\ttab \u202etfel \u05d0\u05d1 😀 日本",
    "n" * 300,
]


class Parsed(HTMLParser):
    """What a browser makes of a page: its elements, and its text by element."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(page.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def evaluation_of(
    scores: np.ndarray, targets: np.ndarray, classes: list[str], names: list[str] | None = None
) -> Evaluation:
    """An evaluation with these scores, float64 ``[N, C]``, and true classes."""
    names = names or [f"photos/{number}.jpg" for number in range(len(targets))]
    tags = [TaggedImage(name, classes[index]) for name, index in zip(names, targets, strict=True)]
    predictions = []
    for name, row in zip(names, scores, strict=True):
        order = np.argsort(-row, kind="stable")[:10]
        predictions.append(
            Prediction(
                name,
                Status.OK,
                label=classes[order[0]],
                score=float(row[order[0]]),
                scores=row,
                leading=tuple((int(index), float(row[index])) for index in order),
            )
        )
    return Evaluation(metrics_of(scores, targets, classes, top=5), tags, predictions)


def random_evaluation(images: int, classes: list[str], seed: int = 0) -> Evaluation:
    random = np.random.default_rng(seed)
    targets = random.integers(0, len(classes), images)
    scores = random.dirichlet(np.full(len(classes), 0.3), images)
    scores[np.arange(images), targets] += 0.4 * scores.max(axis=1)
    return evaluation_of(scores / scores.sum(axis=1, keepdims=True), targets, classes)


def page_of(evaluation: Evaluation, limit: int = 500, **more: object) -> EvaluationPage:
    selection = Selection(evaluation.tags, limit)
    selection.add([Outcome(prediction) for prediction in evaluation.predictions], 0)
    cards = [
        Card(
            name=evaluation.tags[one.number].path,
            path=f"/data/{evaluation.tags[one.number].path}",
            status=Status.OK,
            label=evaluation.predictions[one.number].label,
            score=evaluation.predictions[one.number].score,
            truth=evaluation.tags[one.number].label,
        )
        for one in selection.chosen
    ]
    given: dict[str, object] = {
        "model": "m.batchcls",
        "digest": "0123456789abcdef" * 4,
        "tags": ["tags.tsv"],
        "started": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "metrics": evaluation.metrics,
        "confidence": evaluation.confidence(),
        "unknown": evaluation.unknown,
        "cards": cards,
    }
    return EvaluationPage(**{**given, **more})  # type: ignore[arg-type]


def check_page(data: bytes) -> Parsed:
    """Read a page; it is sound, asks for nothing, and runs nothing but its own scripts."""
    parsed = Parsed(data)
    assert parsed.unbalanced == []
    assert parsed.open == []
    for _, attributes in parsed.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href"}:
                assert value.startswith(("data:", "#"))
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in parsed.elements:
        referred = attributes.get("aria-labelledby", "").split()
        referred += re.findall(r"^#(.+)", attributes.get("href", ""))
        referred += re.findall(r"url\(#([^)]*)", attributes.get("clip-path", ""))
        assert set(referred) <= set(ids)
    return parsed


def test_it_says_what_the_model_is_worth():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.55, 0.45]])
    found = check_page(
        evaluation_page(page_of(evaluation_of(scores, np.array([0, 0, 1, 1]), ["cat", "dog"])))
    )
    assert "Evaluation: 3 of 4 images right" in found.words
    assert "75.0 % right: 3 of 4" in found.words
    assert "1 mistake " in found.words
    assert "0123456789abcdef" in found.words
    assert "With review_below = 0.56, 1 of 4 images is to be checked by hand" in found.words
    assert "30.1 % to 95.4 % would be right" in found.words  # Wilson


def test_a_number_of_the_matrix_leads_to_its_pictures():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.55, 0.45]])
    found = check_page(
        evaluation_page(page_of(evaluation_of(scores, np.array([0, 0, 1, 1]), ["cat", "dog"])))
    )
    links = [one["data-show"] for one in found.all("a") if "data-show" in one]
    assert {"truth=0&label=0", "truth=1&label=0", "truth=1&label=1"} <= set(links)
    assert "truth=0&label=1" not in links
    cards = [
        (one["data-truth"], one["data-label"]) for one in found.all("li") if "data-truth" in one
    ]
    assert cards == [("1", "0"), ("1", "1"), ("0", "0"), ("0", "0")]


def test_charts_stand_in_the_page_with_a_text_and_the_pages_colours():
    data = evaluation_page(page_of(random_evaluation(60, ["cat", "dog", "fox"])))
    found = check_page(data)
    drawn = found.all("svg")
    assert len(drawn) == 2
    assert all(one["role"] == "img" and len(one["aria-label"]) > 60 for one in drawn)
    text = data.decode("utf-8")
    inside = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "currentColor" in inside
    assert "var(--chart-first)" in inside
    assert not re.search(r"#[0-9a-f]{6}", inside.replace("#000000", ""))
    assert "<style" not in inside
    assert "<!--" not in inside
    assert "metadata" not in inside


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_data(name):
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    evaluation = evaluation_of(
        scores, np.array([0, 1, 1]), [name, "dog"], [f"a/{name}.jpg", "b", "c"]
    )
    page = page_of(evaluation, model=name, tags=[f"{name}.tsv", "corrections.tsv"])
    found = check_page(evaluation_page(page))
    plain = check_page(
        evaluation_page(page_of(evaluation_of(scores, np.array([0, 1, 1]), ["cat", "dog"])))
    )
    kinds = {tag for tag, _ in plain.elements}
    assert {tag for tag, _ in found.elements} - kinds == set()
    assert len(found.all("script")) == len(plain.all("script"))
    shown = name.replace("\n", "\\n").replace("\t", "\\t").replace("\u202e", "\\u202e")
    assert " ".join(shown.split()) in found.words


def test_a_name_that_is_not_utf_8_is_shown_escaped_and_kept_whole():
    name = os.fsdecode(b"caf\xe9.jpg")
    evaluation = evaluation_of(np.array([[0.9, 0.1]]), np.array([1]), ["cat", "dog"], [name])
    found = check_page(evaluation_page(page_of(evaluation)))
    assert "caf\\xe9.jpg" in found.words
    paths = [base64.b64decode(one["data-path"]) for one in found.all("li") if "data-path" in one]
    assert paths == [b"/data/caf\xe9.jpg"]


def test_without_mistakes_it_says_so():
    found = check_page(
        evaluation_page(page_of(evaluation_of(np.eye(3), np.arange(3), list("abc"))))
    )
    assert "Not one label is wrong." in found.words
    assert "No label is wrong among 3 images" in found.words
    assert len(found.all("svg")) == 1


def test_one_image_and_one_mistake():
    evaluation = evaluation_of(np.array([[0.9, 0.1]]), np.array([1]), ["cat", "dog"])
    found = check_page(evaluation_page(page_of(evaluation)))
    assert "Evaluation: 0 of 1 image right" in found.words


def test_of_a_thousand_classes_those_with_mistakes_are_in_the_matrix():
    classes = [f"class {number}" for number in range(1000)]
    scores = np.full((30, 1000), 1e-5)
    targets = np.arange(30) * 30
    given = targets.copy()
    given[:3] += 1
    scores[np.arange(30), given] = 0.9
    evaluation = evaluation_of(scores, targets, classes)
    assert shown_classes(evaluation.metrics) == [0, 1, 30, 31, 60, 61]
    found = check_page(evaluation_page(page_of(evaluation)))
    assert "Of 1,000 classes, the 6 with mistakes." in found.words
    assert "967 classes with neither an image nor a label here are left out" in found.words
    right = evaluation_of(np.eye(1000)[targets], targets, classes)
    assert "and none was mistaken for another" in check_page(evaluation_page(page_of(right))).words


def test_of_many_classes_with_mistakes_those_with_most_are_in_the_matrix():
    evaluation = random_evaluation(3000, [f"class {number}" for number in range(90)])
    page = page_of(evaluation, limit=20)
    chosen = shown_classes(evaluation.metrics)
    assert len(chosen) == MOST_CLASSES
    counts = np.array(evaluation.metrics.confusion_matrix)
    np.fill_diagonal(counts, 0)
    mistakes = counts.sum(axis=0) + counts.sum(axis=1)
    others = sorted(set(range(90)) - set(chosen))
    assert mistakes[chosen].min() >= mistakes[others].max()
    from batchcls.pages.deck import make_deck

    matrix = matrix_of(evaluation.metrics, make_deck(page.cards, page.metrics.classes))
    assert matrix.left_out == counts.sum() - counts[np.ix_(chosen, chosen)].sum()
    assert [[cell.images for cell in row] for row in matrix.rows] == (
        np.array(evaluation.metrics.confusion_matrix)[np.ix_(chosen, chosen)].tolist()
    )
    assert sum(cell.shown for row in matrix.rows for cell in row) <= 20
    found = check_page(evaluation_page(page))
    assert f"the 20 worst of {counts.sum():,} mistakes" in found.words
    assert "are between others" in found.words


def test_the_worst_mistakes_come_first_then_the_least_sure():
    scores = np.array([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05], [0.2, 0.8], [0.45, 0.55]])
    evaluation = evaluation_of(scores, np.array([1, 1, 0, 1, 1]), ["cat", "dog"])
    cards = page_of(evaluation).cards
    assert [card.score for card in cards] == [0.9, 0.6, 0.55, 0.8, 0.95]
    assert [card.score for card in page_of(evaluation, limit=3).cards] == [0.9, 0.6, 0.55]
    words = check_page(evaluation_page(page_of(evaluation, limit=3))).words
    assert "3 of 5 images: the mistakes, the worst first, then the 1 right one" in words
    assert page_of(evaluation, limit=0).cards == []
    assert "No image is shown" in check_page(evaluation_page(page_of(evaluation, limit=0))).words


@pytest.mark.parametrize("limit", [1, 7, 40, 1000])
def test_the_selection_wants_all_that_it_keeps_whatever_the_order(limit):
    evaluation = random_evaluation(200, list("abcd"))
    everything = Selection(evaluation.tags, len(evaluation.tags))
    outcomes = [Outcome(one, thumbnail=one.path.encode()) for one in evaluation.predictions]
    everything.add(outcomes, 0)
    wanted = everything.chosen[:limit]
    for seed in range(5):
        selection = Selection(evaluation.tags, limit)
        refused = set()
        for number in np.random.default_rng(seed).permutation(200):
            if not selection.wants(outcomes[number].prediction):
                refused.add(number)
            selection.add([outcomes[number]], int(number))
        assert selection.chosen == wanted
        assert refused.isdisjoint({one.number for one in wanted})
        assert len(refused) > 0 or limit >= 200


def test_a_page_of_the_most_cards_that_are_usual_is_small():
    evaluation = random_evaluation(1000, [f"class {number}" for number in range(1000)])
    page = page_of(evaluation)
    thumbnail = b"RIFF" + bytes(5000)
    cards = [
        Card(one.name, one.path, one.status, one.label, one.score, (), None, thumbnail, one.truth)
        for one in page.cards
    ]
    data = evaluation_page(page_of(evaluation, cards=cards))
    assert len(cards) == 500
    assert len(data) < 6_000_000
    check_page(data)


def test_charts_as_files_are_sound_and_the_same_each_time(tmp_path):
    evaluation = random_evaluation(80, HOSTILE)
    found = evaluation.confidence()
    made = []
    for _ in range(2):
        ended = int(time.time())
        while made and int(time.time()) == ended:
            time.sleep(0.01)  # a date in them would be another one
        with chartstyle.drawing():
            figures = [
                charts.reliability_chart(found),
                charts.review_chart(found),
                charts.confusion_chart(HOSTILE, evaluation.metrics.confusion_matrix),
                charts.classes_chart(found),
            ]
            made.append([chartstyle.as_file(figure, "svg") for figure in figures])
            made[-1] += [chartstyle.as_file(figure, "png") for figure in figures]
    assert made[0] == made[1]
    for data in made[0][:4]:
        root = ElementTree.fromstring(data)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
            *("svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect", "image"),
        }
    text = "".join(ElementTree.fromstring(made[0][2]).itertext())
    assert "<script>window.hacked=1</sc…" in text
    assert "$x_1$" in text
    for data in made[0][4:]:
        (tmp_path / "chart.png").write_bytes(data)
        with Image.open(tmp_path / "chart.png") as image:
            assert min(image.size) > 300
            assert image.info.keys() <= {"dpi"}


def test_a_matplotlibrc_changes_nothing(warm, tmp_path):
    code = """
import sys
import numpy as np
from batchcls.confidence import confidence_of
from batchcls.pages import charts, chartstyle
found = confidence_of(["a", "b"], *np.eye(2, dtype=int), np.full(2, .9), np.zeros(2, bool))
with chartstyle.drawing():
    sys.stdout.buffer.write(chartstyle.as_file(charts.review_chart(found), "svg"))
"""
    (tmp_path / "rc").mkdir()  # one in the current folder would be read in any case
    (tmp_path / "rc/matplotlibrc").write_text(
        "axes.facecolor: red\nfont.size: 30\ntext.usetex: True\n"
    )
    drawn = [
        warm.run(["-c", code], cwd=tmp_path, env={**os.environ, **more}, timeout=120)
        for more in ({"MATPLOTLIBRC": str(tmp_path / "rc")}, {"MATPLOTLIBRC": os.devnull})
    ]
    assert drawn[0].stdout == drawn[1].stdout
    assert drawn[0].stdout.startswith(b"<?xml")


@pytest.fixture
def tagged(tmp_path, model) -> Path:
    """Tagged images, two of them wrongly: light ones that are called dark."""
    make_classes(tmp_path / "data", count=6)
    lines = (tmp_path / "data" / "tags.tsv").read_text().splitlines()
    lines[-1] = lines[-1].replace("\tlight", "\tdark")
    lines[-2] = lines[-2].replace("\tlight", "\tdark")
    (tmp_path / "data" / "tags.tsv").write_text("\n".join(lines) + "\n")
    return model


def test_the_command_writes_the_page_with_pictures(batchcls, tmp_path, tagged):
    result = batchcls("evaluate", "data/tags.tsv", "-m", tagged, "--html", "evaluation.html")
    assert result.status == 0, result.err
    assert result.out.splitlines()[-1] == "page: evaluation.html"
    found = check_page((tmp_path / "evaluation.html").read_bytes())
    assert "Evaluation: 10 of 12 images right" in found.words
    pictures = [one for one in found.all("img") if one["src"].startswith("data:image/")]
    assert len(pictures) == 12
    cards = [one for one in found.all("li") if "data-truth" in one]
    assert [one["data-truth"] == one["data-label"] for one in cards] == [False] * 2 + [True] * 10
    assert os.path.isabs(base64.b64decode(cards[0]["data-path"]))
    assert [path.name for path in tmp_path.glob(".batchcls-*")] == []


def test_corrections_of_the_tags_count(batchcls, tmp_path, tagged):
    lines = (tmp_path / "data" / "tags.tsv").read_text().splitlines()[-2:]
    paths = [tmp_path / "data" / line.partition("\t")[0] for line in lines]
    rows = [f"{path}\tlight\n" for path in paths]
    (tmp_path / "corrections.tsv").write_text("path\tlabel\n" + "".join(rows))
    arguments = ("data/tags.tsv", "corrections.tsv", "-m", tagged, "--html", "page.html")
    result = batchcls("evaluate", *arguments)
    assert result.status == 0, result.err
    assert "corrections.tsv: 2 labels changed, 0 images added, 0 confirmed" in result.err
    found = check_page((tmp_path / "page.html").read_bytes())
    assert "Evaluation: 12 of 12 images right" in found.words
    assert re.search("Tags data/tags.tsv ?, corrections.tsv", found.words)


def test_no_more_pictures_than_the_setting_says(batchcls, tmp_path, tagged):
    arguments = ("evaluate", "data/tags.tsv", "-m", tagged, "--html", "evaluation.html")
    result = batchcls(*arguments, BATCHCLS_REPORT_THUMBNAILS="3")
    assert result.status == 0, result.err
    found = check_page((tmp_path / "evaluation.html").read_bytes())
    assert len([one for one in found.all("img") if one["src"].startswith("data:image/")]) == 3
    assert "3 of 12 images: the mistakes, the worst first, then the 1 right one" in found.words


@pytest.mark.parametrize("form", ["svg", "png"])
def test_the_command_writes_charts(batchcls, tmp_path, tagged, form):
    arguments = ("evaluate", "data/tags.tsv", "-m", tagged, "--plots", "charts")
    result = batchcls(*arguments, "--plots-format", form, "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["errors"] == 2
    assert "charts: charts" in result.err
    names = {f"{name}.{form}" for name in ("reliability", "review", "confusion", "classes")}
    assert {path.name for path in (tmp_path / "charts").iterdir()} == names
    beginning = {"svg": b"<?xml", "png": b"\x89PNG"}[form]
    for name in names:
        assert (tmp_path / "charts" / name).read_bytes().startswith(beginning)


def test_the_new_numbers_are_in_the_json_and_in_the_tables(batchcls, tmp_path, tagged):
    found = json.loads(batchcls("evaluate", "data/tags.tsv", "-m", tagged, "--json").out)
    assert found["per_class_precision"] == {"dark": 1.0, "light": pytest.approx(4 / 6)}
    assert found["per_class_recall"] == {"dark": pytest.approx(6 / 8), "light": 1.0}
    assert found["per_class_f1"]["light"] == pytest.approx(0.8)
    assert found["per_class_support"] == {"dark": 8, "light": 4}
    assert 0 < found["expected_calibration_error"] < 1
    assert sum(one["images"] for one in found["reliability"]) == 12
    assert [one["threshold"] for one in found["review"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    low, high = found["accuracy_interval"]
    assert low < found["micro_accuracy"] < high
    text = batchcls("evaluate", "data/tags.tsv", "-m", tagged).out
    assert re.search(r"^light +4 +4 +0\.6667 +1\.0000 +0\.8000 ", text, re.MULTILINE)
    assert re.search(r"^calibration error +0\.\d{4}$", text, re.MULTILINE)
    assert re.search(r"^(With review_below = |No review_below)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--html", "gone/page.html"), "gone does not exist"),
        (("--html", "data"), "data: a folder, where a file is to be written"),
        (("--html", "data/tags.tsv"), "data/tags.tsv is something else than a page of batchcls"),
        (("--html", "-"), "a page is a file"),
        (("--html", ""), "an empty path: not a file's name"),
        (("--plots", "gone/charts"), "gone/charts: the folder above it does not exist"),
        (("--plots", "data/tags.tsv"), "data/tags.tsv is a file, where a folder is needed"),
        (("--plots", ""), "an empty name"),
        (("--plots", "data", "--plots-format", "pdf"), "'pdf' is not one of"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    batchcls, tmp_path, options, message
):
    make_classes(tmp_path / "data", count=1)
    before = (tmp_path / "data" / "tags.tsv").read_bytes()
    result = batchcls("evaluate", "data/tags.tsv", "-m", "no such model", *options)
    assert result.status == 2
    assert message in " ".join(result.err.split())
    assert "no such model" not in result.err
    assert (tmp_path / "data" / "tags.tsv").read_bytes() == before


def test_after_a_failure_what_was_there_is_there(batchcls, tmp_path, tagged):
    former = b'<meta name="generator" content="batchcls"><p>the former one'
    (tmp_path / "page.html").write_bytes(former)
    (tmp_path / "data" / "test.tsv").write_text("dark/0.jpg\tno such class\n")
    arguments = ("evaluate", "data/test.tsv", "-m", tagged)
    result = batchcls(*arguments, "--html", "page.html", "--plots", "charts")
    assert result.status == 2
    assert "no such class" in result.err
    assert (tmp_path / "page.html").read_bytes() == former
    assert not (tmp_path / "charts").exists()
    assert list(tmp_path.glob(".batchcls-*")) == []


WITHOUT = """
import sys
sys.modules["matplotlib"] = None
sys.argv = ["batchcls", "evaluate", "data/tags.tsv", "-m", *{arguments!r}]
from batchcls.__main__ import main
main()
"""


def without_matplotlib(warm: Warm, *arguments: str) -> Result:
    code = WITHOUT.format(arguments=arguments)
    done = warm.run(["-c", code], cwd=Path.cwd(), env=os.environ, timeout=120)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_without_matplotlib_there_is_a_page_without_charts(warm, tmp_path, tagged):
    done = without_matplotlib(warm, str(tagged), "--html", "page.html")
    assert done.status == 0, done.err
    found = check_page((tmp_path / "page.html").read_bytes())
    assert found.all("svg") == []
    assert "There are no charts, as matplotlib is not installed" in found.words
    assert "pip install 'batchcls[charts]'" in found.words


def test_without_matplotlib_plots_are_an_error_that_says_what_to_install(warm, tmp_path):
    done = without_matplotlib(warm, "no such model", "--plots", "charts")
    assert done.status == 2
    assert "--plots: needs matplotlib" in done.err
    assert "pip install 'batchcls[charts]'" in done.err
    assert not (tmp_path / "charts").exists()


def test_an_evaluation_without_a_page_loads_nothing_that_pages_need(tmp_path, tagged):
    code = """
import sys
sys.argv = ["batchcls", "evaluate", "data/tags.tsv", "-m", *{arguments!r}]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
print(*sys.modules)
"""
    code = code.format(arguments=[str(tagged)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "batchcls.evaluation" in loaded
    assert {"matplotlib", "jinja2", "markupsafe", "PIL.WebPImagePlugin"} & loaded == set()


def test_hostile_names_on_disk_come_through(batchcls, tmp_path, model):
    folder = tmp_path / "data"
    folder.mkdir()
    names = [
        b"<img src=x onerror=alert(1)>.png",
        b"caf\xe9.png",
        "\u202egnp.png".encode(),
        b"a\nb.png",
    ]
    with (folder / "tags.csv").open("wb") as file:
        file.write(b"path,label\n")
        for name, label in zip(names, (b"dark", b"light") * 2, strict=True):
            picture(len(name)).save(folder / os.fsdecode(name))
            file.write(b'"' + name + b'",' + label + b"\n")
    result = batchcls("evaluate", "data/tags.csv", "-m", model, "--html", "page.html")
    assert result.status == 0, result.err
    found = check_page((tmp_path / "page.html").read_bytes())
    paths = {base64.b64decode(one["data-path"]) for one in found.all("li") if "data-path" in one}
    assert paths == {os.fsencode(folder) + b"/" + name for name in names}
    for shown in (
        "<img src=x onerror=alert(1)>.png",
        "caf\\xe9.png",
        "\\u202egnp.png",
        "a\\nb.png",
    ):
        assert shown in found.words


def test_unknown_images_are_checked_anyway_unless_that_is_turned_off(batchcls, model, tmp_path):
    make_classes(tmp_path, count=4)
    picture().save(tmp_path / "other.png")
    (tmp_path / "test.tsv").write_text("dark/0.jpg\tdark\nlight/1.jpg\tlight\nother.png\tlight\n")
    arguments = ("evaluate", "test.tsv", "-m", model, "--html", "page.html", "--json")
    found = json.loads(batchcls(*arguments).out)
    assert found["unknown"] == 1
    assert found["review"][0]["checked"] >= 1
    page = check_page((tmp_path / "page.html").read_bytes())
    assert "The 1 unknown image is among those to be checked" in page.words
    statuses = [one["data-status"] for one in page.all("li") if "data-status" in one]
    assert sorted(statuses) == ["ok", "ok", "unknown"]
    off = json.loads(batchcls(*arguments, BATCHCLS_REPORT_UNKNOWN="false").out)
    assert off["unknown"] == 1
    assert off["review"][0]["checked"] == found["review"][0]["checked"] - 1
