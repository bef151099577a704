"""The program that is called at the end of a run: real ones, and such that misbehave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batchcls import blas
from batchcls.onend import call_at_end
from batchcls.settings import load_settings

SUMMARY: dict[str, Any] = {
    "status": "ok",
    "exit_status": 0,
    "report": "/data/caf\udce9.csv",
    "labels": {},
}


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def called(command: list[str], summary: dict[str, Any] = SUMMARY, **more: float) -> list[str]:
    """Call it; give the warnings."""
    said: list[str] = []
    fine = call_at_end(command, summary, said.append, **more)
    assert fine is (said == [])
    return said


def lives(process: int) -> bool:
    """Whether it runs; one that is dead, and nobody has asked after, does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_program_gets_the_summary_its_arguments_and_variables(tmp_path):
    code = (
        "import json, os, sys\n"
        "names = [name for name in os.environ if name in "
        "('BATCHCLS_STATUS', 'BATCHCLS_EXIT_STATUS', 'BATCHCLS_REPORT', 'PATH')]\n"
        "json.dump([json.load(sys.stdin), sys.argv[1:], {n: os.environ[n] for n in names}],"
        " open('got.json', 'w'))"
    )
    assert called(python(code, "--nightly", "a b; $HOME `x`", "")) == []
    summary, arguments, variables = json.loads((tmp_path / "got.json").read_text())
    assert summary == SUMMARY
    assert arguments == ["--nightly", "a b; $HOME `x`", ""]  # no shell
    assert variables == {
        "BATCHCLS_STATUS": "ok",
        "BATCHCLS_EXIT_STATUS": "0",
        "BATCHCLS_REPORT": "/data/caf\udce9.csv",
        "PATH": os.environ["PATH"],
    }


@pytest.mark.parametrize(("given", "got"), [(None, "None"), ("3", "3")])
def test_program_gets_no_variable_that_is_but_for_this_process(tmp_path, monkeypatch, given, got):
    monkeypatch.setattr(blas, "_added", set())
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    blas.one_from_the_start()
    assert os.environ["OPENBLAS_NUM_THREADS"] == (given or "1")
    code = "import os; open('got', 'w').write(str(os.environ.get('OPENBLAS_NUM_THREADS')))"
    assert called(python(code)) == []
    assert (tmp_path / "got").read_text() == got


def test_output_goes_to_standard_error(capfd):
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    assert called(python(code)) == []
    out, err = capfd.readouterr()
    assert out == ""
    assert sorted(err.split()) == ["err", "out"]


def test_program_by_its_name_is_found_in_the_path():
    assert called(["true"]) == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-program"], "no-such-program can't be run: No such file"),
        (["./no/such"], "./no/such can't be run: No such file"),
        (["."], "can't be run: Permission denied"),
        (["./text"], "./text can't be run: Permission denied"),
        (["./nonsense"], "./nonsense can't be run: Exec format error"),
        (["a\0b"], "can't be run: embedded null byte"),
        (["true", "a\0b"], "can't be run: embedded null byte"),
        (["false"], "false failed: it ended with status 1"),
        (["sh", "-c", "kill -9 $$"], "sh failed: it ended by signal 9"),
        (["sh", "-c", "exit 77"], "sh failed: it ended with status 77"),
    ],
)
def test_failure_is_a_warning(tmp_path, command, reason):
    (tmp_path / "text").write_text("not executable")
    (tmp_path / "nonsense").write_bytes(b"\0\1\2")
    (tmp_path / "nonsense").chmod(0o755)
    [warning] = called(command)
    assert warning.startswith("on_end: ")
    assert reason in warning


def test_program_that_takes_too_long_is_killed_with_its_children(tmp_path):
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(600)"
    )
    start = time.monotonic()
    [warning] = called(python(code), seconds=3)
    assert 2.9 < time.monotonic() - start < 30
    assert "took longer than 3 s, and was killed" in warning
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "its child lives on"


def test_program_that_ignores_signals_is_killed_all_the_same():
    code = (
        "import signal, time\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "time.sleep(600)"
    )
    [warning] = called(python(code), seconds=1)
    assert "was killed" in warning


@pytest.mark.parametrize(
    "code", ["", "import sys; sys.stdin.close()", "import time; time.sleep(1)"]
)
def test_program_that_does_not_read_hangs_nothing(code):
    """The summary is larger than any pipe holds."""
    summary = {**SUMMARY, "labels": {f"label {n}": n for n in range(200_000)}}
    start = time.monotonic()
    assert called(python(code), summary) == []
    assert time.monotonic() - start < 20


def test_program_that_reads_slowly_gets_all_of_it(tmp_path):
    summary = {**SUMMARY, "labels": {f"label {n}": n for n in range(20_000)}}
    code = (
        "import sys, time; time.sleep(0.5); data = sys.stdin.buffer.read()\n"
        "open('got.json', 'wb').write(data)"
    )
    assert called(python(code), summary) == []
    assert json.loads((tmp_path / "got.json").read_text()) == summary


