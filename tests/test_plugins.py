"""Plugins: real packages with entry points, good and bad, found by the real command."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from batchcls.builtin.logistic import LogisticRegression
from batchcls.errors import PluginError
from batchcls.plugins import build_registry, registry

from .conftest import Result, make_classes, picture

Install = Callable[..., None]

JSON_LINES = """
    import json
    from batchcls import hookimpl
    from batchcls.atomic import AtomicFile

    class Writer:
        def __init__(self, path):
            self.file = AtomicFile(path)

        def write(self, predictions):
            for prediction in predictions:
                row = {"path": prediction.path, "label": prediction.label}
                self.file.write((json.dumps(row) + "\\n").encode())

        def commit(self):
            self.file.commit()

        def discard(self):
            self.file.discard()

    class JsonLines:
        suffix = ".ndjson"

        def open(self, path, asked):
            return Writer(path)

    @hookimpl
    def batchcls_report_formats():
        return [JsonLines()]
"""

NEAREST_MEAN = """
    import numpy as np
    from batchcls import hookimpl

    class NearestMean:
        name = "nearest-mean"

        def __init__(self, **options):
            self.means = np.zeros((0, 0), np.float32)

        @classmethod
        def candidates(cls):
            return [{}]

        def fit(self, features, targets, class_count):
            self.means = np.stack(
                [features[targets == index].mean(axis=0) for index in range(class_count)]
            )

        def predict_proba(self, features):
            distances = ((features[:, None] - self.means[None]) ** 2).mean(axis=2)
            weights = np.exp(-distances.astype(np.float64))
            return weights / weights.sum(axis=1, keepdims=True)

        def to_state(self):
            return {"means": self.means}

        def restore(self, state, dimension, class_count):
            if set(state) != {"means"} or state["means"].shape != (class_count, dimension):
                raise ValueError("not the means of the classes")
            self.means = state["means"]

    @hookimpl
    def batchcls_classifiers():
        return [NearestMean]
"""

TAKES_NAMES = """
    from batchcls import hookimpl

    class Impostor:
        name = "logistic"

    class Report:
        suffix = ".csv"

    @hookimpl(trylast=True)
    def batchcls_classifiers():
        return [Impostor]

    @hookimpl(tryfirst=True)
    def batchcls_report_formats():
        return [Report()]
