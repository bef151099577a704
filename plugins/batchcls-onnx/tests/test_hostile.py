"""Networks out of a stranger's model file: nothing is read from the disk, nothing runs away."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from batchcls_onnx import featurizer, session
from batchcls_onnx.checks import check_network
from batchcls_onnx.protobuf import delimited
from batchcls_onnx.provider import OnnxProvider
from onnx import TensorProto, helper, numpy_helper
from small_networks import SIZE, features_of, in_another_file, network

INPUT = {
    **{"output": "", "size": SIZE, "layout": "auto", "order": "rgb"},
    **{"mean": [0.0], "scale": [1.0]},
}
POOL = helper.make_node("ReduceMean", ["image"], ["features"], axes=[2, 3], keepdims=0)


def restored(proto, given=None):
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    text = json.dumps(INPUT if given is None else given).encode()
    return OnnxProvider().restore({"network.onnx": data, "input.json": text})


def external(tensor_of):
    """Give networks in each of which one tensor is in a file."""
    for location in ("weights.bin", "../weights.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"):
        proto, tensor = tensor_of()
        in_another_file(tensor, location)
        yield proto


def initializer():
    proto = network()
    return proto, proto.graph.initializer[0]


def constant():
    value = numpy_helper.from_array(np.ones(3, np.float32))
    node = helper.make_node("Constant", [], ["c"], value=value)
    proto = features_of(node, POOL)
    return proto, proto.graph.node[0].attribute[0].t


def branch():
    value = numpy_helper.from_array(np.ones((1, 3), np.float32))
    graphs = [
        helper.make_graph(
            [helper.make_node("Constant", [], [name], value=value)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name in ("then", "else")
    ]
    node = helper.make_node(
        "If", ["which"], ["features"], then_branch=graphs[0], else_branch=graphs[1]
    )
    proto = features_of(node, arrays={"which": np.array(True)})
    [tensor] = [
        one.g.node[0].attribute[0].t
        for one in proto.graph.node[0].attribute
        if one.name == "then_branch"
    ]
    return proto, tensor


def sparse():
    proto = network()
    tensor = proto.graph.sparse_initializer.add()
    tensor.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "s"))
    tensor.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64)))
    tensor.dims.append(3)
    return proto, tensor.values


@pytest.mark.parametrize("tensor_of", [initializer, constant, branch, sparse])
def test_no_file_that_a_network_names_is_read(tmp_path, monkeypatch, tensor_of):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(1000))

    def loaded(network):
        raise AssertionError("ONNX Runtime got to see it")

    monkeypatch.setattr(featurizer, "make_session", loaded)
    for proto in external(tensor_of):
        with pytest.raises(ValueError, match=r"in another file.*onnx\.save"):
            restored(proto)


def test_what_was_saved_with_a_file_for_its_weights_can_be_put_into_one(tmp_path):
    old = tmp_path / "old.onnx"
    onnx.save(network(), old, save_as_external_data=True, location="w.bin", size_threshold=0)
    with pytest.raises(ValueError, match="in another file"):
        restored(old.read_bytes())
    onnx.save(onnx.load(old), tmp_path / "new.onnx")  # as the message says
    assert restored((tmp_path / "new.onnx").read_bytes()).dimension == 5


def test_a_tag_that_parsers_read_in_two_ways_hides_nothing():
    proto, tensor = initializer()
    in_another_file(tensor, "weights.bin")
    data = proto.SerializeToString()
    short, long = b"\x70\x01", b"\xf0\x80\x80\x80\x10\x01"  # data_location: EXTERNAL
    assert short in data
    with pytest.raises(ValueError):
        check_network(delimited(7, delimited(1, b"\x22\x04Relu") + delimited(5, long)))


def nested(depth):
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["y"])], "g", [], [])
    for _ in range(depth):
        graph = helper.make_graph(
            [helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)],
            "g",
            [],
            [],
        )
    return helper.make_model(graph)


FUNCTION = helper.make_function(
    "mine",
    "Twice",
    ["x"],
    ["y"],
    [helper.make_node("Add", ["x", "x"], ["y"])],
    [helper.make_opsetid("", 17)],
)
REFUSED = {
    "a foreign operator": (
        features_of(helper.make_node("Gelu", ["image"], ["features"], domain="com.microsoft")),
        "operators of com.microsoft",
    ),
    "a long domain": (
        features_of(helper.make_node("Relu", ["image"], ["features"], domain="x" * 5000)),
        "operators of xxx",
    ),
    "a function": (features_of(POOL, functions=[FUNCTION]), "holds a function"),
    "a loop": (features_of(helper.make_node("Loop", ["", ""], ["features"])), "may run for ever"),
    "chance": (
        features_of(
            POOL, helper.make_node("RandomNormalLike", ["image"], ["noise"], mean=0.0, scale=1.0)
        ),
        "would be random",
    ),
    "a graph too deep": (nested(7), "graphs in graphs"),
    "no operators": (features_of(), "no operators"),
    "nothing": (b"", "no operators"),
    "text": (b"<html>Not found</html>", "not an ONNX file"),
    "ORT's own format": (b"\x20\0\0\0ORTM" + bytes(100), "not an ONNX file"),
    "no such operator": (
        features_of(helper.make_node("NoSuch", ["image"], ["features"])),
        "not a network that ONNX Runtime can run",
    ),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_networks_that_are_refused(refused, capfd):
    proto, said = refused
    with pytest.raises(ValueError, match=said):
        restored(proto)
    assert capfd.readouterr() == ("", "")


def test_a_network_made_to_exhaust_the_memory_is_refused(capfd):
    edge = int((session.most_memory() / 2) ** 0.5)  # of 4 bytes each: twice as much
    proto = features_of(
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["most"], keepdims=0),
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["means", "most"], ["features"]),
        arrays={"shape": np.array([edge, edge])},
    )
    with pytest.raises(ValueError, match="can't be run"):
        restored(proto)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_a_network_cut_short(cut, capfd):
    data = network().SerializeToString()
    with pytest.raises(ValueError):
        restored(data[:-cut] if cut < len(data) else b"")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "change",
    [
        *({"size": 0}, {"size": 5000}, {"size": "16"}, {"size": None, "layout": "chwn"}),
        *({"mean": []}, {"mean": [1.0, 2.0]}, {"scale": [0.0] * 4}, {"scale": None}),
        *({"order": "rbg"}, {"output": "x" * 2000}, {"output": 1}, {"run": "this"}),
    ],
    ids=str,
)
def test_a_broken_description_of_the_input(change):
    restored(network())
    with pytest.raises(ValueError):
        restored(network(), {**INPUT, **change})


def test_files_that_are_not_due():
    files = dict(restored(network()).to_files())
    for wrong in ({}, {**files, "more": b""}, {"network.onnx": files["network.onnx"]}):
        with pytest.raises(ValueError, match="expected the files"):
            OnnxProvider().restore(wrong)
    for text in (b"", b"[]", b"{}", b"\xff", b"[" * 100000):
        with pytest.raises(ValueError, match=r"input\.json"):
            OnnxProvider().restore({**files, "input.json": text})
