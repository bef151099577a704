"""Decode: one file → a picture, or the reason why not.

The format is told by the content, never by the name. Whatever is wrong with a file ends as a
:class:`DecodeError` with a reason for the report; nothing that a file holds ends a run.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from batchcls.colour import displayable
from batchcls.errors import DecodeError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile as PillowFile

DEFAULT_MAX_PIXELS = 250_000_000

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size as long as its short side keeps at least this
# many pixels: twice what the tightest framing of a 224-pixel input needs. docs/performance.md
# has what less of it costs.
REDUCED_SHORT_SIDE = 512

_EXIF_ORIENTATION = 0x0112
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"})
_REASONS = {
    errno.ENOENT: "no such file: it vanished after it was found, or is a dangling link",
    errno.ESTALE: "no such file: it vanished after it was found",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "a folder, not an image file",
    errno.ELOOP: "a link that leads back to itself",
    errno.ENXIO: "not a regular file",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image, not yet framed.

    ``image`` is in mode L, LA, RGB, RGBA or CMYK; ``orientation`` is the EXIF one (1 to 8) that is
    still to be applied; ``profile`` is the embedded ICC profile, or empty.
    """

    image: Image.Image
    orientation: int
    profile: bytes


class Decoder:
    """Decodes files one at a time; safe to share between threads."""

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        # Ours is the limit that counts (below). Pillow's own, smaller one must not come first, but
        # it stays as a second line for images inside an image, such as the PNG in an icon.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)

    def decode(self, path: str) -> Picture:
        """Decode the first frame of ``path``. Raises DecodeError with the reason."""
        try:
            with _open_regular(path) as file:
                return self._decode(file)
        except DecodeError:
            raise
        except MemoryError:
            raise DecodeError("not enough memory to decode it") from None
        except OSError as error:
            raise DecodeError(_reason(error)) from error
        except Exception as error:
            raise DecodeError(
                _tidy(f"can't be decoded: {type(error).__name__}: {error}")
            ) from error

    def _decode(self, file: IO[bytes]) -> Picture:
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            raise DecodeError(_what_else(file)) from None
        except Image.DecompressionBombError:
            raise DecodeError(self._too_large("")) from None
        with image:
            width, height = image.size
            if width * height > self.max_pixels:
                raise DecodeError(self._too_large(f"{width} x {height}, "))
            if width < 1 or height < 1:
                raise DecodeError("has no pixels")
            image.draft(None, (REDUCED_SHORT_SIDE, REDUCED_SHORT_SIDE))
            image.load()
            profile = image.info.get("icc_profile")
            return Picture(
                image=displayable(image),
                orientation=_orientation(image),
                profile=profile if isinstance(profile, bytes) else b"",
            )

    def _too_large(self, size: str) -> str:
        return f"too large: {size}more than {self.max_pixels:,} pixels (decode.max_pixels)"


def _open_regular(path: str) -> IO[bytes]:
    """Open a regular file, and no other: opening a named pipe would wait for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    raise DecodeError(_REASONS[errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO])


def _orientation(image: PillowFile) -> int:
    """Read the EXIF orientation; 1, upright, where there is none or the EXIF data is broken.

    To be called after loading: PNG may have it behind the pixels, and TIFF is turned on loading.
    """
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - broken metadata is no reason to lose the image
        return 1
    return value if value in range(1, 9) else 1


def _what_else(file: IO[bytes]) -> str:
    """Say what a file is that no decoder knows."""
    file.seek(0)
    head = file.read(12)
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "a HEIF image, which needs the package pillow-heif (pip install 'batchcls[heif]')"
    return "not an image, or of a format that can't be read here"


def _reason(error: OSError) -> str:
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    return _tidy(f"can't be read: {error.strerror or error}")


def _tidy(reason: str) -> str:
    """Make one short line of a decoder's message, which may quote the file's bytes."""
    printable = " ".join(reason.encode("utf-8", "backslashreplace").decode("utf-8").split())
    return printable[:300]
