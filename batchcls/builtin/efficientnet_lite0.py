"""EfficientNet-Lite0, int8, embedded in the package: works at once, with no download.

``data/ORIGIN.md`` says where the weights come from; ``scripts/efficientnet_lite0`` made the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from batchcls.networks.litert import NETWORK_FILE, LiteRTFeaturizer

if TYPE_CHECKING:
    from batchcls.interfaces import Featurizer

NAME = "efficientnet-lite0"


class EfficientNetLite0:
    """Provider of the embedded featurizer: 224 x 224 pixels in, 1,280 pooled features out."""

    name = NAME
    description = "EfficientNet-Lite0, int8, 1,280 features, embedded (Apache-2.0)"

    def create(self) -> Featurizer:
        """Load the network that ships with the package."""
        network = files("batchcls.builtin").joinpath("data/efficientnet-lite0.tflite")
        return LiteRTFeaturizer(NAME, network.read_bytes())

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        if set(files) != {NETWORK_FILE}:
            raise ValueError(f"expected the one file {NETWORK_FILE}")
        return LiteRTFeaturizer(NAME, files[NETWORK_FILE])
