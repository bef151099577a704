"""Comparing what was said of the same images twice: in two reports, or by two models.

Two answers agree where label and status are the same; a score alone may differ. How the mix of
labels drifted is a number, too, the total variation distance: half the sum, over the labels, of the
absolute differences of their shares. It is the least share of the images that would have to get
another label for one mix to become the other: 0 for the same mix, 1 for mixes with no label in
common. (Levin, Peres, Wilmer, "Markov Chains and Mixing Times", proposition 4.2.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from batchcls.records import Prediction, Status


class Answer(NamedTuple):
    """What was said of an image: as in a report's row."""

    label: str | None
    score: float | None
    status: Status


def answer_of(prediction: Prediction) -> Answer:
    """Give what of a prediction is compared."""
    return Answer(prediction.label, prediction.score, prediction.status)


class Kind(NamedTuple):
    """What the mix is made of: a label, or, without one, a status that says why there is none.

    Beside a label there is a status only where that alone is the difference.
    """

    label: str | None
    status: Status | None = None


def kind_of(answer: Answer) -> Kind:
    """Give the part of the mix that an answer counts in."""
    return Kind(answer.label) if answer.label is not None else Kind(None, answer.status)


def words_of(kind: Kind) -> str:
    """Give a label, or what stands for none: ``pizza``, ``pizza (review)``, ``(unknown)``."""
    status = kind.status
    if kind.label is not None:
        return kind.label if status in {None, Status.OK} else f"{kind.label} ({status.value})"
    return "(unreadable)" if status is Status.ERROR else "(unknown)"


def points(change: float) -> str:
    """Give a change of a share in percentage points, with its sign unless it rounds to none."""
    text = f"{100 * change:+.1f}"
    return text if float(text) else "0.0"


class Change(str, Enum):
    """How two answers differ, the ``change`` column of the differences."""

    LABEL = "label"
    """Both have a label, and not the same."""
    STATUS = "status"
    """The status differs: a label was withheld or given, or is to be reviewed, or no longer."""
    NEW = "new"
    """Only the new one has the file."""
    VANISHED = "vanished"
    """Only the old one has the file."""


class Difference(NamedTuple):
    """A file of which not the same was said. ``path`` may hold lone surrogates (PEP 383)."""

    path: str
    change: Change
    old: Answer | None
    new: Answer | None


def difference(path: str, old: Answer | None, new: Answer | None) -> Difference | None:
    """Tell how two answers differ, None being that there is none; None where they agree."""
    if old is None or new is None:
        return Difference(path, Change.NEW if old is None else Change.VANISHED, old, new)
    if old.label is not None and new.label is not None and old.label != new.label:
        return Difference(path, Change.LABEL, old, new)
    return None if old.status is new.status else Difference(path, Change.STATUS, old, new)


def transition(old: Answer, new: Answer) -> tuple[Kind, Kind]:
    """Give from what to what an answer changed."""
    kinds = kind_of(old), kind_of(new)
    if kinds[0] != kinds[1]:
        return kinds
    return Kind(old.label, old.status), Kind(new.label, new.status)


class Drift(NamedTuple):
    """How many images one kind has in the old and in the new. Shares are of all rows, 0 to 1.

    None where there are no rows.
    """

    kind: Kind
    old: int
    new: int
    old_share: float | None
    new_share: float | None

    @property
    def change(self) -> float | None:
        """The new share less the old one, -1 to 1."""
        if self.old_share is None or self.new_share is None:
            return None
        return self.new_share - self.old_share


