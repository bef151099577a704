"""From files to features: read, decode, frame, featurize, as far as the store doesn't know them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from batchcls.errors import DecodeError, Fault
from batchcls.featurize import featurize_each
from batchcls.framing import Framing, frame
from batchcls.locations import is_url
from batchcls.reading import Content, Files, Identity, LocalFiles
from batchcls.records import ImageFile, KnownContent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.interfaces import Featurizer
    from batchcls.picture import Picture, Samples

    Squares = list[NDArray[np.uint8]]

NO_LIMIT = 2**63 - 1


class Memory(Protocol):
    """What the extractor asks the store, and tells it."""

    def lookup(self, digest: bytes) -> tuple[KnownContent | None, str | None]:
        """Give a content by its digest, and why it can't be decoded, as far as that is known."""
        ...

    def features(self, content: KnownContent) -> list[NDArray[np.float32]] | None:
        """Give the features of a content, ``[D]`` for each framing, if they are known."""
        ...


class Care(Protocol):
    """What watches over dangerous work, and knows what happened to it before."""

    def reading(self, path: str) -> AbstractContextManager[None]:
        """Be told of a file that is being looked up, opened and read."""
        ...

    def decoding(self, path: str, digest: bytes) -> AbstractContextManager[None]:
        """Be told of a file that is being decoded."""
        ...

    def drawing(self, path: str, digest: bytes = b"") -> AbstractContextManager[None]:
        """Be told of a file that is read or decoded for nothing but a picture."""
        ...

    @property
    def draws(self) -> bool:
        """Whether pictures may be made of files that nothing else is to be learnt of."""
        ...

    def reason(self, path: str) -> str | None:
        """Say why a file is not to be touched any more, if so."""
        ...

    def apart(
        self,
        path: str,
        digest: bytes,
        framings: Sequence[Framing],
        input_size: int,
        file: IO[bytes],
    ) -> Squares | None:
        """Decode and frame a file in a process of its own, if it is to be; DecodeError as usual.

        ``file`` is what it holds, for one that has no path there.
        """
        ...

    def touch(self) -> None:
        """Be told that what is in work gets on, or only waits for others."""
        ...


class NoMemory:
    """Knows nothing."""

    def lookup(self, digest: bytes) -> tuple[KnownContent | None, str | None]:  # noqa: ARG002
        """Give nothing."""
        return None, None

    def features(self, content: KnownContent) -> list[NDArray[np.float32]] | None:  # noqa: ARG002
        """Give nothing."""
        return None


