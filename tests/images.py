"""Image files as bytes, for the tests of scanning and decoding."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from batchcls.decode import DEFAULT_MAX_PIXELS, Decoder
from batchcls.framing import Framing, frame

SIZE = 48


def pixels(path: Path | str, size: int = SIZE, max_pixels: int = DEFAULT_MAX_PIXELS) -> Any:
    """Decode a file and frame all of it: RGB, int ``[size, size, 3]``, fit to be subtracted."""
    picture = Decoder(max_pixels).decode(os.fspath(path))
    return frame(picture, Framing.STRETCH, size).astype(int)


def saved(image: Image.Image, format_name: str, **options: Any) -> bytes:
    """Give the bytes of an image file."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def photo(width: int, height: int) -> Image.Image:
    """Make a picture with detail at every scale, as a photograph has."""
    random = np.random.default_rng(1)
    total = np.zeros((height, width, 3), np.float32)
    for edge, weight in ((4, 70), (16, 40), (64, 24), (256, 14), (1024, 8)):
        layer = random.integers(0, 256, (edge, edge, 3), dtype=np.uint8)
        layer = Image.fromarray(layer).resize((width, height), Image.Resampling.BILINEAR)
        total += (np.asarray(layer, dtype=np.float32) - 128) * (weight / 128)
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def png(
    depth: int, colour: int, row: bytes, *, width: int, height: int = 8, chunks: bytes = b""
) -> bytes:
    """Give a PNG whose rows are all the same; ``colour`` is 0 grey, 2 RGB, 3 palette."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = zlib.compress((b"\0" + row) * height)
    parts = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def chunk(name: bytes, data: bytes) -> bytes:
    """Give a chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def huge_png(width: int = 60_000, height: int = 60_000) -> bytes:
    """Give a PNG that declares a huge size, and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data


def tiff(
    bits: int,
    data: bytes,
    *,
    photometric: int = 1,
    sample_format: int = 1,
    samples: int = 1,
    order: str = "<",
    tags: Sequence[tuple[int, int, int]] = (),
) -> bytes:
    """Give an uncompressed 8x8 TIFF of one or two samples; ``tags``: number, type, value."""
    entries: list[tuple[int, int, int]] = [(256, 3, 8), (257, 3, 8), (259, 3, 1), (278, 3, 8)]
    entries += [(262, 3, photometric), (277, 3, samples), (279, 4, len(data)), *tags]
    packed = bits
    if samples == 2:
        packed = struct.unpack(order + "I", struct.pack(order + "2H", bits, bits))[0]
    table = [(number, kind, 1, value) for number, kind, value in entries]
    table += [(258, 3, samples, packed), (339, 3, 1, sample_format)]
    table.append((273, 4, 1, 8 + 2 + 12 * (len(table) + 1) + 4))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(table))
    body = b""
    for number, kind, count, value in sorted(table):
        body += struct.pack(order + "HHI", number, kind, count)
        if kind == 3 and count == 1:
            body += struct.pack(order + "HH", value, 0)
        else:
            body += struct.pack(order + "I", value)
    return head + body + struct.pack(order + "I", 0) + data


def cmyk_profile(cyan: tuple[int, int, int]) -> bytes:
    """Give an ICC profile by which paper is white, cyan alone has this Lab, and the rest is black.

    8-bit Lab: lightness from 0 to 255, a and b around 128.
    """
    corners = [(0, 128, 128)] * 16  # by cyan, magenta, yellow, black; black changes fastest
    corners[0b0000], corners[0b1000] = (255, 128, 128), cyan
    identity = b"".join(
        struct.pack(">i", 65536 * (row == column)) for row in range(3) for column in range(3)
    )
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + bytes(range(256)) * 4
    table += b"".join(map(bytes, corners)) + bytes(range(256)) * 3
    offset = 128 + 4 + 12
    header = struct.pack(">I4xI4s4s4s", offset + len(table), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header = (header + bytes(12) + b"acsp").ljust(68, b"\0")
    header += struct.pack(">3i", 63190, 65536, 54061)  # the light of the profile, D50
    tags = struct.pack(">I4sII", 1, b"A2B0", offset, len(table))
    return header.ljust(128, b"\0") + tags + table


def unprivileged(script: str, *arguments: str | bytes | Path) -> str:
    """Run a Python script that file permissions bind, even where the tests run as root."""
    command: list[str | bytes | Path] = [sys.executable, "-c", script, *arguments]
    if os.geteuid() == 0:
        without = "-dac_override,-dac_read_search"
        rights = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
        try:
            subprocess.run([*rights, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("the tests run as root, and setpriv can't take its rights away")
        command = [*rights, *command]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stderr == b""
    return done.stdout.decode("utf-8", "surrogateescape")
