"""JPEGs that are decoded without Pillow come out as Pillow has them; the others are left to it."""

from __future__ import annotations

import importlib.util
import io
import random
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchcls import commonjpeg
from batchcls.commonjpeg import decode_common, scale_for
from batchcls.decode import Decoder
from batchcls.errors import DecodeError
from batchcls.framing import Framing, frame
from batchcls.picture import Picture, Samples
from tests.conftest import fuzzed
from tests.images import photo, saved

needs_decoder = pytest.mark.skipif(
    importlib.util.find_spec("simplejpeg") is None, reason="simplejpeg has no wheel here"
)
pytestmark = needs_decoder
MANY = 10**9


def by_pillow(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Picture:
    with monkeypatch.context() as patch:
        patch.setattr("batchcls.decode.decode_common", lambda *_: None)
        decoded = Decoder().decode_file(io.BytesIO(data), "/x.jpg")
    assert isinstance(decoded, Picture)
    return decoded


def alike(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Samples:
    """Decode in both ways, which must agree to the last sample."""
    one = Decoder().decode_file(io.BytesIO(data), "/x.jpg")
    other = by_pillow(monkeypatch, data)
    assert isinstance(one, Samples)
    assert (one.size, one.orientation) == (other.size, other.orientation)
    assert (one.image.mode, one.image.tobytes()) == (other.image.mode, other.image.tobytes())
    return one


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (1, 1), (7, 3), (16, 16), (641, 333)])
def test_the_samples_are_pillows(monkeypatch, subsampling, progressive, size):
    data = saved(photo(*size), "JPEG", quality=88, subsampling=subsampling, progressive=progressive)
    assert alike(monkeypatch, data).size == size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((639, 639), (639, 639)),
        ((640, 640), (320, 320)),
        ((1279, 4000), (640, 2000)),
        ((4000, 1280), (1000, 320)),
        ((4001, 3001), (501, 376)),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_at_reduced_scale_too(monkeypatch, size, expected, mode):
    data = saved(photo(*size).convert(mode), "JPEG", quality=80)
    assert alike(monkeypatch, data).size == expected


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 2000))
def test_the_scale_is_that_of_pillows_draft(width, height, short):
    scale = min(width // short, height // short)
    assert scale_for(width, height, short) == next((s for s in (8, 4, 2, 1) if scale >= s), 1)


def test_grey(monkeypatch):
    one = alike(monkeypatch, saved(photo(300, 200).convert("L"), "JPEG"))
    assert one.channels == 1
    for framing in Framing:
        framed = frame(one, framing, 224)
        assert (framed[..., 0] == framed[..., 1]).all()
        assert (framed[..., 0] == framed[..., 2]).all()


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9, 77])
def test_the_orientation_is_read(monkeypatch, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    data = saved(photo(64, 48), "JPEG", exif=exif.tobytes())
    assert alike(monkeypatch, data).orientation == (orientation if 1 <= orientation <= 8 else 1)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40, b"Exif\0\0MM\0*\0\0", b"Exif\0"],
)
def test_broken_exif_data(monkeypatch, exif):
    alike(monkeypatch, saved(photo(64, 48), "JPEG", exif=exif))


def test_restart_markers_comments_and_an_icc_profile(monkeypatch):
    options = {"restart_marker_blocks": 3, "comment": b"\xff\xd8 no picture"}
    alike(monkeypatch, saved(photo(300, 200), "JPEG", icc_profile=b"x" * 70_000, **options))


def test_what_follows_the_end_does_not_count(monkeypatch):
    alike(monkeypatch, saved(photo(300, 200), "JPEG") + b"\xff\xd8\xff trailing")


def test_of_several_pictures_the_first(monkeypatch):
    data = io.BytesIO()
    photo(300, 200).save(data, "MPO", save_all=True, append_images=[photo(200, 300)])
    assert alike(monkeypatch, data.getvalue()).size == (300, 200)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


