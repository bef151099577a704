"""Made-up data for the checks, the same each time: features with targets, and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How far apart the middles of the classes are, in deviations of their images: scores that are 0 or
# 1 would hide a last bit that differs, so most data overlap.
_OVERLAPPING = 0.5
_APART = 12.0


@dataclass(frozen=True)
class Dataset:
    """``features``, float32 ``[N, D]``, of ``targets``, int ``[N]``; ``fresh`` ones of the kind.

    ``what`` says in words what is special about it.
    """

    what: str
    features: NDArray[np.float32]
    targets: NDArray[np.intp]
    class_count: int
    fresh: NDArray[np.float32]
    fresh_targets: NDArray[np.intp]

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.features.shape[1])

    def __str__(self) -> str:
        images = "1 image" if len(self.features) == 1 else f"{len(self.features)} images"
        what = f" ({self.what})" if self.what else ""
        return f"{images} of {self.class_count} classes, {self.dimension} features{what}"


def blobs(
    counts: Sequence[int],
    dimension: int,
    what: str = "",
    *,
    apart: float = _OVERLAPPING,
    fresh: int = 20,
    seed: int = 0,
) -> Dataset:
    """Give a cloud of images for each class, ``counts`` of each, in mixed order."""
    random = np.random.default_rng(seed)
    class_count = len(counts)
    middles = random.normal(0, 1, (class_count, dimension))
    middles *= apart * np.sqrt(dimension) / np.linalg.norm(middles, axis=1, keepdims=True)

    def some(targets: NDArray[np.intp]) -> NDArray[np.float32]:
        spread = random.normal(0, 1, (len(targets), dimension))
        return (middles[targets] + spread).astype(np.float32)

    targets = random.permutation(np.repeat(np.arange(class_count), counts)).astype(np.intp)
    fresh_targets = (np.arange(fresh) % class_count).astype(np.intp)
    return Dataset(what, some(targets), targets, class_count, some(fresh_targets), fresh_targets)


def usual() -> Dataset:
    """Give the data of most checks: odd sizes, so that no edge has the length of another."""
    return blobs([5, 7, 4, 6, 5, 4, 6], 23, seed=1, fresh=41)


def wide() -> Dataset:
    """Give data with as many features as networks have."""
    return blobs([3, 4, 5], 1280, seed=2, fresh=41)


def separable() -> Dataset:
    """Give classes that are far apart: whatever learns gets them right."""
    return blobs([20] * 5, 16, "far apart", apart=_APART, fresh=40, seed=3)


def few_images() -> Iterator[Dataset]:
    """Yield what little a user may tag."""
    for counts, what in (
        ([2, 2], "2 of each"),
        ([2] * 5, "2 of each"),
        ([1, 5], "1 of a class"),
        ([4, 1, 4, 1, 4], "1 of some classes"),
        ([1, 1], "1 of each"),
        ([1] * 5, "1 of each"),
    ):
        yield blobs(counts, 16, what, seed=4)


def other_dimensions() -> Iterator[Dataset]:
    """Yield more features than images, and more images than features."""
    for classes in (2, 5):
        yield blobs([3] * classes, 400, "more features than images", seed=5)
        yield blobs([20] * classes, 3, "more images than features", seed=5)


def degenerate() -> Iterator[Dataset]:
    """Yield features that do not vary, and images that are equal."""
    two, five = (blobs([4] * classes, 16, seed=6) for classes in (2, 5))
    some = five.features.copy()
    some[:, ::2] = np.arange(8)
    yield _changed(five, "features that do not vary", some)
    yield _changed(two, "no feature varies", np.full_like(two.features, 0.7))
    yield _changed(five, "all features are 0", np.zeros_like(some))
    twins = two.features.copy()
    twins[1::2] = twins[::2]
    yield _changed(two, "equal images, some of different classes", twins)


def scaled() -> Iterator[Dataset]:
    """Yield features that are large, tiny, or far from 0."""
    two, five = (blobs([6] * classes, 16, seed=7) for classes in (2, 5))
    for data, what, scale, offset in (
        (two, "a millionth in size", 1e-6, 0.0),
        (five, "a million in size", 1e6, 0.0),
        (two, "far from 0", 1.0, 1e4),
        (five, "of mixed sizes", np.geomspace(1e-4, 1e4, five.dimension), 0.0),
    ):
        features = (data.features * scale + offset).astype(np.float32)
        yield _changed(data, what, features, (data.fresh * scale + offset).astype(np.float32))


def pictures(size: int, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Give ``count`` smooth coloured pictures, uint8 ``[count, size, size, 3]``."""
    from PIL import Image

    random = np.random.default_rng(seed)
    made = np.empty((count, size, size, 3), np.uint8)
    for index in range(count):
        edge = int(random.integers(4, 20))
        small = Image.fromarray(random.integers(0, 256, (edge, edge, 3), dtype=np.uint8))
        made[index] = np.asarray(small.resize((size, size), Image.Resampling.BILINEAR))
    return made


def plain_pictures(size: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield pictures of one colour, uint8 ``[1, size, size, 3]``, and what they are called."""
    for what, colour in (
        ("black", (0, 0, 0)),
        ("white", (255, 255, 255)),
        ("grey", (128, 128, 128)),
        ("red", (255, 0, 0)),
    ):
        picture = np.empty((1, size, size, 3), np.uint8)
        picture[:] = colour
        yield what, picture


def _changed(
    data: Dataset,
    what: str,
    features: NDArray[np.float32],
    fresh: NDArray[np.float32] | None = None,
) -> Dataset:
    fresh = data.fresh if fresh is None else fresh
    return Dataset(what, features, data.targets, data.class_count, fresh, data.fresh_targets)
