"""Care for dangerous work: the extractor's view of the guardian and of what it has learnt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from batchcls.errors import DecodeError
from batchcls.guard.board import Stage
from batchcls.locations import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchcls.extraction import Squares
    from batchcls.framing import Framing
    from batchcls.guard.verdicts import Verdicts
    from batchcls.settings import DecodeSettings


class Steps(Protocol):
    """What is told of each step: the flight recorder, or, in a distant worker, a watch."""

    def entering(
        self, stage: Stage, path: str, content: bytes = b""
    ) -> AbstractContextManager[None]:
        """Be told what is done to ``path`` within a ``with``."""
        ...

    def touch(self) -> None:
        """Be told that it gets on."""
        ...


@dataclass(frozen=True)
class Careful:
    """Writes down what is being done to which file, and keeps away from what did harm."""

    flight: Steps
    verdicts: Verdicts
    settings: DecodeSettings

    def listing(self, path: str) -> AbstractContextManager[None]:
        """Write down that a folder is being listed."""
        return self.flight.entering(Stage.LISTING, path)

    def touch(self) -> None:
        """Write down that it gets on."""
        self.flight.touch()

    def reading(self, path: str) -> AbstractContextManager[None]:
        """Write down that a file is being looked up, opened and read."""
        return self.flight.entering(Stage.READING, path)

    def decoding(self, path: str, digest: bytes) -> AbstractContextManager[None]:
        """Write down that a file is being decoded."""
        return self.flight.entering(Stage.DECODING, path, digest)

    def drawing(self, path: str, digest: bytes = b"") -> AbstractContextManager[None]:
        """Write down that a file is read or decoded for nothing but a picture."""
        return self.flight.entering(Stage.DRAWING, path, digest)

    @property
    def draws(self) -> bool:
        """Whether pictures may still be made: a file that takes too long ends that."""
        return self.verdicts.draws

    def reason(self, path: str) -> str | None:
        """Say why a file is not to be touched any more, if so."""
        return self.verdicts.reason(path)

    def apart(
        self,
        path: str,
        digest: bytes,
        framings: Sequence[Framing],
        input_size: int,
        file: IO[bytes],
    ) -> Squares | None:
        """Decode and frame a suspect in a process of its own; None for what is none.

        What is at a URL is written to a file for it.
        """
        if not self.verdicts.is_suspect(path, digest):
            return None
        from batchcls.guard.apart import decode_apart

        decode = self.settings
        with _on_this_machine(path, file) as place:
            return decode_apart(
                place,
                framings,
                input_size,
                max_pixels=decode.max_pixels,
                max_bytes=decode.max_bytes,
                pillow_plugins=decode.pillow_plugins,
                seconds=decode.max_seconds,
                content=digest,
            )


@contextmanager
def _on_this_machine(path: str, file: IO[bytes]) -> Iterator[str]:
    """Give a path of what ``file`` holds: its own, or that of a copy of what is at a URL."""
    if not is_url(path):
        yield path
        return
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="batchcls-", ignore_cleanup_errors=True) as folder:
        place = os.path.join(folder, "image")
        try:
            with open(place, "wb") as copy:
                file.seek(0)
                shutil.copyfileobj(file, copy)
            file.seek(0)
        except OSError as error:
            why = error.strerror or error
            raise DecodeError(f"can't be kept in {folder}: {why}", lasting=False) from error
        yield place
