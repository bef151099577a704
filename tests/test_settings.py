"""Settings: the template, the file, the environment and the options, and errors that name keys."""

from __future__ import annotations

import os
import re
import sys
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from batchcls.configfile import rendered
from batchcls.errors import ConfigError, UsageError
from batchcls.settings import SECTIONS, Settings, load_settings, override

from .conftest import ROOT, Result, picture

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEMPLATE = files("batchcls").joinpath("config_template.toml").read_text(encoding="utf-8")
# Without a value of its own; the template shows an example instead.
UNSET = {("run", "model"), ("train", "tags"), ("train", "images")}


def flat(plain: dict[str, object]) -> dict[tuple[str, str], object]:
    """Settings by section and key; one that is in no section has an empty one."""
    found: dict[tuple[str, str], object] = {}
    for section, values in plain.items():
        if isinstance(values, dict):
            found |= {(section, key): value for key, value in values.items()}
        else:
            found["", section] = values
    return found


def defaults() -> dict[tuple[str, str], object]:
    return flat(msgspec.to_builtins(Settings()))


def test_the_template_shows_every_setting_once_with_its_default():
    uncommented = re.sub(r"^# (\w+ = )", r"\1", TEMPLATE, flags=re.M)
    shown = flat(tomllib.loads(uncommented))
    assert shown.keys() == defaults().keys()
    for setting, value in defaults().items():
        assert shown[setting] == value or (value is None and setting in UNSET)


def test_every_setting_of_the_template_has_a_comment_above_it():
    lines = TEMPLATE.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"# \w+ = ", line):
            above = lines[number - 1]
            assert above.startswith("# ") or re.match(r"# \w+ = ", above), line


def test_the_repository_carries_the_template_as_its_configuration():
    path = ROOT / "config.toml"
    if not path.exists():
        pytest.skip("not in this checkout")
    keys = re.compile(r"^#? ?(\w+) = ", re.M)
    assert keys.findall(path.read_text(encoding="utf-8")) == keys.findall(TEMPLATE)


