"""A run's memory: the store, asked and told in the pipeline's terms.

It is bound to one model and one way of reading files; what others found out is not mixed with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchcls.locations import absolute
from batchcls.reading import Identity
from batchcls.records import ImageFile, KnownContent, Outcome, Prediction, Status
from batchcls.store.rows import (
    Kept,
    packed_features,
    packed_prediction,
    unpacked_features,
    unpacked_prediction,
)
from batchcls.store.store import Finding, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.extraction import Extracted, Extractor


@dataclass(frozen=True, slots=True)
class Ways:
    """The ids of what the results depend on; see fingerprint.py. ``featurizing`` by framing.

    ``predicting`` is -1 where nothing is predicted, as in training, ``drawing`` where no
    thumbnails are wanted.
    """

    decoding: int
    featurizing: tuple[int, ...]
    predicting: int = -1
    drawing: int = -1


@dataclass(frozen=True)
class StoreMemory:
    """What the store knows of files, for a model with these ``classes`` and ``dimension``.

    With ``all_scores`` a prediction is known only with the scores of every class; with ``reasons``
    (the training images that decided) it is never.
    """

    store: Store
    ways: Ways
    dimension: int
    classes: Sequence[str] = ()
    all_scores: bool = False
    reasons: bool = False

    def recall(
        self, files: Sequence[ImageFile], identities: Sequence[Identity | None]
    ) -> list[Outcome | ImageFile]:
        """Give the outcomes that are known, and otherwise the file, with its content if known."""
        asked = [
            (store_path(file.path), identity)
            for file, identity in zip(files, identities, strict=True)
        ]
        known = self.store.recall(asked, self.ways.predicting, self.ways.decoding)
        results: list[Outcome | ImageFile] = []
        for file, one in zip(files, known, strict=True):
            if one is None or file.problem is not None:
                results.append(file)
                continue
            prediction = None
            if one.failure is not None:
                prediction = Prediction(file.key, Status.ERROR, error=one.failure)
            elif one.prediction is not None:
                prediction = self._prediction(file.key, one.prediction)
            if prediction is not None:
                lasting = one.failure is not None
                results.append(
                    Outcome(
                        prediction,
                        one.digest,
                        recalled=True,
                        lasting=lasting,
                        file=file.path,
                    )
                )
            else:
                results.append(replace(file, content=KnownContent(one.content, one.digest)))
        return results

    def _prediction(self, key: str, data: bytes) -> Prediction | None:
        kept = unpacked_prediction(data, len(self.classes))
        if kept is None or self.reasons or (self.all_scores and kept.scores is None):
            return None
        return _made(key, kept, self.classes)

    def lookup(self, digest: bytes) -> tuple[KnownContent | None, str | None]:
        """Give a content by its digest, and why it can't be decoded, as far as that is known."""
        found = self.store.content(digest, self.ways.decoding)
        return (None, None) if found is None else (KnownContent(found[0], digest), found[1])

    def features(self, content: KnownContent) -> list[NDArray[np.float32]] | None:
        """Give the features of a content, float32 ``[D]`` for each framing, if all are known."""
        rows = self.store.features(content.id, content.digest, self.ways.featurizing)
        found = []
        for row in rows or ():
            features = unpacked_features(row, self.dimension)
            if features is None:
                return None
            found.append(features)
        return found or None

    def record(
        self,
        files: Sequence[ImageFile],
        extracted: Extracted,
        predictions: Sequence[Prediction] = (),
    ) -> None:
        """Keep what came of a chunk."""
        self.keep(findings_of(self.ways, files, extracted, predictions))

    def keep(self, findings: Sequence[Finding]) -> None:
        """Keep what was found out."""
        self.store.record(findings, self.ways.predicting, self.ways.decoding)

    def thumbnail(self, digest: bytes) -> bytes | None:
        """Give the thumbnail of a content, if it is known."""
        found = self.store.content(digest, self.ways.decoding)
        if found is None:
            return None
        rows = self.store.features(found[0], digest, [self.ways.drawing])
        return rows[0] if rows else None

    def record_thumbnails(self, thumbnails: Mapping[bytes, bytes]) -> None:
        """Keep thumbnails, by the digests of the contents that they are of."""
        drawn = [
            Finding(b"", digest, features={self.ways.drawing: data})
            for digest, data in thumbnails.items()
        ]
        self.store.record(drawn, self.ways.predicting, self.ways.decoding)

    def record_slow(self, digest: bytes, reason: str, run: str) -> None:
        """Keep that a content took too long to decode, if it did so in another run, too.

        Once, the machine may have been to blame; and each time costs as long as a file may take.
        """
        name = f"slow {digest.hex()} {self.ways.decoding}"
        before = self.store.note(name)
        if before is None:
            self.store.set_note(name, run)
        elif before != run:
            slow = Finding(b"", digest, failure=reason)
            self.store.record([slow], self.ways.predicting, self.ways.decoding)


def findings_of(
    ways: Ways,
    files: Sequence[ImageFile],
    extracted: Extracted,
    predictions: Sequence[Prediction] = (),
) -> list[Finding]:
    """Give what is to be kept of a chunk, wherever it was worked on."""
    findings = []
    row = 0
    for index, (file, source) in enumerate(zip(files, extracted.sources, strict=True)):
        number, row = row, row + (source.reason is None)
        if source.digest is None or source.fault is not None:
            continue
        finding = Finding(store_path(file.path), source.digest, source.identity)
        if source.reason is not None:
            finding.failure = source.reason if source.lasting else None
            if not source.lasting:
                continue  # its content is as unknown as before
        elif not source.recalled:
            finding.features = {
                way: packed_features(matrix[number])
                for way, matrix in zip(ways.featurizing, extracted.features, strict=True)
            }
        if source.thumbnail is not None:
            finding.features = {**finding.features, ways.drawing: source.thumbnail}
        prediction = predictions[index] if predictions else None
        if prediction is not None and prediction.scores is not None:
            finding.prediction = packed_prediction(
                prediction.leading, prediction.scores, prediction.distance
            )
        findings.append(finding)
    return findings


@dataclass(frozen=True)
class RecallingExtractor:
    """An extractor that also looks files up by what they were, and keeps what it finds out."""

    extractor: Extractor
    memory: StoreMemory

    def __call__(self, files: Sequence[ImageFile]) -> Extracted:
        """Work on one chunk."""
        identify = self.extractor.files.identify
        slots = self.memory.recall(files, [identify(file.path) for file in files])
        known = [
            slot if isinstance(slot, ImageFile) else file
            for slot, file in zip(slots, files, strict=True)
        ]
        extracted = self.extractor(known)
        self.memory.record(known, extracted)
        return extracted


def _made(key: str, kept: Kept, classes: Sequence[str]) -> Prediction:
    label, score = kept.leading[0]
    return Prediction(
        key,
        Status.OK,
        label=classes[label],
        score=score,
        scores=kept.scores,
        leading=kept.leading,
        distance=kept.distance,
    )


def store_path(path: str) -> bytes:
    """Give the name of a file in the store: absolute, in the bytes it has on the disk, or a URL."""
    name = absolute(path)
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # a Windows name with half a surrogate pair
        return name.encode("utf-8", "surrogatepass")
