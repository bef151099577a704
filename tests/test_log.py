"""What is said, how much of it, and as JSON for programs."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from batchcls import logformat
from batchcls.progresslines import ProgressLines
from batchcls.terminal import Terminal

LEVELS = ["quiet", "normal", "verbose", "auto"]
SAY_ALL = """
from batchcls.terminal import Terminal
terminal = Terminal(level={level!r}, format={format!r})
terminal.say("a note")
terminal.detail("a detail")
terminal.warn("a problem")
terminal.result("a result")
terminal.table(["label", "images"], [["dark", "4"]])
"""


@pytest.fixture(autouse=True)
def text_again():
    yield
    logformat.use("text")


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line must be an object with what every line has."""
    entries = [json.loads(line) for line in text.splitlines()]
    for entry in entries:
        assert entry["level"] in {"debug", "info", "warning", "error"}
        assert entry["time"].endswith("Z")
        at = datetime.fromisoformat(entry["time"].replace("Z", "+00:00"))
        assert abs(at - datetime.now(timezone.utc)) < timedelta(minutes=1)
        assert isinstance(entry["message"], str)
    return entries


def run_code(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **env},
        encoding="utf-8",
    )


@pytest.mark.parametrize("level", LEVELS)
def test_level_chooses_what_is_said(level):
    done = run_code(SAY_ALL.format(level=level, format="text"))
    said = done.stdout + done.stderr
    quiet = level in {"quiet", "auto"}  # nobody looks on
    assert done.returncode == 0
    assert "batchcls: warning: a problem" in done.stderr
    assert ("a note" in done.stderr) is not quiet
    assert ("a result" in done.stdout) is not quiet
    assert ("dark" in done.stdout) is not quiet
    assert ("a detail" in said) is (level == "verbose")


@pytest.mark.parametrize("watched", ["stdout", "stderr"])
def test_auto_is_normal_for_a_person_who_looks_on(watched):
    import pty

    leader, follower = pty.openpty()
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, watched: follower}
    process = subprocess.Popen(
        [sys.executable, "-c", SAY_ALL.format(level="auto", format="text")],
        env={**os.environ, "TERM": "xterm"},
        **streams,
    )
    os.close(follower)
    shown = io.BytesIO()
    try:
        while chunk := os.read(leader, 4096):
            shown.write(chunk)
    except OSError:  # how a pseudo-terminal ends
        pass
    os.close(leader)
    out, err = process.communicate(timeout=60)
    said = shown.getvalue() + (out or b"") + (err or b"")
    assert b"a note" in said
    assert b"a result" in said
    assert b"a detail" not in said


def test_other_commands_print_their_results_when_piped(batchcls):
    result = batchcls("plugins")
    assert result.status == 0
    assert "logistic" in result.out


@pytest.mark.parametrize("level", LEVELS)
def test_json_is_an_object_on_a_line_of_standard_error(level):
    done = run_code(SAY_ALL.format(level=level, format="json"))
    entries = lines_of(done.stderr)
    assert done.stdout == ""
    said = {entry["message"]: entry for entry in entries}
    assert said["a problem"]["level"] == "warning"
    if level in {"quiet", "auto"}:
        assert len(entries) == 1
        return
    assert said["a note"]["level"] == said["a result"]["level"] == "info"
    table = said["label, images"]
    assert (table["event"], table["columns"]) == ("table", ["label", "images"])
    assert table["rows"] == [["dark", "4"]]
    assert ("a detail" in said) is (level == "verbose")


def test_event_is_words_or_fields(capsys):
    Terminal().event("finished", "8 images in 0.1 s", images=8)
    assert capsys.readouterr().err == "8 images in 0.1 s\n"
    Terminal(format="json").event("finished", "8 images in 0.1 s", images=8)
    [entry] = lines_of(capsys.readouterr().err)
    assert (entry["event"], entry["images"], entry["level"]) == ("finished", 8, "info")
    for quiet in (Terminal(quiet=True), Terminal(quiet=True, level="verbose", format="json")):
        quiet.event("finished", "all is well")
        quiet.event("step", "a step", level="debug")
        assert capsys.readouterr().err == ""
    Terminal(quiet=True).event("odd", "a problem", level="warning")
    assert capsys.readouterr().err == "batchcls: warning: a problem\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_any_name_gives_json_that_any_program_reads(encoding):
    names = [
        "caf\udce9.jpg",
        "über.jpg",
        "line\nbreak",
        "\x9b31m",
        "\u202egpj.exe",
        "\u2028",
        '"\\',
    ]
    code = (
        "import json, sys; from batchcls.terminal import Terminal\n"
        "terminal = Terminal(format='json')\n"
        "for name in json.loads(sys.argv[1]): terminal.event('seen', name, path=name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(names)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:backslashreplace"},
    )
    text = done.stderr.decode("utf-8")  # whatever the encoding of the terminal
    entries = [json.loads(line) for line in text.splitlines()]
    assert [entry["path"] for entry in entries] == names
    assert [entry["message"] for entry in entries] == names
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert ("über" in text) is (encoding == "utf-8")


COMMANDS = """
import os, signal, sys
import typer
from batchcls.cligroup import Group
from batchcls.errors import BatchclsError, ConfigError, PluginFailedError, Terminated
from batchcls.terminal import Terminal
app = typer.Typer(cls=Group, pretty_exceptions_enable=False)
ERRORS = {
    "config": ConfigError("config.toml: no", hint="Write yes."),
    "plugin": PluginFailedError("it failed", hint="Remove it.", trace="Traceback: a line\\n"),
    "bug": ZeroDivisionError("a bug"),
    "exit": SystemExit(0),
    "interrupt": KeyboardInterrupt(),
    "silent": BatchclsError(""),
    "status": typer.Exit(3),
    "pipe": BrokenPipeError(),
}
@app.command()
def fail(how: str, format: str = "text"):
    Terminal(format=format)
    raise ERRORS[how]
@app.command()
def end(format: str = "text", note: str = "", number: int = signal.SIGTERM):
    Terminal(format=format)
    error = Terminated(128 + number)
    error.note = note
    raise error
app()
"""


