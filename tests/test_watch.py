"""Plugins that watch a run, and plugins that raise: who is named, what goes on, what is kept."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Result, picture
from .warm import Warm

IMAGES = 20
HEADER = """
from batchcls import StopRun, hookimpl

log = open("log.txt", "a")

def note(text):
    print(text, file=log, flush=True)
"""
WATCHER = """
@hookimpl
def batchcls_run_started(run):
    note(f"started {run.model} {run.output} {','.join(run.images)} {len(run.classes)}")

@hookimpl
def batchcls_run_batch(run, predictions):
    note("batch " + " ".join(one.path for one in predictions))

@hookimpl
def batchcls_run_finished(summary):
    note(f"finished {summary.images} {summary.unreadable} {summary.error}")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty images, one of them broken, and the report of an earlier run."""
    (tmp_path / "in").mkdir()
    for number in range(IMAGES):
        picture(number).save(tmp_path / f"in/{number:02}.jpg")
    (tmp_path / "in/07.jpg").write_bytes(b"no image")
    (tmp_path / "r.csv").write_text("the former report\n")
    return tmp_path


@pytest.fixture
def run(folder: Path, batchcls: Callable[..., Result]) -> Callable[..., Result]:
    """Run over the images with plugins of these codes, ``a.py``, ``b.py`` and so on."""

    def running(*codes: str, output: str = "r.csv", options: tuple[str, ...] = ()) -> Result:
        names = [f"{'abcdef'[number]}.py" for number in range(len(codes))]
        for name, code in zip(names, codes, strict=True):
            (folder / name).write_text(HEADER + textwrap.dedent(code))
        (folder / "config.toml").write_text(f"plugins = {names}")
        return batchcls("run", "in", "-o", output, "--config", "config.toml", *options)

    return running


def rows(folder: Path) -> list[list[str]]:
    with open(folder / "r.csv", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def log(folder: Path) -> list[str]:
    path = folder / "log.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_a_plugin_is_told_of_start_each_batch_in_order_and_end(folder, run):
    result = run(WATCHER)
    assert result.status == 3, result.err
    told = log(folder)
    assert told[0] == "started imagenet r.csv in 1000"
    names = [name for line in told[1:-1] for name in line.removeprefix("batch ").split()]
    assert names == [f"{number:02}.jpg" for number in range(IMAGES)]
    assert len(told) > 3
    assert told[-1] == "finished 20 1 None"
    assert len(rows(folder)) == IMAGES


RAISED = {
    "ValueError('oh')": "ValueError: oh",
    "SystemExit(5)": "SystemExit: 5",
    "KeyError": "KeyError:",
}


@pytest.mark.parametrize(
    ("hook", "raised"),
    [
        ("started", "ValueError('oh')"),
        ("started", "SystemExit(5)"),
        ("batch", "SystemExit(5)"),
        ("batch", "KeyError"),
        ("finished", "KeyError"),
        ("finished", "ValueError('oh')"),
    ],
)
def test_a_watcher_that_raises_is_named_once_and_the_run_goes_on(folder, run, hook, raised):
    bad = f"""
    @hookimpl
    def batchcls_run_{hook}():
        note("bad")
        raise {raised}
    """
    again = """
    @hookimpl
    def batchcls_run_finished(run):
        note("told again")
    """
    result = run(bad if hook == "finished" else bad + again, WATCHER)
    assert result.status == 3
    [warning] = [line.rstrip() for line in result.err.splitlines() if "batchcls_run" in line]
    assert warning == (
        f"batchcls: warning: the plugin a.py failed in batchcls_run_{hook}, "
        f"and is not told of this run any more: {RAISED[raised]}"
    )
    assert len(rows(folder)) == IMAGES
    assert log(folder).count("bad") == 1
    assert "told again" not in log(folder)
    assert "finished 20 1 None" in log(folder)


@pytest.mark.parametrize("hook", ["started", "batch"])
def test_a_watcher_can_stop_the_run_and_the_former_report_stays(folder, run, hook):
    stops = f"""
    @hookimpl
    def batchcls_run_{hook}():
        raise StopRun("enough for today")
    """
    result = run(WATCHER, stops)
    assert result.status == 1
    assert "batchcls: error: the plugin b.py stopped the run: enough for today" in result.err
    assert "the former one is untouched" in result.err
    assert "Traceback" not in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"
    assert log(folder)[-1].startswith("finished ")
    assert log(folder)[-1].endswith("the plugin b.py stopped the run: enough for today")
    assert not list(folder.glob(".batchcls-*"))


def test_a_watcher_can_not_stop_a_run_that_is_over(folder, run):
    stops = """
    @hookimpl
    def batchcls_run_finished():
        raise StopRun("too late")
    """
    result = run(stops)
    assert result.status == 3
    assert "failed in batchcls_run_finished" in result.err
    assert len(rows(folder)) == IMAGES


def test_watchers_are_told_of_a_bad_end(folder, run):
    report = """
    class Format:
        suffix = ".bad"
        def open(self, path, asked):
            return self
        def write(self, predictions):
            raise OSError("the disk is full")
        def commit(self):
            note("committed")
        def discard(self):
            note("discarded")

    @hookimpl
    def batchcls_report_formats():
        return [Format()]
    """
    result = run(WATCHER, report, output="r.bad")
    assert result.status == 1
    assert "OSError: the disk is full" in result.err
    assert log(folder)[-2:] == ["discarded", "finished 0 0 OSError: the disk is full"]
    assert "committed" not in log(folder)


FEATURIZER = """
import numpy as np

