"""How a finished file gets to its place at a URL, so that it is there whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any, Protocol

from batchcls.remote.calling import Access, StorageError
from batchcls.text import shown

# S3 takes up to 5 GiB in one request; of less, less is sent again where one fails.
MOST_AT_ONCE = 2**30
_PART = 64 * 2**20
_MOST_PARTS = 10_000
# Where an object appears when all of it has come.
_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory", "oss", "tos", "obs"}
)
# A browser shows a page that is called one, and otherwise saves it.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".parquet": "application/vnd.apache.parquet",
}


class Place(Protocol):
    """Where a file goes. ``holder`` names what must be there before."""

    holder: str

    def check(self) -> None:
        """Ask whether a file can be put there. Raises StorageError."""
        ...

    def put(self, file: IO[bytes]) -> None:
        """Put one there. Raises StorageError."""
        ...


def place_of(access: Access) -> Place:
    """Give the place that ``access`` was opened for."""
    from fsspec import AbstractFileSystem

    fs = access.fs
    names = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if names & {"s3", "s3a"}:
        return _S3(access)
    # Where to move is to copy, nothing is better than to write it in its place.
    moves = not fs.async_impl and type(fs).mv is not AbstractFileSystem.mv
    return _Folders(access) if moves and not names & _OBJECT_STORES else _Objects(access)


class _S3:
    """An object of S3, put in one request; a very large one by an upload of parts."""

    def __init__(self, access: Access) -> None:
        self._access = access
        bucket, key, _ = access.fs.split_path(access.path)
        self._object = {"Bucket": bucket, "Key": key}
        self.holder = f"bucket {shown(bucket)}"
        content_type = _TYPES.get(os.path.splitext(key)[1].lower())
        self._about = {"ContentType": content_type} if content_type else {}

    def check(self) -> None:
        """Begin an upload, which is allowed who may write, and take it back."""
        self._abort(self._begin())

    def put(self, file: IO[bytes]) -> None:
        """Send it."""
        size = _size(file)
        if size <= MOST_AT_ONCE:
            self._request("put_object", size=size, Body=file, ContentMD5=_md5(file), **self._about)
        else:
            self._put_parts(file, size)
        self._access.fs.invalidate_cache(self._access.path)

    def _put_parts(self, file: IO[bytes], size: int) -> None:
        length = max(_PART, math.ceil(size / _MOST_PARTS))
        upload = self._begin()
        try:
            file.seek(0)
            parts: list[dict[str, Any]] = []
            while data := file.read(length):
                digest = hashlib.md5(data, usedforsecurity=False).digest()
                answer = self._request(
                    "upload_part",
                    size=len(data),
                    UploadId=upload,
                    PartNumber=len(parts) + 1,
                    Body=data,
                    ContentMD5=base64.b64encode(digest).decode("ascii"),
                )
                parts.append({"PartNumber": len(parts) + 1, "ETag": answer["ETag"]})
            self._complete(upload, parts)
        except BaseException:
            self._abort(upload)
            raise

    def _complete(self, upload: str, parts: list[dict[str, Any]]) -> None:
        try:
            self._request(
                "complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except StorageError as error:
            if not error.missing:
                raise
            # There is no such upload any more: the answer to a former attempt was lost.
            if self._request("head_object")["ETag"].strip('"') != _tag_of(parts):
                error.missing, error.unclear = False, True
                raise

    def _begin(self) -> str:
        answer = self._request("create_multipart_upload", **self._about)
        return str(answer["UploadId"])

    def _abort(self, upload: str) -> None:
        with contextlib.suppress(StorageError):  # it has nothing in it, or its own error is told
            self._request("abort_multipart_upload", UploadId=upload, retries=1)

    def _request(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        return self._access.request(operation, **self._object, **parameters)


class _Objects:
    """An object of another store, which appears when all of it has come."""

    holder = "such place"

    def __init__(self, access: Access) -> None:
        self._access = access
        ending = os.path.splitext(access.path)[1].lower()
        takes_type = "gs" in access.fs.protocol and ending in _TYPES
        self._about = {"content_type": _TYPES[ending]} if takes_type else {}

    def check(self) -> None:
        """Ask nothing: there is no way to that leaves nothing."""

    def put(self, file: IO[bytes]) -> None:
        """Send it."""
        with _named(file) as name:
            self._access.call("put_file", name, self._access.path, size=_size(file), **self._about)


class _Folders:
    """A file in a folder of another machine: written beside its place, and moved there."""

    holder = "such folder"

    def __init__(self, access: Access) -> None:
        self._access = access
        self._folder = access.path.rpartition("/")[0]
        self._beside = f"{self._folder}/.batchcls-{secrets.token_hex(8)}.tmp"

    def check(self) -> None:
        """Write an empty file beside it, and remove that."""
        with self._temporary():
            self._access.call("pipe_file", self._beside, b"")

    def put(self, file: IO[bytes]) -> None:
        """Send it, and let it take the place of what is there."""
        with self._temporary(), _named(file) as name:
            self._access.call("put_file", name, self._beside, size=_size(file))
            self._access.call("mv", self._beside, self._access.path)

    @contextlib.contextmanager
    def _temporary(self) -> Iterator[None]:
        self._access.call("makedirs", self._folder, exist_ok=True)
        try:
            yield
        finally:
            with contextlib.suppress(StorageError):  # it was moved
                self._access.call("rm_file", self._beside)


@contextlib.contextmanager
def _named(file: IO[bytes]) -> Iterator[str]:
    """Give a name that a temporary file without one can be opened by."""
    name = f"/proc/self/fd/{file.fileno()}"
    if os.path.exists(name):
        yield name
        return
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "file")
        file.seek(0)
        with open(name, "wb") as copy:
            shutil.copyfileobj(file, copy)
        yield name


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _md5(file: IO[bytes]) -> str:
    """Give what S3 checks the bytes with that it gets."""
    digest = hashlib.md5(usedforsecurity=False)
    file.seek(0)
    while block := file.read(2**20):
        digest.update(block)
    return base64.b64encode(digest.digest()).decode("ascii")


def _tag_of(parts: list[dict[str, Any]]) -> str:
    """Give the ETag of what was put together of these parts."""
    digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
