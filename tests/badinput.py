"""Bad and odd files, each of a kind of its own: what may lie in a folder of images.

:func:`kinds` gives them all, with what is to be expected of each. They are made by code, most of
them out of whole images (:func:`whole`) whose structure is known: cut at each boundary, each field
set to what it must not be, each checksum and magic broken. It is the same each time.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import socket
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from PIL import Image, features

from batchcls.imageformats import register_plugins
from tests.conftest import picture
from tests.images import chunk, cmyk_profile, huge_png, saved, tiff

register_plugins()

WIDTH, HEIGHT = 48, 40
PILLOW = tuple(int(part) for part in Image.__version__.split(".")[:2])

Expected = Literal["error", "ok", "either"]
ERROR: Expected = "error"
OK: Expected = "ok"
EITHER: Expected = "either"


@dataclass(frozen=True)
class Kind:
    """One kind of file: ``name`` says what is odd about it, ``expected`` what becomes of it.

    "error" is a row with a reason, "ok" a row with a label, "either" the decoder's choice. ``like``
    names a kind whose picture this one shows, too, so that a label must be the same. ``reason`` is
    a part of the reason. What is not made by writing ``data`` is made by ``make``, which is given
    the path.
    """

    family: str
    name: str
    expected: Expected
    data: bytes = b""
    suffix: str = ".jpg"
    like: str = ""
    reason: str = ""
    make: Callable[[bytes], None] | None = None
    file_name: bytes = b""

    @property
    def key(self) -> bytes:
        """The path below the folder that they are written to."""
        own = self.file_name or f"{self.name}{self.suffix}".encode()
        return self.family.encode() + b"/" + own


@dataclass(frozen=True)
class Part:
    """A piece of a file's structure; ``role`` tells what can be done to it.

    "magic" and "type" are constants, "size" is a width or a height, "length" any other number that
    leads somewhere, "crc" a checksum, "data" compressed or raw pixels, "other" the rest.
    """

    name: str
    start: int
    end: int
    role: str = "other"
    boundary: bool = True


@dataclass(frozen=True)
class Whole:
    """A whole image, and how it is built.

    ``certain`` is an offset before which a cut loses pixels for sure. ``tail`` is what is to be
    expected if something follows the image, ``unnamed`` if its magic is broken. Of what is not
    ``thorough``, only what tells is damaged, since another image is built the same way.
    """

    name: str
    suffix: str
    data: bytes
    parts: tuple[Part, ...]
    certain: int
    order: Literal["little", "big"] = "little"
    tail: Expected = OK
    unnamed: Expected = ERROR
    thorough: bool = True


# ---- The structure of files ----


def _png_parts(data: bytes) -> Iterator[Part]:
    yield Part("the magic", 0, 8, "magic")
    at, seen = 8, {b"": 0}
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        seen[kind] = seen.get(kind, 0) + 1
        name = kind.decode("latin-1") + (f" {seen[kind]}" if seen[kind] > 1 else "")
        yield Part(f"the length of {name}", at, at + 4, "length")
        yield Part(f"the type {name}", at + 4, at + 8, "type", boundary=False)
        body = at + 8
        if kind == b"IHDR":
            for number, field_name in enumerate(("width", "height")):
                start = body + 4 * number
                yield Part(f"the {field_name}", start, start + 4, "size", boundary=number == 0)
            for number, field_name in enumerate(("depth", "colour", "method", "filter", "lacing")):
                start = body + 8 + number
                yield Part(f"the {field_name}", start, start + 1, "length", boundary=False)
        elif length:
            role = "data" if kind == b"IDAT" else "other"
            yield Part(f"the content of {name}", body, body + length, role)
        yield Part(f"the checksum of {name}", body + length, body + length + 4, "crc")
        at = body + length + 4


_MARKERS = {0xC0: "SOF0", 0xC2: "SOF2", 0xC4: "DHT", 0xDA: "SOS", 0xDB: "DQT", 0xDD: "DRI"}


def _jpeg_parts(data: bytes) -> Iterator[Part]:
    yield Part("the magic", 0, 2, "magic")
    at, count = 2, 0
    while data[at] == 0xFF and data[at + 1] != 0xD9:
        marker = data[at + 1]
        length = struct.unpack_from(">H", data, at + 2)[0]
        count += 1
        name = f"{_MARKERS.get(marker, f'APP{marker - 0xE0}')} in place {count}"
        yield Part(f"the marker {name}", at, at + 2, "type")
        yield Part(f"the length of {name}", at + 2, at + 4, "length", boundary=False)
        if marker in {0xC0, 0xC2}:
            yield Part("the precision", at + 4, at + 5, "length", boundary=False)
            yield Part("the height", at + 5, at + 7, "size")
            yield Part("the width", at + 7, at + 9, "size", boundary=False)
            yield Part("the number of components", at + 9, at + 10, "length", boundary=False)
            yield Part("the sampling", at + 11, at + 12, "length", boundary=False)
        else:
            yield Part(f"the content of {name}", at + 4, at + 2 + length)
        at += 2 + length
        if marker == 0xDA:
            end = at
            while not (data[end] == 0xFF and data[end + 1] not in {0, *range(0xD0, 0xD8)}):
                end += 1
            yield Part(f"the scan {count}", at, end, "data")
            at = end
    yield Part("the end marker", at, at + 2, "tail")


def _gif_parts(data: bytes) -> Iterator[Part]:
    yield Part("the magic", 0, 4, "magic")
    yield Part("the version", 4, 6, "other", boundary=False)
    yield Part("the width", 6, 8, "length")  # a screen too small is widened to the frame
    yield Part("the height", 8, 10, "length", boundary=False)
    yield Part("the flags", 10, 11, "length", boundary=False)
    at, count = 13, 0
    if data[10] & 0x80:
        end = at + 3 * 2 ** ((data[10] & 7) + 1)
        yield Part("the palette", at, end)
        at = end
    while data[at] != 0x3B:
        count += 1
        if data[at] == 0x21:
            yield Part(f"extension {count}", at, at + 2, "type")
            at += 2
        else:
            yield Part(f"the descriptor {count}", at, at + 1, "type")
            yield Part(f"the place {count}", at + 1, at + 5, "length", boundary=False)
            yield Part(f"the frame's width {count}", at + 5, at + 7, "length", boundary=False)
            yield Part(f"the frame's height {count}", at + 7, at + 9, "length", boundary=False)
            flags = data[at + 9]
            yield Part(f"the frame's flags {count}", at + 9, at + 10, "length", boundary=False)
            at += 10
            if flags & 0x80:
                end = at + 3 * 2 ** ((flags & 7) + 1)
                yield Part(f"the frame's palette {count}", at, end)
                at = end
            yield Part(f"the code size {count}", at, at + 1, "length")
            at += 1
        start = at
        while data[at]:
            at += data[at] + 1
        at += 1
        role = "data" if data[start - 1] <= 12 and at - start > 20 else "other"
        yield Part(f"the block's length {count}", start, start + 1, "length")
        if at - 1 > start + 1:
            yield Part(f"the block {count}", start + 1, at - 1, role)
    yield Part("the end", at, at + 1, "tail")


_TAGS = {
    256: "width", 257: "height", 258: "bits", 259: "compression", 262: "photometric",
    266: "fill order", 273: "strip offsets", 277: "samples", 278: "rows per strip",
    279: "strip counts", 284: "planes", 292: "T4 options", 293: "T6 options", 317: "predictor",
    322: "tile width", 323: "tile height", 324: "tile offsets", 325: "tile counts", 339: "format",
    347: "JPEG tables",
}  # fmt: skip


def _tiff_parts(data: bytes) -> Iterator[Part]:
    order = "<" if data[:2] == b"II" else ">"
    yield Part("the byte order", 0, 2, "magic")
    yield Part("the magic", 2, 4, "magic", boundary=False)
    yield Part("the offset of the directory", 4, 8, "length")
    start, pages = struct.unpack_from(order + "I", data, 4)[0], 0
    while start:
        pages += 1
        page = f" of page {pages}" if pages > 1 else ""
        (count,) = struct.unpack_from(order + "H", data, start)
        yield Part(f"the number of entries{page}", start, start + 2, "length")
        offsets, counts = 0, 0
        for number in range(count):
            at = start + 2 + 12 * number
            tag, kind, length, value = struct.unpack_from(order + "HHII", data, at)
            name = _TAGS.get(tag, f"tag {tag}") + page
            yield Part(f"the tag of {name}", at, at + 2, "type", boundary=number in {0, 5})
            yield Part(f"the type of {name}", at + 2, at + 4, "length", boundary=False)
            yield Part(f"the count of {name}", at + 4, at + 8, "length", boundary=False)
            width = 2 if kind == 3 and length == 1 else 4
            role = "size" if tag in {256, 257} and not page else "length"
            yield Part(f"the value of {name}", at + 8, at + 8 + width, role, boundary=False)
            if kind == 3 and length == 1:
                (value,) = struct.unpack_from(order + "H", data, at + 8)
            if tag in {273, 324}:
                offsets = value if length == 1 else struct.unpack_from(order + "I", data, value)[0]
            if tag in {279, 325}:
                counts = value if length == 1 else struct.unpack_from(order + "I", data, value)[0]
        if offsets and counts and not page:
            yield Part("the first strip", offsets, offsets + counts, "data")
        end = start + 2 + 12 * count
        yield Part(f"the offset of the next directory{page}", end, end + 4, "next")
        (start,) = struct.unpack_from(order + "I", data, end)


def _riff_parts(data: bytes) -> Iterator[Part]:
    yield Part("the magic", 0, 4, "magic")
    yield Part("the length of all", 4, 8, "length")
    yield Part("the name WEBP", 8, 12, "magic", boundary=False)
    at, count = 12, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        count += 1
        name = f"{kind.decode('latin-1').strip()} in place {count}"
        yield Part(f"the type of {name}", at, at + 4, "type")
        yield Part(f"the length of {name}", at + 4, at + 8, "length", boundary=False)
        body = at + 8
        head = {b"VP8 ": 10, b"VP8L": 5, b"VP8X": 10, b"ANMF": 24, b"ANIM": 6}.get(kind, 0)
        if head:
            yield Part(f"the header of {name}", body, body + head)
        if length > head:
            role = "data" if kind in {b"VP8 ", b"VP8L", b"ANMF"} else "other"
            yield Part(f"the content of {name}", body + head, body + length, role)
        at = body + length + length % 2


_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0, b"moov": 0, b"trak": 0}


def _box_parts(data: bytes, start: int = 0, end: int = 0, above: str = "") -> Iterator[Part]:
    at, end, count = start, end or len(data), 0
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        count += 1
        name = f"{above}{kind.decode('latin-1').strip()}{count}"
        first = kind in {b"ftyp", b"jP  "}
        last = at + length if length else end
        yield Part(f"the length of {name}", at, at + 4, "length", boundary=not above)
        yield Part(
            f"the type of {name}", at + 4, at + 8, "magic" if first else "type", boundary=False
        )
        if kind in _CONTAINERS:
            yield from _box_parts(data, at + 8 + _CONTAINERS[kind], last, name + " ")
        elif kind == b"ispe":
            yield Part(f"the width in {name}", at + 12, at + 16, "size", boundary=False)
            yield Part(f"the height in {name}", at + 16, at + 20, "size", boundary=False)
        elif kind == b"jp2c":
            yield from _codestream_parts(data, at + 8)
        elif last > at + 8:
            role = "data" if kind == b"mdat" else "other"
            yield Part(f"the content of {name}", at + 8, last, role, boundary=role == "data")
        at = last


_J2K = {0x51: "SIZ", 0x52: "COD", 0x5C: "QCD", 0x64: "COM", 0x90: "SOT"}


def _codestream_parts(data: bytes, start: int = 0) -> Iterator[Part]:
    yield Part("the codestream's magic", start, start + 2, "type" if start else "magic")
    at = start + 2
    while data[at + 1] != 0x93:
        name = _J2K.get(data[at + 1], hex(data[at + 1]))
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield Part(f"the marker {name}", at, at + 2, "type")
        yield Part(f"the length of {name}", at + 2, at + 4, "length", boundary=False)
        if name == "SIZ":
            fields = ("width", "height", "left", "top", "tile's width", "tile's height")
            for number, field_name in enumerate(fields):
                role = "size" if number < 2 else "length"
                place = at + 6 + 4 * number
                yield Part(f"the {field_name}", place, place + 4, role, boundary=False)
            yield Part("the number of components", at + 38, at + 40, "length", boundary=False)
        else:
            yield Part(f"the content of {name}", at + 4, at + 2 + length, boundary=False)
        at += 2 + length
    yield Part("the marker SOD", at, at + 2, "type")
    yield Part("the tile", at + 2, len(data) - 2, "data")
    yield Part("the end marker", len(data) - 2, len(data), "tail")


def _icns_parts(data: bytes) -> Iterator[Part]:
    yield Part("the magic", 0, 4, "magic")
    yield Part("the length of all", 4, 8, "length")
    at = 8
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(">4sI", data, at)
        name = kind.decode("latin-1").strip()
        yield Part(f"the type of {name}", at, at + 4, "type")
        yield Part(f"the length of {name}", at + 4, at + 8, "length", boundary=False)
        yield Part(f"the content of {name}", at + 8, at + length, "data")
        at += length


def _text_parts(data: bytes) -> Iterator[Part]:
    """Of the formats that begin with the magic, the width and the height as text."""
    yield Part("the magic", 0, 2, "magic")
    at = 2
    for name in ("width", "height", "highest value")[: 2 if data[:2] in {b"P1", b"P4"} else 3]:
        while data[at : at + 1].isspace():
            at += 1
        start = at
        while not data[at : at + 1].isspace():
            at += 1
        yield Part(f"the {name}", start, at, "digits" if "value" not in name else "other")
    yield Part("the pixels", at + 1, len(data), "data")


def _fields(*fields: tuple[str, int, int, str], pixels: int) -> Callable[[bytes], Iterator[Part]]:
    """Of the formats whose fields stand at fixed places: name, offset, length, role."""

    def parts(data: bytes) -> Iterator[Part]:
        for number, (name, start, length, role) in enumerate(fields):
            yield Part(f"the {name}", start, start + length, role, boundary=number < 2)
        yield Part("the pixels", pixels, len(data), "data")

    return parts


_BMP = _fields(
    ("magic", 0, 2, "magic"), ("length of all", 2, 4, "length"), ("offset", 10, 4, "length"),
    ("header's length", 14, 4, "length"), ("width", 18, 4, "size"), ("height", 22, 4, "size"),
    ("planes", 26, 2, "length"), ("bits", 28, 2, "length"), ("compression", 30, 4, "length"),
    ("data's length", 34, 4, "length"), ("colours", 46, 4, "length"), pixels=54,
)  # fmt: skip
_DIB = _fields(
    ("header's length", 0, 4, "magic"), ("width", 4, 4, "size"), ("height", 8, 4, "size"),
    ("bits", 14, 2, "length"), ("compression", 16, 4, "length"), pixels=40,
)  # fmt: skip
_ICO = _fields(
    ("magic", 0, 4, "magic"), ("count", 4, 2, "length"), ("width", 6, 1, "length"),
    ("height", 7, 1, "length"), ("bits", 12, 2, "length"), ("length", 14, 4, "length"),
    ("offset", 18, 4, "length"), ("inner magic", 22, 8, "type"), ("inner width", 38, 4, "length"),
    pixels=22,
)  # fmt: skip
_TGA = _fields(
    ("identifier's length", 0, 1, "length"), ("palette's type", 1, 1, "length"),
    ("type", 2, 1, "type"), ("palette", 3, 5, "length"), ("width", 12, 2, "size"),
    ("height", 14, 2, "size"), ("depth", 16, 1, "length"), ("descriptor", 17, 1, "length"),
    pixels=18,
)  # fmt: skip
_PCX = _fields(
    ("magic", 0, 1, "magic"), ("version", 1, 1, "length"), ("encoding", 2, 1, "length"),
    ("bits", 3, 1, "length"), ("left", 4, 2, "length"), ("top", 6, 2, "length"),
    ("right", 8, 2, "length"), ("bottom", 10, 2, "length"), ("planes", 65, 1, "length"),
    ("stride", 66, 2, "length"), pixels=128,
)  # fmt: skip
_SGI = _fields(
    ("magic", 0, 2, "magic"), ("storage", 2, 1, "length"), ("bytes", 3, 1, "length"),
    ("dimensions", 4, 2, "length"), ("width", 6, 2, "size"), ("height", 8, 2, "size"),
    ("channels", 10, 2, "length"), pixels=512,
)  # fmt: skip
_DDS = _fields(
    ("magic", 0, 4, "magic"), ("header's length", 4, 4, "length"), ("flags", 8, 4, "length"),
    ("height", 12, 4, "size"), ("width", 16, 4, "size"), ("levels", 28, 4, "length"),
    ("format's length", 76, 4, "length"), ("format's flags", 80, 4, "length"),
    ("four letters", 84, 4, "length"), ("bits", 88, 4, "length"), ("red mask", 92, 4, "length"),
    pixels=128,
)  # fmt: skip
_MSP = _fields(
    ("magic", 0, 4, "magic"), ("width", 4, 2, "size"), ("height", 6, 2, "size"), pixels=32
)
_QOI = _fields(
    ("magic", 0, 4, "magic"), ("width", 4, 4, "size"), ("height", 8, 4, "size"),
    ("channels", 12, 1, "length"), ("colours", 13, 1, "length"), pixels=14,
)  # fmt: skip
_BLP = _fields(
    ("magic", 0, 4, "magic"), ("compression", 4, 4, "length"), ("encoding", 8, 1, "length"),
    ("width", 12, 4, "size"), ("height", 16, 4, "size"), ("offset", 20, 4, "length"),
    ("length", 84, 4, "length"), pixels=148,
)  # fmt: skip
_SPIDER = _fields(
    ("slices", 0, 4, "length"), ("rows", 4, 4, "length"), ("type", 16, 4, "length"),
    ("columns", 44, 4, "length"), ("records", 48, 4, "length"), ("length", 84, 4, "length"),
    pixels=192,
)  # fmt: skip
_IM = _fields(
    ("magic", 0, 11, "magic"), ("type", 12, 3, "other"), ("end of the header", 508, 4, "other"),
    pixels=512,
)  # fmt: skip
_XBM = _fields(("magic", 0, 8, "magic"), ("width", 17, 2, "digits"), pixels=60)
_PSD = _fields(
    ("magic", 0, 4, "magic"), ("version", 4, 2, "length"), ("channels", 12, 2, "length"),
    ("height", 14, 4, "size"), ("width", 18, 4, "size"), ("depth", 22, 2, "length"),
    ("mode", 24, 2, "length"), ("palette's length", 26, 4, "length"),
    ("resources' length", 30, 4, "length"), ("layers' length", 34, 4, "length"),
    ("compression", 38, 2, "length"), pixels=40,
)  # fmt: skip
_SUN = _fields(
    ("magic", 0, 4, "magic"), ("width", 4, 4, "size"), ("height", 8, 4, "size"),
    ("depth", 12, 4, "length"), ("length", 16, 4, "length"), ("type", 20, 4, "length"),
    ("palette's type", 24, 4, "length"), ("palette's length", 28, 4, "length"), pixels=32,
)  # fmt: skip
_FLI = _fields(
    ("magic", 4, 2, "magic"), ("frames", 6, 2, "length"), ("width", 8, 2, "size"),
    ("height", 10, 2, "size"), ("flags", 14, 2, "length"), ("frame's length", 128, 4, "length"),
    ("frame's type", 132, 2, "length"), ("chunks", 134, 2, "length"),
    ("chunk's length", 144, 4, "length"), ("chunk's type", 148, 2, "length"), pixels=150,
)  # fmt: skip
_GBR = _fields(
    ("header's length", 0, 4, "length"), ("version", 4, 4, "length"), ("width", 8, 4, "size"),
    ("height", 12, 4, "size"), ("depth", 16, 4, "length"), ("magic", 20, 4, "magic"), pixels=36,
)  # fmt: skip
_FTEX = _fields(
    ("magic", 0, 4, "magic"), ("version", 4, 4, "length"), ("width", 8, 4, "size"),
    ("height", 12, 4, "size"), ("levels", 16, 4, "length"), ("formats", 20, 4, "length"),
    ("format", 24, 4, "length"), ("offset", 28, 4, "length"), pixels=36,
)  # fmt: skip
_PIXAR = _fields(
    ("magic", 0, 4, "magic"), ("height", 416, 2, "size"), ("width", 418, 2, "size"),
    ("channels", 424, 2, "length"), ("depth", 426, 2, "length"), pixels=1024,
)  # fmt: skip
_DCX = _fields(
    ("magic", 0, 4, "magic"), ("offset", 4, 4, "length"), ("inner magic", 1024, 1, "type"),
    pixels=1152,
)  # fmt: skip


# ---- Whole images ----


def _image(mode: str) -> Image.Image:
    image = picture(7, (WIDTH, HEIGHT))
    if mode == "RGBA":
        image.putalpha(picture(8, (WIDTH, HEIGHT)).convert("L"))
        return image
    if mode == "LA":
        grey = image.convert("LA")
        grey.putalpha(picture(8, (WIDTH, HEIGHT)).convert("L"))
        return grey
    if mode == "I;16":
        samples = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.frombytes(mode, image.size, samples.tobytes())
    if mode == "F":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)
    return image.convert(mode)


def _frames(count: int) -> list[Image.Image]:
    return [picture(number, (WIDTH, HEIGHT)) for number in range(count)]


def _written(format_name: str, image: Image.Image, **options: Any) -> bytes:
    """Give the bytes of an image file, or none where this Pillow can't write it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return saved(image, format_name, **options)
        except (OSError, ValueError, KeyError, TypeError, SystemError):
            return b""


