"""The check of a stranger's network: sound ones pass; what would end the process is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchcls.networks.soundness import check_sound

from .conftest import SOAK
from .warm import Warm

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


def add_is(code: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        [one] = [one for one in model.operatorCodes if one.builtinCode == ADD]
        one.builtinCode = code

    return change


def matrix_product_of_one(model: Any) -> None:
    add_is(126)(model)  # BATCH_MATMUL
    one = operator_of(model, 126)
    one.inputs = np.array(one.inputs)[:1]


def operator_of(model: Any, code: int) -> Any:
    return operator(model, code, 0)


def no_output(model: Any) -> None:
    operator(model, ADD).outputs = np.array([], np.int32)


UNSOUND = [
    add_is(49),  # SPLIT: the first operand is an axis, read at once
    add_is(102),  # SPLIT_V
    add_is(119),  # WHILE
    add_is(129),  # CALL_ONCE
    matrix_product_of_one,
    no_output,
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


FUZZ_TABLES = """
import random, sys
from importlib.resources import files
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from batchcls.networks.litert import LiteRTFeaturizer
from batchcls.networks.operators import OPERATORS
from batchcls.networks.tables import Tables

network = files("batchcls.builtin").joinpath("data/efficientnet-lite0.tflite").read_bytes()
codes = [getattr(schema.BuiltinOperator, name) for name in sorted(OPERATORS)]

def change(tables, chance):
    model, graph = tables._model, tables._graph
    operator = chance.choice(tables.operators)
    near = graph.tensors[chance.choice([*operator.inputs, *operator.outputs])]
    what = chance.randrange(11)
    any_tensor = chance.randrange(len(tables.names))
    if what == 0:
        operator.inputs = np.array(operator.inputs)
        operator.inputs[chance.randrange(len(operator.inputs))] = any_tensor
    elif what == 1:
        operator.outputs = np.array([any_tensor], np.int32)
    elif what == 2:
        chance.choice(model.operatorCodes).builtinCode = chance.choice(codes)
    elif what == 3 and near.shape is not None and len(near.shape):
        near.shape = np.array(near.shape)
        near.shape[chance.randrange(len(near.shape))] = chance.choice([0, 1, 2, 7, -1, 1000, 2**20])
    elif what == 4:
        near.type = chance.choice([0, 1, 2, 3, 4, 6, 7, 9, 10, 17])
    elif what == 5:
        near.buffer = chance.randrange(len(model.buffers))
    elif what == 6 and near.quantization is not None and near.quantization.scale is not None:
        factor = np.float32(chance.choice([1e-6, 1e-3, 0.1, 2, 10, 1e3, 1e6]))
        near.quantization.scale = np.array(near.quantization.scale) * factor
    elif what == 7:
        operator.inputs = np.array(operator.inputs)[: chance.randrange(len(operator.inputs) + 1)]
    elif what == 8:
        tables.operators.remove(operator)
    elif what == 9:
        chance.shuffle(tables.operators) if chance.random() < 0.3 else tables.operators.reverse()
    elif operator.builtinOptions is not None:
        options = vars(operator.builtinOptions)
        whole = [name for name, value in options.items() if type(value) is int]
        if whole:
            options[chance.choice(whole)] = chance.choice([0, 1, 2, 5, 100, 127])

outcomes = {"sound": 0, "refused": 0}
seeds = [int(argument) for argument in sys.argv[1:]]
for seed in seeds if len(seeds) > 1 else range(seeds[0]):
    chance = random.Random(seed)
    tables = Tables(network)
    for _ in range(chance.choice([1, 1, 2, 3])):
        change(tables, chance)
        if not all(len(one.inputs) and len(one.outputs) for one in tables.operators):
            break
    try:
        changed = tables.pack(tables.outputs[0])
    except Exception:  # a value that does not fit its field
        continue
    try:
        LiteRTFeaturizer("changed", changed)
        outcomes["sound"] += 1
    except ValueError:
        outcomes["refused"] += 1
print(outcomes["sound"], outcomes["refused"])
"""


@pytest.fixture
def outcomes(warm: Warm, tmp_path: Path) -> Callable[..., list[int]]:
    """Run code in another process, which must not end early; give what it counted."""

    def run(code: str, *numbers: int) -> list[int]:
        arguments = ["-c", code, *map(str, numbers)]
        done = warm.run(arguments, cwd=tmp_path, env=os.environ, timeout=7200)
        assert done.returncode == 0, done.stderr[-2000:]
        return [int(count) for count in done.stdout.split()]

    return run


def test_a_constant_unpacked_to_another_shape_is_refused(outcomes):
    """These four ended the process: a weight where the features are made float."""
    assert outcomes(FUZZ_TABLES, 367, 1166, 2997, 3067) == [0, 4]


@pytest.mark.fuzz
def test_a_network_with_its_tables_changed_never_ends_the_process(outcomes):
    sound, refused = outcomes(FUZZ_TABLES, 40 * SOAK)
    assert sound > 0
    assert refused > 10


@pytest.mark.fuzz
def test_a_network_with_bytes_of_its_tables_changed_never_ends_the_process(outcomes):
    sound, refused = outcomes(FUZZ, 120 * SOAK)
    assert sound > 0
    assert refused > 20
