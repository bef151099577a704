"""ONNX Runtime, set up for featurizing: one core, silent, and bounded in memory."""

from __future__ import annotations

import difflib
import os
from functools import cache
from typing import Any

from batchcls_onnx.checks import Tensors, brief
from batchcls_onnx.protobuf import delimited

# What the tensors of all networks at work may take together, for each core; what wants more is made
# to exhaust the memory. (A ResNet-50's are of 3 MiB each, and it needs a few at once.)
_PER_CORE = 2**30
_AT_LEAST = 2**32
# What is computed of constants when a network is loaded is outside of it. Since this version
# ONNX Runtime has one of its own, in bytes for each result; before, nothing is computed then.
_FOLDED = 2**26
_FOLDED_SINCE = (1, 27)
# The log's level for what ends the process: errors are raised, and need not be said twice.
_NOTHING = 4


def make_session(network: bytes) -> Any:  # noqa: ANN401 - ONNX Runtime is untyped
    """Make an InferenceSession, which any number of threads may use at once.

    Raises ValueError for what ONNX Runtime does not take.
    """
    import onnxruntime

    _set_up()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _NOTHING
    for name, value in (
        ("session.load_model_format", "ONNX"),  # or bytes decide, and other checks would be due
        ("session.use_env_allocators", "1"),
        ("optimization.constant_folding_max_output_size_in_bytes", str(_FOLDED)),
    ):
        options.add_session_config_entry(name, value)
    version = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    try:
        return onnxruntime.InferenceSession(
            network,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"] if version < _FOLDED_SINCE else [],
            enable_fallback=0,  # to what has failed already, and standard output is told so
            read_config_from_model=0,
        )
    except Exception as error:
        raise ValueError(f"not a network that ONNX Runtime can run: {brief(error)}") from error


@cache
def _set_up() -> None:
    """Give this process one bounded store for the tensors of all sessions, and a quiet log."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_NOTHING)
    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    # It grows by what is needed, not to the next power of two.
    bounds = onnxruntime.OrtArenaCfg({"max_mem": most_memory(), "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(where, bounds)


def most_memory() -> int:
    """Give what the tensors of all networks may take together, in bytes."""
    return max(_AT_LEAST, (os.cpu_count() or 1) * _PER_CORE)


def with_output(network: bytes, output: str, tensors: Tensors) -> bytes:
    """Make ``output`` an output of the network, if it is another of its ``tensors``.

    Raises ValueError if it is none of them.
    """
    if not output or output in tensors.outputs:
        return network
    if output not in tensors.given:
        close = ", ".join(brief(name) for name in difflib.get_close_matches(output, tensors.given))
        meant = f"; did you mean {close}?" if close else ""
        raise ValueError(f"the network has no tensor '{brief(output)}'{meant}")
    # What follows a protobuf message is merged into it: ModelProto.graph (7), GraphProto.output
    # (12), ValueInfoProto.name (1).
    value = delimited(1, output.encode())
    return network + delimited(7, delimited(12, value))
