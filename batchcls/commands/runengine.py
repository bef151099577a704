"""Where the images of a run are worked on: the engine, and the work as it takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from batchcls import assembly
from batchcls.importing import importing
from batchcls.locations import absolute, normalised

if TYPE_CHECKING:
    from batchcls.careful import Careful
    from batchcls.classification import Picks
    from batchcls.home import Home
    from batchcls.interfaces import Engine
    from batchcls.model import Model
    from batchcls.outline import Outline
    from batchcls.pipeline import Slot, Work
    from batchcls.records import ImageFile
    from batchcls.remote.reading import RemoteFiles
    from batchcls.settings import Settings
    from batchcls.store.memory import StoreMemory
    from batchcls.terminal import Terminal

Recall = Callable[["list[ImageFile]"], "Sequence[Slot]"]


@dataclass(frozen=True)
class RunEngine:
    """The engine that the settings name, and what it is handed; loaded when it is used."""

    settings: Settings
    terminal: Terminal
    outline: Outline
    memory: StoreMemory | None
    care: Careful
    picks: Picks | None
    remote: RemoteFiles | None

    @cached_property
    def _lazy(self) -> assembly.LazyEngine:
        return assembly.run_engine(self.settings, self.terminal)

    @cached_property
    def _home(self) -> Home | None:
        if not self._lazy.distant:
            return None
        from batchcls.home import Home

        return Home(self._lazy, self._local_work, self.memory, self.terminal.warn)

    @property
    def engine(self) -> Engine:
        """The engine. Raises UsageError where there is no such, or its options are wrong."""
        return self._home or self._lazy

    def recalling(self, recall: Recall) -> Recall:
        """Give ``recall`` as that engine needs it."""
        return recall if self._home is None else self._home.recalling(recall)

    def ahead(self, chunks: Iterator[list[ImageFile]]) -> Iterator[list[ImageFile]]:
        """Begin to read what is in chunks, where that is done here, and takes its time."""
        if self.remote is None or self._home is not None:
            return chunks
        return self.remote.through(chunks)

    def make_work(self) -> Work:
        """Make the work, with the model. Raises UsageError where it can't explain and has to."""
        if self._home is None:
            return self._local_work()
        from batchcls.distant import ModelWork

        if self.settings.report.explain:
            self._local_work()  # which tells whether it can
        roots = map(normalised, self.settings.run.images)
        work: Any = ModelWork(
            self._model,
            self.settings,
            self.memory.ways if self.memory is not None else None,
            explain=self.settings.report.explain,
            roots=tuple(map(absolute, roots)),
        )
        return work  # type: ignore[no-any-return]  # what Home.map takes in its place

    @cached_property
    def _model(self) -> Model:
        from batchcls.imageformats import require_plugins

        start = time.perf_counter()
        require_plugins(self.settings.decode.pillow_plugins)
        with importing():
            model = self.outline.model
        seconds = time.perf_counter() - start
        self.terminal.detail(f"there is work for the network: loaded in {seconds:.1f} s")
        return model

    def _local_work(self) -> Work:
        decode = self.settings.decode
        return self._model.chunk_classifier(
            decode.max_pixels,
            explain=self.settings.report.explain,
            max_bytes=decode.max_bytes,
            memory=self.memory,
            recorder=self.memory,
            care=self.care,
            picks=self.picks,
            files=self.remote,
        )
