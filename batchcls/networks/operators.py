"""Which of LiteRT's operators a network may have, with how many operands.

LiteRT trusts a network to give an operator all that it needs, and reads beyond the end of the list
where it doesn't. Operators that no featurizer needs are not worth the risk, so there is a list.
Their names and operands are those of ``tflite/core/kernels/register.cc`` and ``tflite/kernels``.
"""

from __future__ import annotations

from typing import NamedTuple

_MANY = 10_000


class Operands(NamedTuple):
    """How many inputs and outputs an operator takes, and which inputs must be constants."""

    least: int
    most: int
    outputs: int = 1
    constants: tuple[int, ...] = ()


def _alike(names: str, operands: Operands) -> dict[str, Operands]:
    return dict.fromkeys(names.split(), operands)


OPERATORS = {
    **_alike(
        """
        ABS AVERAGE_POOL_2D CAST CEIL COS DEPTH_TO_SPACE DEQUANTIZE ELU EXP FLOOR GELU HARD_SWISH
        L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_NOT LOGISTIC
        LOG_SOFTMAX MAX_POOL_2D NEG QUANTIZE RANK RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT
        SHAPE SIGN SIN SOFTMAX SPACE_TO_DEPTH SQRT SQUARE SQUEEZE TANH ZEROS_LIKE
        """,
        Operands(1, 1),
    ),
    **_alike(
        """
        ADD ARG_MAX ARG_MIN BATCH_MATMUL BROADCAST_TO CUMSUM DIV EQUAL EXPAND_DIMS FLOOR_DIV
        FLOOR_MOD GATHER GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MAXIMUM MEAN
        MINIMUM MIRROR_PAD MUL NOT_EQUAL PAD POW PRELU REDUCE_MAX REDUCE_MIN REDUCE_PROD
        RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SQUARED_DIFFERENCE SUB SUM TILE TRANSPOSE
        """,
        Operands(2, 2),
    ),
    **_alike("CONV_2D DEPTHWISE_CONV_2D", Operands(3, 3)),
    **_alike("BATCH_TO_SPACE_ND PADV2 SELECT SELECT_V2 SLICE SPACE_TO_BATCH_ND", Operands(3, 3)),
    **_alike("CONCATENATION PACK ADD_N", Operands(1, _MANY)),
    "FULLY_CONNECTED": Operands(2, 3),
    "RESHAPE": Operands(1, 2),
    "SPLIT": Operands(2, 2, _MANY, (0,)),
    "SPLIT_V": Operands(3, 3, _MANY, (1, 2)),
    "STRIDED_SLICE": Operands(4, 4),
    "TRANSPOSE_CONV": Operands(3, 4),
    "UNPACK": Operands(1, 1, _MANY),
}
