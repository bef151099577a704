"""Framing: pictures of any shape → the square that the network sees."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchcls.decode import Decoder, Picture
from batchcls.framing import PAD_GREY, Framing, frame
from tests.conftest import picture
from tests.images import photo

TO_STORED = {  # what a camera does to an upright picture that it marks with this orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
FORMATS = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "MPO": {"quality": 95, "subsampling": 0},
}


def plain(image: Image.Image) -> Picture:
    return Picture(image, orientation=1, profile=b"")


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 1), (1, 5000), (5000, 1), (3, 1000), (224, 224), (225, 223), (223, 224)]
)
@pytest.mark.parametrize("size", [224, 161])
def test_any_shape_becomes_the_square(framing: Framing, shape: tuple[int, int], size: int) -> None:
    framed = frame(plain(Image.new("RGB", shape, (200, 10, 60))), framing, size)
    assert framed.shape == (size, size, 3)
    assert framed.dtype == np.uint8
    assert framed[size // 2, size // 2].tolist() == [200, 10, 60]


@pytest.mark.parametrize("framing", Framing)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_every_mode_of_a_picture_becomes_rgb(framing: Framing, mode: str) -> None:
    framed = frame(plain(Image.new("RGB", (30, 20), "white").convert(mode)), framing, 32)
    assert framed.shape == (32, 32, 3)
    assert framed[16, 16].tolist() == [255, 255, 255]


def test_stretch_shows_the_whole_picture() -> None:
    image = Image.new("RGB", (400, 100), "black")
    image.paste("white", (200, 0, 400, 100))
    framed = frame(plain(image), Framing.STRETCH, 100)
    assert framed[:, :49].max() == 0
    assert framed[:, 51:].min() == 255


def test_square_shows_the_centre_of_the_whole_short_side() -> None:
    image = Image.new("RGB", (400, 100), "black")
    image.paste("white", (150, 0, 250, 100))
    assert frame(plain(image), Framing.SQUARE, 100).min() == 255


def test_crop_leaves_out_a_sixteenth_on_each_side() -> None:
    image = Image.new("RGB", (256, 256), "black")
    image.paste("white", (16, 16, 240, 240))
    framed = frame(plain(image), Framing.CROP, 224)
    assert framed.min() == 255


def test_pad_shows_the_whole_picture_in_its_shape_on_grey() -> None:
    framed = frame(plain(Image.new("RGB", (400, 100), "white")), Framing.PAD, 100)
    rows = [row.tolist() for row in framed[:, 50]]
    assert rows.count([255, 255, 255]) == pytest.approx(25, abs=1)
    assert rows[0] == rows[-1] == list(PAD_GREY)
    assert rows == rows[::-1]


def test_a_transparent_edge_does_not_bleed_its_hidden_colour() -> None:
    image = Image.new("RGBA", (300, 300), (255, 0, 0, 0))  # red, but not to be seen
    image.paste((0, 0, 255, 255), (0, 0, 150, 300))
    framed = frame(plain(image), Framing.STRETCH, 100).astype(int)
    assert (framed[:, :, 0] == framed[:, :, 1]).all()  # from blue to white, no red in between
    assert framed[50, 5].tolist() == [0, 0, 255]
    assert framed[50, 95].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", TO_STORED)
@pytest.mark.parametrize("format_name", FORMATS)
def test_every_exif_orientation_is_applied(
    format_name: str, orientation: int, tmp_path: Path
) -> None:
    upright = picture(3, (90, 60))
    turn = TO_STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image"
    stored.save(path, format_name, exif=exif, **FORMATS[format_name])
    decoded = Decoder().decode(os.fspath(path))
    for framing in Framing:
        difference = frame(decoded, framing, 64).astype(int) - frame(plain(upright), framing, 64)
        assert np.abs(difference).mean() < 2, framing


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    picture().save(path, exif=exif)
    assert Decoder().decode(os.fspath(path)).orientation == 1


def test_broken_exif_data_does_not_cost_the_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    picture().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert Decoder().decode(os.fspath(path)).orientation == 1


def test_a_jpeg_decoded_at_reduced_scale_looks_the_same(tmp_path: Path) -> None:
    path = tmp_path / "12-megapixels.jpg"
    photo(4000, 3000).save(path, quality=90)
    reduced = Decoder().decode(os.fspath(path))
    assert reduced.image.size == (500, 375)
    with Image.open(path) as image:
        full = plain(image.convert("RGB"))
    for framing in Framing:
        difference = frame(reduced, framing, 224).astype(int) - frame(full, framing, 224)
        assert np.abs(difference).mean() < 0.7, framing
        assert np.percentile(np.abs(difference), 99) <= 4, framing


def test_a_large_input_gets_a_larger_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (4000, 3000)).save(path)
    assert Decoder().decode(os.fspath(path), input_size=160).image.size == (500, 375)
    assert Decoder().decode(os.fspath(path), input_size=456).image.size == (1000, 750)
    assert Decoder().decode(os.fspath(path), input_size=1024).image.size == (2000, 1500)
    assert Decoder().decode(os.fspath(path), input_size=2048).image.size == (4000, 3000)
