"""The embedded featurizer in LiteRT, one interpreter and one thread: for the checks and timings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

Array = npt.NDArray[Any]


class Featurizer:
    """A ``.tflite`` model set up for batches of one size."""

    def __init__(self, model: Path, batch: int) -> None:
        self._batch = batch
        self._interpreter = Interpreter(str(model), num_threads=1)
        (source,) = self._interpreter.get_input_details()
        (target,) = self._interpreter.get_output_details()
        self._input, self._output = source["index"], target["index"]
        self._interpreter.resize_tensor_input(self._input, [batch, *source["shape"][1:]])
        self._interpreter.allocate_tensors()

    def features(self, pixels: Array) -> Array:
        """Return features float32 [N, 1280] of pixels uint8 [N, 224, 224, 3]."""
        results = []
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            # The last batch is filled up; the surplus is dropped again.
            filled = np.resize(part, (self._batch, *part.shape[1:]))
            self._interpreter.set_tensor(self._input, filled)
            self._interpreter.invoke()
            results.append(self._interpreter.get_tensor(self._output)[: len(part)])
        return np.concatenate(results)

    def is_delegated(self) -> bool:
        """Tell whether one delegate (XNNPACK) runs everything from the pixels to the features."""
        # Not public, but the only way to see it. What a delegate took stays in the list.
        operators = self._interpreter._get_ops_details()
        delegates = [operator for operator in operators if operator["op_name"] == "DELEGATE"]
        return (
            len(delegates) == 1
            and self._input in delegates[0]["inputs"]
            and self._output in delegates[0]["outputs"]
        )