def test_what_it_leaves_running_is_its_own_affair(tmp_path):
    """A program that goes on in the background is not waited for."""
    command = ["sh", "-c", "sleep 600 & echo $! > pid"]
    start = time.monotonic()
    assert called(command) == []
    assert time.monotonic() - start < 20
    pid = int((tmp_path / "pid").read_text())
    try:
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_meanwhile_ends_both(tmp_path, number):
    code = (
        "import sys\n"
        "from batchcls import cli\n"
        "import signal\n"
        "signal.signal(signal.SIGTERM, cli._terminated)\n"
        "from batchcls.onend import call_at_end\n"
        "call_at_end(['sh', '-c', 'echo $$ > pid; exec sleep 600'],"
        " {'status': 'ok', 'exit_status': 0, 'report': '-'}, print)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    pid_file = tmp_path / "pid"
    while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
        assert process.poll() is None
    time.sleep(0.5)  # so that it is waited for
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode in {128 + number, -number}
    deadline = time.monotonic() + 10
    while lives(int(pid_file.read_text())):
        assert time.monotonic() < deadline


def test_without_standard_error_it_is_called_all_the_same(tmp_path):
    code = (
        "import sys\n"
        "from batchcls.onend import call_at_end\n"
        "print(sys.stderr, call_at_end(['sh', '-c', 'echo x; echo y >&2; touch called'],"
        " {'status': 'ok', 'exit_status': 0, 'report': '-'}, print))"
    )
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None True\n"
    assert (tmp_path / "called").exists()


# ---- Which program may be called ----


def settings_from(folder: Path, text: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text)
    return load_settings(str(folder / "config.toml"), {}).run.on_end


def test_program_with_a_folder_is_relative_to_the_configuration(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    for text, expected in {
        '["./tell", "./arg"]': [f"{folder}/./tell", "./arg"],
        '["bin/tell"]': [f"{folder}/bin/tell"],
        '["tell", "a/b"]': ["tell", "a/b"],
        '["/usr/bin/tell"]': ["/usr/bin/tell"],
        "[]": [],
    }.items():
        assert settings_from(folder, f"[run]\non_end = {text}") == expected
    monkeypatch.setenv("HOME", "/home/me")
    assert settings_from(folder, '[run]\non_end = ["~/tell"]') == ["/home/me/tell"]


@pytest.fixture
def folder(tmp_path):
    """A folder of images with a configuration that would call a program."""
    images = tmp_path / "photos"
    (images / "sub").mkdir(parents=True)
    (images / "config.toml").write_text('[run]\non_end = ["touch", "called"]\n')
    return images


def refused_by(folder: Path, images: list[str], config: str | None = None, **env: str) -> bool:
    """Ask as ``run`` does, in ``folder``."""
    code = (
        "import json, sys; from batchcls.clioptions import check_plugins\n"
        "from batchcls.errors import ConfigError\n"
        "from batchcls.settings import load_settings; import os\n"
        "images, config = json.loads(sys.argv[1])\n"
        "settings = load_settings(config, os.environ)\n"
        "try: check_plugins(settings, config, images, settings.run.on_end)\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run(
        [*python(code), json.dumps([images, config])],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, **env},
    )
    if done.stdout:
        assert done.stdout.startswith("config.toml: run -> on_end: ")
        assert "lies in a folder that is being classified" in done.stdout
        assert "--config config.toml" in done.stdout
    return done.stdout != ""


def test_configuration_among_the_images_calls_nothing_unless_it_was_named(folder, tmp_path):
    for images in (["."], [".."], ["../photos"], [str(tmp_path)], ["nothing.jpg", "./x.jpg"]):
        assert refused_by(folder, images), images
        assert not refused_by(folder, images, "config.toml")
        assert not refused_by(folder, images, "./config.toml")
        assert not refused_by(folder, images, BATCHCLS_CONFIG="config.toml")
    for images in (["sub"], ["/etc"], []):
        assert not refused_by(folder, images), images
    assert not refused_by(tmp_path, ["photos"])  # which has no configuration
    (folder / "config.toml").write_text("")
    # A variable is a person's word.
    assert not refused_by(folder, ["."], BATCHCLS_RUN_ON_END="touch,called")


def test_links_hide_no_configuration(folder, tmp_path):
    (tmp_path / "link").symlink_to("photos")
    assert refused_by(folder, ["../link"])
    assert refused_by(tmp_path / "link", ["."])
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "config.toml").symlink_to(folder / "config.toml")
    assert refused_by(tmp_path / "work", ["../photos"])
    (tmp_path / "own.toml").write_text('[run]\non_end = ["touch", "called"]\n')
    (folder / "config.toml").unlink()
    (folder / "config.toml").symlink_to(tmp_path / "own.toml")
    assert refused_by(folder, ["."])
