"""Small pictures for the pages."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from batchcls.decode import Decoder
from batchcls.drawing import Drawer
from batchcls.extraction import NO_LIMIT, NoCare
from batchcls.framing import fitted
from batchcls.gallery import Entry
from batchcls.reading import opened
from batchcls.records import Prediction, Status
from batchcls.thumbnails import LONG_SIDE, shrunk, thumbnail

from .images import photo, saved

QUARTERS = np.kron([[0, 90], [160, 250]], np.ones((200, 300))).astype(np.uint8)


def decoded(tmp_path, data: bytes):
    path = tmp_path / "image"
    path.write_bytes(data)
    return Decoder().decode(str(path))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((600, 400), (192, 128)),
        ((400, 600), (128, 192)),
        ((4000, 3000), (192, 144)),
        ((100, 50), (100, 50)),
        ((5000, 2), (192, 1)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("format_name", ["PNG", "JPEG"])
def test_whole_picture_in_its_shape_and_never_enlarged(tmp_path, size, expected, format_name):
    pixels = shrunk(decoded(tmp_path, saved(Image.new("RGB", size, (200, 30, 90)), format_name)))
    assert pixels.shape == (expected[1], expected[0], 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - [200, 30, 90]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright(tmp_path, orientation):
    stored = Image.fromarray(QUARTERS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = shrunk(decoded(tmp_path, saved(stored, "PNG", exif=exif)))
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }[orientation](np.array([[0, 90], [160, 250]]))
    height, width = pixels.shape[:2]
    corners = pixels[[height // 4, 3 * height // 4]][:, [width // 4, 3 * width // 4], 0]
    assert np.abs(corners.astype(int) - turned).max() <= 2
    assert (width > height) == (orientation <= 4)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P", "1", "I;16"])
def test_every_mode(tmp_path, mode):
    image = Image.new(mode, (300, 200))
    format_name = "TIFF" if mode == "CMYK" else "PNG"
    assert shrunk(decoded(tmp_path, saved(image, format_name))).shape == (128, 192, 3)


def test_a_thumbnail_is_a_small_webp_image_that_looks_alike():
    pixels = np.asarray(photo(500, 375).resize((192, 144)))
    data = thumbnail(pixels)
    assert data[:4] + data[8:12] == b"RIFFWEBP"
    assert 500 < len(data) < 20_000
    again = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert again.shape == pixels.shape
    assert np.abs(again.astype(int) - pixels).mean() < 12


def test_fitted_to_another_size(tmp_path):
    picture = decoded(tmp_path, saved(photo(500, 375), "JPEG", quality=90))
    assert fitted(picture, 100).shape == (75, 100, 3)


def entry_of(path, digest: bytes | None) -> Entry:
    prediction = Prediction(path.name, Status.OK, label="cat", score=0.5)
    return Entry((1, 0.5, path.name), prediction, str(path), digest, None)


def test_drawing_files_that_are_as_they_were_and_no_others(tmp_path):
    sound, changed = tmp_path / "sound.jpg", tmp_path / "changed.jpg"
    sound.write_bytes(saved(photo(300, 200), "JPEG"))
    changed.write_bytes(saved(photo(200, 300), "JPEG"))
    with opened(str(sound), NO_LIMIT) as content:
        digest = content.digest
    drawer = Drawer(Decoder(), NoCare(), NO_LIMIT)
    drawn = drawer(
        [
            entry_of(sound, digest),
            entry_of(changed, digest),
            entry_of(tmp_path / "gone.jpg", digest),
        ]
    )
    assert drawn[1:] == [None, None]
    assert drawn[0] is not None
    assert Image.open(io.BytesIO(drawn[0])).size == (LONG_SIDE, 128)


def test_drawing_what_is_too_large_by_now(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(photo(300, 200), "JPEG"))
    with opened(str(path), NO_LIMIT) as content:
        digest = content.digest
    assert Drawer(Decoder(), NoCare(), 100)([entry_of(path, digest)]) == [None]
    assert Drawer(Decoder(max_pixels=10), NoCare(), NO_LIMIT)([entry_of(path, digest)]) == [None]
