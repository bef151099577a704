"""Which formats can be read here: Pillow's own, and those that installed plugins of Pillow add."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from batchcls.errors import ConfigError

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


@cache
def register_plugins(extra_modules: tuple[str, ...] = ()) -> None:
    """Import Pillow's formats and the plugins of Pillow that are installed.

    ``extra_modules`` (``decode.pillow_plugins`` in the configuration) are imported too, and must
    exist; each registers itself on import.
    """
    from PIL import Image

    Image.init()
    for module_name, functions in _KNOWN_PLUGINS.items():
        if find_spec(module_name) is None:
            continue
        try:
            module = import_module(module_name)
            for function in functions:
                getattr(module, function)()
        except (ImportError, OSError, AttributeError):
            continue  # a broken installation of something that nobody asked for
    for module_name in extra_modules:
        try:
            import_module(module_name)
        except ImportError as error:
            raise ConfigError(
                f"decode -> pillow_plugins: {module_name}: {error}",
                hint="Install the package that provides it, or take the line out.",
            ) from error


def image_suffixes(extra_modules: Sequence[str] = ()) -> frozenset[str]:
    """Give the extensions that count as images, lower-case, with the dot."""
    from PIL import Image

    register_plugins(tuple(extra_modules))
    return frozenset(
        suffix.lower()
        for suffix, name in Image.registered_extensions().items()
        if name not in _NEVER_DECODED
    )
