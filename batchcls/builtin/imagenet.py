"""The ready model ``imagenet``: the head that the embedded network was trained with.

Its labels are the 1,000 ImageNet classes; it labels a folder with no training at all.
"""

from __future__ import annotations

import io
from dataclasses import replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np

from batchcls.builtin.efficientnet_lite0 import EfficientNetLite0
from batchcls.builtin.head import model_of_head, outline_of_head
from batchcls.framing import Framing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.context import Context
    from batchcls.manifest import Manifest
    from batchcls.model import Model
    from batchcls.records import NetworkInfo

_HEAD = "data/imagenet-head.npz"
_LABELS = "data/imagenet-labels.txt"
_NOTE = "the ImageNet head of EfficientNet-Lite0"


class ImageNet:
    """Provider of the ready model."""

    name = "imagenet"
    description = "The 1,000 classes of ImageNet, by the network's own head; no training needed"

    def load(self, context: Context) -> Model:
        """Put the embedded network and its head together."""
        featurizer = EfficientNetLite0().create(context)
        return model_of_head(featurizer, *_head(), framing=Framing.CROP, note=_NOTE, options={})

    def outline(self, context: Context) -> tuple[Manifest, str]:  # noqa: ARG002 - it is always there
        """Tell manifest and digest of what ``load`` gives."""
        return outline_of_head(EfficientNetLite0().entry(Framing.CROP), *_head(), note=_NOTE)

    def about(self, context: Context) -> NetworkInfo:
        """Tell what is embedded: the network, and its head."""
        embedded = EfficientNetLite0().about(context)
        with as_file(files("batchcls.builtin").joinpath(_HEAD)) as path:
            return replace(embedded, size=(embedded.size or 0) + path.stat().st_size)


def _head() -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Read the labels, the weights, float32 ``[D, C]``, and the bias, float32 ``[C]``."""
    package = files("batchcls.builtin")
    labels = package.joinpath(_LABELS).read_text(encoding="utf-8").splitlines()
    with np.load(io.BytesIO(package.joinpath(_HEAD).read_bytes()), allow_pickle=False) as arrays:
        return labels, arrays["weights"].astype(np.float32), arrays["bias"].astype(np.float32)
