"""The work of a run as a distant engine sends it: what a worker needs, and what comes back.

A worker has neither the store nor a guardian of ours. It sends back, besides the outcomes, what the
store is to keep (home.py); a file that hangs is given up here, and a process that dies is the
engine's affair.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from batchcls import fingerprint
from batchcls.careful import Careful
from batchcls.errors import BatchclsError
from batchcls.guard.board import InFlight, Stage, named
from batchcls.guard.verdicts import Verdicts
from batchcls.locations import any_url, is_url
from batchcls.records import ImageFile, Outcome
from batchcls.scan import scan
from batchcls.scanrules import ScanRules
from batchcls.store.memory import Ways, findings_of
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.classification import ChunkClassifier
    from batchcls.extraction import Extracted
    from batchcls.model import Model
    from batchcls.records import Prediction
    from batchcls.remote.reading import RemoteFiles
    from batchcls.settings import Settings
    from batchcls.store.store import Finding

_LOOK = 0.5  # seconds between two looks at what is in work


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a chunk: an outcome for each file, what to keep, and who did it."""

    outcomes: list[Outcome]
    findings: list[Finding]
    worker: str


@dataclass(eq=False)
class ModelWork:
    """A :class:`DistantWork`: chunks of image files → :class:`Done`.

    ``ways`` are those of the store that is to keep what is found, None where there is none.
    ``roots`` are what the run is to classify: URLs, and paths that don't depend on a folder.
    """

    model: Model
    settings: Settings
    ways: Ways | None
    explain: bool = False
    roots: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=fingerprint.installed)
    _verdicts: Verdicts = field(default_factory=Verdicts, init=False)
    _thread: threading.local = field(default_factory=threading.local, init=False)

    def __reduce__(self) -> tuple[Callable[..., ModelWork], tuple[Any, ...]]:
        return _restored, (
            self.needs,
            self.settings,
            self.model.pack(),
            self.ways,
            self.explain,
            self.roots,
        )

    def check(self) -> None:
        """Raise BatchclsError where a root is not to be seen, or reached, from here."""
        unseen = [root for root in self.roots if not is_url(root) and not os.path.lexists(root)]
        if unseen:
            raise BatchclsError(
                f"{_worker()}, does not see {shown(unseen[0])}",
                hint="Every worker needs the images under the same path, or at a URL.",
            )
        if self._files is not None:
            urls = [root for root in self.roots if is_url(root)]
            for _ in scan(urls, ScanRules((), all_files=True), remote=self._files):
                return

    def __call__(self, chunk: Sequence[ImageFile]) -> Done:
        """Work on a chunk."""
        return self._worked(chunk, everything=False)

    def carefully(self, chunk: Sequence[ImageFile]) -> Done:
        """Work on a chunk with which a worker has died: each file is decoded apart."""
        return self._worked(chunk, everything=True)

    def many(self, chunks: Iterable[Sequence[ImageFile]]) -> Iterator[Done]:
        """Work on several chunks; of images at URLs, the next are read meanwhile."""
        ahead = chunks if self._files is None else self._files.through(map(list, chunks))
        return map(self, ahead)

    @cached_property
    def _files(self) -> RemoteFiles | None:
        if not any_url(self.roots):
            return None
        from batchcls.remote.reading import RemoteFiles

        return RemoteFiles(self.settings, self._touch)

    def _touch(self) -> None:
        steps = getattr(self._thread, "steps", None)
        if steps is not None:
            steps.touch()

    def _worked(self, chunk: Sequence[ImageFile], *, everything: bool) -> Done:
        while chunk:
            verdicts = replace(self._verdicts, everything=everything)
            steps = _Steps()
            careful = Careful(steps, verdicts, self.settings.decode)
            kept = _Kept(self.ways)
            classifier = self._classifier
            extractor = replace(classifier.extractor, care=careful)
            classify = replace(classifier, extractor=extractor, recorder=kept)

            def work(
                chunk: Sequence[ImageFile],
                steps: _Steps = steps,
                classify: ChunkClassifier = classify,
            ) -> list[Outcome]:
                self._thread.steps = steps
                return classify(chunk)

            outcomes = _within(self.settings.decode.max_seconds, steps, work, chunk)
            if outcomes is not None:
                return Done(outcomes, kept.findings, _worker())
            self._verdicts = self._verdicts.overdue(
                [steps.now] if steps.now else [], self.settings.decode.max_seconds
            )
        return Done([], [], _worker())

    @cached_property
    def _classifier(self) -> ChunkClassifier:
        decode = self.settings.decode
        return self.model.chunk_classifier(
            decode.max_pixels, explain=self.explain, max_bytes=decode.max_bytes, files=self._files
        )


