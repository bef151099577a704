"""Locations: a path on this machine, or a URL that fsspec opens. Nothing here is heavy.

A URL is ``s3://bucket/key``, ``https://host/name``, or chained as fsspec has it, the outermost
first: ``zip://inner/folder::s3://bucket/photos.zip``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

# One letter is a drive of Windows.
_PROTOCOL = r"[A-Za-z][A-Za-z0-9+.-]+"
_URL = re.compile(rf"{_PROTOCOL}(?:::{_PROTOCOL})*://")
# These are compiled when a URL is met.
_PROTOCOLS = rf"(?:^|::)({_PROTOCOL})(?=::|://)"
_FILE = "file://"
# What fsspec has no way to write to.
_READ_ONLY = frozenset({"http", "https", "zip", "tar", "libarchive", "github", "git", "data"})
_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"})
# A password, and what a signed address ends with: a query in which something is called so.
_USER_INFO = r"(://[^/@:\s]*):[^/@\s]+@"
_CALLED = r"(?:sig|signature|token|credential|secret|password|key)[^=&]*="
_SIGNATURE = rf"(?i)\?(?=\S*?{_CALLED})\S*?(?=::|$)"
# Inside of a file that is named by itself: zip://photos.zip is all that is in photos.zip.
_ARCHIVES = ("zip://", "tar://")


def is_url(location: str) -> bool:
    """Tell whether it is a URL, and not a path on this machine."""
    return _URL.match(location) is not None


def any_url(locations: Iterable[str]) -> bool:
    """Tell whether one of them is a URL."""
    return any(is_url(location) for location in locations)


def normalised(location: str) -> str:
    """Give a path for ``file://``, and the chained form of an archive that stands alone."""
    if location.startswith(_FILE):
        return location.removeprefix(_FILE)
    if location.startswith(_ARCHIVES) and "::" not in location:
        protocol, _, archive = location.partition("://")
        return f"{protocol}://::{archive}"
    return location


def path_or_url(location: str) -> str:
    """Give a path for ``file://``, and anything else as it is."""
    found = normalised(location)
    return location if is_url(found) else found


def protocols(url: str) -> list[str]:
    """List the protocols of a URL, the outermost first."""
    return re.findall(_PROTOCOLS, url)


def read_only(url: str) -> str:
    """Name what makes that nothing can be written to a URL; "" where nothing does."""
    chain = protocols(url)
    if chain[0] in _STORES:  # "::" in a key is no more than that
        return ""
    found = next((one for one in chain if one in _READ_ONLY), "")
    return found or ("::".join(chain) if len(chain) > 1 else "")


def absolute(location: str) -> str:
    """Give a location that does not depend on the current folder."""
    return location if is_url(location) else os.path.abspath(location)


def resolved(location: str) -> str:
    """Give what is the same for two names of one file, links followed; a URL as it is."""
    return location if is_url(location) else os.path.realpath(location)


def without_secrets(url: str) -> str:
    """Give a URL that may be told: without a password or a signature."""
    if not is_url(url):
        return url
    return re.sub(_SIGNATURE, "", re.sub(_USER_INFO, r"\1@", url))
