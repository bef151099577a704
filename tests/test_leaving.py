"""The end of the command's process: nothing is lost by its being quick."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import picture

COMMAND = [sys.executable, "-m", "batchcls"]
SCRIPT = Path(sys.executable).with_name("batchcls")

PLUGIN = """
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor
from batchcls import hookimpl

def written(name):
    with open(name, "w") as file:
        file.write("whole")

def slowly():
    time.sleep(0.3)
    written("by a thread")

atexit.register(written, "at exit")
pool = ThreadPoolExecutor()

@hookimpl
def batchcls_run_finished(run, summary):
    threading.Thread(target=slowly).start()
    pool.submit(written, "by a pool")
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    picture(1).save(tmp_path / "images" / "a.png")
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "config.toml").write_text('plugins = ["plugin.py"]\n')
    return tmp_path / "images"


@pytest.mark.parametrize("guard", ["true", "false"])
@pytest.mark.parametrize("command", [COMMAND, [SCRIPT]])
def test_what_others_have_registered_for_the_end_happens(images, tmp_path, command, guard):
    env = {**os.environ, "BATCHCLS_DECODE_GUARD": guard}
    subprocess.run([*command, "run", "images", "-q"], check=True, env=env, timeout=60)
    assert (tmp_path / "at exit").read_text() == "whole"
    assert (tmp_path / "by a thread").read_text() == "whole"
    assert (tmp_path / "by a pool").read_text() == "whole"


def test_status_is_that_of_the_command(images):
    assert subprocess.run([*COMMAND, "--version"], check=False).returncode == 0
    assert subprocess.run([*COMMAND, "run", "absent"], check=False).returncode == 2
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert subprocess.run([*COMMAND, "run", "images", "-q"], check=False).returncode == 3


def test_everything_that_was_printed_arrives(images, tmp_path):
    """Which is more than a pipe holds."""
    for number in range(20):
        picture(number, (8, 8)).save(images / f"{number}.png")
    run = [*COMMAND, "run", "images", "-q", "-o", "-", "--scores"]
    done = subprocess.run(run, stdout=subprocess.PIPE, check=True)
    assert len(done.stdout) > 100_000
    assert len(done.stdout.splitlines()) == 22
    assert done.stdout.endswith(b"\n")


def test_a_reader_that_is_gone_is_told_as_before(images):
    done = subprocess.run(
        [*COMMAND, "--version"], stdout=os.open("/dev/full", os.O_WRONLY), check=False
    )
    assert done.returncode != 0


def test_a_caller_of_the_function_goes_on():
    code = """
import sys
sys.argv = ["batchcls", "--version"]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    print("went on", error.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "went on 0"
