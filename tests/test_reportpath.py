"""A report for every night, and which former ones are deleted: nothing that is no report."""

from __future__ import annotations

import os
import string
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batchcls.errors import BatchclsError, ConfigError, UsageError
from batchcls.reportpath import (
    PLACEHOLDERS,
    check_keep,
    expanded,
    former_reports,
    literal,
    make_folders,
    of_shard,
    prune,
)
from batchcls.settings import load_settings

from .conftest import fuzzed

NOW = datetime(2026, 11, 24, 2, 15, 0)


def refuse(message: str) -> None:
    raise AssertionError(message)


def write(path: Path | str, age: float = 0.0) -> Path:
    """Write a file that is some days old."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a report")
    os.utime(path, (1_700_000_000 - age * 86400,) * 2)
    return path


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("report.csv", "report.csv"),
        ("-", "-"),
        ("reports/{date}.csv", "reports/2026-11-24.csv"),
        ("{date}T{time}.csv", "2026-11-24T021500.csv"),
        ("{year}/{month}/{day}-{hour}.csv", "2026/11/24-02.csv"),
        ("{model}-{date}.csv", "birds-2026-11-24.csv"),
        ("{{date}}.csv", "{date}.csv"),
        ("{{{date}}}.csv", "{2026-11-24}.csv"),
        # Braces that people have in names, and that are no placeholders.
        ("a{1}.csv", "a{1}.csv"),
        ("{}.csv", "{}.csv"),
        ("{.csv", "{.csv"),
        ("}{.csv", "}{.csv"),
        ("{3F25-04E0}/r.csv", "{3F25-04E0}/r.csv"),
        ("{a/b}.csv", "{a/b}.csv"),
    ],
)
def test_placeholders_are_filled_in_and_the_rest_is_left_alone(template, path):
    assert expanded(template, NOW, "models/birds.batchcls") == path


@pytest.mark.parametrize("name", ["dat", "Date", "date:%Y", "week", "a b", "_"])
def test_unknown_placeholder_is_an_error_that_names_those_that_there_are(name):
    with pytest.raises(ConfigError) as caught:
        expanded(f"reports/{{{name}}}.csv", NOW, "m")
    assert caught.value.message.startswith("run -> output: ")
    assert f"there is no {{{name}}}" in caught.value.message
    for known in PLACEHOLDERS:
        assert f"{{{known}}}" in caught.value.hint
    with pytest.raises(ConfigError, match="run -> summary"):
        expanded(f"{{{name}}}", NOW, "m", setting="summary")


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("imagenet", "imagenet"),
        ("/data/my model.batchcls", "my model"),
        ("v1.2", "v1.2"),
        ("v1.2.batchcls", "v1.2"),
        ("C:\\models\\birds.batchcls", "birds"),
        ("a:b*c?.batchcls", "a_b_c_"),
        ("..", "model"),
        (".batchcls", "model"),
        ("caf\udce9\n.batchcls", "caf__"),
        ("{date}.batchcls", "{date}"),
        ("m" * 300, "m" * 100),
    ],
)
def test_model_is_a_part_of_a_file_name(model, part):
    assert expanded("{model}.csv", NOW, model) == f"{part}.csv"


@fuzzed(300)
@given(st.text(st.sampled_from("{}ab/.é-"), max_size=12))
def test_literal_means_the_path_itself(path):
    assert expanded(literal(path), NOW, "m") == path


@fuzzed(300)
@given(st.text(alphabet=[*string.ascii_letters, *"/.-_ é\udce9\\"], max_size=20))
def test_path_without_braces_is_unchanged(path):
    assert expanded(path, NOW, "m") == path


def test_folders_of_placeholders_are_made_and_no_others(tmp_path, monkeypatch):
    (tmp_path / "reports").mkdir()
    template = f"{tmp_path}/reports/{{year}}/{{month}}/x.csv"
    path = expanded(template, NOW, "m")
    for _ in range(2):
        make_folders(template, path)
    assert files_in(tmp_path) == ["reports", "reports/2026", "reports/2026/11"]
    make_folders("report.csv", "report.csv")
    make_folders("{date}.csv", "2026-11-24.csv")
    make_folders("no/such/{date}.csv", "no/such/2026-11-24.csv")  # whose report says it
    make_folders("-", "-")
    make_folders(f"/{tmp_path}/r{{year}}/x.csv", f"/{tmp_path}/r2026/x.csv")
    monkeypatch.chdir(tmp_path / "reports")
    make_folders("{model}/x.csv", "birds/x.csv")
    assert (tmp_path / "reports" / "birds").is_dir()
    assert (tmp_path / "r2026").is_dir()
    assert not (tmp_path / "no").exists()


def test_folder_that_can_not_be_made_is_one_clear_error(tmp_path):
    template = f"{tmp_path}/misspelt/{{year}}/x.csv"
    with pytest.raises(UsageError, match="misspelt does not exist"):
        make_folders(template, expanded(template, NOW, "m"))
    (tmp_path / "2026").write_text("a file")
    template = f"{tmp_path}/{{year}}/{{month}}/x.csv"
    with pytest.raises(BatchclsError, match="the folder can't be made: Not a directory"):
        make_folders(template, expanded(template, NOW, "m"))


def test_former_reports_are_those_that_the_template_may_have_made(tmp_path):
    template = f"{tmp_path}/r-{{date}}.csv"
    ours = ["r-2025-12-31.csv", "r-2026-01-01.csv", "r-2026-02-28.csv"]
    others = [
        *("r-2026-02-30.csv", "r-2026-13-01.csv", "r-0000-01-01.csv", "r-2026-1-01.csv"),
        *("r-2026-01-01.csv.bak", "xr-2026-01-01.csv", "r-2026-01-01xcsv", "R-2026-01-01.csv"),
        *(
            "r-2026-01-01\n.csv",
            "r-2026-01-01.csv\n",
            "r-\u0662\u0660\u0662\u0666-01-01.csv",
            "r-.csv",
            "notes.txt",
        ),
    ]
    for index, name in enumerate([*others, *ours]):
        write(tmp_path / name, age=index)
    (tmp_path / "r-2026-03-01.csv").mkdir()
    (tmp_path / "r-2026-03-02.csv").symlink_to("gone")
    assert former_reports(template, "m") == [str(tmp_path / name) for name in ours]


def test_what_placeholders_say_of_one_report_agrees(tmp_path):
    template = f"{tmp_path}/{{year}}/{{month}}/{{date}}-{{hour}}-{{time}}-{{year}}.csv"
    ours = write(tmp_path / "2026" / "11" / "2026-11-24-02-021500-2026.csv")
    for other in (
        "2025/11/2026-11-24-02-021500-2026.csv",
        "2026/12/2026-11-24-02-021500-2026.csv",
        "2026/11/2026-11-24-03-021500-2026.csv",
        "2026/11/2026-11-24-02-021500-2025.csv",
        "2026/11/2026-11-24-02-029900-2026.csv",
        "2026/2026-11-24-02-021500-2026.csv",
        "2026/11/sub/2026-11-24-02-021500-2026.csv",
    ):
        write(tmp_path / other)
    assert former_reports(template, "m") == [str(ours)]


def test_reports_of_another_model_are_another_series(tmp_path):
    template = f"{tmp_path}/{{model}}-{{date}}.csv"
    birds = write(tmp_path / "birds-2026-01-01.csv")
    write(tmp_path / "birds-big-2026-01-01.csv")
    write(tmp_path / "b.rds-2026-01-01.csv")
    assert former_reports(template, "x/birds.batchcls") == [str(birds)]
    assert former_reports(template, "fish") == []


def test_shard_is_filled_in_and_each_has_its_own_series(tmp_path):
    template = f"{literal(str(tmp_path))}/{{shard}}/{{{{x}}}}-{{shard}}-{{date}}.csv"
    third = of_shard(template, "03-of-16")
    path = f"{tmp_path}/03-of-16/{{x}}-03-of-16-2026-11-24.csv"
    assert expanded(third, NOW, "m") == path
    make_folders(third, path)
    others = [
        write(tmp_path / "03-of-16" / name)
        for name in ("{x}-13-of-16-2026-11-23.csv", "{x}-3-of-16-2026-11-23.csv")
    ]
    others.append(write(tmp_path / "04-of-16" / "{x}-04-of-16-2026-11-23.csv"))
    assert former_reports(third, "m") == []
    former = write(tmp_path / "03-of-16" / "{x}-03-of-16-2026-11-23.csv")
    write(path)
    assert former_reports(third, "m") == [str(former), path]
    assert prune(third, "m", 1, path, refuse) == [str(former)]
    assert all(other.exists() for other in others)


def test_shard_without_a_shard_is_an_error_and_a_shard_without_its_placeholder_is_none():
    for template in ("{shard}.csv", "a/{{{shard}}}/{date}.csv"):
        with pytest.raises(ConfigError, match=r"run -> html: .* is for a run of one shard"):
            expanded(template, NOW, "m", setting="html")
    for template in ("report.csv", "-", "{date}-{{shard}}{1}.csv", ""):
        assert of_shard(template, "1-of-2") == template
    with pytest.raises(ConfigError, match=r"run -> summary: .*there is no \{shart\}"):
        of_shard("{shart}-{shard}", "1-of-2", setting="summary")
    with pytest.raises(ConfigError, match="run -> keep_reports"):
        check_keep(of_shard("{shard}.csv", "1-of-2"), 5)


def test_template_without_placeholders_has_one_former_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert former_reports("report.csv", "m") == []
    write("report.csv")
    assert former_reports("report.csv", "m") == ["report.csv"]
    write("2026-01-01.csv")
    assert former_reports("{date}.csv", "m") == ["2026-01-01.csv"]
    assert former_reports(f"{tmp_path}//{{date}}.csv", "m") == [f"{tmp_path}/2026-01-01.csv"]
    assert former_reports("no/such/{date}.csv", "m") == []


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{date}.csv", ["2025-12-31.csv", "2026-01-01.csv", "2026-01-02.csv"]),
        ("{date}-{time}.csv", ["2026-01-01-235959.csv", "2026-01-02-000000.csv"]),
        ("{day}.{month}.{year}.csv", ["31.12.2025.csv", "01.01.2026.csv", "01.02.2026.csv"]),
        ("{month}/{year}.csv", ["12/2025.csv", "01/2026.csv"]),
        ("{hour}h {date}.csv", ["23h 2026-01-01.csv", "02h 2026-01-02.csv"]),
    ],
)
def test_order_is_what_the_placeholders_say(tmp_path, template, names):
    for age, name in enumerate(names):  # as if touched the other way round
        write(tmp_path / name, age=age)
    found = former_reports(f"{tmp_path}/{template}", "m")
    assert found == [str(tmp_path / name) for name in names]


@pytest.mark.parametrize("template", ["{hour}.csv", "{day}.csv", "{month}-{day}.csv", "{time}.csv"])
def test_order_is_that_of_writing_where_there_is_no_year(tmp_path, template):
    moments = [NOW + timedelta(days=40 * n, hours=7 * n) for n in (3, 1, 4, 2)]
    paths = [expanded(f"{tmp_path}/{template}", moment, "m") for moment in moments]
    for age, path in enumerate(reversed(paths)):
        write(path, age=age)
    assert former_reports(f"{tmp_path}/{template}", "m") == paths


def test_oldest_are_deleted_and_nothing_else(tmp_path):
    template = f"{tmp_path}/{{date}}.csv"
    for day in range(1, 10):
        write(tmp_path / f"2026-01-{day:02}.csv")
    for other in ("2026-01-01.json", "2026-01-01.csv.bak", "old.csv", "sub/2026-01-01.csv"):
        write(tmp_path / other)
    current = str(tmp_path / "2026-01-09.csv")
    deleted = prune(template, "m", 3, current, refuse)
    assert deleted == [str(tmp_path / f"2026-01-{day:02}.csv") for day in range(1, 7)]
    assert files_in(tmp_path) == [
        *("2026-01-01.csv.bak", "2026-01-01.json"),
        *("2026-01-07.csv", "2026-01-08.csv", "2026-01-09.csv"),
        *("old.csv", "sub", "sub/2026-01-01.csv"),
    ]
    assert prune(template, "m", 3, current, refuse) == []
    assert prune(template, "m", 0, current, refuse) == []
    assert prune(template, "m", 100, current, refuse) == []


def test_current_report_is_kept_however_old_it_looks(tmp_path, monkeypatch):
    """A clock was wrong for a night; the current folder may be named in two ways."""
    monkeypatch.chdir(tmp_path)
    for day in (1, 2, 3):
        write(f"2027-01-0{day}.csv")
    write("2026-11-24.csv")
    current = str(tmp_path / "2026-11-24.csv")
    assert prune("{date}.csv", "m", 1, current, refuse) == [f"2027-01-0{n}.csv" for n in (1, 2, 3)]
    assert files_in(tmp_path) == ["2026-11-24.csv"]


def test_links_are_no_reports_that_can_be_deleted(tmp_path):
    template = f"{tmp_path}/{{date}}.csv"
    target = write(tmp_path / "precious.csv")
    (tmp_path / "2020-01-01.csv").symlink_to(target)
    for day in (1, 2):
        write(tmp_path / f"2026-01-0{day}.csv")
    (tmp_path / "2026-01-03.csv").symlink_to("2026-01-01.csv")  # what a link leads to is current
    prune(template, "m", 1, str(tmp_path / "2026-01-03.csv"), refuse)
    assert files_in(tmp_path) == [
        *("2020-01-01.csv", "2026-01-01.csv", "2026-01-03.csv", "precious.csv")
    ]


def test_folders_that_are_left_empty_go_and_only_those_of_placeholders(tmp_path):
    template = f"{tmp_path}/reports/{{year}}/{{month}}/{{day}}.csv"
    for name in ("2025/11/01", "2025/12/01", "2026/01/01", "2026/01/02", "2026/02/01"):
        write(tmp_path / "reports" / f"{name}.csv")
    write(tmp_path / "reports" / "2025" / "11" / "notes.txt")
    (tmp_path / "reports" / "2024" / "01").mkdir(parents=True)  # nobody's business
    current = str(tmp_path / "reports" / "2026" / "02" / "01.csv")
    prune(template, "m", 1, current, refuse)
    assert [name for name in files_in(tmp_path / "reports") if "." in name] == [
        *("2025/11/notes.txt", "2026/02/01.csv")
    ]
    folders = [name for name in files_in(tmp_path / "reports") if "." not in name]
    assert folders == ["2024", "2024/01", "2025", "2025/11", "2026", "2026/02"]
    lone = f"{tmp_path}/lone/{{date}}.csv"
    write(tmp_path / "lone" / "2026-01-01.csv")
    prune(lone, "m", 1, str(tmp_path / "lone" / "2026-01-02.csv"), refuse)
    assert (tmp_path / "lone").is_dir()


def test_what_can_not_be_deleted_is_a_warning(tmp_path, monkeypatch):
    for day in range(1, 6):
        write(tmp_path / f"2026-01-0{day}.csv")
    unlink = os.unlink

    def stubborn(path: str) -> None:
        if path.endswith(("01.csv", "02.csv")):
            raise PermissionError(13, "Permission denied")
        unlink(path)

    monkeypatch.setattr(os, "unlink", stubborn)
    said: list[str] = []
    current = str(tmp_path / "2026-01-05.csv")
    deleted = prune(f"{tmp_path}/{{date}}.csv", "m", 2, current, said.append)
    assert deleted == [str(tmp_path / "2026-01-03.csv")]
    [warning] = said
    assert warning.startswith("2 former reports could not be deleted: ")
    assert warning.endswith("2026-01-01.csv: Permission denied")


@pytest.mark.parametrize("template", ["report.csv", "{model}.csv", "{{date}}.csv", "-"])
def test_reports_that_all_have_one_name_can_not_be_counted(template):
    check_keep(template, 0)
    check_keep("{hour}.csv", 5)
    with pytest.raises(ConfigError, match="run -> keep_reports"):
        check_keep(template, 5)
    with pytest.raises(ConfigError, match="run -> keep_reports"):
        prune(template, "m", 5, template, refuse)


@fuzzed(150)
@given(
    parts=st.lists(
        st.sampled_from([*PLACEHOLDERS, "-", "/", "r", "{{", "."]), min_size=1, max_size=7
    ),
    model=st.sampled_from(["imagenet", "a.b/{date}.batchcls", "x-2026"]),
    days=st.lists(st.integers(0, 2000), min_size=1, max_size=6, unique=True),
)
def test_every_template_finds_its_own_reports_again(parts, model, days, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    body = "".join(f"{{{part}}}" if part in PLACEHOLDERS else part for part in parts)
    template = of_shard(f"{literal(str(folder))}/{body}x.csv", "3-of-16")
    assume(not {".", ".."} & set(body.split("/")))
    moments = [NOW + timedelta(days=day, hours=day % 24) for day in sorted(days)]
    paths = list(dict.fromkeys(expanded(template, moment, model) for moment in moments))
    for path in paths:
        try:
            make_folders(template, path)
        except UsageError:  # of a folder without placeholders
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        write(path)
    stranger = write(folder / "stranger.csv")
    found = former_reports(template, model)
    assert sorted(map(os.path.normpath, found)) == sorted(map(os.path.normpath, paths))
    if {*PLACEHOLDERS} - {"model", "shard"} & {*parts}:
        check: Callable[[str], None] = refuse
        try:
            prune(template, model, 1, paths[-1], check)
        except ConfigError:
            return
        assert [path for path in paths if Path(path).exists()] == [paths[-1]]
    assert stranger.exists()


def test_braces_of_the_configurations_own_folder_are_no_placeholders(tmp_path):
    folder = tmp_path / "{projects}"
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text("[run]\noutput = 'r/{date}.csv'\nsummary = '{time}.json'\nimages = ['.']\n")
    settings = load_settings(str(config), {})
    assert expanded(settings.run.output, NOW, "m") == f"{folder}/r/2026-11-24.csv"
    assert expanded(settings.run.summary, NOW, "m") == f"{folder}/021500.json"
    assert settings.run.images == [f"{folder}/."]
