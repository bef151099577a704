"""Arrays of plain numbers as the bytes of a ``.npy``, and back, trusting nothing in them.

NumPy's own reader evaluates the header as Python literals, and takes far more than is written here.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Booleans, integers and floats, in little-endian order: numbers, never objects.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biuf][1248])', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,10}, ){0,7}(?:[0-9]{1,10},?)?)\), \} {0,128}\n",
    re.S,
)


def to_npy(array: NDArray[Any]) -> bytes:
    """Give the bytes of a ``.npy``. ValueError for what :func:`from_npy` would not read."""
    array = np.asarray(array, order="C")
    buffer = io.BytesIO()
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    write: Any = npy.write_array  # older NumPys have no types for it
    write(buffer, little, version=(1, 0), allow_pickle=False)
    data = buffer.getvalue()
    from_npy(data)  # a model that can't be loaded must not be saved
    return data


def from_npy(data: bytes) -> NDArray[Any]:
    """Read the bytes of a ``.npy``; ValueError unless it is what :func:`to_npy` writes."""
    header = _HEADER.match(data)
    if header is None or len(header[0]) != 10 + int.from_bytes(data[8:10], "little"):
        raise ValueError("not an array of plain numbers")
    shape = tuple(int(edge) for edge in header[2].replace(b",", b" ").split())
    start = len(header[0])
    try:
        dtype = np.dtype(header[1].decode("ascii"))
        if math.prod(shape) * dtype.itemsize != len(data) - start:
            raise ValueError("its size is not what its header claims")
        array: NDArray[Any] = np.frombuffer(data, dtype=dtype, offset=start).reshape(shape)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not an array ({error})") from None
    return array.astype(dtype.newbyteorder("="))  # a copy, in this machine's byte order


def expected_arrays(
    state: Mapping[str, NDArray[Any] | bytes],
    expected: Mapping[str, tuple[type[np.generic], tuple[int | None, ...]]],
) -> dict[str, NDArray[Any]]:
    """Take a classifier's state for arrays of these dtypes and shapes, None being any edge.

    Raises ValueError where one is missing or too many, of another dtype or shape, or holds a value
    that is not finite.
    """
    if set(state) != set(expected):
        raise ValueError(f"expected the arrays {sorted(expected)}, found {sorted(state)}")
    arrays = {}
    for name, (dtype, shape) in expected.items():
        array = state[name]
        if isinstance(array, bytes):
            raise ValueError(f"{name} is no array")
        fits = len(array.shape) == len(shape) and all(
            due in {None, edge} for due, edge in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            due = ["any" if edge is None else edge for edge in shape]
            raise ValueError(
                f"{name} is {array.dtype} {list(array.shape)}, not {np.dtype(dtype).name} {due}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
        arrays[name] = array
    return arrays
