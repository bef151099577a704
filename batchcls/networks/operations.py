"""Which of TensorFlow's operations a network may have: mathematics, and nothing else.

TensorFlow has operations that read and write files, run Python, open connections or fill the
memory of the machine, and a network is but a list of operations. So there is a list of those that
are allowed, and what is not on it is refused.
"""

from __future__ import annotations

from typing import Any

from batchcls.errors import UsageError
from batchcls.text import shown


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Arithmetic, activations, convolutions, pooling, and moving numbers around, all on dense tensors.
MATHEMATICS = _names(
    """
    Abs Add AddN AddV2 AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd
    BiasAddV1 Ceil ClipByValue Concat ConcatV2 Conv2D Conv2DBackpropInput Cos Cumsum DepthToSpace
    DepthwiseConv2dNative Div DivNoNan Einsum Elu Erf Erfc Exp ExpandDims Expm1 ExtractImagePatches
    Floor FloorDiv FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GatherV2 Identity IdentityN
    Inv L2Loss LRN LeakyRelu Log Log1p LogSoftmax MatMul Max MaxPool MaxPoolV2 Maximum Mean Min
    Minimum MirrorPad Mul MulNoNan Neg Pack Pad PadV2 Pow Prod RealDiv Reciprocal Relu Relu6
    Reshape ResizeBilinear ResizeNearestNeighbor ReverseV2 Rint Round Rsqrt Selu Sigmoid Sign Sin
    Slice Snapshot Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
    SquaredDifference Squeeze StopGradient StridedSlice Sub Sum Tan Tanh Tile Transpose Unpack
    """
)
# What a graph has besides, before it is simplified: sizes worked out, choices, parts given names.
_STRUCTURE = _names(
    """
    All Any ArgMax ArgMin BroadcastArgs BroadcastTo Cast Const Dequantize EnsureShape Equal
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel Fill FloorMod
    Gather Greater GreaterEqual If Less LessEqual LogicalAnd LogicalNot LogicalOr NoOp NotEqual
    OnesLike PartitionedCall Placeholder PlaceholderWithDefault PreventGradient
    QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2 Range Rank
    Select SelectV2 Shape ShapeN Size StatefulPartitionedCall StatelessIf StatelessWhile TopKV2
    While ZerosLike
    """
)
_VARIABLES = _names("ReadVariableOp VarHandleOp Variable VariableV2")


def check_operations(what: str, graph: Any) -> None:  # noqa: ANN401 - a GraphDef
    """Check the operations of a graph and of its functions; UsageError for one that isn't allowed.

    For a network that the user names; one that comes in a model file is checked more strictly.
    """
    functions = {function.signature.name for function in graph.library.function}
    allowed = MATHEMATICS | _STRUCTURE | functions
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            if node.op in _VARIABLES:
                raise UsageError(
                    f"{what}: has variables ({shown(node.name)}): the graph is not frozen",
                    hint="Freeze it, or give the SavedModel that it belongs to.",
                )
            if node.op not in allowed:
                raise UsageError(
                    f"{what}: has an operation that is not allowed: {shown(node.op)} "
                    f"({shown(node.name)})",
                    hint="Only networks of pure mathematics can be used.",
                )
