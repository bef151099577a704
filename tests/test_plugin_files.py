"""Plugins of one file that the configuration names; their commands; and `batchcls plugins`."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from batchcls.errors import UsageError
from batchcls.options import checked_options, parse_assignments

from .conftest import make_classes, picture

Write = Callable[..., Path]

CLASSIFIER = """
    import numpy as np
    from batchcls import hookimpl

    class First:
        name = "first"

        def __init__(self, sure: float = 0.9, shout: bool = False):
            if not 0.5 < sure < 1:
                raise ValueError("sure must lie between 0.5 and 1")
            self.sure = sure

        def fit(self, features, targets, class_count):
            self.count = class_count

        def predict_proba(self, features):
            rest = (1 - self.sure) / (self.count - 1)
            scores = np.full((len(features), self.count), rest)
            scores[:, 0] = self.sure
            return scores

        def to_state(self):
            return {}

        def restore(self, state, dimension, class_count):
            self.count = class_count

    @hookimpl
    def batchcls_classifiers():
        return [First]
"""

COMMANDS = """
    from batchcls import BatchclsError, hookimpl

    def hello(name: str, loud: bool = False) -> None:
        \"\"\"Greet somebody.\"\"\"
        if name == "nobody":
            raise BatchclsError("there is nobody", hint="Name somebody.")
        print(name.upper() if loud else name)

    def unknowable(x: list[list[int]]) -> None:
        pass

    @hookimpl
    def batchcls_commands():
        return {
            "hello": hello,
            "run": hello,
            "models": hello,
            "a\\x1b[31m": hello,
            "unknowable": unknowable,
        }
