"""Drawing: thumbnails of images that are known from earlier runs, and so were not decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchcls.errors import DecodeError
from batchcls.framing import Framing
from batchcls.reading import Files, LocalFiles
from batchcls.thumbnails import LONG_SIDE, shrunk, thumbnail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.extraction import Care
    from batchcls.gallery import Entry


@dataclass(frozen=True)
class Drawer:
    """Images → thumbnails; None for one that is not, or not any more, what was classified."""

    decoder: Decoder
    care: Care
    max_bytes: int
    files: Files = field(default_factory=LocalFiles)

    def __call__(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Work on one chunk."""
        drawn: list[bytes | None] = []
        for entry in entries:
            try:
                drawn.append(thumbnail(self._pixels(entry)))
            except (DecodeError, MemoryError, OSError):
                drawn.append(None)
        return drawn

    def _pixels(self, entry: Entry) -> NDArray[np.uint8]:
        path = entry.file
        reason = self.care.reason(path)
        if reason is not None:
            raise DecodeError(reason)
        with contextlib.ExitStack() as stack:
            with self.care.drawing(path):
                content = stack.enter_context(self.files.opened(path, self.max_bytes))
            if content.digest != entry.digest:
                raise DecodeError("another file than before")
            squares = self.care.apart(path, content.digest, [Framing.PAD], LONG_SIDE, content.file)
            if squares is not None:
                return squares[0]
            with self.care.drawing(path, content.digest):
                picture = self.decoder.decode_file(
                    content.file, path, LONG_SIDE, on_wait=self.care.touch
                )
                try:
                    return shrunk(picture)
                finally:
                    picture.close()
