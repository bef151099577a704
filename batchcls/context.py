"""What a provider is told when it is to make a featurizer or a ready model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchcls.errors import UsageError
from batchcls.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Advance = Callable[[int], None]


def _say(message: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def _progress(what: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    yield _advance


def _advance(steps: int) -> None:
    """Show nothing."""


def _no_sample(size: int) -> NDArray[np.uint8]:  # noqa: ARG001
    raise UsageError(
        "this needs training images to measure ranges with",
        hint="Train with it once (batchcls train), or choose precision=float32.",
    )


@dataclass(frozen=True)
class Context:
    """The settings, a voice, and the images at hand.

    ``say`` tells the person in front of it what is being done and why, and ``warn`` of a problem,
    which is told even where all else is to be quiet. ``progress(what, bytes)`` gives a context
    manager that gives a function to call with each number of bytes that are done.
    ``sample(size)`` gives some training images as a network of that input size would see them,
    uint8 ``[M, size, size, 3]`` RGB; UsageError where nothing is being trained.
    """

    settings: Settings = field(default_factory=Settings)
    say: Callable[[str], None] = _say
    warn: Callable[[str], None] = _say
    progress: Callable[[str, int | None], AbstractContextManager[Advance]] = _progress
    sample: Callable[[int], NDArray[np.uint8]] = _no_sample

    @property
    def models_folder(self) -> str:
        """The folder that networks are downloaded to and converted in; it may not exist yet."""
        configured = self.settings.models.folder
        if configured:
            return configured
        import platformdirs

        return os.path.join(platformdirs.user_cache_dir("batchcls", appauthor=False), "models")