class Mean:
    name, digest, input_size, dimension = "mean", "0" * 64, 8, 3
    def featurize(self, pixels):
        {featurize}
        return pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32)
    def to_files(self):
        return {{"mean": b""}}

class Provider:
    name, description = "mean", "the mean colour"
    def create(self, context):
        {create}
        return Mean()
    def restore(self, files):
        {restore}
        return Mean()

@hookimpl
def batchcls_featurizers():
    return [Provider()]
"""
CLASSIFIER = """
import numpy as np

class Flip:
    name = "flip"
    def fit(self, features, targets, class_count):
        {fit}
    def predict_proba(self, features):
        {predict}
        return np.full((len(features), 2), 0.5)
    def to_state(self):
        {to_state}
        return {{}}
    def restore(self, state, dimension, class_count):
        {restore}
    {more}

@hookimpl
def batchcls_classifiers():
    return [Flip]
"""
NOTHING = dict.fromkeys(
    ("featurize", "create", "restore", "fit", "predict", "to_state", "more"), "pass"
)


def write_plugins(folder: Path, **code: str) -> None:
    """Write the two plugins, some of their functions replaced, and a configuration of them."""
    for name, text in (("a", FEATURIZER), ("b", CLASSIFIER)):
        (folder / f"{name}.py").write_text(HEADER + text.format(**{**NOTHING, **code}))
    (folder / "config.toml").write_text('plugins = ["a.py", "b.py"]')


TAGS = "in/00.jpg\tx\nin/01.jpg\tx\nin/02.jpg\ty\nin/03.jpg\ty\n"
TRAIN = ("train", "tags.tsv", "-f", "mean", "-c", "flip", "-o", "m.batchcls", "--framing=square")


@pytest.fixture
def trained(
    folder: Path, batchcls: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Train with the two plugins, some of their functions replaced."""
    (folder / "tags.tsv").write_text(TAGS)
    monkeypatch.setenv("BATCHCLS_CONFIG", "config.toml")

    def training(**code: str) -> Result:
        write_plugins(folder, **code)
        return batchcls(*TRAIN)

    return training


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> dict[bool, bytes]:
    """A model of the two plugins while they did as they should, by whether it gives reasons."""
    found = {}
    for explains in (False, True):
        folder = tmp_path_factory.mktemp("ready")
        (folder / "in").mkdir()
        for number in range(4):
            picture(number).save(folder / f"in/{number:02}.jpg")
        (folder / "tags.tsv").write_text(TAGS)
        more = "def explain(self, features): return [((0, 1.0),)] * len(features)"
        write_plugins(folder, **({"more": more} if explains else {}))
        env = {**os.environ, "BATCHCLS_INSTALLED_PLUGINS": "", "BATCHCLS_STORE_ENABLED": "false"}
        env["BATCHCLS_CONFIG"] = "config.toml"
        done = warm.run(["-m", "batchcls", *TRAIN], cwd=folder, env=env, timeout=120)
        assert done.returncode == 0, done.stderr
        found[explains] = (folder / "m.batchcls").read_bytes()
    return found


