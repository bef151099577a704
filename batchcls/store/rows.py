"""The form of what the store keeps: small, exact, and each row with a checksum.

A disk, or a program gone wrong, may change a byte. SQLite notices where its own structure is hurt,
but not in between; a row whose checksum is wrong counts as not there, and is computed anew.
"""

from __future__ import annotations

import math
import struct
import zlib
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

from batchcls.reading import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# With more classes than this, only the first few are kept: of 1,000, all would be 8 KB an image.
ALL_SCORES = 64

_CHECKSUM = struct.Struct("<L")
_WAY = struct.Struct("<q")
_FILE = struct.Struct("<qqqqq")
# Label, distance (NaN where there is none), and how many scores follow.
_HEAD = struct.Struct("<LdL")
_ONE = struct.Struct("<Ld")
_COUNT = struct.Struct("<L")

# The form of features, their first byte. A batchcls that doesn't know one computes them anew; at
# first there were only the last two.
_PRESENT, _ZLIB, _PLAIN = b"m", b"z", b"p"
# So many of the values, where less than such a share differ, tell that they repeat. Of the
# embedded network's 0.89 or more differ, rounded to 8 bits 0.8 or less.
_SAMPLE = 64
_REPEATING = 0.85


class Kept(NamedTuple):
    """A prediction as it is kept.

    ``leading`` are the indices and scores of the first few classes, best first; ``scores`` those of
    all, float64 ``[C]``, or None where only the first few are kept. ``distance`` as in Prediction.
    """

    leading: tuple[tuple[int, float], ...]
    scores: NDArray[np.float64] | None
    distance: float | None


def file_checksum(path: bytes, identity: Identity, content: int) -> int:
    """Give the checksum of a row of the table ``file``."""
    try:
        numbers = _FILE.pack(
            identity.size, identity.modified, identity.changed, identity.inode, content
        )
    except struct.error:  # damaged: no numbers, or none of as many bits
        return -1
    return zlib.crc32(numbers, zlib.crc32(path))


def file_row(path: bytes, identity: Identity, content: int) -> tuple[bytes | int, ...]:
    """Give a row of the table ``file``."""
    numbers = (identity.size, identity.modified, identity.changed, identity.inode)
    return (path, *numbers, content, file_checksum(path, identity, content))


def sealed(digest: bytes, way: int, data: bytes) -> bytes:
    """Put a checksum in front of ``data``: of the content and the way it belongs to, and of it."""
    return _CHECKSUM.pack(_checksum(digest, way, data)) + data


def unsealed(digest: bytes, way: int, row: object) -> bytes | None:
    """Give what :func:`sealed` was given, or None if it isn't that, or not of this content."""
    if not isinstance(row, bytes) or len(row) < _CHECKSUM.size:
        return None
    data = row[_CHECKSUM.size :]
    [checksum] = _CHECKSUM.unpack_from(row)
    return data if checksum == _checksum(digest, way, data) else None


def _checksum(digest: bytes, way: int, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(_WAY.pack(way), zlib.crc32(digest)))


def packed_features(features: NDArray[np.float32]) -> bytes:
    """Give features, float32 ``[D]``, as bytes, bit for bit, in the form that suits them.

    About half of the embedded network's are zero: a bit for each says which, and the others follow,
    as small as zlib at level 1 would make them, and 10 times as fast. Of floats without zeros zlib
    saves 7 %: they stay as they are. But where values repeat, as from a network in int8, it makes
    them a third smaller than this does.
    """
    import numpy as np

    bits = features.astype("<f4", copy=False).view("<u4")  # so -0.0 is not 0, and a NaN stays
    present = bits.astype(bool)
    values = bits[present]
    packed: bytes = _PRESENT + _COUNT.pack(len(bits)) + np.packbits(present).tobytes()
    packed += values.tobytes()
    if len(packed) > bits.nbytes:
        packed = _PLAIN + bits.tobytes()
    some = values[:_SAMPLE].tolist()
    if len(set(some)) < _REPEATING * len(some):
        small = zlib.compress(bits.tobytes(), 1)
        if len(small) + 1 < len(packed):
            packed = _ZLIB + small
    return packed


def unpacked_features(data: bytes, dimension: int) -> NDArray[np.float32] | None:
    """Give features, float32 ``[D]``; None if the bytes aren't those of as many."""
    import numpy as np

    form, rest = data[:1], data[1:]
    if form == _PRESENT:
        return _among_zeros(rest, dimension)
    if form == _ZLIB:
        unpacking = zlib.decompressobj()
        try:
            rest = unpacking.decompress(rest, 4 * dimension + 1)  # no more, whatever it holds
        except zlib.error:
            return None
        if not unpacking.eof:
            return None
    elif form != _PLAIN:
        return None
    if len(rest) != 4 * dimension:
        return None
    return np.frombuffer(rest, dtype="<f4").astype(np.float32, copy=False)


def _among_zeros(data: bytes, dimension: int) -> NDArray[np.float32] | None:
    import numpy as np

    size = (dimension + 7) // 8
    if len(data) < _COUNT.size + size or _COUNT.unpack_from(data) != (dimension,):
        return None
    data = data[_COUNT.size :]
    present = np.unpackbits(np.frombuffer(data[:size], np.uint8), count=dimension).view(bool)
    if len(data) - size != 4 * np.count_nonzero(present):
        return None
    bits = np.zeros(dimension, dtype="<u4")
    bits[present] = np.frombuffer(data[size:], dtype="<u4")
    return bits.view("<f4").astype(np.float32, copy=False)


def packed_prediction(
    leading: Sequence[tuple[int, float]],
    scores: NDArray[np.float64],
    distance: float | None,
) -> bytes:
    """Give a prediction as bytes: its ``leading`` classes, or, where they are few, all scores."""
    apart = math.nan if distance is None else distance
    if len(scores) <= ALL_SCORES:
        head = _HEAD.pack(leading[0][0], apart, len(scores))
        return head + scores.astype("<f8", copy=False).tobytes()
    return _HEAD.pack(leading[0][0], apart, 0) + b"".join(starmap(_ONE.pack, leading))


def unpacked_prediction(data: bytes, class_count: int) -> Kept | None:
    """Give a prediction, or None if the bytes aren't that of a model of so many classes."""
    if len(data) < _HEAD.size:
        return None
    label, apart, count = _HEAD.unpack_from(data)
    distance = None if math.isnan(apart) else apart
    rest = data[_HEAD.size :]
    if count == 0:
        if len(rest) % _ONE.size or not rest:
            return None
        leading = tuple(_ONE.iter_unpack(rest))
        if any(index >= class_count for index, _ in leading):
            return None
        return Kept(leading, None, distance)
    if count != class_count or len(rest) != 8 * count or label >= count:
        return None
    import numpy as np

    scores = np.frombuffer(rest, dtype="<f8").astype(np.float64, copy=False)
    return Kept(((label, float(scores[label])),), scores, distance)
