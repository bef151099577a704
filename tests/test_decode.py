"""Decode: whatever lies in a folder gives a picture, or one line that says why not."""

from __future__ import annotations

import gc
import io
import os
import platform
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, features

from batchcls import postscript, reading
from batchcls.colour import displayable
from batchcls.decode import Decoder
from batchcls.errors import DecodeError
from batchcls.framing import Framing, frame
from batchcls.imageformats import register_plugins
from tests.conftest import fuzzed, picture
from tests.images import SIZE, chunk, huge_png, photo, pixels, saved, tiff, unprivileged

register_plugins()
PILLOW = tuple(int(part) for part in Image.__version__.split(".")[:2])
# Pillow writes these, yet reads none of them without a library of its own.
NOT_READ = {"PDF", "PALM", "BUFR", "GRIB", "HDF5", "WMF", "EPS"}
BEST = {
    "WEBP": {"lossless": True},
    "MPO": {"quality": 95},
    "JPEG": {"quality": 95},
    "HEIF": {"quality": 95, "chroma": 444},
}
TOLERANCE = {"JPEG": 2, "MPO": 2, "AVIF": 3, "HEIF": 4}  # mean difference; others are exact
GREY_ONLY = {"SPIDER"}


def reason(path: Path | str, **options: int) -> str:
    """Decode what can't be decoded; give the reason."""
    with pytest.raises(DecodeError) as caught:
        Decoder(**options).decode(os.fspath(path))
    return checked(str(caught.value))


def checked(text: str) -> str:
    assert text
    assert text.isprintable(), "one line, and nothing that would upset a terminal"
    assert len(text) <= 300
    return text


def sample(mode: str) -> Image.Image:
    """Give a picture in a mode, its first quarter transparent where the mode can say so."""
    image = picture(1, (SIZE, SIZE))
    if mode in {"LA", "RGBA", "PA"}:
        image.putalpha(255)
        image.paste((0, 0, 0, 0), (0, 0, SIZE // 2, SIZE // 2))
        return image.convert(mode)
    if mode.startswith("I;16"):
        samples = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.frombytes(mode, image.size, samples.tobytes())
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)
    return image.convert(mode)


def looks(image: Image.Image) -> np.ndarray:
    """Say what a viewer shows of what :func:`sample` gave."""
    if image.mode in {"I;16", "F"}:
        image = picture(1, (SIZE, SIZE)).convert("L")
    if image.mode in {"LA", "RGBA", "PA"}:
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), above)
    return np.asarray(image.convert("RGB")).astype(int)


def combinations() -> list[tuple[str, str]]:
    """Find what Pillow and its plugins can write: format and mode, less what loses the colours."""
    found = []
    for format_name in sorted(set(Image.SAVE) - NOT_READ):
        for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F"):
            grey = {"1", "L", "F"}
            if mode == "F" and format_name not in {"TIFF", "PPM", "IM", "SPIDER"}:
                continue  # written after a conversion that clips
            if mode == "I;16" and format_name in {"GIF", "WEBP", "AVIF", "SPIDER"}:
                continue  # the same
            if format_name in GREY_ONLY and mode not in grey:
                continue
            if (format_name, mode) in {
                ("GIF", "LA"), ("GIF", "PA"), ("GIF", "RGB"), ("GIF", "RGBA"),  # few colours
                ("BMP", "RGBA"), ("DIB", "RGBA"), ("PPM", "RGBA"),  # without the transparency
                ("ICNS", "1"), ("ICNS", "P"), ("AVIF", "P"), ("AVIF", "PA"), ("HEIF", "P"),
            }:  # fmt: skip
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    saved(sample(mode), format_name, **BEST.get(format_name, {}))
                except (OSError, ValueError, KeyError, TypeError, SystemError):
                    continue
                if (format_name, mode) == ("TIFF", "YCbCr") and PILLOW < (13, 0):
                    continue  # these versions write it truncated
            found.append((format_name, mode))
    return found


