"""Inception (V1) as Google published it in 2015, the network of the ML.NET tutorial.

Nothing of it is shipped: it is downloaded, or put in its place by hand (``inception_files``), and
converted to LiteRT once. The converted network stays in the models' folder, so that every later
training has the very same features.

What downloads is imported where it is needed: this module is for every look at what there is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from batchcls.errors import BatchclsError, NetworkError
from batchcls.records import NetworkInfo
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.builtin.inception_files import InceptionFiles, Published
    from batchcls.context import Context
    from batchcls.downloading.download import Patience
    from batchcls.interfaces import Featurizer

NAME = "inception"
LICENCE = "Apache-2.0"
INPUT = "input"
SIZE = 224
MEAN = 117.0  # as the tutorial feeds it: value = pixel - 117, RGB
LOGITS: Literal["softmax2_pre_activation"] = "softmax2_pre_activation"
_ARCHIVE_BYTES = 50_000_000  # about
_GRAPH_BYTES = 53_900_000

# How many seconds are too long, and bytes a second too few, for somebody who would rather have the
# embedded network than wait.
_HURRY = 3.0
_HURRIED = 200_000.0


class Inception:
    """Provider of Inception: 224 x 224 pixels in, 1,008 or 1,024 features out.

    The features are the scores before the softmax, as in the tutorial, or what is pooled before
    the last layer.
    """

    name = NAME
    description = "Inception (V1), 1,008 features as in the tutorial, or the 1,024 before them"

    def create(
        self,
        context: Context,
        output: Literal["softmax2_pre_activation", "avgpool0/reshape"] = LOGITS,
        precision: Literal["float32", "int8"] = "float32",
        runtime: Literal["litert", "tensorflow"] = "litert",
    ) -> Featurizer:
        """Convert the graph that is at hand, or was converted before.

        Where it is not at hand it is downloaded, if that is allowed. ``precision`` int8
        is about three times as fast, and measured with the images of the first training. Raises
        NetworkError with the ways out.
        """
        from batchcls.networks.featurizer import network_featurizer
        from batchcls.networks.frozengraph import read_frozen_graph
        from batchcls.networks.preprocessing import preprocessing

        files = obtained(context, f"the featurizer {NAME}", "--featurizer efficientnet-lite0")
        _warn_of_another_graph(files, context)
        kind = f"{output.replace('/', '-')}-{precision}"
        return network_featurizer(
            NAME,
            lambda: read_frozen_graph(files.graph, input_name=INPUT, output_name=output, size=SIZE),
            preprocessing(mean=MEAN),
            runtime=runtime,
            precision=precision,
            sample=context.sample,
            say=context.say,
            cache_path=os.path.join(
                context.models_folder, f"{NAME}-{files.graph_sha256[:16]}-{kind}.tflite"
            ),
        )

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        from batchcls.networks.featurizer import restore_featurizer

        return restore_featurizer(NAME, files)

    def about(self, context: Context) -> NetworkInfo:
        """Tell whether the graph is at hand, and where."""
        from batchcls.downloading.httpget import shown_address

        origin = ", ".join(map(shown_address, context.settings.inception.addresses))
        files = find_files(context)
        if files is None:
            return NetworkInfo(
                at_hand=False,
                size=_GRAPH_BYTES,
                licence=LICENCE,
                origin=origin,
                note="To have it: batchcls models fetch inception",
            )
        note = "" if files.is_published else f"not the published graph: {files.graph_sha256}"
        return NetworkInfo(
            at_hand=True,
            size=os.path.getsize(files.graph),
            licence=LICENCE,
            origin=origin,
            place=files.graph,
            note=note,
        )

    def fetch(self, context: Context, *, hurry: bool = False) -> None:
        """Download the graph into the models' folder, if it is not there.

        In a ``hurry`` it gives up rather than let anyone wait, and where the settings don't allow
        a download. What has come by then is kept for the next try.
        """
        from batchcls.downloading.download import Patience

        wait = context.settings.models.timeout
        patience = Patience(wait, wait, attempts=2)
        if hurry:
            _check_allowed(context)
            wait = min(wait, _HURRY)
            patience = Patience(wait, wait, slowest=_HURRIED, window=5.0, attempts=1)
        _download(context, patience)


def obtained(context: Context, what: str, instead: str) -> InceptionFiles:
    """Find the files, or download them where that is allowed.

    Raises NetworkError that says that ``what`` can't be had, and the ways out, ``instead`` being
    one.
    """
    files = find_files(context)
    if files is not None:
        return files
    from batchcls.downloading.download import Patience

    wait = context.settings.models.timeout
    try:
        _check_allowed(context)
        return _download(context, Patience(wait, wait, attempts=2))
    except BatchclsError as error:
        raise NetworkError(
            f"{what} can't be had: {error.message}",
            hint="Three ways out: `batchcls models fetch inception` downloads it; or put its graph "
            f"at {shown(context.settings.inception.graph)}; or take the network that is in the "
            f"package: {instead}",
        ) from error


def _check_allowed(context: Context) -> None:
    if not context.settings.models.download:
        raise NetworkError("it is not at hand, and models -> download is false")


def _download(context: Context, patience: Patience) -> InceptionFiles:
    from batchcls.builtin.inception_files import fetch
    from batchcls.downloading.download import DownloadError

    if not context.settings.inception.addresses:
        raise NetworkError("it is not at hand, and inception -> addresses is empty")
    done = 0
    with context.progress("downloading Inception", _ARCHIVE_BYTES) as advance:

        def on_progress(now: int, total: int | None) -> None:  # noqa: ARG001
            nonlocal done
            advance(now - done)
            done = now

        try:
            return fetch(
                context.models_folder, published(context), patience, on_progress, context.say
            )
        except DownloadError as error:
            tried = "; ".join(f"{address}: {reason}" for address, reason in error.reasons)
            why = f"it is not at hand, and can't be downloaded ({tried})"
            raise NetworkError(why, hint=error.hint) from None


def published(context: Context) -> Published:
    """Give what the settings say is to be downloaded, and what it must be."""
    from batchcls.builtin.inception_files import Published

    settings = context.settings.inception
    return Published(tuple(settings.addresses), settings.archive_sha256, settings.graph_sha256)


def find_files(context: Context) -> InceptionFiles | None:
    """Find the graph where the user may have put it, or in the models' folder."""
    from batchcls.builtin.inception_files import find

    graph = context.settings.inception.graph
    return find([graph] if graph else [], context.models_folder, published(context))


def _warn_of_another_graph(files: InceptionFiles, context: Context) -> None:
    if not files.is_published:
        context.warn(
            f"{shown(files.graph)} is not Inception as it was published "
            f"(SHA-256 {files.graph_sha256[:16]}…); it is used all the same."
        )
