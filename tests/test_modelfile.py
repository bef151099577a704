"""The model file: what is written is read back; what is broken, foreign or hostile runs nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls import Model, modelfile
from batchcls.arrays import from_npy, to_npy
from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0
from batchcls.builtin.logistic import LogisticRegression
from batchcls.context import Context
from batchcls.errors import BatchclsError, ExitStatus, ModelFileError, PluginError
from batchcls.framing import PREPROCESSING
from batchcls.manifest import ClassifierEntry, FeaturizerEntry, Manifest
from batchcls.novelty import Novelty

from .conftest import Result, fuzzed, picture

CANARY = "executed"
NETWORK = "featurizer/network.tflite"
WEIGHTS, BIAS = "classifier/weights.npy", "classifier/bias.npy"
EXEMPLARS, THRESHOLD = "novelty/exemplars.npy", "novelty/threshold.npy"


class Payload:
    """Unpickling it creates a file."""

    def __reduce__(self) -> Any:
        return (open, (CANARY, "w"))


@pytest.fixture(scope="module")
def model() -> Model:
    """A sound model of two classes."""
    featurizer = EfficientNetLite0().create(Context())
    random = np.random.default_rng(0)
    arrays = {
        "weights": random.normal(0, 0.1, (featurizer.dimension, 2)).astype(np.float32),
        "bias": np.zeros(2, np.float32),
    }
    manifest = Manifest(
        batchcls="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        classes=["cat", "dög"],
        featurizer=FeaturizerEntry(
            name=featurizer.name,
            digest=featurizer.digest,
            framing="square",
            preprocessing=PREPROCESSING,
            input_size=featurizer.input_size,
            dimension=featurizer.dimension,
        ),
        classifier=ClassifierEntry(name="logistic", options={"C": 0.01}),
        training={"images": 4},
        metrics={"cross_validation": {"accuracy": 1.0}},
    )
    classifier = LogisticRegression()
    classifier.restore(arrays, featurizer.dimension, 2)
    exemplars = np.eye(3, featurizer.dimension, dtype=np.float16)
    return Model(manifest, featurizer, classifier, digest="", novelty=Novelty(exemplars, 0.5))


@pytest.fixture(scope="module")
def sound(model: Model) -> bytes:
    """The bytes of the sound model."""
    return model.pack()


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Give the manifest and the other members of a model file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("manifest.json")), members


def zipped(members: dict[str, bytes] | list[tuple[str, bytes]], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            archive.writestr(zipfile.ZipInfo(name), data, options.get("compression"))
    return out.getvalue()


def sealed(manifest: Any, members: dict[str, bytes], **options: Any) -> bytes:
    """Zip them as an attacker would: with digests that are right."""
    if isinstance(manifest, dict):
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
        manifest = json.dumps({**manifest, "members": digests}).encode()
    return zipped({"manifest.json": manifest, **members}, **options)


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def with_manifest(**changes: Any) -> Callable[[bytes], bytes]:
    def build(data: bytes) -> bytes:
        manifest, members = parts(data)
        for path, value in changes.items():
            *folders, key = path.split("__")
            place = manifest
            for folder in folders:
                place = place[folder]
            place[key] = value
        return sealed(manifest, members)

    return build


def with_member(name: str, content: bytes | None) -> Callable[[bytes], bytes]:
    def build(data: bytes) -> bytes:
        manifest, members = parts(data)
        if content is None:
            del members[name]
        else:
            members[name] = content
        return sealed(manifest, members)

    return build


def with_network(content: bytes) -> Callable[[bytes], bytes]:
    def build(data: bytes) -> bytes:
        manifest, members = parts(data)
        members[NETWORK] = content
        manifest["featurizer"]["digest"] = hashlib.sha256(content).hexdigest()
        return sealed(manifest, members)

    return build


def raw_manifest(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: sealed(text, parts(data)[1])


def compressed(data: bytes) -> bytes:
    manifest, members = parts(data)
    return sealed(manifest, members, compression=zipfile.ZIP_DEFLATED)


def bomb(data: bytes) -> bytes:
    """A member that unpacks to 120 MB and says that it is small."""
    out = bytearray(zipped({WEIGHTS: b"\0" * (120 * 2**20)}, compression=zipfile.ZIP_DEFLATED))
    at = out.rindex(b"PK\x01\x02")
    out[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # the size that it declares
    manifest = {**parts(data)[0], "members": {WEIGHTS: "0" * 64}}
    stream = io.BytesIO(bytes(out))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
    return stream.getvalue()


def honest_bomb(data: bytes) -> bytes:
    manifest, members = parts(data)
    members[WEIGHTS] = b"\0" * (120 * 2**20)
    return sealed(manifest, members, compression=zipfile.ZIP_DEFLATED)


def claims(field: int, value: int) -> Callable[[bytes], bytes]:
    """Overwrite a size in the directory entry of the last member."""

    def build(data: bytes) -> bytes:
        out = bytearray(data)
        at = out.rindex(b"PK\x01\x02")
        out[at + field : at + field + 4] = value.to_bytes(4, "little")
        return bytes(out)

    return build


def claims_both(data: bytes) -> bytes:
    return claims(24, 0x7FFFFFFF)(claims(20, 0x7FFFFFFF)(data))


def encrypted(data: bytes) -> bytes:
    out = bytearray(data)
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = out.index(mark)
        out[at + offset] |= 1
    return bytes(out)


def member_twice(data: bytes) -> bytes:
    manifest, members = parts(data)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    text = json.dumps({**manifest, "members": digests}).encode()
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped([("manifest.json", text), *members.items(), (BIAS, members[BIAS])])


def crowd(data: bytes) -> bytes:
    manifest, members = parts(data)
    members.update({f"classifier/a{number}.npy": b"" for number in range(30_000)})
    return sealed(manifest, members)


def wrong_digest(data: bytes) -> bytes:
    manifest, members = parts(data)
    members[BIAS] = to_npy(np.ones(2, np.float32))
    return zipped({"manifest.json": json.dumps(manifest).encode(), **members})


def zip64(data: bytes) -> bytes:
    """Put in front of the end record the locator of a zip64 record."""
    end = data.rindex(b"PK\x05\x06")
    record = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(12) + b"\xff" * 32
    locator = b"PK\x06\x07" + bytes(4) + end.to_bytes(8, "little") + (1).to_bytes(4, "little")
    return data[:end] + record + locator + data[end:]


PICKLE = pickle.dumps(Payload())
OBJECTS = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", PICKLE)
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"

HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "an empty file": lambda _: b"",
    "text": lambda _: b"batchcls" * 100,
    "a pickle": lambda _: PICKLE + bytes(100),
    "an image": lambda _: jpeg(),
    "an empty zip": lambda _: zipped({}),
    "a zip of something else": lambda _: zipped({"word/document.xml": b"<xml/>"}),
    "a Keras model": lambda _: zipped({"config.json": b"{}", "model.weights.h5": b"\x89HDF"}),
    "no end": lambda data: data[:-30],
    "no beginning": lambda data: data[1000:],
    "half of it": lambda data: data[: len(data) // 2],
    "a comment that hides another zip": lambda data: data[:-2] + b"\x04\x00zip!",
    "a zip64 record of absurd sizes": zip64,
    "a newer format": with_manifest(format=modelfile.FORMAT + 1),
    "a format that never was": with_manifest(format=0),
    "a format that is text": with_manifest(format="1"),
    "no classes": with_manifest(classes=[]),
    "one class": with_manifest(classes=["cat"]),
    "the same class twice": with_manifest(classes=["cat", "cat"]),
    "a class without a name": with_manifest(classes=["cat", ""]),
    "a class that is a number": with_manifest(classes=["cat", 7]),
    "more classes than the arrays have": with_manifest(classes=["cat", "dog", "cow"]),
    "an unknown featurizer": with_manifest(featurizer__name="os.system"),
    "an unknown classifier": with_manifest(classifier__name="builtins.eval\nsecond line"),
    "a featurizer's name of a megabyte": with_manifest(featurizer__name="x" * 2**20),
    "an unknown framing": with_manifest(featurizer__framing="sideways\x1b[31m"),
    "an option that does not exist": with_manifest(classifier__options={"x\x1b[31m": 1}),
    "an option of another type": with_manifest(classifier__options={"C": "\x1b[31m\nall fine"}),
    "options that are a list": with_manifest(classifier__options=[1]),
    "an option that is a forest's text": with_manifest(
        classifier__name="forest",
        classifier__options={"max_features": "\x1b[31mEVIL\x07\nbatchcls: all fine"},
    ),
    "a plugin's name with a line break": with_manifest(
        classifier__name="nobody's", classifier__plugin="x\nbatchcls: \x1b[31mall fine"
    ),
    "a provider that is none": with_manifest(featurizer__restored_by="../x\n"),
    "another preprocessing": with_manifest(featurizer__preprocessing=99),
    "another featurizer's digest": with_manifest(featurizer__digest="0" * 64),
    "a manifest that is no JSON": raw_manifest(b"{"),
    "a manifest that is not UTF-8": raw_manifest(b'{"format": 1, "batchcls": "\xff"}'),
    "a manifest that is a list": raw_manifest(b"[1, 2]"),
    "a manifest nested deeply": raw_manifest(
        b'{"format": 1, "x": ' + b"[" * 10**6 + b"]" * 10**6 + b"}"
    ),
    "a manifest of 9 MB": raw_manifest(b'{"format": 1' + b" " * 9 * 2**20 + b"}"),
    "a manifest that is a pickle": raw_manifest(PICKLE),
    "a pickle as a member": with_member("classifier/model.pkl", PICKLE),
    "training images that are no text": with_member("training-images.txt", PICKLE),
    "a training image that is a command to the terminal": with_member(
        "training-images.txt", b"a.jpg\n\x1b[31mb.jpg"
    ),
    "a training image with a very long name": with_member("training-images.txt", b"x" * 5000),
    "a pickle for an array": with_member(WEIGHTS, PICKLE),
    "an array of objects": with_member(WEIGHTS, OBJECTS),
    "an array of structures": with_member(
        WEIGHTS, npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", PICKLE)
    ),
    "an array header that is code": with_member(WEIGHTS, npy(f"open('{CANARY}', 'w')", bytes(100))),
    "an array header nested deeply": with_member(WEIGHTS, npy("(" * 30_000)),
    "an array of version 3": with_member(WEIGHTS, npy(HEADER % "1,", bytes(4), b"\x03\x00")),
    "an array that claims a terabyte": with_member(WEIGHTS, npy(HEADER % "1000000, 250000")),
    "an array of negative size": with_member(WEIGHTS, npy(HEADER % "-1, -1", bytes(4))),
    "no exemplars": with_member(EXEMPLARS, None),
    "exemplars without a row": with_member(EXEMPLARS, to_npy(np.zeros((0, 1280), np.float16))),
    "exemplars of other features": with_member(EXEMPLARS, to_npy(np.eye(3, 9, dtype=np.float16))),
    "exemplars of another dtype": with_member(EXEMPLARS, to_npy(np.eye(3, 1280))),
    "exemplars that are not finite": with_member(
        EXEMPLARS, to_npy(np.full((3, 1280), np.inf, np.float16))
    ),
    "exemplars of another length": with_member(
        EXEMPLARS, to_npy(np.full((3, 1280), 60_000, np.float16))
    ),
    "exemplars that are a pickle": with_member(EXEMPLARS, PICKLE),
    "a threshold of 0": with_member(THRESHOLD, to_npy(np.zeros(1))),
    "a threshold below 0": with_member(THRESHOLD, to_npy(np.full(1, -0.5))),
    "a threshold beyond all distances": with_member(THRESHOLD, to_npy(np.full(1, 2.5))),
    "a threshold that is no number": with_member(THRESHOLD, to_npy(np.full(1, np.nan))),
    "two thresholds": with_member(THRESHOLD, to_npy(np.full(2, 0.5))),
    "an array of novelty that nobody asked for": with_member(
        "novelty/more.npy", to_npy(np.zeros(1))
    ),
    "novelty that is no array": with_member("novelty/exemplars.bin", b"x"),
    "novelty with a path": with_member("novelty/../exemplars.npy", to_npy(np.zeros(1))),
    "an array of nothing, hugely": with_member(
        WEIGHTS, npy(HEADER % "0, 9999999999, 9999999999, 9999999999")
    ),
    "an array that is too short": with_member(WEIGHTS, npy(HEADER % "1280, 2", bytes(100))),
    "an array of the wrong shape": with_member(WEIGHTS, to_npy(np.zeros((2, 1280), np.float32))),
    "an array of the wrong dtype": with_member(WEIGHTS, to_npy(np.zeros((1280, 2), np.float64))),
    "an array that is not finite": with_member(
        WEIGHTS, to_npy(np.full((1280, 2), np.nan, np.float32))
    ),
    "an array too many": with_member("classifier/extra.npy", to_npy(np.zeros(1, np.float32))),
    "an array missing": with_member(BIAS, None),
    "the network missing": with_member(NETWORK, None),
    "a second network": with_member("featurizer/other.tflite", b"TFL3"),
    "a path that climbs out": with_member("../../evil.txt", b"evil"),
    "a path that climbs out from inside": with_member("featurizer/../../evil", b"evil"),
    "an absolute path": with_member("/tmp/evil-batchcls", b"evil"),
    "a Windows path": with_member("featurizer\\..\\evil", b"evil"),
    "a folder": with_member("featurizer/sub/", b""),
    "a name with a line break": with_member("featurizer/a\nb", b""),
    "a name of 60,000 characters": with_member("x" * 60_000, b""),
    "a member twice": member_twice,
    "30,000 members": crowd,
    "compressed members": compressed,
    "a zip bomb": honest_bomb,
    "a zip bomb that lies about its size": bomb,
    "a member that claims 2 GB unpacked": claims(24, 0x7FFFFFFF),
    "a member that claims 2 GB": claims_both,
    "a member that lies elsewhere": claims(42, 0x7FFFFFFF),
    "an encrypted member": encrypted,
    "an array changed after saving": wrong_digest,
    "an empty network": with_network(b""),
    "garbage for a network": with_network(bytes(range(256)) * 64),
    "garbage that begins like a network": with_network(b"\x1c\0\0\0TFL3" + bytes(range(256)) * 64),
}


def jpeg() -> bytes:
    out = io.BytesIO()
    picture().save(out, "JPEG")
    return out.getvalue()


def assert_one_line(error: BatchclsError) -> None:
    assert error.exit_status == ExitStatus.USAGE
    assert len(error.message.splitlines()) == 1
    assert len(error.message) < 600
    assert error.message.isprintable()
    assert len(error.hint.splitlines()) <= 1


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_or_broken_file_is_an_error_of_one_line_and_runs_nothing(kind, sound, tmp_path):
    path = tmp_path / "bad.batchcls"
    path.write_bytes(HOSTILE[kind](sound))
    start = time.monotonic()
    with pytest.raises(BatchclsError) as caught:
        Model.load(path)
    assert time.monotonic() - start < 30
    assert_one_line(caught.value)
    assert "bad.batchcls" in caught.value.message or isinstance(caught.value, PluginError)
    assert os.listdir(tmp_path) == ["bad.batchcls"]


@pytest.mark.parametrize(
    "kind",
    [
        "a pickle",
        "an array of objects",
        "an array header that is code",
        "a path that climbs out",
        "a zip bomb that lies about its size",
        "a manifest nested deeply",
        "garbage for a network",
    ],
)
def test_the_command_says_one_line_for_a_hostile_file_and_ends_with_2(
    kind, sound, tmp_path, batchcls
):
    (tmp_path / "bad.batchcls").write_bytes(HOSTILE[kind](sound))
    (tmp_path / "a.jpg").write_bytes(jpeg())
    result: Result = batchcls("predict", "a.jpg", "--model", "bad.batchcls")
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith("batchcls: error: bad.batchcls: ")
    assert len(result.err.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "bad.batchcls"]


@pytest.mark.parametrize("kind", ["a zip bomb that lies about its size", "30,000 members"])
def test_memory_stays_small_for_a_file_that_would_unpack_to_much(kind, sound, tmp_path):
    path = tmp_path / "bad.batchcls"
    path.write_bytes(HOSTILE[kind](sound))
    code = """
        import resource, sys
        from batchcls.errors import ModelFileError
        from batchcls.modelfile import read
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + 64 * 2**20, now + 64 * 2**20))
        try:
            read(sys.argv[1])
        except ModelFileError as error:
            print(error)
    """
    done = python(code, path)
    assert done.stderr == ""
    assert done.stdout.startswith(f"{path}: not ")


def test_a_huge_file_that_is_no_model_is_not_read(tmp_path):
    path = tmp_path / "big.batchcls"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2**31 - 1)  # sparse
    start = time.monotonic()
    with pytest.raises(ModelFileError, match="without its end"):
        Model.load(path)
    os.truncate(path, 2**31 + 1)
    with pytest.raises(ModelFileError, match="too large"):
        Model.load(path)
    assert time.monotonic() - start < 30


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.batchcls")
    for name in ("pipe.batchcls", "/dev/zero"):
        with pytest.raises(ModelFileError, match="not a regular file"):
            Model.load(tmp_path / name)
    with pytest.raises(ModelFileError, match="Is a directory"):
        Model.load(tmp_path)
    with pytest.raises(ModelFileError, match="no such file"):
        Model.load(tmp_path / "missing.batchcls")


def test_a_model_that_is_saved_loads_as_the_same_and_gives_the_same_bytes(model, sound, tmp_path):
    path = tmp_path / "m.batchcls"
    model.save(path)
    assert path.read_bytes() == sound
    loaded = Model.load(path)
    assert loaded.classes == ["cat", "dög"]
    assert loaded.digest == hashlib.sha256(sound).hexdigest()
    assert loaded.manifest.training == {"images": 4}
    assert loaded.pack() == sound
    for name, array in model.classifier.to_state().items():
        np.testing.assert_array_equal(loaded.classifier.to_state()[name], array)
    assert model.novelty is not None
    assert loaded.novelty is not None
    for name, array in model.novelty.to_state().items():
        np.testing.assert_array_equal(loaded.novelty.to_state()[name], array)
    again = pickle.loads(pickle.dumps(loaded))
    assert again.digest == loaded.digest
    assert again.novelty is not None


def test_a_model_of_format_1_loads_and_calls_no_image_unknown(sound, tmp_path):
    manifest, members = parts(sound)
    old = sealed(
        {**manifest, "format": 1}, {name: members[name] for name in (WEIGHTS, BIAS, NETWORK)}
    )
    path = tmp_path / "old.batchcls"
    path.write_bytes(old)
    loaded = Model.load(path)
    assert loaded.manifest.format == 1
    assert loaded.novelty is None
    picture().save(tmp_path / "a.png")
    [here] = loaded.predict([tmp_path / "a.png"])
    [there] = Model.from_contents(modelfile.unpack(sound)).predict(
        [tmp_path / "a.png"], unknown=False
    )
    np.testing.assert_array_equal(here.scores, there.scores)
    assert here.distance is None
    assert there.distance is not None
    loaded.save(path)
    assert Model.load(path).novelty is None


def test_any_zip_tool_can_look_into_a_model(sound):
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            *("manifest.json", WEIGHTS, BIAS, NETWORK, EXEMPLARS, THRESHOLD)
        ]
        manifest = json.loads(archive.read("manifest.json"))
        weights = np.load(io.BytesIO(archive.read(WEIGHTS)), allow_pickle=False)
    assert manifest["format"] == 2
    assert manifest["classes"] == ["cat", "dög"]
    assert manifest["featurizer"]["name"] == "efficientnet-lite0"
    assert manifest["metrics"] == {"cross_validation": {"accuracy": 1.0}}
    assert weights.shape == (1280, 2)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<i2", ">i4", "<i8", "f2", "<f4", ">f4", "f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 5), (1, 2, 3, 4)])
def test_arrays_of_numbers_come_back_in_their_shape(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    back = from_npy(to_npy(array))
    assert back.shape == shape
    assert back.dtype == np.dtype(dtype).newbyteorder("=")
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)
    transposed = from_npy(to_npy(array.T))
    np.testing.assert_array_equal(transposed, array.T)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_arrays_that_are_not_plain_numbers_are_not_saved(array):
    with pytest.raises(ValueError, match=r"plain numbers|allow_pickle"):
        to_npy(array)


def test_what_could_not_be_loaded_is_not_saved(model):
    for files in ({"../x": b""}, {f"f{number}": b"" for number in range(100)}):
        with pytest.raises(ValueError, match="member"):
            modelfile.pack(model.manifest, {}, files)


def small(model: Model) -> bytes:
    """A model file as `read` sees it, without the weight of a network."""
    arrays = {"weights": np.arange(6, dtype=np.float32).reshape(3, 2), "bias": np.zeros(2)}
    return modelfile.pack(model.manifest, arrays, {"network.tflite": b"TFL3" * 20})


def assert_error_or_equal(data: bytes, original: modelfile.Contents, path: Path) -> None:
    path.write_bytes(data)
    try:
        contents = modelfile.read(str(path))
    except ModelFileError as error:
        assert_one_line(error)
        return
    # What the manifest's own text says is for people, and has no digest.
    assert contents.manifest.classes is not None
    assert contents.featurizer_files == original.featurizer_files
    assert contents.state.keys() == original.state.keys()
    for name, array in original.state.items():
        np.testing.assert_array_equal(contents.state[name], array)
        assert contents.state[name].dtype == array.dtype
    assert contents.manifest == original.manifest


@fuzzed(250)
@given(data=st.data())
def test_a_file_with_bytes_changed_is_an_error_or_the_same_model(data, model, tmp_path):
    original = small(model)
    changed = bytearray(original)
    changes = st.tuples(st.integers(0, len(original) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(changes, min_size=1, max_size=4)):
        changed[place] = value
    assert_error_or_equal(bytes(changed), modelfile.unpack(original), tmp_path / "m.batchcls")


@fuzzed(250)
@given(data=st.data())
def test_a_file_cut_or_with_a_piece_put_in_is_an_error_or_the_same_model(data, model, tmp_path):
    original = small(model)
    start = data.draw(st.integers(0, len(original)))
    stop = data.draw(st.integers(start, len(original)))
    piece = data.draw(st.binary(max_size=60))
    changed = original[:start] + piece + original[stop:]
    assert_error_or_equal(changed, modelfile.unpack(original), tmp_path / "m.batchcls")


def test_every_single_byte_changed_in_the_zips_own_records_is_an_error_or_the_same_model(
    model, tmp_path
):
    original = small(model)
    contents = modelfile.unpack(original)
    directory = original.index(b"PK\x01\x02")
    for place in [*range(60), *range(directory, len(original))]:
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(original)
            changed[place] ^= mask
            assert_error_or_equal(bytes(changed), contents, tmp_path / "m.batchcls")


def test_every_truncation_is_an_error(model):
    original = small(model)
    for length in range(len(original)):
        with pytest.raises(ValueError, match=r".+"):
            modelfile.unpack(original[:length])


def test_a_truncated_or_garbled_network_with_a_right_digest_does_not_crash_the_process(
    model, sound, tmp_path
):
    network = parts(sound)[1][NETWORK]
    random = np.random.default_rng(0)
    bad = [network[: int(length)] for length in np.linspace(0, len(network) - 1, 12)]
    for _ in range(8):
        bad.append(network[:8] + random.bytes(int(random.integers(1, 5000))))
        start = int(random.integers(0, len(network) - 4096))
        bad.append(network[:start] + random.bytes(4096) + network[start + 4096 :])
    for number, content in enumerate(bad):
        (tmp_path / f"{number:02}.batchcls").write_bytes(with_network(content)(sound))
    (tmp_path / "a.jpg").write_bytes(jpeg())
    code = """
        import sys
        from batchcls import Model
        from batchcls.errors import ModelFileError
        for path in sys.argv[1:]:
            try:
                Model.load(path).predict(["a.jpg"])
                print("sound")
            except ModelFileError as error:
                print("error")
    """
    done = python(code, *sorted(tmp_path.glob("*.batchcls")), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:12] == ["error"] * 12
    assert len(done.stdout.splitlines()) == len(bad)


def python(code: str, *arguments: object, cwd: Path | None = None) -> Any:
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