@dataclass
class Comparison:
    """What differs, counted; of the differences themselves only the first few are kept.

    ``first_changed`` holds ``most_changed`` of those with an answer in both, ``first_new`` and
    ``first_vanished`` ``most_one_sided`` each. ``transitions`` counts all that changed by from what
    to what.
    """

    most_changed: int = 1000
    most_one_sided: int = 500
    agreed: int = 0
    changes: Counter[Change] = field(default_factory=Counter)
    transitions: Counter[tuple[Kind, Kind]] = field(default_factory=Counter)
    old_mix: Counter[Kind] = field(default_factory=Counter)
    new_mix: Counter[Kind] = field(default_factory=Counter)
    first_changed: list[Difference] = field(default_factory=list)
    first_new: list[Difference] = field(default_factory=list)
    first_vanished: list[Difference] = field(default_factory=list)

    def add(self, path: str, old: Answer | None, new: Answer | None) -> Difference | None:
        """Take in a file, with an answer in the old, in the new, or in both; tell what differs."""
        if old is not None:
            self.old_mix[kind_of(old)] += 1
        if new is not None:
            self.new_mix[kind_of(new)] += 1
        found = difference(path, old, new)
        if found is None:
            self.agreed += 1
            return None
        self.changes[found.change] += 1
        if old is not None and new is not None:
            self.transitions[transition(old, new)] += 1
        kept, most = self._kept(found.change)
        if len(kept) < most:
            kept.append(found)
        return found

    def _kept(self, change: Change) -> tuple[list[Difference], int]:
        if change is Change.NEW:
            return self.first_new, self.most_one_sided
        if change is Change.VANISHED:
            return self.first_vanished, self.most_one_sided
        return self.first_changed, self.most_changed

    @property
    def old_rows(self) -> int:
        """Files in the old."""
        return self.old_mix.total()

    @property
    def new_rows(self) -> int:
        """Files in the new."""
        return self.new_mix.total()

    @property
    def changed(self) -> int:
        """Files with an answer in both, and not the same."""
        return self.changes[Change.LABEL] + self.changes[Change.STATUS]

    @property
    def compared(self) -> int:
        """Files with an answer in both."""
        return self.agreed + self.changed

    @property
    def steps(self) -> list[tuple[tuple[Kind, Kind], int]]:
        """The ``transitions`` with their counts, the most frequent first, then by their words."""
        words = {kinds: tuple(map(words_of, kinds)) for kinds in self.transitions}
        return sorted(self.transitions.items(), key=lambda item: (-item[1], words[item[0]]))

    @property
    def drift(self) -> list[Drift]:
        """How the mix changed, kind by kind, the largest change of a share first."""
        old_rows, new_rows = self.old_rows, self.new_rows
        found = []
        for kind in self.old_mix.keys() | self.new_mix.keys():
            old, new = self.old_mix[kind], self.new_mix[kind]
            found.append(Drift(kind, old, new, _share(old, old_rows), _share(new, new_rows)))
        return sorted(found, key=_by_size)

    @property
    def distance(self) -> float | None:
        """The total variation distance of the two mixes, 0 to 1; None where one has no rows."""
        steps = [one.change for one in self.drift]
        if not self.old_rows or not self.new_rows:
            return None
        return sum(abs(step) for step in steps if step is not None) / 2


def _share(count: int, rows: int) -> float | None:
    return count / rows if rows else None


def _by_size(one: Drift) -> tuple[float, int, bool, str, str]:
    size = abs(one.change) if one.change is not None else 0.0
    label, status = one.kind
    return -size, -(one.old + one.new), label is None, label or "", status.value if status else ""


@dataclass(frozen=True)
class Compared:
    """A comparison, and of what: ``names`` are those of the old and the new.

    ``only_old`` and ``only_new`` are the classes that only one of two models knows; none with
    reports, which do not tell theirs.
    """

    names: tuple[str, str]
    sort: Literal["report", "model"]
    comparison: Comparison
    only_old: Sequence[str] = ()
    only_new: Sequence[str] = ()


class Rows(Protocol):
    """The rows of a report: for each file its path and what was said of it."""

    def __iter__(self) -> Iterator[tuple[str, Answer]]:
        """Yield them, in any order."""
        ...

    def repeated(self, path: str) -> Exception:
        """Give what is to be raised where the row just yielded has the path of a former one."""
        ...


def matched(old: Rows, new: Rows) -> Iterator[tuple[str, Answer | None, Answer | None]]:
    """Bring the rows of two reports together by their paths.

    In the order of the new one; what only the old one has comes last, in its order. The old one is
    held in memory (measured: 0.3 KB a row). Raises what ``repeated`` gives for a path that a report
    has twice.
    """
    # None stands for a path that the new one has, too.
    waiting: dict[str, Answer | None] = {}
    for path, answer in old:
        if path in waiting:
            raise old.repeated(path)
        waiting[path] = answer
    only_new: set[str] = set()
    for path, answer in new:
        before = waiting.get(path)
        if before is None and (path in waiting or path in only_new):
            raise new.repeated(path)
        if before is None:
            only_new.add(path)
        else:
            waiting[path] = None
        yield path, before, answer
    for path, left in waiting.items():
        if left is not None:
            yield path, left, None


def only_in(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """Give the classes of ``one`` that ``other`` does not have, in their order."""
    known = set(other)
    return [name for name in one if name not in known]