def _certain(parts: Sequence[Part], *, exact: bool) -> int:
    """Give an offset before which every cut loses pixels of the first frame, or their checksum."""
    checksum = next((part for part in parts if part.name == "the checksum of IDAT"), None)
    if checksum is not None:
        return checksum.end - 1
    pixels = next((part for part in parts if part.role == "data"), parts[-1])
    if exact:
        return pixels.end - 1
    return pixels.start + (pixels.end - pixels.start) * 4 // 5


def _one(
    name: str,
    suffix: str,
    data: bytes,
    parse: Callable[[bytes], Iterator[Part]],
    *,
    exact: bool = False,
    forgiving: bool = False,
    **options: Any,
) -> Iterator[Whole]:
    """Give a whole image, if there is one; with ``forgiving``, a cut may stay unnoticed."""
    if data:
        parts = tuple(parse(data))
        certain = 0 if forgiving else _certain(parts, exact=exact)
        yield Whole(name, suffix, data, parts, certain, **options)


@cache
def whole() -> tuple[Whole, ...]:
    """Give a whole image of every format, as far as this Pillow knows it."""
    found = [
        *_whole_png(), *_whole_jpeg(), *_whole_gif(), *_whole_tiff(), *_whole_boxes(),
        *_whole_others(), *_whole_by_hand(),
    ]  # fmt: skip
    assert len({one.name for one in found}) == len(found)
    return tuple(found)


def _whole_png() -> Iterator[Whole]:
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, dict[str, Any]] = {
        "RGB": {"exif": exif, "icc_profile": bytes(200), "dpi": (72, 72)},
        "P": {"transparency": 3},
    }
    for mode in ("RGB", "1", "L", "LA", "P", "RGBA", "I;16"):
        data = _written("PNG", _image(mode), **options.get(mode, {}))
        thorough = mode in {"RGB", "P"}
        name = f"png {mode.replace(';', '')}"
        yield from _one(name, ".png", data, _png_parts, order="big", thorough=thorough)
    data = _written("PNG", _frames(1)[0], save_all=True, append_images=_frames(3)[1:])
    yield from _one("png animated", ".png", data, _png_parts, order="big")
    yield from _one("png interlaced", ".png", interlaced(), _png_parts, order="big")


def interlaced() -> bytes:
    """Give a PNG in Adam7's seven passes."""
    pixels = np.asarray(_image("RGB"))
    rows = b""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for left, top, across, down in [*passes, (0, 1, 1, 2)]:
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::across])
    return _png(2, zlib.compress(rows), lacing=1)


