"""Image formats: what Pillow reads here, and what plugins of Pillow add."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from batchcls.errors import ConfigError
from batchcls.imageformats import COMMON_SUFFIXES, image_suffixes, register_plugins
from batchcls.scan import ScanRules, scan
from tests.conftest import Result
from tests.images import pixels

PLUGIN = '''
from PIL import Image, ImageFile

class OneColour(ImageFile.ImageFile):
    """The bytes ONECOLOUR, then red, green and blue: a picture of 40 x 30 pixels."""

    format = "ONECOLOUR"

    def _open(self):
        colour = self.fp.read(12)[9:]
        if len(colour) != 3:
            raise SyntaxError("no colour")
        self._size, self._mode, self.tile = (40, 30), "RGB", []
        self.im = Image.new("RGB", self._size, tuple(colour)).im

Image.register_open(OneColour.format, OneColour, lambda prefix: prefix.startswith(b"ONECOLOUR"))
Image.register_extension(OneColour.format, ".OneC")
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A plugin of Pillow that is found in ``tmp_path``."""
    Image.init()
    monkeypatch.setattr(Image, "ID", [*Image.ID])
    monkeypatch.setattr(Image, "OPEN", {**Image.OPEN})
    monkeypatch.setattr(Image, "EXTENSION", {**Image.EXTENSION})
    name = f"onecolour_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_every_extension_that_pillow_reads_counts() -> None:
    suffixes = image_suffixes()
    assert {".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".tif", ".tiff", ".webp"} <= suffixes
    assert {".bmp", ".ico", ".ppm", ".pfm", ".jp2", ".psd", ".tga", ".dds", ".eps"} <= suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_the_common_extensions_are_some_of_those() -> None:
    assert image_suffixes() >= COMMON_SUFFIXES


# What is on each line of the standard input is opened by a process of its own.
OPENED = """
import os, sys, zlib
from batchcls.decode import Decoder
from batchcls.errors import DecodeError
from batchcls.imageformats import register_plugins
if sys.argv[1] == "all":
    register_plugins()

def opened(paths):
    found = []
    for path in paths:
        try:
            with Decoder().decode(path).image as image:
                found.append((image.mode, image.size, zlib.crc32(image.tobytes())))
        except DecodeError as error:
            found.append(str(error))
    return found, "PIL.PalmImagePlugin" in sys.modules

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(opened(line.rstrip("\\n").split("\\t")), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_file_is_the_same_whenever_the_formats_were_loaded(tmp_path: Path) -> None:
    images = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "BMP": "bmp", "PPM": "ppm", "DIB": "dib"}
    others = {"TIFF": "tif", "WEBP": "webp", "MPO": "mpo", "TGA": "tga", "PCX": "pcx", "ICO": "ico"}
    for format_, suffix in {**images, **others}.items():
        Image.effect_noise((40, 30), 50).convert("RGB").save(tmp_path / f"a.{suffix}", format_)
        # By the content, whatever the name.
        (tmp_path / f"{suffix}.jpg").write_bytes((tmp_path / f"a.{suffix}").read_bytes())
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    (tmp_path / "text.jpg").write_text("nothing to see")
    (tmp_path / "empty.jpg").touch()
    common = [tmp_path / f"a.{suffix}" for suffix in [*images.values(), "mpo"]]
    every = sorted(tmp_path.iterdir())

    def opened(how: str, *groups: list[Path]) -> list[tuple[list[object], bool]]:
        done = subprocess.run(
            [sys.executable, "-c", OPENED, how],
            input="".join("\t".join(map(str, paths)) + "\n" for paths in groups),
            capture_output=True,
            text=True,
            check=True,
        )
        return [ast.literal_eval(line) for line in done.stdout.splitlines()]

    groups = [every, every[::-1], *([path] for path in every)]
    (_, rare_are_loaded), *as_met = opened("as met", common, *groups)
    assert not rare_are_loaded
    assert [found for found, _ in as_met] == [found for found, _ in opened("all", *groups)]
    assert len(as_met) == len(every) + 2


@pytest.mark.parametrize("store", [[], ["--no-store"]])
def test_a_rare_extension_is_met_as_a_common_one_is(
    batchcls: Callable[..., Result], tmp_path: Path, store: list[str]
) -> None:
    for name in ["a.JPG", "b.tiff", "c.txt", "d", "e.webp", "f.", "g.png", "h.pdf"]:
        Image.new("RGB", (20, 20)).save(tmp_path / "image.png")
        (tmp_path / "folder.1").mkdir(exist_ok=True)
        (tmp_path / "folder.1" / name).write_bytes((tmp_path / "image.png").read_bytes())
    for _ in range(2):
        result = batchcls("run", "folder.1", "-o", "-", "--model", "imagenet", *store)
        assert result.status == 0, result.err
        found = [line.partition(",")[0] for line in result.out.splitlines()[1:]]
        assert found == ["a.JPG", "b.tiff", "e.webp", "g.png"]


def test_what_pillow_only_writes_or_only_recognises_does_not_count() -> None:
    assert not {".pdf", ".palm", ".h5", ".hdf", ".grib", ".bufr", ".mpg"} & image_suffixes()


def test_installed_plugins_of_pillow_are_found_unasked() -> None:
    pytest.importorskip("pillow_heif")
    assert {".heic", ".heif"} <= image_suffixes()


def test_a_named_plugin_adds_its_extension_and_its_decoder(plugin: str, tmp_path: Path) -> None:
    assert ".onec" not in image_suffixes()
    suffixes = image_suffixes([plugin])
    assert ".onec" in suffixes
    path = tmp_path / "folder" / "a.ONEC"
    path.parent.mkdir()
    path.write_bytes(b"ONECOLOUR\x10\x20\x30")
    (found,) = scan([str(path.parent)], ScanRules(suffixes))
    assert (pixels(found.path) == [0x10, 0x20, 0x30]).all()


def test_a_run_uses_the_plugins_that_the_configuration_names(
    batchcls: Callable[..., Result], plugin: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.onec").write_bytes(b"ONECOLOUR\x10\x20\x30")
    (tmp_path / "config.toml").write_text(
        f"[decode]\npillow_plugins = ['{plugin}']\n", encoding="utf-8"
    )
    environment = {"PYTHONPATH": str(tmp_path)}
    result = batchcls("run", "folder", "-o", "-", "--model", "imagenet", **environment)
    assert result.status == 0, result.err
    assert result.out.splitlines()[1].startswith("a.onec,")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "No module named"),
        ("import a_module_that_is_missing", "a_module_that_is_missing"),
        ("this is no Python", "SyntaxError"),
        ("raise RuntimeError('the library is too old')", "the library is too old"),
    ],
)
def test_a_plugin_that_can_not_be_imported_is_named(
    content: str | None, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{abs(hash((content, tmp_path)))}"
    if content is not None:
        (tmp_path / f"{name}.py").write_text(content, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        register_plugins((name,))
    assert str(caught.value).startswith(f"decode -> pillow_plugins: {name}: ")
    assert part in caught.value.message


@pytest.mark.parametrize("name", ["", ".relative", "os.path.nothing"])
def test_a_plugin_name_that_is_none_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigError):
        image_suffixes([name])


@pytest.mark.parametrize("content", ["raise ImportError", "raise RuntimeError('too old')", ""])
def test_a_broken_plugin_that_nobody_asked_for_does_no_harm(content: str, tmp_path: Path) -> None:
    (tmp_path / "pillow_heif.py").write_text(content, encoding="utf-8")
    script = "from batchcls.imageformats import image_suffixes; print('.jpg' in image_suffixes())"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {script}", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_photographs_that_nothing_here_decodes_have_their_rows_all_the_same(batchcls, tmp_path):
    """As where pillow-heif isn't installed, which is an extra."""
    (tmp_path / "images").mkdir()
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)
    (tmp_path / "images/IMG_0001.HEIC").write_bytes(heic)
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'pillow_heif' else found(n, p)\n"
    )
    batchcls("run", "images", "-m", "imagenet", "-o", "r.csv", PYTHONPATH=os.fspath(tmp_path))
    [_, row] = (tmp_path / "r.csv").read_text().splitlines()
    assert row.startswith("images/IMG_0001.HEIC") or row.startswith("IMG_0001.HEIC")
    assert "pip install 'batchcls[heif]'" in row
