"""URLs → file systems of fsspec, with the options that the settings have for their protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchcls.errors import UsageError
from batchcls.locations import normalised, protocols, without_secrets
from batchcls.text import shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from batchcls.settings import Settings

# The extra of this package that brings a protocol.
_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "abfs": "az",
    "abfss": "az",
    "adl": "az",
    "http": "http",
    "https": "http",
}


def filesystem(url: str, settings: Settings) -> tuple[AbstractFileSystem, str]:
    """Give the file system that a URL belongs to, and the path in it.

    Options come from ``[filesystem.PROTOCOL]``. Raises UsageError where what opens the protocol is
    not installed, there is no such protocol, or it can't take the options.
    """
    what = shown(without_secrets(url))
    chain = protocols(url)
    extra = next((_EXTRAS[one] for one in chain if one in _EXTRAS), "remote")
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            f"{what}: URLs need the package fsspec",
            hint=f"Install it: pip install 'batchcls[{extra}]'",
        ) from None
    options: dict[str, Any] = {one: _options(one, settings) for one in chain}
    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(normalised(url), **options)
    except ImportError as error:
        raise UsageError(
            f"{what}: {shown(str(error))}", hint=f"Install it: pip install 'batchcls[{extra}]'"
        ) from None
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{what}: {shown(str(error))}",
            hint=f"Check the spelling, and the options in [filesystem.{chain[0]}].",
        ) from None
    return found


def _options(protocol: str, settings: Settings) -> dict[str, Any]:
    return dict(settings.filesystem.get(protocol, {}))
