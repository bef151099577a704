"""Decode: one file → a picture, or the reason why not.

The format is told by the content, never by the name. Whatever is wrong with a file ends as a
:class:`DecodeError` with a reason for the report; nothing that a file holds ends a run.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from batchcls import postscript
from batchcls.colour import displayable, tag
from batchcls.commonjpeg import decode_common, exif_orientation, is_jpeg
from batchcls.errors import DecodeError
from batchcls.imageformats import give_memory_back, keep_quiet, open_image
from batchcls.picture import Picture, Samples
from batchcls.pngcheck import all_rows_required, check_parts
from batchcls.reading import open_regular, read_reason
from batchcls.room import Place, Room, room_of_process
from batchcls.text import shown

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile as PillowFile

DEFAULT_MAX_PIXELS = 250_000_000

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size as long as its short side keeps at least this
# many pixels: a quarter more than the tightest framing of a 224-pixel input takes, and in
# proportion for larger inputs. docs/performance.md has what more or less of it costs.
DEFAULT_INPUT_SIZE = 224
REDUCED_SHORT_SIDE = 320

_PLANES, _SEPARATE = 284, 2  # a TIFF tag, and its value for one plane after another
# What begins like one of these, and yet no decoder takes it, is damaged.
_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_HINTS = {
    "HEIF": "a HEIF image, damaged, or in need of pillow-heif (pip install 'batchcls[heif]')",
    "AVIF": "an AVIF image, damaged, or in need of Pillow 11.3 or later",
}
# Pillow gives samples of other depths as 8 bits, but not so the transparent colour.
_TO_8_BITS = {"L;2": (85, 1), "L;4": (17, 1), "RGB;16B": (1, 256)}


class Decoder:
    """Decodes files one at a time; safe to share between threads.

    ``max_pixels`` is the limit on width times height, checked before pixels are decoded. ``room``
    is what large images wait for; without one it is that of the process.
    """

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS, room: Room | None = None) -> None:
        self.max_pixels = max_pixels
        self._room = room
        # Pillow refuses what has more than twice this, also images inside an image, such as the
        # PNG in an icon. It holds for the whole process, so it is only ever raised; for the image
        # itself, the limit that counts is the one below.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, (max_pixels + 1) // 2)
        keep_quiet()
        give_memory_back()

    def decode(self, path: str, input_size: int = DEFAULT_INPUT_SIZE) -> Picture | Samples:
        """Decode the first frame of ``path``. Raises DecodeError with the reason, and no other.

        ``input_size`` is the edge of the square that the picture will be framed to: a JPEG that is
        far larger is decoded at a reduced size. A large picture is to be closed once it is framed.
        """
        try:
            file = open_regular(path)
        except OSError as error:
            raise DecodeError(read_reason(error), lasting=False) from error
        except ValueError as error:  # a NUL in the name
            raise DecodeError(f"can't be read: {error}", lasting=False) from error
        with file:
            return self.decode_file(file, path, input_size)

    def decode_file(
        self,
        file: IO[bytes],
        path: str,
        input_size: int = DEFAULT_INPUT_SIZE,
        on_wait: Callable[[], object] | None = None,
    ) -> Picture | Samples:
        """Decode an opened file, as :meth:`decode` does; ``path`` is its own.

        ``on_wait`` is called now and then while a large image waits for room.
        """
        if isinstance(file, io.BytesIO):
            data = file.getvalue()  # which copies nothing
            if is_jpeg(data):
                common = decode_common(data, _short_side(input_size), self.max_pixels)
                if common is not None:
                    return common
        try:
            with _another(file) as own:
                return self._decode(own, path, input_size, on_wait)
        except (DecodeError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except MemoryError:
            raise DecodeError("not enough memory to decode it", lasting=False) from None
        except Image.DecompressionBombError as error:  # from an image inside the image, too
            pixels = re.search(r"\((\d+) pixels", str(error))
            raise DecodeError(
                self._too_large(f"{int(pixels[1]):,} pixels, " if pixels else "")
            ) from None
        except OSError as error:
            if error.errno is not None:  # the system's
                raise DecodeError(read_reason(error), lasting=False) from error
            message = str(error) or type(error).__name__
            raise DecodeError(_tidy(f"can't be decoded: {message}")) from error
        except BaseException as error:  # a decoder written in Rust panics outside of Exception
            raise DecodeError(_tidy(f"can't be decoded: {_message(error)}")) from error

    def _decode(
        self, file: IO[bytes], path: str, input_size: int, on_wait: Callable[[], object] | None
    ) -> Picture:
        try:
            image = open_image(file)
        except UnidentifiedImageError:
            raise DecodeError(_what_else(file)) from None
        except ValueError:
            if file.closed:  # by a decoder that took it for its own, and then refused it
                raise DecodeError("a damaged image") from None
            raise
        with image:
            self._check(image)
            if image.format == "PNG":
                check_parts(file)
            size = image.size
            short_side = _short_side(input_size)
            image.draft(None, (short_side, short_side))
            if not image.info.get("progressive"):  # that is held in full while it is decoded
                size = image.size
            place = (self._room or room_of_process()).take(size[0] * size[1], on_wait)
            try:
                return self._loaded(image, file, path, place)
            except BaseException:
                place.close()
                raise

    def _loaded(self, image: PillowFile, file: IO[bytes], path: str, place: Place) -> Picture:
        _mend_transparency(image)
        _require_all_tiles(image)
        with all_rows_required(image, file):
            loaded = _pixels(image, path)
        self._check(loaded)  # a size that only decoding brings to light
        if 0 in loaded.size:
            raise DecodeError("has no pixels")
        profile = image.info.get("icc_profile")
        return Picture(
            image=displayable(loaded),
            orientation=_orientation(image),
            profile=profile if isinstance(profile, bytes) else b"",
            place=place,
        )

    def _check(self, image: Image.Image) -> None:
        width, height = image.size
        if width * height > self.max_pixels:
            raise DecodeError(self._too_large(f"{width} x {height}, "))

    def _too_large(self, size: str) -> str:
        return f"too large: {size}more than {self.max_pixels:,} pixels (decode.max_pixels)"


def _short_side(input_size: int) -> int:
    """Give how many pixels the short side of a JPEG is to keep."""
    return max(REDUCED_SHORT_SIDE, -(-REDUCED_SHORT_SIDE * input_size // DEFAULT_INPUT_SIZE))


def _another(file: IO[bytes]) -> IO[bytes]:
    """Give the same file once more, at its beginning: some decoders close what they are given."""
    if isinstance(file, io.BytesIO):
        return io.BytesIO(file.getvalue())  # which copies nothing
    own = os.fdopen(os.dup(file.fileno()), "rb")
    own.seek(0)
    return own


def _pixels(image: PillowFile, path: str) -> Image.Image:
    """Decode the pixels, so that the file is needed no more."""
    if image.format == "EPS":
        return postscript.render(image, path)
    image.load()
    loaded: Any = image
    # Of a PNG inside an icon, Pillow's icons lose the palette and the transparent colour.
    if image.mode not in {"LA", "RGBA"}:
        if image.format == "ICNS":
            loaded = loaded.icns.getimage(loaded.best_size)
        elif image.format == "ICO":
            loaded = loaded.ico.getimage(image.size)
    loaded.load()
    return loaded  # type: ignore[no-any-return]


def _require_all_tiles(image: PillowFile) -> None:
    """Refuse a TIFF that lists fewer strips or tiles than it needs: the rest would be black."""
    if image.format != "TIFF" or not image.tile:
        return
    planes = 1
    if tag(image, _PLANES) == _SEPARATE and image.tile[0][0] != "libtiff":
        planes = len(image.getbands())
    boxes = (tile[1] or (0, 0, *image.size) for tile in image.tile)
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    if covered < image.width * image.height * planes:
        raise DecodeError("truncated: it has fewer strips or tiles than its size needs")


def _mend_transparency(image: PillowFile) -> None:
    """Bring a PNG's transparent colour, which is in the file's depth, to that of the pixels."""
    transparent = image.info.get("transparency")
    if image.format != "PNG" or transparent is None or not image.tile:
        return
    factor, divisor = _TO_8_BITS.get(str(image.tile[0][3]), (1, 1))
    if isinstance(transparent, int):
        image.info["transparency"] = transparent * factor // divisor
    elif isinstance(transparent, tuple):
        image.info["transparency"] = tuple(value * factor // divisor for value in transparent)


def _orientation(image: PillowFile) -> int:
    """Read the orientation, after loading: PNG may have it behind the pixels, a TIFF is turned."""
    return exif_orientation(image.getexif)


def _what_else(file: IO[bytes]) -> str:
    """Say what a file is that no decoder takes."""
    file.seek(0)
    head = file.read(16)
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _HINTS[_BRANDS[head[8:12]]]
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning) and (name != "WebP" or head[8:12] == b"WEBP"):
            return f"a damaged {name} image"
    return "not an image, or of a format that can't be read here"


def _message(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def _tidy(reason: str) -> str:
    """Make one short, printable line of a decoder's message, which may quote the file's bytes."""
    return shown(" ".join(reason.split()))[:300]
