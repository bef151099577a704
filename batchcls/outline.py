"""The outline of a model: what a run needs to know of it before the first image that is new.

Where nothing is new, the model's network and classifier are never made, nor what runs them loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from batchcls import modelfile
from batchcls.locations import is_url
from batchcls.plugins import registry

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.manifest import Manifest
    from batchcls.model import Model


@dataclass(frozen=True)
class Outline:
    """A model's manifest and digest, and how to get all of it."""

    manifest: Manifest
    digest: str
    load: Callable[[], Model]

    @cached_property
    def model(self) -> Model:
        """The model, made when it is first asked for. Raises ModelFileError."""
        return self.load()


def outline_of(source: str, context: Context) -> Outline:
    """Read as much of a model file as says what it is, or ask a ready model.

    A ready model whose provider has no ``outline`` is loaded. Raises as ``Model.load`` does.
    """
    ready = registry().ready_models.get(source)
    brief = getattr(ready, "outline", None)
    if brief is not None:
        manifest, digest = brief(context)
        return Outline(manifest, digest, lambda: _load(source, context))
    is_there = is_url(source) or os.path.exists(source)
    if ready is not None or not is_there:  # which raises what is to be said
        model = _load(source, context)
        return Outline(model.manifest, model.digest, lambda: model)
    contents = modelfile.read(source)

    def load() -> Model:
        from batchcls.model import Model

        return Model.from_file(source, contents)

    return Outline(contents.manifest, contents.digest, load)


def _load(source: str, context: Context) -> Model:
    from batchcls.model import Model

    return Model.load(source, context)
