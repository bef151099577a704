"""The tables of a ``.tflite``: tensors, and the operators between them, to be read and added to.

The layout is ``tensorflow/compiler/mlir/lite/schema/schema.fbs`` in TensorFlow's source; Python
classes for it come with LiteRT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import flatbuffers  # type: ignore[import-untyped,unused-ignore]
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The schema's classes are generated and carry no types.
Table = Any

_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # "force_align: 16" in the schema: kernels read weights where they lie
# The versions of operators that first took the types in use here; a runtime refuses newer ones.
_VERSIONS = {"DEQUANTIZE": 2}


class UnfitNetworkError(ValueError):
    """A network that can't be made to take pixels and give features: says why."""


class Tables:
    """The tables of a network with one input and at least one output, and its main graph.

    Tensors are known by their number. Raises UnfitNetworkError for bytes that are no such network.
    """

    def __init__(self, network: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema = schema
        self._codes: dict[np.dtype[Any], int] = {
            np.dtype(np.float32): schema.TensorType.FLOAT32,
            np.dtype(np.int32): schema.TensorType.INT32,
            np.dtype(np.uint8): schema.TensorType.UINT8,
            np.dtype(np.int8): schema.TensorType.INT8,
        }
        try:
            self._model = schema.ModelT.InitFromPackedBuf(network, 0)
            self._graph = self._model.subgraphs[0]
            self._tensors: list[Table] = self._graph.tensors
            inputs = [int(index) for index in self._graph.inputs]
            self.outputs = [int(index) for index in self._graph.outputs]
            self.operators: list[Table] = list(self._graph.operators)
            self.names = [one.name.decode("utf-8", "replace") for one in self._tensors]
        except Exception as error:  # the generated code trusts the bytes
            raise UnfitNetworkError("not a .tflite") from error
        if len(inputs) != 1 or not self.outputs:
            raise UnfitNetworkError(f"has {len(inputs)} inputs and {len(self.outputs)} outputs")
        self.input = inputs[0]

    def shape(self, tensor: int) -> list[int]:
        """Give the shape of a tensor."""
        shape = self._tensors[tensor].shape
        return [] if shape is None else [int(edge) for edge in shape]

    def signature(self, tensor: int) -> list[int]:
        """Give the shape of a tensor, -1 for what may vary."""
        signature = self._tensors[tensor].shapeSignature
        return self.shape(tensor) if signature is None else [int(edge) for edge in signature]

    def set_shapes(self, shapes: Mapping[int, Sequence[int]]) -> None:
        """Write down the shapes that tensors have now that the input's is settled."""
        for tensor, shape in shapes.items():
            self._tensors[tensor].shape = np.array(shape, np.int32)
            self._tensors[tensor].shapeSignature = None

    def kind(self, tensor: int) -> np.dtype[Any] | None:
        """Give float32, int32, uint8 or int8; None for any other type."""
        code = self._tensors[tensor].type
        kinds = [kind for kind, known in self._codes.items() if known == code]
        return kinds[0] if kinds else None

    def quantisation(self, tensor: int) -> tuple[float, int] | None:
        """Give scale and zero point (real = scale * (stored - zero point)); None without."""
        given = self._tensors[tensor].quantization
        if given is None or given.scale is None or len(given.scale) != 1:
            return None
        zeros = given.zeroPoint
        return float(given.scale[0]), 0 if zeros is None or not len(zeros) else int(zeros[0])

    def add_tensor(
        self,
        name: str,
        kind: type[np.generic],
        shape: Sequence[int],
        quantisation: tuple[float, int] | None = None,
    ) -> int:
        """Add a tensor for an operator to write, or for the input."""
        tensor = self._schema.TensorT()
        tensor.name, tensor.type = name, self._codes[np.dtype(kind)]
        tensor.shape, tensor.hasRank, tensor.buffer = np.array(shape, np.int32), True, 0
        if quantisation is not None:
            tensor.quantization = self._schema.QuantizationParametersT()
            tensor.quantization.scale = np.array([quantisation[0]], np.float32)
            tensor.quantization.zeroPoint = np.array([quantisation[1]], np.int64)
        self._tensors.append(tensor)
        self.names.append(name)
        return len(self._tensors) - 1

    def add_constant(self, name: str, value: NDArray[Any]) -> int:
        """Add a tensor with its value."""
        tensor = self.add_tensor(name, value.dtype.type, value.shape)
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(value.tobytes(), np.uint8)
        self._tensors[tensor].buffer = len(self._model.buffers)
        self._model.buffers.append(buffer)
        return tensor

    def operator(self, name: str, inputs: Sequence[int], output: int) -> Table:
        """Make an operator without options (but for the mean: it keeps no axes of length 1)."""
        schema = self._schema
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # all are below it
        code.version = _VERSIONS.get(name, 1)
        self._model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        if name in {"SUB", "MUL"}:
            options = f"{name.capitalize()}Options"
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")()
        elif name == "MEAN":
            operator.builtinOptionsType = schema.BuiltinOptions.ReducerOptions
            operator.builtinOptions = schema.ReducerOptionsT()
        return operator

    def pack(self, output: int) -> bytes:
        """Give the network as it is now, with one output."""
        self._graph.operators = self.operators
        self._graph.inputs = np.array([self.input], np.int32)
        self._graph.outputs = np.array([output], np.int32)
        self._model.signatureDefs = None  # they name inputs and outputs that may have changed
        builder = _Builder(2**20)
        builder.Finish(self._model.Pack(builder), file_identifier=_FILE_IDENTIFIER)
        return bytes(builder.Output())


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that aligns arrays as the schema asks, which the generated code does not do."""

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - the name is flatbuffers'
        self.Prep(_ALIGNMENT, x.nbytes)
        offset: int = super().CreateNumpyVector(x)
        return offset
