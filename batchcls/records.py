"""The records that pass from stage to stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from batchcls.text import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    can't be read.
    """

    path: str
    key: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one image file.

    ``scores`` are the probabilities of all classes, float64 ``[C]``, in the order of the model's
    ``classes``; ``label`` has the highest, ``score``. For an unreadable file the three are None
    and ``error`` says why. ``fault`` is set where not the image is to blame, but a plugin that
    failed for it: it is the traceback. ``because`` names the training images that decided, and
    their weights, where that was asked for.
    """

    path: str
    status: Status
    label: str | None = None
    score: float | None = None
    error: str | None = None
    scores: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    fault: str | None = field(default=None, compare=False, repr=False)
    because: tuple[tuple[str, float], ...] | None = None

    def ranking(self, count: int) -> list[int]:
        """Give the classes' indices by score, at most ``count``, ties in the order of classes."""
        if self.scores is None:
            return []
        return [int(index) for index in (-self.scores).argsort(kind="stable")[:count]]


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

    ``unreadable`` counts the images without a label, ``faults`` those among them that a plugin
    failed for, ``first_fault`` being the first.
    """

    labels: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    faults: int = 0
    first_fault: Prediction | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def images(self) -> int:
        """Rows in the report."""
        return self.labels.total() + self.unreadable


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