def _png(
    colour: int,
    compressed: bytes,
    *,
    depth: int = 8,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    methods: tuple[int, int] = (0, 0),
    lacing: int = 0,
    chunks: bytes = b"",
    after: bytes = b"",
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, *methods, lacing)
    parts = [chunk(b"IHDR", header), chunks, chunk(b"IDAT", compressed), after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _rows(image: Image.Image) -> bytes:
    """Give an image's rows as a PNG has them, each with the filter 0 before it."""
    size, data = len(image.tobytes()) // image.height, image.tobytes()
    return b"".join(b"\0" + data[row * size :][:size] for row in range(image.height))


def _whole_jpeg() -> Iterator[Whole]:
    exif = Image.Exif()
    exif[0x0112] = 3
    jpeg = partial(_one, suffix=".jpg", parse=_jpeg_parts, order="big")
    rich = {"exif": exif, "icc_profile": bytes(300), "comment": b"hello", "dpi": (72, 72)}
    image = _image("RGB")
    yield from jpeg("jpeg baseline", data=_written("JPEG", image, **rich))
    data = _written("JPEG", image, progressive=True)
    yield from jpeg("jpeg progressive", data=data, thorough=False)
    data = _written("JPEG", _image("CMYK"), icc_profile=cmyk_profile((150, 90, 90)))
    yield from jpeg("jpeg CMYK", data=data, thorough=False)
    yield from jpeg("jpeg L", data=_written("JPEG", _image("L")), thorough=False)
    yield from jpeg(
        "jpeg restarts", data=_written("JPEG", image, restart_marker_rows=1), thorough=False
    )
    if PILLOW < (12, 0):
        return  # it writes MPO broken
    data = _written("MPO", image, save_all=True, append_images=_frames(2))
    yield from _one("mpo", ".mpo", data, _jpeg_parts, order="big", thorough=False)


def _whole_gif() -> Iterator[Whole]:
    gif = partial(_one, suffix=".gif", parse=_gif_parts)
    yield from gif("gif", data=_written("GIF", _image("P"), transparency=3, comment=b"hello"))
    yield from gif("gif L", data=_written("GIF", _image("L"), interlace=0), thorough=False)
    data = _written("GIF", _frames(1)[0], save_all=True, append_images=_frames(3)[1:], loop=0)
    yield from gif("gif animated", data=data)


def _whole_tiff() -> Iterator[Whole]:
    image = _image("RGB")
    make = partial(_one, suffix=".tif", parse=_tiff_parts)
    yield from make("tiff raw", data=_written("TIFF", image), exact=True)
    for mode in ("1", "P", "RGBA", "CMYK", "I;16", "F"):
        name = f"tiff {mode.replace(';', '')}"
        yield from make(name, data=_written("TIFF", _image(mode)), exact=True, thorough=False)
    data = _written("TIFF", _frames(1)[0], save_all=True, append_images=_frames(3)[1:])
    yield from make("tiff pages", data=data, exact=True, thorough=False)
    grey = tiff(8, bytes(range(0, 256, 4)), order=">")
    yield from make("tiff big-endian", data=grey, exact=True, order="big")
    yield from make("tiff tiled", data=_tiled(), exact=True)
    yield from make("tiff planes", data=_planes(), exact=True, thorough=False)
    if not features.check("libtiff"):
        return
    for compression in ("packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd", "lzma"):
        thorough = compression == "jpeg"
        data = _written("TIFF", image, compression=compression)
        yield from make(f"tiff {compression}", data=data, thorough=thorough)
    for compression in ("tiff_ccitt", "group3", "group4"):
        data = _written("TIFF", _image("1"), compression=compression)
        yield from make(f"tiff {compression}", data=data, thorough=compression == "group4")
    big = _written("TIFF", image, big_tiff=True)
    yield from _one("tiff big", ".tif", big, _fields(("magic", 0, 4, "magic"), pixels=16))


def _tiled() -> bytes:
    """Give a TIFF of 32x32 grey pixels in four tiles."""
    tags = [(322, 3, 16), (323, 3, 16), (256, 3, 32), (257, 3, 32)]
    offsets, counts = 8 + 2 + 12 * 10 + 4, 8 + 2 + 12 * 10 + 4 + 16
    first = counts + 16
    table = [(tag, kind, 1, value) for tag, kind, value in tags]
    table += [(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    table += [(324, 4, 4, offsets), (325, 4, 4, counts)]
    body = struct.pack("<4I", *(first + 256 * number for number in range(4)))
    body += struct.pack("<4I", *[256] * 4) + bytes(range(256)) * 4
    return _directory(table) + body


def _planes() -> bytes:
    """Give a TIFF of 16x16 RGB pixels, each colour on a plane of its own."""
    last = 8 + 2 + 12 * 10 + 4
    table = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 3, last), (259, 3, 1, 1), (262, 3, 1, 2)]
    table += [(273, 4, 3, last + 6), (277, 3, 1, 3), (278, 3, 1, 16), (279, 4, 3, last + 18)]
    table += [(284, 3, 1, 2)]
    first = last + 30
    body = struct.pack("<3H", 8, 8, 8)
    body += struct.pack("<3I", first, first + 256, first + 512) + struct.pack("<3I", *[256] * 3)
    return _directory(table) + body + bytes(range(256)) + bytes(256) + bytes(range(255, -1, -1))


def _directory(table: Sequence[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Give a TIFF's header and its directory of tag, type, count and value."""
    entries = b"".join(
        struct.pack("<HHIHH", *entry, 0)
        if entry[1] == 3 and entry[2] == 1
        else struct.pack("<HHII", *entry)
        for entry in sorted(table)
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(table))
    return head + entries + struct.pack("<I", following)


def _whole_boxes() -> Iterator[Whole]:
    image = _image("RGB")
    riff = partial(_one, suffix=".webp", parse=_riff_parts)
    data = _written("WEBP", image, exif=bytes(20), icc_profile=bytes(100))
    yield from riff("webp lossy", data=data)
    data = _written("WEBP", _image("RGBA"), lossless=True)
    yield from riff("webp lossless", data=data)
    data = _written("WEBP", _image("RGBA"), quality=50)
    yield from riff("webp alpha", data=data, thorough=False)
    data = _written("WEBP", image, save_all=True, append_images=_frames(3)[1:])
    yield from riff("webp animated", data=data)
    jp2 = partial(_one, order="big", tail=EITHER)
    yield from jp2("jpeg 2000", ".jp2", _written("JPEG2000", image), _box_parts)
    data = _written("JPEG2000", _image("L"), no_jp2=True)
    yield from jp2("jpeg 2000 codestream", ".j2k", data, _codestream_parts)
    data = _written("AVIF", image, quality=60, max_threads=1)
    yield from jp2("avif", ".avif", data, _box_parts)
    data = _written("AVIF", image, save_all=True, append_images=_frames(2), max_threads=1)
    yield from jp2("avif animated", ".avif", data, _box_parts, thorough=False)
    yield from jp2("heif", ".heic", _written("HEIF", image, quality=60), _box_parts)


def _whole_others() -> Iterator[Whole]:
    image, palette = _image("RGB"), _image("P")
    raw = partial(_one, exact=True)
    yield from raw("bmp", ".bmp", _written("BMP", image), _BMP)
    yield from raw("bmp P", ".bmp", _written("BMP", palette), _BMP, thorough=False)
    yield from _one("bmp 1", ".bmp", _written("BMP", _image("1")), _BMP, thorough=False)
    yield from raw("dib", ".dib", _written("DIB", image), _DIB)
    icon = _written("ICO", _image("RGBA").resize((48, 48)), sizes=[(48, 48)])
    yield from _one("ico", ".ico", icon, _ICO)
    icon = _written("ICO", _image("RGBA"), sizes=[(32, 32)], bitmap_format="bmp")
    yield from _one("ico of bmp", ".ico", icon, _ICO, thorough=False)
    small = Image.new("RGBA", (32, 32))
    small.paste(_image("RGBA").resize((32, 32)))
    yield from _one("icns", ".icns", _icns(small), _icns_parts, order="big", tail=EITHER)
    yield from raw("ppm", ".ppm", _written("PPM", image), _text_parts)
    yield from raw("pgm", ".pgm", _written("PPM", _image("L")), _text_parts, thorough=False)
    yield from raw("pbm", ".pbm", _written("PPM", _image("1")), _text_parts, thorough=False)
    data = b"P5 48 40 65535\n" + _image("I;16").tobytes()
    yield from raw("pgm 16", ".pgm", data, _text_parts, thorough=False)
    yield from raw("pfm", ".pfm", _written("PPM", _image("F")), _text_parts)
    # A TGA has no magic: whatever looks like it may be one.
    tga = partial(_one, suffix=".tga", parse=_TGA, unnamed=EITHER)
    yield from tga("tga", data=_written("TGA", image), exact=False)
    yield from tga("tga rle", data=_written("TGA", image, compression="tga_rle"), thorough=False)
    yield from tga("tga P", data=_written("TGA", palette), thorough=False)
    yield from _one("pcx", ".pcx", _written("PCX", image), _PCX)
    yield from raw("sgi", ".sgi", _written("SGI", image), _SGI, order="big")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # writing the format IM is deprecated
        yield from _one("im", ".im", _written("IM", image), _IM)
    data = _written("DDS", _image("RGBA"))
    yield from raw("dds", ".dds", data, _DDS, forgiving=PILLOW < (13, 0))
    data = _written("DDS", _image("RGBA"), pixel_format="DXT1")
    yield from _one("dds DXT1", ".dds", data, _DDS, thorough=False, forgiving=PILLOW < (13, 0))
    yield from _one("msp", ".msp", _written("MSP", _image("1")), _MSP)
    yield from _one("qoi", ".qoi", _written("QOI", image), _QOI, order="big")
    yield from _one("blp", ".blp", _written("BLP", palette), _BLP)
    yield from _one("spider", ".spi", _written("SPIDER", _image("F")), _SPIDER, tail=EITHER)
    yield from _one("xbm", ".xbm", _written("XBM", _image("1")), _XBM)


def _icns(image: Image.Image) -> bytes:
    """Give an icon that holds a PNG of 32x32 and one of 64x64 pixels."""
    blocks = b""
    for kind, edge in ((b"icp5", 32), (b"icp6", 64)):
        inner = saved(image.resize((edge, edge)), "PNG")
        blocks += kind + struct.pack(">I", len(inner) + 8) + inner
    return b"icns" + struct.pack(">I", len(blocks) + 8) + blocks


def _whole_by_hand() -> Iterator[Whole]:
    """Give images of the formats that Pillow reads and does not write."""
    rgb = _image("RGB").tobytes()
    grey = _image("L").tobytes()
    raw = partial(_one, exact=True)
    planes = b"".join(band.tobytes() for band in _image("RGB").split())
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, HEIGHT, WIDTH, 8, 3) + bytes(14)
    yield from raw("psd", ".psd", head + planes, _PSD, order="big")
    head = struct.pack(">8I", 0x59A66A95, WIDTH, HEIGHT, 24, len(rgb), 1, 0, 0)
    yield from raw("sun", ".ras", head + rgb, _SUN, order="big")
    palette = struct.pack("<IHHBB", 6 + 4 + 768, 4, 1, 0, 0) + bytes(range(256)) * 3
    pixels = struct.pack("<IH", 6 + len(grey), 16) + grey
    length = 16 + len(palette) + len(pixels)
    frame = struct.pack("<IHH8x", length, 0xF1FA, 2) + pixels + palette
    head = struct.pack("<IHHHHHHI", 128 + length, 0xAF12, 1, WIDTH, HEIGHT, 8, 3, 50)
    yield from raw("fli", ".flc", head.ljust(128, b"\0") + frame, _FLI, tail=EITHER)
    head = struct.pack(">5I4sI8s", 36, 2, WIDTH, HEIGHT, 1, b"GIMP", 10, b"a brush\0")
    yield from raw("gbr", ".gbr", head + grey, _GBR, order="big", unnamed=EITHER)
    head = b"FTEX" + struct.pack("<IiiiIIII", 1, WIDTH, HEIGHT, 1, 1, 1, 32, len(rgb))
    yield from raw("ftex", ".ftu", head + rgb, _FTEX)
    head = bytearray(1024)
    head[:4] = b"\x80\xe8\0\0"
    struct.pack_into("<HH", head, 416, HEIGHT, WIDTH)
    struct.pack_into("<HH", head, 424, 14, 2)
    yield from raw("pixar", ".pxr", bytes(head) + rgb, _PIXAR)
    inner = _written("PCX", _image("RGB"))
    data = struct.pack("<III", 987654321, 1024, 0).ljust(1024, b"\0") + inner
    yield from _one("dcx", ".dcx", data, _DCX, thorough=False)
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8"]
    cards += ["NAXIS   =                    2", f"NAXIS1  = {WIDTH:20}", f"NAXIS2  = {HEIGHT:20}"]
    text = "".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880).encode()
    fits = _fields(("magic", 0, 6, "magic"), ("bits", 80, 6, "other"), pixels=2880)
    yield from raw("fits", ".fits", text + grey, fits)
    xpm = b'/* XPM */\nstatic char *a[] = {\n"8 8 2 1",\n"a c #FF8000",\n"b c #0080FF",\n'
    xpm += b",\n".join([b'"aabbaabb"'] * 8) + b"\n};\n"
    fields = _fields(("magic", 0, 9, "magic"), ("sizes", 32, 3, "other"), pixels=80)
    yield from _one("xpm", ".xpm", xpm, fields, forgiving=PILLOW < (11, 3))
    data = b"P7 332\n#END_OF_COMMENTS\n48 40 255\n" + grey
    thumbnail = _fields(("magic", 0, 6, "magic"), pixels=34)
    yield from raw("xv thumbnail", ".jpg", data, thumbnail, thorough=False)
    data = b"P3\n8 8\n255\n" + b"255 128 0 0 128 255\n" * 32
    yield from _one("ppm text", ".ppm", data, _text_parts, thorough=False, tail=EITHER)
    cursor = struct.pack("<HHHBBBBHHII", 0, 2, 1, 32, 32, 0, 0, 0, 0, 40 + 1024 * 3 + 128, 22)
    bitmap = struct.pack("<IiiHHIIiiII", 40, 32, 64, 1, 24, 0, 0, 0, 0, 0, 0)
    data = cursor + bitmap + (bytes(range(96)) * 32) + bytes(128)
    yield from _one("cur", ".cur", data, _ICO, thorough=False)


# ---- What can be done to a whole image ----


def _damaged(one: Whole, *, everything: bool) -> Iterator[Kind]:
    make = partial(Kind, one.name, suffix=one.suffix)
    yield make("whole", OK, one.data)
    thorough = one.thorough or everything
    yield from _cut(one, make, thorough=thorough)
    for part in one.parts:
        if thorough or part.role in {"magic", "size", "digits", "data", "next"}:
            for kind in _broken(one, part, make, everything=everything):
                yield replace(kind, expected=ERROR) if _is_noticed(part, kind) else kind
    yield from _followed(one, make)
    if thorough:
        yield from _transported(one, make)


def _is_noticed(part: Part, kind: Kind) -> bool:
    """Tell of damage that no decoder needs to notice, as it shows in the file's structure."""
    if kind.suffix == ".png":
        return part.name.endswith(" of IDAT")  # it has a checksum
    if kind.suffix == ".tif":  # more strips are needed than there are
        needs = {"the value of height": "one more", "the value of rows per strip": "1"}
        return kind.name == f"{part.name} {needs.get(part.name)}"
    return False


def _cut(one: Whole, make: Callable[..., Kind], *, thorough: bool) -> Iterator[Kind]:
    places = {1: "after one byte", len(one.data) // 2: "in the middle"}
    places[len(one.data) - 1] = "before the last byte"
    magic = next((part for part in one.parts if part.role == "magic"), None)
    if magic is not None and magic.end - magic.start > 2:
        places.setdefault((magic.start + magic.end) // 2, "inside the magic")
    for part in one.parts if thorough else [p for p in one.parts if p.role == "data"]:
        if not part.boundary and part.role != "data":
            continue
        places.setdefault(part.start, f"before {part.name}")
        places.setdefault(part.start - 1, f"one byte before {part.name}")
        places.setdefault(part.start + 1, f"one byte into {part.name}")
    for place, name in places.items():
        if 0 < place < len(one.data):
            expected = ERROR if place <= one.certain else EITHER
            yield make(f"cut {name}", expected, one.data[:place])


def _broken(
    one: Whole, part: Part, make: Callable[..., Kind], *, everything: bool
) -> Iterator[Kind]:
    def with_(new: bytes) -> bytes:
        return one.data[: part.start] + new + one.data[part.end :]

    old = one.data[part.start : part.end]
    size = len(old)
    inverted = bytes(byte ^ 0xFF for byte in old)
    numbers = {
        "0": bytes(size),
        "1": (1).to_bytes(size, one.order),
        "the highest": b"\xff" * size,
        "the highest signed": (2 ** (8 * size - 1) - 1).to_bytes(size, one.order),
        "one more": (min(int.from_bytes(old, one.order) + 1, 2 ** (8 * size) - 1)).to_bytes(
            size, one.order
        ),
    }
    if part.role == "magic":
        yield make(f"{part.name} inverted", one.unnamed, with_(inverted))
        yield make(f"{part.name} zeroed", one.unnamed, with_(bytes(size)))
    elif part.role == "size":
        large = ERROR if size > 2 else EITHER  # 65,535 rows of little are not much
        yield make(f"{part.name} 0", ERROR, with_(numbers["0"]))
        yield make(f"{part.name} 1", EITHER, with_(numbers["1"]))
        yield make(f"{part.name} the highest", EITHER, with_(numbers["the highest"]))
        yield make(f"{part.name} the highest signed", large, with_(numbers["the highest signed"]))
        yield make(f"{part.name} one more", EITHER, with_(numbers["one more"]))
    elif part.role == "digits":
        for text, expected in {b"0": ERROR, b"-5": ERROR, b"x": ERROR, b"9" * 30: ERROR}.items():
            yield make(f"{part.name} {text.decode()}", expected, with_(text))
        yield make(f"{part.name} 1", EITHER, with_(b"1"))
    elif part.role in {"length", "next"}:
        changed = [(name, new) for name, new in numbers.items() if new != old]
        if not everything and part.role == "length":
            changed = [changed[zlib.crc32(part.name.encode()) % len(changed)]]
        for name, new in changed:
            yield make(f"{part.name} {name}", EITHER, with_(new))
    elif part.role == "data":
        middle = (part.start + part.end) // 2
        flipped = bytearray(one.data)
        flipped[middle] ^= 0xFF
        yield make(f"{part.name} with a flipped byte", EITHER, bytes(flipped))
        half = part.start + size // 2
        zeroed = one.data[:half] + bytes(part.end - half) + one.data[part.end :]
        yield make(f"{part.name} with a zeroed half", EITHER, zeroed)
        noise = np.random.default_rng(part.start).bytes(size)
        yield make(f"{part.name} replaced by noise", EITHER, with_(noise))
        yield make(f"{part.name} left out", EITHER, with_(b""))
    else:
        yield make(f"{part.name} inverted", EITHER, with_(inverted))


def _followed(one: Whole, make: Callable[..., Kind]) -> Iterator[Kind]:
    tail = partial(make, expected=one.tail, like=f"{one.name}/whole")
    noise = np.random.default_rng(1).bytes(5000)
    yield tail("followed by noise", data=one.data + noise)
    yield tail("followed by zeros", data=one.data + bytes(5000))
    yield tail("followed by itself", data=one.data * 2)
    yield tail("named as something else", expected=OK, data=one.data, suffix=".gif")
    zeroed = one.data[: len(one.data) // 2].ljust(len(one.data), b"\0")
    noticed = one.suffix == ".png" and len(one.data) // 2 < one.certain
    yield make("with zeros for its second half", ERROR if noticed else EITHER, zeroed)


def _transported(one: Whole, make: Callable[..., Kind]) -> Iterator[Kind]:
    """Give what programs make of a file that take it for something else."""
    yield make("after a byte order mark", one.unnamed, b"\xef\xbb\xbf" + one.data)
    spaced = EITHER if one.name == "xbm" else one.unnamed
    yield make("after a line break", spaced, b"\n" + one.data)
    yield make("with every line break doubled", EITHER, one.data.replace(b"\n", b"\r\n"))
    text = one.data.decode("latin-1").encode("utf-8")
    yield make("saved as UTF-8", EITHER, text)
    yield make("as base64", ERROR, base64.b64encode(one.data))
    yield make("gzipped", ERROR, gzip.compress(one.data, mtime=0))


# ---- What is odd about one format alone ----


def _zlib(*pieces: tuple[bytes, int]) -> bytes:
    """Compress pieces, each so many times, without ever having it all."""
    packer = zlib.compressobj(1)
    found = []
    for piece, times in pieces:
        many = max(1, min(times, 1_000_000 // max(len(piece), 1)))
        block, left = piece * many, times
        while left:
            now = min(left, many)
            found.append(packer.compress(block[: len(piece) * now]))
            left -= now
    return b"".join([*found, packer.flush()])


def zeros_png(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    """Give a black PNG: a few bytes that become many."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = bytes(1 + -(-width * depth * samples // 8))
    return _png(colour, _zlib((row, height)), depth=depth, size=(width, height))


def _splice(data: bytes, at: int, *pieces: bytes) -> bytes:
    return data[:at] + b"".join(pieces) + data[at:]


def _exif(*entries: tuple[int, int, int, bytes], following: int = 0) -> bytes:
    """Give EXIF data: entries of tag, type, count and four bytes of value."""
    table = b"".join(struct.pack(">HHI4s", *entry) for entry in entries)
    head = b"MM\0*\0\0\0\x08" + struct.pack(">H", len(entries))
    return head + table + struct.pack(">I", following)


def _orientations() -> Iterator[tuple[str, bytes]]:
    """Give EXIF data whose orientation makes no sense."""
    for value in (0, 9, 255, 65535):
        yield f"an orientation of {value}", _exif((274, 3, 1, struct.pack(">HH", value, 0)))
    yield "an orientation in words", _exif((274, 2, 4, b"top\0"))
    yield "an orientation without an end", _exif((274, 2, 2**31, b"\0\0\0\x08"))
    yield "an orientation over nothing", _exif((274, 5, 1, b"\xff\xff\xff\xff"))
    yield "two orientations in one", _exif((274, 3, 2, b"\0\x63\0\x63"))
    yield "no orientation at all", _exif((274, 3, 0, b"\0\0\0\0"))
    yield "EXIF data that lead back to itself", _exif((34665, 4, 1, b"\0\0\0\x08"), following=8)
    yield "EXIF data that are a loop of GPS", _exif((34853, 4, 1, b"\0\0\0\x08"), following=8)
    yield "EXIF data that are noise", np.random.default_rng(3).bytes(500)
    yield "EXIF data cut in the middle", b"MM\0*\0\0\0\x08\0\x09\x01\x12"
    yield "EXIF data without anything", b""


def _named(name: str) -> Whole | None:
    return next((one for one in whole() if one.name == name), None)


class _Makers:
    """What makes the kinds of one family: fine, bad, odd, and of the same picture as ``plain``."""

    def __init__(self, family: str, suffix: str) -> None:
        make = partial(Kind, family, suffix=suffix)
        self.fine = partial(make, expected=OK)
        self.bad = partial(make, expected=ERROR)
        self.odd = partial(make, expected=EITHER)
        self.same = partial(make, expected=OK, like=f"{family}/plain")


def _packed() -> bytes:
    return zlib.compress(_rows(_image("RGB")))


def _with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    return _png(2, _packed(), chunks=b"".join(chunk(*one) for one in chunks))


def _png_kinds() -> Iterator[Kind]:
    makers = _Makers("odd png", ".png")
    yield makers.fine("plain", data=_png(2, _packed()))
    yield from _png_sizes(makers)
    yield from _png_metadata(makers)
    yield from _png_chunks(makers)
    yield from _png_fields(makers)
    yield from _png_pixels(makers)
    yield from _png_frames(makers)


def _png_sizes(makers: _Makers) -> Iterator[Kind]:
    fine, bad = makers.fine, makers.bad
    yield bad("claims 60,000 x 60,000", data=huge_png(), reason="too large")
    yield bad("claims 60,000 x 1", data=huge_png(60_000, 1))
    yield bad("claims a width of 2**31 - 1", data=huge_png(2**31 - 1, 1), reason="too large")
    yield bad("claims a height of 2**31 - 1", data=huge_png(1, 2**31 - 1), reason="too large")
    yield bad("claims 2**31 - 1 twice", data=huge_png(2**31 - 1, 2**31 - 1), reason="too large")
    yield makers.odd("claims 2**32 - 1 twice", data=huge_png(2**32 - 1, 2**32 - 1))
    yield bad("claims 15,800 x 15,800", data=huge_png(15_800, 15_800))
    yield fine("15,000 x 15,000 zeros", data=zeros_png(15_000, 15_000))
    yield fine("8,000 x 8,000 of one bit", data=zeros_png(8_000, 8_000, depth=1))
    data = zeros_png(15_812, 15_811, depth=1)
    yield bad("15,812 x 15,811 of one bit", data=data, reason="too large")
    yield fine("5,000 x 5,000 RGBA zeros", data=zeros_png(5_000, 5_000, colour=6))
    yield fine("3,000 x 3,000 16-bit RGBA zeros", data=zeros_png(3000, 3000, colour=6, depth=16))
    yield fine("4,000 x 4,000 16-bit zeros", data=zeros_png(4000, 4000, depth=16))
    yield fine("1 x 60,000", data=zeros_png(1, 60_000))
    yield fine("60,000 x 1", data=zeros_png(60_000, 1))
    yield fine("3 x 1,000,000", data=zeros_png(3, 1_000_000))
    yield fine("1 x 1", data=zeros_png(1, 1))
    yield fine("2 x 1 of two bits", data=zeros_png(2, 1, depth=2))


def _png_metadata(makers: _Makers) -> Iterator[Kind]:
    odd, same, with_ = makers.odd, makers.same, _with_chunks
    bomb = _zlib((bytes(1000), 100_000))
    bombs = {
        "zTXt": (b"zTXt", b"Comment\0\0" + bomb),
        "iTXt": (b"iTXt", b"Comment\0\1\0en\0Comment\0" + bomb),
        "iCCP": (b"iCCP", b"profile\0\0" + bomb),
    }
    for name, one in bombs.items():
        yield odd(f"100 MB in {name}", data=with_(one))
        behind = _png(2, _packed(), after=chunk(*one))
        yield odd(f"100 MB in {name} behind the pixels", data=behind)
    small = (b"zTXt", b"Comment\0\0" + _zlib((bytes(1000), 999)))
    yield odd("1,000 times 1 MB in zTXt", data=with_(*[small] * 1000))
    yield odd("10,000 texts", data=with_(*[(b"tEXt", b"Comment\0hello")] * 10_000))
    yield same("10,000 chunks that nobody knows", data=with_(*[(b"abCd", b"hello")] * 10_000))
    yield same("a chunk of 5 MB that nobody knows", data=with_((b"abCd", bytes(5_000_000))))
    for name in (b"iCCP", b"gAMA", b"cHRM", b"sBIT", b"pHYs", b"tIME", b"bKGD", b"sRGB", b"hIST"):
        for content in (b"", b"\xff", b"\xff" * 400):
            text = f"{name.decode()} of {len(content)} bytes that make no sense"
            yield odd(text, data=with_((name, content)))
    yield same("a profile that is noise", data=with_((b"iCCP", b"x\0\0" + _packed())))
    for name, exif in _orientations():
        yield same(name, data=with_((b"eXIf", exif)))
    for content in (b"", b"\0", bytes(6), bytes(7), bytes(3000)):
        yield odd(f"tRNS of {len(content)} bytes", data=with_((b"tRNS", content)))


def _png_chunks(makers: _Makers) -> Iterator[Kind]:
    odd, bad, same, with_ = makers.odd, makers.bad, makers.same, _with_chunks
    packed = _packed()
    plain = _png(2, packed)
    pieces = [chunk(b"IDAT", packed[place : place + 1]) for place in range(len(packed))]
    head, end = plain[: 8 + 25], chunk(b"IEND", b"")
    body = chunk(b"IDAT", packed)
    yield same("its pixels in chunks of one byte", data=head + b"".join(pieces) + end)
    yield same(
        "10,000 empty chunks of pixels", data=head + chunk(b"IDAT", b"") * 10_000 + body + end
    )
    yield bad("its pixels behind the end", data=head + end + body)
    yield bad("no pixels", data=head + end)
    yield bad("no header", data=plain[:8] + body + end)
    yield bad("nothing but the end", data=plain[:8] + end)
    yield bad("empty pixels", data=_png(2, b""))
    yield odd("two headers", data=head + head[8:] + body + end)
    yield odd("a second header of another size", data=head + huge_png()[8:33] + body + end)
    yield odd("a chunk between its pixels", data=head + pieces[0] + chunk(b"abCd", b"x") + body)
    yield odd("an unknown chunk that is critical", data=with_((b"ABCD", b"hello")))
    yield odd("a chunk whose name is no name", data=with_((b"\xff\0\1\2", b"hello")))
    yield odd("a chunk of Apple's in front", data=plain[:8] + chunk(b"CgBI", bytes(4)) + plain[8:])
    yield odd("a header of 12 bytes", data=plain[:8] + chunk(b"IHDR", head[16:28]) + body + end)
    yield odd("a header of 14 bytes", data=plain[:8] + chunk(b"IHDR", head[16:30]) + body + end)
    yield bad("the magic of MNG", data=b"\x8aMNG" + plain[4:])
    yield bad("the magic without its eighth bit", data=b"\x09" + plain[1:])


def _png_fields(makers: _Makers) -> Iterator[Kind]:
    odd, bad, packed = makers.odd, makers.bad, _packed()
    for depth in (0, 3, 5, 7, 32, 255):
        yield bad(f"a depth of {depth}", data=_png(2, packed, depth=depth))
    for colour in (1, 5, 7, 255):
        yield bad(f"a colour type of {colour}", data=_png(colour, packed))
    yield odd("a lacing of 2", data=_png(2, packed, lacing=2))
    yield odd("a compression that nobody knows", data=_png(2, packed, methods=(1, 0)))
    yield odd("a filter method that nobody knows", data=_png(2, packed, methods=(0, 1)))
    yield odd("a row filter of 9", data=_png(2, zlib.compress(b"\x09" + _rows(_image("RGB"))[1:])))
    yield odd("a palette that is not there", data=_png(3, zlib.compress(_rows(_image("L")))))
    for count in (0, 1, 256, 257, 5000):
        palette = chunk(b"PLTE", bytes(3 * count))
        data = _png(3, zlib.compress(_rows(_image("L"))), chunks=palette)
        yield odd(f"a palette of {count} colours", data=data)
    palette = chunk(b"PLTE", b"12345")
    data = _png(3, zlib.compress(_rows(_image("L"))), chunks=palette)
    yield odd("a palette of 5 bytes", data=data)
    yield makers.same("a palette that it does not need", data=_with_chunks((b"PLTE", bytes(30))))


def _png_pixels(makers: _Makers) -> Iterator[Kind]:
    odd, bad, rows, packed = makers.odd, makers.bad, _rows(_image("RGB")), _packed()
    size = len(rows) // HEIGHT
    yield bad("one row too few", data=_png(2, zlib.compress(rows[:-size])))
    yield bad("half a row too few", data=_png(2, zlib.compress(rows[: -size // 2])))
    yield bad("a byte too few", data=_png(2, zlib.compress(rows[:-1])))
    yield odd("ten rows too many", data=_png(2, zlib.compress(rows + bytes(10 * size))))
    yield odd("100 MB too much", data=_png(2, _zlib((rows, 1), (bytes(1000), 100_000))))
    yield makers.same("stored, not compressed", data=_png(2, zlib.compress(rows, 0)))
    yield odd("no checksum of the pixels", data=_png(2, packed[:-4]))
    yield odd("a wrong checksum of the pixels", data=_png(2, packed[:-4] + b"abcd"))
    yield odd("noise behind the pixels", data=_png(2, packed + bytes(range(256))))
    yield bad("a dictionary that is not there", data=_png(2, b"\x78\xbb" + packed[2:]))
    yield bad("a window that is too large", data=_png(2, b"\x88\x1c" + packed[2:]))
    yield bad("pixels without the header of zlib", data=_png(2, packed[2:-4]))
    yield bad("pixels by gzip", data=_png(2, gzip.compress(rows, mtime=0)))
    yield bad("pixels by nobody", data=_png(2, rows))


def _png_frames(makers: _Makers) -> Iterator[Kind]:
    odd, packed = makers.odd, _packed()
    plain = _png(2, packed)
    head, body, end = plain[: 8 + 25], chunk(b"IDAT", packed), chunk(b"IEND", b"")
    for frames in (0, 1, 2**31 - 1, 2**32 - 1):
        control = (b"acTL", struct.pack(">II", frames, 0))
        yield odd(
            f"an animation of {frames:,} frames that are not there", data=_with_chunks(control)
        )
    control = chunk(b"acTL", struct.pack(">II", 2, 0))
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 1, 0, 0))
    for name, place in {
        "outside of the image": (WIDTH, HEIGHT, 9, 9), "of no size": (0, 0, 0, 0),
        "of a huge size": (2**31 - 1, 2**31 - 1, 0, 0), "at a negative place": (9, 9, 2**32 - 9, 0),
    }.items():  # fmt: skip
        second = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, *place, 1, 1, 0, 0))
        data = head + control + first + body + second + chunk(b"fdAT", bytes(4) + packed) + end
        yield odd(f"a second frame {name}", data=data)
    data = head + control + first + body + first + chunk(b"fdAT", bytes(99)) + end
    yield makers.same("a second frame that is broken", data=data)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _jpeg_kinds() -> Iterator[Kind]:
    makers = _Makers("odd jpeg", ".jpg")
    plain = saved(_image("RGB"), "JPEG")
    yield makers.fine("plain", data=plain)
    yield from _jpeg_segments(makers, plain)
    yield from _jpeg_profiles(makers, plain)
    yield from _jpeg_frames(makers, plain)
    yield from _jpeg_scans(makers, plain)


def _jpeg_segments(makers: _Makers, plain: bytes) -> Iterator[Kind]:
    odd, bad, same = makers.odd, makers.bad, makers.same
    yield same(
        "2,000 application segments", data=_splice(plain, 2, _segment(0xE5, b"x" * 9) * 2000)
    )
    data = _splice(plain, 2, _segment(0xE5, bytes(65_000)) * 200)
    yield same("13 MB of application segments", data=data)
    yield same("5,000 comments", data=_splice(plain, 2, _segment(0xFE, b"hello") * 5000))
    data = _splice(plain, 2, _segment(0xE1, b"Exif\0\0" + _exif()) * 1000)
    yield same("1,000 segments of EXIF data", data=data)
    for name, exif in _orientations():
        data = _splice(plain, 2, _segment(0xE1, b"Exif\0\0" + exif))
        yield same(name, data=data)
    yield same(
        "EXIF data of 65,533 bytes",
        data=_splice(plain, 2, _segment(0xE1, b"Exif\0\0" + bytes(65_527))),
    )
    for value in (0, 1, 2, 3, 255):
        adobe = _segment(0xEE, b"Adobe\0d\0\0\0\0" + bytes([value]))
        yield odd(f"Adobe's transform {value}", data=_splice(plain, 2, adobe))
    yield same("an application segment of no length", data=_splice(plain, 2, b"\xff\xe5\0\2"))
    yield odd(
        "an index of images that is noise",
        data=_splice(plain, 2, _segment(0xE2, b"MPF\0" + bytes(90))),
    )
    data = _splice(plain, 2, _segment(0xE2, b"MPF\0" + _exif((0xB001, 4, 1, b"\xff" * 4))))
    yield odd("an index of 4,294,967,295 images", data=data)
    data = _splice(plain, 2, _segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\xff\xff\xff\xff"))
    yield odd("resources of Photoshop without an end", data=data)
    yield same("fill bytes before a marker", data=_splice(plain, 2, b"\xff" * 100))
    yield odd("noise between segments", data=_splice(plain, 2, b"noise"))
    yield bad("nothing but its beginning and its end", data=b"\xff\xd8\xff\xd9")


def _jpeg_profiles(makers: _Makers, plain: bytes) -> Iterator[Kind]:
    profile = b"ICC_PROFILE\0"
    for name, numbers in {
        "one of three": [(1, 3)], "all the third": [(3, 3)] * 3, "the ninth of two": [(9, 2)],
        "the first of none": [(1, 0)], "255 of 255": [(n, 255) for n in range(1, 256)],
    }.items():  # fmt: skip
        data = _splice(plain, 2, *(_segment(0xE2, profile + bytes(n) + bytes(40)) for n in numbers))
        yield makers.same(f"pieces of a profile, {name}", data=data)
    data = saved(_image("CMYK"), "JPEG")
    yield makers.fine("plain CMYK", data=data)
    garbage = {
        "noise": np.random.default_rng(4).bytes(900),
        "a part": cmyk_profile((9, 9, 9))[:300],
    }
    garbage["a profile of RGB"] = cmyk_profile((9, 9, 9)).replace(b"CMYK", b"RGB ")
    for name, content in garbage.items():
        new = _splice(data, 2, _segment(0xE2, profile + b"\1\1" + content))
        yield makers.odd(f"CMYK with {name} for its profile", data=new)


def _jpeg_frames(makers: _Makers, plain: bytes) -> Iterator[Kind]:
    odd, fine, image = makers.odd, makers.fine, _image("RGB")
    frame = next(p.start for p in _jpeg_parts(plain) if p.name == "the precision") - 4
    for width, height, expected in [
        (65_535, 65_535, ERROR), (65_500, 3_800, EITHER), (1, 65_500, EITHER), (65_500, 1, EITHER),
        (0, 40, ERROR), (48, 0, ERROR), (49, 41, EITHER), (4_096, 4_096, EITHER),
    ]:  # fmt: skip
        new = plain[: frame + 5] + struct.pack(">HH", height, width) + plain[frame + 9 :]
        yield odd(f"claims {width:,} x {height:,}", data=new, expected=expected)
    yield fine("1 x 1", data=saved(image.resize((1, 1)), "JPEG"))
    yield fine("1 x 60,000", data=saved(Image.new("RGB", (1, 60_000)), "JPEG"))
    yield fine("60,000 x 1", data=saved(Image.new("RGB", (60_000, 1)), "JPEG"))
    for marker in (0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF):
        new = plain[: frame + 1] + bytes([marker]) + plain[frame + 2 :]
        yield odd(f"the kind of frame {marker:X}", data=new)
    for count in (0, 1, 2, 4, 5, 255):
        new = plain[: frame + 9] + bytes([count]) + plain[frame + 10 :]
        yield odd(f"{count} components", data=new)
    for sampling in (0x00, 0x01, 0x55, 0xFF, 0x14, 0x41):
        new = plain[: frame + 11] + bytes([sampling]) + plain[frame + 12 :]
        yield odd(f"a sampling of {sampling:02X}", data=new)
    for precision in (0, 2, 12, 16, 255):
        new = plain[: frame + 4] + bytes([precision]) + plain[frame + 5 :]
        yield odd(f"a precision of {precision}", data=new)
    yield odd("a restart interval of 1", data=_splice(plain, 2, b"\xff\xdd\0\4\0\1"))
    yield odd("two frames", data=_splice(plain, frame, plain[frame : frame + 19]))


def _jpeg_scans(makers: _Makers, plain: bytes) -> Iterator[Kind]:
    odd, bad = makers.odd, makers.bad
    parts = list(_jpeg_parts(plain))
    scan = next(part for part in parts if part.role == "data")
    frame = next(part.start for part in parts if part.name == "the precision") - 4
    yield bad("no tables at all", data=plain[:2] + plain[frame : frame + 19] + plain[scan.end :])
    for name in ("DHT", "DQT", "SOS", "SOF0"):
        new = plain
        for part in sorted(parts, key=lambda part: -part.start):
            if part.name.startswith(f"the marker {name} "):
                (length,) = struct.unpack_from(">H", plain, part.start + 2)
                new = new[: part.start] + new[part.start + 2 + length :]
        expected = EITHER if name == "DHT" else ERROR
        yield odd(f"no {name}", data=new, expected=expected)
    middle = (scan.start + scan.end) // 2
    for number in (0, 1, 7):
        new = _splice(plain, middle, bytes([0xFF, 0xD0 + number]))
        yield odd(f"a restart {number} where none belongs", data=new)
    yield odd("an end in the middle", data=_splice(plain, middle, b"\xff\xd9"))
    yield odd("a beginning in the middle", data=_splice(plain, middle, b"\xff\xd8"))
    yield odd("another image in the middle", data=_splice(plain, middle, plain))
    yield odd("a scan of ones", data=plain[: scan.start] + b"\xff\0" * 500 + b"\xff\xd9")
    yield odd("a scan of zeros", data=plain[: scan.start] + bytes(500) + b"\xff\xd9")
    yield odd(
        "two scans of the same", data=_splice(plain, scan.end, plain[scan.start - 14 : scan.end])
    )
    progressive = saved(_image("RGB"), "JPEG", progressive=True)
    places = [part for part in _jpeg_parts(progressive) if part.role == "data"]
    last = progressive[places[-1].start - 10 : places[-1].end]
    yield odd("200 scans", data=_splice(progressive, places[-1].end, last * 200))
    yield odd("the first scan alone", data=progressive[: places[0].end] + b"\xff\xd9")
    data = b"data:image/jpeg;base64," + base64.b64encode(plain)
    yield bad("a browser's address of data", data=data)
    yield bad("the header of a mail in front", data=b"Content-Type: image/jpeg\r\n\r\n" + plain)


def _gif_kinds() -> Iterator[Kind]:
    same = partial(Kind, "odd gif", expected=OK, suffix=".gif", like="odd gif/plain")
    bad = partial(Kind, "odd gif", expected=ERROR, suffix=".gif")
    odd = partial(Kind, "odd gif", expected=EITHER, suffix=".gif")
    plain = saved(_image("P"), "GIF")
    table = 3 * 2 ** ((plain[10] & 7) + 1)
    start = 13 + table
    frame = plain[start:-1]
    yield Kind("odd gif", "plain", OK, plain, ".gif")
    yield same("2,000 frames", data=plain[:-1] + frame * 2_000 + b";")
    yield same("a broken second frame", data=plain[:-1] + frame[:60] + b"\0;")
    yield same("a second frame cut short", data=plain[:-1] + frame[: len(frame) // 2])
    yield same(
        "a second frame of 65,535 x 65,535",
        data=plain[:-1] + frame[:5] + b"\xff" * 4 + frame[9:] + b";",
    )
    yield same("10,000 comments", data=plain[:start] + b"!\xfe\5hello\0" * 10_000 + frame + b";")
    yield same(
        "a comment of 5 MB",
        data=plain[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0" + frame + b";",
    )
    yield same(
        "extensions that nobody knows", data=plain[:start] + b"!\x99\5hello\0" * 9 + frame + b";"
    )
    yield odd("noise between blocks", data=plain[:start] + b"noise" * 50 + frame + b";")
    yield bad("no frame", data=plain[:start] + b";")
    yield bad("nothing but comments", data=plain[:start] + b"!\xfe\5hello\0" * 50 + b";")
    yield odd(
        "a comment without an end", data=plain[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * 50
    )
    for place, (width, height), expected in [
        (6, (65_535, 65_535), ERROR),
        (6, (3_000, 3_000), OK),
        (6, (1, 1), EITHER),
        (start + 5, (65_535, 65_535), ERROR),
        (start + 5, (60, 60), EITHER),
        (start + 5, (1, 1), EITHER),
        (start + 5, (0, 0), EITHER),
        (start + 1, (65_535, 65_535), ERROR),
        (start + 1, (20, 20), EITHER),
    ]:
        what = {6: "screen", start + 5: "frame", start + 1: "place"}[place]
        new = plain[:place] + struct.pack("<HH", width, height) + plain[place + 4 :]
        yield odd(f"a {what} of {width:,} x {height:,}", data=new, expected=expected)
    yield odd("no palette", data=plain[:10] + b"\0" + plain[11:13] + frame + b";")
    yield odd("a palette of two colours", data=plain[:10] + b"\x80" + plain[11:19] + frame + b";")
    for code in (0, 1, 2, 9, 12, 13, 255):
        yield odd(
            f"a code size of {code}",
            data=plain[:start] + frame[:10] + bytes([code]) + frame[11:] + b";",
        )
    control = b"!\xf9\4\1\0\0"
    for index in (0, 1, 255):
        new = plain[:start] + control + bytes([index, 0]) + frame + b";"
        yield odd(f"the transparent colour {index}", data=new, expected=OK)
    yield odd(
        "a disposal of 7", data=plain[:start] + b"!\xf9\4\x1c\0\0\0\0" + frame + b";", expected=OK
    )
    yield odd("an empty control", data=plain[:start] + b"!\xf9\0" + frame + b";")
    yield odd(
        "rows out of order",
        data=plain[:start] + frame[:9] + bytes([frame[9] | 0x40]) + frame[10:] + b";",
        expected=OK,
    )
    yield odd(
        "zeros for its codes",
        data=plain[:start] + frame[:11] + (b"\xff" + bytes(255)) * 20 + b"\0;",
    )
    yield odd("the version 88a", data=b"GIF88a" + plain[6:])
    data = saved(Image.new("P", (4_000, 4_000)), "GIF")
    yield odd("4,000 x 4,000 zeros", data=data, expected=OK)
    yield odd("1 x 60,000", data=saved(Image.new("P", (1, 60_000)), "GIF"), expected=OK)


def _big_directory(entries: int) -> bytes:
    """Give a BigTIFF that has entries without number."""
    entry = struct.pack("<HHQQ", 65_000, 3, 1, 0)
    return (
        b"II+\0"
        + struct.pack("<HHQQ", 8, 0, 16, entries)
        + entry * min(entries, 200_000)
        + bytes(8)
    )


def _tiff_kinds() -> Iterator[Kind]:
    makers = _Makers("odd tiff", ".tif")
    grey = bytes(range(0, 256, 4))
    yield makers.fine("plain", data=tiff(8, grey))
    yield from _tiff_directories(makers, tiff(8, grey))
    yield from _tiff_entries(makers, grey)
    yield from _tiff_fields(makers, grey)
    yield from _tiff_samples(makers, grey)
    if features.check("libtiff"):
        yield from _tiff_compressed(makers)


def _tiff_directories(makers: _Makers, plain: bytes) -> Iterator[Kind]:
    odd, bad, same = makers.odd, makers.bad, makers.same
    (count,) = struct.unpack_from("<H", plain, 8)
    following = 10 + 12 * count
    for name, offset in {
        "itself": 8, "nothing": 2**32 - 1, "its own end": following, "the magic": 0x0000_0001,
    }.items():  # fmt: skip
        new = plain[:following] + struct.pack("<I", offset) + plain[following + 4 :]
        yield same(f"a next directory that is {name}", data=new)
    chain = b"".join(struct.pack("<HI", 0, len(plain) + 6 * n) for n in range(1, 20_000))
    new = plain[:following] + struct.pack("<I", len(plain)) + plain[following + 4 :] + chain
    yield same("20,000 empty directories", data=new)
    for offset in (0, 1, 4, 7, len(plain), 2**31, 2**32 - 1):
        yield bad(
            f"its directory at {offset:,}", data=plain[:4] + struct.pack("<I", offset) + plain[8:]
        )
    yield bad("a directory without entries", data=b"II*\0" + struct.pack("<IHI", 8, 0, 0))
    entry = struct.pack("<HHIHH", 65_000, 3, 1, 0, 0)
    yield bad(
        "65,535 entries of nothing",
        data=b"II*\0" + struct.pack("<IH", 8, 65_535) + entry * 65_535 + bytes(4),
    )
    yield bad(
        "65,535 entries that are not there", data=b"II*\0" + struct.pack("<IH", 8, 65_535) + entry
    )
    new = _splice(plain, following, entry * (65_000 - count))
    yield odd("65,000 entries", data=new[:8] + struct.pack("<H", 65_000) + new[10:])
    yield bad("200,000 entries", data=_big_directory(200_000))
    yield bad("2**63 - 1 entries", data=_big_directory(2**63 - 1))
    yield odd("entries out of order", data=plain[:10] + plain[22:34] + plain[10:22] + plain[34:])


def _tiff_entries(makers: _Makers, grey: bytes) -> Iterator[Kind]:
    odd = makers.odd
    for kind in (1, 2, 4, 5, 7, 12, 13, 16):
        for size in (2**20, 2**31 - 1, 2**32 - 1):
            new = tiff(8, grey, tags=[(65_000, kind, 8)])
            place = new.index(struct.pack("<HHI", 65_000, kind, 1)) + 4
            new = new[:place] + struct.pack("<I", size) + new[place + 4 :]
            yield odd(f"a tag of {size:,} values of type {kind}", data=new)
    for tag, name in ((330, "SubIFD"), (34665, "EXIF"), (34853, "GPS"), (40965, "Interop")):
        yield odd(f"{name} that leads back to itself", data=tiff(8, grey, tags=[(tag, 4, 8)]))
        yield odd(f"{name} that leads nowhere", data=tiff(8, grey, tags=[(tag, 4, 2**32 - 1)]))
    for value in (0, 9, 255, 65_535):
        yield makers.fine(f"an orientation of {value}", data=tiff(8, grey, tags=[(274, 3, value)]))


def _tiff_fields(makers: _Makers, grey: bytes) -> Iterator[Kind]:
    odd, plain = makers.odd, tiff(8, grey)
    for bits in (0, 3, 5, 7, 12, 24, 33, 64, 65_535):
        yield odd(f"{bits} bits", data=tiff(bits, grey * 8))
    for samples in (0, 2, 5, 99, 65_535):
        yield odd(f"{samples} samples", data=tiff(8, grey * 8, samples=samples))
    for photometric in (3, 5, 6, 8, 9, 32_803, 65_535):
        yield odd(f"a photometric of {photometric}", data=tiff(8, grey, photometric=photometric))
    for compression in (0, 2, 3, 4, 5, 6, 7, 8, 9, 99, 32_773, 34_712, 50_000, 50_001, 65_535):
        new = plain.replace(
            struct.pack("<HHIH", 259, 3, 1, 1), struct.pack("<HHIH", 259, 3, 1, compression)
        )
        yield odd(f"a compression of {compression}", data=new)
    for predictor in (0, 2, 3, 99):
        yield odd(f"a predictor of {predictor}", data=tiff(8, grey, tags=[(317, 3, predictor)]))
    for planes in (0, 2, 7):
        yield odd(f"{planes} for its planes", data=tiff(8, grey, tags=[(284, 3, planes)]))
    for order in (0, 2, 9):
        yield odd(f"a fill order of {order}", data=tiff(8, grey, tags=[(266, 3, order)]))


def _tiff_samples(makers: _Makers, grey: bytes) -> Iterator[Kind]:
    odd, fine = makers.odd, makers.fine
    samples = np.linspace(0, 1, 64, dtype=np.float32)
    strange = {
        "NaN among its samples": [np.nan], "infinity among its samples": [np.inf, -np.inf],
        "NaN and nothing else": [np.nan] * 64, "infinity and nothing else": [np.inf] * 64,
        "the largest and the smallest floats": [3.4e38, -3.4e38], "tiny floats": [1e-45, 0.0],
        "negative floats": [-1e9, -1.0],
    }  # fmt: skip
    for name, values in strange.items():
        new = samples.copy()
        new[: len(values)] = values
        yield fine(name, data=tiff(32, new.tobytes(), sample_format=3))
    yield odd(
        "floats of 16 bits", data=tiff(16, samples.astype(np.float16).tobytes(), sample_format=3)
    )
    yield odd(
        "floats of 64 bits", data=tiff(64, samples.astype(np.float64).tobytes(), sample_format=3)
    )
    yield odd(
        "complex numbers", data=tiff(64, samples.astype(np.complex64).tobytes(), sample_format=6)
    )
    whole_numbers = np.array([0, -1, 2**31 - 1, -(2**31)] * 16, np.int32).tobytes()
    yield fine("signed numbers of 32 bits", data=tiff(32, whole_numbers, sample_format=2))
    yield fine("unsigned numbers of 32 bits", data=tiff(32, whole_numbers, sample_format=1))
    yield odd("signed numbers of 16 bits", data=tiff(16, whole_numbers[:128], sample_format=2))
    yield odd("signed numbers of 8 bits", data=tiff(8, grey, sample_format=2))
    yield odd("samples of no known format", data=tiff(8, grey, sample_format=4))


def _tiff_compressed(makers: _Makers) -> Iterator[Kind]:
    fine = makers.fine
    for compression in ("tiff_adobe_deflate", "tiff_lzw", "packbits", "group4"):
        black = Image.new("1" if compression == "group4" else "L", (8_000, 8_000))
        data = _written("TIFF", black, compression=compression)
        yield fine(f"8,000 x 8,000 zeros by {compression}", data=data)
    yield fine(
        "1,000 x 1,000 floats by deflate",
        data=_written("TIFF", Image.new("F", (1_000, 1_000)), compression="tiff_adobe_deflate"),
    )
    frames = [Image.new("L", (8, 8))] * 300
    yield fine(
        "300 pages", data=_written("TIFF", frames[0], save_all=True, append_images=frames[1:])
    )
    rich = _written("TIFF", _image("RGB"), icc_profile=bytes(range(256)), xmp=b"<xmp")
    yield fine("a profile that is noise", data=rich)


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_kinds() -> Iterator[Kind]:
    bad = partial(Kind, "odd webp", expected=ERROR, suffix=".webp")
    odd = partial(Kind, "odd webp", expected=EITHER, suffix=".webp")
    image = _image("RGB")
    plain = saved(image, "WEBP")
    lossy = plain[20:]
    lossless = saved(image, "WEBP", lossless=True)[20:]
    yield Kind("odd webp", "plain", OK, plain, ".webp")
    extended = (
        struct.pack("<I", 0)
        + (WIDTH - 1).to_bytes(3, "little")
        + (HEIGHT - 1).to_bytes(3, "little")
    )
    yield bad("no chunks", data=_riff())
    yield bad("a header and nothing else", data=_riff((b"VP8X", extended)))
    huge = bytes(4) + b"\xff\xff\xff" * 2
    yield bad("a canvas of 16,777,216 x 16,777,216", data=_riff((b"VP8X", huge), (b"VP8 ", lossy)))
    small = bytes(10)
    yield odd("a canvas of 1 x 1", data=_riff((b"VP8X", small), (b"VP8 ", lossy)))
    yield odd("two images", data=_riff((b"VP8X", extended), (b"VP8 ", lossy), (b"VP8L", lossless)))
    yield odd(
        "chunks that nobody knows",
        data=_riff((b"VP8X", extended), *[(b"abcd", b"x")] * 5000, (b"VP8 ", lossy)),
    )
    every = b"\xff" + extended[1:]
    yield odd("all flags and nothing of it", data=_riff((b"VP8X", every), (b"VP8 ", lossy)))
    for name in (b"EXIF", b"ICCP", b"XMP ", b"ALPH"):
        for content in (b"", b"\xff" * 99):
            text = f"{name.decode().strip()} of {len(content)} bytes that make no sense"
            new = _riff((b"VP8X", every), (name, content), (b"VP8 ", lossy), (name, content))
            yield odd(text, data=new)
    animation = (b"ANIM", bytes(6))
    header = (b"VP8X", b"\2" + extended[1:])
    inner = b"VP8 " + struct.pack("<I", len(lossy)) + lossy + bytes(len(lossy) % 2)
    place = bytes(6) + extended[4:] + bytes(4)
    yield bad("an animation without frames", data=_riff(header, animation))
    good = (b"ANMF", place + inner)
    yield odd("an animation without its header", data=_riff(header, good, good))
    yield odd(
        "a broken second frame", data=_riff(header, animation, good, (b"ANMF", place + inner[:99]))
    )
    yield odd("an empty second frame", data=_riff(header, animation, good, (b"ANMF", b"")))
    yield odd(
        "a frame outside of its canvas",
        data=_riff(header, animation, (b"ANMF", b"\xff" * 6 + place[6:] + inner)),
    )
    yield odd(
        "a frame of another size", data=_riff(header, animation, (b"ANMF", bytes(16) + inner))
    )
    yield odd("1,000 frames", data=_riff(header, animation, *[good] * 1000), expected=OK)
    black = Image.new("RGB", (4_000, 4_000))
    yield odd(
        "4,000 x 4,000 zeros, lossless",
        data=saved(black, "WEBP", lossless=True, method=0),
        expected=OK,
    )
    # The size of a lossless image is in its first bytes: 14 bits for each edge.
    claimed = b"\x2f" + struct.pack("<I", 4_999 | 4_999 << 14) + lossless[5:]
    yield bad("claims 5,000 x 5,000, lossless", data=_riff((b"VP8L", claimed)))
    claimed = lossy[:6] + struct.pack("<HH", 5_000, 5_000) + lossy[10:]
    yield bad("claims 5,000 x 5,000, lossy", data=_riff((b"VP8 ", claimed)))
    claimed = lossy[:6] + struct.pack("<HH", 16_383, 16_383) + lossy[10:]
    yield bad("claims 16,383 x 16,383", data=_riff((b"VP8 ", claimed)), reason="too large")
    yield odd("1 x 16,000", data=saved(Image.new("RGB", (1, 16_000)), "WEBP"), expected=OK)
    yield odd("1 x 1", data=saved(Image.new("RGB", (1, 1)), "WEBP"), expected=OK)


def _icon(*images: bytes, count: int | None = None, offset: int | None = None) -> bytes:
    """Give a Windows icon of PNG or BMP images."""
    place = 6 + 16 * len(images)
    entries = b""
    for data in images:
        entries += struct.pack(
            "<BBBBHHII", 0, 0, 0, 0, 1, 32, len(data), place if offset is None else offset
        )
        place += len(data)
    return (
        struct.pack("<HHH", 0, 1, len(images) if count is None else count)
        + entries
        + b"".join(images)
    )


def _icon_kinds() -> Iterator[Kind]:
    ico = partial(Kind, "odd icon", expected=EITHER, suffix=".ico")
    icns = partial(Kind, "odd icon", expected=EITHER, suffix=".icns")
    inner = saved(_image("RGBA").resize((32, 32)), "PNG")
    yield ico("a PNG inside", data=_icon(inner), expected=OK)
    yield ico("no images", data=_icon(), expected=ERROR)
    yield ico("65,535 images that are not there", data=_icon(inner, count=65_535))
    yield ico("1,000 images", data=_icon(*[inner] * 1000))
    yield ico("an image in its own header", data=_icon(inner, offset=0))
    yield ico("an image behind the end", data=_icon(inner, offset=2**31), expected=ERROR)
    yield ico("a JPEG inside", data=_icon(saved(_image("RGB"), "JPEG")))
    yield ico("an icon inside", data=_icon(_icon(inner)))
    yield ico("half a PNG inside", data=_icon(inner[: len(inner) // 2]), expected=ERROR)
    yield ico("nothing inside", data=_icon(b""), expected=ERROR)
    bomb = zeros_png(17_000, 17_000, depth=1)
    yield ico(
        "a PNG of 17,000 x 17,000 inside", data=_icon(bomb), expected=ERROR, reason="too large"
    )
    yield ico("a PNG of 6,000 x 6,000 inside", data=_icon(zeros_png(6_000, 6_000)), expected=OK)
    yield ico("a PNG that claims 60,000 x 60,000 inside", data=_icon(huge_png()), expected=ERROR)
    for width, height in (
        (2**31 - 1, 2**31 - 1),
        (-1, -1),
        (0, 0),
        (32, 2**31 - 1),
        (60_000, 60_000),
    ):
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 32, 0, 0, 0, 0, 0, 0)
        yield ico(f"a bitmap of {width:,} x {height:,} inside", data=_icon(header + bytes(5000)))

    def blocks(*parts: tuple[bytes, int, bytes]) -> bytes:
        body = b"".join(kind + struct.pack(">I", length) + data for kind, length, data in parts)
        return b"icns" + struct.pack(">I", len(body) + 8) + body

    fits = len(inner) + 8
    yield icns("of Apple with a PNG", data=blocks((b"icp5", fits, inner)), expected=OK)
    yield icns("of Apple without a block", data=blocks(), expected=ERROR)
    for length in (0, 1, 7, 8, 2**31, 2**32 - 1):
        new = blocks((b"icp5", length, inner), (b"icp5", fits, inner))
        yield icns(f"of Apple with a block of {length:,} bytes", data=new)
    yield icns("of Apple of unknown blocks", data=blocks((b"abcd", fits, inner)), expected=ERROR)
    yield icns(
        "of Apple of 20,000 unknown blocks",
        data=blocks(*[(b"abcd", 8, b"")] * 20_000),
        expected=ERROR,
    )
    yield icns("of Apple with 1,000 PNGs", data=blocks(*[(b"icp5", fits, inner)] * 1_000))
    new = blocks((b"ic09", len(bomb) + 8, bomb))
    yield icns(
        "of Apple with a PNG of 17,000 x 17,000", data=new, expected=ERROR, reason="too large"
    )
    yield icns("of Apple with old pixels cut short", data=blocks((b"it32", 20, bytes(12))))
    yield icns(
        "of Apple with a mask alone", data=blocks((b"t8mk", 8 + 128 * 128, bytes(128 * 128)))
    )


def _boxed(*boxes: tuple[bytes, bytes]) -> bytes:
    return b"".join(struct.pack(">I4s", len(data) + 8, kind) + data for kind, data in boxes)


def _box_kinds() -> Iterator[Kind]:
    odd = partial(Kind, "odd boxes", expected=EITHER)
    stream = _written("JPEG2000", _image("RGB"), no_jp2=True)
    if stream:
        yield from _jp2_kinds(partial(odd, suffix=".jp2"), stream)
        yield from _j2k_kinds(partial(odd, suffix=".j2k"), stream)
    yield from _heif_kinds(odd)


def _jp2_kinds(jp2: Callable[..., Kind], stream: bytes) -> Iterator[Kind]:
    signature = _boxed((b"jP  ", b"\r\n\x87\n"), (b"ftyp", b"jp2 \0\0\0\0jp2 "))
    header = struct.pack(">IIHBBBB", HEIGHT, WIDTH, 3, 7, 7, 0, 0)
    colours = (b"colr", b"\1\0\0" + struct.pack(">I", 16))
    inside = _boxed((b"ihdr", header), colours)
    yield jp2(
        "jpeg 2000", data=signature + _boxed((b"jp2h", inside), (b"jp2c", stream)), expected=OK
    )
    yield jp2(
        "jpeg 2000 without its header",
        data=signature + _boxed((b"jp2c", stream)),
        expected=ERROR,
    )
    yield jp2(
        "jpeg 2000 without pixels", data=signature + _boxed((b"jp2h", inside)), expected=ERROR
    )
    for size in ((1, 1), (2**32 - 1, 2**32 - 1), (15_000, 15_000), (0, 0)):
        new = _boxed((b"ihdr", struct.pack(">II", *size) + header[8:]), colours)
        new = signature + _boxed((b"jp2h", new), (b"jp2c", stream))
        yield jp2(f"jpeg 2000 whose header says {size[0]:,} x {size[1]:,}", data=new)
    deep = inside
    for _ in range(500):
        deep = _boxed((b"jp2h", deep))
    yield jp2(
        "jpeg 2000 of headers within headers", data=signature + deep + _boxed((b"jp2c", stream))
    )
    yield jp2(
        "jpeg 2000 with 10,000 boxes",
        data=signature + _boxed(*[(b"free", b"")] * 10_000, (b"jp2h", inside), (b"jp2c", stream)),
    )
    for length in (0, 1, 7):
        new = (
            signature
            + struct.pack(">I4s", length, b"free")
            + _boxed((b"jp2h", inside), (b"jp2c", stream))
        )
        yield jp2(f"jpeg 2000 with a box of {length} bytes", data=new)
    long = struct.pack(">I4sQ", 1, b"jp2h", 2**63) + inside
    yield jp2(
        "jpeg 2000 with a box of 2**63 bytes", data=signature + long + _boxed((b"jp2c", stream))
    )
    black = _written("JPEG2000", Image.new("L", (4_000, 4_000)))
    yield jp2("jpeg 2000 of 4,000 x 4,000 zeros", data=black, expected=OK)


def _j2k_kinds(j2k: Callable[..., Kind], stream: bytes) -> Iterator[Kind]:
    for name, place, value in [
        ("a width of 2**32 - 1", 8, 2**32 - 1),
        ("a left edge behind its right", 16, 2**31),
        ("tiles of 1 x 1", 24, 1),
        ("tiles without a width", 24, 0),
        ("tiles that begin late", 32, 2**31),
    ]:
        yield j2k(
            f"jpeg 2000 with {name}",
            data=stream[:place] + struct.pack(">I", value) + stream[place + 4 :],
        )
    big = (
        stream[:8]
        + struct.pack(">II", 4_000, 4_000)
        + stream[16:24]
        + struct.pack(">II", 4_000, 4_000)
        + stream[32:]
    )
    yield j2k("jpeg 2000 that claims 4,000 x 4,000", data=big)
    small = (
        stream[:8]
        + struct.pack(">II", 4_000, 4_000)
        + stream[16:24]
        + struct.pack(">II", 8, 8)
        + stream[32:]
    )
    yield j2k("jpeg 2000 that claims 4,000 x 4,000 in tiles of 8 x 8", data=small)
    for count in (0, 2, 5, 16_384, 65_535):
        yield j2k(
            f"jpeg 2000 with {count:,} components",
            data=stream[:40] + struct.pack(">H", count) + stream[42:],
        )
    for depth in (37, 38, 127, 128, 255):
        yield j2k(
            f"jpeg 2000 with a depth of {depth}",
            data=stream[:42] + bytes([depth]) + stream[43:],
        )
    yield j2k("jpeg 2000 with no sampling", data=stream[:43] + b"\0\0" + stream[45:])


def _heif_kinds(odd: Callable[..., Kind]) -> Iterator[Kind]:
    for brand, suffix in (
        (b"avif", ".avif"),
        (b"heic", ".heic"),
        (b"mif1", ".heif"),
        (b"jxl ", ".jxl"),
    ):
        name = brand.decode().strip()
        kind = _boxed((b"ftyp", brand + bytes(4) + brand))
        bad = partial(odd, suffix=suffix, expected=ERROR)
        yield bad(f"{name} and nothing else", data=kind)
        yield bad(f"{name} of noise", data=kind + np.random.default_rng(6).bytes(3000))
        yield bad(f"{name} of zeros", data=kind + bytes(3000))
        yield bad(f"{name} with empty metadata", data=kind + _boxed((b"meta", bytes(4))))
        yield bad(
            f"{name} with a box of 2**63 bytes", data=kind + struct.pack(">I4sQ", 1, b"meta", 2**63)
        )
        yield bad(f"{name} with a box of no bytes", data=kind + struct.pack(">I4s", 0, b"meta"))
        deep = b""
        for _ in range(500):
            deep = _boxed((b"meta", bytes(4) + deep))
        yield bad(f"{name} of boxes within boxes", data=kind + deep)
    for name in ("avif", "heif"):
        one = _named(name)
        if one is None:
            continue
        place = one.data.index(b"ispe") + 8
        for width, height in ((3_000, 3_000), (65_535, 65_535), (1, 1), (0, 0)):
            new = one.data[:place] + struct.pack(">II", width, height) + one.data[place + 8 :]
            yield odd(f"{name} that claims {width:,} x {height:,}", data=new, suffix=one.suffix)
        black = _written(name.upper(), Image.new("RGB", (1_000, 1_000)), quality=30)
        yield odd(f"{name} of 1,000 x 1,000 zeros", data=black, suffix=one.suffix, expected=OK)
    video = _boxed((b"ftyp", b"isom\0\0\2\0isommp41"), (b"free", b""), (b"mdat", bytes(3000)))
    yield odd("a video", data=video, suffix=".mp4", expected=ERROR)
    yield odd("a video named jpg", data=video, expected=ERROR)
    yield odd(
        "raw of a camera",
        data=_boxed((b"ftyp", b"crx \0\0\0\1crx isom")) + bytes(999),
        suffix=".cr3",
        expected=ERROR,
    )


def _bitmap(
    width: int, height: int, bits: int, compression: int, data: bytes, *, colours: int = 0
) -> bytes:
    header = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0
    )
    palette = bytes(range(256)) * 4 if bits <= 8 else b""
    offset = 14 + 40 + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + palette + data


def _bmp_kinds() -> Iterator[Kind]:
    odd = partial(Kind, "odd bmp", expected=EITHER, suffix=".bmp")
    end = b"\0\1"
    rows = (b"\x30\x07" + b"\0\0") * HEIGHT
    yield odd("packed", data=_bitmap(WIDTH, HEIGHT, 8, 1, rows + end), expected=OK)
    yield odd("packed and over at once", data=_bitmap(WIDTH, HEIGHT, 8, 1, end))
    yield odd("packed and over at once, 2,000 x 2,000", data=_bitmap(2_000, 2_000, 8, 1, end))
    yield odd("packed without an end", data=_bitmap(WIDTH, HEIGHT, 8, 1, rows[:50]))
    yield odd(
        "packed with a jump out of it",
        data=_bitmap(WIDTH, HEIGHT, 8, 1, b"\0\2\xff\xff" * 90 + end),
    )
    yield odd(
        "packed with runs beyond its rows", data=_bitmap(WIDTH, HEIGHT, 8, 1, b"\xff\1" * 99 + end)
    )
    yield odd(
        "packed with runs of nothing", data=_bitmap(WIDTH, HEIGHT, 8, 1, b"\0\0" * 5000 + end)
    )
    yield odd(
        "packed, 3,000 x 3,000 of one run after another",
        data=_bitmap(3_000, 3_000, 8, 1, b"\xff\1" * 35_300 + end),
    )
    yield odd("packed in halves", data=_bitmap(WIDTH, HEIGHT, 4, 2, rows + end))
    for compression in (3, 4, 5, 6, 11, 99):
        yield odd(
            f"a compression of {compression}",
            data=_bitmap(WIDTH, HEIGHT, 24, compression, bytes(9000)),
        )
    for bits in (0, 2, 3, 12, 33, 64, 65_535):
        yield odd(f"{bits} bits", data=_bitmap(WIDTH, HEIGHT, bits, 0, bytes(9000)))
    for width, height, expected in [
        (0, 0, ERROR), (-1, 1, EITHER), (1, -1, EITHER), (-(2**31), -(2**31), ERROR),
        (2**31 - 1, 1, ERROR), (60_000, 60_000, ERROR), (15_000, 15_000, ERROR),
    ]:  # fmt: skip
        data = _bitmap(width, height, 24, 0, bytes(99))
        yield odd(f"claims {width:,} x {height:,}", data=data, expected=expected)
    for colours in (1, 257, 2**31, 2**32 - 1):
        yield odd(
            f"{colours:,} colours", data=_bitmap(WIDTH, HEIGHT, 8, 0, bytes(1920), colours=colours)
        )
    for length in (0, 4, 12, 16, 41, 52, 56, 64, 108, 124, 255, 2**31):
        data = _bitmap(WIDTH, HEIGHT, 24, 0, bytes(5760))
        yield odd(
            f"a header of {length:,} bytes", data=data[:14] + struct.pack("<I", length) + data[18:]
        )
    yield odd(
        "an array of bitmaps",
        data=b"BA" + bytes(12) + _bitmap(8, 8, 24, 0, bytes(192)),
        expected=ERROR,
    )


def _text_kinds() -> Iterator[Kind]:
    """Give what is odd about the formats that are text, or begin with it."""
    odd = partial(Kind, "odd text", expected=EITHER)
    yield from _ppm_kinds(partial(odd, suffix=".ppm"))
    yield from _pfm_kinds(partial(odd, suffix=".pfm"))
    yield from _x_kinds(odd)
    yield from _fits_kinds(partial(odd, suffix=".fits"))
    yield from _eps_kinds(partial(odd, suffix=".eps", expected=ERROR))


def _ppm_kinds(ppm: Callable[..., Kind]) -> Iterator[Kind]:
    pixels = bytes(range(192))
    yield ppm("plain", data=b"P6 8 8 255\n" + pixels, expected=OK)
    same = partial(ppm, expected=OK, like="odd text/plain")
    yield same("comments everywhere", data=b"P6\n#\n#a\n8#b\n 8 #c\n255\n" + pixels)
    yield same("a comment of 100 KB", data=b"P6\n#" + b"x" * 100_000 + b"\n8 8 255\n" + pixels)
    yield ppm("a comment without an end", data=b"P6\n#" + b"x" * 1_000_000, expected=ERROR)
    yield ppm("spaces without an end", data=b"P6" + b" " * 1_000_000, expected=ERROR)
    yield ppm("digits without an end", data=b"P6 " + b"1" * 1_000_000, expected=ERROR)
    for text in ("-8 8", "8 -8", "0 0", "8.5 8", "8e9 8", "0x8 8", "9999999 9999999", "8", ""):
        yield ppm(
            f"a size of {text or 'nothing'}",
            data=f"P6 {text} 255\n".encode() + pixels,
            expected=ERROR,
        )
    for highest in (0, -1, 65_536, 2**40):
        yield ppm(
            f"a highest value of {highest:,}",
            data=f"P6 8 8 {highest}\n".encode() + pixels,
            expected=ERROR,
        )
    yield ppm("a highest value of 1", data=b"P6 8 8 1\n" + pixels)
    yield ppm("a highest value of 300", data=b"P6 8 8 300\n" + pixels * 2, expected=OK)
    yield ppm("values above the highest", data=b"P6 8 8 9\n" + pixels)
    yield ppm("claims 15,000 x 15,000", data=b"P6 15000 15000 255\n" + pixels, expected=ERROR)
    yield ppm("claims 15,000 x 15,000 as text", data=b"P3 15000 15000 255\n1 2 3", expected=ERROR)
    yield ppm("text with words", data=b"P3 2 1 255\n1 2 3 four 5 6\n", expected=ERROR)
    yield ppm("text with a value too high", data=b"P3 2 1 255\n1 2 3 256 5 6\n", expected=ERROR)
    yield ppm("text with a value below 0", data=b"P3 2 1 255\n1 2 3 -4 5 6\n", expected=ERROR)
    yield ppm("text with too few values", data=b"P3 2 1 255\n1 2 3 4\n", expected=ERROR)
    yield ppm(
        "text with a comment that does not end", data=b"P3 2 1 255\n1 2 3 # 4 5 6", expected=ERROR
    )
    yield ppm("bits with a 7 among them", data=b"P1 4 1\n0 1 7 0\n", expected=ERROR)
    yield ppm(
        "the magic P7",
        data=b"P7\nWIDTH 8\nHEIGHT 8\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + pixels,
    )
    yield ppm("the magic P9", data=b"P9 8 8 255\n" + pixels, expected=ERROR)


def _pfm_kinds(pfm: Callable[..., Kind]) -> Iterator[Kind]:
    floats = np.linspace(0, 1, 64, dtype=np.float32)
    for scale in ("0", "0.0", "nan", "inf", "-inf", "x", "1e400"):
        data = f"Pf 8 8 {scale}\n".encode() + floats.tobytes()
        yield pfm(f"floats with a scale of {scale}", data=data)
    yield pfm(
        "floats that are NaN",
        data=b"Pf 8 8 -1.0\n" + np.full(64, np.nan, np.float32).tobytes(),
        expected=OK,
    )
    yield pfm(
        "floats that are infinite",
        data=b"Pf 8 8 -1.0\n" + np.full(64, -np.inf, np.float32).tobytes(),
        expected=OK,
    )
    yield pfm("floats of three colours", data=b"PF 8 8 -1.0\n" + floats.tobytes() * 3)


def _x_kinds(odd: Callable[..., Kind]) -> Iterator[Kind]:
    xbm = partial(odd, suffix=".xbm")
    head = "#define a_width {}\n#define a_height {}\nstatic unsigned char a_bits[] = {{\n"
    bits = ", ".join(["0x5A"] * 8) + "};\n"
    yield xbm("a bitmap of X", data=(head.format(8, 8) + bits).encode(), expected=OK)
    for width, height in ((0, 8), (-8, 8), (10**9, 10**9), (10**12, 1), (15_000, 15_000)):
        data = (head.format(width, height) + bits).encode()
        yield xbm(f"a bitmap of X of {width:,} x {height:,}", data=data, expected=ERROR)
    yield xbm("a bitmap of X of words", data=(head.format(8, 8) + "a, b, c};").encode())
    xpm = partial(odd, suffix=".xpm")
    picture_of = '/* XPM */\nstatic char *a[] = {{\n"{}",\n"a c {}",\n"aa",\n"aa"}};\n'
    yield xpm("a pixmap of X", data=picture_of.format("2 2 1 1", "#FF8000").encode(), expected=OK)
    for sizes in (
        "0 0 1 1",
        "2 2 0 1",
        "2 2 1 0",
        "2 2 1 999",
        "2 2 99999999 1",
        "-2 -2 1 1",
        "x y z w",
    ):
        yield xpm(f"a pixmap of X of {sizes}", data=picture_of.format(sizes, "#FF8000").encode())
    for colour in ("#F", "#GGGGGG", "nocolour", "None", ""):
        yield xpm(
            f"a pixmap of X with the colour {colour}",
            data=picture_of.format("2 2 1 1", colour).encode(),
        )


def _fits_kinds(fits: Callable[..., Kind]) -> Iterator[Kind]:
    card = "SIMPLE  =                    T".ljust(80)
    yield fits("a header of FITS without an end", data=(card * 20_000).encode(), expected=ERROR)
    for axes in (0, 1, 3, 999, -1):
        text = card + "BITPIX  =                    8".ljust(80) + f"NAXIS   = {axes:20}".ljust(80)
        text += "NAXIS1  =                   48".ljust(80) + "NAXIS2  =                   40".ljust(
            80
        )
        data = (text + "END".ljust(80)).ljust(2880).encode() + bytes(range(240)) * 8
        yield fits(f"FITS of {axes} axes", data=data)


def _eps_kinds(eps: Callable[..., Kind]) -> Iterator[Kind]:
    for box in ("0 0 0 0", "0 0 99999999 99999999", "0 0 nan nan", "9 9 1 1", "(atend)", ""):
        data = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: {box}\n%%EndComments\n%%EOF\n".encode()
        yield eps(f"PostScript in a box of {box or 'nothing'}", data=data)
    data = b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 2**31, 2**31) + bytes(90)
    yield eps("PostScript of DOS that is not there", data=data)


def _other_kinds() -> Iterator[Kind]:
    odd = partial(Kind, "odd others", expected=EITHER)
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 3_840, 3_840, 24, 0)
    yield odd(
        "tga of 3,840 x 3,840 that is not there",
        data=head + b"\xff123",
        suffix=".tga",
        expected=ERROR,
    )
    yield odd(
        "tga of 3,840 x 3,840 in runs", data=head + b"\xff123" * 115_200, suffix=".tga", expected=OK
    )
    head = struct.pack(">HBBHHHH", 474, 1, 1, 3, 40, 40, 3).ljust(512, b"\0")
    yield odd(
        "sgi whose rows are all the first",
        data=head + struct.pack(">240I", *[1472] * 120, *[4] * 120) + b"\xa8\7\0\0",
        suffix=".sgi",
    )
    yield odd("sgi whose rows are behind the end", data=head + b"\xff" * 960, suffix=".sgi")
    data = (
        b"qoif"
        + struct.pack(">IIBB", 3_000, 3_000, 3, 0)
        + b"\xfd" * (9_000_000 // 62 + 1)
        + bytes(7)
        + b"\1"
    )
    yield odd("qoi of 3,000 x 3,000 in runs", data=data, suffix=".qoi")
    yield odd(
        "qoi of 15,000 x 15,000 that is not there",
        data=b"qoif" + struct.pack(">IIBB", 15_000, 15_000, 3, 0),
        suffix=".qoi",
        expected=ERROR,
    )
    for letters in (b"DXT3", b"DXT5", b"BC4U", b"BC5S", b"ATI2", b"DX10", b"ABCD"):
        one = _named("dds DXT1")
        if one is not None:
            yield odd(
                f"dds of {letters.decode()}",
                data=one.data[:84] + letters + one.data[88:],
                suffix=".dds",
            )
    head = b"8BPS\0\1" + bytes(6)
    for channels in (0, 1, 4, 56, 57, 65_535):
        data = head + struct.pack(">HIIHH", channels, 8, 8, 8, 3) + bytes(14) + bytes(64 * 4)
        yield odd(f"psd of {channels:,} channels", data=data, suffix=".psd")
    for depth in (1, 16, 32, 255):
        data = head + struct.pack(">HIIHH", 3, 8, 8, depth, 3) + bytes(14) + bytes(64 * 12)
        yield odd(f"psd of {depth} bits", data=data, suffix=".psd")
    for mode in range(10):
        data = head + struct.pack(">HIIHH", 4, 8, 8, 8, mode) + bytes(14) + bytes(64 * 4)
        yield odd(f"psd of the mode {mode}", data=data, suffix=".psd")
    data = head + struct.pack(">HIIHHIII", 3, 8, 8, 8, 3, 0, 2**32 - 1, 0) + bytes(200)
    yield odd("psd with resources without an end", data=data, suffix=".psd")
    data = b"8BPS\0\2" + head[6:] + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(14) + bytes(192)
    yield odd("psd that is large (psb)", data=data, suffix=".psb")
    data = head + struct.pack(">HIIHH", 3, 15_000, 15_000, 8, 3) + bytes(14)
    yield odd("psd that claims 15,000 x 15,000", data=data, suffix=".psd", expected=ERROR)
    stubs = {
        "GRIB": b"GRIB\0\0\0\1",
        "BUFR": b"BUFR\0\0\0\1",
        "HDF5": b"\x89HDF\r\n\x1a\n",
        "MPEG": b"\0\0\1\xb3\x03\0\x03\0",
    }
    stubs["WMF"] = (
        b"\xd7\xcd\xc6\x9a\0\0"
        + struct.pack("<hhhhHIH", 0, 0, 99, 99, 72, 0, 0)
        + b"\1\0\x09\0\0\3"
    )
    stubs["EMF"] = struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + bytes(60)
    stubs["PCD"] = bytes(2048) + b"PCD_" + bytes(2048)
    stubs["McIDAS"] = b"\0\0\0\0\0\0\0\4" + bytes(300)
    stubs["IPTC"] = b"\x1c\3\0\0\4\0\0\0\0" + b"\x1c\x08\x0a\0\4\0\0\0\0"
    stubs["IMT"] = b"\nwidth 8\nheight 8\npixel n8\n\f" + bytes(64)
    stubs["PIXAR"] = b"\x80\xe8\0\0" + bytes(1100)
    for name, data in stubs.items():
        expected = ERROR if name in {"GRIB", "BUFR", "HDF5", "MPEG", "EMF"} else EITHER
        yield odd(f"{name} without a picture", data=data + bytes(500), expected=expected)
    for name in ("fli", "dcx", "sun", "pcx"):
        one = _named(name)
        if one is not None:
            yield odd(f"{name}, ten of them", data=one.data * 10, suffix=one.suffix)
    chunks = struct.pack("<IHH8x", 16, 0xF1FA, 0) * 20_000
    data = struct.pack("<IHHHHHHI", 0, 0xAF12, 20_000, 8, 8, 8, 3, 0).ljust(128, b"\0") + chunks
    yield odd("fli of 20,000 empty frames", data=data, suffix=".flc")
    data = (
        struct.pack("<IHHHHHHI", 0, 0xAF12, 1, 8, 8, 8, 3, 0).ljust(128, b"\0")
        + struct.pack("<IH", 0, 0xF100) * 5
    )
    yield odd("fli with a first block of no length", data=data, suffix=".flc")


# ---- What is no image, or no file ----


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.jpg"), saved(_image("RGB"), "JPEG"))
    return file.getvalue()


def _foreign_kinds() -> Iterator[Kind]:
    """Give files that are no images, with an image's name."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
    page = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"
    contents = {
        "empty": b"",
        "a NUL": b"\0",
        "a space": b" ",
        "a line break": b"\n",
        "a byte FF": b"\xff",
        "NULs": bytes(5000),
        "FFs": b"\xff" * 5000,
        "noise": np.random.default_rng(5).bytes(5000),
        "text": b"Dear diary,\n" * 99,
        "text in UTF-16": ("Dear diary" * 99).encode("utf-16"),
        "one long line": b"x" * 1_000_000,
        "an error page": page,
        "a page with a break in front": b"\n" + page,
        "an error in JSON": b'{"error": "rate limit exceeded"}',
        "an error in XML": b'<?xml version="1.0"?><Error/>',
        "svg": svg,
        "svg after an XML declaration": b'<?xml version="1.0"?>' + svg,
        "svgz": gzip.compress(svg, mtime=0),
        "zip": _zip(),
        "an empty zip": b"PK\5\6" + bytes(18),
        "gzip": gzip.compress(bytes(5000), mtime=0),
        "a bomb of gzip": gzip.compress(bytes(10_000_000), mtime=0),
        "bzip2": b"BZh91AY&SY" + bytes(99),
        "xz": b"\xfd7zXZ\0" + bytes(99),
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(99),
        "7z": b"7z\xbc\xaf\x27\x1c" + bytes(99),
        "rar": b"Rar!\x1a\7\1\0" + bytes(99),
        "tar": b"a.jpg".ljust(257, b"\0") + b"ustar\x0000" + bytes(999),
        "an ELF program": b"\x7fELF\2\1\1" + bytes(99),
        "a program of Windows": b"MZ\x90\0" + bytes(99),
        "a class of Java": b"\xca\xfe\xba\xbe" + bytes(99),
        "a shell script": b"#!/bin/sh\nrm -rf nothing\n",
        "PDF": b"%PDF-1.7\n" + bytes(999),
        "PostScript without a box": b"%!PS-Adobe-3.0\nshowpage\n",
        "a document of Word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(999),
        "RTF": b"{\\rtf1 hello}",
        "a database of SQLite": b"SQLite format 3\0" + bytes(999),
        "a pickle": b"\x80\4\x95" + bytes(99),
        "an array of NumPy": b"\x93NUMPY\1\0v\0" + bytes(999),
        "a mail": b"From: me\r\nTo: you\r\n\r\nhello\r\n",
        "a video of Matroska": b"\x1aE\xdf\xa3" + bytes(999),
        "a video AVI": b"RIFF\xff\0\0\0AVI LIST" + bytes(999),
        "sound WAV": b"RIFF\xff\0\0\0WAVEfmt " + bytes(999),
        "sound MP3": b"ID3\3\0\0\0\0\0\0" + bytes(999),
        "sound FLAC": b"fLaC" + bytes(999),
        "sound Ogg": b"OggS" + bytes(999),
        "a video of Flash": b"FLV\1\5" + bytes(999),
        "a stream of MPEG": b"\0\0\1\xba" + bytes(999),
        "a transport stream": (b"G" + bytes(187)) * 9,
        "a picture of JPEG XL": b"\xff\x0a" + bytes(999),
        "a picture of JPEG XR": b"II\xbc\1" + bytes(999),
        "a picture of OpenEXR": b"v/1\1" + bytes(999),
        "a picture HDR": b"#?RADIANCE\n\n-Y 9 +X 9\n" + bytes(99),
        "a picture of DjVu": b"AT&TFORM" + bytes(99),
        "a picture of Gimp": b"gimp xcf v011\0" + bytes(999),
        "a picture of BPG": b"BPG\xfb" + bytes(99),
        "a picture of DICOM": bytes(128) + b"DICM" + bytes(999),
        "a font": b"\0\1\0\0\0\x0c" + bytes(99),
        "a link of Windows": b"L\0\0\0\1\x14\2\0" + bytes(99),
        "a note of macOS": b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(99),
        "thumbs of Windows": b"\xd0\xcf\x11\xe0" + bytes(99),
        "a pointer of git-lfs": b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
        "a list of names": b"a.jpg\nb.jpg\n",
        "base64": base64.b64encode(saved(_image("RGB"), "PNG")),
        "hexadecimal digits": saved(_image("RGB"), "PNG").hex().encode(),
        "half a download": bytes(3) + b"HTTP/1.1 200 OK",
    }
    suffixes = (".jpg", ".png", ".gif", ".tif", ".webp")
    for number, (name, data) in enumerate(contents.items()):
        yield Kind("no image", name, ERROR, data, suffixes[number % len(suffixes)])
    for suffix in (
        ".jpeg",
        ".PNG",
        ".Gif",
        ".bmp",
        ".heic",
        ".avif",
        ".jp2",
        ".tga",
        ".ico",
        ".pcx",
    ):
        yield Kind("no image", f"text as {suffix[1:]}", ERROR, b"Dear diary,\n" * 9, suffix)
        yield Kind("no image", f"empty as {suffix[1:]}", ERROR, b"", suffix, reason="an empty file")


def _sparse(path: bytes, beginning: bytes = b"", size: int = 4 << 30) -> None:
    with open(path, "wb") as file:
        file.write(beginning)
        file.truncate(size)


def _socket(path: bytes) -> None:
    folder, name = os.path.split(path)
    before = os.getcwd()
    os.chdir(folder)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(name)
    finally:
        os.chdir(before)


def _link(path: bytes, target: bytes = b"") -> None:
    os.symlink(target, path)


def _secret(path: bytes) -> None:
    with open(path, "wb") as file:
        file.write(saved(_image("RGB"), "JPEG"))
    os.chmod(path, 0)


def _place_kinds(*, everything: bool) -> Iterator[Kind]:
    """Give what is no regular file, or none that can be read in full."""
    no = partial(Kind, "no file", expected=ERROR)
    yield no("a folder", make=os.mkdir, reason="a folder")
    yield no("a named pipe", make=os.mkfifo, reason="a named pipe")
    yield no("a socket", make=_socket, reason="a socket")
    links = {
        "to nothing": (b"nothing.jpg", "dangling link"),
        "to itself": (b"a link to itself.jpg", "itself"),
        "to its folder": (b".", "a folder"),
        "to the root": (b"/", "a folder"),
        "to zeros": (b"/dev/zero", "a device"),
        "to a full device": (b"/dev/full", "a device"),
        "to an empty device": (b"/dev/null", "a device"),
        "to a terminal": (b"/dev/tty", ""),
        "to standard input": (b"/dev/stdin", ""),
        "to random numbers": (b"/dev/urandom", "a device"),
        "to a pipe": (b"a named pipe.jpg", "a named pipe"),
        "into a file": (b"a secret.jpg/x", ""),
        "to a long name": (b"x" * 300, ""),
        "to a user's home": (b"~/x.jpg", "dangling link"),
        "to memory": (b"/proc/self/mem", ""),
        "to the environment": (b"/proc/self/environ", ""),
        "to the names of symbols": (b"/proc/kallsyms", ""),
        "to an open file": (b"/proc/self/fd/0", ""),
    }
    for name, (target, reason) in links.items():
        make = partial(_link, target=target)
        yield no(f"a link {name}", make=make, reason=reason)
    yield no("a secret", make=_secret, reason="permission denied")
    yield no("4 GB of zeros", make=_sparse)
    # The store reads all of a file: usually, few of them are as large as that.
    size, large = (4 << 30, "4 GB") if everything else (64 << 20, "64 MB")
    sparse = partial(_sparse, size=size)
    yield no(f"{large} of zeros as png", make=sparse, suffix=".png")
    huge = partial(Kind, "no file", expected=EITHER)
    jpeg, png = saved(_image("RGB"), "JPEG"), saved(_image("RGB"), "PNG")
    yield huge("4 GB of zeros after a JPEG", make=partial(_sparse, beginning=jpeg))
    yield huge(f"{large} of zeros after a PNG", make=partial(sparse, beginning=png), suffix=".png")
    half = png[: len(png) // 2]
    yield huge(
        f"{large} of zeros after half a PNG", make=partial(sparse, beginning=half), suffix=".png"
    )
    if everything:
        for what, at, letters in (("a chunk", 8, b"abCd"), ("a text", 33, b"tEXt")):
            long = png[:at] + struct.pack(">I4s", 2**31 - 1, letters)
            make = partial(_sparse, beginning=long)
            yield huge(f"{what} of 2 GB in a PNG", make=make, suffix=".png")
    long = png[:33] + struct.pack(">I4s", 2**31 - 1, b"IDAT")
    yield huge("pixels of 2 GB in a PNG", make=partial(_sparse, beginning=long), suffix=".png")
    for name in ("webp lossy", "jpeg 2000", "avif", "heif", "gif", "tiff raw", "bmp", "icns"):
        one = _named(name)
        if one is not None:
            make = partial(sparse, beginning=one.data)
            yield huge(f"{large} of zeros after {name}", make=make, suffix=one.suffix)
    far = struct.pack("<HHII", 273, 4, 1, 3 << 30)
    plain = tiff(8, bytes(range(64)))
    place = plain.index(struct.pack("<HHI", 273, 4, 1))
    make = partial(_sparse, beginning=plain[:place] + far + plain[place + 12 :])
    yield huge("a TIFF whose pixels are at 3 GB", make=make, suffix=".tif")


_NAMES = {
    "255 bytes": b"x" * 251 + b".png",
    "255 bytes of two": "é".encode() * 125 + b"x.png",
    "255 bytes of four": "🖼".encode() * 62 + b"xyz.png",
    "not UTF-8": b"caf\xe9.png",
    "not UTF-8 at all": b"\xff\xfe\x80.png",
    "half a character": b"\xc3.png",
    "a surrogate": b"\xed\xa0\x80.png",
    "a line break": b"line\nbreak.png",
    "a line break of Windows": b"line\r\nbreak.png",
    "a return": b"\rx.png",
    "a line break at the end": b"x.png\n",
    "a tab": b"\tx.png",
    "a bell": b"\ax.png",
    "a colour of terminals": b"\x1b[31mred.png",
    "a terminal's title": b"\x1b]0;x\x07.png",
    "a backspace": b"x\b.png",
    "a next line": "x\u0085y.png".encode(),
    "a line separator": "x\u2028y.png".encode(),
    "a quote": b'quo"te.png',
    "an apostrophe": b"apo'strophe.png",
    "quotes around it": b'"x.png"',
    "commas": b"a,b,,c.png",
    "a semicolon": b"a;b.png",
    "=": b"=1+1.png",
    "+": b"+1.png",
    "-": b"-rf.png",
    "@": b"@SUM(1).png",
    "a wide =": "\uff1d1.png".encode(),
    "--help": b"--help.png",
    "$": b"$(touch x).png",
    "a backtick": b"`touch x`.png",
    "%": b"%s%n%d.png",
    "{}": b"{0}{x}.png",
    "a backslash": b"a\\b.png",
    "\\n": b"a\\nb.png",
    "*": b"*.png",
    "?": b"a?b.png",
    "[": b"[a-z].png",
    "!": b"!a.png",
    "#": b"#a.png",
    "~": b"~.png",
    "|": b"a|b.png",
    "<>": b"<a>.png",
    "&": b"a&b.png",
    ":": b"C:a.png",
    "an emoji": "🦊.png".encode(),
    "a family": "👨‍👩‍👧.png".encode(),
    "right to left": "תמונה.png".encode(),
    "an override of direction": "\u202egnp.x.png".encode(),
    "no width": "a\u200bb.png".encode(),
    "a byte order mark": "\ufeffx.png".encode(),
    "decomposed": "e\u0301.png".encode(),
    "composed": "é.png".encode(),
    "Turkish": "İı.png".encode(),
    "a space": b" x.png",
    "a space at the end": b"x.png ",
    "nothing but a space": b" ",
    "a dot at the end": b"x.png.",
    "dots": b"...png",
    "two dots in front": b"..x.png",
    "two suffixes": b"x.png.jpg",
    "no suffix": b"x",
    "a suffix alone, large": b"x.PNG",
    "a name of Windows": b"CON.png",
    "a stream": b"x.png:y",
    "the report": b"report.csv",
    "a number": b"0",
    "a model": b"x.batchcls",
    "NaN": b"nan.png",
    "null": b"null",
    "a control character of C1": "\x9b31m.png".encode(),
    "DEL": b"\x7f.png",
    "a private character": "\ue000.png".encode(),
    "beyond the first plane": "\U0001f600\U0010fffd.png".encode(),
    "many accents": ("a" + "\u0301" * 90 + ".png").encode(),
}
# Scanning leaves these out: a name that begins with a dot is hidden.
_HIDDEN_NAMES = (b".x.png", b"...png", b"..x.png")


def _name_kinds() -> Iterator[Kind]:
    """Give good images with odd names."""
    data = saved(_image("RGB"), "PNG")
    yield Kind("names", "plain", OK, data, ".png")
    for name, file_name in _NAMES.items():
        if file_name not in _HIDDEN_NAMES:
            like = "names/plain"
            yield Kind("names", name, OK, data, "", like=like, file_name=file_name)
    for number, file_name in enumerate((b"\xff\n.png", b"=\x1b[1m.png", b'a",b\r\n.png')):
        yield Kind("names", f"of what is no image {number}", ERROR, b"", "", file_name=file_name)


def kinds(*, everything: bool = False) -> Iterator[Kind]:
    """Give every kind of file; of numbers that can be wrong in many ways, each in only one.

    With ``everything``, each in all of them, and in every format.
    """
    for one in whole():
        yield from _damaged(one, everything=everything)
    for family in (
        _png_kinds, _jpeg_kinds, _gif_kinds, _tiff_kinds, _webp_kinds, _icon_kinds, _box_kinds,
        _bmp_kinds, _text_kinds, _other_kinds, _foreign_kinds, _name_kinds,
    ):  # fmt: skip
        yield from family()
    yield from _place_kinds(everything=everything)


def write(kind: Kind, folder: bytes) -> bool:
    """Write a file of this kind below ``folder``; tell whether the system lets it exist."""
    path = os.path.join(folder, kind.key)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        if kind.make is not None:
            kind.make(path)
        else:
            with open(path, "wb") as file:
                file.write(kind.data)
    except OSError:
        return False
    return True
