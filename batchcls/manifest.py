"""The manifest of a model file: what it is, for the program and for people."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

# To bump it: raise the number, teach `_manifest` to read the old form as the new one, and add a
# file of the old format to the tests. 2 brought `novelty/`; 1 is the same without it.
FORMAT = 2
OLDEST_FORMAT = 1

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class FeaturizerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which featurizer; ``digest`` is its own, ``framing`` the way images are framed for it.

    ``preprocessing`` numbers the way from a file to pixels (``framing.PREPROCESSING``).
    ``restored_by`` is the provider that can restore it, empty for the one of its own name;
    ``plugin`` the package and version that it came from, empty where it ships with batchcls.
    """

    name: Name
    digest: Name
    framing: Name
    preprocessing: int
    input_size: int
    dimension: int
    options: dict[str, Any] = {}
    restored_by: str = ""
    plugin: str = ""


class ClassifierEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Which classifier, the options it was fitted with, and the plugin that it came from."""

    name: Name
    options: dict[str, Any] = {}
    plugin: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``manifest.json``. ``classes`` are in the order of the scores."""

    format: int = FORMAT
    batchcls: str
    """Version that wrote it."""
    created: str
    """When, ISO 8601, UTC."""
    classes: list[str]
    featurizer: FeaturizerEntry
    classifier: ClassifierEntry
    training: dict[str, Any] = {}
    """How it was trained, for people to read."""
    metrics: dict[str, Any] = {}
    """What cross-validation found, for people to read."""
    members: dict[str, str] = {}
    """SHA-256, hex, of every other member."""
