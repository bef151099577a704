"""The ready model ``imagenet``: the head that the embedded network was trained with.

Its labels are the 1,000 ImageNet classes; it labels a folder with no training at all.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np

from batchcls.builtin.efficientnet_lite0 import NAME, EfficientNetLite0
from batchcls.builtin.logistic import LogisticRegression
from batchcls.framing import PREPROCESSING, Framing
from batchcls.modelfile import ClassifierEntry, FeaturizerEntry, Manifest
from batchcls.records import NetworkInfo

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.model import Model

_HEAD = "data/imagenet-head.npz"
_LABELS = "data/imagenet-labels.txt"


class ImageNet:
    """Provider of the ready model."""

    name = "imagenet"
    description = "The 1,000 classes of ImageNet, by the network's own head; no training needed"

    def load(self, context: Context) -> Model:
        """Put the embedded network and its head together."""
        from batchcls import __version__
        from batchcls.model import Model

        package = files("batchcls.builtin")
        head = package.joinpath(_HEAD).read_bytes()
        labels = package.joinpath(_LABELS).read_text(encoding="utf-8").splitlines()
        featurizer = EfficientNetLite0().create(context)
        classifier = LogisticRegression()
        with np.load(io.BytesIO(head), allow_pickle=False) as arrays:
            state = {name: arrays[name].astype(np.float32) for name in ("weights", "bias")}
        classifier.restore(state, featurizer.dimension, len(labels))
        manifest = Manifest(
            batchcls=__version__,
            created="",
            classes=labels,
            featurizer=FeaturizerEntry(
                name=NAME,
                digest=featurizer.digest,
                framing=Framing.CROP.value,
                preprocessing=PREPROCESSING,
                input_size=featurizer.input_size,
                dimension=featurizer.dimension,
            ),
            classifier=ClassifierEntry(name=LogisticRegression.name),
            training={"note": "the ImageNet head of EfficientNet-Lite0"},
        )
        digest = hashlib.sha256(featurizer.digest.encode() + head).hexdigest()
        return Model(manifest, featurizer, classifier, digest)

    def about(self, context: Context) -> NetworkInfo:
        """Tell what is embedded: the network, and its head."""
        embedded = EfficientNetLite0().about(context)
        with as_file(files("batchcls.builtin").joinpath(_HEAD)) as path:
            return replace(embedded, size=(embedded.size or 0) + path.stat().st_size)
