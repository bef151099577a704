"""The work of ``batchcls run``: what its worker does, from the store to the report."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls import assembly, fingerprint, reportpath
from batchcls.careful import Careful
from batchcls.commands.choose import chosen_outline, model_name
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.commands.runend import End, end_of_run, finish
from batchcls.commands.runhtml import RunHtml
from batchcls.errors import UsageError
from batchcls.importing import importing
from batchcls.judging import Judge
from batchcls.logformat import words_of
from batchcls.pipeline import Slot, outcomes, run
from batchcls.plugins import registry
from batchcls.reading import identify
from batchcls.records import LEADING, ImageFile, Outcome, Prediction, RunInfo, RunSummary, Status
from batchcls.scan import scan
from batchcls.store.schema import StoreError
from batchcls.text import plural, shown
from batchcls.watch import Watch

if TYPE_CHECKING:
    from batchcls.classification import Picks
    from batchcls.commands.run import RunPlan
    from batchcls.guard.flight import Flight
    from batchcls.guard.verdicts import Verdicts
    from batchcls.outline import Outline
    from batchcls.pipeline import Work
    from batchcls.store.memory import StoreMemory
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal


def do_run(
    plan: RunPlan,
    terminal: Terminal,
    flight: Flight,
    verdicts: Verdicts,
    *,
    report_is_ours: bool = False,
) -> int:
    """Do it, good or bad, and tell whoever wants to know of the end.

    ``report_is_ours`` where an earlier worker of this run was killed after it wrote the report.
    """
    end = End(RunSummary())
    care = Careful(flight, verdicts, plan.settings.decode)
    worker = _Worker(plan, terminal, flight, care, end, report_is_ours)
    with end_of_run(plan, end, terminal):
        try:
            worker.run()
        finally:
            worker.close()
        end.status = finish(plan, end, terminal)
    return int(end.status)


@dataclass
class _Worker:
    plan: RunPlan
    terminal: Terminal
    flight: Flight
    care: Careful
    end: End
    report_is_ours: bool
    store: Store | None = None

    def run(self) -> None:
        settings, terminal = self.plan.settings, self.terminal
        self.store = assembly.open_store(settings, terminal)
        skip = [self.plan.report, self.plan.summary, self.plan.html, *self._former_reports()]
        rules = assembly.scan_rules(settings, skip=skip, store=self.store)
        roots = settings.run.images
        files = scan(roots, rules, self.care)
        format_ = assembly.report_format(self.plan.report)  # before the model may take its time
        outline = chosen_outline(settings, self.plan.model_option, terminal)
        self._tell_what(outline)
        explain = self.plan.must_explain or (settings.report.explain and outline.model.explains)
        settings.report.explain = explain
        info = self.end.info = _run_info(self.plan, outline)
        watchers = list(registry().watchers())
        watch = Watch(watchers, info, terminal.warn)
        warn_of_plugins(terminal)
        memory = self._memory(outline, all_scores=self._all_scores(watch, format_.suffix))
        judge = Judge(settings.report.review_below, settings.report.unknown)
        page = RunHtml(self.plan, info, judge, terminal) if self.plan.html else None
        make_work = self._make_work(outline, memory, page.gallery if page is not None else None)
        if explain:
            make_work()  # whether it can is told before anything is done
        wanted, keep = self._wanted()

        def count() -> int:
            return sum(1 for _ in scan(roots, rules))

        def on_batch(new: list[Outcome], predictions: list[Prediction]) -> None:
            advance(len(predictions))
            self._detail(predictions)
            if page is not None:
                page.add(zip(new, predictions, strict=True))
            watch.batch(predictions)

        try:
            watch.started()
            request = assembly.report_request(settings, outline.manifest.classes)
            report = format_.open(self.plan.report, request)
            engine = assembly.lazy_engine(settings)
            total = None if self.plan.since or settings.run.new_only else count
            with (
                terminal.progress("classifying", total=total) as advance,
                closing(outcomes(files, self._recall(memory), make_work, engine)) as found,
            ):
                run(
                    self._progressing(found),
                    report,
                    self.end.summary,
                    judge,
                    wanted,
                    on_batch,
                    (lambda: page.draw(memory, self.care)) if page is not None else lambda: None,
                    least=settings.run.min_images,
                )
            self.end.written = True
            keep()
            if page is not None:
                self.end.page_written = page.commit(self.end.summary)
        except BaseException as error:
            if page is not None:
                page.discard()
            self.end.summary.error = words_of(error)
            watch.finished(self.end.summary)
            raise
        watch.finished(self.end.summary)

    def _tell_what(self, outline: Outline) -> None:
        classes = plural(len(outline.manifest.classes), "class", "classes")
        name = shown(model_name(self.plan.settings, self.plan.model_option))
        self.terminal.detail(f"model {name}: {classes}, digest {outline.digest[:16]}")
        folder = assembly.store_folder(self.plan.settings)
        self.terminal.detail("no store" if self.store is None else f"store {shown(folder)}")

    def _detail(self, predictions: Sequence[Prediction]) -> None:
        if not self.terminal.verbose:
            return
        for one in predictions:
            if one.status is Status.ERROR:
                text = f"{one.path}: {one.error}"
                self.terminal.event("unreadable", text, path=one.path, reason=one.error)

    def _progressing(self, found: Iterable[list[Outcome]]) -> Iterator[list[Outcome]]:
        """Let the guardian know of results that are kept: so it tells a run that gets on."""
        for chunk in found:
            if self.store is not None and self.store.working:
                self.flight.progressed(sum(not outcome.recalled for outcome in chunk))
            yield chunk

    def _former_reports(self) -> list[str]:
        if self.plan.report == assembly.STDOUT:
            return []
        model = model_name(self.plan.settings, self.plan.model_option)
        return reportpath.former_reports(self.plan.template, model)

    def close(self) -> None:
        """Close the store, after making it smaller if it has grown too large."""
        if self.store is None:
            return
        self.store.close()
        settings = self.plan.settings
        if self.end.summary.error is None:
            from batchcls.store.upkeep import shrink

            with contextlib.suppress(StoreError):  # the next run will meet it, and tell
                pruned = shrink(assembly.store_folder(settings), settings.store.max_gigabytes)
                if pruned.contents:
                    self.terminal.detail(f"the store was made smaller by {pruned.bytes:,} bytes")

    def _memory(self, outline: Outline, *, all_scores: bool) -> StoreMemory | None:
        if self.store is None:
            return None
        settings = self.plan.settings
        name = model_name(settings, self.plan.model_option)
        memory = assembly.model_memory(
            settings,
            name,
            outline,
            self.store,
            all_scores=all_scores,
            thumbnails=bool(self.plan.html),
        )
        for digest, reason in self.care.verdicts.slow.items():
            memory.record_slow(digest, reason, run=self.plan.started.isoformat())
        return memory

    def _all_scores(self, watch: Watch, suffix: str) -> bool:
        """Tell whether somebody may ask for more than the first few classes of an image."""
        report = self.plan.settings.report
        if report.scores or report.top > LEADING or watch.sees_batches:
            return True
        return bool(registry().owner("report format", suffix))

    def _make_work(
        self, outline: Outline, memory: StoreMemory | None, picks: Picks | None
    ) -> Callable[[], Work]:
        settings = self.plan.settings

        def make() -> Work:
            from batchcls.imageformats import require_plugins

            start = time.perf_counter()
            require_plugins(settings.decode.pillow_plugins)
            with importing():
                model = outline.model
            seconds = time.perf_counter() - start
            self.terminal.detail(f"there is work for the network: loaded in {seconds:.1f} s")
            return model.chunk_classifier(
                settings.decode.max_pixels,
                explain=settings.report.explain,
                max_bytes=settings.decode.max_bytes,
                memory=memory,
                recorder=memory,
                care=self.care,
                picks=picks,
            )

        return make

    def _recall(self, memory: StoreMemory | None) -> Callable[[list[ImageFile]], Sequence[Slot]]:
        since, max_bytes = self.plan.since, self.plan.settings.decode.max_bytes

        def recall(files: list[ImageFile]) -> Sequence[Slot]:
            if memory is None and since is None:
                return files
            kept, identities = [], []
            for file in files:
                identity = None
                if file.problem is None and self.care.reason(file.path) is None:
                    with self.care.reading(file.path):
                        identity = identify(file.path)
                # What can't be looked up has a row that says why, whenever it was modified.
                if since is None or identity is None or identity.modified >= since:
                    kept.append(file)
                    too_large = identity is not None and identity.size > max_bytes
                    identities.append(None if too_large else identity)
            return kept if memory is None else memory.recall(kept, identities)

        return recall

    def _wanted(self) -> tuple[Callable[[Outcome], bool], Callable[[], None]]:
        """Give what tells whether an outcome is wanted, and what is to be done at a good end."""
        settings = self.plan.settings
        if not settings.run.new_only:
            return (lambda _: True), (lambda: None)
        if self.store is None:
            raise UsageError(
                "run -> new_only: needs the store, which can't be used",
                hint="Which images are new is told by what former reports had.",
            )
        from batchcls.store.reported import Reported

        template = self.plan.template
        reported = Reported(self.store, assembly.absolute(template), fingerprint.failing(settings))
        report = os.path.realpath(self.plan.report)
        former = self._former_reports()
        if self.report_is_ours or reportpath.changes(template):
            # Of the same night: a second run must not take away what the first one has told.
            reported.add_present(report)
            former = [path for path in former if os.path.realpath(path) != report]
        for path in former[-1:]:
            reported.add_former(path)
        return reported.is_new, reported.commit


def _run_info(plan: RunPlan, outline: Outline) -> RunInfo:
    return RunInfo(
        images=tuple(plan.settings.run.images),
        output=plan.report,
        model=model_name(plan.settings, plan.model_option),
        model_digest=outline.digest,
        classes=tuple(outline.manifest.classes),
        started=plan.started.isoformat(timespec="seconds"),
    )
