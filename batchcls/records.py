"""The records that pass from stage to stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from batchcls.text import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.reading import Identity


# How many of the first classes are kept of each image, whatever the number of classes.
LEADING = 10


class Status(str, Enum):
    """The ``status`` column of the report."""

    OK = "ok"
    REVIEW = "review"
    """Labelled, but so little sure of it that a person is to look."""
    UNKNOWN = "unknown"
    """Unlike everything that the model was trained on: no label."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image file that the scan found.

    ``path`` opens the file; ``key`` names it in the report. Both may hold lone surrogates: bytes
    of a name that is not UTF-8 (PEP 383). ``problem`` is set when the scan already knows why it
    can't be read. ``content`` is set where the file is as an earlier run has seen it.
    ``identity`` is what the listing of a storage says of an object: it need not be asked for.
    """

    path: str
    key: str
    problem: str | None = None
    content: KnownContent | None = None
    identity: Identity | None = None


def unread_folder(path: str, key: str, why: str) -> ImageFile:
    """Give the row of a folder that can't be listed; "" is the ``key`` of the one scanned."""
    return ImageFile(path, key or "./", problem=f"the folder can't be read: {why}")


class KnownContent(NamedTuple):
    """The content of a file, known without opening it: its id in the store, and SHA-256."""

    id: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one image file.

    ``leading`` are the first few classes, best first: their indices in the model's ``classes``, and
    their probabilities; ``label`` is the first, ``score`` its probability. ``scores`` are those of
    all classes, float64 ``[C]``, or None where nobody asked for them and the first few were known
    from an earlier run. Without a label these are None, or empty, and ``error`` says why: the file
    is unreadable, or, with the status ``unknown``, too unlike the training images: ``distance``,
    in feature space, is beyond 1 then (None: the model can't tell).
    With the status ``review`` there is a label, and ``error`` says why to look at it.
    ``fault`` is set where not the image is to blame, but a plugin that failed for it: it is the
    traceback. ``because`` names the training images that decided, and their weights, where that was
    asked for.
    """

    path: str
    status: Status
    label: str | None = None
    score: float | None = None
    error: str | None = None
    scores: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    fault: str | None = field(default=None, compare=False, repr=False)
    because: tuple[tuple[str, float], ...] | None = None
    leading: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    distance: float | None = None

    def best(self, count: int) -> Sequence[tuple[int, float]]:
        """Give the first ``count`` classes, or all: index and score, ties in their order."""
        if self.scores is None or count <= len(self.leading):
            return self.leading[:count]
        order = (-self.scores).argsort(kind="stable")[:count]
        return [(int(index), float(self.scores[index])) for index in order]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prediction, and how it came about.

    ``digest`` is the SHA-256 of the file's content, None where it was not read; ``recalled`` tells
    that the store knew it. ``lasting`` is for an error that lies in the content alone. ``file`` is
    the path that opens the file; ``thumbnail`` a small picture of it, where that was wanted.
    """

    prediction: Prediction
    digest: bytes | None = None
    recalled: bool = False
    lasting: bool = False
    file: str = ""
    thumbnail: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """One labelled image: the file, its label, and where the tag stands (``tags.tsv:3``).

    ``where`` is empty if the label is the name of the image's folder.
    """

    path: str
    label: str
    where: str = ""

    @property
    def named(self) -> str:
        """Give what an error begins with: the place of the tag and the image."""
        return f"{self.where}: {shown(self.path)}" if self.where else shown(self.path)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What a report is to hold.

    ``top`` labels for each image; as asked the ``scores`` of every class, and, for ``explain``, the
    training images because of which a label was given. ``classes`` are the model's. Later versions
    may ask for more.
    """

    classes: Sequence[str]
    top: int = 1
    scores: bool = False
    explain: bool = False


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as the plugins that watch it are told. ``model`` is a file or a ready model's name.

    ``started`` is in ISO 8601, UTC.
    """

    images: tuple[str, ...]
    output: str
    model: str
    model_digest: str
    classes: tuple[str, ...]
    started: str


@dataclass
class RunSummary:
    """What a run did. ``error`` says why it ended early; then there is no new report.

    ``labels`` counts the images by label, ``review`` those among them to be looked at, ``unknown``
    the images that the label was withheld of, ``unreadable`` those with an error, ``faults`` those
    among them that a plugin failed for, ``first_fault`` being the first. ``recalled`` images were
    known from an earlier run, ``left_out`` have no row since only what is new was asked for.
    Of a run of one shard, ``elsewhere`` files belong to another; among these ``unlisted`` are
    folders that couldn't be listed, ``first_unlisted`` being the first.
    """

    labels: Counter[str] = field(default_factory=Counter)
    review: int = 0
    unknown: int = 0
    unreadable: int = 0
    recalled: int = 0
    left_out: int = 0
    elsewhere: int = 0
    unlisted: int = 0
    first_unlisted: ImageFile | None = None
    faults: int = 0
    first_fault: Prediction | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def classified(self) -> int:
        """Images that the model could say something of."""
        return self.labels.total() + self.unknown

    @property
    def images(self) -> int:
        """Rows in the report."""
        return self.classified + self.unreadable


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """What `batchcls models` tells of a network. ``size`` is in bytes, None where not known.

    ``at_hand`` is None where it depends on an option; ``note`` says how to get one that is not at
    hand, or what else there is to say.
    """

    at_hand: bool | None
    size: int | None = None
    licence: str = ""
    origin: str = ""
    place: str = ""
    note: str = ""
