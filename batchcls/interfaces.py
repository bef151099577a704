"""What a featurizer and a classifier are: the page for plugin authors.

Both are handed to the pipeline as objects; it knows nothing else of them. The protocols are
structural: no base class to inherit from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from batchcls.model import Model
    from batchcls.records import Prediction


@runtime_checkable
class Featurizer(Protocol):
    """A pretrained network without its head: pixels in, features out.

    ``featurize`` is called from several threads at once and must be safe to be; for an image it
    must give the same features whatever else is in the batch.
    """

    name: str
    digest: str
    """SHA-256, hex, of all that decides the features (weights and preprocessing)."""
    input_size: int
    """Edge of the square input in pixels, S."""
    dimension: int
    """Number of features, D."""

    def featurize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB ``pixels``, uint8 ``[N, S, S, 3]``, into features, float32 ``[N, D]``."""
        ...

    def to_files(self) -> Mapping[str, bytes]:
        """Give the files, by plain name, that the provider's ``restore`` needs.

        They travel in the model file, so that it runs where the weights are not installed.
        """
        ...


class FeaturizerProvider(Protocol):
    """What the hook ``batchcls_featurizers`` hands over: a name, and how to get the featurizer."""

    name: str
    description: str

    def create(self) -> Featurizer:
        """Make the featurizer from what is installed. Raises BatchclsError if it can't be had."""
        ...

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Make it from the files in a model file.

        They may come from a stranger: run nothing in them, raise ValueError for what is not sound.
        """
        ...


class Classifier(Protocol):
    """Features in, probabilities out. One instance is fitted once, then only read.

    ``predict_proba`` is called from several threads at once; for an image it must give the same
    probabilities whatever else is in the batch.
    """

    name: ClassVar[str]

    @classmethod
    def candidates(cls) -> Sequence[Mapping[str, float]]:
        """List the options that cross-validation chooses among, the most cautious first."""
        ...

    def fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        """Learn from ``features``, float32 ``[N, D]``, and ``targets``, int ``[N]`` in [0, C)."""
        ...

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities, float64 ``[N, C]``, each row summing to 1."""
        ...

    def to_arrays(self) -> Mapping[str, NDArray[Any]]:
        """Give what was learnt as plain numeric arrays, by name."""
        ...

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], dimension: int, class_count: int
    ) -> Classifier:
        """Take back what ``to_arrays`` gave; ValueError if names, shapes or dtypes are wrong."""
        ...


class ReportWriter(Protocol):
    """A report being written; one ``write`` for each image file, in the order of the scan.

    ``commit`` puts the whole report in its place in one step; ``discard`` leaves what was there.
    """

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Add one row for each prediction."""
        ...

    def commit(self) -> None:
        """Finish: the report appears whole."""
        ...

    def discard(self) -> None:
        """Give up: no trace remains."""
        ...


class ReportFormat(Protocol):
    """What the hook ``batchcls_report_formats`` hands over."""

    suffix: str
    """The ending of ``--output`` that chooses it, lower-case, with the dot."""

    def open(self, path: str, classes: Sequence[str], *, top: int, scores: bool) -> ReportWriter:
        """Begin a report. ``top`` labels for each image; ``scores``: those of every class too."""
        ...


class ReadyModel(Protocol):
    """What the hook ``batchcls_ready_models`` hands over: a model that needs no training."""

    name: str
    """What ``--model`` takes."""
    description: str

    def load(self) -> Model:
        """Make the model."""
        ...
