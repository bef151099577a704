"""Where a run was begun, with an engine whose work is done elsewhere: what is done here.

The store is here, and so is what it knows; what workers found out is kept as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from batchcls.errors import BatchclsError
from batchcls.locations import absolute, is_url, without_secrets
from batchcls.reading import is_of_access
from batchcls.records import ImageFile, Outcome, Status
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.distant import Done
    from batchcls.interfaces import DistantEngine
    from batchcls.pipeline import Slot, Work
    from batchcls.store.memory import StoreMemory

# So many images that workers can't read, where they can be read here, and they see other files.
_BLIND = 200


@dataclass
class Home:
    """An engine for the pipeline: sends the work to a ``distant`` one, and takes in what comes.

    ``local`` makes the work as it is without that engine.
    """

    distant: DistantEngine
    local: Callable[[], Work]
    memory: StoreMemory | None
    warn: Callable[[str], None]
    _blind: set[str] = field(default_factory=set, init=False)
    _redone: int = field(default=0, init=False)

    def map(self, work: Any, chunks: Iterable[Any]) -> Iterator[Any]:  # noqa: ANN401 - see Engine
        """Yield the outcomes of each chunk of files; ``work`` is a ModelWork."""
        done: Done
        results = self.distant.map(work, map(_anywhere, chunks))
        try:
            for done in results:
                if self.memory is not None:
                    self.memory.keep(done.findings)
                yield self._seen_here(done)
        finally:
            if isinstance(results, Generator):
                results.close()  # now, whatever still refers to it: workers keep the work till then

    def recalling(
        self, recall: Callable[[list[ImageFile]], Sequence[Slot]]
    ) -> Callable[[list[ImageFile]], Sequence[Slot]]:
        """Give a ``recall`` that also classifies what has its features in the store.

        That takes no time, and needs no file. Workers don't know the store.
        """
        memory = self.memory
        if memory is None:
            return recall

        def recalled(files: list[ImageFile]) -> Sequence[Slot]:
            slots = list(recall(files))
            known = {
                index: slot
                for index, slot in enumerate(slots)
                if isinstance(slot, ImageFile)
                and slot.content is not None
                and memory.features(slot.content) is not None
            }
            if known:
                for index, outcome in zip(known, self.local()(list(known.values())), strict=True):
                    slots[index] = outcome
            return slots

        return recalled

    def _seen_here(self, done: Done) -> list[Outcome]:
        """Give the outcomes; files that can be read here, but not there, are worked on here."""
        outcomes = list(done.outcomes)
        missed = [index for index, one in enumerate(outcomes) if _may_be_missed(one)]
        if not missed:
            return outcomes
        files = [
            ImageFile(outcomes[index].file, outcomes[index].prediction.path) for index in missed
        ]
        for index, outcome in zip(missed, self.local()(files), strict=True):
            if outcome.digest is not None:
                self._count(done.worker, outcomes[index])
                outcomes[index] = outcome
        return outcomes

    def _count(self, worker: str, missed: Outcome) -> None:
        """Tell of a worker that can't read a file, once; raise BatchclsError at too many."""
        if worker not in self._blind:
            self._blind.add(worker)
            self.warn(
                f"{worker}, can't read {shown(without_secrets(missed.file))} "
                f"({missed.prediction.error}), which can be read here; such files are worked on "
                "here"
            )
        self._redone += 1
        if self._redone >= _BLIND:
            raise BatchclsError(
                f"{worker}, can't read the files that can be read here",
                hint="Every worker needs the images under the same path, or at a URL that it may "
                "read. What was done is kept.",
            )


def _anywhere(chunk: list[ImageFile]) -> list[ImageFile]:
    """Give files that are the same whatever the current folder is."""
    return [replace(file, path=absolute(file.path)) for file in chunk]


def _may_be_missed(outcome: Outcome) -> bool:
    """Tell whether a file could not be read there, and perhaps can be here."""
    prediction = outcome.prediction
    if prediction.status is not Status.ERROR or outcome.lasting or outcome.digest is not None:
        return False
    return is_url(outcome.file) or is_of_access(prediction.error or "")
