"""How batchcls gets the featurizer: from a file of the user's, or out of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from batchcls.errors import UsageError
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Featurizer

NAME = "onnx"
NETWORK_FILE = "network.onnx"
INPUT_FILE = "input.json"

Size = Annotated[int, Meta(ge=1, le=4096)]
Layout = Literal["auto", "nchw", "nhwc"]
Order = Literal["rgb", "bgr"]
Numbers = Annotated[tuple[float, ...], Meta(min_length=1, max_length=3)]


class InputOutput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network gets and gives: the options of ``create``, and what is in input.json."""

    output: Annotated[str, Meta(max_length=1000)]
    size: Size | None
    layout: Layout
    order: Order
    mean: Numbers
    scale: Numbers


class OnnxProvider:
    """Provider of the featurizer ``onnx``."""

    name = NAME
    description = "Any ONNX network in one file (-F path=network.onnx), on ONNX Runtime"

    def create(
        self,
        context: Context,  # noqa: ARG002 - all that it needs are the options
        *,
        path: str,
        output: str = "",
        size: Size | None = None,
        layout: Layout = "auto",
        order: Order = "rgb",
        mean: Numbers = (0.0,),
        scale: Numbers = (1.0,),
    ) -> Featurizer:
        """Load the network at ``path``.

        It sees (pixel - ``mean``) * ``scale``, each one number or one for each channel, in the
        ``order`` in which it wants the channels. ``output`` names the tensor that is the features,
        any in the network; it can be left out where the network has one output. ``size`` is the
        edge of the square input, and ``layout`` whether channels come first or last: both are
        needed only where the network leaves them open.
        """
        from batchcls_onnx.featurizer import OnnxFeaturizer

        try:
            with open(path, "rb") as file:
                network = file.read()
        except OSError as error:
            raise UsageError(
                f"{shown(path)}: {error.strerror or error}",
                hint="Name a file that is an ONNX network: -F path=network.onnx",
            ) from error
        return OnnxFeaturizer(
            network,
            InputOutput(
                output=output, size=size, layout=layout, order=order, mean=mean, scale=scale
            ),
        )

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Load the network that a model file carries; ValueError if it is not sound."""
        from batchcls_onnx.featurizer import OnnxFeaturizer

        if set(files) != {NETWORK_FILE, INPUT_FILE}:
            raise ValueError(f"expected the files {NETWORK_FILE} and {INPUT_FILE}")
        try:
            given = msgspec.json.decode(files[INPUT_FILE], type=InputOutput)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ValueError(f"{INPUT_FILE}: {error}") from None
        return OnnxFeaturizer(files[NETWORK_FILE], given)