class NoCare:
    """Watches nothing."""

    def reading(self, path: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return contextlib.nullcontext()

    def decoding(self, path: str, digest: bytes) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return contextlib.nullcontext()

    def drawing(self, path: str, digest: bytes = b"") -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing."""
        return contextlib.nullcontext()

    @property
    def draws(self) -> bool:
        """Allow it."""
        return True

    def reason(self, path: str) -> str | None:  # noqa: ARG002
        """Know nothing."""
        return None

    def apart(
        self,
        path: str,  # noqa: ARG002
        digest: bytes,  # noqa: ARG002
        framings: Sequence[Framing],  # noqa: ARG002
        input_size: int,  # noqa: ARG002
        file: IO[bytes],  # noqa: ARG002
    ) -> Squares | None:
        """Leave it to the caller."""
        return None

    def touch(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Source:
    """What the features of a file come from, or why there are none.

    ``digest`` is that of the content, None where it could not be read; ``identity`` None where the
    file may be changing, or was not opened. ``lasting`` is for the reason, as in DecodeError.
    ``pixels`` are a small picture, uint8 ``[height, width, 3]``, where such are asked for and the
    file was decoded; ``thumbnail`` is what became of them, where that was wanted.
    """

    digest: bytes | None = None
    identity: Identity | None = None
    reason: str | None = None
    lasting: bool = False
    fault: Fault | None = None
    recalled: bool = False
    pixels: NDArray[np.uint8] | None = None
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """The features of a chunk: float32 ``[M, D]`` for each framing, M the files that have any.

    ``sources`` has an entry for each file of the chunk, in their order.
    """

    features: list[NDArray[np.float32]]
    sources: list[Source]

    @property
    def reasons(self) -> list[str | None]:
        """Say of each file why it has no features, None where it has."""
        return [source.reason for source in self.sources]

    @property
    def faults(self) -> Mapping[int, Fault]:
        """Tell, by index, of those for which not the file is to blame, but the featurizer."""
        pairs = ((index, source.fault) for index, source in enumerate(self.sources))
        return {index: fault for index, fault in pairs if fault is not None}


@dataclass(frozen=True)
class Extractor:
    """Files → features, in each of ``framings``; each file is decoded once, or not at all.

    ``shrink`` makes a small picture of each that is decoded; ``files`` is where they are read.
    """

    decoder: Decoder
    featurizer: Featurizer
    framings: Sequence[Framing]
    max_bytes: int = NO_LIMIT
    memory: Memory = field(default_factory=NoMemory)
    care: Care = field(default_factory=NoCare)
    shrink: Callable[[Picture | Samples], NDArray[np.uint8]] | None = None
    files: Files = field(default_factory=LocalFiles)

    def __call__(self, files: Sequence[ImageFile]) -> Extracted:
        """Work on one chunk."""
        import numpy as np

        sources = [Source() for _ in files]
        rows: dict[int, list[NDArray[np.float32]]] = {}
        squares: dict[int, Squares] = {}
        for index, (file, source) in enumerate(zip(files, sources, strict=True)):
            try:
                kept = self._kept(file, source)
                if kept is None:
                    kept, squares[index] = self._read(file.path, source)
                if kept is not None:
                    rows[index] = kept
            except DecodeError as error:
                source.reason, source.lasting = str(error), error.lasting
        decoded = [index for index, framed in squares.items() if framed]
        for place, _ in enumerate(self.framings):
            batch = [squares[index][place] for index in decoded]
            matrix, faults = featurize_each(self.featurizer, batch)
            for row, index in enumerate(decoded):
                rows.setdefault(index, []).append(matrix[row])
            for row, fault in faults.items():
                source = sources[decoded[row]]
                source.reason, source.fault = fault.reason, fault
        kept_rows = [rows[index] for index in sorted(rows) if sources[index].reason is None]
        empty = np.empty((0, self.featurizer.dimension), dtype=np.float32)
        features = [
            np.stack([row[place] for row in kept_rows]) if kept_rows else empty
            for place, _ in enumerate(self.framings)
        ]
        return Extracted(features, sources)

    def _kept(self, file: ImageFile, source: Source) -> list[NDArray[np.float32]] | None:
        """Give the features of a file that is as it was, if they are known."""
        reason = file.problem or self.care.reason(file.path)
        if reason is not None:
            raise DecodeError(reason, lasting=False)
        if file.content is None:
            return None
        kept = self.memory.features(file.content)
        if kept is not None:
            source.digest, source.recalled = file.content.digest, True
        return kept

    def _read(self, path: str, source: Source) -> tuple[list[NDArray[np.float32]] | None, Squares]:
        """Give the features of a file's content, if they are known, or else its framed pixels."""
        with contextlib.ExitStack() as stack:
            with self.care.reading(path):
                content = stack.enter_context(self.files.opened(path, self.max_bytes))
            try:
                known, reason = self.memory.lookup(content.digest)
                if reason is not None:
                    source.recalled = True
                    raise DecodeError(reason)
                kept = None if known is None else self.memory.features(known)
                if kept is not None:
                    source.recalled = True
                    return kept, []
                return None, self._decoded(content, path, source)
            finally:
                stack.close()
                source.digest, source.identity = content.digest or None, content.identity

    def _decoded(self, content: Content, path: str, source: Source) -> Squares:
        size = self.featurizer.input_size
        squares = self.care.apart(path, content.digest, self.framings, size, content.file)
        if squares is not None:
            # A file on this machine was opened a second time, and may have been another.
            if not is_url(path) and (
                content.identity is None or content.identity != self.files.identify(path)
            ):
                content.digest = b""
            if self.shrink is not None:
                source.pixels = squares[0]  # all that there is of it
            return squares
        with self.care.decoding(path, content.digest):
            return self._framed(content.file, path, size, source)

    def _framed(self, file: IO[bytes], path: str, size: int, source: Source) -> Squares:
        picture = self.decoder.decode_file(file, path, size, on_wait=self.care.touch)
        try:
            if self.shrink is not None:
                source.pixels = self.shrink(picture)
            return [frame(picture, framing, size) for framing in self.framings]
        except MemoryError:
            raise DecodeError("not enough memory to resize it", lasting=False) from None
        finally:
            picture.close()