"""

# What is wrong with a plugin, and what is said of it.
HOOK = "from batchcls import hookimpl\n@hookimpl\ndef batchcls_classifiers():\n"
BAD = {
    "import": ("import no_such_module_anywhere", "ModuleNotFoundError: No module named"),
    "syntax": ("def (:", "SyntaxError: "),
    "exit": ("import sys\nsys.exit(7)", "SystemExit: 7"),
    "lines": ("raise ValueError('one\\ntwo\\x1b[31m')", "ValueError: one two\\x1b[31m"),
    "unknown-hook": (
        "from batchcls import hookimpl\n@hookimpl\ndef batchcls_classifers():\n    return []",
        "PluginValidationError: unknown hook 'batchcls_classifers'",
    ),
    "wrong-argument": (
        "from batchcls import hookimpl\n@hookimpl\ndef batchcls_classifiers(x):\n    return []",
        "PluginValidationError: ",
    ),
    "no-hook": ("x = 1", "it implements no hook of batchcls"),
    "hook-raises": (
        HOOK + "    1 / 0",
        "batchcls_classifiers: ZeroDivisionError: division by zero",
    ),
    "hook-exits": (
        HOOK + "    raise SystemExit",
        "batchcls_classifiers: SystemExit:",
    ),
    "gives-none": (
        HOOK + "    return None",
        "batchcls_classifiers: TypeError: ",
    ),
    "nameless": (
        HOOK + "    return [object]",
        "batchcls_classifiers: AttributeError: ",
    ),
    "empty-name": (
        "from batchcls import hookimpl\nclass C:\n    name = ''\n"
        "@hookimpl\ndef batchcls_classifiers():\n    return [C]",
        "a classifier without a name",
    ),
}


@pytest.fixture(autouse=True)
def one_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which framing fits best is not asked here."""
    monkeypatch.setenv("BATCHCLS_TRAIN_FRAMING", "pad")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install packages of one module each into ``site``, as pip would leave them."""
    site = tmp_path / "site"

    def write(package: str, code: str, entry_points: str | None = None) -> None:
        installed = os.environ["BATCHCLS_INSTALLED_PLUGINS"]
        monkeypatch.setenv("BATCHCLS_INSTALLED_PLUGINS", f"{installed},{package}")
        module = package.replace("-", "_")
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        text = f"[batchcls]\nmain = {module}\n" if entry_points is None else entry_points
        (info / "entry_points.txt").write_text(text)

    return write


@pytest.fixture
def command(tmp_path: Path, batchcls: Callable[..., Result]) -> Callable[..., Result]:
    """The command, with what was installed."""
    (tmp_path / "in").mkdir()
    picture().save(tmp_path / "in/a.jpg")
    return lambda *arguments: batchcls(*arguments, PYTHONPATH=str(tmp_path / "site"))


def test_what_ships_comes_through_the_hooks():
    known = build_registry([])
    assert known.failed == []
    assert known.classifiers["logistic"] is LogisticRegression
    assert list(known.classifiers) == ["logistic", "forest"]
    assert list(known.featurizers) == ["efficientnet-lite0", "inception", "tensorflow"]
    assert known.featurizer("efficientnet-lite0").name == "efficientnet-lite0"
    assert list(known.report_formats) == [".csv", ".jsonl", ".parquet"]
    assert known.ready_models["imagenet"].name == "imagenet"
    assert registry() is registry()


def test_a_report_format_of_a_plugin_is_chosen_by_the_ending(tmp_path, install, command):
    install("batchcls-ndjson", JSON_LINES)
    result = command("run", "in", "-o", "r.ndjson")
    assert result.status == 0, result.err
    [line] = (tmp_path / "r.ndjson").read_text().splitlines()
    assert json.loads(line)["path"] == "a.jpg"


def test_a_classifier_of_a_plugin_trains_saves_and_classifies(tmp_path, install, command):
    install("batchcls-means", NEAREST_MEAN)
    make_classes(tmp_path / "tagged", count=3)
    trained = command("train", "tagged/tags.tsv", "-c", "nearest-mean", "-o", "m.batchcls")
    assert trained.status == 0, trained.err
    result = command("run", "tagged", "-m", "m.batchcls", "-o", "-", "-q")
    assert result.status == 0, result.err
    labels = [line.split(",")[:2] for line in result.out.splitlines()[1:]]
    assert len(labels) == 6
    assert all(path.startswith(label) for path, label in labels)


def test_a_model_of_a_plugin_that_is_not_installed_is_an_error_that_names_it(
    tmp_path, install, command, batchcls
):
    install("batchcls-means", NEAREST_MEAN)
    make_classes(tmp_path / "tagged", count=2)
    command("train", "tagged/tags.tsv", "-c", "nearest-mean", "-o", "m.batchcls", "-q")
    result: Result = batchcls("run", "in", "-m", "m.batchcls")
    assert result.status == 2
    assert "there is no classifier 'nearest-mean'" in result.err
    assert "There is: forest, logistic." in result.err


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_plugin_stops_no_run_and_is_named_when_something_is_not_found(
    tmp_path, install, command, kind
):
    code, said = BAD[kind]
    install(kind, code)
    make_classes(tmp_path / "tagged", count=1)
    result = command("train", "tagged/tags.tsv", "-c", "oracle", "-o", "m.batchcls")
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[:2] == [
        "batchcls: error: there is no classifier 'oracle'",
        "There is: forest, logistic.",
    ]
    assert len(lines) == 3
    assert lines[2].startswith(f"A plugin failed: {kind}: {said}")
    assert not (tmp_path / "m.batchcls").exists()


def test_a_run_goes_on_whatever_plugins_fail_and_warns_of_each(tmp_path, install, command):
    for kind, (code, _) in BAD.items():
        install(kind, code)
    install("takes-names", TAKES_NAMES)
    install("batchcls-ndjson", JSON_LINES)
    result = command("run", "in", "-o", "r.csv")
    assert result.status == 0, result.err
    assert (tmp_path / "r.csv").read_text().startswith("path,label,score,status,error\n")
    result = command("run", "in", "-o", "r.ndjson", "-q")
    assert (result.status, result.out) == (0, "")
    warnings = [
        line.removeprefix("batchcls: warning: a plugin failed: ")
        for line in result.err.splitlines()
    ]
    # Hooks that this run has no need of are not called, and so not known to fail.
    named = {"takes-names", *BAD} - {
        *("hook-raises", "hook-exits", "gives-none", "nameless", "empty-name")
    }
    assert {warning.partition(":")[0] for warning in warnings} == named
    for kind in named - {"takes-names"}:
        assert any(line.startswith(f"{kind}: {BAD[kind][1]}") for line in warnings), warnings
    assert (
        "takes-names: its report format '.csv' is not used, as batchcls has one of that name"
        in (warnings)
    )


def test_a_taken_name_stays_with_what_ships_and_the_taker_is_named(tmp_path, install, command):
    install("aa-takes-names", TAKES_NAMES)
    make_classes(tmp_path / "tagged", count=2)
    trained = command("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert trained.status == 0, trained.err
    result = command("train", "tagged/tags.tsv", "-c", "oracle")
    assert (
        "A plugin failed: aa-takes-names: its classifier 'logistic' is not used, "
        "as batchcls has one of that name"
    ) in result.err


NAMED = """
    from batchcls import hookimpl

    class Mine:
        suffix = ".x"

        def open(self, path, asked):
            raise RuntimeError("{0}")

    @hookimpl
    def batchcls_report_formats():
        return [Mine()]
