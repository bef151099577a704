"""Inception by the real command: found, fetched, converted once, trained with, and left alone.

The graph is a stand-in with random weights, of the names and shapes of the real one, but narrower.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batchcls import Model
from batchcls.builtin.inception import Inception
from batchcls.builtin.tensorflow_network import TensorFlowNetwork
from batchcls.context import Context
from batchcls.settings import Settings
from batchcls.testing import check_featurizer

from .conftest import Result, command, make_classes
from .servers import Server, cut, direct, silent, status, whole
from .standin import inception_graph_bytes, smooth_pictures, tensorflow, tiny_graph
from .warm import Warm

GRAPH = "tensorflow_inception_graph.pb"
LABELS = "imagenet_comp_graph_label_strings.txt"
NAMES = ["dummy", *(f"class {number // 2}" for number in range(1000))]


@pytest.fixture(scope="module")
def graph() -> bytes:
    """A stand-in graph."""
    return inception_graph_bytes(width=0.05)


@pytest.fixture(scope="module")
def archive(graph: bytes) -> bytes:
    """The archive that is downloaded, with the stand-in in it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(GRAPH, graph)
        out.writestr(LABELS, "\n".join(NAMES) + "\n")
        out.writestr("LICENSE", "Apache License\n")
    return data.getvalue()


@pytest.fixture
def batchcls(tmp_path: Path, warm_tensorflow: Warm) -> Callable[..., Result]:
    """The command; TensorFlow is loaded where it may be needed."""
    return command(warm_tensorflow, tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tagged images; what is to be downloaded is on loopback."""
    direct(monkeypatch)
    monkeypatch.setenv("BATCHCLS_MODELS_DOWNLOAD", "true")
    monkeypatch.setenv("BATCHCLS_MODELS_TIMEOUT", "2")
    monkeypatch.setenv("BATCHCLS_TRAIN_FRAMING", "pad")  # which fits best is not asked here
    monkeypatch.setenv("BATCHCLS_INCEPTION_ADDRESSES", "http://127.0.0.1:1/inception5h.zip")
    make_classes(tmp_path / "tagged", count=3)
    return tmp_path


def place(folder: Path, graph: bytes) -> None:
    """Put the graph where a user may put it."""
    (folder / "assets/inception").mkdir(parents=True)
    (folder / "assets/inception" / GRAPH).write_bytes(graph)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory, graph: bytes) -> Path:
    """The stand-in's scores as they were converted, by the name that they have among models."""
    folder = tmp_path_factory.mktemp("converted")
    place(folder, graph)
    Inception().create(Context(settings_of(folder)))
    [path] = (folder / "models").iterdir()
    return path


def convert_before(folder: Path, converted: Path) -> None:
    """Let the network have been converted before: that takes seconds."""
    (folder / "models").mkdir()
    shutil.copy(converted, folder / "models")


def settings_of(folder: Path) -> Settings:
    """Settings by which the graph in its place is found, and what was converted."""
    settings = Settings()
    settings.inception.graph = str(folder / "assets/inception" / GRAPH)
    settings.models.folder = str(folder / "models")
    return settings


def serve(monkeypatch: pytest.MonkeyPatch, server: Server, graph: bytes) -> None:
    """Let the configuration name the server and what it has."""
    monkeypatch.setenv("BATCHCLS_INCEPTION_ADDRESSES", server.url)
    for name, data in (("ARCHIVE", server.body), ("GRAPH", graph)):
        monkeypatch.setenv(f"BATCHCLS_INCEPTION_{name}_SHA256", hashlib.sha256(data).hexdigest())


def networks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "models").iterdir() if path.name[0] != ".")


