"""Archives, and other file systems of fsspec, as storages of images."""

from __future__ import annotations

import importlib.util
import io
import os
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.memory import MemoryFileSystem

from batchcls.errors import BatchclsError, UsageError
from batchcls.pipeline import chunked
from batchcls.reading import Identity
from batchcls.remote import others
from batchcls.settings import Settings

from .remoting import PLENTY, Clock, content, found, keys, reason, remote
from .s3 import S3, slow_down
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

NAMES = ["B.jpg", "a/1.png", "a/b/2.jpg", "a/b/c::d.jpg", "a/ä b%.jpg", "a.jpg", "z?#.jpg"]
PLAIN = [name for name in NAMES if "::" not in name]  # that fsspec's memory takes for a chain


def write_zip(path: Path | io.BytesIO, names: list[str] = NAMES) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in [*names, "notes.txt", "empty/"]:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6)), name.encode())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_zip(tmp_path / "photos.zip")
    return tmp_path / "photos.zip"


@pytest.mark.parametrize("root", ["zip://photos.zip", "zip://::photos.zip", "zip://::{}"])
def test_all_that_is_in_an_archive(root: str, archive: Path):
    root = root.format(archive)
    with remote() as files:
        listed = found(files, root)
        assert [file.key for file in listed] == NAMES
        assert listed[0].path == f"zip://B.jpg::{archive}"
        for file in listed:
            with files.opened(file.path, PLENTY) as opened:
                assert opened.file.read() == file.key.encode()
                assert opened.identity == file.identity is not None
        assert len({file.identity for file in listed}) == len(NAMES)


def test_a_folder_and_an_image_in_an_archive(archive: Path):
    with remote() as files:
        assert keys(files, f"zip://a/b::{archive}") == ["2.jpg", "c::d.jpg"]
        assert keys(files, f"zip://a/b/::{archive}") == ["2.jpg", "c::d.jpg"]
        [one] = found(files, f"zip://a/b/2.jpg::{archive}")
        assert (one.path, one.key) == (f"zip://a/b/2.jpg::{archive}",) * 2
        assert content(files, one.path) == b"a/b/2.jpg"
        assert keys(files, f"zip://::{archive}", exclude=["b/"], include=["a/"]) == [
            *("a/1.png", "a/ä b%.jpg"),
        ]
        assert keys(files, f"zip://::{archive}", f"zip://a/b::{archive}") == [
            *(f"zip://::{archive}/{name}" for name in NAMES if not name.startswith("a/b/")),
            *(f"zip://a/b::{archive}/{name}" for name in ("2.jpg", "c::d.jpg")),
        ]
        with pytest.raises(UsageError, match="no such folder, and no such object"):
            found(files, f"zip://nothing::{archive}")


def test_another_process_opens_what_is_in_an_archive(archive: Path):
    with remote() as files:
        paths = [file.path for file in found(files, "zip://photos.zip")]
    for path in paths:
        if "c::d" not in path:  # that is told apart from the archive only where that is known
            with remote() as files:
                assert content(files, path) == path.split("/", 2)[2].partition("::")[0].encode()


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_archive(ending: str, tmp_path: Path):
    with tarfile.open(tmp_path / f"photos.{ending}", "w:gz" if "gz" in ending else "w") as archive:
        for name in NAMES:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(name.encode()), 1_600_000_000
            archive.addfile(entry, io.BytesIO(name.encode()))
    with remote() as files:
        listed = found(files, f"tar://photos.{ending}")
        assert [file.key for file in listed] == NAMES
        read = [
            content(files, file.path).decode()
            for chunk in files.through(chunked(listed))
            for file in chunk
        ]
        assert read == NAMES
        assert None not in {file.identity for file in listed}


def test_what_identifies_an_image_in_an_archive_stays_and_changes_with_it(archive: Path):
    def identities() -> dict[str, Identity | None]:
        with remote() as files:
            return {file.key: file.identity for file in found(files, f"zip://::{archive}")}

    before = identities()
    os.utime(archive)
    assert identities() == before
    with zipfile.ZipFile(archive, "w") as other:
        for name in NAMES:
            data = b"XXXXX" if name == "a.jpg" else name.encode()
            other.writestr(zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6)), data)
    after = identities()
    assert {name for name in NAMES if after[name] != before[name]} == {"a.jpg"}


