"""Made-up results, as many as wanted, of the form and the size that real ones have.

There are 1,280 features, as of the embedded network, half of them zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from batchcls.extraction import Extracted, Source
from batchcls.reading import Identity
from batchcls.records import LEADING, ImageFile, Prediction, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIMENSION = 1280
CHUNK, BLOCK = 8, 128  # as the pipeline has them
_IN_FOLDER = 1000
_SIZE, _TIME = 109_000, 1_770_000_000_000_000_000
_FACTOR, _PRIME = 618_034, 1_000_003

Scored = tuple["NDArray[np.float64]", tuple[tuple[int, float], ...]]


@dataclass(frozen=True)
class Made:
    """Results by number, from 0; so many are ``different``, and then come again."""

    class_count: int = 1000
    different: int = 64

    @cached_property
    def classes(self) -> list[str]:
        """Give the classes of the model."""
        return [f"class {number:03}" for number in range(self.class_count)]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Give the features, float32 ``[different, DIMENSION]``."""
        import numpy as np

        random = np.random.default_rng(20_260_000)
        return np.maximum(random.standard_normal((self.different, DIMENSION), np.float32), 0)

    @cached_property
    def scored(self) -> list[Scored]:
        """Give the scores of all classes, float64 ``[C]``, and the first few."""
        import numpy as np

        random = np.random.default_rng(20_260_001)
        found = []
        for _ in range(self.different):
            scores = random.dirichlet(np.full(self.class_count, 0.1))
            best = (-scores).argsort(kind="stable")[:LEADING]
            found.append((scores, tuple((int(one), float(scores[one])) for one in best)))
        return found

    def file(self, number: int) -> ImageFile:
        """Give a file. Its key tells its number."""
        key = f"{number // _IN_FOLDER:08}/{number % _IN_FOLDER:06}.jpg"
        return ImageFile(f"/data/photos/2026/{key}", key)

    def prediction(self, number: int) -> Prediction:
        """Give what is said of it."""
        scores, leading = self.scored[number % self.different]
        return Prediction(
            self.file(number).key,
            Status.OK,
            label=self.classes[leading[0][0]],
            score=number * _FACTOR % _PRIME / _PRIME,  # another for each, in no order
            scores=scores,
            leading=leading,
        )

    def extracted(self, numbers: range) -> Extracted:
        """Give the features of several, and what each is of."""
        rows = self.features[[number % self.different for number in numbers]]
        sources = [Source(digest_of(number), identity_of(number)) for number in numbers]
        return Extracted([rows], sources)


def number_of(file: ImageFile) -> int:
    """Give the number that a file was made by."""
    folder, _, name = file.key.partition("/")
    return int(folder) * _IN_FOLDER + int(name.partition(".")[0])


def identity_of(number: int) -> Identity:
    """Give what says that a file is as it was."""
    return Identity(_SIZE + number % 1000, _TIME + number, _TIME + number, 100_000 + number)


def digest_of(number: int) -> bytes:
    """Give the digest of its content."""
    return sha256(b"%d" % number).digest()


def blocks(count: int, size: int) -> Iterator[range]:
    """Cut the numbers up to ``count`` into ranges of ``size``, the last one shorter."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
