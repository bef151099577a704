"""PostScript: EPS files → pixels, by Ghostscript where it is installed.

Pillow would run Ghostscript, too, but without a limit of time, and with its messages on our
standard output, which may be the report.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from PIL import Image

from batchcls.errors import DecodeError
from batchcls.locations import is_url

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile as PillowFile

# PostScript is a programming language: a file may well run for ever.
TIME_LIMIT = 60.0
_PROGRAMS = ("gs", "gswin64c", "gswin32c")


def render(image: PillowFile, path: str) -> Image.Image:
    """Draw the EPS file at ``path``, which Pillow opened as ``image``, on white: mode L or RGB.

    Raises DecodeError where there is no Ghostscript, or it fails or takes too long.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise DecodeError(
            "a PostScript image, which needs Ghostscript (the program gs)", lasting=False
        )
    (left, bottom, right, top), (width, height) = _bounds(image), image.size
    with tempfile.TemporaryDirectory(prefix="batchcls-") as folder:
        drawn = os.path.join(folder, "drawn.pnm")
        command = [program, "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dFIXEDMEDIA"]
        command += ["-sDEVICE=pnmraw", f"-sOutputFile={drawn}", f"-g{width}x{height}"]
        command += [f"-r{72 * width / (right - left):f}x{72 * height / (top - bottom):f}"]
        command += ["-c", f"{-left} {-bottom} translate", "-f", _source(image, path, folder)]
        command += ["-c", "showpage"]
        silent = subprocess.DEVNULL
        try:
            subprocess.run(
                command, stdin=silent, stdout=silent, stderr=silent, timeout=TIME_LIMIT, check=True
            )
        except subprocess.TimeoutExpired:
            raise DecodeError(
                f"Ghostscript took longer than {TIME_LIMIT:.0f} s", lasting=False
            ) from None
        except subprocess.CalledProcessError as error:
            raise DecodeError(f"Ghostscript fails ({error.returncode})", lasting=False) from None
        page: Image.Image
        try:
            with Image.open(drawn) as page:
                page.load()
        except OSError:
            raise DecodeError("Ghostscript drew nothing", lasting=False) from None
        return page


def _source(image: PillowFile, path: str, folder: str) -> str:
    """Give a path that Ghostscript can open: in ``folder``, for what is at a URL."""
    if not is_url(path):
        return os.path.abspath(path)
    file: Any = image.fp
    copy = os.path.join(folder, "image.eps")
    file.seek(0)
    with open(copy, "wb") as written:
        shutil.copyfileobj(file, written)
    return copy


def _bounds(image: PillowFile) -> tuple[float, float, float, float]:
    """Give the bounding box, in points, as Pillow read it."""
    arguments: Any = image.tile[0][3]  # the length and the box
    left, bottom, right, top = (float(edge) for edge in arguments[1])
    if right <= left or top <= bottom:
        raise DecodeError("has no pixels")
    return left, bottom, right, top