PLAIN = saved(photo(64, 48), "JPEG", quality=90)
LEFT = {
    "CMYK": saved(photo(64, 48).convert("CMYK"), "JPEG"),
    "RGB": PLAIN[:2] + adobe(0) + PLAIN[2 + 18 :],
    "XMP tells the orientation": PLAIN[:2]
    + segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')
    + PLAIN[2:],
    "EXIF data in two parts": PLAIN[:2] + 2 * segment(0xE1, b"Exif\0\0II*\0") + PLAIN[2:],
    "12 bits": PLAIN.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"),
    "lossless": PLAIN.replace(b"\xff\xc0\x00\x11", b"\xff\xc3\x00\x11"),
    "arithmetic": PLAIN.replace(b"\xff\xc0\x00\x11", b"\xff\xc9\x00\x11"),
    "two frames": PLAIN[: PLAIN.index(b"\xff\xda")]
    + PLAIN[PLAIN.index(b"\xff\xc0") : PLAIN.index(b"\xff\xc4")]
    + PLAIN[PLAIN.index(b"\xff\xda") :],
    "no frame": PLAIN[: PLAIN.index(b"\xff\xc0\x00\x11")] + PLAIN[PLAIN.index(b"\xff\xda") :],
    "half of it": PLAIN[: len(PLAIN) // 2],
    "half of it, and an end": PLAIN[: len(PLAIN) // 2] + b"\xff\xd9",
    "sampled in another way": saved(photo(64, 48), "JPEG", subsampling=0).replace(
        b"\x01\x11\0", b"\x01\x14\0"
    ),
    "only a beginning": b"\xff\xd8\xff",
    "fill bytes for ever": b"\xff\xd8" + b"\xff" * 1000,
    "a segment beyond the end": b"\xff\xd8\xff\xe0\xff\xff",
    "a segment without length": PLAIN[:2] + b"\xff\xe0\0\0" + PLAIN[2:],
}


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_uncommon_or_damaged_is_left_to_pillow(kind):
    assert LEFT[kind].startswith(b"\xff\xd8\xff")
    assert decode_common(LEFT[kind], 320, MANY) is None


def test_xmp_tells_the_orientation_nonetheless():
    decoded = Decoder().decode_file(io.BytesIO(LEFT["XMP tells the orientation"]), "/x.jpg")
    assert decoded.orientation == 6


def test_too_many_pixels_are_pillows_to_refuse():
    data = saved(photo(300, 200), "JPEG")
    assert decode_common(data, 320, 60_000) is not None
    assert decode_common(data, 320, 59_999) is None
    with pytest.raises(DecodeError, match="300 x 200, more than 59,999 pixels"):
        Decoder(59_999).decode_file(io.BytesIO(data), "/x.jpg")


@pytest.mark.parametrize("progressive", [False, True])
def test_what_needs_room_is_left_to_pillow_which_takes_it(progressive):
    wide = saved(Image.new("RGB", (14_000, 300)), "JPEG", progressive=progressive)
    assert decode_common(wide, 320, MANY) is None  # 4.2 million samples, and not to be reduced
    large = saved(Image.new("RGB", (2400, 1800)), "JPEG", progressive=progressive)
    assert (decode_common(large, 320, MANY) is None) is progressive


def test_without_the_decoder(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    commonjpeg._library.cache_clear()
    try:
        decoded = Decoder().decode_file(io.BytesIO(PLAIN), "/x.jpg")
    finally:
        commonjpeg._library.cache_clear()
    assert isinstance(decoded, Picture)


def _same_end(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Whatever became of the bytes: what is decoded without Pillow, Pillow decodes alike."""
    common = decode_common(data, 320, 250_000_000)
    if common is None:
        return
    other = by_pillow(monkeypatch, data)
    assert (common.size, common.orientation) == (other.size, other.orientation)
    assert common.image.tobytes() == other.image.tobytes()


def _damaged(seed: int) -> bytes:
    source = random.Random(seed)
    exif = Image.Exif()
    exif[0x0112] = source.randint(1, 8)
    image = photo(source.randint(8, 120), source.randint(8, 120))
    image = image.convert(source.choice(["RGB", "RGB", "L", "CMYK"]))
    options = {"quality": source.randint(5, 100), "progressive": source.random() < 0.3}
    data = bytearray(saved(image, "JPEG", exif=exif.tobytes(), **options))
    for _ in range(source.randint(1, 6)):
        at = int(len(data) * source.random() ** source.choice([1, 3]))
        kind = source.random()
        if kind < 0.6:
            data[at] = source.randrange(256)
        elif kind < 0.8:
            del data[at : at + source.randint(1, 40)]
        else:
            data[at:at] = bytes(source.randrange(256) for _ in range(source.randint(1, 40)))
    return bytes(data)


@pytest.mark.fuzz
@fuzzed(300)
@given(st.integers(0, 2**32))
def test_damaged_files_end_alike(seed):
    with pytest.MonkeyPatch.context() as patch:
        _same_end(patch, _damaged(seed))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 700))
def test_cut_anywhere(length):
    with pytest.MonkeyPatch.context() as patch:
        _same_end(patch, PLAIN[:length])


def test_a_photograph_is_framed_alike_in_both_ways(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(photo(900, 700), "JPEG", quality=95, exif=exif.tobytes())
    for framing in Framing:
        one = frame(Decoder().decode_file(io.BytesIO(data), "/x.jpg"), framing, 224)
        other = frame(by_pillow(monkeypatch, data), framing, 224)
        off = np.abs(one.astype(int) - other)
        assert one.shape == (224, 224, 3)
        assert one.flags.c_contiguous
        assert off.max() <= 1
