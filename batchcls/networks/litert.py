"""LiteRT: runs a ``.tflite`` network as a featurizer, from many threads at once.

An interpreter belongs to one thread at a time, so each thread that featurizes borrows one from a
pool that grows to as many as ever ran at once. An interpreter runs one image at a time, on one
core: measured as fast as any batch size, and it makes an image's features independent of the batch.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.networks.quiet import BANNER, without
from batchcls.networks.soundness import check_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

NETWORK_FILE = "network.tflite"

# LiteRT says this on standard error at the first network, and has no switch for it; a nightly
# job's mail is no place for it.
_banner_lock = threading.Lock()
_banner_seen = False


class LiteRTFeaturizer:
    """A network whose input is uint8 RGB pixels ``[1, S, S, 3]``, its output float32 ``[1, D]``.

    Raises ValueError for bytes that are no such network.
    """

    def __init__(self, name: str, network: bytes) -> None:
        self.name = name
        self.digest = hashlib.sha256(network).hexdigest()
        self._network = network
        self._pool: queue.LifoQueue[_Interpreter] = queue.LifoQueue()
        first = _Interpreter(network, check=True)
        try:
            first.run(np.zeros((1, first.input_size, first.input_size, 3), np.uint8))
        except (RuntimeError, ValueError) as error:  # weights that are missing are found only now
            raise ValueError(f"not a network that LiteRT can run: {error}") from error
        self.input_size: int = first.input_size
        self.dimension: int = first.dimension
        self._pool.put(first)

    def featurize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB ``pixels``, uint8 ``[N, S, S, 3]``, into features, float32 ``[N, D]``."""
        features = np.empty((len(pixels), self.dimension), dtype=np.float32)
        with self._borrowed() as interpreter:
            for index in range(len(pixels)):
                features[index] = interpreter.run(pixels[index : index + 1])
        return features

    def to_files(self) -> Mapping[str, bytes]:
        """Give the network itself."""
        return {NETWORK_FILE: self._network}

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[_Interpreter]:
        try:
            interpreter = self._pool.get_nowait()
        except queue.Empty:
            interpreter = _Interpreter(self._network, check=False)
        try:
            yield interpreter
        finally:
            self._pool.put(interpreter)


class _Interpreter:
    """One thread's. ``check``: whether the network may be a stranger's that nobody has seen yet."""

    def __init__(self, network: bytes, *, check: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _without_banner():
            try:
                self._interpreter: Any = Interpreter(model_content=network, num_threads=1)
                if check:
                    check_sound(self._interpreter)
                self._interpreter.allocate_tensors()
            except (RuntimeError, ValueError) as error:
                raise ValueError(f"not a network that LiteRT can run: {error}") from error
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError("the network must have one input and one output")
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        shape = tuple(int(edge) for edge in inputs[0]["shape"])
        out_shape = tuple(int(edge) for edge in outputs[0]["shape"])
        self.input_size = shape[1] if len(shape) > 1 else 0
        if inputs[0]["dtype"] is not np.uint8 or shape != (1, self.input_size, self.input_size, 3):
            raise ValueError(f"the network's input is {shape}, not uint8 [1, S, S, 3]")
        if outputs[0]["dtype"] is not np.float32 or len(out_shape) != 2 or out_shape[0] != 1:
            raise ValueError(f"the network's output is {out_shape}, not float32 [1, D]")
        self.dimension = out_shape[1]

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        features: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        row: NDArray[np.float32] = features[0]
        return row


@contextlib.contextmanager
def _without_banner() -> Iterator[None]:
    """Hold standard error back while the first network is made, and drop the banner from it."""
    global _banner_seen  # noqa: PLW0603 - it is said once a process
    with _banner_lock:
        if _banner_seen:
            yield
            return
        with without(BANNER) as dropped:
            yield
        _banner_seen = bool(dropped)
