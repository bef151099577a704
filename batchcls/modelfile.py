"""The model file ``*.batchcls``: a zip that holds no code.

``manifest.json``, ``classifier/NAME.npy`` for each array, ``featurizer/NAME`` for each file of the
featurizer. Reading one trusts nothing in it: names, sizes and digests are checked before a member
is used, arrays can't be pickles, and nothing is ever written to the disk.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.lib import format as npy

from batchcls.errors import ModelFileError
from batchcls.text import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

# To bump it: raise the number, teach `_manifest` to read the old form as the new one, and add a
# file of the old format to the tests.
FORMAT = 1

SUFFIX = ".batchcls"
MANIFEST = "manifest.json"
_MEMBER = re.compile(
    r"classifier/[A-Za-z0-9_-]{1,100}\.npy|featurizer/[A-Za-z0-9_][\w.-]{0,99}", re.A
)
_MAX_MEMBERS = 100
_MAX_FILE = 2 * 2**30
# Nothing in a model compresses much; a member that unpacks to more than this is a bomb.
_MAX_RATIO = 100
_PLAIN_DTYPES = frozenset("biuf")  # booleans, integers, floats: numbers, never objects
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first date: the same model gives the same bytes


class FeaturizerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which featurizer; ``digest`` is its own, ``framing`` the way images are framed for it.

    ``preprocessing`` numbers the way from a file to pixels (``framing.PREPROCESSING``).
    """

    name: str
    digest: str
    framing: str
    preprocessing: int
    input_size: int
    dimension: int


class ClassifierEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which classifier, and the options it was fitted with."""

    name: str
    options: dict[str, float | str | bool] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json``. ``classes`` are in the order of the scores."""

    format: int = FORMAT
    batchcls: str
    """Version that wrote it."""
    created: str
    """When, ISO 8601, UTC."""
    classes: list[str]
    featurizer: FeaturizerEntry
    classifier: ClassifierEntry
    training: dict[str, Any] = {}
    """How it was trained, for people to read."""
    metrics: dict[str, Any] = {}
    """What cross-validation found, for people to read."""
    members: dict[str, str] = {}
    """SHA-256, hex, of every other member."""


@dataclass(frozen=True)
class Contents:
    """What a model file holds. ``digest`` is the SHA-256 of the file."""

    manifest: Manifest
    arrays: Mapping[str, NDArray[Any]]
    featurizer_files: Mapping[str, bytes]
    digest: str


def pack(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]], featurizer_files: Mapping[str, bytes]
) -> bytes:
    """Give the bytes of a model file; the manifest's ``members`` are filled in here."""
    members: dict[str, bytes] = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        npy.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        members[f"classifier/{name}.npy"] = buffer.getvalue()
    for name, data in featurizer_files.items():
        members[f"featurizer/{name}"] = data
    for name in members:
        if not _MEMBER.fullmatch(name):
            raise ValueError(f"{name!r} can't be a member of a model file")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    manifest = msgspec.structs.replace(manifest, members=digests)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in [(MANIFEST, text), *members.items()]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)  # stored: weights don't compress
    return out.getvalue()


def read(path: str) -> Contents:
    """Read and check a model file. Raises ModelFileError for whatever is wrong with it."""
    try:
        return unpack(_bytes(path))
    except OSError as error:
        raise ModelFileError(
            f"{shown(path)}: {error.strerror or error}",
            hint="Name a model file; `batchcls train` makes one.",
        ) from None
    except ValueError as error:
        raise ModelFileError(f"{shown(path)}: {error}") from None


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > _MAX_FILE:
            raise ValueError(f"too large for a model file: {status.st_size:,} bytes")
        return file.read()


def unpack(data: bytes) -> Contents:
    """Check the bytes of a model file. Raises ValueError for whatever is wrong with them."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = _checked_names(archive)
            manifest = _manifest(archive.read(MANIFEST))
            if set(manifest.members) != names - {MANIFEST}:
                raise ValueError("broken: its members are not those that its manifest lists")
            members = {name: archive.read(name) for name in manifest.members}
    except (zipfile.BadZipFile, EOFError, zlib.error, struct.error, OverflowError) as error:
        raise ValueError(f"not a model file, or a broken one ({error})") from None
    except (NotImplementedError, RuntimeError) as error:  # encrypted, or a version unheard of
        raise ValueError(f"not a model file ({error})") from None
    for name, digest in manifest.members.items():
        if hashlib.sha256(members[name]).hexdigest() != digest:
            raise ValueError(f"broken: {name} is not what it was when the model was saved")
    arrays: dict[str, NDArray[Any]] = {}
    files: dict[str, bytes] = {}
    for name, content in members.items():
        folder, _, file_name = name.partition("/")
        if folder == "classifier":
            arrays[file_name.removesuffix(".npy")] = _array(name, content)
        else:
            files[file_name] = content
    return Contents(manifest, arrays, files, hashlib.sha256(data).hexdigest())


def _checked_names(archive: zipfile.ZipFile) -> set[str]:
    """Give the members' names, after checking what the archive declares of them."""
    infos = archive.infolist()
    names = {info.filename for info in infos}
    if MANIFEST not in names:
        raise ValueError(f"not a model file: a zip with no {MANIFEST}")
    if len(names) != len(infos) or len(infos) > _MAX_MEMBERS:
        raise ValueError("not to be trusted: too many members, or one twice")
    total = 0
    for info in infos:
        if info.filename != MANIFEST and not _MEMBER.fullmatch(info.filename):
            raise ValueError(f"not to be trusted: it holds {shown(info.filename)!r}")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"not to be trusted: {info.filename} is packed in an unusual way")
        total += info.file_size
        if info.file_size > info.compress_size * _MAX_RATIO or total > _MAX_FILE:
            raise ValueError(
                f"not to be trusted: {info.filename} would unpack to {info.file_size:,} bytes"
            )
    return names


class _Format(msgspec.Struct):
    format: int


def _manifest(data: bytes) -> Manifest:
    try:
        number = msgspec.json.decode(data, type=_Format).format
        if number > FORMAT:
            raise ValueError(
                f"made by a newer batchcls (format {number}; this one reads {FORMAT}); upgrade"
            )
        if number != FORMAT:
            raise ValueError(f"of a format that never was: {number}")
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"broken: {MANIFEST}: {error}") from None
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes) or not all(classes):
        raise ValueError(f"broken: {MANIFEST}: classes: two or more different names are expected")
    return manifest


def _array(name: str, data: bytes) -> NDArray[Any]:
    """Read one ``.npy``; what its header claims must be what is there."""
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version}")
        shape, fortran_order, dtype = npy.read_array_header_1_0(stream)
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise ValueError(f"broken: {name} is not an array ({error})") from None
    if dtype.kind not in _PLAIN_DTYPES or dtype.hasobject:
        raise ValueError(f"not to be trusted: {name} holds {dtype}, not plain numbers")
    start = stream.tell()
    if fortran_order or math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"broken: {name} has not the size that its header claims")
    array: NDArray[Any] = np.frombuffer(data, dtype=dtype, offset=start).reshape(shape).copy()
    return array
