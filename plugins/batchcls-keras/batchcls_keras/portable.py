"""A featurizer whose models run where this plugin is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchcls.interfaces import Featurizer


class PortableFeaturizer:
    """``network``, as it is, but that a model names the built-in ``tensorflow`` to restore it.

    Once converted, nothing in it is this plugin's: it is a network like any other.
    """

    restored_by = "tensorflow"

    def __init__(self, network: Featurizer) -> None:
        self.name = network.name
        self.digest = network.digest
        self.input_size = network.input_size
        self.dimension = network.dimension
        self.featurize = network.featurize
        self.to_files = network.to_files
