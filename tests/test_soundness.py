"""The check of a stranger's network: sound ones pass; what would end the process is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from batchcls.networks.soundness import check_sound

from .conftest import SOAK

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
flatbuffers = pytest.importorskip("flatbuffers")
interpreter = pytest.importorskip("ai_edge_litert.interpreter")

NETWORK = files("batchcls.builtin").joinpath("data/efficientnet-lite0.tflite").read_bytes()
CONV, ADD = 3, 0  # the codes of operators


def changed(change: Callable[[Any], None]) -> bytes:
    """Give the embedded network with something changed in its tables."""
    model = schema.ModelT.InitFromPackedBuf(NETWORK, 0)
    change(model)
    builder = flatbuffers.Builder(len(NETWORK) + 2**20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operator(model: Any, code: int, number: int = 1) -> Any:
    """Give the ``number``-th operator of a kind."""
    graph = model.subgraphs[0]
    [index] = [i for i, one in enumerate(model.operatorCodes) if one.builtinCode == code]
    found = [one for one in graph.operators if one.opcodeIndex == index][number]
    found.inputs = np.array(found.inputs)  # a copy that can be written to
    return found


def tensor(model: Any, index: int) -> Any:
    return model.subgraphs[0].tensors[index]


def no_kernel(model: Any) -> None:
    operator(model, CONV).inputs[1] = -1


def no_operand(model: Any) -> None:
    operator(model, ADD).inputs[1] = -1


def two_inputs(model: Any) -> None:
    one = operator(model, CONV)
    one.inputs = one.inputs[:2]


def no_such_tensor(model: Any) -> None:
    operator(model, CONV).inputs[1] = 2**30


def no_scale(model: Any) -> None:
    quantization = tensor(model, operator(model, ADD).outputs[0]).quantization
    quantization.scale = quantization.zeroPoint = None


def scale_of(value: float) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        one = tensor(model, operator(model, ADD).outputs[0])
        one.quantization.scale = np.array([value], np.float32)

    return change


def zero_point_of(value: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:  # of the first, which is quantised from numbers
        one = tensor(model, operator(model, CONV, 0).inputs[0])
        one.quantization.zeroPoint = np.array([value], np.int64)

    return change


def kernel_scale(model: Any) -> None:
    one = tensor(model, operator(model, CONV).inputs[1])
    one.quantization.scale = np.array(one.quantization.scale)
    one.quantization.scale[0] = 1e12


def written_twice(model: Any) -> None:
    operator(model, CONV, 5).outputs = operator(model, CONV, 2).outputs


def read_before_it_is_written(model: Any) -> None:
    first, last = operator(model, ADD, 0), operator(model, ADD, -1)
    first.inputs[0] = last.outputs[0]


def shapes_that_do_not_fit(model: Any) -> None:
    operator(model, ADD).inputs[1] = operator(model, CONV).inputs[1]


def writes_its_input(model: Any) -> None:
    operator(model, CONV).outputs = model.subgraphs[0].inputs


def huge_input(model: Any) -> None:
    subgraph = model.subgraphs[0]
    subgraph.tensors[subgraph.inputs[0]].shape = np.array([1, 60_000, 60_000, 3], np.int32)


UNSOUND = [
    huge_input,
    no_kernel,
    no_operand,
    two_inputs,
    no_scale,
    scale_of(0.0),
    scale_of(-1.0),
    scale_of(float("nan")),
    scale_of(float("inf")),
    scale_of(1e-40),
    scale_of(1e30),
    zero_point_of(-129),
    zero_point_of(128),
    zero_point_of(-2162689),
    kernel_scale,
    written_twice,
    read_before_it_is_written,
    shapes_that_do_not_fit,
    writes_its_input,
]


def test_the_network_that_ships_is_sound():
    for content in (NETWORK, changed(lambda model: None)):
        check_sound(interpreter.Interpreter(model_content=content, num_threads=1))


@pytest.mark.parametrize("value", [-128, 127])
def test_a_zero_point_at_either_end_of_its_type_is_sound(value):
    one = interpreter.Interpreter(model_content=changed(zero_point_of(value)), num_threads=1)
    check_sound(one)
    one.allocate_tensors()


@pytest.mark.parametrize("change", UNSOUND, ids=lambda change: change.__qualname__)
def test_a_network_that_makes_no_sense_is_refused_before_it_is_prepared(change):
    content = changed(change)
    with pytest.raises(ValueError, match=r".+") as caught:  # by LiteRT itself, or by the check
        check_sound(interpreter.Interpreter(model_content=content, num_threads=1))
    assert len(str(caught.value)) < 300


def test_an_operand_that_does_not_exist_is_refused_by_litert():
    one = interpreter.Interpreter(model_content=changed(no_such_tensor), num_threads=1)
    check_sound(one)
    with pytest.raises(RuntimeError):
        one.allocate_tensors()


FUZZ = """
import random, sys
from importlib.resources import files
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from batchcls.networks.soundness import check_sound

network = files("batchcls.builtin").joinpath("data/efficientnet-lite0.tflite").read_bytes()
# The tables stand behind the weights, and in front of them.
tables = [*range(64), *range(len(network) * 87 // 100, len(network))]
outcomes = {"sound": 0, "refused": 0}
for seed in range(int(sys.argv[1])):
    chance = random.Random(seed)
    changed = bytearray(network)
    for _ in range(chance.choice([1, 2, 4])):
        changed[chance.choice(tables)] = chance.randrange(256)
    try:
        interpreter = Interpreter(model_content=bytes(changed), num_threads=1)
        check_sound(interpreter)
        interpreter.allocate_tensors()
        outcomes["sound"] += 1
    except (ValueError, RuntimeError):
        outcomes["refused"] += 1
print(outcomes["sound"], outcomes["refused"])
"""


@pytest.mark.fuzz
def test_a_network_with_bytes_of_its_tables_changed_never_ends_the_process():
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(250 * SOAK)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sound, refused = map(int, done.stdout.split())
    assert sound > 0
    assert refused > 20
