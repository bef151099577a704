"""Images at URLs in the work on them: the same features as from a file, wherever it is decoded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from batchcls.careful import Careful
from batchcls.decode import Decoder
from batchcls.drawing import Drawer
from batchcls.extraction import NO_LIMIT, Extractor, NoCare
from batchcls.framing import Framing
from batchcls.gallery import Entry
from batchcls.guard.board import Board, InFlight, Stage, named
from batchcls.guard.flight import Flight
from batchcls.guard.verdicts import Verdicts
from batchcls.locations import is_url, normalised, protocols, without_secrets
from batchcls.records import ImageFile, Prediction, Status
from batchcls.settings import DecodeSettings
from batchcls.store.memory import store_path

from .conftest import picture
from .images import saved
from .remoting import found, remote
from .s3 import S3
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414

URL = "s3://bucket/./a//b/../c.jpg/"


class Mean:
    """A featurizer."""

    input_size, dimension, batch_size = 16, 3, 4

    def featurize(self, batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2)).astype(np.float32)


@pytest.fixture
def images(s3: S3, tmp_path: Path) -> list[ImageFile]:
    """Some on this machine, and put into the bucket: JPEG, PNG, one that is damaged, and a GIF."""
    contents = {
        "1.jpg": saved(picture(1), "JPEG"),
        "2.png": saved(picture(2), "PNG"),
        "3.jpg": saved(picture(3), "JPEG")[:500],
        "4.jpg": saved(picture(4), "GIF"),
        "5.jpg": b"",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        s3.put(f"in/{name}", data)
    return [ImageFile(str(tmp_path / name), name) for name in contents]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("ahead", [False, True])
def test_features_and_reasons_are_those_of_files(
    apart: bool, ahead: bool, images: list[ImageFile], s3: S3
):
    care = NoCare()
    if apart:
        flight = Flight(Board())
        care = Careful(flight, Verdicts(everything=True), DecodeSettings())  # type: ignore[assignment]

    def extractor(**files) -> Extractor:
        return Extractor(Decoder(), Mean(), [Framing.PAD], care=care, **files)  # type: ignore[arg-type]

    local = extractor()(images)
    with remote() as files:
        listed = found(files, f"s3://{s3.bucket}/in")
        chunks = files.through([listed]) if ahead else [listed]
        [extracted] = [extractor(files=files)(chunk) for chunk in chunks]
    assert [file.key for file in listed] == [file.key for file in images]
    assert extracted.reasons == local.reasons
    assert extracted.reasons[0] is None
    assert extracted.reasons[2] is not None
    assert np.array_equal(extracted.features[0], local.features[0])
    assert len(extracted.features[0]) == 3
    digests = [hashlib.sha256(Path(file.path).read_bytes()).digest() for file in images]
    assert [one.digest for one in extracted.sources] == digests
    assert [one.lasting for one in extracted.sources] == [one.lasting for one in local.sources]
    assert [one.identity for one in extracted.sources] == [file.identity for file in listed]
    assert set(s3.counts().values()) == {1}
    assert s3.count("HEAD") == 0


def test_a_file_made_for_decoding_apart_is_gone_afterwards(
    images: list[ImageFile], s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    suspect = f"s3://{s3.bucket}/in/1.jpg"
    care = Careful(Flight(Board()), Verdicts(frozenset({suspect})), DecodeSettings())
    with remote() as files:
        extractor = Extractor(Decoder(), Mean(), [Framing.PAD], care=care, files=files)  # type: ignore[arg-type]
        extracted = extractor(found(files, f"s3://{s3.bucket}/in"))
    assert extracted.reasons[0] is None
    assert list((tmp_path / "tmp").iterdir()) == []


def test_no_room_for_that_file(
    images: list[ImageFile], s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    care = Careful(Flight(Board()), Verdicts(everything=True), DecodeSettings())
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr("shutil.copyfileobj", lambda *_: os.write(full, b"x"))
    try:
        with remote() as files:
            extractor = Extractor(Decoder(), Mean(), [Framing.PAD], care=care, files=files)  # type: ignore[arg-type]
            extracted = extractor(found(files, f"s3://{s3.bucket}/in/1.jpg"))
    finally:
        os.close(full)
    assert "No space left on device" in str(extracted.reasons[0])


def test_an_eps_image_is_handed_to_ghostscript_as_a_file(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from .test_decode import EPS

    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import sys\n"
        "arguments = sys.argv\n"
        "source = arguments[arguments.index('-f') + 1]\n"
        f"assert open(source, 'rb').read() == {EPS!r}\n"
        "[output] = [one[13:] for one in arguments if one.startswith('-sOutputFile=')]\n"
        "open(output, 'wb').write(b'P5 40 40 255 ' + bytes([200]) * 1600)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    s3.put("a.eps", EPS)
    with remote() as files:
        extractor = Extractor(Decoder(), Mean(), [Framing.PAD], files=files)  # type: ignore[arg-type]
        extracted = extractor(found(files, f"s3://{s3.bucket}/a.eps"))
    assert extracted.reasons == [None]
    assert extracted.features[0].tolist() == [[200, 200, 200]]


@pytest.mark.parametrize("apart", [False, True])
def test_pictures_are_drawn_of_what_is_as_it_was(apart: bool, images: list[ImageFile], s3: S3):
    care = Careful(Flight(Board()), Verdicts(everything=apart), DecodeSettings())
    prediction = Prediction("x", Status.OK, label="cat", score=0.5)
    with remote() as files:
        paths = [f"s3://{s3.bucket}/in/{name}" for name in ("1.jpg", "2.png", "none.jpg")]
        with files.opened(paths[0], NO_LIMIT) as opened:
            digest = opened.digest
        entries = [Entry((1, 0.5, path), prediction, path, digest, None) for path in paths]
        first, *others = Drawer(Decoder(), care, NO_LIMIT, files)(entries)
    assert first is not None
    assert others == [None, None]


def test_a_url_keeps_its_name_everywhere():
    assert named(URL) == URL.encode()
    assert store_path(URL) == URL.encode()
    assert store_path("x/../a.jpg") == os.fsencode(os.path.abspath("a.jpg"))
    flight = Flight(board := Board())
    with flight.entering(Stage.READING, URL):
        assert board.in_flight() == [InFlight(Stage.READING, URL)]


def test_verdicts_on_urls_are_not_those_of_paths():
    told = Verdicts().crashed([InFlight(Stage.DECODING, URL, b"digest")])
    assert told.is_suspect(URL)
    assert not told.is_suspect("s3://bucket/c.jpg")
    many = [InFlight(Stage.READING, f"s3://bucket/{number}.jpg") for number in range(9)]
    told = Verdicts().overdue([*many, InFlight(Stage.LISTING, "https://host/folder/")], 60)
    assert told.reason("s3://bucket/3.jpg") == "did not answer within 60 s"
    assert told.reason("https://host/folder/") == "did not answer within 60 s"
    assert told.places == {}
    assert told.reason("s3://bucket/other.jpg") is None
    told = told.overdue([InFlight(Stage.DECODING, URL, b"digest")], 60)
    assert told.reason(URL) == "could not be decoded within 60 s (decode.max_seconds)"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@host/a.jpg", "https://user@host/a.jpg"),
        ("https://host/a.jpg?X-Amz-Date=1&X-Amz-Signature=f00", "https://host/a.jpg"),
        ("https://host/a.jpg?sv=1&sig=f00", "https://host/a.jpg"),
        ("https://host/image?id=5", "https://host/image?id=5"),
        ("s3://bucket/what?.jpg", "s3://bucket/what?.jpg"),
        ("zip://x::https://host/a.zip?token=1", "zip://x::https://host/a.zip"),
        ("/a/b?sig=1", "/a/b?sig=1"),
    ],
)
def test_secrets_are_not_told(url: str, told: str):
    assert without_secrets(url) == told


def test_what_is_a_url():
    for url in ("s3://b/k", "https://h", "zip://::a.zip", "simplecache::s3://b/k", "memory://x"):
        assert is_url(url)
    for path in ("a.jpg", "/a/b", "./s3:/x", "C://x", "a:b", "://x", "s3:/b/k", "", "-"):
        assert not is_url(path)
    assert normalised("file:///a/b.jpg") == "/a/b.jpg"
    assert normalised("zip://a.zip") == "zip://::a.zip"
    assert protocols("zip://x::s3://b/a.zip") == ["zip", "s3"]
