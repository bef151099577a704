"""Settings → the parts that the pipeline is handed."""

from __future__ import annotations

import os
from collections.abc import Container
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from batchcls import fingerprint
from batchcls.context import Context
from batchcls.errors import ConfigError
from batchcls.locations import any_url, is_url, normalised
from batchcls.plugins import registry
from batchcls.records import ReportRequest
from batchcls.scanrules import ScanRules
from batchcls.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from batchcls.decode import Decoder
    from batchcls.engines.local import LocalEngine
    from batchcls.interfaces import Engine, ReportFormat
    from batchcls.outline import Outline
    from batchcls.records import ImageFile
    from batchcls.remote.reading import RemoteFiles
    from batchcls.settings import Settings
    from batchcls.store.memory import StoreMemory
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal

STDOUT = "-"
DEFAULT_FORMAT = ".csv"

Item = TypeVar("Item")
Result = TypeVar("Result")


def scan_rules(
    settings: Settings, *, skip: Sequence[str] = (), store: Store | None = None
) -> ScanRules:
    """Give the rules of the scan; ``skip`` are files that are never taken, such as the report.

    ``store`` may know which extensions are those of images; otherwise Pillow is loaded to tell,
    when one is met that is not of the most common.
    """
    never = set()
    for path in skip:
        if path in {"", STDOUT}:
            continue
        if is_url(path):
            never.add(path)
            continue
        folder, name = os.path.split(os.path.abspath(path))
        # By its own name and, where it is a link, by its target's.
        never |= {os.path.join(os.path.realpath(folder), name), os.path.realpath(path)}
    scan = settings.scan
    return ScanRules(
        suffixes=_suffixes(settings.decode.pillow_plugins, store),
        all_files=scan.all_files,
        include=tuple(scan.include),
        exclude=tuple(scan.exclude),
        hidden=scan.hidden,
        follow_links=scan.follow_links,
        skip=frozenset(never),
    )


def _suffixes(pillow_plugins: Sequence[str], store: Store | None) -> Container[str]:
    name = fingerprint.suffixes_name(pillow_plugins)
    noted = store.note(name) if store is not None else None
    if noted is not None:
        return frozenset(noted.split())
    from batchcls.imageformats import COMMON_SUFFIXES, image_suffixes

    def find() -> frozenset[str]:
        found = image_suffixes(pillow_plugins)
        if store is not None:
            store.set_note(name, " ".join(sorted(found)))
        return found

    # A module that the configuration names must be there, whatever is met.
    return find() if pillow_plugins else _Suffixes(COMMON_SUFFIXES, find)


class _Suffixes(Container[str]):
    """Those that are ``common``, and those that ``find`` gives, when another one is met."""

    def __init__(self, common: frozenset[str], find: Callable[[], frozenset[str]]) -> None:
        self._common, self._find = common, find

    def __contains__(self, suffix: object) -> bool:
        return suffix in self._common or (suffix != "" and suffix in self._all)

    @cached_property
    def _all(self) -> frozenset[str]:
        return self._find()


def decoder(settings: Settings) -> Decoder:
    """Give the decoder."""
    from batchcls.decode import Decoder

    return Decoder(settings.decode.max_pixels)


def remote_files(
    settings: Settings, touch: Callable[[], object], wants: Callable[[ImageFile], bool]
) -> RemoteFiles | None:
    """Give what lists and reads the images of a run where any are at URLs, and otherwise None.

    ``touch`` is called while a storage is waited for; ``wants`` tells which are to be read.
    """
    if not any_url(map(normalised, settings.run.images)):
        return None
    from batchcls.remote.reading import RemoteFiles

    return RemoteFiles(settings, touch, wants=wants)


def engine(settings: Settings) -> LocalEngine:
    """Give the engine."""
    from batchcls.engines.local import LocalEngine

    return LocalEngine(settings.run.jobs)


def context(settings: Settings, terminal: Terminal) -> Context:
    """Give what a provider is told."""
    return Context(settings, say=terminal.say, warn=terminal.warn, progress=terminal.download)


def run_engine(settings: Settings, terminal: Terminal) -> LazyEngine:
    """Give the engine that ``[run] engine`` names, which is made when it is first used.

    Raises UsageError where there is none of that name, or an option of it is wrong.
    """
    from batchcls.options import checked_options, made

    name = settings.run.engine
    provider = registry().engine(name)
    owner = f"the engine {shown(name)}"
    given = settings.engine.get(name, {})
    options = checked_options(owner, provider.create, given)
    told = context(settings, terminal)
    distant = bool(getattr(provider, "distant", False))
    return LazyEngine(lambda: made(owner, provider.create, told, options=options), distant)


class LazyEngine:
    """An engine that is made when there is work for it; ``distant`` as its provider has it."""

    def __init__(self, make: Callable[[], Engine], distant: bool) -> None:
        self._make, self.distant = make, distant

    def map(self, work: Callable[[Item], Result], chunks: Iterable[Item]) -> Iterator[Result]:
        """Yield ``work(chunk)`` for each chunk."""
        return self._make().map(work, chunks)


def store_folder(settings: Settings) -> str:
    """Give the folder of the store, which may not exist yet. Raises ConfigError for a URL."""
    if is_url(settings.store.folder):
        raise ConfigError(
            f"store -> folder: {shown(settings.store.folder)}: the store is a folder, on a disk of "
            "this machine",
            hint="Name a folder, or leave it out.",
        )
    if settings.store.folder:
        return settings.store.folder
    import platformdirs

    return os.path.join(platformdirs.user_cache_dir("batchcls", appauthor=False), "store")


def open_store(settings: Settings, terminal: Terminal) -> Store | None:
    """Open the store; None without one, which is told unless the settings want none."""
    if not settings.store.enabled:
        return None
    from batchcls.store.schema import StoreError
    from batchcls.store.store import Store

    try:
        return Store(store_folder(settings), terminal.warn)
    except StoreError as error:
        terminal.warn(f"the store: {error.message}; going on without it. {error.hint}".rstrip())
        return None


def model_memory(
    settings: Settings,
    name: str,
    outline: Outline,
    store: Store,
    *,
    all_scores: bool = False,
    thumbnails: bool = False,
) -> StoreMemory:
    """Give what the store knows for a model, and will: ``name`` is what it is called by.

    ``all_scores`` where more than the first few may be asked for; ``thumbnails`` where such are
    wanted, too.
    """
    from batchcls.store.memory import StoreMemory, Ways

    manifest = outline.manifest
    entry = manifest.featurizer
    featurizing = fingerprint.featurizing(settings, manifest, entry.framing)
    predicting = fingerprint.predicting(settings, manifest, outline.digest)
    drawing = store.way(fingerprint.drawing(settings), "thumbnails") if thumbnails else -1
    ways = Ways(
        decoding=store.way(fingerprint.failing(settings), "unreadable"),
        featurizing=(store.way(featurizing, f"features {entry.name} {entry.framing}"),),
        predicting=store.way(predicting, f"labels {name}"),
        drawing=drawing,
    )
    return StoreMemory(
        store,
        ways,
        entry.dimension,
        manifest.classes,
        all_scores=all_scores,
        reasons=settings.report.explain,
    )


def report_format(output: str) -> ReportFormat:
    """Give the format that the ending of the output tells; ``-`` and devices have none."""
    suffix = os.path.splitext(output)[1].lower() or DEFAULT_FORMAT
    return registry().report_format(suffix)


def report_request(settings: Settings, classes: Sequence[str]) -> ReportRequest:
    """Give what the report is to hold."""
    asked = settings.report
    return ReportRequest(classes, asked.top, asked.scores, asked.explain)
