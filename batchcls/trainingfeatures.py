"""The features of tagged images: each image is read once, and each feature is in memory once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from batchcls.errors import PluginFailedError, TagsError
from batchcls.pipeline import chunked
from batchcls.records import ImageFile, TaggedImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.framing import Framing
    from batchcls.training import Parts


@dataclass
class Effort:
    """What training took: seconds, and how many images' features the store knew."""

    features: float = 0.0
    fit: float = 0.0
    recalled: int = 0


class TaggedFeatures:
    """Turns tagged images into rows of features, and notes what it took and what went wrong."""

    def __init__(
        self, tags: Sequence[TaggedImage], parts: Parts, on_progress: Callable[[int], None]
    ) -> None:
        self.parts = parts
        self.effort = Effort()
        self.problems: dict[int, str] = {}
        self._tags = tags
        self._on_progress = on_progress

    def matrix(self, rows: int) -> NDArray[np.float32]:
        """Give room for features of so many images."""
        return np.empty((rows, self.parts.featurizer.dimension), dtype=np.float32)

    def fill(
        self,
        matrices: Sequence[NDArray[np.float32]],
        rows: NDArray[np.intp],
        numbers: NDArray[np.intp],
        framings: Sequence[Framing],
    ) -> None:
        """Put the features of the tags ``numbers`` into those ``rows`` of a matrix a framing.

        They go there chunk by chunk, so that they are never in memory twice.
        """
        start = time.perf_counter()
        files = [ImageFile(tag.path, tag.path) for tag in (self._tags[n] for n in numbers)]
        done = 0
        for extracted in self.parts.engine.map(self.parts.extractor(framings), chunked(files)):
            for fault in extracted.faults.values():  # no tag is to blame
                raise PluginFailedError(
                    fault.reason, hint="No model was written.", trace=fault.trace
                )
            reasons = extracted.reasons
            here = slice(done, done + len(reasons))
            sound = np.array([reason is None for reason in reasons], dtype=np.bool_)
            for matrix, features in zip(matrices, extracted.features, strict=True):
                matrix[rows[here][sound]] = features
            for number, reason in zip(numbers[here].tolist(), reasons, strict=True):
                if reason is not None:
                    self.problems[number] = f"{self._tags[number].named}: {reason}"
            self.effort.recalled += sum(source.recalled for source in extracted.sources)
            done += len(reasons)
            self._on_progress(len(reasons))
        self.effort.features += time.perf_counter() - start

    def check(self) -> None:
        """Raise TagsError that lists the bad ones, if there are any."""
        if self.problems:
            listed = [self.problems[number] for number in sorted(self.problems)]
            raise TagsError(listed, hint="Mend or replace these images, or take out their tags.")