def failing(how: str, format_: str) -> subprocess.CompletedProcess[str]:
    return run_code(COMMANDS, "fail", how, "--format", format_)


def test_errors_are_words_by_default():
    expected = {
        "config": (2, "batchcls: error: config.toml: no\nWrite yes.\n"),
        "plugin": (1, "batchcls: error: it failed\nTraceback: a line\nRemove it.\n"),
        "interrupt": (130, "batchcls: interrupted\n"),
        "silent": (1, ""),
        "status": (3, ""),
        "pipe": (1, ""),
    }
    for how, (status, err) in expected.items():
        done = failing(how, "text")
        assert (done.returncode, done.stderr) == (status, err), how
    for how, words in {"bug": "ZeroDivisionError: a bug", "exit": "a plugin ended"}.items():
        done = failing(how, "text")
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback"), how
        assert words in done.stderr.splitlines()[-1]


def test_errors_are_json_where_that_was_chosen():
    expected = {
        "config": (2, "config.toml: no", {"hint": "Write yes.", "exit_status": 2}),
        "plugin": (1, "it failed", {"hint": "Remove it.", "traceback": "Traceback: a line\n"}),
        "bug": (1, "ZeroDivisionError: a bug", {"exit_status": 1}),
        "exit": (1, "a plugin ended the process", {"exit_status": 1}),
        "interrupt": (130, "interrupted", {"event": "interrupted", "exit_status": 130}),
    }
    for how, (status, message, fields) in expected.items():
        done = failing(how, "json")
        [entry] = lines_of(done.stderr)
        assert done.returncode == status, how
        assert (entry["level"], entry["message"]) == ("error", message)
        assert fields.items() <= entry.items()
        if how in {"bug", "exit"}:
            assert entry["traceback"].startswith("Traceback")
    for how, status in {"silent": 1, "status": 3, "pipe": 1}.items():
        done = failing(how, "json")
        assert (done.returncode, done.stderr) == (status, "")


def test_wrong_usage_stays_typers_own_word():
    done = run_code(COMMANDS, "fail")
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
    assert "Traceback" not in done.stderr


def test_end_by_a_signal_has_its_name_and_what_became_of_the_work():
    note = "no report was written"
    done = run_code(COMMANDS, "end", "--note", note)
    assert done.returncode == 143
    assert done.stderr == "batchcls: ended by SIGTERM; no report was written\n"
    done = run_code(COMMANDS, "end", "--number", str(int(signal.SIGHUP)))
    assert (done.returncode, done.stderr) == (129, "batchcls: ended by SIGHUP\n")
    done = run_code(COMMANDS, "end", "--format", "json", "--note", note)
    assert done.returncode == 143
    [entry] = lines_of(done.stderr)
    assert (entry["event"], entry["exit_status"]) == ("ended", 143)
    assert entry["message"] == f"ended by SIGTERM; {note}"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_real_sigterm_to_a_real_command_is_told(tmp_path):
    """A model that can't be read yet, since it is a pipe, keeps the command waiting."""
    os.mkfifo(tmp_path / "tags.tsv")
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "train", "tags.tsv"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with (tmp_path / "tags.tsv").open("w"):  # returns when the command has opened it, too
            time.sleep(0.5)  # and is by now where a signal wakes it
            process.terminate()
            _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (143, "batchcls: ended by SIGTERM\n")


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_log_that_can_not_be_written_ends_nothing(format_):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", SAY_ALL.format(level="normal", format=format_)],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert done.returncode == 0
    assert ("a result" in done.stdout) is (format_ == "text")


@pytest.mark.parametrize("format_", ["text", "json"])
def test_verbose_log_has_progress_lines_and_others_have_none(format_, capsys, monkeypatch):
    monkeypatch.setattr("batchcls.progresslines.EVERY", 0.0)
    for level, expected in (("verbose", 2), ("normal", 0)):
        terminal = Terminal(level=level, format=format_)
        with terminal.progress("classifying", total=40_000) as advance:
            advance(8_000)
            advance(4_000)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == expected
        if expected and format_ == "json":
            last = json.loads(lines[-1])
            assert (last["event"], last["done"], last["total"]) == ("progress", 12_000, 40_000)
            assert last["images_per_second"] > 0
        elif expected:
            assert lines[-1].startswith("classifying: 12,000 of 40,000 images, ")
            assert lines[-1].endswith(" images/s")


def test_progress_lines_are_rare_and_do_not_wait_for_the_total(monkeypatch):
    told: list[tuple[str, int, int | None, float]] = []
    clock = [100.0]
    monkeypatch.setattr("batchcls.progresslines.time.monotonic", lambda: clock[0])
    counted = threading.Event()
    lines = ProgressLines(
        "classifying", lambda: counted.wait(60) and 100, lambda *x: told.append(x)
    )
    for _ in range(59):
        clock[0] += 0.5
        lines.advance(1)
    assert told == []
    clock[0] += 0.5
    lines.advance(1)
    lines.advance(1)
    assert told == [("classifying: 60 images, 2 images/s", 60, None, 2.0)]
    counted.set()
    while lines._total is None:
        pass
    clock[0] += 30
    lines.advance(29)
    assert told[1:] == [("classifying: 90 of 100 images, 1 images/s", 90, 100, 1.0)]