def test_what_is_rendered_with_no_values_loads_as_the_defaults(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(rendered({}), encoding="utf-8")
    expected = Settings()
    # Even a default is relative to the configuration.
    expected.inception.graph = str(tmp_path / expected.inception.graph)
    expected.run.output = str(tmp_path / "report.csv")
    assert load_settings(str(path), {}) == expected


def test_what_is_rendered_with_values_loads_as_them(tmp_path):
    path = tmp_path / "c.toml"
    odd = 'q"uote\\ back\x7f\x01é犬'
    values = {("run", "images"): [f"/{odd}", "/b"], ("train", "classifier"): odd}
    path.write_text(rendered({**values, ("run", "jobs"): 3, ("scan", "hidden"): True}))
    settings = load_settings(str(path), {})
    assert settings.run.images == [f"/{odd}", "/b"]
    assert settings.train.classifier == odd
    assert settings.run.jobs == 3
    assert settings.scan.hidden is True


def test_every_setting_can_be_rendered():
    for section, struct in SECTIONS.items():
        for key in struct.__struct_fields__:
            assert f"\n{key} = 1\n" in rendered({(section, key): 1})


def test_rendering_a_value_that_is_not_utf8_is_a_usage_error_and_an_unknown_setting_a_bug():
    with pytest.raises(UsageError, match=r"caf\\xe9: not UTF-8"):
        rendered({("run", "images"): ["caf\udce9"]})
    with pytest.raises(KeyError):
        rendered({("run", "modle"): "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\nmodle = 'x'", "c.toml: run -> modle: there is no such setting"),
        ("[runn]\n", "c.toml: runn: there is no such section"),
        ("top = 3", "c.toml: top: there is no such section"),
        ("run = 3", "c.toml: run: expected a section, [run], got a value"),
        ("[run]\njobs = 'many'", "c.toml: run -> jobs: expected a whole number, got text"),
        ("[run]\njobs = true", "c.toml: run -> jobs: expected a whole number, got true or false"),
        ("[run]\njobs = -1", "c.toml: run -> jobs: expected a whole number >= 0"),
        ("[run]\nimages = 'a'", "c.toml: run -> images: expected a list, got text"),
        ("[run]\nimages = ['a', 1]", "c.toml: run -> images[1]: expected text, got a whole number"),
        ("[run]\noutput = ['a']", "c.toml: run -> output: expected text, got a list"),
        ("[report]\ntop = 0", "c.toml: report -> top: expected a whole number >= 1"),
        ("[report]\ntop = 1.5", "c.toml: report -> top: expected a whole number, got a fraction"),
        (
            "[report]\nscores = 1",
            "c.toml: report -> scores: expected true or false, got a whole number",
        ),
        (
            "[train]\nframing = 'x'",
            "c.toml: train -> framing: expected one of auto, crop, square, stretch, pad, got 'x'",
        ),
        ("[run\n", "c.toml: not TOML: "),
        ("\xff", "c.toml: not TOML: "),
        ("[run]\njobs = 1\njobs = 2", "c.toml: not TOML: "),
    ],
)
def test_an_error_names_the_file_the_key_and_what_was_expected(tmp_path, text, message):
    Path("c.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_settings("c.toml", {})
    assert caught.value.message.startswith(message)
    assert len(caught.value.message.splitlines()) == 1


def test_a_misspelt_key_gets_a_suggestion(tmp_path):
    Path("c.toml").write_text("[decode]\nmax-pixels = 3")
    with pytest.raises(ConfigError) as caught:
        load_settings("c.toml", {})
    assert caught.value.hint.startswith("Did you mean max_pixels?")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for name, reason in (("none.toml", "No such file"), (str(tmp_path), "Is a directory")):
        with pytest.raises(ConfigError, match=reason) as caught:
            load_settings(name, {})
        assert caught.value.message.startswith(name)


def test_a_file_from_a_windows_editor_is_read(tmp_path):
    Path("c.toml").write_bytes(b"\xef\xbb\xbf[run]\r\njobs = 3\r\n")
    assert load_settings("c.toml", {}).run.jobs == 3


def test_the_file_is_that_of_the_option_or_of_the_variable_or_config_toml(tmp_path):
    for name, jobs in (("option.toml", 1), ("variable.toml", 2), ("config.toml", 3)):
        Path(name).write_text(f"[run]\njobs = {jobs}\n")
    variable = {"BATCHCLS_CONFIG": "variable.toml"}
    assert load_settings("option.toml", variable).run.jobs == 1
    assert load_settings(None, variable).run.jobs == 2
    assert load_settings(None, {"BATCHCLS_CONFIG": ""}).run.jobs == 3
    os.unlink("config.toml")
    assert load_settings(None, {}) == Settings()


def test_paths_in_the_file_are_relative_to_its_folder_and_others_to_the_current_one(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.toml").write_text(
        "[run]\nimages = ['in', '/abs', '~/x']\nmodel = 'm.batchcls'\noutput = 'o.csv'\n"
        "[train]\ntags = 't.tsv'\nimages = '..'\n"
    )
    settings = load_settings("sub/c.toml", {"HOME": "ignored"})
    assert settings.run.images == ["sub/in", "/abs", os.path.expanduser("~/x")]
    assert settings.run.model == "sub/m.batchcls"
    assert settings.run.output == "sub/o.csv"
    assert settings.train.tags == "sub/t.tsv"
    assert settings.train.images == "sub/.."
    from_variable = load_settings("sub/c.toml", {"BATCHCLS_RUN_OUTPUT": "o.csv"})
    assert from_variable.run.output == "o.csv"


def test_standard_output_and_a_ready_model_are_no_paths(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/c.toml").write_text("[run]\noutput = '-'\nmodel = 'imagenet'\n")
    settings = load_settings("sub/c.toml", {})
    assert (settings.run.output, settings.run.model) == ("-", "imagenet")


def test_the_environment_wins_over_the_file_and_options_over_both(tmp_path):
    Path("c.toml").write_text("[run]\njobs = 1\n[report]\ntop = 5\n")
    environment = {
        "BATCHCLS_RUN_JOBS": "2",
        "BATCHCLS_REPORT_SCORES": "true",
        "BATCHCLS_SCAN_INCLUDE": "*.jpg, *.png",
        "BATCHCLS_TRAIN_TAGS": "",
    }
    settings = load_settings("c.toml", environment)
    assert settings.run.jobs == 2
    assert settings.report.top == 5
    assert settings.report.scores is True
    assert settings.scan.include == ["*.jpg", "*.png"]
    assert settings.train.tags is None
    override(settings.run, {"jobs": 3})
    assert settings.run.jobs == 3


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("BATCHCLS_RUN_JOBS", "many", "run -> jobs: expected a whole number, got text"),
        ("BATCHCLS_REPORT_TOP", "0", "report -> top: expected a whole number >= 1"),
        ("BATCHCLS_REPORT_SCORES", "yes", "report -> scores: expected true or false, got text"),
        ("BATCHCLS_RUN_MODLE", "x", "there is no such setting"),
    ],
)
def test_an_error_names_the_variable(variable, value, message):
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {variable: value})
    assert caught.value.message == f"the variable {variable}: {message}"


