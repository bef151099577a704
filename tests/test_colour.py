"""Colour: every mode that a file can have → RGB as an image viewer shows it."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from batchcls import colour
from batchcls.colour import displayable, to_rgb
from tests.conftest import picture
from tests.images import chunk, cmyk_profile, pixels, png, saved, tiff

HALVES = {"width": 8}  # of the rows below, the left half is one colour and the right another


def halves(data: bytes, tmp_path: Path) -> tuple[list[int], list[int]]:
    """Decode a file; give the colours of its left and right halves."""
    path = tmp_path / "image"
    path.write_bytes(data)
    framed = pixels(path, 8)
    return framed[4, 0].tolist(), framed[4, 7].tolist()


def grey(*levels: int) -> tuple[list[int], ...]:
    return tuple([level] * 3 for level in levels)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"],
)
def test_every_mode_of_pillow_becomes_rgb(mode: str) -> None:
    via = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    image = Image.new("RGB", (6, 6), "white").convert(via).convert(mode)
    shown = to_rgb(displayable(image), b"")
    assert shown.mode == "RGB"
    assert np.asarray(shown).min() >= 254


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_16_bit_grey_spans_its_whole_range_in_any_byte_order(mode: str) -> None:
    order = ">" if mode.endswith("B") else "<"
    image = Image.frombytes(mode, (3, 1), struct.pack(order + "3H", 0, 0x8000, 0xFFFF))
    assert list(displayable(image).tobytes()) == [0, 128, 255]


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("I", [0, 100, 255], [0, 100, 255]),
        ("I", [-100, 0, 100], [0, 128, 255]),
        ("I", [0, 500, 1000], [0, 128, 255]),
        ("I", [0, 0, 0], [0, 0, 0]),
        ("I", [7000, 7000, 7000], [0, 0, 0]),
        ("F", [0.0, 0.5, 1.0], [0, 128, 255]),
        ("F", [0.0, 100.4, 255.0], [0, 100, 255]),
        ("F", [-1.0, 0.0, 1.0], [0, 128, 255]),
        ("F", [float("nan"), 500.0, 1000.0], [0, 0, 255]),
        ("F", [float("inf"), -10.0, 10.0], [255, 0, 255]),
        ("F", [float("nan"), float("inf"), float("-inf")], [0, 0, 0]),
        ("F", [-3e38, 0.0, 3e38], [0, 128, 255]),
        ("F", [-1e-45, 0.0, 0.0], [0, 255, 255]),
        ("F", [1e-45, 1e-44, 1.0], [0, 0, 255]),
        ("F", [1000.0, 1000.0, 1000.0], [0, 0, 0]),
    ],
)
def test_numbers_without_a_defined_white_are_shown(
    mode: str, values: list[float], expected: list[int]
) -> None:
    kind = np.int32 if mode == "I" else np.float32
    image = Image.fromarray(np.array([values], dtype=kind))
    assert image.mode == mode
    assert list(displayable(image).tobytes()) == expected


def all_at_once(image: Image.Image) -> Image.Image:
    """Do what :func:`displayable` does with grey of many bits, plainly, and with much memory."""
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(262) == 0
    samples = np.asarray(image)
    if image.mode.startswith("I;16"):
        samples = samples.astype(np.uint16)
        values = samples << 4 if tags.get(258) == (12,) else samples
        values = 65535 - values if inverted else values
        shown = Image.fromarray((values >> 8).astype(np.uint8))
        transparent = image.info.get("transparency")
        if transparent is None:
            return shown
        alpha = np.where(samples == transparent, 0, 255).astype(np.uint8)
        return Image.merge("LA", (shown, Image.fromarray(alpha)))
    if image.mode == "I" and tags.get(258) == (32,) and tags.get(339) in {(1,), None}:
        samples = samples.view(np.uint32)
    values = samples.astype(np.float32)
    seen = values[np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    if image.format in {"PNG", "PPM"} and image.mode == "I":
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    with np.errstate(over="ignore", invalid="ignore"):
        values -= low
        values *= 255.0 / (high - low) if high > low else 0.0
    np.nan_to_num(values, copy=False)
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    pixels = values.astype(np.uint8)
    return Image.fromarray(255 - pixels if inverted else pixels)


def many_numbers() -> list[np.ndarray]:
    random = np.random.default_rng(7)
    size = (23, 17)
    found: list[np.ndarray] = [np.full(size, value, np.float32) for value in (0, 1, 7e3, np.nan)]
    for low, high in ((0, 1), (0, 255), (-1, 1), (-3e38, 3e38), (0, 1e-44), (5e3, 5001)):
        values = random.uniform(low, high, size).astype(np.float32)
        found.append(values)
        for number, odd in enumerate((np.nan, np.inf, -np.inf)):
            values = values.copy()
            values[random.integers(0, size[0], 9), number::5][:, :2] = odd
            values[3 * number, :] = odd
            found.append(values)
    bounds = ((0, 1), (0, 256), (0, 65536), (-70000, 70000), (-(2**31), 2**31))
    found += [random.integers(low, high, size).astype(np.int32) for low, high in bounds]
    return found


@pytest.mark.parametrize("band", [1, 40, 100, 1 << 20])
@pytest.mark.parametrize("photometric", [None, 0])
def test_working_on_a_few_rows_at_a_time_changes_no_pixel(
    band: int, photometric: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colour, "_BAND", band)
    checked = 0
    for numbers in many_numbers():
        for bits, sample_format, format_name in (
            (None, None, "PNG"), ((32,), None, "TIFF"), ((32,), (1,), "TIFF"), ((32,), (2,), "TIFF")
        ):  # fmt: skip
            image: Any = Image.fromarray(numbers)
            image.tag_v2 = {258: bits, 339: sample_format, 262: photometric}
            image.format = format_name
            shown = displayable(image)
            assert shown.mode == "L"
            assert shown.tobytes() == all_at_once(image).tobytes()
            checked += 1
    for mode in ("I;16", "I;16L", "I;16B"):
        samples = np.random.default_rng(8).integers(0, 65536, (23, 17)).astype("<u2")
        for bits, transparent in ((None, None), ((12,), None), ((16,), 0), (None, samples[3, 3])):
            image = Image.frombytes(mode, (17, 23), samples.tobytes())
            image.tag_v2 = {258: bits, 262: photometric}
            if transparent is not None:
                there = int(np.asarray(image)[3, 3]) if transparent else 0
                image.info["transparency"] = there
            shown = displayable(image)
            assert shown.mode == ("L" if transparent is None else "LA")
            assert shown.tobytes() == all_at_once(image).tobytes()
            checked += 1
    assert checked > 120


@pytest.mark.parametrize("mode", ["F", "I", "I;16"])
def test_grey_of_many_bits_takes_little_memory_besides_the_image(mode: str) -> None:
    image = Image.new(mode, (4000, 4000))
    tracemalloc.start()
    displayable(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000, "numpy's arrays; all samples at once would be several times 64 MB"


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (png(16, 0, struct.pack(">8H", *[0x8000] * 4, *[0xFFFF] * 4), **HALVES), 128, 255),
        (tiff(16, struct.pack("<8H", *[0] * 4, *[0xFFFF] * 4) * 8), 0, 255),
        (tiff(16, struct.pack(">8H", *[0] * 4, *[0xFFFF] * 4) * 8, order=">"), 0, 255),
        (tiff(12, (b"\0" * 6 + b"\xff" * 6) * 8), 0, 255),
        (tiff(16, struct.pack("<8h", *[-300] * 4, *[300] * 4) * 8, sample_format=2), 0, 255),
        (tiff(32, struct.pack("<8I", *[0] * 4, *[2**32 - 1] * 4) * 8), 0, 255),
        (tiff(32, struct.pack("<8f", *[0.0] * 4, *[1.0] * 4) * 8, sample_format=3), 0, 255),
        (tiff(32, struct.pack(">8f", *[0] * 4, *[1] * 4) * 8, sample_format=3, order=">"), 0, 255),
        (tiff(1, b"\x0f" * 8), 0, 255),
        (tiff(4, b"\0\0\xff\xff" * 8), 0, 255),
        (b"P5 8 8 1023\n" + struct.pack(">8H", *[0] * 4, *[1023] * 4) * 8, 0, 255),
        (b"P5 8 8 65535\n" + struct.pack(">8H", *[0] * 4, *[257] * 4) * 8, 0, 1),
        (b"Pf\n8 8\n-1.0\n" + struct.pack("<8f", *[0.0] * 4, *[1.0] * 4) * 8, 0, 255),
    ],
    ids=[
        "png-16", "tiff-16", "tiff-16-big-endian", "tiff-12", "tiff-16-signed", "tiff-32-unsigned",
        "tiff-float", "tiff-float-big-endian", "tiff-1", "tiff-4", "pgm-10", "pgm-16-dark", "pfm",
    ],
)  # fmt: skip
def test_grey_files_of_any_depth(data: bytes, left: int, right: int, tmp_path: Path) -> None:
    assert halves(data, tmp_path) == grey(left, right)


@pytest.mark.parametrize(
    ("bits", "data"),
    [
        (1, b"\x0f" * 8),
        (4, b"\0\0\xff\xff" * 8),
        (8, (b"\0" * 4 + b"\xff" * 4) * 8),
        (16, struct.pack("<8H", *[0] * 4, *[0xFFFF] * 4) * 8),
        (32, struct.pack("<8f", *[0.0] * 4, *[1.0] * 4) * 8),
    ],
)
def test_a_tiff_whose_white_is_zero(bits: int, data: bytes, tmp_path: Path) -> None:
    kind = 3 if bits == 32 else 1
    assert halves(tiff(bits, data, photometric=0, sample_format=kind), tmp_path) == grey(255, 0)


@pytest.mark.parametrize("extra", [1, 2])
def test_a_grey_tiff_with_alpha(extra: int, tmp_path: Path) -> None:
    """Extra samples of type 1 are premultiplied, which Pillow calls La; of type 2 are not."""
    if extra == 1 and int(Image.__version__.split(".")[0]) < 13:
        pytest.skip("this Pillow does not read it")
    row = b"\x64\xff" * 4 + b"\0\0" * 4
    data = tiff(8, row * 8, samples=2, tags=[(338, 3, extra)])
    assert halves(data, tmp_path) == grey(100, 255)


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key"),
    [
        (1, 0, b"\x0f", b"\0\1"),
        (2, 0, b"\0\x55", b"\0\1"),
        (4, 0, b"\0\0\x33\x33", b"\0\3"),
        (8, 0, b"\0" * 4 + b"\x07" * 4, b"\0\7"),
        (16, 0, b"\0\0" * 4 + b"\x12\x34" * 4, b"\x12\x34"),
        (8, 2, b"\0\0\0" * 4 + b"\1\2\3" * 4, b"\0\1\0\2\0\3"),
        (16, 2, b"\0" * 24 + b"\1\2\3\4\5\6" * 4, b"\1\2\3\4\5\6"),
    ],
    ids=["grey-1", "grey-2", "grey-4", "grey-8", "grey-16", "rgb-8", "rgb-16"],
)
def test_the_transparent_colour_of_a_png_is_laid_on_white(
    depth: int, colour: int, row: bytes, key: bytes, tmp_path: Path
) -> None:
    data = png(depth, colour, row, chunks=chunk(b"tRNS", key), **HALVES)
    assert halves(data, tmp_path) == grey(0, 255)


def test_a_palette_with_half_and_wholly_transparent_colours(tmp_path: Path) -> None:
    palette = chunk(b"PLTE", bytes([200, 0, 0, 0, 200, 0]))
    row = b"\0" * 4 + b"\1" * 4
    data = png(8, 3, row, chunks=palette + chunk(b"tRNS", b"\x80\0"), **HALVES)
    left, right = halves(data, tmp_path)
    assert left == pytest.approx([227, 127, 127], abs=1)
    assert right == [255, 255, 255]
    data = png(8, 3, row, chunks=palette + chunk(b"tRNS", b"\xff\0"), **HALVES)
    assert halves(data, tmp_path) == ([200, 0, 0], [255, 255, 255])


def test_a_broken_transparent_colour_does_not_cost_the_image() -> None:
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    image.info["transparency"] = b"\0"
    assert to_rgb(displayable(image), b"").getpixel((0, 0)) == (1, 2, 3)
    image = image.convert("L")
    image.info["transparency"] = (1, 2, 3, 4, 5)
    assert displayable(image).mode == "L"


def test_cmyk_ink_becomes_the_colour_it_prints(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    image.paste((0, 0, 0, 255), (4, 0, 8, 8))
    for format_name in ("TIFF", "JPEG"):
        left, right = halves(saved(image, format_name), tmp_path)
        assert left == pytest.approx([255, 0, 0], abs=6), format_name
        assert right == pytest.approx([0, 0, 0], abs=6), format_name


def test_an_embedded_profile_decides_what_cmyk_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    image.paste((0, 0, 0, 0), (4, 0, 8, 8))
    image.save(path, icc_profile=cmyk_profile(cyan=(128, 208, 168)))  # a dull red
    framed = pixels(path, 8)
    red, green, blue = framed[4, 0].tolist()
    assert red > 150
    assert max(green, blue) < 90
    assert framed[4, 7].min() >= 254


@pytest.mark.parametrize(
    "profile", [b"broken", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_a_profile_that_is_broken_or_for_something_else_is_left_out(
    profile: bytes, tmp_path: Path
) -> None:
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    plain = halves(saved(image, "TIFF"), tmp_path)
    assert halves(saved(image, "TIFF", icc_profile=profile), tmp_path) == plain


def test_lab_and_ycbcr_and_hsv_look_like_the_rgb_they_were_made_from() -> None:
    image = picture(5)
    for mode, tolerance in (("LAB", 4), ("YCbCr", 2), ("HSV", 4)):
        shown = to_rgb(displayable(image.convert(mode)), b"")
        difference = np.asarray(shown).astype(int) - np.asarray(image)
        assert np.abs(difference).mean() < tolerance, mode
