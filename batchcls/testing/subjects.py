"""What is checked, and the ways that the checks handle it: as the pipeline does, but with care.

What is handed to the author's code is a copy, and so is what is kept of its results: a check must
not suffer from the fault that another one is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import __version__
from batchcls.context import Context
from batchcls.errors import PluginError
from batchcls.manifest import ClassifierEntry, FeaturizerEntry, Manifest
from batchcls.options import checked_options, made, to_json
from batchcls.plugins import registry
from batchcls.settings import ModelsSettings, Settings
from batchcls.testing import data
from batchcls.testing.data import Dataset
from batchcls.testing.running import CannotCheckError, RaisedError, doing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier, Featurizer, FeaturizerProvider

State = Mapping[str, "NDArray[Any] | bytes"]

_SAMPLE = 16


@dataclass(frozen=True)
class ClassifierSubject:
    """A classifier class and the options to make it with."""

    cls: type[Classifier]
    options: Mapping[str, Any]

    def new(self, options: Mapping[str, Any] | None = None) -> Classifier:
        """Construct it, as training and loading do."""
        options = self.options if options is None else options
        with doing(f"constructing it with {dict(options)}"):
            owner = "the classifier"
            checked = checked_options(owner, self.cls, options)
            classifier: Classifier = made(owner, self.cls, options=checked)
            return classifier

    def fitted(self, dataset: Dataset) -> Classifier:
        """Fit a new one."""
        classifier = self.new()
        with doing(f"fit on {dataset}"):
            classifier.fit(dataset.features.copy(), dataset.targets.copy(), dataset.class_count)
        return classifier

    @cached_property
    def usual_data(self) -> Dataset:
        """What most checks fit it to."""
        return data.usual()

    @cached_property
    def usual(self) -> Classifier:
        """One that is fitted to the usual data."""
        return self.fitted(self.usual_data)

    @cached_property
    def state(self) -> State:
        """What a model file would give back of the usual one's state."""
        return travelled(self, self.usual)

    def restored(self, state: State | None = None) -> Classifier:
        """Restore a new one, with options that have been in a model file."""
        classifier = self.new(to_json(self.options))
        dataset = self.usual_data
        with doing("restore from what to_state gave, in a new object"):
            classifier.restore(
                self.state if state is None else state, dataset.dimension, dataset.class_count
            )
        return classifier

    def manifest(self) -> Manifest:
        """Give a manifest for a model with this classifier, fitted to the usual data."""
        classes = [f"class {number}" for number in range(self.usual_data.class_count)]
        entry = ClassifierEntry(name="checked", options=to_json(self.options))
        return manifest(classes, entry, self.usual_data.dimension)


def manifest(classes: list[str], classifier: ClassifierEntry, dimension: int) -> Manifest:
    """Give the manifest of a made-up model."""
    featurizer = FeaturizerEntry(
        name="checked",
        digest="0" * 64,
        framing="square",
        preprocessing=0,
        input_size=1,
        dimension=dimension,
    )
    return Manifest(
        batchcls=__version__,
        created="",
        classes=classes,
        featurizer=featurizer,
        classifier=classifier,
    )


def travelled(subject: ClassifierSubject, classifier: Classifier) -> State:
    """Give a classifier's state after a way through a model file."""
    from batchcls.modelfile import pack, unpack

    with doing("saving what to_state gives in a model file"):
        return unpack(pack(subject.manifest(), classifier.to_state(), {})).state


def predict(classifier: Classifier, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give a copy of the probabilities."""
    with doing(f"predict_proba on {counted(features)}"):
        return np.array(classifier.predict_proba(features.copy()))


def featurize(featurizer: Featurizer, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Give a copy of the features."""
    with doing(f"featurize on {counted(pixels)}"):
        return np.array(featurizer.featurize(pixels.copy()))


def counted(batch: NDArray[Any]) -> str:
    """Give ``a batch of N``."""
    return f"a batch of {len(batch)}"


@dataclass(frozen=True)
class FeaturizerSubject:
    """A featurizer, and, where there is one, the provider that makes it, by name and options."""

    provider: FeaturizerProvider | None
    context: Context
    options: Mapping[str, Any]
    featurizer: Featurizer

    @classmethod
    def of(
        cls,
        what: Any,  # noqa: ANN401 - a provider or a featurizer
        context: Context | None,
        options: Mapping[str, Any],
    ) -> FeaturizerSubject:
        """Take a provider or a featurizer; what ``create`` raises of batchcls's errors passes."""
        context = context or _context()
        if not hasattr(what, "create"):
            if options:
                raise TypeError(f"options {sorted(options)} are for a provider's create")
            return cls(None, context, {}, what)
        checked = checked_options("the featurizer", what.create, options)
        return cls(what, context, checked, _created(what, context, checked))

    @cached_property
    def second(self) -> Featurizer:
        """Another one, made the same way, or the same where only that is given."""
        if self.provider is None:
            return self.featurizer
        return _created(self.provider, self.context, self.options)

    @cached_property
    def restorer(self) -> FeaturizerProvider:
        """What a model with this featurizer is restored by."""
        named: str = getattr(self.featurizer, "restored_by", "")
        if not named and self.provider is not None:
            return self.provider
        name = named or self.featurizer.name
        try:
            return registry().featurizer(name)
        except PluginError as error:
            if named:
                raise RaisedError(f"restored_by is {named!r}: {error.message}") from error
            reason = "no provider was given, and the registry has none of its name"
            raise CannotCheckError(reason) from None

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """Seven different pictures."""
        return data.pictures(self.featurizer.input_size, 7)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """The features of ``pixels``, as one batch."""
        return featurize(self.featurizer, self.pixels)

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """What a model file would give back of its files."""
        from batchcls.modelfile import pack, unpack

        entry = manifest(["a", "b"], ClassifierEntry(name="none"), 1)
        with doing("saving what to_files gives in a model file"):
            return unpack(pack(entry, {}, self.featurizer.to_files())).featurizer_files

    @cached_property
    def restored(self) -> Featurizer:
        """One that is restored from a model file."""
        restorer, files = self.restorer, dict(self.files)
        with doing("restore from what to_files gave"):
            return restorer.restore(files)


def _created(
    provider: FeaturizerProvider, context: Context, options: Mapping[str, Any]
) -> Featurizer:
    featurizer: Featurizer = made("the featurizer", provider.create, context, options=options)
    return featurizer


def _context() -> Context:
    settings = Settings(models=ModelsSettings(download=False))
    return Context(settings, sample=lambda size: data.pictures(size, _SAMPLE, seed=1))
