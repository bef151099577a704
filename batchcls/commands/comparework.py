"""Two models, and what each says of the same images."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from batchcls import assembly
from batchcls.judging import Judge
from batchcls.outline import Outline, outline_of
from batchcls.pipeline import chunked
from batchcls.reading import Identity, identify
from batchcls.records import ImageFile, Outcome, Prediction
from batchcls.scan import scan
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.classification import ChunkClassifier
    from batchcls.settings import Settings
    from batchcls.store.memory import StoreMemory
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal


class Pair(NamedTuple):
    """An image, by its name in a report, and what each model says of it, as judged."""

    path: str
    old: Prediction
    new: Prediction


@dataclass
class Side:
    """One of the two models, by the ``name`` that it was given by.

    Called with a chunk of files, on any thread, it says what it makes of them. Its network is not
    loaded before there is an image that the store does not know its answer to.
    """

    name: str
    outline: Outline
    settings: Settings
    memory: StoreMemory | None
    _loading: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def classes(self) -> Sequence[str]:
        """Its labels."""
        return self.outline.manifest.classes

    def __call__(self, files: Sequence[ImageFile]) -> list[Prediction]:
        """Work on one chunk."""
        slots: Sequence[Outcome | ImageFile] = files
        if self.memory is not None:
            slots = self.memory.recall(files, [self._identity(file.path) for file in files])
        lacking = [slot for slot in slots if isinstance(slot, ImageFile)]
        found = iter(self._classifier_once()(lacking) if lacking else ())
        judge = Judge(self.settings.report.review_below, self.settings.report.unknown)
        outcomes = [slot if isinstance(slot, Outcome) else next(found) for slot in slots]
        return [judge(outcome.prediction) for outcome in outcomes]

    def _identity(self, path: str) -> Identity | None:
        """Look a file up; one that is too large has its row whatever was known of it."""
        identity = identify(path)
        too_large = identity is not None and identity.size > self.settings.decode.max_bytes
        return None if too_large else identity

    def _classifier_once(self) -> ChunkClassifier:
        with self._loading:
            return self._classifier

    @cached_property
    def _classifier(self) -> ChunkClassifier:
        from batchcls.imageformats import require_plugins

        decode = self.settings.decode
        require_plugins(decode.pillow_plugins)
        return self.outline.model.chunk_classifier(
            decode.max_pixels,
            max_bytes=decode.max_bytes,
            memory=self.memory,
            recorder=self.memory,
        )


def sides(
    settings: Settings, names: tuple[str, str], store: Store | None, terminal: Terminal
) -> tuple[Side, Side]:
    """Look up both models. Raises as ``Model.load`` does."""
    context = assembly.context(settings, terminal)
    old, new = (outline_of(name, context) for name in names)

    def side(name: str, outline: Outline) -> Side:
        memory = assembly.model_memory(settings, name, outline, store) if store else None
        return Side(name, outline, settings, memory)

    return side(names[0], old), side(names[1], new)


def classified(
    settings: Settings,
    both: tuple[Side, Side],
    images: Sequence[str],
    skip: Sequence[str],
    store: Store | None,
    terminal: Terminal,
) -> Generator[Pair, None, None]:
    """Classify ``images`` with both models; yields in the order of the scan.

    A chunk goes to one model after the other, so that with the store one network's features serve
    both. ``skip`` are files that are never taken.
    """
    rules = assembly.scan_rules(settings, skip=skip, store=store)
    files = scan(images, rules)
    old, new = both

    def work(chunk: list[ImageFile]) -> list[Pair]:
        told = zip(chunk, old(chunk), new(chunk), strict=True)
        return [Pair(file.key, one, other) for file, one, other in told]

    faults = _Faults(terminal)
    with terminal.progress("comparing", lambda: sum(1 for _ in scan(images, rules))) as advance:
        for pairs in assembly.engine(settings).map(work, chunked(files)):
            advance(len(pairs))
            for pair in pairs:
                faults.add(old.name, pair.old)
                faults.add(new.name, pair.new)
                yield pair
    faults.tell()


class _Faults:
    """Counts the images that a plugin failed for, which are no fault of the images."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._first: dict[str, Prediction] = {}
        self._count: dict[str, int] = {}

    def add(self, model: str, prediction: Prediction) -> None:
        if prediction.fault is not None:
            self._first.setdefault(model, prediction)
            self._count[model] = self._count.get(model, 0) + 1

    def tell(self) -> None:
        for model, first in self._first.items():
            images = plural(self._count[model], "image")
            where = f"{shown(model)}: a plugin failed for {images}"
            self._terminal.warn(f"{where}; the first was {shown(first.path)}")
            self._terminal.warn(first.fault or "")
