"""The records that pass from stage to stage."""

from __future__ import annotations

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
    and ``error`` says why.
    """

    path: str
    status: Status
    label: str | None = None
    score: float | None = None
    error: str | None = None
    scores: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)

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
