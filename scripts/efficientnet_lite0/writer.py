"""Write a LiteRT (TensorFlow Lite) model operator by operator.

The flatbuffer schema is `tensorflow/compiler/mlir/lite/schema/schema.fbs` in TensorFlow's source;
its Python classes come with LiteRT. Writing the file directly, and not through TensorFlow's
converter, keeps every scale, range and operator under control, and the same weights always give the
same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[Any]
# The schema's classes are generated and carry no types.
Table = Any

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# The batch dimension is written as 1 and declared unknown.
ANY_BATCH = -1

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
}
# The versions of the operators that first took the types in use here. A runtime refuses versions
# newer than it knows, so the lowest is the most portable.
_VERSIONS = {
    "ADD": 2,  # int8
    "CONV_2D": 3,  # int8, scales per channel
    "DEPTHWISE_CONV_2D": 3,  # the same
    "DEQUANTIZE": 2,  # from int8
    "MEAN": 1,  # float32
    "QUANTIZE": 1,  # to int8
}
# "force_align: 16" in the schema; kernels may read weights straight out of the mapped file.
_ALIGNMENT = 16


class Scale(NamedTuple):
    """Affine quantisation of a whole tensor: real = scale * (stored - zero_point)."""

    scale: float
    zero_point: int


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that aligns arrays as the schema asks, which the generated code does not do."""

    def CreateNumpyVector(self, x: Array) -> int:  # noqa: N802 (the name is flatbuffers')
        self.Prep(_ALIGNMENT, x.nbytes)
        offset: int = super().CreateNumpyVector(x)
        return offset


class Writer:
    """Collects tensors and operators, then packs them. Tensors are known by their number."""

    def __init__(self) -> None:
        self._tensors: list[Table] = []
        self._operators: list[Table] = []
        # Buffer 0 is empty by convention, for every tensor without data of its own.
        self._buffers = [schema.BufferT()]
        self._codes: list[str] = []

    def _add(self, name: str, dtype: npt.DTypeLike, shape: Sequence[int]) -> Table:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name, _TYPES[np.dtype(dtype)], list(shape)
        tensor.buffer, tensor.hasRank = 0, True
        self._tensors.append(tensor)
        return tensor

    def activation(
        self, name: str, dtype: npt.DTypeLike, shape: Sequence[int], scale: Scale | None = None
    ) -> int:
        """Add a tensor that is computed, or an input; ``shape`` lacks the batch dimension."""
        tensor = self._add(name, dtype, [1, *shape])
        tensor.shapeSignature = [ANY_BATCH, *shape]
        if scale is not None:
            tensor.quantization = _quantization([scale.scale], [scale.zero_point])
        return len(self._tensors) - 1

    def constant(self, name: str, data: Array, scales: Array | None = None, axis: int = 0) -> int:
        """Add a tensor that the file carries; ``scales``, if any, lie along ``axis``."""
        tensor = self._add(name, data.dtype, data.shape)
        tensor.buffer = len(self._buffers)
        buffer = schema.BufferT()
        little_endian = data.astype(data.dtype.newbyteorder("<"))
        buffer.data = np.frombuffer(little_endian.tobytes(), np.uint8)
        self._buffers.append(buffer)
        if scales is not None:
            tensor.quantization = _quantization(scales.tolist(), [0] * len(scales))
            tensor.quantization.quantizedDimension = axis
        return len(self._tensors) - 1

    def operator(self, code: str, inputs: Sequence[int], output: int, options: Table) -> None:
        """Append an operator; ``code`` is a name in the schema's ``BuiltinOperator``."""
        if code not in self._codes:
            self._codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.index(code)
        operator.inputs, operator.outputs = list(inputs), [output]
        kind = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        operator.builtinOptions = options
        self._operators.append(operator)

    def finish(self, inputs: Sequence[int], outputs: Sequence[int], description: str) -> bytes:
        """Pack everything into the bytes of a ``.tflite`` file."""
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors, graph.operators = self._tensors, self._operators
        graph.inputs, graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, description
        model.subgraphs, model.buffers = [graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        builder = _Builder(1 << 20)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


def _quantization(scales: list[float], zero_points: list[int]) -> Table:
    parameters = schema.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = scales, zero_points
    return parameters


def _operator_code(code: str) -> Table:
    result = schema.OperatorCodeT()
    # Old readers know only the second field; all codes in use here fit into it.
    result.builtinCode = result.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, code)
    result.version = _VERSIONS[code]
    return result
