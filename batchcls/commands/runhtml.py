"""The page of a run (``--html``): begun before the work, filled on the way, there at the end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.atomic import OutputFile, output_file
from batchcls.errors import BatchclsError, fault_of
from batchcls.gallery import Entry, Gallery
from batchcls.locations import absolute, is_url, without_secrets
from batchcls.pipeline import chunked
from batchcls.reading import Files, LocalFiles
from batchcls.records import RunInfo, RunSummary, Status
from batchcls.reportpath import make_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchcls.commands.run import RunPlan
    from batchcls.extraction import Care
    from batchcls.pages.cards import Card
    from batchcls.records import Outcome, Prediction
    from batchcls.store.memory import StoreMemory
    from batchcls.terminal import Terminal

# How many runners-up are shown, and offered where a label is corrected.
_RUNNERS_UP = 3


class RunHtml:
    """The page, and the images that are to be on it."""

    def __init__(
        self,
        plan: RunPlan,
        info: RunInfo,
        judge: Callable[[Prediction], Prediction],
        terminal: Terminal,
    ) -> None:
        """Begin it. Raises BatchclsError where it can't be written."""
        make_folders(plan.settings.run.html, plan.html)
        self.gallery = Gallery(plan.settings.report.thumbnails, judge)
        self._plan, self._info, self._terminal = plan, info, terminal
        self._drawn: dict[bytes, bytes] = {}
        self._file: OutputFile | None = output_file(plan.html)
        is_local = not is_url(plan.html)
        if is_local and (not os.path.exists(plan.html) or os.path.isfile(plan.html)):
            # It could be written. Another run may have the same page, and remove at its start what
            # lies about of it: so nothing does until it is written.
            self._file.discard()
            self._file = None

    def add(self, outcomes: Iterable[tuple[Outcome, Prediction]]) -> None:
        """Take in some outcomes, each with its prediction as it was judged."""
        self.gallery.add(outcomes)

    def draw(self, memory: StoreMemory | None, care: Care, files: Files | None = None) -> None:
        """Get the pictures of those images that were not decoded in this run.

        To be done before the report is in its place: a file may crash a decoder here, too, and
        then all is done once more. One that takes too long ends the drawing: the report is not to
        lack what is known of it.
        """
        lacking = []
        for entry in self.gallery.entries:
            if entry.thumbnail is not None or entry.digest is None:
                continue
            kept = memory.thumbnail(entry.digest) if memory is not None else None
            if kept is None:
                lacking.append(entry)
            else:
                self._drawn[entry.digest] = kept
        if not lacking or not care.draws:
            return
        from batchcls.drawing import Drawer
        from batchcls.imageformats import require_plugins

        settings = self._plan.settings
        require_plugins(settings.decode.pillow_plugins)
        drawer = Drawer(
            assembly.decoder(settings), care, settings.decode.max_bytes, files or LocalFiles()
        )
        chunks = list(chunked(lacking))
        for chunk, drawn in zip(chunks, assembly.engine(settings).map(drawer, chunks), strict=True):
            found = {
                entry.digest: data
                for entry, data in zip(chunk, drawn, strict=True)
                if entry.digest is not None and data is not None
            }
            if memory is not None:
                memory.record_thumbnails(found)
            self._drawn |= found

    def commit(self, summary: RunSummary) -> bool:
        """Put the page in its place; give whether it is there.

        That it can't be written is a warning: the report, which is in its place, is what the run is
        for.
        """
        try:
            file = self._file = self._file or output_file(self._plan.html)
            file.write(self._page(summary))
            file.commit()
        except BatchclsError as error:
            self._missing(error.message)
            return False
        except Exception as error:  # noqa: BLE001 - a fault of ours, of a library, too little memory
            fault = fault_of("making it", error)
            self._missing(fault.reason)
            self._terminal.warn(fault.trace)
            return False
        return True

    def _missing(self, why: str) -> None:
        self.discard()
        self._terminal.warn(f"there is no page: {why}")

    def _page(self, summary: RunSummary) -> bytes:
        from batchcls.pages.runpage import RunPage, run_page

        return run_page(
            RunPage(
                self._info,
                summary,
                started=self._plan.started,
                finished=datetime.now().astimezone(),
                report=without_secrets(self._plan.report),
                cards=self._cards(self.gallery.entries),
                sampled=self.gallery.sampled,
                unreadable=self._cards(self.gallery.unreadable),
                limit=self._plan.settings.report.thumbnails,
            )
        )

    def discard(self) -> None:
        """Leave what was there."""
        if self._file is not None:
            self._file.discard()

    def _cards(self, entries: Sequence[Entry]) -> list[Card]:
        from batchcls.pages.cards import Card

        classes = self._info.classes
        cards = []
        for entry in entries:
            prediction = entry.prediction
            thumbnail = entry.thumbnail
            if thumbnail is None and entry.digest is not None:
                thumbnail = self._drawn.get(entry.digest)
            # Of a label that is withheld the first, too: it is what it might be.
            first = 0 if prediction.status is Status.UNKNOWN else 1
            leading = prediction.best(first + _RUNNERS_UP)[first:]
            cards.append(
                Card(
                    prediction.path,
                    absolute(entry.file),
                    prediction.status,
                    prediction.label,
                    prediction.score,
                    [(classes[index], score) for index, score in leading],
                    prediction.error,
                    thumbnail,
                )
            )
        return cards
