"""A ready model: a network with the head that it was trained with, one linear layer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from batchcls import __version__
from batchcls.builtin.logistic import LogisticRegression
from batchcls.framing import PREPROCESSING, Framing
from batchcls.manifest import ClassifierEntry, FeaturizerEntry, Manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.interfaces import Featurizer
    from batchcls.model import Model


def model_of_head(
    featurizer: Featurizer,
    labels: Sequence[str],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    framing: Framing,
    note: str,
    options: Mapping[str, Any],
) -> Model:
    """Make the model whose probabilities are softmax(features @ ``weights`` + ``bias``).

    ``weights`` is ``[D, C]``, ``bias`` ``[C]``, ``labels`` the C names; ``options`` are those that
    the featurizer was made with.
    """
    from batchcls.model import Model

    classifier = LogisticRegression()
    classifier.restore({"weights": weights, "bias": bias}, featurizer.dimension, len(labels))
    entry = FeaturizerEntry(
        name=featurizer.name,
        digest=featurizer.digest,
        framing=framing.value,
        preprocessing=PREPROCESSING,
        input_size=featurizer.input_size,
        dimension=featurizer.dimension,
        options=dict(options),
    )
    manifest, digest = outline_of_head(entry, labels, weights, bias, note=note)
    return Model(manifest, featurizer, classifier, digest)


def outline_of_head(
    featurizer: FeaturizerEntry,
    labels: Sequence[str],
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    note: str,
) -> tuple[Manifest, str]:
    """Give the manifest and the digest of such a model, without its network."""
    manifest = Manifest(
        batchcls=__version__,
        created="",
        classes=list(labels),
        featurizer=featurizer,
        classifier=ClassifierEntry(name=LogisticRegression.name),
        training={"note": note},
    )
    digest = hashlib.sha256(featurizer.digest.encode())
    for part in (weights.tobytes(), bias.tobytes(), "\n".join(labels).encode("utf-8")):
        digest.update(part)
    return manifest, digest.hexdigest()
