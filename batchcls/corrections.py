"""Corrections: several sources of tags, of which the later one has the last word on an image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from batchcls.records import TaggedImage
from batchcls.text import plural, shown

# Changed labels that are told one by one.
CHANGES_SHOWN = 20


class Relabelled(NamedTuple):
    """An image whose label was changed: its tag before, and its tag now."""

    before: TaggedImage
    now: TaggedImage


@dataclass(frozen=True)
class Correction:
    """What one ``source`` did to the tags of those before it.

    It ``changed`` labels, ``added`` so many images, and ``confirmed`` so many labels.
    """

    source: str
    changed: list[Relabelled] = field(default_factory=list)
    added: int = 0
    confirmed: int = 0


@dataclass(frozen=True)
class Merged:
    """The tags of all sources together, an image in the place where it was named first.

    ``read`` has the tags of each source as they stand there; ``corrections`` is what each but the
    first did.
    """

    tags: list[TaggedImage]
    read: Sequence[tuple[str, Sequence[TaggedImage]]]
    corrections: Sequence[Correction] = ()

    @property
    def vanished(self) -> list[str]:
        """Name the classes that are gone, since all their images got another label."""
        tagged = {tag.label for _, tags in self.read for tag in tags}
        return sorted(tagged - {tag.label for tag in self.tags})

    def before(self, count: int) -> Merged:
        """Give what the first ``count`` sources say."""
        return merge(self.read[:count])


def merge(read: Sequence[tuple[str, Sequence[TaggedImage]]]) -> Merged:
    """Merge the tags of several sources, each with its name.

    An image is its file, by whichever links it is named, so a correction can't stand beside what
    it corrects. Copies of a file are images of their own.
    """
    tags = [tag for _, found in read[:1] for tag in found]
    if len(read) < 2:
        return Merged(tags, read)
    image_of = ImageNames()
    places: dict[str, list[int]] = {}
    for place, tag in enumerate(tags):
        places.setdefault(image_of(tag.path), []).append(place)
    corrections = []
    for source, found in read[1:]:
        changed: list[Relabelled] = []
        added = confirmed = 0
        for tag in found:
            known = places.setdefault(image_of(tag.path), [])
            if not known:
                known.append(len(tags))
                tags.append(tag)
                added += 1
                continue
            differing = [tags[place] for place in known if tags[place].label != tag.label]
            changed += [Relabelled(before, tag) for before in differing[:1]]
            confirmed += not differing
            for place in known:
                if tags[place].label != tag.label:
                    tags[place] = tag
        corrections.append(Correction(source, changed, added, confirmed))
    return Merged(tags, read, corrections)


class ImageNames:
    """Gives a path the one name that its file has: absolute, with no link in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        """Give the name; of a path that can't be followed, the path itself, absolute."""
        folder, name = os.path.split(os.path.abspath(path))
        try:
            real = self._folders.get(folder)
            if real is None:
                real = self._folders[folder] = os.path.realpath(folder)
            path = os.path.join(real, name)
            return os.path.realpath(path) if os.path.islink(path) else path
        except (OSError, ValueError):  # ValueError: it holds a NUL
            return os.path.join(folder, name)


def told(correction: Correction) -> list[str]:
    """Say in lines what a source did: in numbers, then the first labels that it changed."""
    changed = correction.changed
    lines = [
        f"{shown(correction.source)}: {plural(len(changed), 'label')} changed, "
        f"{plural(correction.added, 'image')} added, {correction.confirmed:,} confirmed"
    ]
    for before, now in changed[:CHANGES_SHOWN]:
        places = ", ".join(place for place in (before.where, now.where) if place)
        where = f" ({places})" if places else ""
        lines.append(f"  {shown(now.path)}: {shown(before.label)} -> {shown(now.label)}{where}")
    if len(changed) > CHANGES_SHOWN:
        lines.append(f"  and {len(changed) - CHANGES_SHOWN:,} more")
    return lines
