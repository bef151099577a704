"""A plugin of batchcls: the featurizer ``keras``, any network of Keras Applications by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls import hookimpl

if TYPE_CHECKING:
    from batchcls.interfaces import FeaturizerProvider


@hookimpl
def batchcls_featurizers() -> list[FeaturizerProvider]:
    """Register the featurizer. Keras and TensorFlow are imported when it is made."""
    from batchcls_keras.provider import KerasApplications

    return [KerasApplications()]
