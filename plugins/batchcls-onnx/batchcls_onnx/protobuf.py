"""As much of protobuf's wire format as it takes to look into an ONNX file.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10  # bytes


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field; those of a fixed width are left out.

    Raises ValueError for what is no message.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        # Parsers keep 32 bits of a tag: in a longer one they would see another field than this.
        if not 0 < tag < 2**32 or not number:
            raise ValueError("not an ONNX file, or a broken one")
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
        elif kind == _LENGTH:
            length, place = _varint(message, place)
            if length > end - place:
                raise ValueError("not an ONNX file, or one cut short")
            yield number, message[place : place + length]
            place += length
        elif kind in {_FIXED64, _FIXED32}:
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("not an ONNX file, or a broken one")
    if place > end:
        raise ValueError("not an ONNX file, or one cut short")


def delimited(number: int, content: bytes) -> bytes:
    """Give the field ``number`` that holds ``content``."""
    return _encoded(number << 3 | _LENGTH) + _encoded(len(content)) + content


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Read a number of seven bits a byte, the lowest first; give it and the place behind it."""
    value = 0
    for count, byte in enumerate(message[place : place + _MAX_VARINT]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("not an ONNX file, or one cut short")


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