def _restored(
    needs: Mapping[str, str],
    settings: Settings,
    model: bytes,
    ways: Ways | None,
    explain: bool,
    roots: tuple[str, ...],
) -> ModelWork:
    """Make it again, in a worker. Raises BatchclsError where this can't give the same results."""
    from batchcls import modelfile
    from batchcls.imageformats import require_plugins
    from batchcls.model import Model
    from batchcls.plugins import use_plugins

    others = fingerprint.differing(needs, fingerprint.installed())
    if others:
        raise BatchclsError(f"{_worker()}: other versions than where the run was begun: {others}")
    use_plugins(settings.plugins, settings.installed_plugins)
    require_plugins(settings.decode.pillow_plugins)
    try:
        made = Model.from_contents(modelfile.unpack(model))
    except ValueError as error:
        raise BatchclsError(f"{_worker()}: the model can't be used: {shown(str(error))}") from None
    work = ModelWork(made, settings, ways, explain, roots, needs)
    _ = work._classifier  # once, before threads ask for it
    return work


@dataclass
class _Kept:
    """Keeps what was found out, in a form that travels."""

    ways: Ways | None
    findings: list[Finding] = field(default_factory=list)

    def record(
        self, files: Sequence[ImageFile], extracted: Extracted, predictions: Sequence[Prediction]
    ) -> None:
        if self.ways is not None:
            self.findings += findings_of(self.ways, files, extracted, predictions)


class _Steps:
    """What a chunk's thread is doing to which file, and since when."""

    def __init__(self) -> None:
        self.now: InFlight | None = None
        self.since = time.monotonic()

    def entering(
        self, stage: Stage, path: str, content: bytes = b""
    ) -> AbstractContextManager[None]:
        """Note a step, for as long as the context lasts."""
        return self._step(InFlight(stage, os.fsdecode(named(path)), content))

    @contextmanager
    def _step(self, step: InFlight) -> Iterator[None]:
        before = self.now
        self.since, self.now = time.monotonic(), step
        try:
            yield
        finally:
            self.since, self.now = time.monotonic(), before

    def touch(self) -> None:
        """Note that it gets on."""
        self.since = time.monotonic()


def _within(
    seconds: float,
    steps: _Steps,
    work: Callable[[Sequence[ImageFile]], list[Outcome]],
    chunk: Sequence[ImageFile],
) -> list[Outcome] | None:
    """Work on a thread of its own; give it up, and None, if a step takes longer than ``seconds``.

    Nothing can end a thread. One that is given up may hold a core until its process ends.
    """
    found: list[list[Outcome] | BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            found.append(work(chunk))
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            found.append(error)
        ended.set()

    threading.Thread(target=run, daemon=True, name="batchcls-chunk").start()
    limit = math.inf if math.isinf(seconds) else seconds
    while not ended.wait(min(_LOOK, limit)):
        if steps.now is not None and time.monotonic() - steps.since > limit and not found:
            return None
    [one] = found
    if isinstance(one, BaseException):
        raise one
    return one


def _worker() -> str:
    return f"the worker {socket.gethostname()}, process {os.getpid()}"
