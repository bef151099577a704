"""A plugin of batchcls: the featurizer ``onnx``, any ONNX network through ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls import hookimpl

if TYPE_CHECKING:
    from batchcls.interfaces import FeaturizerProvider


@hookimpl
def batchcls_featurizers() -> list[FeaturizerProvider]:
    """Register the featurizer. What is heavy is imported when it is made."""
    from batchcls_onnx.provider import OnnxProvider

    return [OnnxProvider()]
