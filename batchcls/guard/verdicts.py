"""What a worker is told of files that made trouble for the workers before it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from batchcls.guard.board import InFlight, Stage, named
from batchcls.guard.mounts import lies_in, mount_points, place_of
from batchcls.locations import is_url
from batchcls.text import shown

# So many files that did not answer, and the whole mount is taken for dead.
SILENT = 3


@dataclass(frozen=True)
class Verdicts:
    """What is known; to be asked with any path, absolute or not.

    ``suspects`` were in work when a process died, as were ``contents``; ``reasons`` says why a path
    is given up, ``places`` why all in a folder is. ``everything`` is suspect once crashes have
    become too many to learn from each. Paths are absolute, links not followed.
    """

    suspects: frozenset[str] = frozenset()
    contents: frozenset[bytes] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False
    silent: Mapping[str, int] = field(default_factory=dict)
    """How many did not answer, for each mount."""
    slow: Mapping[bytes, str] = field(default_factory=dict)
    """Why their decoding was given up, by the digests of contents."""
    draws: bool = True
    """Whether pictures for a page may be made of files that nothing else is to be learnt of."""

    def reason(self, path: str) -> str | None:
        """Say why a file or folder is not to be touched, if it isn't."""
        if not self.reasons and not self.places:
            return None
        name = os.fsdecode(named(path))
        reason = self.reasons.get(name)
        if reason is not None:
            return reason
        return next((why for place, why in self.places.items() if lies_in(name, place)), None)

    def is_suspect(self, path: str, content: bytes = b"") -> bool:
        """Tell whether a file, or a ``content`` (a digest), is to be decoded apart."""
        if self.everything or content in self.contents:
            return True
        return bool(self.suspects) and os.fsdecode(named(path)) in self.suspects

    def crashed(self, in_flight: Iterable[InFlight]) -> Verdicts:
        """Learn from a process that died with these in work."""
        files = [each for each in in_flight if each.stage is not Stage.LISTING]
        return replace(
            self,
            suspects=self.suspects | {each.path for each in files},
            contents=self.contents | {each.content for each in files if each.content},
        )

    def overdue(self, late: Iterable[InFlight], seconds: float) -> Verdicts:
        """Learn from these having taken longer than ``seconds``."""
        reasons, places, silent = dict(self.reasons), dict(self.places), dict(self.silent)
        slow, draws = dict(self.slow), self.draws
        points = mount_points()
        found: tuple[str, str] | None = None
        for each in late:
            if each.stage is Stage.DRAWING:
                draws = False  # what is known of the file is as true as before
                continue
            if each.stage is Stage.DECODING:
                reasons[each.path] = took_too_long(seconds)
                if each.content:
                    slow[each.content] = reasons[each.path]
                continue
            answer = no_answer(seconds)
            reasons[each.path] = answer
            if is_url(each.path):
                continue  # it is on no mount, and what reads it knows a dead server
            folder = each.path if each.stage is Stage.LISTING else os.path.dirname(each.path)
            if found is None or not lies_in(each.path, found[0]):  # it may take its time
                found = place_of(each.path, folder, points)
            if found is None:
                continue
            place, mount = found
            silent[mount] = silent.get(mount, 0) + 1
            if silent[mount] >= SILENT:
                places[place] = f"on {shown(mount)}, which {answer}"
        return replace(self, reasons=reasons, places=places, silent=silent, slow=slow, draws=draws)


def took_too_long(seconds: float) -> str:
    """Say that a file's decoding was given up."""
    return f"could not be decoded within {seconds:g} s (decode.max_seconds)"


def no_answer(seconds: float) -> str:
    """Say that a file could not be looked at, for no fault of its own."""
    return f"did not answer within {seconds:g} s"
