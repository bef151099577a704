"""Cards: the images on a page, each with its picture and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchcls.records import Status


@dataclass(frozen=True, slots=True)
class Card:
    """An image on a page.

    ``name`` names it in the report, ``path`` opens it and is absolute; both may hold lone
    surrogates: bytes of a name that is not UTF-8 (PEP 383). ``label`` is None where there is none,
    and ``reason`` says why, or why a person is to look. ``runners_up`` are the next labels and
    their scores, best first. ``thumbnail`` is a WebP image, None where there is no picture.
    ``truth`` is the label that the image was tagged with, in an evaluation.
    """

    name: str
    path: str
    status: Status
    label: str | None = None
    score: float | None = None
    runners_up: Sequence[tuple[str, float]] = ()
    reason: str | None = None
    thumbnail: bytes | None = None
    truth: str | None = None