COMBINATIONS = combinations()


def test_pillow_writes_as_many_formats_as_expected() -> None:
    assert len({name for name, _ in COMBINATIONS}) >= 19
    assert len(COMBINATIONS) >= 75


@pytest.mark.parametrize(("format_name", "mode"), COMBINATIONS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of writing the format IM
def test_what_pillow_writes_is_read_as_it_looks(
    format_name: str, mode: str, tmp_path: Path
) -> None:
    image = sample(mode)
    path = tmp_path / "image.jpg"  # the name says nothing
    path.write_bytes(saved(image, format_name, **BEST.get(format_name, {})))
    if format_name == "ICNS":  # it holds the picture at eight sizes, the largest of 1,024 pixels
        assert np.abs(pixels(path) - looks(image)).mean() < 3
        return
    difference = np.abs(pixels(path) - looks(image))
    assert difference.mean() <= TOLERANCE.get(format_name, 0)


@pytest.mark.parametrize(
    "format_name", [name for name in sorted({name for name, _ in COMBINATIONS}) if name != "ICNS"]
)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of writing the format IM
def test_a_truncated_file_is_never_scored(format_name: str, share: float, tmp_path: Path) -> None:
    if format_name == "DDS" and PILLOW < (12, 1):
        pytest.skip("this Pillow does not notice")
    modes = [mode for name, mode in COMBINATIONS if name == format_name]
    image = sample("RGB" if "RGB" in modes else modes[0])
    data = saved(image, format_name, **BEST.get(format_name, {}))
    path = tmp_path / "image"
    path.write_bytes(data[: int(len(data) * share)])
    reason(path)


def test_a_png_with_transparency_that_is_named_jpg(tutorial: Path) -> None:
    framed = pixels(tutorial / "broccoli2.jpg", 200)
    assert framed[0, 0].tolist() == [255, 255, 255]
    assert framed.min() < 60


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_frame_of_several_is_shown(format_name: str, tmp_path: Path) -> None:
    if format_name == "MPO" and PILLOW < (12, 0):
        pytest.skip("this Pillow writes it broken")
    frames = [Image.new("RGB", (SIZE, SIZE), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "image"
    path.write_bytes(saved(frames[0], format_name, save_all=True, append_images=frames[1:]))
    assert np.abs(pixels(path) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP"])
def test_a_transparent_first_frame_is_white(format_name: str, tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (SIZE, SIZE), (9, 9, 9, 0)), Image.new("RGBA", (SIZE, SIZE), "red")]
    frames[0].paste("red", (0, 0, 9, 9))
    frames[0].paste("red", (39, 39, 48, 48))
    path = tmp_path / "image"
    path.write_bytes(saved(frames[0], format_name, save_all=True, append_images=frames[1:]))
    framed = pixels(path)
    assert framed[4, 4] == pytest.approx([255, 0, 0], abs=3)
    assert framed[30, 30].tolist() == [255, 255, 255]


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4"])
def test_a_compressed_tiff(compression: str, tmp_path: Path) -> None:
    if not features.check("libtiff"):
        pytest.skip("this Pillow lacks libtiff")
    image = sample("1" if compression == "group4" else "RGB")
    path = tmp_path / "a.tif"
    image.save(path, compression=compression)
    assert np.abs(pixels(path) - looks(image)).mean() < (3 if compression == "jpeg" else 0.01)


@pytest.mark.parametrize("format_name", ["ICO", "ICNS"])
@pytest.mark.parametrize("transparency", [None, 0])
def test_a_palette_png_inside_an_icon(
    format_name: str, transparency: int | None, tmp_path: Path
) -> None:
    image = Image.new("RGB", (64, 64), (200, 30, 60))
    image.paste((10, 200, 30), (32, 0, 64, 64))
    image = image.quantize(2)
    options = {} if transparency is None else {"transparency": image.getpixel((0, 0))}
    inner = saved(image, "PNG", **options)
    header = {
        "ICO": b"\0\0\1\0\1\0" + b"\x40\x40\0\0\1\0\x08\0" + _little(len(inner)) + _little(22),
        "ICNS": b"icns" + _big(len(inner) + 16) + b"icp6" + _big(len(inner) + 8),
    }[format_name]
    path = tmp_path / "icon"
    path.write_bytes(header + inner)
    framed = pixels(path)
    left = [200, 30, 60] if transparency is None else [255, 255, 255]
    assert framed[24, 3] == pytest.approx(left, abs=2)
    assert framed[24, 44] == pytest.approx([10, 200, 30], abs=2)


def _little(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _big(number: int) -> bytes:
    return number.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (
            b'/* XPM */\nstatic char *a[] = {\n"2 2 1 1",\n"a c #FF8000",\n"aa",\n"aa"\n};\n',
            (255, 128, 0),
        ),
        (b"P3 2 1 255\n255 128 0 255 128 0\n", (255, 128, 0)),
        (b"P1 2 1\n1 1\n", (0, 0, 0)),
        (b"\x59\xa6\x6a\x95" + b"".join(map(_big, (2, 1, 24, 6, 1, 0, 0))) + b"\0\x80\xff" * 2,
         (255, 128, 0)),
        (
            b"8BPS\0\1" + bytes(6) + b"\0\3" + _big(1) + _big(2) + b"\0\x08\0\3"
            + bytes(12) + b"\0\0" + b"\xff\xff\x80\x80\0\0",
            (255, 128, 0),
        ),
    ],
    ids=["xpm", "ppm-text", "pbm-text", "sun", "psd"],
)  # fmt: skip
def test_formats_that_pillow_only_reads(
    data: bytes, colour: tuple[int, int, int], tmp_path: Path
) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    assert (pixels(path, 4) == colour).all()


def test_heif_images_are_read_where_pillow_heif_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    image = picture(2, (90, 60))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "IMG_0001.jpg"
    pillow_heif.from_pillow(image.transpose(Image.Transpose.ROTATE_90)).save(
        path, quality=95, chroma=444, exif=exif.tobytes()
    )
    expected = frame(Decoder().decode(_png(image, tmp_path)), Framing.SQUARE, 60).astype(int)
    found = frame(Decoder().decode(os.fspath(path)), Framing.SQUARE, 60)
    assert np.abs(expected - found).mean() < 4


def _png(image: Image.Image, folder: Path) -> str:
    path = folder / "expected.png"
    image.save(path)
    return os.fspath(path)


# ---- Whatever else lies in a folder ----


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "an empty file"),
        (b"Dear diary,\n" * 50, "not an image"),
        (b"\0" * 5000, "not an image"),
        (saved(picture(), "JPEG")[:30], "runcated"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "damaged JPEG"),
        (saved(photo(400, 300), "JPEG")[:4000], "truncated"),
        (saved(picture(), "PNG")[:20], "runcated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "damaged PNG"),
        (saved(picture(), "GIF")[:9], "damaged GIF"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "not an image"),
        (b"\0\0\0\x18ftypheic" + bytes(90), "pillow-heif"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "HDF5"),
        (b"%PDF-1.7\n", "not an image"),
        (huge_png(), "too large: 3,600,000,000 pixels, more than 250,000,000 pixels"),
        (huge_png(20_000, 12_501), "too large: "),
        (huge_png(60_000, 1), "truncated"),
    ],
)
def test_the_reason_says_what_is_wrong(data: bytes, part: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    assert part in reason(path)


def test_a_file_that_is_not_there_has_its_reason(tmp_path: Path) -> None:
    assert "vanished" in reason(tmp_path / "x.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    assert "dangling link" in reason(tmp_path / "dangling.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert "leads back to itself" in reason(tmp_path / "loop.jpg")
    (tmp_path / "file").write_bytes(b"")
    assert "no such file" in reason(tmp_path / "file" / "x.jpg")
    assert "too long" in reason(tmp_path / ("x" * 300 + ".jpg"))
    reason("nul\0.jpg")
    reason("surrogate\ud800.jpg")


def test_what_is_no_regular_file_has_its_reason_and_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("folder.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")  # relative, as such a path may not be long
        start = time.monotonic()
        before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        assert reason(tmp_path / "folder.jpg") == "a folder, not an image file"
        assert reason(tmp_path / "link.jpg") == "a folder, not an image file"
        assert "a named pipe" in reason(tmp_path / "pipe.jpg")
        assert "a device" in reason(tmp_path / "device.jpg")
        assert "a socket" in reason(tmp_path / "socket.jpg")
        if before:
            assert len(os.listdir("/proc/self/fd")) == len(before)
        assert time.monotonic() - start < 30


def test_a_file_that_may_not_be_read_has_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    picture().save(path)
    path.chmod(0)
    script = (
        "import sys\n"
        "from batchcls.decode import Decoder, DecodeError\n"
        "try: Decoder().decode(sys.argv[1])\n"
        "except DecodeError as error: print(error)\n"
    )
    assert unprivileged(script, path) == "permission denied\n"


def test_a_name_that_is_not_utf8_is_no_hindrance(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9 \n\x1b[31m.png"
    try:
        with open(path, "wb") as file:
            picture().save(file, "PNG")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert Decoder().decode(os.fsdecode(path)).image.size == (64, 48)


def test_the_limit_on_pixels_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (3000, 2000)).save(path)
    assert reason(path, max_pixels=5_999_999) == (
        "too large: 3000 x 2000, more than 5,999,999 pixels (decode.max_pixels)"
    )
    tracemalloc.start()
    reason(path, max_pixels=1000)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert Decoder(6_000_000).decode(os.fspath(path)).image.size == (3000, 2000)


def test_a_jpeg_is_measured_at_its_full_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (4096, 4096)).save(path)
    assert "4096 x 4096" in reason(path, max_pixels=16_000_000)


def test_a_large_limit_is_not_undone_by_pillow(tmp_path: Path) -> None:
    """Pillow warns of more than 89 and refuses more than 179 million pixels."""
    script = (
        "import sys, io\n"
        "from PIL import Image\n"
        "from batchcls.decode import Decoder, DecodeError\n"
        "for limit in (250_000_000, 400_000_000):\n"
        "    for path in sys.argv[1:]:\n"
        "        try: print(Decoder(limit).decode(path).image.size)\n"
        "        except DecodeError as error: print(error)\n"
    )
    paths = []
    for width in (2000, 24_000, 30_000):  # of 10,000 rows: 20, 240 and 300 million pixels
        path = tmp_path / f"{width}.png"
        Image.new("1", (width, 10_000)).save(path, compress_level=1)
        paths.append(path)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script, *paths],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(2000, 10000)",
        "(24000, 10000)",
        "too large: 300,000,000 pixels, more than 250,000,000 pixels (decode.max_pixels)",
        "(2000, 10000)",
        "(24000, 10000)",
        "(30000, 10000)",
    ]