def test_an_archive_in_a_bucket(s3: S3):
    data = io.BytesIO()
    write_zip(data)
    s3.put("in/photos.zip", data.getvalue())
    inside = f"::s3://{s3.bucket}/in/photos.zip"
    s3.fail(slow_down(), times=2)
    with remote(Clock()) as files:
        listed = found(files, f"zip://{inside}")
        assert [file.key for file in listed] == NAMES
        assert listed[0].path == f"zip://B.jpg{inside}"
        read = [
            content(files, file.path).decode()
            for chunk in files.through(chunked(listed))
            for file in chunk
        ]
        assert read == NAMES
        assert keys(files, f"zip://a/b/2.jpg{inside}") == [f"zip://a/b/2.jpg{inside}"]
    assert s3.count("GET") < 10


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("zip://::none.zip", "none.zip"),
        ("zip://::text.zip", "not a zip file"),
        ("zip://::folder", "a folder, not an image file"),
        ("zip://", "no archive"),
        ("tar://::text.zip", "text.zip: "),
        ("zip://::s3://{}/none.zip", "no such object"),
        ("simplecache::zip://x::memory://y", "through such a chain"),
    ],
)
def test_what_is_no_archive(root: str, said: str, tmp_path: Path, s3: S3):
    (tmp_path / "text.zip").write_text("not an archive")
    (tmp_path / "folder").mkdir()
    with remote(retries=0) as files, pytest.raises(UsageError, match=said) as raised:
        found(files, root.format(s3.bucket))
    assert raised.value.hint


def test_damage_in_an_archive_is_a_reason(archive: Path):
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        entry = opened.getinfo("a.jpg")
    data[entry.header_offset + 30 + len("a.jpg") + 1] ^= 0xFF
    archive.write_bytes(data)
    with remote(Clock()) as files:
        listed = {file.key: file.path for file in found(files, f"zip://::{archive}")}
        assert reason(files, listed["a.jpg"]).startswith("can't be read: ")
        assert content(files, listed["B.jpg"]) == b"B.jpg"


def test_an_archive_promises_more_than_is_wanted(archive: Path):
    with remote() as files:
        listed = found(files, f"zip://::{archive}")
        assert reason(files, listed[0].path, 3).startswith("too large: 5 bytes")


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    fs = fsspec.filesystem("memory")
    folder = f"/test-{os.getpid()}"
    for name in PLAIN:
        fs.pipe(f"{folder}/in/{name}", name.encode())
    yield fs
    fs.rm(folder, recursive=True)


def test_a_file_system_that_says_nothing_of_its_files(memory: MemoryFileSystem):
    root = f"memory://test-{os.getpid()}/in"
    with remote() as files:
        listed = found(files, root)
        assert [file.key for file in listed] == PLAIN
        assert [file.path for file in listed] == [f"{root}/{name}" for name in PLAIN]
        assert files.identities(listed) == [None] * len(PLAIN)
        for chunk in files.through(chunked(listed)):
            for file in chunk:
                with files.opened(file.path, PLENTY) as opened:
                    assert opened.file.read() == file.key.encode()
                    assert opened.identity is None
        assert reason(files, f"{root}/none.jpg") == "no such object: it may have vanished"
        assert reason(files, listed[0].path, 2).startswith("too large: 5 bytes")
        assert keys(files, f"{root}/a/b") == ["2.jpg"]


class Tagged(MemoryFileSystem):
    """Files in memory, which have a tag as in an object storage, and may take their time."""

    protocol = "tagged"
    store: dict[str, Any] = {}  # noqa: RUF012 - as the class that it is
    pseudo_dirs = [""]  # noqa: RUF012
    tags: dict[str, str] = {}  # noqa: RUF012
    on_open: Any = staticmethod(lambda _: None)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.rpartition("://")[2])

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return self._tagged(super().info(path, **options))

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        entries = super().ls(path, detail=True, **options)
        return [self._tagged(entry) for entry in entries]

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        type(self).on_open(path)
        return super()._open(path, *arguments, **options)

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> bytes:
        type(self).on_open(path)
        data: bytes = super().cat_file(path, *arguments, **options)
        return data

    def _tagged(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, "etag": self.tags.get(info["name"], "first")}


