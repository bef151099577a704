"""A deck: the cards of a page, made ready to be shown, filtered and corrected."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from batchcls.pages.cards import Card
from batchcls.pages.render import picture


class CardView(NamedTuple):
    """A card as the templates need it.

    ``label``, ``truth`` and ``choices`` are indices in the deck's ``labels``, None where there is
    no such label; ``choices`` are those to offer first where it is corrected. ``path`` is the
    Base64 of the path's bytes, whatever they are; ``picture`` is a ``data:`` address.
    ``folder`` and ``file`` are the two parts of the name.
    """

    card: Card
    number: int
    folder: str
    file: str
    path: str
    picture: str | None
    label: int | None
    truth: int | None
    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Borne:
    """A label that cards bear: its index in the deck's labels, itself, and how many they are."""

    index: int
    label: str
    count: int


@dataclass(frozen=True)
class Deck:
    """Cards, in the order in which they are shown, and what labels there are.

    ``labels`` begin with the model's classes, ``classes`` in number. ``id`` names the page: a
    person's corrections are kept under it until they are saved.
    """

    id: str
    views: Sequence[CardView]
    labels: Sequence[str]
    classes: int
    places: dict[str, int] = field(repr=False)
    """Where each label stands in ``labels``."""

    @property
    def data(self) -> dict[str, object]:
        """Give what the page's scripts need, to become JSON."""
        return {"id": self.id, "labels": list(self.labels), "classes": self.classes}

    @property
    def by_label(self) -> list[Borne]:
        """Give the labels of the cards, by name."""
        return self._borne(view.label for view in self.views)

    @property
    def by_truth(self) -> list[Borne]:
        """Give the labels that the cards are tagged with, by name."""
        return self._borne(view.truth for view in self.views)

    @property
    def by_status(self) -> Counter[str]:
        """Count the cards by status."""
        return Counter(view.card.status.value for view in self.views)

    def _borne(self, indices: Iterable[int | None]) -> list[Borne]:
        counts = Counter(index for index in indices if index is not None)
        borne = [Borne(index, self.labels[index], count) for index, count in counts.items()]
        return sorted(borne, key=lambda item: (item.label.casefold(), item.label))


def make_deck(cards: Iterable[Card], classes: Sequence[str], *identity: str) -> Deck:
    """Make a deck of ``cards``. ``classes`` are the model's; ``identity`` tells pages apart."""
    places = {label: index for index, label in enumerate(classes)}
    views = []
    digest = hashlib.sha256()
    for part in identity:
        digest.update(_bytes(part) + b"\0")
    for number, card in enumerate(cards, start=1):
        folder, file = _parted(card.name)
        path = os.fsencode(card.path)
        digest.update(path + b"\0")
        first = [card.label, card.truth, *(label for label, _ in card.runners_up)]
        choices = dict.fromkeys(
            places.setdefault(label, len(places)) for label in first if label is not None
        )
        views.append(
            CardView(
                card,
                number,
                folder,
                file,
                base64.b64encode(path).decode("ascii"),
                picture(card.thumbnail),
                None if card.label is None else places[card.label],
                None if card.truth is None else places[card.truth],
                tuple(choices),
            )
        )
    return Deck(digest.hexdigest()[:16], views, list(places), len(classes), places)


def _parted(name: str) -> tuple[str, str]:
    """Give the folder, with its separator at the end, and the file's own name."""
    end = max(name.rfind("/"), name.rfind(os.sep)) + 1
    return name[:end], name[end:]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