def test_a_graph_that_is_put_in_its_place_is_converted_once_and_trained_with(
    folder, batchcls, graph
):
    place(folder, graph)
    trained = batchcls("train", "tagged/tags.tsv", "-f", "inception", "-o", "a.batchcls")
    assert trained.status == 0, trained.err
    assert "featurizer  inception, 1,008 features" in trained.out
    assert "is not Inception as it was published" in trained.err
    [converted] = networks(folder)
    assert converted.startswith("inception-")
    assert converted.endswith("-softmax2_pre_activation-float32.tflite")
    before = (folder / "models" / converted).stat().st_mtime_ns
    again = batchcls("train", "tagged/tags.tsv", "-f", "inception", "-o", "b.batchcls")
    assert again.status == 0, again.err
    assert networks(folder) == [converted]
    assert (folder / "models" / converted).stat().st_mtime_ns == before
    one, two = (Model.load(folder / f"{name}.batchcls").manifest for name in "ab")
    assert one.featurizer == two.featurizer
    assert one.featurizer.name == "inception"
    assert one.featurizer.dimension == 1008
    # The model needs neither the graph nor what was converted.
    (folder / "models" / converted).unlink()
    (folder / "assets/inception" / GRAPH).unlink()
    result = batchcls("run", "tagged", "-m", "a.batchcls", "-o", "r.csv")
    assert result.status == 0, result.err
    assert len((folder / "r.csv").read_text().splitlines()) == 7


def test_the_pooled_features_by_option(folder, batchcls, graph):
    place(folder, graph)
    trained = batchcls(
        *("train", "tagged/tags.tsv", "-f", "inception", "-o", "m.batchcls"),
        *("-F", "output=avgpool0/reshape"),
    )
    assert trained.status == 0, trained.err
    assert "featurizer  inception output=avgpool0/reshape, 1,024 features" in trained.out
    refused = batchcls("train", "tagged/tags.tsv", "-f", "inception", "-F", "output=conv2d0")
    assert refused.status == 2
    assert "the featurizer inception: output: " in refused.err


def test_int8_is_calibrated_with_the_first_training_and_then_left_alone(folder, batchcls, graph):
    place(folder, graph)
    options = ("-f", "inception", "-F", "precision=int8")
    trained = batchcls("train", "tagged/tags.tsv", *options, "-o", "a.batchcls")
    assert trained.status == 0, trained.err
    [converted] = networks(folder)
    assert converted.endswith("-int8.tflite")
    make_classes(folder / "others", count=2, size=(30, 50))
    again = batchcls("train", "others/tags.tsv", *options, "-o", "b.batchcls")
    assert again.status == 0, again.err
    assert networks(folder) == [converted]
    one, two = (Model.load(folder / f"{name}.batchcls").manifest for name in "ab")
    assert one.featurizer.digest == two.featurizer.digest


def test_the_features_are_those_of_tensorflow_fed_as_the_tutorial_does(folder, graph, converted):
    place(folder, graph)
    convert_before(folder, converted)
    featurizer = Inception().create(Context(settings_of(folder)))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    scores = run_tensorflow(graph, pixels, "softmax2_pre_activation:0")
    ours = featurizer.featurize(pixels)
    assert ours.shape == (3, 1008)
    cosines = (ours * scores).sum(axis=1) / np.linalg.norm(ours, axis=1)
    assert (cosines / np.linalg.norm(scores, axis=1) >= 0.999).all()


def run_tensorflow(graph: bytes, pixels: np.ndarray, name: str) -> np.ndarray:
    """Run the graph as it is, on pixels less 117, RGB."""
    tf = tensorflow()
    with tf.Graph().as_default() as whole:
        proto = tf.compat.v1.GraphDef()
        proto.ParseFromString(graph)
        tf.import_graph_def(proto, name="")
        with tf.compat.v1.Session(graph=whole) as session:
            given = {"input:0": pixels.astype(np.float32) - 117}
            result: np.ndarray = session.run(name, given)
            return result


def test_auto_takes_a_graph_that_is_at_hand_and_says_so(folder, batchcls, graph, converted):
    place(folder, graph)
    convert_before(folder, converted)
    trained = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert trained.status == 0, trained.err
    assert "Featurizer: inception, as it is at hand (assets/inception/" in trained.err
    quiet = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls", "-q")
    assert quiet.err.startswith("batchcls: warning: assets/inception/")
    assert "is not Inception as it was published" in quiet.err
    assert "featurizer  inception (auto), 1,008 features" in trained.out


def test_auto_downloads_it_and_the_model_keeps_it_when_it_is_gone(
    folder, batchcls, graph, archive, monkeypatch
):
    with Server(archive) as server:
        serve(monkeypatch, server, graph)
        trained = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
        assert trained.status == 0, trained.err
        assert len(server.seen) == 1
        assert "featurizer  inception (auto), 1,008 features" in trained.out
        assert "as it was published" not in trained.err
        again = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
        assert again.status == 0, again.err
        assert len(server.seen) == 1
    report = batchcls("predict", "tagged/dark/0.jpg", "-m", "m.batchcls")
    for path in (folder / "models").iterdir():
        path.unlink()
    offline = batchcls("predict", "tagged/dark/0.jpg", "-m", "m.batchcls")
    assert (offline.status, offline.out) == (0, report.out)
    assert Model.load(folder / "m.batchcls").manifest.featurizer.name == "inception"


