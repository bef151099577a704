"""``train --replace-if-better``: which model stays, what is said of it, and what is never lost."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchcls import Model
from batchcls.builtin.logistic import LogisticRegression
from batchcls.commands.replace import Replacement, known_sources
from batchcls.commands.train import train_command
from batchcls.corrections import Merged, merge
from batchcls.crossvalidation import cross_validate, fold_numbers, losses
from batchcls.errors import BatchclsError, TagsError, UsageError
from batchcls.records import TaggedImage
from batchcls.replacing import (
    Contest,
    Score,
    keep_previous,
    not_held_out,
    previous_path,
    score_of,
    score_of_recipe,
)
from batchcls.settings import load_settings
from batchcls.terminal import Terminal

from .conftest import make_classes

QUICK = ("-f", "efficientnet-lite0", "--framing", "square")
PREVIOUS = Path("model.previous.batchcls")
MODEL = Path("model.batchcls")


def train(*sources: str, if_better: bool = True, held_out: str | None = None, C: float = 1.0):  # noqa: N803
    """Train in this process as the command does; quicker, since the libraries are loaded once."""
    settings = load_settings(None, os.environ)
    settings.train.tags = list(sources)
    settings.train.featurizer, settings.train.framing = "efficientnet-lite0", "square"
    settings.classifier = {"logistic": {"C": C}}
    train_command(settings, None, Terminal(), if_better=if_better, held_out=held_out)


def files() -> dict[str, bytes]:
    """Give what lies in the current folder, by name, hidden files, too."""
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


@pytest.fixture
def data(tmp_path):
    """Tagged images, others that are held out, and both with every tag wrong."""
    make_classes(tmp_path / "data", count=4)
    make_classes(tmp_path / "more", count=3, size=(90, 70))
    for folder in ("data", "more"):
        tags = tmp_path / folder / "tags.tsv"
        swapped = {"dark": "light", "light": "dark"}
        lines = [line.split("\t") for line in tags.read_text().splitlines()]
        wrong = "".join(f"{path}\t{swapped[label]}\n" for path, label in lines)
        (tmp_path / folder / "wrong.tsv").write_text(wrong)
    return tmp_path


# On held-out images


def test_a_worse_model_is_not_written_and_the_present_one_stays(batchcls, data):
    train("data/tags.tsv", if_better=False)
    before = files()
    arguments = ("train", "data/wrong.tsv", "--replace-if-better", "--held-out", "more/tags.tsv")
    result = batchcls(*arguments, *QUICK)
    assert result.status == 0, result.err
    assert files() == before
    assert re.search(r"^accuracy +1\.000 +0\.000$", result.out, re.M), result.out
    assert "compared    on 6 held-out images (more/tags.tsv)\n" in result.out
    assert result.out.splitlines()[-1].startswith(
        "model       model.batchcls stays as it was: the new one is worse, and was not written."
    )
    quiet = batchcls(*arguments, *QUICK, "--quiet")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    assert files() == before


def test_a_better_model_takes_the_place_and_the_former_one_is_kept_beside_it(data, capsys):
    train("data/wrong.tsv", if_better=False)
    former = MODEL.read_bytes()
    MODEL.chmod(0o640)
    PREVIOUS.write_bytes(b"one before")
    train("data/tags.tsv", held_out="more/tags.tsv")
    assert PREVIOUS.read_bytes() == former
    assert [stat.S_IMODE(path.stat().st_mode) for path in (MODEL, PREVIOUS)] == [0o640] * 2
    assert Model.load(MODEL).predict(["more/dark/0.jpg"])[0].label == "dark"
    assert sorted(files()) == ["model.batchcls", "model.previous.batchcls"]
    out = capsys.readouterr().out
    assert re.search(r"^accuracy +0\.000 +1\.000$", out, re.M), out
    last = out.splitlines()[-1]
    assert re.fullmatch(
        r"model       model\.batchcls \(\d\.\d MB\), as its log-loss is not higher; "
        r"the former one is model\.previous\.batchcls",
        last,
    ), last


def test_the_figures_are_those_of_evaluate(batchcls, data, capsys):
    train("data/tags.tsv", C=1e-3, if_better=False)
    train("data/tags.tsv", C=1.0, held_out="more/tags.tsv")
    printed = re.search(r"^log-loss +([\d.]+) +([\d.]+)$", capsys.readouterr().out, re.M)
    assert printed
    for figure, model in zip(printed.groups(), (PREVIOUS, MODEL), strict=True):
        told = batchcls("evaluate", "more/tags.tsv", "-m", model, "--json")
        assert f"{json.loads(told.out)['log_loss']:.4f}" == figure


def test_images_that_are_trained_with_are_not_held_out_whatever_they_are_called(data):
    train("data/tags.tsv", if_better=False)
    before = files()
    Path("more/link.jpg").symlink_to("../data/dark/0.jpg")
    Path("more/copy.jpg").write_bytes(Path("data/light/1.jpg").read_bytes())
    with Path("more/tags.tsv").open("a") as tags:
        tags.write(f"link.jpg\tdark\ncopy.jpg\tlight\n{data}/data/dark/2.jpg\tdark\n")
    with pytest.raises(TagsError) as caught:
        train("data/tags.tsv", held_out="more/tags.tsv")
    assert caught.value.problems == [
        f"more/tags.tsv:{line}: {name}: held out, but trained with, too (data/tags.tsv:{other})"
        for line, name, other in (
            (7, "more/link.jpg", "1: data/dark/0.jpg"),
            (8, "more/copy.jpg", "6: data/light/1.jpg"),
            (9, f"{data}/data/dark/2.jpg", "3: data/dark/2.jpg"),
        )
    ]
    assert files() == before


def test_a_class_that_a_model_does_not_know_counts_against_it(data, capsys):
    Path("more/tags.tsv").write_text("dark/0.jpg\tdark\nlight/0.jpg\tbright\n")
    named = Path("data/tags.tsv").read_text().replace("light\n", "bright\n")
    Path("data/bright.tsv").write_text(named)
    train("data/tags.tsv", if_better=False)
    train("data/bright.tsv", held_out="more/tags.tsv")
    out = capsys.readouterr().out
    assert re.search(r"^accuracy +0\.500 +1\.000$", out, re.M), out
    assert "; the present model does not know bright\n" in out
    [present] = re.findall(r"^log-loss +([\d.]+) +0\.\d+$", out, re.M)
    assert float(present) == pytest.approx(-np.log(1e-15) / 2, abs=0.5)
    before = files()
    train("data/tags.tsv", held_out="more/tags.tsv")
    assert "; the new model does not know bright\n" in capsys.readouterr().out
    assert files() == before


def test_held_out_tags_that_can_not_be_used_end_it_before_the_work(data):
    train("data/tags.tsv", if_better=False)
    before = files()
    with Path("more/tags.tsv").open("a") as tags:
        tags.write("gone.jpg\tdark\ndark/1.jpg\tgrey\n")
    Path("more/light/1.jpg").write_text("no image")
    Path("more/tags.tsv").write_text("light/1.jpg\tlight\ngone.jpg\tdark\ndark/1.jpg\tgrey\n")
    with pytest.raises(TagsError) as caught:
        train("data/tags.tsv", held_out="more/tags.tsv")
    bad, gone, unknown = caught.value.problems
    assert bad.startswith("more/tags.tsv:1: more/light/1.jpg: not an image")
    assert gone == "more/tags.tsv:2: more/gone.jpg: no such file"
    assert unknown == (
        "more/tags.tsv:3: more/dark/1.jpg: no image to train with has the class 'grey', "
        "nor does the present model know it"
    )
    Path("more/tags.tsv").write_text("light/1.jpg\tlight\n")
    with pytest.raises(TagsError, match="not an image"):
        train("data/tags.tsv", held_out="more/tags.tsv")
    assert files() == before


# By cross-validation


def test_without_held_out_images_both_are_made_anew_on_the_same_folds(data, capsys):
    train("data/tags.tsv", C=1.0, if_better=False)
    before = files()
    train("data/tags.tsv", C=1e-5)
    out = capsys.readouterr().out
    assert files() == before
    assert "by cross-validation on 8 images; both are made anew for it\n" in out
    assert "the new one is worse, and was not written" in out
    present, new = re.findall(r"^log-loss +([\d.]+) +([\d.]+)$", out, re.M)[0]
    validated = Model.load(MODEL).manifest.metrics["cross_validation"]["log_loss"]
    assert float(present) == pytest.approx(validated, abs=1e-4)
    assert f"log-loss    {new} (cross-validated)" in out
    # In the other direction.
    train("data/tags.tsv", C=1e-5, if_better=False)
    train("data/tags.tsv", C=1.0)
    assert "the former one is model.previous.batchcls" in capsys.readouterr().out


def test_corrections_are_compared_with_the_tags_that_the_present_model_was_trained_with(
    data, capsys
):
    tags = Path("data/tags.tsv")
    right = tags.read_text()
    tags.write_text(right.replace("dark/0.jpg\tdark", "dark/0.jpg\tlight"))
    Path("corrections.tsv").write_text("data/dark/0.jpg\tdark\nmore/light/0.jpg\tlight\n")
    train("data/tags.tsv", if_better=False)
    train("data/tags.tsv", "corrections.tsv")
    out = capsys.readouterr().out
    assert "made anew for it, the present one without corrections.tsv\n" in out
    [(present, new)] = re.findall(r"^log-loss +([\d.]+) +([\d.]+)$", out, re.M)
    assert float(new) < float(present)
    assert Model.load(MODEL).predict(["data/dark/0.jpg"])[0].label == "dark"
    assert Model.load(PREVIOUS).predict(["data/dark/0.jpg"])[0].label == "light"


def test_models_that_are_made_alike_can_not_be_told_apart_and_the_new_one_is_taken(data, capsys):
    train("data/tags.tsv", if_better=False)
    former = MODEL.read_bytes()
    tags = Path("data/tags.tsv")
    tags.write_text(tags.read_text().replace("dark/0.jpg", "../more/dark/0.jpg"))
    train("data/tags.tsv")
    out = capsys.readouterr().out
    assert "both are made alike, and of the same tags, it seems. " in out
    assert "--held-out TAGS" in out
    assert PREVIOUS.read_bytes() == former
    tags.write_text(tags.read_text() + "../more/dark/1.jpg\tdark\n")
    train("data/tags.tsv")
    assert "both are made alike, and the present one's tags are not known. " in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("held_out", [None, "more/tags.tsv"])
def test_where_both_have_learnt_the_same_the_present_model_and_the_former_stay(
    data, capsys, held_out
):
    train("data/tags.tsv", if_better=False)
    PREVIOUS.write_bytes(b"former")
    before = files()
    train("data/tags.tsv", held_out=held_out)
    assert files() == before
    out = capsys.readouterr().out
    assert "compared    not: both have learnt the same\n" in out
    assert out.endswith("model.batchcls stays as it was: the new one is the same\n")


def test_where_nothing_can_be_checked_the_present_model_stays(data, capsys):
    train("data/tags.tsv", if_better=False)
    before = files()
    Path("data/two.tsv").write_text("dark/0.jpg\tdark\nlight/0.jpg\tlight\n")
    train("data/two.tsv")
    out = capsys.readouterr().out
    assert "compared    not: no class has a second image to check with" in out
    assert "stays as it was: the new one may be worse, and was not written" in out
    assert files() == before


# What was there before


def test_where_there_is_no_model_yet_the_new_one_is_written(data, capsys):
    train("data/tags.tsv", held_out="more/tags.tsv")
    assert sorted(files()) == ["model.batchcls"]
    assert capsys.readouterr().out.endswith(" MB); there was none to compare with\n")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"something else"])
def test_a_model_that_can_not_be_used_gives_way_but_is_kept(data, capsys, content):
    MODEL.write_bytes(content)
    PREVIOUS.write_bytes(b"the last one that could be used")
    train("data/tags.tsv")
    assert Path("model.unusable.batchcls").read_bytes() == content
    assert PREVIOUS.read_bytes() == b"the last one that could be used"
    assert Model.load(MODEL).classes == ["dark", "light"]
    told = capsys.readouterr()
    assert "warning: there is no comparing with the present model: model.batchcls: " in told.err
    assert "; the former one, which can't be used, is model.unusable.batchcls\n" in told.out


def test_where_the_former_model_could_not_be_kept_nothing_is_done(data):
    train("data/tags.tsv", if_better=False)
    PREVIOUS.mkdir()
    before = files()
    with pytest.raises(UsageError, match="not a file, where the former model is to be kept"):
        train("data/tags.tsv")
    assert files() == before
    assert list(PREVIOUS.iterdir()) == []


def test_held_out_tags_without_a_comparison_are_wrong_usage(batchcls, data):
    result = batchcls("train", "data/tags.tsv", "--held-out", "more/tags.tsv")
    assert result.status == 2
    assert "--held-out goes with --replace-if-better" in result.err
    assert files() == {}


# Trains in a process that looks, before each thing that it does to a file, whether the model is
# there, and counts which images it decodes.
WATCHING = """
import collections, json, os, sys
missing, decoded = [], collections.Counter()
def watch(event, arguments):
    if event in {"open", "os.rename", "os.link", "os.remove"} and not os.path.exists(model):
        missing.append([event, repr(arguments)])
