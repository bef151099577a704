"""How much work training does: each image read once, none that is known, no feature held twice."""

from __future__ import annotations

import json
import os
import re
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from batchcls import training
from batchcls.builtin import logistic
from batchcls.builtin.logistic import LogisticRegression
from batchcls.crossvalidation import comparison_sample, cross_validate, stratified_sample
from batchcls.decode import Decoder
from batchcls.errors import TagsError
from batchcls.extraction import Extracted, Source
from batchcls.framing import Framing
from batchcls.records import TaggedImage
from batchcls.trainingfeatures import TaggedFeatures

from .conftest import SOAK

# Trains as a user does, in a process that writes down which images it opened, by open() and by
# os.open(), which open() is told to go by, and decoded.
COUNTING = """
import atexit, collections, json, os, sys
opened, by_system, decoded = (collections.Counter() for _ in range(3))
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        name = os.fsdecode(arguments[0])
        if name.endswith(".jpg"):
            (by_system if arguments[1] is None else opened)[os.path.basename(name)] += 1
sys.addaudithook(watch)
counts, sample = sys.argv[1], int(sys.argv[2])
from batchcls.decode import Decoder
decode_file = Decoder.decode_file
def counted(self, file, path, *more, **named):
    decoded[os.path.basename(path)] += 1
    return decode_file(self, file, path, *more, **named)
Decoder.decode_file = counted
from batchcls import training
training.FRAMING_SAMPLE = sample
atexit.register(lambda: json.dump([opened, by_system, decoded], open(counts, "w")))
from batchcls.__main__ import main
sys.argv = ["batchcls", "train", "tags.tsv", "-o", "m.batchcls", "-f", "efficientnet-lite0"]
sys.exit(main())
"""


def photographs(folder, count):
    """Make so many different small JPEGs of two classes, and their tags."""
    folder.mkdir()
    lines = []
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = random.integers(0, 256, (5, 6, 3)) // 2 + 120 * (number % 2)
        image = Image.fromarray(pixels.astype(np.uint8)).resize((60, 50))
        image.save(folder / f"{number}.jpg")
        lines.append(f"{number}.jpg\tclass{number % 2}\n")
    (folder / "tags.tsv").write_text("".join(lines))
    return folder


def trained(warm, folder, sample):
    """Train in a process of its own; give how often it opened, twice, and decoded which image."""
    counts = folder / "counts.json"
    code = ["-c", COUNTING, counts, str(sample)]
    done = warm.run(code, cwd=folder, env=os.environ, timeout=250)
    assert done.returncode == 0, done.stderr
    return json.loads(counts.read_text())


def opens_each_image_once_and_none_that_is_known(warm, folder, count, sample):
    photographs(folder, count)
    once = {f"{number}.jpg": 1 for number in range(count)}
    assert trained(warm, folder, sample) == [once] * 3
    first = (folder / "m.batchcls").read_bytes()
    assert trained(warm, folder, sample) == [{}] * 3
    second = (folder / "m.batchcls").read_bytes()
    assert len(first) == len(second)  # but for the time that it was made
    (folder / "7.jpg").write_bytes((folder / "7.jpg").read_bytes() + b"\0")
    assert trained(warm, folder, sample) == [{"7.jpg": 1}] * 3


def test_each_image_is_read_once_for_all_framings_and_none_that_is_known(warm, tmp_path):
    opens_each_image_once_and_none_that_is_known(warm, tmp_path / "data", 26, 10)


@pytest.mark.fuzz
@pytest.mark.skipif(SOAK == 1, reason="a part of the soak")
def test_each_of_many_images_is_read_once_and_none_that_is_known(warm, tmp_path):
    count, sample = 2000, training.FRAMING_SAMPLE
    opens_each_image_once_and_none_that_is_known(warm, tmp_path / "data", count, sample)


