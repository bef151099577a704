"""What a person at a terminal sees of `predict`, and of the end of `run`; real pseudo-terminals."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len

from batchcls.commands.run import RunPlan
from batchcls.commands.runresult import print_result
from batchcls.maxerrors import Allowance
from batchcls.records import RunSummary
from batchcls.settings import Settings
from batchcls.terminal import Terminal

from .conftest import Result, make_classes, picture
from .warm import Warm

# How colours and faces are switched; there must be no other sequence, whatever name a file has.
SGR = re.compile(r"\x1b\[([0-9;]*)m")
BAR = re.compile(r"[━╸─]+")
# What draws the progress bar anew, and takes it away.
UPDATES = re.compile(r"\x1b\[(?:\?25[lh]|[0-9]*[AK])|\r")
GREEN, YELLOW, MAGENTA, RED = "32", "33", "35", "31"


@dataclass
class Watched:
    """What stood on a terminal in the end: ``drawn`` with its sequences, ``lines`` without."""

    status: int
    drawn: str

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in SGR.sub("", self.drawn).split("\n") if line.strip()]

    @property
    def styles(self) -> set[str]:
        """The numbers of all colours and faces in it."""
        return {number for found in SGR.findall(self.drawn) for number in found.split(";")} - {"0"}

    def style_of(self, words: str) -> set[str]:
        """Give what is switched on right before some words."""
        found = re.search(rf"\x1b\[([0-9;]*)m *{re.escape(words)}", self.drawn)
        return set(found[1].split(";")) if found else set()


def environment(**env: str) -> dict[str, str]:
    set_here = {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES", "COLORTERM"}
    kept = {name: value for name, value in os.environ.items() if name not in set_here}
    return {**kept, "TERM": "xterm-256color", **env}


def opened(columns: int) -> tuple[int, int]:
    """Open a terminal; give what reads from it, and what the command is to write to."""
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    return leader, follower


def started(
    *arguments: str | Path, columns: int = 80, **env: str
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the command on a terminal of its own; give what reads from that."""
    leader, follower = opened(columns)
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env=environment(**env),
    )
    os.close(follower)
    return process, leader


def rest_of(leader: int) -> bytes:
    """Read until the terminal is left."""
    seen = bytearray()
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:  # how a pseudo-terminal ends
        pass
    os.close(leader)
    return bytes(seen)


@pytest.fixture
def watch(warm: Warm) -> Callable[..., Watched]:
    """What runs the command on a terminal, and looks at what it leaves there."""

    def call(*arguments: str | Path, columns: int = 80, **env: str) -> Watched:
        leader, follower = opened(columns)
        ran, given = ["-m", "batchcls", *arguments], environment(**env)
        with ThreadPoolExecutor(1) as pool:
            drawn = pool.submit(rest_of, leader)
            try:
                done = warm.run(ran, cwd=Path.cwd(), env=given, timeout=120, terminal=follower)
            finally:
                os.close(follower)
        text = drawn.result().decode("utf-8").replace("\r\n", "\n")
        _, bar, end = text.rpartition("\x1b[?25h")  # the progress bar went before
        return Watched(done.returncode, UPDATES.sub("", end) if bar else text)

    return call


