"""The model file ``*.batchcls``: a zip that holds no code.

``manifest.json``, ``classifier/NAME.npy`` for each array of the classifier and ``classifier/NAME``
for bytes of its own form, ``featurizer/NAME`` for each file of the featurizer, ``novelty/NAME.npy``
for each array that tells unknown images, if there are any, and, where the classifier can name them,
``training-images.txt``, a name on a line. Reading one trusts nothing in it: names, sizes and
digests are checked before a member is used, arrays can't be pickles, nothing is unpacked to more
than the file's own size, and nothing is ever written to the disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import msgspec

from batchcls.arrays import from_npy, to_npy
from batchcls.errors import ModelFileError, UsageError
from batchcls.locations import is_url, without_secrets
from batchcls.manifest import FORMAT, OLDEST_FORMAT, Manifest
from batchcls.text import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


SUFFIX = ".batchcls"
MANIFEST = "manifest.json"
IMAGES = "training-images.txt"
_MEMBER = re.compile(
    r"training-images\.txt|classifier/[A-Za-z0-9_-]{1,100}\.[A-Za-z0-9]{1,20}"
    r"|featurizer/[A-Za-z0-9_][\w.-]{0,99}|novelty/[a-z_]{1,100}\.npy",
    re.A,
)
_MAX_MEMBERS = 100
_MAX_FILE = 2 * 2**30
_MAX_NAME = 4096
_MAX_MANIFEST = 8 * 2**20
# A zip's end record, which `pack` leaves without a comment, and what zipfile would look for in
# front of it: the record of a zip too large to be a model.
_END = struct.Struct("<4s4x2H2L2s")
_ZIP64 = struct.Struct("<4s16x")
_MAX_DIRECTORY = _MAX_MEMBERS * 512
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip's first date: the same model gives the same bytes


@dataclass(frozen=True)
class Contents:
    """What a model file holds. ``digest`` is the SHA-256 of the file.

    ``training_images`` names the images that the classifier was fitted to, in that order;
    ``novelty`` is empty where the model can't tell unknown images.
    """

    manifest: Manifest
    state: Mapping[str, NDArray[Any] | bytes]
    featurizer_files: Mapping[str, bytes]
    digest: str
    training_images: Sequence[str] = ()
    novelty: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def pack(
    manifest: Manifest,
    state: Mapping[str, NDArray[Any] | bytes],
    featurizer_files: Mapping[str, bytes],
    training_images: Sequence[str] = (),
    novelty: Mapping[str, NDArray[Any]] | None = None,
) -> bytes:
    """Give the bytes of a model file; the manifest's ``members`` are filled in here."""
    members: dict[str, bytes] = {}
    for name, part in state.items():
        if isinstance(part, bytes):
            members[f"classifier/{name}"] = part
        else:
            members[f"classifier/{name}.npy"] = to_npy(part)
    for name, data in featurizer_files.items():
        members[f"featurizer/{name}"] = data
    for name, array in (novelty or {}).items():
        members[f"novelty/{name}.npy"] = to_npy(array)
    if training_images:
        members[IMAGES] = "\n".join(training_images).encode("utf-8")
    for name in members:
        if not _MEMBER.fullmatch(name):
            raise ValueError(f"{name!r} can't be a member of a model file")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    manifest = msgspec.structs.replace(manifest, members=digests)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    if len(members) >= _MAX_MEMBERS or len(text) > _MAX_MANIFEST:
        raise ValueError("too many members, or too long a manifest, for a model file")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in [(MANIFEST, text), *members.items()]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)  # stored: weights don't compress
    return out.getvalue()


