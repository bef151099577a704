"""The form of what the store keeps: small, exact, and each row with a checksum.

A disk, or a program gone wrong, may change a byte. SQLite notices where its own structure is hurt,
but not in between; a row whose checksum is wrong counts as not there, and is computed anew.
"""

from __future__ import annotations

import math
import struct
import zlib
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
    """Give features, float32 ``[D]``, as bytes: little-endian, compressed if that saves anything.

    About half of the embedded network's features are zero; level 1 costs 74 µs, and better ones
    save 3 % (docs/performance.md).
    """
    plain = features.astype("<f4", copy=False).tobytes()
    small = zlib.compress(plain, 1)
    return b"z" + small if len(small) < len(plain) else b"p" + plain


def unpacked_features(data: bytes, dimension: int) -> NDArray[np.float32] | None:
    """Give features, float32 ``[D]``; None if the bytes aren't those of as many."""
    import numpy as np

    try:
        plain = zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:]
    except zlib.error:
        return None
    if len(plain) != 4 * dimension:
        return None
    return np.frombuffer(plain, dtype="<f4").astype(np.float32, copy=False)


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
    return _HEAD.pack(leading[0][0], apart, 0) + b"".join(_ONE.pack(*one) for one in leading)


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