@pytest.mark.parametrize("behaviour", [silent, status(404), status(500), cut(5000)])
def test_auto_takes_the_embedded_one_where_the_download_fails_and_says_which_and_why(
    folder, batchcls, graph, archive, monkeypatch, behaviour
):
    with Server(archive, behaviour) as server:
        serve(monkeypatch, server, graph)
        trained = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert trained.status == 0, trained.err
    [said] = [line for line in trained.err.splitlines() if line.startswith("Featurizer: ")]
    assert said.startswith(
        "Featurizer: efficientnet-lite0, which is in the package. Inception: it is not at hand, "
        f"and can't be downloaded ({server.url}: "
    )
    assert "featurizer  efficientnet-lite0 (auto)" in trained.out
    assert Model.load(folder / "m.batchcls").manifest.featurizer.name == "efficientnet-lite0"
    assert not (folder / "models" / GRAPH).exists()


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("MODELS_DOWNLOAD", "false", "models -> download is false"),
        ("INCEPTION_ADDRESSES", "", "inception -> addresses is empty"),
        ("INCEPTION_ADDRESSES", "http://127.0.0.1:1/x.zip", "http://127.0.0.1:1/x.zip: "),
    ],
)
def test_inception_that_can_not_be_had_is_an_error_with_three_ways_out(
    folder, batchcls, monkeypatch, setting, value, why
):
    monkeypatch.setenv(f"BATCHCLS_{setting}", value)
    result = batchcls("train", "tagged/tags.tsv", "-f", "inception", "-o", "m.batchcls")
    assert result.status == 1
    assert "batchcls: error: the featurizer inception can't be had: it is not at hand" in result.err
    assert why in result.err
    for way in (
        "`batchcls models fetch inception`",
        f"assets/inception/{GRAPH}",
        "--featurizer efficientnet-lite0",
    ):
        assert way in result.err
    assert not (folder / "m.batchcls").exists()
    assert batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls").status == 0


