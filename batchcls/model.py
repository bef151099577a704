"""The model: a featurizer, a framing and a trained classifier. The Python face of batchcls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchcls import modelfile
from batchcls.atomic import write_atomically
from batchcls.classification import ChunkClassifier, NoRecorder
from batchcls.context import Context
from batchcls.decode import DEFAULT_MAX_PIXELS, Decoder
from batchcls.engines.local import LocalEngine
from batchcls.errors import ModelFileError, PluginError, UsageError
from batchcls.extraction import NO_LIMIT, Extractor, NoCare, NoMemory
from batchcls.framing import PREPROCESSING, Framing
from batchcls.judging import Judge
from batchcls.locations import is_url
from batchcls.novelty import Novelty
from batchcls.options import checked_options, made
from batchcls.pipeline import chunked
from batchcls.plugins import registry
from batchcls.reading import Files, LocalFiles
from batchcls.records import ImageFile, Prediction
from batchcls.text import shown
from batchcls.thumbnails import shrunk

if TYPE_CHECKING:
    from batchcls.classification import Picks, Recorder
    from batchcls.extraction import Care, Memory
    from batchcls.interfaces import Classifier, Featurizer
    from batchcls.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model. It is only read, so any number of threads may use one at once.

    ``manifest`` tells how it was trained; ``digest``, SHA-256 in hex, names it. It can be pickled,
    and so sent to another process: it travels as the bytes of a model file.
    """

    manifest: Manifest = field(repr=False)
    featurizer: Featurizer = field(repr=False)
    classifier: Classifier = field(repr=False)
    digest: str
    training_images: Sequence[str] = field(default=(), repr=False)
    """The images that the classifier was fitted to, in that order, where it can name them."""
    novelty: Novelty | None = field(default=None, repr=False)
    """What tells images unlike all of training; None where the model can't."""

    def __reduce__(self) -> tuple[Callable[[bytes], Model], tuple[bytes]]:
        return _unpacked, (self.pack(),)

    @classmethod
    def load(cls, source: str | os.PathLike[str], context: Context | None = None) -> Model:
        """Load a model file, or one at a URL, or a ready model such as ``imagenet`` by its name.

        ``context`` is for ready models that need more than the package holds. Raises
        ModelFileError for a file that is broken, foreign, newer or not to be trusted.
        """
        name = os.fsdecode(source)
        ready = registry().ready_models
        if name in ready:
            return ready[name].load(context or Context())
        if not is_url(name) and not os.path.exists(name):
            raise ModelFileError(
                f"{shown(name) or 'an empty name'}: no such file",
                hint="Name a model file, which `batchcls train` makes, or a ready model: "
                + ", ".join(ready),
            )
        return cls.from_file(name, modelfile.read(name))

    @classmethod
    def from_file(cls, name: str, contents: modelfile.Contents) -> Model:
        """Make the model of what the file ``name`` holds. Raises ModelFileError, which names it."""
        try:
            return cls.from_contents(contents)
        except ValueError as error:
            raise ModelFileError(f"{shown(name)}: {error}") from None
        except ModelFileError:  # names the file
            raise
        except UsageError as error:  # a plugin that is not there, or options it does not know
            raise ModelFileError(f"{shown(name)}: {error.message}", hint=error.hint) from None

    @classmethod
    def from_contents(cls, contents: modelfile.Contents) -> Model:
        """Make the model of what a model file holds; ValueError if its parts do not fit."""
        manifest = contents.manifest
        entry = manifest.featurizer
        with _naming(entry.plugin):
            provider = registry().featurizer(entry.restored_by or entry.name)
        featurizer = provider.restore(contents.featurizer_files)
        if featurizer.digest != entry.digest:
            raise ValueError("broken: the featurizer in it is not the one it was trained with")
        if entry.framing not in set(Framing):
            raise ValueError(f"broken: there is no framing {entry.framing!r}")
        if entry.preprocessing != PREPROCESSING:
            raise ValueError(
                f"trained on images that were prepared another way "
                f"({entry.preprocessing}, here {PREPROCESSING}); train it anew"
            )
        with _naming(manifest.classifier.plugin):
            classifier_class = registry().classifier(manifest.classifier.name)
        classifier = made_classifier(classifier_class, manifest.classifier.options)
        classifier.restore(contents.state, featurizer.dimension, len(manifest.classes))
        novelty = contents.novelty
        return cls(
            manifest,
            featurizer,
            classifier,
            contents.digest,
            contents.training_images,
            Novelty.restore(novelty, featurizer.dimension) if novelty else None,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, at a path or a URL, in one step."""
        write_atomically(os.fspath(path), self.pack())

    def pack(self) -> bytes:
        """Give the bytes of the model file."""
        return modelfile.pack(
            self.manifest,
            self.classifier.to_state(),
            self.featurizer.to_files(),
            self.training_images,
            self.novelty.to_state() if self.novelty is not None else None,
        )

    @property
    def classes(self) -> Sequence[str]:
        """The labels, in the order of a prediction's ``scores``."""
        return self.manifest.classes

    @property
    def framing(self) -> Framing:
        """How images are framed for the network."""
        return Framing(self.manifest.featurizer.framing)

    @property
    def explains(self) -> bool:
        """Whether its classifier can name the training images that decided."""
        return bool(self.training_images) and hasattr(self.classifier, "explain")

    def chunk_classifier(
        self,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        *,
        explain: bool = False,
        max_bytes: int = NO_LIMIT,
        memory: Memory | None = None,
        recorder: Recorder | None = None,
        care: Care | None = None,
        picks: Picks | None = None,
        files: Files | None = None,
    ) -> ChunkClassifier:
        """Give the work of a run: a chunk of image files, read by ``files`` → what comes of them.

        With ``explain`` they name the training images that decided; UsageError where the
        classifier can't. Those that ``picks`` wants get a thumbnail.
        """
        if explain and not self.explains:
            raise UsageError(
                f"the classifier {self.classifier.name} can't explain its labels",
                hint="One that compares with the training images can: train with the plugin "
                "batchcls-neighbors (--classifier knn).",
            )
        extractor = Extractor(
            Decoder(max_pixels),
            self.featurizer,
            [self.framing],
            max_bytes=max_bytes,
            memory=memory or NoMemory(),
            care=care or NoCare(),
            shrink=shrunk if picks is not None else None,
            files=files or LocalFiles(),
        )
        return ChunkClassifier(
            extractor,
            self.classifier,
            self.classes,
            training_images=self.training_images if explain else None,
            novelty=self.novelty,
            recorder=recorder or NoRecorder(),
            picks=picks,
        )

    def predict(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        explain: bool = False,
        review_below: float = 0.0,
        unknown: bool = True,
    ) -> list[Prediction]:
        """Classify image files: one prediction for each path, in their order.

        A file that can't be read gets the status ``error`` and a reason; nothing is raised for
        it. ``jobs`` threads work on it, 0 being as many as there are cores. A score below
        ``review_below`` gives the status ``review``; an image unlike all training images has the
        status ``unknown`` and no label, if ``unknown`` is set.
        """
        stream = self.predict_iter(
            paths,
            jobs=jobs,
            max_pixels=max_pixels,
            explain=explain,
            review_below=review_below,
            unknown=unknown,
        )
        return list(stream)

    def predict_iter(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        jobs: int = 0,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        explain: bool = False,
        review_below: float = 0.0,
        unknown: bool = True,
    ) -> Iterator[Prediction]:
        """Do as :meth:`predict`, as a stream: memory does not grow with the number of paths."""
        if isinstance(paths, (str, bytes, os.PathLike)):
            raise TypeError("paths is a list of paths, not one path")
        files = (ImageFile(os.fsdecode(path), os.fsdecode(path)) for path in paths)
        work = self.chunk_classifier(max_pixels, explain=explain)
        judge = Judge(review_below, unknown)
        for outcomes in LocalEngine(jobs).map(work, chunked(files)):
            yield from (judge(outcome.prediction) for outcome in outcomes)


def made_classifier(classifier_class: type[Classifier], options: Mapping[str, Any]) -> Classifier:
    """Construct a classifier with its options, checked. UsageError for one that is wrong."""
    owner = f"the classifier {shown(classifier_class.name)}"
    checked = checked_options(owner, classifier_class, options)
    classifier: Classifier = made(owner, classifier_class, options=checked)
    return classifier


@contextlib.contextmanager
def _naming(plugin: str) -> Iterator[None]:
    """Add to an error the plugin that the model was trained with."""
    try:
        yield
    except PluginError as error:
        if not plugin:
            raise
        raise PluginError(
            error.message,
            hint=f"The model was trained with the plugin {shown(plugin)[:200]}. {error.hint}",
        ) from None


def _unpacked(data: bytes) -> Model:
    return Model.from_contents(modelfile.unpack(data))
