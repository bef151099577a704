"""What a featurizer, a classifier and the rest of a plugin are: the page for plugin authors.

All are handed to the pipeline as objects; it knows nothing else of them. The protocols are
structural: there is no base class to inherit from. ``batchcls.testing`` checks an implementation;
``docs/plugins.md`` goes through the first ones step by step.

*Options* are the keyword parameters of a classifier's constructor and of a provider's ``create``:
name, annotation (``int``, ``float``, ``bool``, ``str``, ``Literal[...]``, ``tuple[float, ...]``,
``X | None``, and ``Annotated`` with ``msgspec.Meta`` for limits) and default. They are checked
before the call; raise ValueError for a value that is wrong in another way. What was chosen is kept
in the model, as JSON. In a configuration, an option named ``path`` is relative to its folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from batchcls.context import Context
    from batchcls.model import Model
    from batchcls.records import Prediction, ReportRequest

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


@runtime_checkable
class Featurizer(Protocol):
    """A pretrained network without its head: pixels in, features out.

    ``featurize`` is called from several threads at once and must be safe to be; for an image it
    must give the same features whatever else is in the batch. It may raise anything: the images of
    the batch are then tried one by one, and the one that it fails for gets a row with the reason.
    """

    name: str
    digest: str
    """SHA-256, hex, of all that decides the features (weights and preprocessing)."""
    input_size: int
    """Edge of the square input in pixels, S."""
    dimension: int
    """Number of features, D."""

    def featurize(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn RGB ``pixels``, uint8 ``[N, S, S, 3]``, into finite features, float32 ``[N, D]``."""
        ...

    def to_files(self) -> Mapping[str, bytes]:
        """Give the files, by plain name, that the provider's ``restore`` needs.

        They travel in the model file, so that it runs where the weights are not installed.
        """
        ...


class FeaturizerProvider(Protocol):
    """What the hook ``batchcls_featurizers`` hands over: a name, and how to get the featurizer.

    It may have two methods more. ``about(context) -> NetworkInfo`` (``batchcls.records``) tells
    `batchcls models` what is at hand; ``fetch(context) -> None`` is `batchcls models fetch NAME`.
    A featurizer whose files another provider can restore names that one as ``restored_by``:
    a model then runs where this plugin is not installed.
    """

    name: str
    description: str

    # create(context, **options), the options being named keyword parameters with defaults.
    def create(self, *args: Any, **kwargs: Any) -> Featurizer:  # noqa: ANN401
        """Make the featurizer from what is installed, for training.

        Called as ``create(context, **options)``. Raises BatchclsError if it can't be had.
        """
        ...

    def restore(self, files: Mapping[str, bytes]) -> Featurizer:
        """Make it from the files in a model file: it has the digest of the one that wrote them.

        They may come from a stranger: run nothing in them, raise ValueError for what is not sound.
        """
        ...


class Classifier(Protocol):
    """Features in, probabilities out. An instance is fitted or restored once, then only read.

    It is constructed with its options, ``cls(**options)``. ``predict_proba`` is called from
    several threads at once; for an image it must give the same probabilities whatever else is in
    the batch. As with a featurizer, what it raises costs the image that it raises for.

    It may have two methods more. The class method ``candidates() -> Sequence[Mapping[str, Any]]``
    lists the options that cross-validation chooses among, the most cautious first (without it
    there is one candidate, the defaults). ``explain(features)`` names the training images that
    decided: for each of N images a sequence of (index in the order of ``fit``, weight).
    """

    name: ClassVar[str]

    def fit(
        self, features: NDArray[np.float32], targets: NDArray[np.intp], class_count: int
    ) -> None:
        """Learn from ``features``, float32 ``[N, D]``, and ``targets``, int ``[N]`` in [0, C).

        Every class occurs.
        """
        ...

    def predict_proba(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities, float64 ``[N, C]``, each row summing to 1."""
        ...

    def to_state(self) -> Mapping[str, NDArray[Any] | bytes]:
        """Give what was learnt: plain numeric arrays by name, or bytes by name with an extension.

        Names are of letters, digits, ``_`` and ``-``; options need not be in it.
        """
        ...

    def restore(
        self, state: Mapping[str, NDArray[Any] | bytes], dimension: int, class_count: int
    ) -> None:
        """Take back what ``to_state`` gave.

        It may come from a stranger: raise ValueError if names, shapes or dtypes are wrong, and
        run nothing in it.
        """
        ...


class ReportWriter(Protocol):
    """A report being written; one ``write`` for each image file, in the order of the scan.

    ``commit`` puts the whole report in its place in one step; ``discard`` leaves what was there.
    What any of them raises ends the run without a report.
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

    def open(self, path: str, asked: ReportRequest) -> ReportWriter:
        """Begin a report at ``path`` that holds what is asked for.

        ``path`` may be ``-``, which is standard output, or a URL: ``batchcls.atomic.output_file``
        writes to each, whole or not at all.
        """
        ...


class ReadyModel(Protocol):
    """What the hook ``batchcls_ready_models`` hands over: a model that needs no training.

    It may have ``about(context) -> NetworkInfo``, as a featurizer's provider may, and
    ``outline(context)``, which gives the manifest and the digest of what ``load`` gives, without
    making it: a run in which nothing is new needs no more.
    """

    name: str
    """What ``--model`` takes."""
    description: str

    def load(self, context: Context) -> Model:
        """Make the model. Raises BatchclsError if it can't be had."""
        ...


class Engine(Protocol):
    """Where chunks of images are worked on: threads of this machine, or a cluster."""

    def map(self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]) -> Iterator[Result]:
        """Yield ``work(chunk)`` for each chunk, in the order of the chunks.

        The chunks are a stream, to be drawn no further ahead than keeps the engine busy, by one
        thread at a time; one may be empty, and costs nothing. What the work or the stream raises is
        raised here. When the iteration is given up, what is in work may be.
        """
        ...


class DistantEngine(Engine, Protocol):
    """An engine whose work is done by other processes, on whatever machine.

    Its ``map`` is handed a :class:`DistantWork`, its provider is marked ``distant``.
    """


class DistantWork(Protocol):
    """What a distant engine sends to its workers: it can be pickled, and carries the model.

    That takes megabytes: to be sent once to each worker, and unpickled there once. Then any number
    of threads may call it. Where other versions are installed than where the run was begun, so that
    the results might be others, unpickling it raises BatchclsError.
    """

    def check(self) -> None:
        """Raise BatchclsError where this process can't do the work: it may not see the images."""
        ...

    def __call__(self, chunk: Any) -> Any:  # noqa: ANN401
        """Work on a chunk. A file that hangs costs its time limit, one that crashes the process."""
        ...

    def many(self, chunks: Iterable[Any]) -> Iterator[Any]:
        """Work on several chunks, reading ahead."""
        ...

    def carefully(self, chunk: Any) -> Any:  # noqa: ANN401
        """Work on a chunk with which a worker has died: each file is decoded apart."""
        ...


class EngineProvider(Protocol):
    """What the hook ``batchcls_engines`` hands over: a name, and how to get the engine."""

    name: str
    """What ``--engine`` takes."""
    description: str
    distant: bool
    """Whether what it creates is a :class:`DistantEngine`."""

    # create(context, **options), the options being named keyword parameters with defaults.
    def create(self, *args: Any, **kwargs: Any) -> Engine:  # noqa: ANN401
        """Make the engine, when there is the first work for it. Raises BatchclsError."""
        ...
