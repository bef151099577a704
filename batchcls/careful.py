"""Care for dangerous work: the extractor's view of the guardian and of what it has learnt."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls.guard.board import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchcls.extraction import Squares
    from batchcls.framing import Framing
    from batchcls.guard.flight import Flight
    from batchcls.guard.verdicts import Verdicts
    from batchcls.settings import DecodeSettings


@dataclass(frozen=True)
class Careful:
    """Writes down what is being done to which file, and keeps away from what did harm."""

    flight: Flight
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
        self, path: str, digest: bytes, framings: Sequence[Framing], input_size: int
    ) -> Squares | None:
        """Decode and frame a suspect in a process of its own; None for what is none."""
        if not self.verdicts.is_suspect(path, digest):
            return None
        from batchcls.guard.apart import decode_apart

        decode = self.settings
        return decode_apart(
            path,
            framings,
            input_size,
            max_pixels=decode.max_pixels,
            max_bytes=decode.max_bytes,
            pillow_plugins=decode.pillow_plugins,
            seconds=decode.max_seconds,
            content=digest,
        )
