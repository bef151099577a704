"""How batchcls gets the featurizer: a network that Keras builds, converted for LiteRT."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from batchcls.errors import UsageError
from batchcls.options import checked_options
from batchcls.records import NetworkInfo
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Featurizer

NAME = "keras"
DEFAULT_NETWORK = "MobileNetV2"
ORIGIN = "keras.io/api/applications"
# They are of many hands, and Keras gives no licence for them one by one.
LICENCE = "each network's own"
_IMAGENET, _NONE = "imagenet", "none"

Size = Annotated[int, Meta(ge=1, le=4096)]
Pooling = Literal["avg", "max"]


class KerasApplications:
    """Provider of the featurizer ``keras``.

    Keras keeps the weights that it downloads; a model carries its network, so neither Keras's
    cache nor this plugin is needed to classify.
    """

    name = NAME
    description = "The networks of Keras Applications by name (-F network=ResNet50)"

    def create(
        self,
        context: Context,
        *,
        network: str = DEFAULT_NETWORK,
        weights: str = _IMAGENET,
        size: Size | None = None,
        pooling: Pooling = "avg",
        precision: Literal["float32", "int8"] = "float32",
        runtime: Literal["litert", "tensorflow"] = "litert",
    ) -> Featurizer:
        """Let Keras build the network, and convert it unless that was done before.

        ``weights`` are ``imagenet``, ``none`` (random, the same each time, for tests), or a file's
        path. ``size`` is the edge of the input in pixels, its own unless given; ``pooling`` makes
        one feature of each map. Precision ``int8`` is measured with the images of the first
        training. Raises UsageError for options that don't fit, NetworkError for weights that can't
        be had.
        """
        from batchcls.networks.featurizer import network_featurizer
        from batchcls.networks.kerasmodel import read_keras
        from batchcls_keras.access import load_keras
        from batchcls_keras.building import Wanted, build
        from batchcls_keras.networks import find_network
        from batchcls_keras.portable import PortableFeaturizer
        from batchcls_keras.probing import probed
        from batchcls_keras.weights import weights_digest

        _check(weights, precision, runtime)
        chosen = find_network(network)
        preprocessing = probed(chosen.name, chosen.preprocess)
        edge = chosen.default_size() if size is None else size
        model = build(Wanted(chosen, edge, pooling), weights, context)
        # The number of layers, as some networks have one more for the published weights.
        settings = (load_keras().__version__, len(model.layers), pooling, preprocessing)
        key = hashlib.sha256(f"{weights_digest(model)} {settings}".encode()).hexdigest()
        kept = f"{NAME}-{chosen.name}-{edge}-{precision}-{key[:32]}.tflite"
        return PortableFeaturizer(
            network_featurizer(
                NAME,
                lambda: read_keras(model, what=chosen.name),
                preprocessing,
                runtime=runtime,
                precision=precision,
                sample=context.sample,
                say=context.say,
                cache_path=os.path.join(context.models_folder, kept),
            )
        )

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        from batchcls.networks.featurizer import restore_featurizer
        from batchcls_keras.portable import PortableFeaturizer

        return PortableFeaturizer(restore_featurizer(NAME, files))

    def about(self, context: Context) -> NetworkInfo:
        """Tell whether the weights of the network that is configured are at hand."""
        from batchcls_keras.weights import cache_folder, find_cached

        given = context.settings.featurizer.get(NAME, {})
        network, weights = given.get("network", DEFAULT_NETWORK), given.get("weights", _IMAGENET)
        if not isinstance(network, str) or not isinstance(weights, str) or weights == _NONE:
            return NetworkInfo(at_hand=weights == _NONE, origin=ORIGIN)
        if weights != _IMAGENET:
            path = os.path.expanduser(weights)
            return NetworkInfo(at_hand=os.path.isfile(path), place=path, note=network)
        found = find_cached(network)
        if found is None:
            return NetworkInfo(
                at_hand=False,
                licence=LICENCE,
                origin=ORIGIN,
                note=f"{network}: its weights are not in {cache_folder()}; "
                f"to have them: batchcls models fetch {NAME}",
            )
        return NetworkInfo(
            at_hand=True,
            size=os.path.getsize(found),
            licence=LICENCE,
            origin=ORIGIN,
            place=found,
            note=network,
        )

    def fetch(self, context: Context) -> None:
        """Let Keras download the weights of the network that is configured, if they aren't there.

        Raises NetworkError if they can't be had.
        """
        from batchcls_keras.building import Wanted, build_published
        from batchcls_keras.networks import find_network

        given = context.settings.featurizer.get(NAME, {})
        options = checked_options(f"the featurizer {NAME}", self.create, given)
        if options.get("weights", _IMAGENET) != _IMAGENET:
            raise UsageError(f"{NAME}: there is nothing to fetch but with weights=imagenet")
        chosen = find_network(options.get("network", DEFAULT_NETWORK))
        edge = options.get("size") or chosen.default_size()
        build_published(Wanted(chosen, edge, "avg"), context, download=True)


def _check(weights: str, precision: str, runtime: str) -> None:
    """Check what can be checked before Keras is imported."""
    if weights not in {_IMAGENET, _NONE} and not os.path.isfile(os.path.expanduser(weights)):
        raise UsageError(
            f"{shown(weights)}: no such file of weights",
            hint="weights is imagenet, none, or the path of a file.",
        )
    if precision == "int8" and runtime == "tensorflow":
        raise UsageError(
            "precision=int8 is for LiteRT, not for runtime=tensorflow",
            hint="Leave one of the two out.",
        )