@pytest.mark.parametrize("format_name", ["ICO", "ICNS"])
def test_the_limit_holds_for_an_image_inside_an_image(format_name: str, tmp_path: Path) -> None:
    inner = huge_png(17_000, 17_000)
    header = {
        "ICO": b"\0\0\1\0\1\0" + b"\0\0\0\0\1\0\x18\0" + _little(len(inner)) + _little(22),
        "ICNS": b"icns" + _big(len(inner) + 16) + b"ic08" + _big(len(inner) + 8),
    }[format_name]
    path = tmp_path / "icon"
    path.write_bytes(header + inner)
    assert "too large: 289,000,000 pixels" in reason(path)


def test_nothing_is_said_on_standard_error_whatever_the_files_are(tmp_path: Path) -> None:
    """Warnings, the logging module, and the C libraries would all end in cron's mail."""
    picture().save(tmp_path / "odd-exif.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 9)
    for number, (name, mode) in enumerate(COMBINATIONS):
        if name == "AVIF" and PILLOW < (13, 0):
            continue  # the decoder within prints, and can't be told not to
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = saved(sample(mode), name, **BEST.get(name, {}))
        (tmp_path / f"{number}.whole").write_bytes(data)
        (tmp_path / f"{number}.cut").write_bytes(data[: len(data) // 2])
        middle = len(data) // 2
        (tmp_path / f"{number}.bad").write_bytes(
            data[:middle] + b"\xff\0" * 8 + data[middle + 16 :]
        )
    tif = saved(picture(), "TIFF", compression="tiff_lzw") if features.check("libtiff") else b""
    (tmp_path / "cut.tif").write_bytes(tif[: len(tif) // 2])
    (tmp_path / "codes.tif").write_bytes(tif[:500] + bytes(range(256)) + tif[756:])
    samples = tif.replace(b"\x15\x01\x03\0\x01\0\0\0\x03\0", b"\x15\x01\x03\0\x01\0\0\0\x63\0")
    (tmp_path / "99-samples.tif").write_bytes(samples)
    script = (
        "import os, sys\n"
        "from batchcls.decode import Decoder, DecodeError\n"
        "decoder = Decoder()\n"
        "for name in sorted(os.listdir(sys.argv[1])):\n"
        "    try: decoder.decode(os.path.join(sys.argv[1], name))\n"
        "    except DecodeError as error: print(name, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", script, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) > len(COMBINATIONS) / 2


def test_the_same_file_from_many_threads_gives_the_same_pixels(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "c.gif", tmp_path / "d.tif"]
    for number, path in enumerate(paths):
        photo(1300 + number, 1200).save(path)
    decoder = Decoder()

    def work(number: int) -> bytes:
        return frame(
            decoder.decode(os.fspath(paths[number % len(paths)])), Framing.CROP, 224
        ).tobytes()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(work, range(40)))
    for kind in range(len(paths)):
        assert len(set(found[kind :: len(paths)])) == 1


def test_a_decoded_picture_needs_its_file_no_more(tmp_path: Path) -> None:
    for name, mode in COMBINATIONS:
        path = tmp_path / "image"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path.write_bytes(saved(sample(mode), name, **BEST.get(name, {})))
            decoded = Decoder().decode(os.fspath(path))
        path.unlink()
        assert decoded.image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"}
        frame(decoded, Framing.CROP, 32)


def test_a_decoder_of_a_plugin_that_breaks_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder written in Rust panics with what is no Exception."""

    class Panic(BaseException):
        pass

    def broken(file: io.BytesIO, name: str) -> None:
        raise {b"P": Panic, b"R": RecursionError, b"M": MemoryError, b"I": KeyboardInterrupt}[
            file.read(6)[5:]
        ]

    def accept(prefix: bytes) -> bool:
        return prefix.startswith(b"PANIC")

    monkeypatch.setattr(Image, "ID", [*Image.ID, "PANIC"])
    monkeypatch.setitem(Image.OPEN, "PANIC", (broken, accept))
    path = tmp_path / "x.jpg"
    path.write_bytes(b"PANICP")
    assert reason(path) == "can't be decoded: Panic"
    path.write_bytes(b"PANICR")
    assert reason(path) == "can't be decoded: RecursionError"
    path.write_bytes(b"PANICM")
    assert reason(path) == "not enough memory to decode it"
    path.write_bytes(b"PANICI")
    with pytest.raises(KeyboardInterrupt):
        Decoder().decode(os.fspath(path))


# ---- What Pillow would take for a whole image ----


def rows_png(rows: int, size: tuple[int, int], **options: Any) -> bytes:
    """Give a grey PNG whose pixels end well after some rows."""
    header = struct.pack(">IIBBBBB", *size, 8, options.get("colour", 0), 0, 0, 0)
    row = b"\0" + bytes([200]) * size[0] * (3 if options.get("colour") else 1)
    packed = zlib.compress(row * rows + options.get("more", b""))
    pieces = [packed[place : place + 40] for place in range(0, len(packed), 40)]
    body = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_png_whose_second_half_is_zeros_is_never_scored(
    in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a power cut leaves it: the system had not yet written the rest."""
    if not in_memory:
        monkeypatch.setattr(reading, "IN_MEMORY", 0)
    path = tmp_path / "a.png"
    for mode in ("L", "RGB", "P", "I;16"):
        image = picture(3, (300, 200)).convert("L" if mode == "I;16" else mode)
        data = saved(image.convert(mode), "PNG")
        for share in (0.5, 0.9, 0.99):
            start = int(len(data) * share)
            path.write_bytes(data[:start].ljust(len(data), b"\0"))
            with (
                reading.opened(os.fspath(path), 1 << 30) as content,
                pytest.raises(
                    DecodeError, match=r"^damaged: the checksum of a part of it \(IDAT\) is wrong$"
                ) as caught,
            ):
                Decoder().decode_file(content.file, os.fspath(path))
            assert caught.value.lasting


def test_a_png_that_is_cut_before_its_checksum_is_never_scored(tmp_path: Path) -> None:
    data = saved(picture(3, (300, 200)), "PNG")
    path = tmp_path / "a.png"
    for missing in (13, 15, 16):
        path.write_bytes(data[:-missing])
        assert reason(path) == "truncated: a part of it (IDAT) is cut off"


def test_what_says_nothing_of_the_pixels_of_a_png_may_be_damaged(tmp_path: Path) -> None:
    data = saved(picture(3, (30, 20)), "PNG")
    frames = [picture(3, (30, 20)), picture(4, (30, 20))]
    animated = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    place = animated.index(b"fdAT") + 10
    text = chunk(b"tEXt", b"Comment\0hello")[:-4] + b"oops"
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expected = pixels(path)
    for name, other in {
        "no end": data[:-12],
        "an end cut off": data[:-1],
        "an end with a wrong checksum": data[:-4] + b"oops",
        "something behind the end": data + b"IDAT" * 100,
        "another image behind the end": data + data[:-20],
        "a comment with a wrong checksum": data[:-12] + text + data[-12:],
        "a second frame with a wrong checksum": animated[:place] + b"??" + animated[place + 2 :],
    }.items():
        path.write_bytes(other)
        assert (pixels(path) == expected).all(), name


@pytest.mark.parametrize("colour", [0, 2])
@pytest.mark.parametrize("size", [(40, 30), (1, 2), (1, 300), (300, 1)])
def test_a_png_that_ends_well_but_too_soon_is_never_scored(
    colour: int, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    for rows in {0, size[1] // 2, size[1] - 1}:
        path.write_bytes(rows_png(rows, size, colour=colour))
        assert "truncated" in reason(path)
        path.write_bytes(rows_png(rows, size, colour=colour, more=b"\0"))
        assert "truncated" in reason(path)
    path.write_bytes(rows_png(size[1], size, colour=colour))
    assert (pixels(path) == 200).all()
    path.write_bytes(rows_png(size[1] + 9, size, colour=colour))
    assert (pixels(path) == 200).all()


@pytest.mark.parametrize("size", [(9, 9), (9, 8), (8, 1), (1, 1), (1, 2), (5, 3)])
def test_an_interlaced_png_that_ends_too_soon_is_never_scored(
    size: tuple[int, int], tmp_path: Path
) -> None:
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    whole = np.full(size[::-1], 200, np.uint8)
    rows: list[bytes] = []
    for left, top, right, down in [*steps, (0, 1, 1, 2)]:
        part = whole[top::down, left::right]
        rows += [b"\0" + row.tobytes() for row in part if row.size]
    path = tmp_path / "a.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 1))
    for count in range(len(rows) + 1):
        body = chunk(b"IDAT", zlib.compress(b"".join(rows[:count]))) + chunk(b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
        if count < len(rows):
            assert "truncated" in reason(path)
        else:
            assert (pixels(path) == 200).all()


def test_every_kind_of_png_shows_what_pillow_shows(tmp_path: Path) -> None:
    """The check for missing rows leaves nothing behind, neither in the pixels nor the palette."""
    path = tmp_path / "a.png"
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        for size in ((31, 17), (1, 1), (1, 50), (50, 1)):
            image = (
                sample(mode).resize(size) if mode != "I;16" else sample(mode).crop((0, 0, *size))
            )
            image.save(path)
            with Image.open(path) as plain:
                expected = displayable(plain.copy())
            decoded = Decoder().decode(os.fspath(path))
            assert decoded.image.mode == expected.mode
            assert decoded.image.convert("RGBA").tobytes() == expected.convert("RGBA").tobytes()


def test_a_png_leaves_no_cycle_that_would_keep_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(Decoder().decode(os.fspath(path)).image)
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F"])
def test_a_tiff_that_lacks_strips_is_never_scored(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    sample(mode).save(path, tiffinfo={278: 16})
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {struct.unpack_from("<H", data, start + 2 + 12 * n)[0]: n for n in range(count)}
    at = start + 2 + 12 * entries[257] + 8
    for height in (SIZE + 1, 10 * SIZE):
        struct.pack_into("<I", data, at, height)  # its type is a short or a long one
        path.write_bytes(data)
        assert reason(path) == "truncated: it has fewer strips or tiles than its size needs"
    struct.pack_into("<I", data, at, SIZE // 2)
    path.write_bytes(data)
    assert Decoder().decode(os.fspath(path)).image.size == (SIZE, SIZE // 2)


def test_a_tiff_that_lacks_planes_or_tiles_is_never_scored(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    grey = bytes(range(64))
    path.write_bytes(tiff(8, grey, tags=[(284, 3, 2)]))  # of one plane, which is there
    assert Decoder().decode(os.fspath(path)).image.size == (8, 8)
    sample("RGB").save(path)
    one, another = (struct.pack("<HHIHH", 284, 3, 1, planes, 0) for planes in (1, 2))
    data = path.read_bytes()
    assert one in data
    path.write_bytes(data.replace(one, another))
    assert "fewer strips or tiles" in reason(path)
    for rows in (1, 4, 7):
        data = tiff(8, grey)
        whole = struct.pack("<HHIHH", 278, 3, 1, 8, 0)
        assert whole in data
        path.write_bytes(data.replace(whole, struct.pack("<HHIHH", 278, 3, 1, rows, 0)))
        assert "fewer strips or tiles" in reason(path)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_decoder_that_closes_its_file_is_no_hindrance(
    in_memory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's for FTEX does, and then asks the next one to try."""
    if not in_memory:
        monkeypatch.setattr(reading, "IN_MEMORY", 0)
    path = tmp_path / "a.ftu"

    def texture(width: int, height: int) -> bytes:
        head = struct.pack("<4s7i", b"FTEX", 0, width, height, 1, 1, 1, 32)
        return head + struct.pack("<i", 3 * 8 * 8) + b"\xff\x80\0" * 64

    path.write_bytes(texture(8, 8))
    with reading.opened(os.fspath(path), 1 << 30) as content:
        decoded = Decoder().decode_file(content.file, os.fspath(path))
    assert decoded.image.getpixel((7, 7)) == (255, 128, 0)
    for size in ((8, 0), (0, 8)):
        path.write_bytes(texture(*size))
        with (
            reading.opened(os.fspath(path), 1 << 30) as content,
            pytest.raises(DecodeError, match=r"^a damaged image$"),
        ):
            Decoder().decode_file(content.file, os.fspath(path))


def test_the_memory_of_large_images_is_given_back() -> None:
    """By itself, glibc keeps for the next one what it once gave back."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("needs glibc")
    script = (
        "import ctypes\n"
        "from batchcls.decode import Decoder\n"
        "Decoder()\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype = ctypes.c_void_p\n"
        "libc.malloc.argtypes = [ctypes.c_size_t]\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "libc.free(libc.malloc(30_000_000))\n"
        "print({libc.malloc(2_000_000 + 48 * n) % 4096 for n in range(20)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{16}\n", "each is mapped on its own, behind the 16 bytes of a header"


# ---- PostScript ----

EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 10 20 50 60\n%%EndComments\n"
    b"1 0 0 setrgbcolor 10 20 40 40 rectfill (noise) print showpage\n%%EOF\n"
)


def test_an_eps_file_without_ghostscript_has_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    path = tmp_path / "a.eps"
    path.write_bytes(EPS)
    assert "Ghostscript" in reason(path)


def test_an_eps_file_is_drawn_by_ghostscript(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if not any(os.access(os.path.join(folder, "gs"), os.X_OK) for folder in os.get_exec_path()):
        pytest.skip("needs Ghostscript")
    path = tmp_path / "-a.jpg"
    path.write_bytes(EPS)
    assert (pixels(path) == [255, 0, 0]).all()
    path.write_bytes(EPS.replace(b"1 0 0", b"undefined"))
    assert "Ghostscript fails" in reason(path)
    assert capfd.readouterr() == ("", "")


def test_a_ghostscript_that_fails_or_never_ends_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.eps"
    path.write_bytes(EPS)
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(postscript, "TIME_LIMIT", 0.5)
    for script, part in {
        "echo noise; echo noise >&2; exit 3": "Ghostscript fails (3)",
        "exec sleep 60": "took longer",
        "exit 0": "Ghostscript drew nothing",
    }.items():
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        program.chmod(0o755)
        assert part in reason(path)
    path.write_bytes(EPS.replace(b"10 20 50 60", b"0 0 90000 90000"))
    assert "too large" in reason(path)
    path.write_bytes(EPS.replace(b"10 20 50 60", b"10 20 10 20"))
    assert reason(path)
    assert capfd.readouterr() == ("", "")


# ---- Anything at all ----

VALID = [
    saved(sample(mode), name, **BEST.get(name, {}))
    for name, mode in [
        ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"),
        ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "F"), ("BMP", "RGB"), ("PPM", "RGB"),
        ("WEBP", "RGBA"), ("TGA", "RGB"), ("PCX", "RGB"), ("SGI", "RGB"), ("ICO", "RGBA"),
        ("DDS", "RGBA"), ("JPEG2000", "RGB"), ("AVIF", "RGB"), ("HEIF", "RGB"), ("MPO", "RGB"),
    ]
    if (name, mode) in COMBINATIONS
]  # fmt: skip
if features.check("libtiff"):
    VALID.append(saved(sample("RGB"), "TIFF", compression="tiff_lzw"))


@given(
    start=st.sampled_from(range(len(VALID))),
    seed=st.integers(0, 2**32 - 1),
    changes=st.integers(0, 30),
    near=st.sampled_from([64, 512, 1 << 20]),
    keep=st.floats(0, 1),
)
@example(start=0, seed=0, changes=0, near=64, keep=1.0)
@fuzzed(300)
def test_a_mangled_file_gives_a_picture_or_a_reason(
    start: int, seed: int, changes: int, near: int, keep: float
) -> None:
    data = bytearray(VALID[start])
    chance = random.Random(seed)
    for _ in range(changes):
        data[chance.randrange(min(near, len(data)))] = chance.choice([0, 1, 0x7F, 0xFF, seed % 256])
    if seed % 3 == 0:
        del data[int(len(data) * keep) :]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.jpg")
        Path(path).write_bytes(data)
        try:
            decoded = Decoder(10_000_000).decode(path)
        except DecodeError as error:
            checked(str(error))
            return
    assert decoded.orientation in range(1, 9)
    for framing in Framing:
        assert frame(decoded, framing, 32).shape == (32, 32, 3)
