"""Where the files of Inception (V1) are, and how they get there: nothing of it is shipped."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from batchcls.atomic import AtomicFile
from batchcls.downloading.alone import alone
from batchcls.downloading.download import Patience, download
from batchcls.downloading.partial import partial_path, sha256_of
from batchcls.errors import BatchclsError, NetworkError, UsageError
from batchcls.text import shown

# Google's inception5h.zip, Apache-2.0: the graph, what its classes are called, the licence.
ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip"
ARCHIVE_SHA256 = "d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364"
GRAPH_SHA256 = "a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f"
GRAPH = "tensorflow_inception_graph.pb"  # 53.9 MB
LABELS = "imagenet_comp_graph_label_strings.txt"
LICENCE = "LICENSE"

_ARCHIVE = "inception5h.zip"
_MAX_ARCHIVE = 128 * 2**20
_MAX_GRAPH = 256 * 2**20
# In the order in which they appear: a folder with the graph is complete.
_MEMBERS = {LICENCE: 2**20, LABELS: 2**20, GRAPH: _MAX_GRAPH}
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of a zip's member: its bytes, strongly, its header
_PLAIN = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_BLOCK = 2**20
_LFS = b"version https://git-lfs.github.com/spec/"
_AGAIN = "Get the file again, or remove it: without it, batchcls downloads its own."


@dataclass(frozen=True)
class Published:
    """What is fetched, and what it must be; SHA-256 in hex."""

    addresses: tuple[str, ...] = (ADDRESS,)
    archive_sha256: str = ARCHIVE_SHA256
    graph_sha256: str = GRAPH_SHA256


@dataclass(frozen=True)
class InceptionFiles:
    """Where Inception is."""

    graph: str
    """Path of the frozen TensorFlow 1 GraphDef."""
    labels: str | None
    """Path of the file that names its classes, where it is beside the graph."""
    placed_by_user: bool
    """Whether it is at one of the places for that, not in the folder that ``fetch`` fills."""
    is_published: bool
    """Whether the graph is the published one, by its SHA-256."""
    graph_sha256: str


def find(
    places: Sequence[str],
    folder: str,
    published: Published = Published(),
) -> InceptionFiles | None:
    """Give the graph at the first of ``places`` (paths) that has one, or else that in ``folder``.

    Anything may be at a place, and it is taken for a graph if it can be one: UsageError where it
    is a folder, empty, a Git LFS pointer, too large, or can't be read. In ``folder`` counts
    nothing but the published graph: one that a full disk or a hand has changed is as good as none,
    and ``fetch`` replaces it. So every call reads the whole graph, for its SHA-256 (54 MB: 0.03 s
    with the processor's instructions for it, some 0.2 s without): neither size nor time would
    tell of a bad block, and the graph is about to be read anyway.
    """
    for place in places:
        digest = _digest(place, by_user=True)
        if digest is not None:
            return _files(place, digest, published, by_user=True)
    cached = os.path.join(folder, GRAPH)
    digest = _digest(cached, by_user=False)
    if digest != published.graph_sha256.lower():
        return None
    return _files(cached, digest, published, by_user=False)


def fetch(
    folder: str,
    published: Published = Published(),
    patience: Patience = Patience(),  # noqa: B008 - frozen
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
    say: Callable[[str], None] = lambda _line: None,
) -> InceptionFiles:
    """Download Inception into ``folder``, unless it is there; the folder is made.

    Each file appears whole, the graph last. Of the archive only the three members are taken, by
    their names, to fixed places; it is removed then, being of no more use (50 MB), and also if
    something is wrong with it, as the next download would bring the same bytes. Processes that
    fetch at once take turns, and the later ones find the work done.

    Raises as ``download`` does, and NetworkError where the archive is not what it should be: then
    no graph is left, nor anything else but what has come of a download, for the next try.
    """
    found = find((), folder, published)
    if found is not None:
        return found
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise BatchclsError(
            f"{shown(folder)}: the folder can't be made: {error.strerror or error}",
            hint="Name another folder for networks.",
        ) from error
    archive = os.path.join(folder, _ARCHIVE)
    lock = os.path.join(folder, ".inception.lock")
    wait = patience.connect + patience.silence
    with alone(lock, watched=partial_path(archive), patience=wait, say=say):
        found = find((), folder, published)
        if found is not None:
            return found
        graph = os.path.join(folder, GRAPH)
        if os.path.lexists(graph):
            say(f"{shown(graph)} is not what was fetched: fetching it again.")
        download(
            published.addresses,
            archive,
            sha256=published.archive_sha256,
            max_bytes=_MAX_ARCHIVE,
            patience=patience,
            on_progress=on_progress,
            say=say,
        )
        try:
            _unpack(archive, folder, published.graph_sha256.lower())
        except BatchclsError:
            _remove(archive)
            # Where there are no locks, another process may have unpacked and removed it meanwhile.
            found = find((), folder, published)
            if found is None:
                raise
            return found
        _remove(archive)
    return _files(graph, published.graph_sha256.lower(), published, by_user=False)


def _files(graph: str, digest: str, published: Published, *, by_user: bool) -> InceptionFiles:
    labels = os.path.join(os.path.dirname(graph), LABELS)
    return InceptionFiles(
        graph=graph,
        labels=labels if os.path.isfile(labels) else None,
        placed_by_user=by_user,
        is_published=digest == published.graph_sha256.lower(),
        graph_sha256=digest,
    )


def _digest(path: str, *, by_user: bool) -> str | None:
    """Give the SHA-256 of the graph at ``path``, or None where nothing is. UsageError."""
    try:
        if not os.path.lexists(path):
            return None
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(len(_LFS))
            if by_user and start == _LFS:
                raise UsageError(
                    f"{shown(path)}: a Git LFS pointer, where the graph itself is expected",
                    hint="Fetch what it points to: git lfs pull",
                )
            if by_user and not 0 < size <= _MAX_GRAPH:
                what = f"too large for the graph: {size:,} bytes" if size else "an empty file"
                raise UsageError(f"{shown(path)}: {what}", hint=_AGAIN)
            file.seek(0)
            return sha256_of(file) if size <= _MAX_GRAPH else None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{shown(path)}: can't be read: {reason}", hint=_AGAIN) from None


def _opened(path: str) -> IO[bytes]:
    """Open a regular file, and no other: opening a named pipe would wait for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if os.path.isdir(path):
        raise ValueError("a folder, where the graph is expected")
    file = os.fdopen(os.open(path, flags), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ValueError("not a regular file")


def _unpack(archive: str, folder: str, graph_sha256: str) -> None:
    """Put the members of ``archive`` into ``folder``, once all are known to be sound."""
    with contextlib.ExitStack() as undo:
        files = {}
        try:
            with open(archive, "rb") as raw, zipfile.ZipFile(raw) as opened:
                # All are looked at before any is written.
                infos = {name: _member(opened, name) for name in _MEMBERS}
                for name, info in infos.items():
                    files[name] = file = AtomicFile(os.path.join(folder, name))
                    undo.callback(file.discard)
                    digest = _copy(opened, info, file)
                    if name == GRAPH and digest != graph_sha256:
                        raise ValueError(f"its {name} has the SHA-256 {digest}, not {graph_sha256}")
        except (
            *(ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError),
            *(zlib.error, struct.error, OverflowError, UnicodeError, LookupError, OSError),
        ) as error:
            reason = shown(str(error))[:200] or type(error).__name__
            raise NetworkError(
                f"{shown(archive)}: not to be used: {reason}",
                hint=f"It was removed. Try again, or put {GRAPH} in its place yourself.",
            ) from error
        for file in files.values():
            file.commit()


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Give the one member of that very name. ValueError for what its header says."""
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise ValueError(f"it holds {name} {len(found)} times" if found else f"it has no {name}")
    [info] = found
    if info.flag_bits & _ENCRYPTED:
        raise ValueError(f"its {name} is encrypted")
    if info.compress_type not in _PLAIN:
        raise ValueError(f"its {name} is packed in a way that was never used for it")
    if info.file_size > _MEMBERS[name]:
        raise ValueError(f"its {name} claims {info.file_size:,} bytes")
    return info


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: AtomicFile) -> str:
    """Unpack a member into ``file``; give its SHA-256, hex."""
    digest = hashlib.sha256()
    count = 0
    with archive.open(info) as member:
        while block := member.read(_BLOCK):
            count += len(block)
            if count > _MEMBERS[info.filename]:  # whatever its header claims
                raise ValueError(f"its {info.filename} unpacks to more than {count:,} bytes")
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
