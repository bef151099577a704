"""Some of the training images as a network sees them, to measure its ranges with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from batchcls.crossvalidation import stratified_sample
from batchcls.errors import DecodeError, TagsError
from batchcls.framing import Framing, frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.records import TaggedImage

# Ranges are settled by then; more would only make the one conversion slower, and take memory.
PICTURES = 128
_SEED = 0


def calibration_images(
    tags: Sequence[TaggedImage], decoder: Decoder
) -> Callable[[int], NDArray[np.uint8]]:
    """Give a function of the input size: up to 128 pictures, of each class its share if it can be.

    Few images are taken in each framing, many in one each, turn and turn about. The result is
    uint8 ``[M, S, S, 3]``. Images that can't be read are left out; TagsError if none can.
    """

    def sample(size: int) -> NDArray[np.uint8]:
        classes = sorted({tag.label for tag in tags})
        targets = np.array([classes.index(tag.label) for tag in tags], dtype=np.intp)
        chosen = stratified_sample(targets, PICTURES)
        chosen = np.random.default_rng(_SEED).permutation(chosen)[:PICTURES]
        framings = list(Framing)
        each = len(chosen) * len(framings) <= PICTURES
        squares = []
        for place, index in enumerate(chosen):
            try:
                picture = decoder.decode(tags[int(index)].path, size)
            except DecodeError:  # training itself tells of it
                continue
            wanted = framings if each else [framings[place % len(framings)]]
            squares += [frame(picture, framing, size) for framing in wanted]
        if not squares:
            raise TagsError(["none of the images can be read"])
        return np.stack(squares)

    return sample