def read(path: str) -> Contents:
    """Read and check a model file, or one at a URL. Raises ModelFileError for what is wrong."""
    if is_url(path):
        return _read_url(path)
    try:
        file = _opened(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ModelFileError(
            f"{shown(path)}: {error.strerror or error}",
            hint="Name a model file; `batchcls train` makes one." if missing else "",
        ) from None
    except ValueError as error:
        raise ModelFileError(f"{shown(path)}: {error}") from None
    with file:
        try:
            return _contents(file, os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise ModelFileError(
                f"{shown(path)}: can't be read: {error.strerror or error}"
            ) from None
        except ValueError as error:
            raise ModelFileError(f"{shown(path)}: {error}") from None


def _read_url(url: str) -> Contents:
    from batchcls.remote.fetching import FetchError, fetched

    try:
        return unpack(fetched(url))
    except (FetchError, UsageError) as error:
        raise ModelFileError(error.message, hint=error.hint) from None
    except ValueError as error:
        raise ModelFileError(f"{shown(without_secrets(url))}: {error}") from None


def _opened(path: str) -> IO[bytes]:
    """Open a regular file, and no other: opening a named pipe would wait for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ValueError("not a regular file")


def unpack(data: bytes) -> Contents:
    """Check the bytes of a model file. Raises ValueError for whatever is wrong with them."""
    return _contents(io.BytesIO(data), len(data))


def _contents(file: IO[bytes], size: int) -> Contents:
    """Check a model file of ``size`` bytes. ValueError for whatever is wrong with it."""
    _check_ends(file, size)
    try:
        with zipfile.ZipFile(file) as archive:
            names = _checked_names(archive, size)
            manifest = _manifest(archive.read(MANIFEST))
            if set(manifest.members) != names - {MANIFEST}:
                raise ValueError("broken: its members are not those that its manifest lists")
            members = {name: archive.read(name) for name in manifest.members}
    except (NotImplementedError, RuntimeError) as error:  # encrypted, or a version unheard of
        raise ValueError(f"not a model file ({_brief(error)})") from None
    except (
        *(zipfile.BadZipFile, EOFError, struct.error, OverflowError),
        *(UnicodeError, LookupError),
    ) as error:
        raise ValueError(f"not a model file, or a broken one ({_brief(error)})") from None
    for name, digest in manifest.members.items():
        if hashlib.sha256(members[name]).hexdigest() != digest:
            raise ValueError(f"broken: {name} is not what it was when the model was saved")
    state: dict[str, NDArray[Any] | bytes] = {}
    files: dict[str, bytes] = {}
    novelty: dict[str, NDArray[Any]] = {}
    images = _names(members.pop(IMAGES, b""))
    for name, content in members.items():
        folder, _, file_name = name.partition("/")
        if folder == "classifier" and file_name.endswith(".npy"):
            state[file_name.removesuffix(".npy")] = _array(name, content)
        elif folder == "classifier":
            state[file_name] = content
        elif folder == "novelty":
            novelty[file_name.removesuffix(".npy")] = _array(name, content)
        else:
            files[file_name] = content
    return Contents(manifest, state, files, _digest(file), images, novelty)


def _check_ends(file: IO[bytes], size: int) -> None:
    """Check the first bytes and the end record, which says how much zipfile is about to read."""
    if size > _MAX_FILE:
        raise ValueError(f"too large for a model file: {size:,} bytes")
    tail_size = _ZIP64.size + _END.size
    if size < tail_size or file.read(4) != b"PK\x03\x04":
        raise ValueError("not a model file: not a zip" if size else "an empty file")
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    if len(tail) < tail_size:
        raise ValueError("it became shorter while it was read")
    [before] = _ZIP64.unpack_from(tail)
    mark, here, entries, length, _, comment = _END.unpack_from(tail, _ZIP64.size)
    if mark != b"PK\x05\x06" or comment != b"\0\0" or before == b"PK\x06\x07":
        raise ValueError("not a model file, or a broken one: a zip without its end")
    if max(here, entries) > _MAX_MEMBERS or length > _MAX_DIRECTORY:
        raise ValueError(f"not a model file: a zip of {entries:,} members")


def _checked_names(archive: zipfile.ZipFile, size: int) -> set[str]:
    """Give the members' names, after checking what the archive declares of them."""
    infos = archive.infolist()
    names = {info.filename for info in infos}
    if MANIFEST not in names:
        raise ValueError(f"not a model file: a zip with no {MANIFEST}")
    if len(names) != len(infos) or len(infos) > _MAX_MEMBERS:
        raise ValueError("not to be trusted: too many members, or one twice")
    total = 0
    for info in infos:
        name = info.filename
        if name != MANIFEST and not _MEMBER.fullmatch(name):
            raise ValueError(f"not to be trusted: it holds '{_brief(name)}'")
        # What is declared of a compressed member may be a lie that only unpacking tells.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"not to be trusted: {name} is compressed, which batchcls never does")
        total += info.file_size
        if total > size or (name == MANIFEST and info.file_size > _MAX_MANIFEST):
            raise ValueError(f"not to be trusted: {name} claims {info.file_size:,} bytes")
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
        if number < OLDEST_FORMAT:
            raise ValueError(f"of a format that never was: {number}")
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"broken: {MANIFEST}: {_brief(error)}") from None
    classes = manifest.classes
    if len(classes) < 2 or len(set(classes)) != len(classes) or not all(classes):
        raise ValueError(f"broken: {MANIFEST}: classes: two or more different names are expected")
    return manifest


def _names(content: bytes) -> list[str]:
    try:
        names = content.decode("utf-8").split("\n") if content else []
    except UnicodeDecodeError:
        raise ValueError(f"broken: {IMAGES} is not UTF-8") from None
    if any(len(name) > _MAX_NAME or not name.isprintable() for name in names):
        raise ValueError(f"not to be trusted: {IMAGES} holds what is no name")
    return names


def _array(name: str, data: bytes) -> NDArray[Any]:
    try:
        return from_npy(data)
    except ValueError as error:
        raise ValueError(f"not to be trusted: {name}: {_brief(error)}") from None


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _brief(what: object) -> str:
    """Give one short line, whatever a stranger's file put into it."""
    return shown(str(what))[:200]