"""


def test_of_two_plugins_with_one_name_the_first_by_package_has_it(install, command):
    install("z-late", NAMED.format("late"))
    install("b-early", NAMED.format("early"))
    assert "RuntimeError: early" in command("run", "in", "-o", "r.x").err
    assert (
        "A plugin failed: z-late: its report format '.x' is not used, "
        "as b-early has one of that name"
    ) in command("run", "in", "-o", "r.y").err


def test_a_package_may_have_several_plugins(tmp_path, install, command):
    install("one", JSON_LINES, "[batchcls]\na = one\nb = another\nc = broken\n")
    (tmp_path / "site/another.py").write_text(
        textwrap.dedent(JSON_LINES).replace(".ndjson", ".lines")
    )
    (tmp_path / "site/broken.py").write_text("1 / 0")
    for name in ("r.ndjson", "r.lines"):
        assert command("run", "in", "-o", name).status == 0
        assert (tmp_path / name).exists()
    result = command("run", "in", "-o", "r.x")
    assert "There is: .csv, .jsonl, .lines, .ndjson, .parquet." in result.err
    assert "A plugin failed: one: ZeroDivisionError: division by zero" in result.err


def test_the_metadata_of_a_strange_package_does_not_stop_a_run(tmp_path, install, command):
    install("strange", "", "[batchcls]\nthis is no entry point\n[[[\n")
    nameless = tmp_path / "site/nameless-1.0.dist-info"
    nameless.mkdir()
    (nameless / "entry_points.txt").write_text("[batchcls]\nmain = nowhere\n")
    assert command("run", "in").status == 0
    assert os.path.exists(tmp_path / "report.csv")


def test_an_entry_point_without_a_distribution_is_named_by_its_value():
    known = build_registry([EntryPoint("x", "no_such_module_anywhere:plugin", "batchcls")])
    with pytest.raises(PluginError) as caught:
        known.featurizer("none")
    assert caught.value.message == "there is no featurizer 'none'"
    assert "A plugin failed: no_such_module_anywhere:plugin: ModuleNotFound" in caught.value.hint


def test_installed_plugins_can_be_limited(tmp_path, install, command, monkeypatch):
    install("batchcls-ndjson", JSON_LINES)
    install("My_Means", NEAREST_MEAN)
    for patterns, known in {
        "*": {"batchcls", "batchcls-ndjson", "My_Means"},
        "my-means": {"batchcls", "My_Means"},
        "batchcls_nd*": {"batchcls", "batchcls-ndjson"},
        "": {"batchcls"},
    }.items():
        monkeypatch.setenv("BATCHCLS_INSTALLED_PLUGINS", patterns)
        listed = {one["package"] for one in json.loads(command("plugins", "--json").out)}
        assert known <= listed
        assert patterns == "*" or listed == known
    monkeypatch.delenv("BATCHCLS_INSTALLED_PLUGINS")
    (tmp_path / "config.toml").write_text('installed_plugins = ["my-*"]')
    listed = {one["package"] for one in json.loads(command("plugins", "--json").out)}
    assert listed == {"batchcls", "My_Means"}
