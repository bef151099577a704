"""Decoding in a process of its own: the same pixels, and what a decoder may do there."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from batchcls.decode import Decoder
from batchcls.errors import DecodeError
from batchcls.framing import Framing, frame
from batchcls.guard import apart, memory
from batchcls.guard.apart import decode_apart

from .conftest import SOAK, picture
from .deadmount import dead_mount

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's here")

FRAMINGS = list(Framing)

# A plugin of Pillow's whose decoder does what the file says, in Python.
PLUGIN = """
import ctypes, os, signal, sys, time
from PIL import Image, ImageFile

class Trap(ImageFile.ImageFile):
    format = "TRAP"
    format_description = "does what it says"

    def _open(self):
        self.fp.seek(4)
        self.code = self.fp.read().decode()
        self._size = (8, 8)
        self._mode = "RGB"
        self.tile = []

    def load(self):
        exec(self.code)
        self._im = self.im = Image.new("RGB", (8, 8), (1, 2, 3)).im
        return super().load()

Image.register_open("TRAP", Trap, lambda beginning: beginning.startswith(b"TRAP"))
Image.register_extension("TRAP", ".trap")
"""

# What nothing can kill takes seconds to be given up: once in the suite, and all in a soak.
KILLABLE = [True, False] if SOAK > 1 else [True]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with that plugin."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "pillow_of_traps.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    return "pillow_of_traps"


def apart_(path: Path | str, framings: list[Framing] = FRAMINGS[:1], **named) -> list[np.ndarray]:
    defaults = {"max_pixels": 1_000_000, "max_bytes": 10_000_000, "seconds": 60}
    return decode_apart(str(path), framings, 224, **{**defaults, **named})


def trapped(folder: Path, plugin: str, code: str, **named) -> tuple[str, bool]:
    """Give the reason for a file that does ``code``, and whether it lasts."""
    path = folder / "a.trap"
    path.write_text(f"TRAP{code}")
    with pytest.raises(DecodeError) as caught:
        apart_(path, pillow_plugins=[plugin], **named)
    return str(caught.value), caught.value.lasting


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_the_pixels_are_the_same(mode, tmp_path):
    image = picture(3, (1300, 900)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    here = Decoder(2_000_000).decode(str(path), 224)
    there = apart_(path, FRAMINGS, max_pixels=2_000_000)
    assert len(there) == len(FRAMINGS)
    for framing, pixels in zip(FRAMINGS, there, strict=True):
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, frame(here, framing, 224), strict=True)


def test_the_pixels_of_a_jpeg_are_the_same_at_any_size(tmp_path):
    picture(4, (3000, 2000)).save(tmp_path / "a.jpg")
    for size in (32, 299):
        here = frame(Decoder().decode("a.jpg", size), Framing.CROP, size)
        limits = {"max_pixels": 10**8, "max_bytes": 10**8}
        (there,) = decode_apart("a.jpg", [Framing.CROP], size, **limits)
        np.testing.assert_array_equal(there, here)


def test_the_decoders_own_reasons(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff nothing")
    picture(1, (100, 100)).save(tmp_path / "b.png")
    for path, named, reason, lasting in (
        ("a.jpg", {}, "a damaged JPEG image", True),
        ("none.jpg", {}, "no such file: it may have vanished, or be a dangling link", False),
        (
            "b.png",
            {"max_pixels": 9999},
            "too large: 100 x 100, more than 9,999 pixels (decode.max_pixels)",
            True,
        ),
        (".", {}, "a folder, not an image file", False),
    ):
        with pytest.raises(DecodeError) as caught:
            apart_(path, **named)
        assert (str(caught.value), caught.value.lasting) == (reason, lasting)
    with pytest.raises(DecodeError, match=r"more than 10 \(decode.max_bytes\)"):
        apart_("b.png", max_bytes=10)


def test_any_path(tmp_path):
    for name in (b"new\nline.png", b"bytes \xff.png", "ünïcödé 😀.png".encode()):
        try:
            Path(os.fsdecode(name)).touch()
        except OSError as error:
            if error.errno == errno.EILSEQ:
                continue
            raise
        picture(2).save(os.fsdecode(name))
        assert apart_(os.fsdecode(name))[0].shape == (224, 224, 3)
    with pytest.raises(DecodeError, match="can't be read"):
        apart_("nul\0.png")


def test_a_plugin_is_used_as_in_this_process(tmp_path, plugin):
    (tmp_path / "a.trap").write_text("TRAPprint('not an answer', flush=True)")
    (pixels,) = apart_(tmp_path / "a.trap", pillow_plugins=[plugin])
    assert (pixels == (1, 2, 3)).all()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGBUS)", "SIGBUS"),
        ("os._exit(0)", "status 0"),
        ("os._exit(7)", "status 7"),
    ],
)
def test_a_crash(code, how, tmp_path, plugin, capfd):
    reason = trapped(tmp_path, plugin, code)
    assert reason == (f"the decoder crashed on it ({how})", True)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.glob("core*")) == []


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(60)",
        "while True: pass",
        "ctypes.PyDLL(None).sleep(60)",  # no other thread of it runs meanwhile
        "signal.signal(signal.SIGINT, signal.SIG_IGN); ctypes.PyDLL(None).sleep(60)",
    ],
)
def test_a_file_that_takes_too_long(code, tmp_path, plugin):
    start = time.monotonic()
    reason = trapped(tmp_path, plugin, code, seconds=0.5)
    assert reason == ("could not be decoded within 0.5 s (decode.max_seconds)", True)
    assert time.monotonic() - start < 20


def test_a_process_that_no_limit_ends(tmp_path, plugin, monkeypatch):
    monkeypatch.setattr(apart, "_PATIENCE", 3.0)
    code = "signal.signal(signal.SIGALRM, signal.SIG_IGN); time.sleep(60)"
    reason = trapped(tmp_path, plugin, code, seconds=0.5)
    assert reason == ("could not be decoded within 0.5 s (decode.max_seconds)", True)


def test_more_memory_than_there_is(tmp_path, plugin):
    code = "x = [bytes(10**9) for _ in range(10**6)]"
    assert trapped(tmp_path, plugin, code) == ("not enough memory to decode it", False)


def test_a_process_that_is_killed(tmp_path, plugin):
    code = "os.kill(os.getpid(), signal.SIGKILL)"
    reason = trapped(tmp_path, plugin, code)
    assert reason == ("the decoder was killed, most likely for want of memory", False)


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="needs Linux")
def test_it_is_the_first_to_go_where_memory_is_short(tmp_path, plugin):
    code = "raise ValueError(open('/proc/self/oom_score_adj').read())"
    assert trapped(tmp_path, plugin, code)[0] == "can't be decoded: ValueError: 1000"


def test_a_process_that_does_not_start(tmp_path, monkeypatch):
    picture().save(tmp_path / "a.png")
    for command, reason in (
        ([sys.executable, "-c", "import none_such"], "the process to decode it apart did not"),
        ([str(tmp_path / "none")], "no process can be started to decode it apart: No such file"),
    ):
        monkeypatch.setattr(apart, "_command", lambda command=command: command)
        with pytest.raises(DecodeError, match=reason) as caught:
            apart_("a.png")
        assert caught.value.lasting is False


def test_a_bug_is_told_as_one(tmp_path):
    picture().save(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match="'round' is not a valid Framing"):
        apart_("a.png", [SimpleNamespace(value="round")])


def test_another_content_is_not_taken_for_the_one_that_was_asked_for(tmp_path):
    picture().save(tmp_path / "a.png")
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).digest()
    assert len(apart_("a.png", content=digest)) == 1
    picture(7).save(tmp_path / "a.png")
    with pytest.raises(DecodeError, match="it was changed") as caught:
        apart_("a.png", content=digest)
    assert caught.value.lasting is False


@pytest.mark.parametrize(
    "module", ["numpy", "PIL", "json", "batchcls", "encodings", "sitecustomize"]
)
def test_nothing_of_the_current_folder_is_run(module, tmp_path, monkeypatch):
    picture().save(tmp_path / "a.png")
    (tmp_path / f"{module}.py").write_text("open('run', 'w'); raise SystemExit('a stranger')")
    for entry in ("", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [entry, *sys.path])
        assert len(apart_("a.png")) == 1
    assert not (tmp_path / "run").exists()


def test_a_plugin_in_the_current_folder_is_found_where_this_process_finds_it(tmp_path, monkeypatch):
    (tmp_path / "pillow_here.py").write_text(PLUGIN)
    (tmp_path / "a.trap").write_text("TRAPpass")
    with pytest.raises(DecodeError, match="did not start"):
        apart_("a.trap", pillow_plugins=["pillow_here"])
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert len(apart_("a.trap", pillow_plugins=["pillow_here"])) == 1


def test_from_many_threads_at_once(tmp_path):
    results = []
    for number in range(6):
        picture(number).save(tmp_path / f"{number}.png")

    def work(number: int) -> None:
        results.append((number, apart_(f"{number}.png")[0]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for number, pixels in results:
        here = frame(Decoder().decode(f"{number}.png"), Framing.CROP, 224)
        np.testing.assert_array_equal(pixels, here)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_it_ends_with_who_has_started_it(tmp_path, plugin):
    code = "open('pid', 'w').write(str(os.getpid())); ctypes.PyDLL(None).sleep(60)"
    (tmp_path / "a.trap").write_text(f"TRAP{code}")
    ask = f"""