model, told, *arguments = sys.argv[1:]
sys.addaudithook(watch)
from batchcls.decode import Decoder
decode_file = Decoder.decode_file
def counted(self, file, path, *more, **named):
    decoded[path] += 1
    return decode_file(self, file, path, *more, **named)
Decoder.decode_file = counted
from batchcls.__main__ import main
sys.argv = ["batchcls", *arguments]
try:
    main()
finally:
    with open(told, "w") as file:
        json.dump([missing, decoded], file)
"""


@pytest.mark.parametrize("held_out", [(), ("--held-out", "more/tags.tsv")])
def test_there_is_a_model_at_every_moment_and_no_image_is_decoded_twice(warm, data, held_out):
    train("data/tags.tsv", C=1.0, if_better=False)
    Path("corrections.tsv").write_text("more/light/0.jpg\tlight\n" if not held_out else "")
    sources = ["data/tags.tsv", *(["corrections.tsv"] if not held_out else [])]
    arguments = ["train", *sources, "--replace-if-better", *held_out, "-C", "C=2", *QUICK]
    code = ["-c", WATCHING, MODEL.resolve(), "told.json", *arguments]
    done = warm.run(code, cwd=data, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    assert PREVIOUS.exists(), done.stdout
    missing, decoded = json.loads(Path("told.json").read_text())
    assert missing == []
    assert len(decoded) == (6 if held_out else 1)
    assert set(decoded.values()) == {1}
    assert all("more/" in path for path in decoded)


# Keeping


def test_the_former_model_is_kept_beside_the_name_and_a_link_stays(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/m.batchcls").write_bytes(b"former")
    link = tmp_path / "m.batchcls"
    link.symlink_to("real/m.batchcls")
    for _ in range(2):  # the second time, both are one file already
        assert keep_previous(str(link)) == str(tmp_path / "m.previous.batchcls")
    assert link.is_symlink()
    assert (tmp_path / "m.previous.batchcls").read_bytes() == b"former"
    assert sorted(os.listdir(tmp_path)) == ["m.batchcls", "m.previous.batchcls", "real"]
    assert os.listdir(tmp_path / "real") == ["m.batchcls"]


def test_it_is_copied_where_it_can_not_have_a_second_name(tmp_path):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs two file systems")
    target = elsewhere / f"batchcls-{os.getpid()}.batchcls"
    target.write_bytes(b"former")
    target.chmod(0o600)
    try:
        link = tmp_path / "m"
        link.symlink_to(target)
        keep_previous(str(link))
    finally:
        target.unlink()
    kept = tmp_path / "m.previous"
    assert kept.read_bytes() == b"former"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["m", "m.previous"]


def test_where_it_can_not_be_kept_it_is_said_and_nothing_is_left(tmp_path):
    model = tmp_path / "m.batchcls"
    model.write_bytes(b"present")
    (tmp_path / "m.previous.batchcls").mkdir()
    with pytest.raises(BatchclsError, match="the former model can't be kept") as caught:
        keep_previous(str(model))
    assert "is untouched" in caught.value.hint
    assert sorted(os.listdir(tmp_path)) == ["m.batchcls", "m.previous.batchcls"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("model.batchcls", "model.previous.batchcls"),
        ("a.b/model", "a.b/model.previous"),
        ("./v1.2.batchcls", "./v1.2.previous.batchcls"),
    ],
)
def test_the_name_of_what_is_kept(path, kept):
    assert previous_path(path) == kept


# The figures


def test_a_score_takes_what_is_not_known_for_impossible():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.0, 0.0], [0.1, 0.9]])
    score = score_of(probabilities, ["a", "b"], ["a", "c", "a", "b"])
    worst = -np.log(1e-15)
    expected = (-np.log(0.75) + worst + worst - np.log(0.9)) / 4
    assert score.log_loss == pytest.approx(expected)
    assert score.accuracy == 0.5


@pytest.mark.parametrize(
    ("present", "new", "worse"),
    [(0.5, 0.5, False), (0.5, 0.4, False), (0.5, 0.6, True), (0.5, 0.50004, False)],
)
def test_of_equals_as_printed_the_new_one_wins(present, new, worse):
    assert Contest(9, Score(present, 0.1), Score(new, 0.9)).new_is_worse is worse


def blobs(count: int, classes: int) -> tuple[np.ndarray, list[str]]:
    """Give features, float32, and labels of clouds that overlap a little."""
    random = np.random.default_rng(count)
    targets = np.arange(count) % classes
    features = random.normal(0, 1, (count, 6)) + 1.5 * np.eye(classes, 6)[targets]
    return features.astype(np.float32), [f"class {number}" for number in targets]


@pytest.mark.parametrize("count", [14, 90])
def test_a_recipe_that_is_taught_all_scores_as_cross_validation_says(count):
    features, labels = blobs(count, 3)
    targets = np.unique(labels, return_inverse=True)[1]
    found = cross_validate(LogisticRegression, features, targets, 3, [{"C": 0.1}])
    score = score_of_recipe(LogisticRegression, {"C": 0.1}, features, labels, labels)
    assert score.log_loss == pytest.approx(found.log_loss, rel=1e-4)
    assert score.accuracy == found.accuracy


def test_a_recipe_learns_what_it_was_taught_and_is_judged_by_what_is_true():
    features, labels = blobs(60, 3)
    taught: list[str | None] = ["gone" if n % 7 == 0 else one for n, one in enumerate(labels)]
    taught[1::5] = [None] * len(taught[1::5])
    folds = fold_numbers(np.unique(labels, return_inverse=True)[1])
    loss, right = [], 0
    for fold in range(folds.max() + 1):
        lessons = [n for n in range(60) if folds[n] != fold and taught[n] is not None]
        classes = sorted({str(taught[n]) for n in lessons})
        numbers = np.array([classes.index(str(taught[n])) for n in lessons])
        classifier = LogisticRegression(C=0.1)
        classifier.fit(features[lessons], numbers, len(classes))
        for n in np.flatnonzero(folds == fold):
            [row] = classifier.predict_proba(features[[n]])
            true = classes.index(labels[n])
            loss.append(losses(row[np.newaxis], np.array([true]))[0])
            right += row.argmax() == true
    score = score_of_recipe(LogisticRegression, {"C": 0.1}, features, taught, labels)
    assert score.log_loss == pytest.approx(np.mean(loss), rel=1e-6)
    assert score.accuracy == pytest.approx(right / 60)


def test_a_recipe_that_was_taught_one_class_or_nothing_is_no_crash():
    features, labels = blobs(12, 2)
    nothing: list[str | None] = [None] * 12
    taught: list[str | None] = [*nothing[:10], labels[10], labels[11]]
    alone = score_of_recipe(LogisticRegression, {}, features, taught, labels)
    # Left out in turn, each of the two images leaves the other's class alone, and that is wrong.
    assert alone.log_loss > 0
    one = score_of_recipe(LogisticRegression, {}, features, [*nothing[:11], labels[11]], labels)
    # Right for five images of its class; the sixth is the one that it was taught.
    assert one.accuracy == pytest.approx(5 / 12)
    assert one.log_loss == pytest.approx(-np.log(1e-15) * 7 / 12)
    none = score_of_recipe(LogisticRegression, {}, features, nothing, labels)
    assert none == Score(pytest.approx(-np.log(1e-15)), 0.0)


def test_the_tags_of_a_model_are_told_by_its_images_in_each_class(data):
    def of(*labels: str) -> list[TaggedImage]:
        return [TaggedImage(f"/{number}", label) for number, label in enumerate(labels)]

    def merged(*sources: list[TaggedImage]) -> Merged:
        return merge([(str(number), tags) for number, tags in enumerate(sources)])

    train("data/tags.tsv", if_better=False)
    model = Model.load(MODEL)  # four images in each class
    four = of(*["dark", "light"] * 4)
    assert known_sources(model, merged(four)) == 1
    assert known_sources(model, merged(four, of("light"))) == 1
    assert known_sources(model, merged(four, of("light", "dark"))) == 1  # as many, but others
    assert known_sources(model, merged(of("light"), four)) == 2
    assert known_sources(model, merged(of("light"), of("dark"))) is None
    assert known_sources(model, merged(four[:6])) is None


def test_only_files_of_one_size_are_read_to_find_copies(tmp_path):
    def image(name: str, seed: int, size: int) -> TaggedImage:
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        return TaggedImage(str(tmp_path / name), "x", name)

    tags = [image("a.bmp", 1, 9), image("b.bmp", 2, 9), image("c.bmp", 3, 8)]
    held_out = [image("same.bmp", 2, 9), image("other.bmp", 4, 9), image("small.bmp", 5, 7)]
    gone = TaggedImage(str(tmp_path / "gone\0.bmp"), "x", "gone")
    os.chmod(tmp_path / "c.bmp", 0)
    problems = not_held_out([*held_out, gone], [*tags, gone], 10**6)
    assert problems[0].startswith("same.bmp: ")
    assert problems[0].endswith(
        "held out, but trained with, too (b.bmp: " + str(tmp_path / "b.bmp") + ")"
    )
    assert [problem.split(":")[0] for problem in problems] == ["same.bmp", "gone"]


def test_a_model_that_has_come_meanwhile_is_not_replaced(data, monkeypatch):
    train("data/wrong.tsv", if_better=False)
    other = Path("other.batchcls")
    other.write_bytes(MODEL.read_bytes())
    keep_present = Replacement.keep_present

    def when_another_has_ended(replacement: Replacement) -> None:
        other.replace(MODEL)
        keep_present(replacement)

    monkeypatch.setattr(Replacement, "keep_present", when_another_has_ended)
    before = files()
    del before["other.batchcls"]
    with pytest.raises(BatchclsError, match="changed while this one was trained"):
        train("data/tags.tsv", held_out="more/tags.tsv")
    assert files() == before


def test_a_link_to_the_present_model_is_no_change(data, monkeypatch):
    train("data/wrong.tsv", if_better=False)
    measure_present = Replacement.measure_present

    def while_a_backup_is_made(replacement: Replacement, store: object) -> None:
        Path("backup.batchcls").hardlink_to(MODEL)
        measure_present(replacement, store)

    monkeypatch.setattr(Replacement, "measure_present", while_a_backup_is_made)
    train("data/tags.tsv", held_out="more/tags.tsv")
    assert PREVIOUS.read_bytes() == Path("backup.batchcls").read_bytes() != MODEL.read_bytes()
