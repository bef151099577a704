"""URLs → file systems of fsspec, with the options that the settings have for their protocols."""

from __future__ import annotations

import contextlib
from datetime import datetime
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
# The first of the names that a protocol has, under which its options may stand.
_FAMILIES = {
    "s3a": "s3",
    "gcs": "gs",
    "abfs": "az",
    "abfss": "az",
    "http": "https",
}


# What reports, summaries and models at URLs are opened with: they have only their URL.
_in_use: list[Settings] = []


def use_settings(settings: Settings) -> None:
    """Let ``settings_in_use`` be these, in this process."""
    _in_use[:] = [settings]


def settings_in_use() -> Settings:
    """Give the settings of the command, or the defaults where there is none."""
    if _in_use:
        return _in_use[0]
    from batchcls.settings import Settings

    return Settings()


def filesystem(
    url: str, settings: Settings, *, fresh: bool = False
) -> tuple[AbstractFileSystem, str]:
    """Give the file system that a URL belongs to, and the path in it.

    Options come from ``[filesystem.PROTOCOL]``, and ``[storage]``. With ``fresh`` it is one that
    nobody else has. Raises UsageError where what opens the protocol is not installed, there is no
    such protocol, or it can't take the options.
    """
    what = shown(without_secrets(url))
    url = normalised(url)
    chain = chain_of(url)
    extra = next((_EXTRAS[one] for one in chain if one in _EXTRAS), "remote")
    try:
        from fsspec.core import get_filesystem_class, url_to_fs
    except ImportError:
        raise UsageError(
            f"{what}: URLs need the package fsspec",
            hint=f"Install it: pip install 'batchcls[{extra}]'",
        ) from None
    try:
        if len(chain) > 1 or not url.startswith(f"{chain[0]}://"):
            options = {one: options_of(one, settings) for one in chain}
            found: tuple[AbstractFileSystem, str] = url_to_fs(url, **options)
        else:
            # Not by url_to_fs, to which "::" in a key is the mark of a chain.
            kind = get_filesystem_class(chain[0])
            options = {**kind._get_kwargs_from_urls(url), **options_of(chain[0], settings)}
            found = kind(**options, skip_instance_cache=fresh), kind._strip_protocol(url)
        if type(found[0]).__module__ == "s3fs.core" and found[0].session is None:
            _read_times_fast(found[0])
    except ImportError as error:
        raise UsageError(
            f"{what}: {shown(str(error))}", hint=f"Install it: pip install 'batchcls[{extra}]'"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{what}: {shown(str(error))}",
            hint=f"Check the spelling, and the options in [filesystem.{chain[0]}].",
        ) from None
    if hasattr(found[0], "retries"):
        found[0].retries = 1  # retrying.py tries again
    return found


def _read_times_fast(fs: Any) -> None:  # noqa: ANN401 - an S3FileSystem
    """Have a listing's times read without dateutil, which takes five sixths of what a name costs.

    (Measured: 181 µs for a name in an answer of S3, and 32 without.)
    """
    from aiobotocore.session import AioSession
    from botocore.utils import parse_timestamp

    def moment(text: Any) -> datetime:  # noqa: ANN401 - what a parser meets
        if isinstance(text, str) and text.endswith("Z"):
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(f"{text[:-1]}+00:00")
        found: datetime = parse_timestamp(text)
        return found

    fs.session = AioSession(**fs.kwargs)
    factory = fs.session.get_component("response_parser_factory")
    factory.set_parser_defaults(timestamp_parser=moment)


def chain_of(url: str) -> list[str]:
    """List the protocols of a URL, the outermost first; for one that is no wrapper, just that."""
    found = protocols(url)
    return found[:1] if found[:1] and found[0] in _EXTRAS else found


def options_of(protocol: str, settings: Settings) -> dict[str, Any]:
    """Give the options of a protocol, by any of its names, and what [storage] says in its terms."""
    family = _FAMILIES.get(protocol, protocol)
    options = dict(settings.filesystem.get(protocol, settings.filesystem.get(family, {})))
    storage = settings.storage
    if family in {"s3", "gs", "az"}:
        options.setdefault("use_listings_cache", False)  # it would hold all names
    if family == "s3":
        options["config_kwargs"] = {
            "connect_timeout": storage.timeout,
            "read_timeout": storage.timeout,
            # Some more, for those that don't wait for their turn.
            "max_pool_connections": storage.connections + 16,
            "retries": {"total_max_attempts": 1},
            **options.get("config_kwargs", {}),
        }
    elif family == "https":
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=storage.timeout, sock_read=storage.timeout
        )
        given = options.get("client_kwargs", {})
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True, **given}
    return options