def test_a_verbose_log_tells_how_long_what_took(tmp_path, capsys):
    from batchcls.commands.train import train_command
    from batchcls.settings import load_settings
    from batchcls.terminal import Terminal

    folder = photographs(tmp_path / "data", 12)
    settings = load_settings(None, os.environ)
    settings.train.tags, settings.train.featurizer = str(folder / "tags.tsv"), "efficientnet-lite0"
    settings.train.framing = "pad"
    for known in ("", r", 12 of them known from before"):
        train_command(settings, str(folder / "m.batchcls"), Terminal(level="verbose"))
        told = capsys.readouterr().err
        pattern = rf"features: 12 images in \d+\.\d s{known}\nfit in \d+\.\d s\n"
        assert re.search(pattern, told), told


# Features without a network


class Counted:
    """A featurizer's face, for what never comes to pixels."""

    name = "counted"
    digest = "0" * 64
    input_size = 8

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def to_files(self) -> dict[str, bytes]:
        return {}


class Plain:
    """An engine with no threads."""

    def map(self, work: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
        return map(work, chunks)


class Made(training.Parts):
    """Parts whose features are made from the paths: an image's number, and its framing's."""

    def extractor(self, framings):
        def work(files):
            numbers = [int(file.path) for file in files]
            bad = [number % 10 == 9 for number in numbers] if self.featurizer_plugin else []
            sources = [Source() for _ in numbers]
            for source, is_bad in zip(sources, bad, strict=False):
                source.reason = "broken" if is_bad else None
            kept = [
                number
                for number, source in zip(numbers, sources, strict=True)
                if source.reason is None
            ]
            features = []
            for framing in framings:
                matrix = np.zeros((len(kept), self.featurizer.dimension), np.float32)
                matrix[:, 0], matrix[:, 1] = kept, list(Framing).index(framing)
                features.append(matrix)
            return Extracted(features, sources)

        return work


def made(dimension=4, plugin="", framing=None):
    return Made(
        Decoder(), Counted(dimension), LogisticRegression, framing, Plain(),
        featurizer_plugin=plugin,
    )  # fmt: skip


def tagged(count, classes):
    return [TaggedImage(str(n), f"class{n % classes:04}", f"tags:{n + 1}") for n in range(count)]


def test_each_image_has_its_own_row_in_the_order_of_the_tags(monkeypatch):
    monkeypatch.setattr(training, "FRAMING_SAMPLE", 20)
    tags, parts = tagged(100, 3), made()
    steps: list[int] = []
    work = TaggedFeatures(tags, parts, steps.append)
    targets = np.array([n % 3 for n in range(100)])
    features, framing, losses = training._features(work, targets)
    np.testing.assert_array_equal(features[:, 0], np.arange(100))
    np.testing.assert_array_equal(features[:, 1], list(Framing).index(framing))
    assert sum(steps) == 100
    assert len(losses) == len(Framing)


def test_all_bad_images_are_listed_also_those_that_framings_are_not_compared_on(monkeypatch):
    monkeypatch.setattr(training, "FRAMING_SAMPLE", 20)
    for framing in (None, Framing.CROP):
        with pytest.raises(TagsError) as raised:
            training.train(tagged(100, 2), made(plugin="bad", framing=framing))
        assert raised.value.problems == [f"tags:{n + 1}: {n}: broken" for n in range(9, 100, 10)]


def test_features_are_in_memory_once():
    """Also while they are gathered; what the chunks hold is small."""
    count, dimension = 4000, 1024
    tags, parts = tagged(count, 2), made(dimension, framing=Framing.CROP)
    work = TaggedFeatures(tags, parts, lambda _: None)
    tracemalloc.start()
    try:
        features, _, _ = training._features(work, np.arange(count) % 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert features.nbytes == count * dimension * 4
    assert peak < 1.3 * features.nbytes


def test_fitting_holds_the_features_a_few_times_only():
    """Twice as float64 is four times their bytes; scikit-learn copies nothing."""
    random = np.random.default_rng(0)
    targets = np.arange(3000) % 2
    features = (random.normal(0, 1, (3000, 600)) + targets[:, np.newaxis]).astype(np.float32)
    LogisticRegression().fit(features[:50], targets[:50], 2)  # what is imported doesn't count
    tracemalloc.start()
    try:
        LogisticRegression().fit(features, targets, 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5.5 * features.nbytes


# What shares work says the same


def blobs(count, classes, dimension=40):
    random = np.random.default_rng(1)
    targets = random.permutation(np.arange(count) % classes)
    centres = random.normal(0, 1, (classes, dimension))
    features = centres[targets] + random.normal(0, 1.5, (count, dimension))
    return features.astype(np.float32), targets.astype(np.intp)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("count", [30, 120])
def test_candidates_fitted_together_are_those_fitted_alone(count, classes):
    features, targets = blobs(count, classes)
    candidates = LogisticRegression.candidates()
    together = LogisticRegression._fit_each(candidates, features, targets, classes)
    for options, one in zip(candidates, together, strict=True):
        alone = LogisticRegression(**options)
        alone.fit(features, targets, classes)
        assert one.C == alone.C == options["C"]
        np.testing.assert_array_equal(one.weights, alone.weights)
        np.testing.assert_array_equal(one.bias, alone.bias)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("count", [30, 120])
def test_a_large_fit_says_nearly_the_same(monkeypatch, count, classes):
    features, targets = blobs(count, classes)
    exact = cross_validate(LogisticRegression, features, targets, classes)
    monkeypatch.setattr(logistic, "_LARGE", 0)
    large = cross_validate(LogisticRegression, features, targets, classes)
    assert large.options == exact.options
    np.testing.assert_allclose(large.probabilities, exact.probabilities, atol=0.1)
    assert large.log_loss == pytest.approx(exact.log_loss, rel=0.02)
    one, other = LogisticRegression(), LogisticRegression()
    one.fit(features, targets, classes)
    other.fit(features, targets, classes)
    assert one.weights.dtype == np.float32
    np.testing.assert_array_equal(one.weights, other.weights)


class Halved(LogisticRegression):
    """A plugin's: it must not be passed by, though it inherits the quick way."""

    def fit(self, features, targets, class_count):
        super().fit(features / 2, targets, class_count)
        self.fits.append(self.C)

    fits: list[float] = []  # noqa: RUF012


def test_an_inherited_quick_way_does_not_pass_by_a_fit_of_ones_own():
    features, targets = blobs(30, 2)
    Halved.fits.clear()
    cross_validate(Halved, features, targets, 2)
    assert len(Halved.fits) == 5 * len(LogisticRegression.candidates())


def test_framings_are_compared_on_few_of_many_classes():
    targets = np.repeat(np.arange(1000), 10)
    sample = comparison_sample(targets, 400)
    assert len(np.unique(targets[sample])) == 200
    assert np.bincount(targets[sample]).max() == 2
    few = np.repeat(np.arange(200), 50)
    np.testing.assert_array_equal(comparison_sample(few, 400), stratified_sample(few, 400))
    alone = np.concatenate([np.arange(900), [7, 800]])  # one class only can't be checked
    chosen = alone[comparison_sample(alone, 100)]
    assert (np.bincount(chosen)[[7, 800]] == 2).all()
    assert len(chosen) == 52


def test_the_benchmark_gives_every_class_its_photographs(tmp_path):
    from benchmarks.training import tags_of

    for number in range(12):
        (tmp_path / f"{number:06}-source{number % 3}.jpg").touch()
    (tmp_path / ".complete").touch()
    for classes, count in ((2, {4, 8}), (3, {4}), (4, {3})):
        tags = [line.rstrip("\n").split("\t") for line in tags_of(tmp_path, classes)]
        labels = [label for _, label in tags]
        assert len(tags) == 12
        assert len(set(labels)) == classes
        assert {labels.count(label) for label in labels} == count