def test_auto_does_not_hide_a_graph_that_is_broken_or_an_option_that_is_wrong(
    folder, batchcls, graph
):
    place(folder, graph[: len(graph) // 2])
    result = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert result.status != 0
    assert GRAPH in result.err
    assert "Traceback" not in result.err
    (folder / "config.toml").write_text('[featurizer.inception]\nprecission = "int8"')
    result = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert result.status == 2
    assert "Did you mean precision?" in result.err


def test_fetch_downloads_and_models_lists(folder, batchcls, graph, archive, monkeypatch):
    before = batchcls("models")
    assert before.status == 0, before.err
    assert "To have it: batchcls models fetch inception" in before.out
    with Server(archive, cut(len(archive) // 2), whole()) as server:
        serve(monkeypatch, server, graph)
        fetched = batchcls("models", "fetch", "inception")
        assert fetched.status == 0, fetched.err
        assert fetched.out == f"inception is at hand: {folder}/models/{GRAPH}\n"
        ranges = [request.headers.get("Range") for request in server.seen]
        assert ranges[0] is None
        assert ranges[1] is not None
        again = batchcls("models", "fetch", "inception", "-q")
        assert (again.status, again.out, again.err) == (0, "", "")
        assert len(server.seen) == 2
    listed = {
        (one["kind"], one["name"]): one for one in json.loads(batchcls("models", "--json").out)
    }
    inception = listed["featurizer", "inception"]
    assert inception["at_hand"] is True
    assert inception["size"] == len(graph)
    assert inception["licence"] == "Apache-2.0"
    assert inception["origin"] == server.url
    assert inception["place"] == f"{folder}/models/{GRAPH}"
    embedded = listed["featurizer", "efficientnet-lite0"]
    assert embedded["at_hand"] is True
    assert 3e6 < embedded["size"] < 5e6
    assert listed["ready model", "inception-imagenet"]["at_hand"] is True
    assert networks(folder) == ["LICENSE", LABELS, GRAPH]


def test_fetch_that_fails_says_why_and_leaves_nothing_that_looks_whole(
    folder, batchcls, graph, archive, monkeypatch
):
    with Server(archive) as server:
        serve(monkeypatch, server, graph)
        monkeypatch.setenv("BATCHCLS_INCEPTION_ARCHIVE_SHA256", "0" * 64)
        result = batchcls("models", "fetch", "inception")
    assert result.status == 1
    assert server.url in result.err
    assert "SHA-256" in result.err
    assert "Traceback" not in result.err
    assert networks(folder) == []


def climbing(members: dict[str, bytes]) -> bytes:
    """An archive whose graph would be unpacked elsewhere."""
    return zipped({f"../../{name}": data for name, data in members.items()})


def huge(members: dict[str, bytes]) -> bytes:
    """An archive whose graph claims to have 10 GB: its sizes stand in the central directory."""
    data = bytearray(zipped(members))
    entry = data.index(b"PK\x01\x02")
    assert data[entry + 46 :].startswith(GRAPH.encode())
    data[entry + 24 : entry + 28] = (0xFFFFFFFE).to_bytes(4, "little")
    return bytes(data)


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


MEMBERS = {GRAPH: b"graph" * 1000, LABELS: b"dummy\n", "LICENSE": b"Apache\n"}


@pytest.mark.parametrize(
    ("data", "behaviour", "said"),
    [
        (climbing(MEMBERS), whole(), "not to be used: it has no LICENSE"),
        (huge(MEMBERS), whole(), f"not to be used: its {GRAPH} claims 4,294,967,294 bytes"),
        (b"no zip at all", whole(), "not to be used: "),
        (zipped(MEMBERS), status(404), "404"),
        (zipped(MEMBERS), status(503), "503"),
        (zipped(MEMBERS), cut(100, ranges=False), "the connection was cut after 100 of"),
        (zipped(MEMBERS), silent, "silent for 0.5 s"),
    ],
    ids=["climbing", "huge", "no-zip", "404", "503", "cut", "silent"],
)
def test_a_download_that_goes_wrong_ends_with_a_reason_and_no_graph(
    folder, batchcls, monkeypatch, data, behaviour, said
):
    monkeypatch.setenv("BATCHCLS_MODELS_TIMEOUT", "0.5")
    with Server(data, behaviour) as server:
        serve(monkeypatch, server, MEMBERS[GRAPH])
        result = batchcls("models", "fetch", "inception")
    assert result.status == 1
    assert said in result.err
    assert "batchcls: error: " in result.err
    assert "inception" in result.err
    assert "Traceback" not in result.err
    assert networks(folder) == []
    assert not any(path.name == GRAPH for path in folder.rglob("*"))
    info = {one["name"]: one for one in json.loads(batchcls("models", "--json").out)}
    assert info["inception"]["at_hand"] is False


@pytest.mark.parametrize("name", ["efficientnet-lite0", "tensorflow"])
def test_what_needs_no_download_says_so(batchcls, name):
    result = batchcls("models", "fetch", name)
    assert result.status == 2
    assert f"{name}: there is nothing to fetch" in result.err


def test_the_ready_model_labels_as_the_graphs_own_class_scores(
    folder, batchcls, graph, archive, monkeypatch
):
    with Server(archive) as server:
        serve(monkeypatch, server, graph)
        result = batchcls(
            *("predict", "tagged/dark/0.jpg", "tagged/light/1.jpg", "--json", "--top", "3"),
            *("-m", "inception-imagenet"),
        )
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert [one["status"] for one in found] == ["ok", "ok"]
    settings = Settings()
    settings.models.folder = str(folder / "models")
    for name in ("archive_sha256", "graph_sha256"):
        data = archive if name.startswith("archive") else graph
        setattr(settings.inception, name, hashlib.sha256(data).hexdigest())
    model = Model.load("inception-imagenet", Context(settings))
    assert len(model.classes) == 1000
    assert len(set(model.classes)) == 1000
    assert model.classes[:4] == ["class 0", "class 0 (2)", "class 1", "class 1 (2)"]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    expected = run_tensorflow(graph, pixels, "softmax2:0")[:, 1:1001]
    expected = expected / expected.sum(axis=1, keepdims=True)
    ours = model.classifier.predict_proba(model.featurizer.featurize(pixels))
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    assert (ours.argmax(axis=1) == expected.argmax(axis=1)).all()
    report = batchcls("run", "tagged", "-m", "inception-imagenet", "-o", "r.csv")
    assert report.status == 0, report.err


def test_the_ready_model_without_its_classes_says_where_they_are(folder, batchcls, graph):
    place(folder, graph)
    result: Result = batchcls("predict", "tagged/dark/0.jpg", "-m", "inception-imagenet")
    assert result.status == 1
    assert f"there is no {LABELS} beside assets/inception/{GRAPH}" in result.err
    (folder / "assets/inception" / LABELS).write_text("dummy\nfew\n")
    result = batchcls("predict", "tagged/dark/0.jpg", "-m", "inception-imagenet")
    assert result.status == 1
    assert "1001 lines are expected" in result.err
    # Nothing was converted for it, and it does not pass for at hand.
    assert not (folder / "models").exists()
    listed = {one["name"]: one for one in json.loads(batchcls("models", "--json").out)}
    assert listed["inception"]["at_hand"] is True
    assert listed["inception-imagenet"]["at_hand"] is False
    assert "1001 lines are expected" in listed["inception-imagenet"]["note"]


def test_the_ready_model_that_can_not_be_had_names_its_own_way_out(folder, batchcls):
    result = batchcls("predict", "tagged/dark/0.jpg", "-m", "inception-imagenet")
    assert result.status == 1
    assert "the model inception-imagenet can't be had: it is not at hand" in result.err
    assert "--model imagenet" in result.err
    assert "--featurizer" not in result.err


def test_fetch_takes_a_configuration_before_or_after_and_passwords_are_not_told(
    folder, batchcls, graph, archive, monkeypatch
):
    for name in ("ADDRESSES",):
        monkeypatch.delenv(f"BATCHCLS_INCEPTION_{name}")
    with Server(archive) as server:
        address = server.url.replace("http://", "http://user:s3cret@")
        (folder / "c.toml").write_text(
            f"[inception]\naddresses = ['{address}']\n"
            f"archive_sha256 = '{hashlib.sha256(archive).hexdigest()}'\n"
            f"graph_sha256 = '{hashlib.sha256(graph).hexdigest()}'\n"
        )
        listed = batchcls("models", "--config", "c.toml")
        assert server.url in listed.out
        assert "s3cret" not in listed.out + batchcls("models", "--json", "--config", "c.toml").out
        for arguments in (
            ["models", "--config", "c.toml", "fetch", "inception"],
            ["models", "fetch", "inception", "--config", "c.toml"],
        ):
            result = batchcls(*arguments)
            assert result.status == 0, result.err
            assert f"inception is at hand: {folder}/models/{GRAPH}" in result.out
            (folder / "models" / GRAPH).unlink()
        assert len(server.seen) == 2


def test_a_run_with_a_model_of_inception_imports_no_tensorflow(folder, batchcls, graph, converted):
    place(folder, graph)
    convert_before(folder, converted)
    trained = batchcls("train", "tagged/tags.tsv", "-f", "inception", "-o", "m.batchcls")
    assert trained.status == 0, trained.err
    from .test_architecture import loaded_by

    code = """
import sys
sys.argv = ["batchcls", "run", "tagged", "-m", "m.batchcls"]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
"""
    assert loaded_by(code) & {"tensorflow", "sklearn", "scipy", "keras", "requests"} == set()


@pytest.mark.parametrize("output", ["softmax2_pre_activation", "avgpool0/reshape"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_keeps_the_word_of_a_featurizer(folder, graph, converted, output, precision):
    place(folder, graph)
    convert_before(folder, converted)
    context = Context(settings_of(folder), sample=lambda size: smooth_pictures(12, size))
    check_featurizer(Inception(), context=context, output=output, precision=precision)


@pytest.mark.parametrize("runtime", ["litert", "tensorflow"])
def test_a_network_of_the_users_keeps_it_too(tmp_path, runtime):
    (tmp_path / "tiny.pb").write_bytes(tiny_graph())
    settings = Settings()
    settings.models.folder = str(tmp_path / "models")
    check_featurizer(
        TensorFlowNetwork(),
        context=Context(settings),
        path=str(tmp_path / "tiny.pb"),
        output="head",
        mean=127.5,
        scale=1 / 127.5,
        runtime=runtime,
    )
