"""Make a ``.tflite`` take uint8 RGB pixels ``[1, S, S, 3]`` and give float32 features ``[1, D]``.

The network gets a step in front that does the preprocessing, and one behind that averages a 4-D
output over its places and makes numbers of what is quantised. So a featurizer needs to know nothing
but the bytes, and its digest covers all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.networks.preprocessing import Preprocessing
from batchcls.networks.tables import Tables, UnfitNetworkError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INT8_BELOW_UINT8 = 128


def to_contract(
    tables: Tables, preprocessing: Preprocessing | None, output: int | None = None
) -> bytes:
    """Give a network that takes pixels and gives features, ``output`` of the network or its only.

    Its input must be float32, uint8 or int8 ``[1, S, S, 3]``, its output ``[1, D]`` or
    ``[1, H, W, C]``, float32 or quantised. Without ``preprocessing`` a float input takes the
    levels 0 to 255, and a quantised one takes them as they are (int8: less 128), whatever its
    quantisation makes of them. Raises UnfitNetworkError.
    """
    if output is None:
        [output] = tables.outputs
    _cut(tables, output)
    _take_pixels(tables, preprocessing)
    return tables.pack(_give_features(tables, output))


def _cut(tables: Tables, output: int) -> None:
    """Drop the operators that the output does not need."""
    wanted, kept = {output}, []
    for operator in reversed(tables.operators):
        if not wanted.isdisjoint(map(int, operator.outputs)):
            wanted |= {int(index) for index in operator.inputs}
            kept.append(operator)
    if tables.input not in wanted:
        raise UnfitNetworkError(f"its output {tables.names[output]} does not depend on its input")
    tables.operators = kept[::-1]


def _take_pixels(tables: Tables, preprocessing: Preprocessing | None) -> None:
    target, shape, kind = tables.input, tables.shape(tables.input), tables.kind(tables.input)
    if len(shape) != 4 or shape[0] != 1 or shape[1] != shape[2] or shape[3] != 3:
        raise UnfitNetworkError(f"its input is {shape}, not [1, S, S, 3]")
    if kind not in {np.dtype(np.float32), np.dtype(np.uint8), np.dtype(np.int8)}:
        raise UnfitNetworkError("its input is neither float32 nor uint8 nor int8")
    quantisation = tables.quantisation(target)
    if kind != np.float32:
        shift = _INT8_BELOW_UINT8 if kind == np.int8 else 0
        scale, zero = quantisation or (1.0, -shift)
        if preprocessing == Preprocessing("rgb", (float(zero + shift),) * 3, (scale,) * 3):
            preprocessing = None  # just what the quantisation makes of the levels
        if preprocessing is None:
            if kind == np.int8:
                here = tables.add_tensor("pixels", np.uint8, shape, (scale, zero + shift))
                tables.operators.insert(0, tables.operator("QUANTIZE", [here], target))
                tables.input = here
            return
        if quantisation is None:
            raise UnfitNetworkError("its input is whole numbers, so it takes levels as they are")
    steps = _steps(preprocessing or Preprocessing())
    if kind != np.float32:
        steps.append(("QUANTIZE", None))
    front, here = [], tables.add_tensor("pixels", np.uint8, shape)
    tables.input = here
    for number, (name, operand) in enumerate(steps, 1):
        inputs = [here]
        if operand is not None:
            inputs.append(tables.add_constant(f"pixels/{name.lower()}_by", operand))
        if number == len(steps):
            here = target
        else:
            here = tables.add_tensor(f"pixels/{name.lower()}", np.float32, shape)
        front.append(tables.operator(name, inputs, here))
    tables.operators[:0] = front


def _steps(preprocessing: Preprocessing) -> list[tuple[str, NDArray[Any] | None]]:
    """List the operators and their second operands, leaving out those that would do nothing."""
    steps: list[tuple[str, NDArray[Any] | None]] = [("CAST", None)]
    if preprocessing.order == "bgr":
        steps.append(("REVERSE_V2", np.array([3], np.int32)))
    if preprocessing.mean != (0.0, 0.0, 0.0):
        steps.append(("SUB", np.array(preprocessing.mean, np.float32)))
    if preprocessing.scale != (1.0, 1.0, 1.0):
        steps.append(("MUL", np.array(preprocessing.scale, np.float32)))
    return steps


def _give_features(tables: Tables, output: int) -> int:
    shape = tables.shape(output)
    if len(shape) not in {2, 4} or shape[0] != 1:
        raise UnfitNetworkError(f"its output is {shape}, not [1, D] or [1, H, W, C]")
    if tables.kind(output) != np.float32:
        if tables.quantisation(output) is None:
            raise UnfitNetworkError("its output is neither float32 nor quantised")
        real = tables.add_tensor("features/real", np.float32, shape)
        tables.operators.append(tables.operator("DEQUANTIZE", [output], real))
        output = real
    if len(shape) == 4:
        axes = tables.add_constant("features/axes", np.array([1, 2], np.int32))
        pooled = tables.add_tensor("features/pooled", np.float32, [1, shape[3]])
        tables.operators.append(tables.operator("MEAN", [output, axes], pooled))
        output = pooled
    return output
