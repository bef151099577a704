"""An ONNX network as a featurizer.

The network sees one image at a time, on one core: batchcls works on as many images at once as there
are cores, and an image's features can't depend on what else is in the batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from batchcls_onnx.checks import brief, check_network
from batchcls_onnx.provider import INPUT_FILE, NAME, NETWORK_FILE, InputOutput
from batchcls_onnx.session import make_session, with_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INPUTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_OUTPUTS = {"tensor(float)", "tensor(float16)"}
_CHANNELS = {"nchw": 1, "nhwc": 3}
_AREA = {"nchw": (2, 3), "nhwc": (1, 2)}
_MAX_DIMENSION = 2**20


class OnnxFeaturizer:
    """``network``, the bytes of an ONNX file; ``given`` says what it gets and gives.

    Its input is ``[1, 3, S, S]`` or ``[1, S, S, 3]``, float32, float16 or uint8. Its output is
    ``[1, D]``, or a map, ``[1, D, H, W]`` or ``[1, H, W, D]`` as the input, whose mean over the
    area is taken. Raises ValueError for bytes that are no such network.
    """

    name = NAME

    def __init__(self, network: bytes, given: InputOutput) -> None:
        tensors = check_network(network)
        self._network = network
        self._session = make_session(with_output(network, given.output, tensors))
        self._read_input(given)
        self._output = self._chosen_output(given.output)
        self.digest = hashlib.sha256(self.to_files()[INPUT_FILE] + b"\0" + network).hexdigest()
        features = self._run(np.zeros((self.input_size, self.input_size, 3), np.uint8))
        self.dimension = len(features)

    def featurize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB ``pixels``, uint8 ``[N, S, S, 3]``, into features, float32 ``[N, D]``."""
        features = np.empty((len(pixels), self.dimension), np.float32)
        for row, image in zip(features, pixels, strict=True):
            row[:] = self._run(image)
        return features

    def to_files(self) -> Mapping[str, bytes]:
        """Give the network, and what it gets and gives."""
        return {NETWORK_FILE: self._network, INPUT_FILE: msgspec.json.encode(self._given)}

    def _run(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn one image, uint8 ``[S, S, 3]``, into features, float32 ``[D]``."""
        seen: NDArray[Any] = image if self._given.order == "rgb" else image[..., ::-1]
        if self._dtype != np.uint8:
            seen = (seen.astype(np.float32) - self._mean) * self._scale
        if self._given.layout == "nchw":
            seen = seen.transpose(2, 0, 1)
        feed = np.ascontiguousarray(seen[np.newaxis], self._dtype)
        try:
            [features] = self._session.run([self._output], {self._input: feed})
        except Exception as error:
            raise ValueError(f"the network can't be run: {brief(error)}") from error
        shape = np.shape(features)
        if len(shape) == 4:
            features = features.astype(np.float32).mean(axis=_AREA[self._given.layout])
        if features.ndim != 2 or len(features) != 1 or not 0 < features.size <= _MAX_DIMENSION:
            raise ValueError(
                f"the output {brief(self._output)} is {list(shape)} for one image, not [1, D] or a "
                "map; choose another one with the option output"
            )
        row: NDArray[np.float32] = features[0].astype(np.float32)
        return row

    def _read_input(self, given: InputOutput) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ValueError(f"the network has {len(inputs)} inputs, {_listed(inputs)}; one is due")
        described = _listed(inputs)
        [found] = inputs
        if found.type not in _INPUTS:
            raise ValueError(f"the network's input is {described}, not float32, float16 or uint8")
        self._input, self._dtype = found.name, np.dtype(_INPUTS[found.type])
        layout = _layout(found.shape, given.layout, described)
        edges = {found.shape[axis] for axis in _AREA[layout]}
        fixed = {edge for edge in edges if isinstance(edge, int)}
        sizes = fixed | ({given.size} if given.size else set())
        if not sizes:
            raise ValueError(f"the network's input is {described}: give its edge, as in size=224")
        if len(sizes) > 1:
            due = f", not of size={given.size}" if len(fixed) == 1 else ", which is no square"
            raise ValueError(f"the network's input is {described}{due}")
        [self.input_size] = sizes
        self._mean, self._scale = _numbers("mean", given.mean), _numbers("scale", given.scale)
        if self._dtype == np.uint8 and ((self._mean != 0).any() or (self._scale != 1).any()):
            raise ValueError("the network takes pixels as they are (uint8): no mean and no scale")
        self._given = msgspec.structs.replace(given, layout=layout, size=self.input_size)

    def _chosen_output(self, asked: str) -> str:
        outputs = self._session.get_outputs()
        chosen = [one for one in outputs if one.name == asked] if asked else outputs
        if len(chosen) != 1:
            raise ValueError(
                f"the network has the outputs {_listed(outputs)}: "
                "name the one that is the features, as in output=NAME"
            )
        if chosen[0].type not in _OUTPUTS:
            raise ValueError(f"the network's output is {_listed(chosen)}, not float32 or float16")
        name: str = chosen[0].name
        return name


def _layout(shape: list[Any], asked: str, described: str) -> str:
    """Give where the channels are: where the shape has a 3, or where it does not say, as asked."""
    if len(shape) != 4:
        raise ValueError(
            f"the network's input is {described}, not a picture: [1, 3, S, S] or [1, S, S, 3]"
        )
    if isinstance(shape[0], int) and shape[0] != 1:
        raise ValueError(
            f"the network's input is {described}, {shape[0]} images at once: "
            "export it with a batch of 1, or an open one"
        )
    axes = _CHANNELS if asked == "auto" else {asked: _CHANNELS[asked]}
    sure = [layout for layout, axis in axes.items() if shape[axis] == 3]
    maybe = sure or [layout for layout, axis in axes.items() if not isinstance(shape[axis], int)]
    if not maybe:
        raise ValueError(f"the network's input is {described}: it has no three channels")
    if len(maybe) > 1:
        raise ValueError(f"the network's input is {described}: give layout=nchw or layout=nhwc")
    return maybe[0]


def _numbers(name: str, numbers: tuple[float, ...]) -> NDArray[np.float32]:
    """Give one number, or one for each channel, as float32; ValueError for anything else."""
    if len(numbers) not in {1, 3} or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} is one number, or three: one for each channel")
    return np.array(numbers, np.float32)


def _listed(arguments: list[Any]) -> str:
    """Name inputs or outputs, with their types and shapes."""
    named = (f"{brief(one.name)} {one.type[7:-1]} {list(one.shape)}" for one in arguments)
    return ", ".join(brief(text) for text in named)
