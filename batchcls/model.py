"""The model: a featurizer, a framing and a trained classifier. The Python face of batchcls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchcls import modelfile
from batchcls.atomic import write_atomically
from batchcls.decode import DEFAULT_MAX_PIXELS, Decoder
from batchcls.engines.local import LocalEngine
from batchcls.errors import ModelFileError, PluginError
from batchcls.framing import PREPROCESSING, Framing
from batchcls.pipeline import ChunkClassifier, Extractor, chunked
from batchcls.plugins import registry
from batchcls.records import ImageFile, Prediction
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.interfaces import Classifier, Featurizer


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model. It is only read, so any number of threads may use one at once.

    ``manifest`` tells how it was trained; ``digest``, SHA-256 in hex, names it. It can be pickled,
    and so sent to another process: it travels as the bytes of a model file.
    """

    manifest: modelfile.Manifest = field(repr=False)
    featurizer: Featurizer = field(repr=False)
    classifier: Classifier = field(repr=False)
    digest: str

    def __reduce__(self) -> tuple[Callable[[bytes], Model], tuple[bytes]]:
        return _unpacked, (self.pack(),)

    @classmethod
    def load(cls, source: str | os.PathLike[str]) -> Model:
        """Load a model file, or a ready model such as ``imagenet`` by its name.

        Raises ModelFileError for a file that is broken, foreign, newer or not to be trusted.
        """
        name = os.fsdecode(source)
        ready = registry().ready_models
        if name in ready:
            return ready[name].load()
        if not os.path.exists(name):
            raise ModelFileError(
                f"{shown(name) or 'an empty name'}: no such file",
                hint="Name a model file, which `batchcls train` makes, or a ready model: "
                + ", ".join(ready),
            )
        try:
            return cls.from_contents(modelfile.read(name))
        except ValueError as error:
            raise ModelFileError(f"{shown(name)}: {error}") from None
        except PluginError as error:
            raise ModelFileError(f"{shown(name)}: {error.message}", hint=error.hint) from None

    @classmethod
    def from_contents(cls, contents: modelfile.Contents) -> Model:
        """Make the model of what a model file holds; ValueError if its parts do not fit."""
        manifest = contents.manifest
        featurizer = (
            registry().featurizer(manifest.featurizer.name).restore(contents.featurizer_files)
        )
        classifier_class = registry().classifier(manifest.classifier.name)
        if featurizer.digest != manifest.featurizer.digest:
            raise ValueError("broken: the featurizer in it is not the one it was trained with")
        if manifest.featurizer.framing not in set(Framing):
            raise ValueError(f"broken: there is no framing {manifest.featurizer.framing!r}")
        if manifest.featurizer.preprocessing != PREPROCESSING:
            raise ValueError(
                f"trained on images that were prepared another way "
                f"({manifest.featurizer.preprocessing}, here {PREPROCESSING}); train it anew"
            )
        classifier = classifier_class.from_arrays(
            contents.arrays, featurizer.dimension, len(manifest.classes)
        )
        return cls(manifest, featurizer, classifier, contents.digest)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, in one step."""
        write_atomically(os.fspath(path), self.pack())

    def pack(self) -> bytes:
        """Give the bytes of the model file."""
        return modelfile.pack(
            self.manifest, self.classifier.to_arrays(), self.featurizer.to_files()
        )

    @property
    def classes(self) -> Sequence[str]:
        """The labels, in the order of a prediction's ``scores``."""
        return self.manifest.classes

    @property
    def framing(self) -> Framing:
        """How images are framed for the network."""
        return Framing(self.manifest.featurizer.framing)

    def chunk_classifier(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> ChunkClassifier:
        """Give the work of a run: a chunk of image files → their predictions."""
        extractor = Extractor(Decoder(max_pixels), self.featurizer, [self.framing])
        return ChunkClassifier(extractor, self.classifier, self.classes)

    def predict(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> list[Prediction]:
        """Classify image files: one prediction for each path, in their order.

        A file that can't be read gets the status ``error`` and a reason; nothing is raised for
        it. ``jobs`` threads work on it, 0 being as many as there are cores.
        """
        return list(self.predict_iter(paths, jobs=jobs, max_pixels=max_pixels))

    def predict_iter(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> Iterator[Prediction]:
        """Do as :meth:`predict`, as a stream: memory does not grow with the number of paths."""
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise TypeError("paths is a list of paths, not one path")
        files = (ImageFile(os.fsdecode(path), os.fsdecode(path)) for path in paths)
        work = self.chunk_classifier(max_pixels)
        for predictions in LocalEngine(jobs).map(work, chunked(files)):
            yield from predictions


def _unpacked(data: bytes) -> Model:
    return Model.from_contents(modelfile.unpack(data))
