"""A night as ``docs/cron.md`` has it: the real command, as cron and systemd run it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from batchcls.errors import ExitStatus
from batchcls.overlap import alone_on
from batchcls.records import RunSummary
from batchcls.reportpath import PLACEHOLDERS
from batchcls.runsummary import status_of, summary_of

from .conftest import ROOT, picture

DOCS = (ROOT / "docs" / "cron.md").read_text(encoding="utf-8")
CONFIG = """
[run]
images = ["images"]
model = "imagenet"
output = "reports/{date}.csv"
"""


@pytest.fixture
def project(tmp_path):
    """A folder as a person would have made it, named in full in the cron line."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    (folder / "reports").mkdir()
    for number in range(3):
        picture(number).save(folder / "images" / f"{number}.jpg")
    (folder / "config.toml").write_text(CONFIG)
    return folder


def at_night(
    project: Path, options: str = "", config: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the line as cron does: another folder, hardly an environment, no terminal."""
    if config:
        (project / "config.toml").write_text(CONFIG + config)
    home = project.parent / "home"
    home.mkdir(exist_ok=True)
    line = f"{sys.executable} -m batchcls run --config {shlex.quote(str(project))}/config.toml"
    given = {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "BATCHCLS_INSTALLED_PLUGINS": "",
        **env,
    }
    return subprocess.run(
        ["/bin/sh", "-c", f"{line} {options}"],
        env=given,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def rows(report: Path) -> list[dict[str, str]]:
    with report.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def report_of(project: Path) -> Path:
    days = {f"{datetime.now():%Y-%m-%d}.csv"}
    found = [path for path in (project / "reports").iterdir() if path.name in days]
    assert len(found) == 1, "no report of today; was it midnight?"
    return found[0]


def test_good_night_gives_a_report_and_no_mail(project):
    done = at_night(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [row["status"] for row in rows(report_of(project))] == ["ok"] * 3
    assert sorted(path.name for path in project.iterdir()) == ["config.toml", "images", "reports"]
    assert len(list((project / "reports").iterdir())) == 1


def test_bad_image_is_mailed_once_more_than_allowed_are_bad(project):
    (project / "images" / "bad.jpg").write_text("no image")
    done = at_night(project)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "1 image could not be read" in done.stderr
    for options in ("--max-errors 1", "--max-errors 25%"):
        done = at_night(project, options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), options
    assert at_night(project, "--max-errors 24%").returncode == 3
    assert len(rows(report_of(project))) == 4
    assert at_night(project, "--max-errors lots").returncode == 2


def test_old_reports_are_deleted_after_a_good_night(project):
    for day in range(1, 6):
        (project / "reports" / f"2025-01-0{day}.csv").write_text("an old report")
    (project / "reports" / "notes.txt").write_text("mine")
    assert at_night(project, config="keep_reports = 3\n").returncode == 0
    names = sorted(path.name for path in (project / "reports").iterdir())
    assert names == ["2025-01-04.csv", "2025-01-05.csv", report_of(project).name, "notes.txt"]
    fixed = CONFIG.replace("reports/{date}.csv", "report.csv")
    (project / "config.toml").write_text(fixed + "keep_reports = 3\n")
    done = at_night(project)
    assert done.returncode == 2
    assert "run -> keep_reports" in done.stderr


def test_folders_of_a_template_are_made(project):
    done = at_night(project, f"--output '{project}/{{year}}/{{model}}.csv'")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(project / f"{datetime.now():%Y}" / "imagenet.csv")) == 3
    done = at_night(project, f"--output '{project}/{{yaer}}/x.csv'")
    assert done.returncode == 2
    assert "there is no {yaer}" in done.stderr


def lines_of(text: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "message"} <= set(entry) for entry in entries)
    return entries


def test_json_log_tells_the_whole_night(project):
    env = {"BATCHCLS_LOG_FORMAT": "json", "BATCHCLS_LOG_LEVEL": "normal"}
    os.link(project / "images" / "0.jpg", os.fsencode(project / "images") + b"/caf\xe9.jpg")
    (project / "images" / "bad.jpg").write_text("no image")
    done = at_night(project, **env)
    assert done.returncode == 3
    assert done.stdout == ""
    entries = lines_of(done.stderr)
    [finished] = [entry for entry in entries if entry.get("event") == "finished"]
    assert (finished["exit_status"], finished["counts"]["images"]) == (3, 5)
    assert any(entry["level"] == "warning" for entry in entries)
    done = at_night(project, "--model none.batchcls", **env)
    assert done.returncode == 2
    [error] = [entry for entry in lines_of(done.stderr) if entry["level"] == "error"]
    assert "none.batchcls: no such file" in error["message"]
    assert error["exit_status"] == 2


def test_summary_and_program_tell_of_good_and_bad_ends(project):
    tell = project / "tell-me"
    tell.write_text(f'#!/bin/sh\ncat > {project}/told.json; echo "$BATCHCLS_STATUS" "$@" >&2\n')
    tell.chmod(0o755)
    config = 'summary = "last-run.json"\non_end = ["./tell-me", "--nightly"]\n'
    done = at_night(project, config=config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "ok --nightly\n")
    told = (project / "told.json").read_bytes()
    assert told == (project / "last-run.json").read_bytes()
    value = json.loads(told)
    assert (value["status"], value["counts"]["images"], value["error"]) == ("ok", 3, None)
    assert value["report"] == str(report_of(project))
    assert value["model"]["name"] == "imagenet"
    done = at_night(project, "--model none.batchcls")
    assert done.returncode == 2
    assert "usage --nightly\n" in done.stderr
    value = json.loads((project / "last-run.json").read_text())
    assert (value["status"], value["exit_status"], value["report_written"]) == ("usage", 2, False)
    assert "no such file" in value["error"]


def test_program_that_fails_changes_nothing(project):
    done = at_night(project, config='on_end = ["false"]\n')
    assert done.returncode == 0
    assert done.stderr == "batchcls: warning: on_end: false failed: it ended with status 1\n"


def test_configuration_among_the_images_calls_nothing_unless_it_was_named(project, batchcls):
    images = project / "images"
    (images / "config.toml").write_text('[run]\nimages = ["."]\non_end = ["touch", "called"]\n')
    result = batchcls("run", cwd=images)
    assert result.status == 2
    assert "config.toml: run -> on_end: " in result.err
    assert not (images / "called").exists()
    assert not (images / "report.csv").exists()
    assert batchcls("run", "--config", "config.toml", cwd=images).status == 0
    assert (images / "called").exists()


def test_two_runs_that_meet(project):
    told = f"{project}/told"
    config = f'summary = "last-run.json"\non_end = ["sh", "-c", "echo $BATCHCLS_STATUS > {told}"]\n'
    (project / "config.toml").write_text(CONFIG + config)
    report = project / "reports" / f"{datetime.now():%Y-%m-%d}.csv"
    with alone_on(str(report), 0, print):
        done = at_night(project)
        assert done.returncode == ExitStatus.BUSY
        assert f"another run (process {os.getpid()}, since " in done.stderr
        assert f"is writing {report}" in done.stderr
        assert not report.exists()
        assert not (project / "last-run.json").exists()
        assert Path(told).read_text() == "busy\n"
        start = time.monotonic()
        assert at_night(project, "--wait 1.5").returncode == ExitStatus.BUSY
        assert time.monotonic() - start > 1.5
    assert at_night(project, "--wait 60").returncode == 0
    assert report.exists()


def test_end_by_sigterm_is_told_and_leaves_nothing_behind(project):
    data = io.BytesIO()
    picture(9, (1200, 900)).save(data, "PNG")
    for number in range(100):  # what follows the image makes them differ
        path = project / "images" / f"x{number}.png"
        path.write_bytes(data.getvalue() + bytes([number]))
    config = (
        CONFIG
        + 'summary = "last-run.json"\non_end = ["sh", "-c", "echo told $BATCHCLS_EXIT_STATUS"]\n'
    )
    (project / "config.toml").write_text(config)
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "--config", project / "config.toml"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list((project / "reports").glob(".batchcls-*.tmp")):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert sorted(err.splitlines()) == [
        "batchcls: ended by SIGTERM; what was done is kept, no report was written",
        "told 143",
    ]
    assert list((project / "reports").iterdir()) == []
    assert json.loads((project / "last-run.json").read_text())["status"] == "interrupted"


# ---- What the page says ----


def test_page_has_every_status_key_and_placeholder():
    table = dict(re.findall(r"^\| ([\d, ]+) \| `(\w+)` \|", DOCS, re.M))
    documented = {int(n): word for numbers, word in table.items() for n in numbers.split(",")}
    assert documented == {n: status_of(n) for n in documented}
    assert set(documented) == {*map(int, ExitStatus), 143, 129}
    now = datetime.now().astimezone()
    value = summary_of(
        None,
        RunSummary(),
        started=now,
        finished=now,
        exit_status=0,
        report="-",
        report_written=True,
    )
    for key in [*value, *value["counts"], "name", "digest", "classes"]:
        assert f"`{key}`" in DOCS, key
    for placeholder in PLACEHOLDERS:
        assert f"`{{{placeholder}}}`" in DOCS
    for variable in ("BATCHCLS_STATUS", "BATCHCLS_EXIT_STATUS", "BATCHCLS_REPORT"):
        assert f"`{variable}`" in DOCS


def test_configurations_of_the_page_are_sound(tmp_path):
    from batchcls.settings import load_settings

    blocks = re.findall(r"```toml\n(.*?)```", DOCS, re.S)
    assert len(blocks) == 2
    for block in blocks:
        (tmp_path / "config.toml").write_text(block if "[run]" in block else f"[run]\n{block}")
        settings = load_settings(str(tmp_path / "config.toml"), {})
        assert settings.run.on_end or settings.run.keep_reports == 30


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_of_the_page_are_sound(tmp_path):
    units = re.findall(r"`/etc/systemd/system/([\w.-]+)`[^`]*```ini\n(.*?)```", DOCS, re.S)
    assert [name for name, _ in units] == [
        *("batchcls.service", "batchcls.timer", "batchcls-failed.service")
    ]
    program = tmp_path / "batchcls"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name, text in units:
        here = text.replace("/opt/batchcls/bin/batchcls", str(program))
        (tmp_path / name).write_text(here.replace("User=photos\n", ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(name for name, _ in units)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if "batchcls" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("block", re.findall(r"```sh\n(.*?)```", DOCS, re.S))
def test_scripts_of_the_page_are_called(tmp_path, block):
    """With programs that keep what they are told, in place of those that reach the world."""
    from batchcls.onend import call_at_end

    (tmp_path / "bin").mkdir()
    for name in ("mail", "curl"):
        program = tmp_path / "bin" / name
        program.write_text('#!/bin/sh\necho "$@" > called; cat > given\n')
        program.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(block)
    script.chmod(0o755)
    path = f"{tmp_path}/bin:/usr/bin:/bin"
    summary = {"status": "failed", "exit_status": 1, "report": "-"}
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        assert call_at_end([str(script)], summary, said.append), said
    assert json.loads((tmp_path / "given").read_text()) == summary
    called = (tmp_path / "called").read_text()
    assert "batchcls: failed" in called or called.endswith("/1\n")


def test_told_to_end_while_others_are_told(project):
    """The report is there, and what was decided stays."""
    slow = project / "slow"
    slow.write_text("#!/bin/sh\ntouch began\nsleep 30\n")
    slow.chmod(0o755)
    text = (project / "config.toml").read_text() + 'on_end = ["./slow"]\n'
    (project / "config.toml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "--config", "config.toml"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (project / "began").exists():
        time.sleep(0.02)
        assert process.poll() is None
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "the report was written" in said
    assert len(list((project / "reports").glob("*.csv"))) == 1


@pytest.mark.parametrize("closed", ["1>&- 2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-", "2>&-"])
def test_without_standard_streams_nothing_else_gets_into_the_report(project, closed):
    done = at_night(project, f"-o plain.csv --no-store {closed}")
    assert done.returncode == 0
    report = project.parent / "home" / "plain.csv"
    assert report.read_text().splitlines()[0] == "path,label,score,status,error"
    assert len(rows(report)) == 3


def test_too_few_images_leave_the_former_report(project):
    assert at_night(project, "-o former.csv").returncode == 0
    report = project.parent / "home" / "former.csv"
    former = report.read_bytes()
    (project / "images" / "0.jpg").unlink()
    done = at_night(project, "-o former.csv", "min_images = 3\n")
    assert done.returncode == 1
    assert "only 2 images, where 3 or more were expected" in done.stderr
    assert report.read_bytes() == former


def test_an_empty_night_deletes_no_former_report(project):
    for day in (1, 2, 3):
        (project / "reports" / f"2026-01-0{day}.csv").write_text("path,label\n")
    for image in (project / "images").iterdir():
        image.unlink()
    done = at_night(project, config="keep_reports = 2\n")
    assert done.returncode == 0
    assert "no images found" in done.stderr
    assert len(list((project / "reports").iterdir())) == 4


def test_the_report_lies_beside_its_configuration_unless_it_says_otherwise(project):
    text = CONFIG.replace('output = "reports/{date}.csv"\n', "")
    (project / "config.toml").write_text(text)
    assert at_night(project).returncode == 0
    assert (project / "report.csv").exists()
    assert not (project.parent / "home" / "report.csv").exists()


def test_a_summary_takes_the_place_of_nothing_else(project):
    (project / "precious.txt").write_text("by hand")
    done = at_night(project, f"--summary {project}/precious.txt")
    assert done.returncode == 2
    assert "something else than a summary" in done.stderr
    assert (project / "precious.txt").read_text() == "by hand"
    done = at_night(project, "-o same.csv --summary same.csv")
    assert done.returncode == 2
    assert "is the report" in done.stderr
    for _ in range(2):
        assert at_night(project, f"--summary {project}/s.json").returncode == 0


def test_one_report_elsewhere_is_not_counted_among_the_nights(project):
    done = at_night(project, "-o once.csv", "keep_reports = 2\n")
    assert done.returncode == 0, done.stderr


def test_quiet_and_verbose_at_once(project):
    assert at_night(project, "--quiet --verbose").returncode == 2
    done = at_night(project, "--log-format yaml")
    assert done.returncode == 2
    assert "--log-format: expected one of text, json" in done.stderr


def test_help_into_a_pipe_that_closes(project):
    command = f"{sys.executable} -m batchcls run --help | head -1"
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
