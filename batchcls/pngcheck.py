"""PNG: what Pillow does not check, so that no half of an image is taken for all of it."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from PIL import Image

from batchcls.errors import DecodeError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile as PillowFile

_BLOCK = 2**20
_SIGNATURE = 8
_CRITICAL = 0x20  # the bit of a type's first letter that is not set
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Interlaced pixels come in seven passes: first column and row, and the steps to the next ones.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip


def check_parts(file: IO[bytes]) -> None:
    """Check the checksums of the parts that pixels depend on. The file's position is kept.

    An end (IEND) that is missing or damaged is not missed, as it says nothing of the pixels, and
    neither is what follows it. Raises DecodeError for a checksum that is wrong or cut off.
    """
    position = file.tell()
    try:
        for kind, length in _parts(file):
            checksum = zlib.crc32(kind)
            while length:
                block = file.read(min(length, _BLOCK))
                if not block:
                    break
                length -= len(block)  # noqa: PLW2901 - what is left of it
                checksum = zlib.crc32(block, checksum)
            found = file.read(4)
            name = kind.decode("ascii")
            if len(found) < 4:
                raise DecodeError(f"truncated: a part of it ({name}) is cut off")
            if found != checksum.to_bytes(4, "big"):
                raise DecodeError(f"damaged: the checksum of a part of it ({name}) is wrong")
    finally:
        file.seek(position)


def _parts(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Give type and length of each critical part before the end, the file at its content."""
    file.seek(_SIGNATURE)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND" or not (kind.isalpha() and kind.isascii()):
            return
        if kind[0] & _CRITICAL:
            file.seek(length + 4, os.SEEK_CUR)
            continue
        yield kind, length


@contextlib.contextmanager
def all_rows_required(image: PillowFile, file: IO[bytes]) -> Iterator[None]:
    """Within it, let loading ``image`` fail if its data end well, but before the last row.

    Pillow leaves the rest black. So the row that comes last is filled with noise before; where the
    noise is still there, the data are measured.
    """
    width, height = image.size
    whole = len(image.tile) == 1 and image.tile[0][1] == (0, 0, width, height)
    if image.format != "PNG" or not whole:
        yield
        return
    interlaced = bool(image.info.get("interlace"))
    last = height - 1 - (interlaced and height % 2)
    box = (0, last, width, last + 1)
    noise = b""
    prepare = image.load_prepare

    def prepare_with_noise() -> None:
        nonlocal noise
        prepare()
        if last >= 0:
            row = Image.new(image.mode, (width, 1))
            noise = os.urandom(len(row.tobytes()))
            row = Image.frombytes(image.mode, row.size, noise)
            noise = row.tobytes()
            image.im.paste(row.im, box)

    image.load_prepare = prepare_with_noise  # type: ignore[method-assign]
    try:
        yield
    finally:
        del image.load_prepare  # or the image would refer to itself, and stay in memory
    if last < 0 or image.crop(box).tobytes() == noise:
        _measure(file)


def _measure(file: IO[bytes]) -> None:
    """Raise DecodeError if the data are fewer than the header says."""
    data, packed = zlib.decompressobj(), 0
    needed = None
    for kind, length in _parts(file):
        body = file.read(length)
        file.seek(4, os.SEEK_CUR)
        if kind == b"IHDR":
            needed = _size_of_data(body)
        elif kind == b"IDAT":
            while body and not data.eof:
                packed += len(data.decompress(body, _BLOCK))
                body = data.unconsumed_tail
    if needed is not None and packed < needed:
        raise DecodeError("truncated: it has fewer rows than it says")


def _size_of_data(header: bytes) -> int:
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _SAMPLES.get(colour, 1)
    total = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0:
            total += max(rows, 0) * (1 + -(-columns * bits // 8))
    return total