def test_variables_that_are_no_settings_of_a_section_are_left_alone():
    assert load_settings(None, {"BATCHCLS_SHARED": "x", "BATCHCLS_PLUGIN_X": "y"}) == Settings()


def test_an_option_of_the_wrong_value_is_named():
    with pytest.raises(ConfigError, match=r"^--framing: expected one of auto"):
        override(Settings().train, {"framing": "round"})


def test_two_loads_share_nothing():
    load_settings(None, {}).scan.include.append("*.x")
    assert load_settings(None, {}).scan.include == []


def test_the_command_takes_options_over_variables_over_the_file(tmp_path, batchcls):
    (tmp_path / "in").mkdir()
    picture().save(tmp_path / "in/a.jpg")
    (tmp_path / "config.toml").write_text("[run]\nimages = ['in']\noutput = 'file.csv'\n")
    for arguments, env, written in (
        ((), {}, "file.csv"),
        ((), {"BATCHCLS_RUN_OUTPUT": "variable.csv"}, "variable.csv"),
        (("-o", "option.csv"), {"BATCHCLS_RUN_OUTPUT": "variable.csv"}, "option.csv"),
    ):
        result: Result = batchcls("run", *arguments, **env)
        assert result.status == 0, result.err
        assert (tmp_path / written).exists()
        os.unlink(tmp_path / written)
    assert sorted(os.listdir(tmp_path)) == ["config.toml", "in"]


def test_the_command_ends_with_2_for_a_wrong_configuration(tmp_path, batchcls):
    (tmp_path / "config.toml").write_text("[run]\nimage = 'in'\n")
    result: Result = batchcls("run", "in")
    assert result.status == 2
    assert result.err.splitlines() == [
        "batchcls: error: config.toml: run -> image: there is no such setting",
        "Did you mean images? Settings of [run]: images, model, output, jobs, max_errors, "
        "min_images, new_only, since, shard, wait, keep_reports, summary, html, on_end, engine.",
    ]


def test_options_stand_in_tables_of_their_own_and_their_path_is_relative_to_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(
        'plugins = ["mine.py", "/abs/other.py"]\n'
        "[featurizer.onnx]\npath = 'net.onnx'\nmean = [1, 2.5, 3]\n"
        "[classifier.knn]\nneighbors = 3\n"
    )
    settings = load_settings(str(path), {})
    assert settings.plugins == [str(tmp_path / "mine.py"), "/abs/other.py"]
    assert settings.featurizer == {
        "onnx": {"path": str(tmp_path / "net.onnx"), "mean": [1, 2.5, 3]}
    }
    assert settings.classifier == {"knn": {"neighbors": 3}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plugins = 3", "plugins: expected a list, got a whole number"),
        ("[classifier]\nknn = 3", "classifier -> knn: expected a section, [classifier.knn]"),
        ("classifier = 3", "classifier: expected a table"),
        ("[plugin]\nx = 1", "plugin: there is no such section"),
    ],
)
def test_what_is_wrong_outside_the_sections_is_named(tmp_path, text, said):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(str(path), {})
    assert f"{path}: {said}" in caught.value.message


def test_lists_outside_the_sections_come_from_the_environment_too():
    settings = load_settings(
        None, {"BATCHCLS_PLUGINS": "a.py, b.py", "BATCHCLS_INSTALLED_PLUGINS": ""}
    )
    assert settings.plugins == ["a.py", "b.py"]
    assert settings.installed_plugins == []
