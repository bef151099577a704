"""What a run already knows of the files that it finds, and which of them it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls.locations import is_url
from batchcls.reading import Identity, identify

if TYPE_CHECKING:
    from batchcls.careful import Careful
    from batchcls.pipeline import Slot
    from batchcls.records import ImageFile
    from batchcls.remote.reading import RemoteFiles
    from batchcls.store.memory import StoreMemory


@dataclass(frozen=True)
class RunRecall:
    """Files → what is known of them, or the files. None is opened for that.

    Those modified before ``since``, in nanoseconds since 1970, are left out; of those larger than
    ``max_bytes`` nothing is known. ``remote`` looks up what is at URLs.
    """

    memory: StoreMemory | None
    care: Careful
    remote: RemoteFiles | None
    since: int | None
    max_bytes: int

    def __call__(self, files: list[ImageFile]) -> Sequence[Slot]:
        """Recall a block of them."""
        if self.memory is None and self.since is None:
            return files
        kept: list[ImageFile] = []
        identities: list[Identity | None] = []
        for file, identity in zip(files, self._identities(files), strict=True):
            # What can't be looked up has a row that says why, whenever it was modified; so has what
            # a storage tells no time of.
            modified = identity.modified if identity is not None else 0
            if self.since is None or modified >= self.since or modified == 0:
                kept.append(file)
                too_large = identity is not None and identity.size > self.max_bytes
                identities.append(None if too_large else identity)
        return kept if self.memory is None else self.memory.recall(kept, identities)

    def _identities(self, files: list[ImageFile]) -> list[Identity | None]:
        found = [file.identity for file in files]
        for index, file in enumerate(files):
            if is_url(file.path) or file.problem is not None:
                continue
            if self.care.reason(file.path) is None:
                with self.care.reading(file.path):
                    found[index] = identify(file.path)
        if self.remote is not None:
            urls = [index for index, file in enumerate(files) if is_url(file.path)]
            asked = self.remote.identities([files[index] for index in urls])
            for index, identity in zip(urls, asked, strict=True):
                found[index] = identity
        return found
