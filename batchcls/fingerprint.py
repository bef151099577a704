"""Fingerprints: all that decides a result, in a name, so that no result outlives it.

Pixels depend on Pillow, features on what runs the network, too: another version of either may give
other numbers in the last place, and a report must not depend on what was kept. Versions are read
from the installed packages' metadata; nothing is imported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from batchcls import __version__
from batchcls.text import shown
from batchcls.thumbnails import FORM

if TYPE_CHECKING:
    from batchcls.manifest import Manifest
    from batchcls.settings import Settings

# To be raised with every change to which files are refused, and with which words.
# (framing.PREPROCESSING counts the changes to pixels.)
DECODING = 3
# To be raised with every change to how probabilities become a label or a distance.
CLASSIFYING = 1
# To be raised with every change to which extensions count besides those of the decoders.
SUFFIXES = 2
# What decodes, besides the modules that the configuration names. (See imageformats.)
_DECODERS = (
    "pillow",
    "simplejpeg",
    "pillow-heif",
    "pillow-avif-plugin",
    "pillow-jxl-plugin",
    "pillow-jpls",
)
# What resizes, besides Pillow; without it the pixels are others.
_RESIZERS = ("cykooz-resizer",)
# What runs the networks that ship: LiteRT, or TensorFlow where a network needs it.
_RUNTIMES = ("numpy", "ai-edge-litert", "tensorflow", "tensorflow-cpu")
_CLASSIFIERS = ("numpy", "scikit-learn")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def decoding(settings: Settings) -> str:
    """Name how a file becomes pixels."""
    machine = f"{platform.system()} {platform.machine()}"
    formats = f"{_versions(_DECODERS)} {_modules(settings.decode.pillow_plugins)}"
    return f"decoding={DECODING} {machine} {formats} pixels={settings.decode.max_pixels}"


def failing(settings: Settings) -> str:
    """Name what decides whether a file can't be decoded: also how long it may take."""
    return f"{decoding(settings)} seconds={settings.decode.max_seconds:g}"


def featurizing(settings: Settings, manifest: Manifest, framing: str) -> str:
    """Name how a file becomes features in ``framing``."""
    entry = manifest.featurizer
    return features_name(
        settings,
        digest=entry.digest,
        framing=framing,
        preprocessing=entry.preprocessing,
        plugin=entry.plugin,
    )


def drawing(settings: Settings) -> str:
    """Name what decides a thumbnail."""
    return f"thumbnail form={FORM} {_versions(_RESIZERS)} {decoding(settings)}"


def features_name(
    settings: Settings, *, digest: str, framing: str, preprocessing: int, plugin: str
) -> str:
    """Name how a file becomes features, by the parts of it."""
    network = f"network {digest} framing={framing} preprocessing={preprocessing}"
    versions = _versions([*_RESIZERS, *_RUNTIMES, *_with_requirements(plugin)])
    return f"{network} {versions} {decoding(settings)}{_files(settings)}"


def predicting(settings: Settings, manifest: Manifest, model_digest: str) -> str:
    """Name how a file becomes a label."""
    features = featurizing(settings, manifest, manifest.featurizer.framing)
    packages = _versions([*_CLASSIFIERS, *_with_requirements(manifest.classifier.plugin)])
    return f"model {model_digest} classifying={CLASSIFYING} {packages} {features}"


def installed() -> dict[str, str]:
    """Give what has to be the same on two machines for the same results: versions, by name."""
    packages = (*_DECODERS, *_RESIZERS, *_RUNTIMES, *_CLASSIFIERS)
    found = {name: _version(name) for name in dict.fromkeys(packages)}
    return {"batchcls": __version__, "machine": platform.machine(), **found}


def differing(needed: Mapping[str, str], found: Mapping[str, str]) -> str:
    """Say which versions are others than are needed; nothing where none is."""
    return ", ".join(
        f"{shown(name)} {shown(found.get(name) or 'missing')}, not {shown(version or 'missing')}"
        for name, version in needed.items()
        if found.get(name, "") != version
    )


def _files(settings: Settings) -> str:
    """Name the plugins that are files by their content: any may be the network, or change it."""
    return "".join(f" {shown(os.path.basename(path))}={_digest(path)}" for path in settings.plugins)


def _with_requirements(plugin: str) -> list[str]:
    """List a plugin's package, given as `name version`, and what it requires to be installed."""
    name = plugin.partition(" ")[0]
    if not _NAME.fullmatch(name):
        return []
    try:
        needed = requires(name) or []
    except PackageNotFoundError:
        needed = []
    matches = (_NAME.match(one) for one in needed if "extra ==" not in one)
    return [name, *(match[0] for match in matches if match and match[0] != "batchcls")]


def _versions(packages: Iterable[str]) -> str:
    found = ((name, _version(name)) for name in dict.fromkeys(packages))
    return " ".join(f"{name}-{number}" for name, number in found if number)


@cache
def _version(package: str) -> str:
    """Give the version of an installed package, empty if it isn't."""
    if not _NAME.fullmatch(package):
        return ""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def suffixes_name(pillow_plugins: Sequence[str]) -> str:
    """Name what decides which extensions are those of images."""
    return f"suffixes {SUFFIXES} {_versions(_DECODERS)} {_modules(pillow_plugins)}"


def _modules(names: Sequence[str]) -> str:
    """Name modules that add formats to Pillow by their packages' versions, and their content.

    They need not belong to a package. What they import in turn is not looked at.
    """
    parts = []
    for name in names:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError, AttributeError):  # of one that holds it
            spec = None
        origin = spec.origin if spec is not None else None
        versions = _versions([name, name.replace("_", "-")])
        parts.append(f"{name}={_digest(origin)} {versions}".rstrip())
    return " ".join(parts)


def _digest(path: str | None) -> str:
    try:
        with open(path or "", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return "missing"