@pytest.fixture
def replaced(
    folder: Path, ready: dict[bool, bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Give the model that was trained before some functions of the plugins were replaced."""
    monkeypatch.setenv("BATCHCLS_CONFIG", "config.toml")

    def replacing(**code: str) -> None:
        write_plugins(folder, **code)
        (folder / "m.batchcls").write_bytes(ready["more" in code])

    return replacing


SOME = "if (pixels[:, 0, 0, 0] % 3 == 0).any(): raise RuntimeError('no good')"


def test_an_image_that_a_featurizer_raises_for_costs_only_itself(folder, trained, batchcls):
    assert trained().status == 0
    broken = trained(featurize=SOME)  # the model of before remains
    assert broken.status == 1
    assert "batchcls: error: the featurizer mean failed: RuntimeError: no good" in broken.err
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls")
    assert result.status == 3, result.err
    found = rows(folder)
    assert [row[0] for row in found] == [f"{number:02}.jpg" for number in range(IMAGES)]
    failed = [row for row in found if "featurizer" in row[4]]
    assert 0 < len(failed) < IMAGES - 1
    for row in failed:
        assert row[1:4] == ["", "", "error"]
        assert row[4].startswith("the featurizer mean failed: RuntimeError: no good (a.py, line ")
    assert sum(row[3] == "ok" for row in found) == IMAGES - 1 - len(failed)
    assert f"a plugin failed for {len(failed)} image" in result.err
    assert "Traceback" in result.err


def test_an_error_of_batchcls_that_a_plugin_raises_for_an_image_costs_only_that(
    folder, replaced, batchcls
):
    raises = SOME.replace("RuntimeError(", "__import__('batchcls').BatchclsError(")
    replaced(featurize=raises)
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls")
    assert result.status == 3, result.err
    found = rows(folder)
    assert len(found) == IMAGES
    assert any("the featurizer mean failed: BatchclsError: no good" in row[4] for row in found)
    assert any(row[3] == "ok" for row in found)


def test_an_image_that_a_classifier_raises_for_costs_only_itself(folder, replaced, batchcls):
    some = "if (features[:, 0] > 128).any(): raise RuntimeError('too bright')"
    replaced(predict=some)
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls", "-j", "1")
    found = rows(folder)
    assert result.status == 3
    failed = [row for row in found if row[4].startswith("the classifier flip failed: RuntimeError")]
    assert 0 < len(failed) < IMAGES - 1
    assert len(found) == IMAGES
    again = batchcls("run", "in", "-o", "-", "-m", "m.batchcls", "-j", "4", "-q")
    assert again.out == (folder / "r.csv").read_bytes().decode()


@pytest.mark.parametrize("where", ["featurize", "predict"])
def test_a_plugin_that_fails_for_every_image_ends_the_run_with_its_traceback(
    folder, replaced, batchcls, where
):
    replaced(**{where: "1 / 0"})
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls")
    assert result.status == 1
    assert "batchcls: error: not one image could be classified: the " in result.err
    assert "failed: ZeroDivisionError: division by zero" in result.err
    assert "Traceback" in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("create", 1, "ZeroDivisionError"),
        ("featurize", 1, "the featurizer mean failed: ZeroDivisionError"),
        ("fit", 1, "ZeroDivisionError"),
        ("predict", 1, "ZeroDivisionError"),
        ("to_state", 1, "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_raises_in_training_leaves_no_model(folder, trained, where, status, said):
    result = trained(**{where: "1 / 0"})
    assert result.status == status
    assert said in result.err
    assert not (folder / "m.batchcls").exists()
    assert not list(folder.glob(".batchcls-*"))


def test_a_plugin_that_raises_when_a_model_is_loaded_is_named(folder, replaced, batchcls):
    replaced(restore="1 / 0")
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls")
    assert result.status == 1
    assert "ZeroDivisionError" in result.err
    assert "a.py" in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        ("predict", "return np.zeros((len(features), 3))", "gave [8, 3] where [8, 2] was due"),
        ("predict", "return np.full((len(features), 2), np.nan)", "that are no probabilities"),
        ("predict", "return -np.ones((len(features), 2))", "that are no probabilities"),
        ("featurize", "return np.zeros((len(pixels), 3))", "gave float64 [8, 3] where float32"),
        ("featurize", "return np.full((len(pixels), 3), np.inf, 'f4')", "that are not finite"),
    ],
)
def test_a_plugin_that_breaks_its_word_ends_the_run(folder, replaced, batchcls, where, code, said):
    replaced(**{where: code})
    (folder / "in/07.jpg").unlink()
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls", "-j", "1")
    assert result.status == 1
    assert said in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"


@pytest.mark.parametrize(
    ("gives", "jobs", "said"),
    [
        ("[((0, 1.0),)] * (len(features) - 1)", 1, "gave 7 reasons for 8 images"),
        ("[((0, 1.0),)] * (len(features) + 1)", 2, "gave 9 reasons for 8 images"),
        ("[((-1, 1.0),)] * len(features)", 1, "named an image that is none of the model's 4"),
        ("[((4, 1.0),)] * len(features)", 2, "named an image that is none of the model's 4"),
        ("None", 1, "failed: TypeError"),
        ("1 / 0", 2, "failed: ZeroDivisionError"),
        ("exit(0)", 1, "failed: SystemExit: 0"),
        ("exit(0)", 2, "failed: SystemExit: 0"),
        ("next(iter(()))", 1, "failed: StopIteration"),
        ("next(iter(()))", 2, "failed: StopIteration"),
    ],
)
def test_reasons_that_do_not_fit_lose_no_image(folder, replaced, batchcls, gives, jobs, said):
    replaced(more=f"def explain(self, features): return {gives}")
    (folder / "in/07.jpg").unlink()
    result = batchcls(
        *("run", "in", "-o", "r.csv", "-m", "m.batchcls", "--explain", f"-j{jobs}"),
    )
    assert result.status == 1
    assert said in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"


@pytest.mark.parametrize(
    ("where", "jobs", "what"),
    [
        ("featurize", "1", "exit(0)"),
        ("featurize", "2", "next(iter(()))"),
        ("predict", "1", "next(iter(()))"),
        ("predict", "2", "exit(0)"),
    ],
)
def test_a_plugin_that_ends_the_process_or_the_stream_is_a_failure(
    folder, replaced, batchcls, where, jobs, what
):
    replaced(**{where: what})
    result = batchcls("run", "in", "-o", "r.csv", "-m", "m.batchcls", "-j", jobs)
    assert result.status == 1
    assert "not one image could be classified" in result.err
    assert (folder / "r.csv").read_text() == "the former report\n"
    assert batchcls("predict", "in/00.jpg", "-m", "m.batchcls").status == 3


@pytest.mark.parametrize("where", ["create", "fit", "to_state"])
def test_a_plugin_that_ends_the_process_in_training_is_a_failure(folder, trained, where):
    result = trained(**{where: "exit(0)"})
    assert result.status == 1
    assert "batchcls: error: a plugin ended the process" in result.err
    assert "Traceback" in result.err
    assert not (folder / "m.batchcls").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_while_a_plugin_works_ends_the_run(folder, number):
    (folder / "a.py").write_text(
        HEADER
        + textwrap.dedent("""
        import time

        @hookimpl
        def batchcls_run_batch():
            note("waiting")
            time.sleep(60)
        """)
    )
    (folder / "config.toml").write_text('plugins = ["a.py"]')
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "in", "-o", "r.csv", "--config", "config.toml"],
        cwd=folder,
    )
    while "waiting" not in log(folder):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert (folder / "r.csv").read_text() == "the former report\n"
    assert not list(folder.glob(".batchcls-*"))


@pytest.mark.parametrize(
    ("predict", "said"),
    [
        ("return None", "gave NoneType, not an array"),
        ("return np.full((len(features), 2), np.nan)", "that are no probabilities"),
        ("return np.ones((len(features), 2))", "that are no probabilities"),
        ("return np.ones((len(features), 5))", "where [1, 2] was due"),
    ],
)
def test_a_classifier_that_breaks_its_word_in_training_is_named(folder, trained, predict, said):
    result = trained(predict=predict)
    assert result.status == 1
    assert "batchcls: error: the classifier flip gave " in result.err
    assert said in result.err
    assert "Traceback" not in result.err
    assert not (folder / "m.batchcls").exists()


def test_a_model_that_could_not_be_loaded_again_is_not_written(folder, trained):
    result = trained(restore="raise ValueError('not mine')")
    assert result.status == 1
    assert "the model could not be loaded again: not mine" in result.err
    assert not (folder / "m.batchcls").exists()
