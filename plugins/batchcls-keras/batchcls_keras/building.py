"""A network of Keras with its weights: published, one's own, or random."""

from __future__ import annotations

import contextlib
import math
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls.errors import BatchclsError, NetworkError, UsageError
from batchcls.text import shown
from batchcls_keras.access import silenced
from batchcls_keras.weights import Answer, RefusedError, WeightsFile, answering

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls_keras.networks import Network

IMAGENET, NONE = "imagenet", "none"
_SILENCE_SECONDS = 15.0
_SEED = 0


@dataclass(frozen=True)
class Wanted:
    """A network without its top, for pictures of ``size`` x ``size`` pixels."""

    network: Network
    size: int
    pooling: str

    def built(self, weights: str | None) -> Any:  # noqa: ANN401 - a keras.Model
        """Let Keras build it. UsageError for a size that is too small for it."""
        shape = (self.size, self.size, 3)
        with silenced():
            try:
                return self.network.construct(
                    include_top=False, weights=weights, input_shape=shape, pooling=self.pooling
                )
            except ValueError as error:
                if found := re.search(r"must be at least (\d+)x\1", str(error)):
                    raise UsageError(
                        f"{self.network.name}: size is {self.size}, which is too small",
                        hint=f"The smallest picture that it takes has {found[1]} x {found[1]} "
                        "pixels; without the option size it gets the size it was made for.",
                    ) from error
                raise


def build(wanted: Wanted, weights: str, context: Context) -> Any:  # noqa: ANN401 - a keras.Model
    """Build the network with the ``weights`` of that name, or in that file.

    Raises NetworkError where the published ones can't be had, UsageError for a file that does not
    fit, or a size that is too small.
    """
    if weights == IMAGENET:
        return build_published(wanted, context, download=context.settings.models.download)
    if weights == NONE:
        model = wanted.built(None)
        _fill_at_random(model)
        return model
    return _build_from_file(wanted, os.path.expanduser(weights))


def build_published(wanted: Wanted, context: Context, *, download: bool) -> Any:  # noqa: ANN401
    """Build it with what Keras publishes: ImageNet's weights, from its cache or downloaded."""
    name = wanted.network.name
    asked: list[WeightsFile] = []

    def answer(file: WeightsFile) -> str:
        asked.append(file)
        if not os.path.exists(file.place):
            if not download:
                raise _not_had(name, file, "they are not at hand, and models -> download is false")
            context.say(
                f"Keras downloads the weights of {name} from {file.origin} to {shown(file.place)}."
            )
        try:
            with _patience():
                return file.get()
        except Exception as error:  # Keras raises whatever it likes
            raise _not_had(name, file, f"Keras says: {_line(error)}") from error

    try:
        return _built(wanted, answer)
    except BatchclsError:
        raise
    except Exception as error:  # as above
        place = shown(asked[-1].place) if asked else "its weights"
        raise NetworkError(
            f"{name}: Keras can't load {place}: {_line(error)}",
            hint="Is that file whole? Remove it, and Keras downloads it again.",
        ) from error


def _build_from_file(wanted: Wanted, path: str) -> Any:  # noqa: ANN401 - a keras.Model
    """Build it with the weights in a file.

    A file that Keras publishes is taken as Keras takes it: EfficientNet's networks have one layer
    more for those than for any others.
    """

    def answer(file: WeightsFile) -> str:
        if file.is_at(path):
            return path
        raise RefusedError(file.name)

    name = wanted.network.name
    try:
        try:
            return _built(wanted, answer)
        except RefusedError:
            return wanted.built(path)
    except UsageError:
        raise
    except Exception as error:  # Keras and h5py raise whatever they like
        raise UsageError(
            f"{shown(path)}: not weights of {name} that Keras can load: {_line(error)}",
            hint=f"They must be of {name} as it is here, without its top layers "
            "(include_top=False), in a file that ends in .weights.h5, .h5 or .keras.",
        ) from error


def _built(wanted: Wanted, answer: Answer) -> Any:  # noqa: ANN401 - a keras.Model
    with answering(answer):
        return wanted.built(IMAGENET)


def _fill_at_random(model: Any) -> None:  # noqa: ANN401 - a keras.Model
    """Give a network weights that look like learnt ones in size, and are the same each time.

    Not by Keras's seed, which is everybody's. Vectors (biases, norms) stay as they begin.
    """
    random = np.random.default_rng(_SEED)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) < 2:
            continue
        # As many as are summed for an output: He et al. 2015, https://arxiv.org/abs/1502.01852.
        inputs = math.prod(shape[:2] if shape[-1] == 1 else shape[:-1])
        values = random.standard_normal(shape, np.float32)
        variable.assign(values * np.float32(math.sqrt(2 / inputs)))


def _not_had(name: str, file: WeightsFile, reason: str) -> NetworkError:
    return NetworkError(
        f"the weights of {name} can't be had: {reason}",
        hint=f"Three ways out: get {file.origin} on another machine and put it at "
        f"{shown(file.place)}; or name a file of weights: -F weights=PATH; or take the network "
        "that is in the package: --featurizer efficientnet-lite0",
    )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Bound how long a server may be silent: Keras would wait for ever, and has no option."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _line(error: Exception) -> str:
    """Give what an error says in a line."""
    said = " ".join(str(error).split())
    return shown(said or type(error).__name__)[:300]