class TaggedAsync(AsyncFileSystemWrapper):
    """The same, asynchronously."""

    protocol = "tagged-async"
    _strip_protocol = Tagged._strip_protocol

    def __init__(self, **options: Any) -> None:
        options.pop("fs", None)
        super().__init__(fs=Tagged(), asynchronous=False, **options)


@pytest.fixture(params=["tagged", "tagged-async"])
def tagged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(Tagged, "store", {})
    monkeypatch.setattr(Tagged, "pseudo_dirs", [""])
    monkeypatch.setattr(Tagged, "tags", {})
    monkeypatch.setattr(Tagged, "on_open", staticmethod(lambda _: None))
    fsspec.register_implementation("tagged", Tagged, clobber=True)
    fsspec.register_implementation("tagged-async", TaggedAsync, clobber=True)
    fs = Tagged()
    for name in PLAIN:
        fs.pipe(f"/in/{name}", name.encode())
    return f"{request.param}://in"


def test_any_file_system_with_tags(tagged: str):
    with remote() as files:
        listed = found(files, tagged)
        assert [file.key for file in listed] == PLAIN
        assert None not in {file.identity for file in listed}
        assert files.identities(listed) == [file.identity for file in listed]
        for chunk in files.through(chunked(listed)):
            for file in chunk:
                with files.opened(file.path, PLENTY) as opened:
                    assert opened.file.read() == file.key.encode()
                    assert opened.identity == file.identity
        assert files.identify(listed[0].path) == listed[0].identity
        with files.opened(listed[0].path, PLENTY) as opened:  # not listed, so to speak
            assert opened.identity == listed[0].identity
        assert found(files, f"{tagged}/a.jpg")[0].identity == listed[PLAIN.index("a.jpg")].identity
        with pytest.raises(UsageError):
            found(files, f"{tagged}/none")


def test_a_file_that_changes_while_it_is_read_has_no_identity(tagged: str):
    with remote() as files:
        listed = found(files, tagged)
        Tagged.on_open = staticmethod(lambda path: Tagged.tags.update({path: "second"}))
        with files.opened(listed[0].path, PLENTY) as opened:
            assert opened.identity is None
        with files.opened(listed[0].path, PLENTY) as opened:
            assert opened.identity not in {None, listed[0].identity}


def test_a_file_system_that_hangs_is_given_up(tagged: str, monkeypatch: pytest.MonkeyPatch):
    held = threading.Event()
    # Five seconds more, to connect, are a lot for a test.
    monkeypatch.setattr(others, "patience", lambda timeout: 2 * timeout + 1)
    with remote(retries=0, timeout=0.1) as files:
        listed = found(files, tagged)
        Tagged.on_open = staticmethod(lambda _: held.wait(60))
        start = time.monotonic()
        try:
            # Nothing can end the thread that hangs; its result is not waited for.
            assert reason(files, listed[0].path) == "no answer within 0.1 s"
        finally:
            held.set()
        assert time.monotonic() - start < 60


def test_what_is_not_installed_is_told():
    with remote() as files:
        for url, extra in (("gs://bucket/x", "gs"), ("az://container/x", "az")):
            if importlib.util.find_spec({"gs": "gcsfs", "az": "adlfs"}[extra]):
                continue
            with pytest.raises(UsageError) as raised:
                found(files, url)
            assert raised.value.hint == f"Install it: pip install 'batchcls[{extra}]'"


def test_errors_of_any_kind_are_lines(tagged: str):
    def burst(_: str) -> None:
        raise RuntimeError("the\ndisk\x1b[31m is on fire")

    with remote(Clock()) as files:
        listed = found(files, tagged)
        Tagged.on_open = staticmethod(burst)
        assert reason(files, listed[0].path) == "can't be read: the disk\\x1b[31m is on fire"


def test_options_of_an_unknown_kind(tmp_path: Path):
    wrong = Settings(filesystem={"sftp": {"port": "x"}})
    with remote(settings=wrong) as files, pytest.raises(BatchclsError):
        found(files, "nosuch://host/x")