"""


@pytest.fixture(autouse=True)
def one_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which framing fits best is not asked here."""
    monkeypatch.setenv("BATCHCLS_TRAIN_FRAMING", "pad")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write plugins into ``tmp_path/plugged`` and a configuration there that names them."""
    folder = tmp_path / "plugged"
    folder.mkdir()

    def writing(config: str = "", **files: str) -> Path:
        for name, code in files.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        named = ", ".join(json.dumps(f"./{name}.py") for name in files)
        (folder / "config.toml").write_text(
            f"plugins = [{named}]\n{textwrap.dedent(config)}", encoding="utf-8"
        )
        return folder / "config.toml"

    return writing


def test_a_classifier_in_a_file_trains_and_classifies_and_its_options_are_kept(
    tmp_path, write, batchcls
):
    make_classes(tmp_path / "tagged", count=2)
    config = write(
        '[classifier.first]\nsure = 0.75\n[train]\nclassifier = "first"', first=CLASSIFIER
    )
    trained = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls", "--config", config)
    assert trained.status == 0, trained.err
    assert "classifier  first sure=0.75" in trained.out
    result = batchcls("predict", "tagged/light/0.jpg", "-m", "m.batchcls", "--config", config)
    assert (result.status, result.out) == (0, "tagged/light/0.jpg  dark  0.7500\n")
    # An option of the command line wins over the configuration, and reaches the model.
    batchcls(
        *("train", "tagged/tags.tsv", "-o", "m.batchcls", "--config", config),
        *("-C", "sure=0.6", "-C", "shout=TRUE"),
    )
    result = batchcls("predict", "tagged/light/0.jpg", "-m", "m.batchcls", "--config", config)
    assert result.out == "tagged/light/0.jpg  dark  0.6000\n"


def test_a_model_of_a_file_that_is_not_named_is_an_error_that_names_it(tmp_path, write, batchcls):
    make_classes(tmp_path / "tagged", count=2)
    config = write(first=CLASSIFIER)
    batchcls("train", "tagged/tags.tsv", "-c", "first", "-o", "m.batchcls", "--config", config)
    result = batchcls("predict", "tagged/light/0.jpg", "-m", "m.batchcls")
    assert result.status == 2
    assert "m.batchcls: there is no classifier 'first'" in result.err
    assert "The model was trained with the plugin" in result.err
    assert "first.py" in result.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "shure=0.7",
            "has no option 'shure'\nDid you mean sure? Options: sure=0.9, shout=false.\n",
        ),
        ("sure=high", "sure: expected a number, got text"),
        ("sure=0.2", "can't be made with sure=0.2: sure must lie between 0.5 and 1"),
        ("shout=perhaps", "shout: expected true or false"),
        ("sure", "-C sure: expected NAME=VALUE"),
        ("=1", "-C =1: expected NAME=VALUE"),
    ],
)
def test_an_option_that_is_wrong_is_said_and_nothing_is_done(
    tmp_path, write, batchcls, option, said
):
    make_classes(tmp_path / "tagged", count=2)
    config = write(first=CLASSIFIER)
    result = batchcls(
        *("train", "tagged/tags.tsv", "-c", "first", "-o", "m.batchcls"),
        *("--config", config, "-C", option),
    )
    assert result.status == 2
    assert said in result.err
    assert not (tmp_path / "m.batchcls").exists()


def test_an_option_of_the_configuration_has_its_type(tmp_path, write, batchcls):
    make_classes(tmp_path / "tagged", count=2)
    config = write('[classifier.first]\nsure = "0.7"\n', first=CLASSIFIER)
    result = batchcls("train", "tagged/tags.tsv", "-c", "first", "--config", config)
    assert result.status == 2
    assert "the classifier first: sure: expected a number, got text" in result.err


def test_options_of_auto_are_an_error(tmp_path, batchcls):
    make_classes(tmp_path / "tagged", count=2)
    result = batchcls("train", "tagged/tags.tsv", "-F", "precision=int8")
    assert result.status == 2
    assert "Name it: --featurizer inception" in result.err


def test_a_plugin_that_only_lies_in_the_folder_is_never_imported(tmp_path, batchcls):
    folder = make_classes(tmp_path / "tagged", count=2)
    for name in ("plugin", "conftest", "batchcls_plugin", "sitecustomize"):
        (folder / f"{name}.py").write_text("open('imported', 'w')")
    result = batchcls("run", ".", cwd=folder)
    assert result.status == 0, result.err
    # Nor because a configuration that lies there says so.
    (folder / "config.toml").write_text('plugins = ["sub/../plugin.py"]')
    (folder / "sub").mkdir()
    for command in (["run", "."], ["predict", "0.jpg"], ["run", str(folder.parent)]):
        picture().save(folder / "0.jpg")
        result = batchcls(*command, cwd=folder)
        assert result.status == 2
        assert "lies in a folder that is being classified, and would run as code" in result.err
    assert not (folder / "imported").exists()
    # But where it lies elsewhere, or a person has named the configuration.
    assert batchcls("run", "dark", cwd=folder).status == 0
    assert (folder / "imported").exists()
    (folder / "imported").unlink()
    assert batchcls("run", ".", "--config", "config.toml", cwd=folder).status == 0
    assert (folder / "imported").exists()


def test_a_file_that_fails_warns_and_is_named_and_the_run_goes_on(tmp_path, write, batchcls):
    picture().save(tmp_path / "a.jpg")
    config = write(bad="1 / 0", none="x = 1")
    text = config.read_text().replace("plugins = [", 'plugins = ["gone.py", "text.txt", ')
    config.write_text(text)
    (config.parent / "text.txt").write_text("x = 1")
    result = batchcls("run", "a.jpg", "--config", config)
    assert result.status == 0
    folder = str(config.parent)
    assert sorted(line for line in result.err.splitlines() if "a plugin failed" in line) == sorted(
        f"batchcls: warning: a plugin failed: {folder}/{reason}"
        for reason in (
            "bad.py: ZeroDivisionError: division by zero",
            "none.py: it implements no hook of batchcls",
            "gone.py: there is no such file, or its name does not end in .py",
            "text.txt: there is no such file, or its name does not end in .py",
        )
    )


def test_a_command_of_a_plugin_is_listed_run_and_its_errors_are_told(write, batchcls):
    config = write(greet=COMMANDS)
    folder = config.parent
    listed = batchcls("--help", cwd=folder)
    assert "hello" in listed.out
    assert "Greet somebody." in listed.out
    assert batchcls("hello", "Ann", "--loud", cwd=folder).out == "ANN\n"
    failed = batchcls("hello", "nobody", cwd=folder)
    assert (failed.status, failed.err) == (
        1,
        "batchcls: error: there is nobody\nName somebody.\n",
    )
    elsewhere = batchcls("hello", "Ann", BATCHCLS_CONFIG=str(config))
    assert elsewhere.out == "Ann\n"
    assert batchcls("hello", "Ann").status == 2  # no configuration, no such command


def test_a_command_can_not_take_the_place_of_one_that_ships(tmp_path, write, batchcls):
    config = write(greet=COMMANDS)
    picture().save(config.parent / "a.jpg")
    result = batchcls("run", "a.jpg", "--config", "config.toml", cwd=config.parent)
    assert result.status == 0, result.err
    assert "1 image" in result.out
    listed = json.loads(batchcls("plugins", "--json", "--config", config).out)
    [plugin] = [one for one in listed if one["package"] != "batchcls"]
    assert plugin["adds"] == {"command": ["hello"]}
    assert plugin["problems"][:3] == [
        "its command 'run' is not used, as batchcls has one of that name",
        "its command 'models' is not used, as batchcls has one of that name",
        "its command 'a\\x1b[31m' is no name for a command",
    ]
    assert plugin["problems"][3].startswith("its command 'unknowable' can't be used: ")
    assert len(plugin["problems"]) == 4


def test_a_command_that_typer_can_not_make_is_told_and_the_others_work(write, batchcls):
    folder = write(greet=COMMANDS).parent
    assert batchcls("hello", "Ann", cwd=folder).status == 0
    result = batchcls("unknowable", "1", cwd=folder)
    assert result.status == 2
    assert "its command 'unknowable' can't be used" in result.err


def test_help_with_a_broken_configuration_or_plugin_is_still_help(tmp_path, write, batchcls):
    config = write(bad="1 / 0")
    assert batchcls("--help", cwd=config.parent).status == 0
    config.write_text("this is no TOML")
    result = batchcls("--help", cwd=config.parent)
    assert result.status == 0
    assert "Classify folders" in result.out


def test_plugins_lists_what_there_is_defaults_and_failures(write, batchcls):
    config = write(first=CLASSIFIER, bad="1 / 0")
    result = batchcls("plugins", "--config", config)
    assert result.status == 0, result.err
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert any(line.startswith("batchcls 0.1.0 featurizer efficientnet-lite0") for line in lines)
    assert any(line.startswith("classifier logistic default") for line in lines)
    assert any(line.startswith("report format .csv default") for line in lines)
    assert any(line.startswith("model imagenet default") for line in lines)
    assert (
        lines[lines.index("options of the classifier first (-C):") + 1] == "sure=0.9, shout=false"
    )
    assert any(
        line.startswith("failed: ") and "bad.py: ZeroDivisionError: division by zero" in line
        for line in lines
    )
    objects = {
        one["origin"]: one
        for one in json.loads(batchcls("plugins", "--json", "--config", config).out)
    }
    ships = objects["batchcls.builtin"]
    assert ships["version"] == "0.1.0"
    assert "inception" in ships["adds"]["featurizer"]
    assert {"kind": "classifier", "name": "logistic"} in ships["defaults"]
    [bad] = [one for origin, one in objects.items() if origin.endswith("bad.py")]
    assert bad["problems"] == ["ZeroDivisionError: division by zero"]
    assert bad["adds"] == {}


def test_a_file_named_twice_or_by_a_link_is_one_plugin_and_takes_no_names(
    tmp_path, write, batchcls
):
    config = write(first=CLASSIFIER)
    os.symlink("first.py", config.parent / "link.py")
    config.write_text('plugins = ["./first.py", "first.py", "link.py"]\n')
    objects = json.loads(batchcls("plugins", "--json", "--config", config).out)
    others = [one for one in objects if one["package"] != "batchcls"]
    assert len(others) == 1
    assert others[0]["adds"] == {"classifier": ["first"]}
    assert others[0]["problems"] == []


def take(
    context,
    whole: int = 1,
    share: float | None = None,
    shade: Literal["dark", "light"] = "dark",
    each: float | tuple[float, ...] = 0.0,
    edges: list[int] = [],  # noqa: B006
    limited: Annotated[int, Meta(ge=1, le=9)] = 5,
    text: str = "",
    loose=None,
):
    """Has an option of every kind."""


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("whole=3", 3),
        ("share=0.5", 0.5),
        ("share=none", None),
        ("share=NULL", None),
        ("shade=light", "light"),
        ("each=127.5", 127.5),
        ("each=1,2.5,3", (1.0, 2.5, 3.0)),
        ("edges=1, 2", [1, 2]),
        ("edges=7", [7]),
        ("limited=9", 9),
        ("text=3", "3"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("loose=3", 3),
        ("loose=True", True),
        ("loose=none", None),
        ("loose=sqrt", "sqrt"),
        ("loose=[1, 2]", [1, 2]),
    ],
)
def test_a_text_becomes_what_the_option_is(given, taken):
    name = given.partition("=")[0]
    parsed = checked_options("it", take, parse_assignments([given], "-C"))
    assert parsed == {name: taken}
    assert type(parsed[name]) is type(taken)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("whole=1.5", "it: whole: expected a whole number, got "),
        ("share=much", "it: share: expected a number or nothing, got text"),
        ("shade=grey", "it: shade: expected one of dark, light, got grey"),
        ("each=1,x", "it: each: expected "),
        ("limited=10", "it: limited: expected a whole number <= 9"),
        ("Whole=1", "it has no option 'Whole'"),
        ("context=1", "it has no option 'context'"),
    ],
)
def test_a_text_that_it_is_not_is_an_error_that_lists_the_options(given, said):
    with pytest.raises(UsageError) as caught:
        checked_options("it", take, parse_assignments([given], "-C"))
    assert caught.value.message.startswith(said)
    assert (
        "Options: whole=1, share=none, shade=dark, each=0.0, edges=, limited=5, text=, loose=none."
    ) in caught.value.hint
    assert ("Did you mean whole? " in caught.value.hint) == (given == "Whole=1")


@pytest.mark.parametrize("value", ["inf", "-1", "0", "nan", "1e999"])
def test_a_number_that_makes_no_sense_is_an_error_and_no_model_is_written(
    tmp_path, batchcls, value
):
    make_classes(tmp_path / "tagged", count=2)
    result = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls", "-C", f"C={value}")
    assert result.status == 2
    assert "batchcls: error: the classifier logistic: C: " in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "m.batchcls").exists()


def test_options_of_what_does_not_exist_are_warned_of(tmp_path, write, batchcls):
    make_classes(tmp_path / "tagged", count=2)
    config = write("[classifier.forrest]\nn_estimators = 5\n[featurizer.inceptoin]\nx = 1\n")
    result = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls", "--config", config)
    assert result.status == 0
    assert "[classifier.forrest]: there is no classifier of that name, only forest, logistic" in (
        result.err
    )
    assert "[featurizer.inceptoin]: there is no featurizer of that name, only " in result.err


def test_train_and_models_warn_of_a_plugin_that_failed_and_an_unknown_command_does(
    tmp_path, write, batchcls
):
    make_classes(tmp_path / "tagged", count=2)
    config = write(bad="1 / 0")
    said = "bad.py: ZeroDivisionError: division by zero"
    for command in (["train", "tagged/tags.tsv", "-o", "m.batchcls"], ["models"]):
        result = batchcls(*command, "--config", config)
        assert result.status == 0
        assert result.err.count(said) == 1
    result = batchcls("greet", BATCHCLS_CONFIG=str(config))
    assert result.status == 2
    assert said in result.err
    assert "No such command" in result.err


PROVIDERS = """
    from batchcls import BatchclsError, hookimpl

    class Network:
        def __init__(self, name, error):
            self.name, self.error = name, error

        def about(self, context):
            raise self.error

        def load(self, context):
            raise self.error

    @hookimpl
    def batchcls_ready_models():
        return [
            Network("broken", ZeroDivisionError("oh")),
            Network("absent", BatchclsError("it is elsewhere")),
            Network("exits", SystemExit(0)),
        ]
"""


def test_one_network_that_can_not_be_asked_does_not_hide_the_others(write, batchcls):
    config = write(providers=PROVIDERS)
    result = batchcls("models", "--config", config)
    assert result.status == 0, result.err
    assert "efficientnet-lite0" in result.out
    listed = {
        one["name"]: one for one in json.loads(batchcls("models", "--json", "--config", config).out)
    }
    assert listed["imagenet"]["at_hand"] is True
    assert listed["broken"]["at_hand"] is False
    assert listed["broken"]["note"] == "It can't be asked: ZeroDivisionError: oh"
    assert listed["absent"]["note"] == "it is elsewhere"
    assert listed["exits"]["note"] == "It can't be asked: SystemExit: 0"


def test_a_pattern_that_matches_no_package_is_told(tmp_path, batchcls):
    picture().save(tmp_path / "a.jpg")
    result = batchcls("run", "a.jpg", BATCHCLS_INSTALLED_PLUGINS="batchcls-neighbours")
    assert result.status == 0
    assert "no plugin is installed that matches 'batchcls-neighbours'" in result.err
