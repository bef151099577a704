"""Pictures: what decoding gives and framing takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchcls.room import Place

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image, not yet framed.

    ``image`` is in mode L, LA, RGB, RGBA or CMYK; ``orientation`` is the EXIF one (1 to 8) that is
    still to be applied; ``profile`` is the embedded ICC profile, or empty. ``place`` is the room
    that it takes until it is closed, or collected; others may wait for it.
    """

    image: Image.Image
    orientation: int
    profile: bytes
    place: Place = field(default_factory=Place, repr=False, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """Give width and height."""
        return self.image.size

    def close(self) -> None:
        """Give the room back, once the picture is needed no more."""
        self.place.close()


@dataclass(frozen=True, slots=True)
class Samples:
    """A decoded image that is nothing but its samples, which Pillow need not see.

    ``data`` are those of ``[height, width, channels]``, bytes; one channel is grey, three are RGB.
    It takes no room: it is small.
    """

    data: bytes
    size: tuple[int, int]
    channels: int
    orientation: int

    @property
    def image(self) -> Image.Image:
        """Give them as an image of Pillow's, for whoever needs one."""
        from PIL import Image

        return Image.frombytes("L" if self.channels == 1 else "RGB", self.size, self.data)

    def close(self) -> None:
        """Do as a picture does."""