import sys
sys.path.insert(0, {str(tmp_path / "modules")!r})
from batchcls.framing import Framing
from batchcls.guard.apart import decode_apart
decode_apart("a.trap", [Framing.CROP], 224, max_pixels=1000, max_bytes=1000,
             pillow_plugins=[{plugin!r}])
"""
    pid = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", ask]) as process:
        end = time.monotonic() + 30
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
    end = time.monotonic() + 2
    while Path(f"/proc/{pid.read_text()}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.fuzz
@pytest.mark.parametrize("killable", KILLABLE)
def test_a_mount_that_does_not_answer(killable, tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "_PATIENCE", 3.0)
    mount = dead_mount(tmp_path / "dead", {"mute-a.png": b"123"}, killable=killable)
    with mount, pytest.raises(DecodeError) as caught:
        apart_("dead/mute-a.png", seconds=1)
    assert (str(caught.value), caught.value.lasting) == ("did not answer within 1 s", False)


# How much memory there is


def test_the_memory_of_this_machine():
    free = memory.available()
    if sys.platform.startswith("linux"):
        assert free is not None
        assert free > 10_000_000
        assert (memory.address_space() or 0) > 10_000_000


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {}, 4_096_000),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/b/memory.current": "5"}, 4_096_000),
        ("0::/a/b\n", {"a/memory.max": "1000", "a/memory.current": "100"}, 900),
        (
            "0::/\n",
            {
                "memory.max": "1000",
                "memory.current": "900",
                "memory.stat": "anon 1\ninactive_file 300\nactive_file 7\n",
            },
            400,
        ),
        (
            "8:pids:/\n5:cpu,memory:/x\n0::/\n",
            {
                "memory/x/memory.limit_in_bytes": "2000",
                "memory/x/memory.usage_in_bytes": "500",
                "memory/x/memory.stat": "inactive_file 9\ntotal_inactive_file 100\n",
            },
            1600,
        ),
        (
            "4:memory:/docker/abc\n",
            {"memory/memory.limit_in_bytes": "3000", "memory/memory.usage_in_bytes": "4000"},
            0,
        ),
        ("garbage\n", {}, 4_096_000),
    ],
)
def test_the_memory_that_a_container_allows(groups, files, expected, tmp_path):
    for name, text in {
        "proc/meminfo": "MemTotal: 9999 kB\nMemAvailable:    4000 kB\n",
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory.available(str(tmp_path)) == expected


def test_a_system_that_does_not_tell_of_its_memory(tmp_path):
    assert memory.available(str(tmp_path)) is None


def test_names_of_signals():
    assert str(apart._death(-signal.SIGSEGV, 1)) == "the decoder crashed on it (SIGSEGV)"
    assert str(apart._death(-250, 1)) == "the decoder crashed on it (status -250)"
