"""Which formats can be read here: Pillow's own, and those that installed plugins of Pillow add."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING

from batchcls.errors import ConfigError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile as PillowFile

# What Pillow has at once (Image.preinit), and extensions of it; all others take 0.03 s to load.
_COMMON_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PPM", "PNG")
COMMON_SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".apng", ".png"})

# Pillow has no entry points; a plugin registers itself when it is imported, or when asked to.
_KNOWN_PLUGINS: dict[str, tuple[str, ...]] = {
    "pillow_avif": (),
    "pillow_heif": ("register_heif_opener",),
    "pillow_jxl": (),
    "pillow_jpls": (),
}

# Pillow registers these extensions, yet decodes none of them: it only writes PDF and PALM, and
# only recognises the others.
_NEVER_DECODED = frozenset({"PDF", "PALM", "BUFR", "GRIB", "HDF5", "MPEG"})

# Photographs all the same where nothing here decodes them: each is to have its row, with what to
# install as the reason.
_ALWAYS = frozenset({".heic", ".heif", ".hif", ".avif"})

# glibc's mallopt: what is at least this large is given back to the system when it is freed.
_M_MMAP_THRESHOLD, _GIVEN_BACK = -3, 2**20


_registering = threading.Lock()
_all_registered = threading.Event()


def open_image(file: IO[bytes]) -> PillowFile:
    """Open an image, as ``Image.open`` does; what is not common is loaded when it is first met."""
    from PIL import Image, UnidentifiedImageError

    if not _all_registered.is_set():
        Image.preinit()
        try:
            return Image.open(file, formats=_COMMON_FORMATS)
        except UnidentifiedImageError:
            register_plugins()
    return Image.open(file)


def require_plugins(modules: Sequence[str]) -> None:
    """Import the ``modules`` that the configuration names. Raises ConfigError for a missing one."""
    if modules:
        register_plugins(tuple(modules))


@cache
def register_plugins(extra_modules: tuple[str, ...] = ()) -> None:
    """Import Pillow's formats and the plugins of Pillow that are installed.

    ``extra_modules`` (``decode.pillow_plugins`` in the configuration) are imported too, and must
    exist; each registers itself on import. Raises ConfigError for one that can't be imported.
    """
    with _registering:
        _register_all()
    for module_name in extra_modules:
        try:
            import_module(module_name)
        except Exception as error:
            reason = str(error) if isinstance(error, ImportError) else repr(error)
            raise ConfigError(
                f"decode -> pillow_plugins: {module_name}: {reason}",
                hint="Install the package that provides it, or take the line out.",
            ) from error


@cache
def _register_all() -> None:
    from PIL import Image

    Image.preinit()  # first, as they are tried first: so a file is what it is, whatever came before
    Image.init()
    for module_name, functions in _KNOWN_PLUGINS.items():
        try:
            if find_spec(module_name) is None:
                continue
            module = import_module(module_name)
            for function in functions:
                getattr(module, function)()
        except Exception:  # noqa: BLE001, S112 - a broken installation that nobody asked for
            continue
    _all_registered.set()


def keep_quiet() -> None:
    """Let Pillow say nothing on standard error of this file or that: it would be cron's mail.

    What matters ends as a file's reason. All of this holds for the whole process.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_\w+)(\.|$)")
    _silence_logging_and_libtiff()


@cache
def _silence_logging_and_libtiff() -> None:
    # Without a handler, the logging module prints errors.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # So does libtiff; Pillow tells it to withhold warnings only.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(import_module("PIL._imaging").__file__).TIFFSetErrorHandler(None)


@cache
def give_memory_back() -> None:
    """Let the pixels of an image be gone when it is done with. It holds for the whole process.

    glibc would raise its own limit to the largest image seen (to 32 MB), and keep as much in each
    thread's heap, in pieces: with two threads it came to more than twice the memory.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # TypeError: on Windows
        library = ctypes.CDLL(None)
        if library.gnu_get_libc_version:  # musl and others have no such limit
            library.mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK)


def image_suffixes(extra_modules: Sequence[str] = ()) -> frozenset[str]:
    """Give the extensions that count as images, lower-case, with the dot.

    Raises ConfigError as :func:`register_plugins` does.
    """
    from PIL import Image

    register_plugins(tuple(extra_modules))
    return _ALWAYS | frozenset(
        suffix.lower()
        for suffix, name in Image.registered_extensions().items()
        if name not in _NEVER_DECODED and suffix  # saving a SPIDER image registers no suffix
    )