@pytest.fixture
def piped(warm: Warm) -> Callable[..., Result]:
    """What runs the command where nobody looks on."""

    def call(*arguments: str | Path, **env: str) -> Result:
        ran = ["-m", "batchcls", *arguments]
        done = warm.run(ran, cwd=Path.cwd(), env=environment(**env), timeout=120)
        return Result(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return call


def column(line: str, part: str) -> int:
    """Give the column that a part of a line begins in; wide characters have two."""
    return cell_len(line[: line.index(part)])


def bar(line: str) -> str:
    found = BAR.search(line)
    assert found is not None, line
    return found[0]


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Two that can be told, one that can't, and one that is no image."""
    make_classes(tmp_path / "data", count=2)
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = (255, 0, 255)
    stripes[::8] = (0, 255, 0)
    Image.fromarray(stripes).save(tmp_path / "else.png")
    (tmp_path / "empty.jpg").touch()
    return ["data/dark/0.jpg", "else.png", "empty.jpg", "data/light/0.jpg"]


def test_predict_draws_a_row_for_each_image_in_columns(watch, piped, images, model):
    seen = watch("predict", *images, "-m", model, "--top", "2")
    plain = piped("predict", *images, "-m", model, "--top", "2")
    assert seen.status == plain.status == 3
    dark, below, unknown, *rest = seen.lines
    at, label = column(dark, bar(dark)), column(dark, " dark") + 1
    path, _, score, _, second = plain.out.splitlines()[0].split("  ")
    assert re.fullmatch(rf"{re.escape(path)} +[━╸─]{{10}}  {score}  dark", dark)
    assert re.fullmatch(rf" +[━╸─]{{10}}  {second}  light", below)
    assert unknown.startswith("else.png ")
    assert column(unknown, "unknown") == at
    assert column(unknown, "unlike") == label
    assert column(rest[0], rest[0].strip()) == label  # what goes on there begins there
    [error] = [line for line in seen.lines if line.startswith("empty.jpg")]
    assert (column(error, "error"), column(error, "an empty file")) == (at, label)
    light = seen.lines[-2]
    assert light.startswith("data/light/0.jpg ")
    assert column(light, bar(light)) == at


def test_predict_tells_statuses_and_ranks_apart(watch, images, model):
    seen = watch("predict", *images, "-m", model, "--top", "2")
    assert "1" in seen.style_of("dark")  # bold
    assert "2" in seen.style_of("light")  # dim
    assert MAGENTA in seen.style_of("unknown")
    assert RED in seen.style_of("error")
    assert GREEN in seen.style_of("━")
    sure = watch("predict", *images, "-m", model, BATCHCLS_REPORT_REVIEW_BELOW="1")
    assert YELLOW in sure.style_of("review")
    assert YELLOW in sure.style_of("━")
    assert [line.split()[0] for line in sure.lines].count("review") == 2
    assert "the score is below 1" in SGR.sub("", sure.drawn)


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_nothing_but_a_long_name_is_wider_than_the_terminal(
    watch, columns, images, model, tmp_path
):
    long = "x" * 240 + ".jpg"
    picture().save(tmp_path / long)
    seen = watch("predict", *images, long, "-m", model, "--top", "2", columns=columns)
    assert long in seen.lines  # unbroken, to be copied as it is
    assert {line for line in seen.lines if cell_len(line) > columns} == {long}
    assert sum("0." in line or "1.0" in line for line in seen.lines) >= 4
    assert sum(line.endswith("dark") for line in seen.lines) >= 2
    ended = watch("run", "data", "else.png", "empty.jpg", "-m", model, columns=columns)
    body = [line for line in ended.lines if not line.startswith("batchcls: warning")]
    assert max(map(cell_len, body)) <= columns
    assert [line.split()[1] for line in body if line.startswith(("dark", "light"))] == ["2", "2"]


def test_names_are_data_and_keep_the_columns(watch, model, tmp_path):
    names = {
        "[bold red]a[bold].png": "[bold red]a[bold].png",
        ":smile: [link=x]b.png": ":smile: [link=x]b.png",
        "line\nbreak\x1b[31mred\x07.png": r"line\nbreak\x1b[31mred\x07.png",
        "テディ熊 🧸.png": "テディ熊 🧸.png",
        "right\u202eto\u2066left.png": r"right\u202eto\u2066left.png",
        os.fsdecode(b"caf\xe9.png"): r"caf\xe9.png",
        "e\u0301te\u0301.png": "e\u0301te\u0301.png",
    }
    for seed, name in enumerate(names):
        picture(seed).save(tmp_path / name)
    seen = watch("predict", *names, "-m", model, columns=100, BATCHCLS_REPORT_UNKNOWN="false")
    assert seen.status == 0
    assert len(seen.lines) == len(names)
    for line, shown in zip(seen.lines, names.values(), strict=True):
        assert line.startswith(f"{shown} ")
    assert len({column(line, bar(line)) for line in seen.lines}) == 1
    assert "\x1b" not in SGR.sub("", seen.drawn)
    assert "\x07" not in seen.drawn


def test_labels_are_data(watch, piped, tmp_path):
    tagged = make_classes(tmp_path / "data", count=2)
    label = "[red]\U0001f9f8熊[/red]"
    lines = (tagged / "tags.tsv").read_text(encoding="utf-8").replace("\tdark", f"\t{label}")
    (tagged / "tags.tsv").write_text(lines, encoding="utf-8")
    quick = ("-f", "efficientnet-lite0", "--framing", "crop")
    assert piped("train", "data/tags.tsv", "-o", "m.batchcls", "-q", *quick).status == 0
    seen = watch("predict", "data/dark/0.jpg", "-m", "m.batchcls")
    assert seen.lines[0].endswith(f"  {label}")
    [row] = [line for line in watch("run", "data", "-m", "m.batchcls").lines if label in line]
    assert row.startswith(label)


def test_no_color_means_none_and_bars_all_the_same(watch, images, model):
    for arguments in (["predict", *images, "--top", "2"], ["run", "data", "empty.jpg"]):
        seen = watch(*arguments, "-m", model, NO_COLOR="1")
        assert seen.styles <= {"1", "2"}  # bold and dim are no colours
        assert any("━" in line for line in seen.lines)


def test_on_a_terminal_that_can_not_draw_it_is_as_in_a_pipe(watch, piped, images, model):
    arguments = ["predict", *images, "-m", model, "--top", "2"]
    assert watch(*arguments, TERM="dumb").drawn == piped(*arguments).out
    seen = watch("run", "data", "empty.jpg", "-m", model, TERM="dumb", NO_COLOR="1")
    assert "(unreadable)" in seen.drawn
    assert "━" not in seen.drawn


def test_a_pipe_is_drawn_to_only_where_that_is_asked_for(piped, images, model):
    arguments = ["predict", *images, "-m", model]
    assert SGR.search(piped(*arguments).out) is None
    assert SGR.search(piped(*arguments, FORCE_COLOR="").out) is None
    forced = piped(*arguments, FORCE_COLOR="1").out
    assert SGR.search(forced) is not None
    assert "━" in forced
    assert max(len(SGR.sub("", line)) for line in forced.splitlines()) <= 120
    assert len(json.loads(piped(*arguments, "--json", FORCE_COLOR="1").out)) == len(images)


def test_where_the_terminal_has_ascii_only_bars_are_of_that(watch, images, model):
    seen = watch("predict", *images, "-m", model, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert re.search(r"  #[#-]{9}  [01]\.\d{4}  dark", seen.lines[0])
    ended = watch("run", "data", "-m", model, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert r"\u" not in ended.drawn
    assert any(re.search(r"% \| #+$", line) for line in ended.lines)


def test_predict_draws_each_row_when_it_is_there(model, tmp_path):
    """The last image comes to be when the first has been seen: what waits for all would miss it.

    The names are long, and nobody reads on until then, so the command can't get there before.
    """
    make_classes(tmp_path / "data", count=1)
    source = tmp_path / "data" / "dark" / "0.jpg"
    names = [f"{'n' * 36}{number:04}.jpg" for number in range(250)]
    for name in names:
        (tmp_path / name).hardlink_to(source)
    last = "z" * 40 + ".jpg"
    process, leader = started("predict", *names, last, "-m", model, "-j", "1", columns=100)
    seen = os.read(leader, 4096)
    while names[0].encode() not in seen:
        seen += os.read(leader, 4096)
    (tmp_path / last).hardlink_to(source)
    text = (seen + rest_of(leader)).decode()
    assert process.wait(60) == 0, text[-500:]
    assert SGR.sub("", text.replace("\r\n", "\n").rstrip().splitlines()[-1]).startswith(last)


def test_a_reader_that_has_had_enough_is_no_fault(images, model):
    process, leader = started("predict", *(images * 200), "-m", model)
    os.read(leader, 64)
    os.close(leader)
    assert process.wait(60) != 0  # hung up, as when a window is closed
    command = [sys.executable, "-m", "batchcls", "predict", *(images * 50), "-m", model]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(FORCE_COLOR="1")
    ) as head:
        assert head.stdout is not None
        assert head.stderr is not None
        head.stdout.readline()
        head.stdout.close()
        assert head.stderr.read() == b""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """4 dark ones, 1 light one, one unlike both, and one that is no image."""
    make_classes(tmp_path / "data", count=4)
    for number in range(1, 4):
        (tmp_path / "data" / "light" / f"{number}.jpg").unlink()
    (tmp_path / "data" / "empty.jpg").touch()
    return tmp_path / "data"


@pytest.mark.usefixtures("folder")
def test_a_run_ends_with_bars_counts_and_places(watch, model):
    seen = watch("run", "data", "-m", model)
    assert seen.status == 3
    dark, light = (next(li for li in seen.lines if li.startswith(name)) for name in ("dark", "li"))
    assert dark.split()[:4] == ["dark", "4", "66.7", "%"]
    assert light.split()[:4] == ["light", "1", "16.7", "%"]
    assert bar(dark) == "━" * 32
    assert bar(light) == "━" * 8
    assert column(dark, bar(dark)) == column(light, bar(light))
    assert GREEN in seen.style_of("5 ok")
    assert RED in seen.style_of("1 unreadable")
    assert any(re.search(r"^6 images in .* s \(\d+ images/s\)", line) for line in seen.lines)
    assert "report: report.csv" in seen.lines
    assert any("--review-below 0.6" in line for line in seen.lines)
    assert not any(line.startswith("page") for line in seen.lines)


@pytest.mark.usefixtures("folder")
def test_a_run_says_what_to_look_at_next(watch, model):
    seen = watch("run", "data", "-m", model, "--review-below", "1")
    assert YELLOW in seen.style_of("5 to review")
    assert "→ 5 to look at: batchcls run ... --html report.html shows them" in seen.lines
    seen = watch("run", "data", "-m", model, "--review-below", "1", "--html", "look [x].html")
    assert "page: look [x].html" in seen.lines
    assert "→ 5 to look at: open look [x].html" in seen.lines
    seen = watch("run", "data", "-m", model, "--html", "look [x].html")
    assert "→ the least sure come first: open look [x].html" in seen.lines


@pytest.mark.usefixtures("folder")
def test_piped_a_run_ends_as_ever_and_names_the_page(piped, model):
    done = piped("run", "data", "-m", model, "--html", "report.html")
    *table, speed, report, page = done.out.splitlines()
    assert [line.rstrip() for line in table] == [
        "label          images",
        "─────────────────────",
        "dark                4",
        "light               1",
        "(unreadable)        1",
        "",
    ]
    assert re.fullmatch(r"6 images in \S+ s \(\d+ images/s\)", speed)
    assert (report, page) == ("report: report.csv", "page: report.html")
    assert "page" not in piped("run", "data", "-m", model).out


@pytest.mark.usefixtures("folder")
def test_quiet_draws_nothing_and_a_report_on_standard_output_is_just_that(watch, model, tmp_path):
    assert watch("run", "data", "-m", model, "-q", "--max-errors", "1").drawn == ""
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "batchcls", "run", "data", "-m", model, "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment(),
    )
    os.close(follower)
    drawn = rest_of(leader).decode()
    report, _ = process.communicate(timeout=60)
    assert report.startswith(b"path,label,score,status,error\r\n")
    assert b"\x1b" not in report
    assert "━" in drawn
    assert "report: standard output" in SGR.sub("", drawn)


def test_a_run_without_images_gives_no_advice(watch, tmp_path, model):
    (tmp_path / "none").mkdir()
    seen = watch("run", "none", "-m", model)
    assert seen.status == 0
    assert "→" not in seen.drawn
    assert any(line.startswith("0 images in") for line in seen.lines)


def test_of_many_labels_the_most_frequent_are_drawn_and_the_others_counted(monkeypatch, capsys):
    """The end of a run of a million images, told as it would be."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    summary = RunSummary(seconds=2_000.0, unknown=500_000)
    summary.labels.update({f"label {number:02}": 1000 * number for number in range(40)})
    now = datetime.now(timezone.utc)
    plan = RunPlan(Settings(), None, "r.csv", "r.csv", "", "", now, Allowance(0), None, False)
    print_result(plan, summary, "", Terminal())
    lines = SGR.sub("", capsys.readouterr().out).splitlines()
    rows = [line for line in lines if line.startswith("label ")]
    assert [line[:8] for line in rows[1:]] == [f"label {39 - number}" for number in range(20)]
    [rest] = [line for line in lines if "more labels" in line]
    assert rest.split()[-3:] == ["190,000", "14.8", "%"]
    assert bar(rows[1]) == "━" * 32
    assert bar(rows[20]) == "━" * 16 + "╸"  # 20 of 39, to half a column
    assert "780,000 ok  500,000 unknown" in lines
    assert "1,280,000 images in 2000.0 s (640 images/s)" in lines


def test_all_that_draws_needs_no_terminal_to_be_imported():
    """What is drawn only for a person is not loaded for cron."""
    code = (
        "import sys, batchcls.commands.predict, batchcls.commands.runend, batchcls.terminal\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
