"""The work of ``batchcls run``: what its worker does, from the store to the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchcls import assembly, fingerprint, reportpath
from batchcls.careful import Careful
from batchcls.commands.choose import chosen_outline, model_name
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.commands.runend import End, end_of_run, finish
from batchcls.commands.runengine import RunEngine
from batchcls.commands.runhtml import RunHtml
from batchcls.commands.runplaces import check_urls, no_images
from batchcls.commands.runrecall import RunRecall
from batchcls.errors import UsageError
from batchcls.judging import Judge
from batchcls.locations import absolute
from batchcls.logformat import words_of
from batchcls.pipeline import outcomes, run
from batchcls.plugins import registry
from batchcls.records import LEADING, ImageFile, Outcome, Prediction, RunInfo, RunSummary, Status
from batchcls.scan import scan
from batchcls.sharding import Share
from batchcls.store.schema import StoreError
from batchcls.text import plural, shown
from batchcls.watch import Watch

if TYPE_CHECKING:
    from batchcls.commands.run import RunPlan
    from batchcls.guard.flight import Flight
    from batchcls.guard.verdicts import Verdicts
    from batchcls.outline import Outline
    from batchcls.remote.reading import RemoteFiles
    from batchcls.scanrules import ScanRules
    from batchcls.store.memory import StoreMemory
    from batchcls.store.store import Store
    from batchcls.terminal import Terminal


def do_run(
    plan: RunPlan,
    terminal: Terminal,
    flight: Flight,
    verdicts: Verdicts,
    *,
    report_is_ours: Callable[[], bool] = lambda: False,
) -> int:
    """Do it, good or bad, and tell whoever wants to know of the end.

    ``report_is_ours`` tells, once, at the beginning, whether an earlier worker of this run was
    killed after it wrote the report.
    """
    end = End(RunSummary())
    care = Careful(flight, verdicts, plan.settings.decode)
    worker = _Worker(plan, terminal, flight, care, end, report_is_ours)
    with end_of_run(plan, end, terminal):
        try:
            check_urls(plan)
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
    report_is_ours: Callable[[], bool]
    store: Store | None = None
    remote: RemoteFiles | None = None
    memory: StoreMemory | None = None

    def run(self) -> None:
        settings, terminal = self.plan.settings, self.terminal
        self.store = assembly.open_store(settings, terminal)
        rules = assembly.scan_rules(
            settings, skip=no_images(self.plan, self._former_reports), store=self.store
        )
        remote = self.remote = assembly.remote_files(settings, self.care.touch, self._reads)
        files, total = self._scanned(rules)
        format_ = assembly.report_format(self.plan.report)  # before the model may take its time
        outline = chosen_outline(settings, self.plan.model_option, terminal)
        self._tell_what(outline)
        explain = self.plan.must_explain or (settings.report.explain and outline.model.explains)
        settings.report.explain = explain
        info = self.end.info = _run_info(self.plan, outline)
        watch = Watch(list(registry().watchers()), info, terminal.warn)
        warn_of_plugins(terminal)
        memory = self.memory = self._memory(
            outline, all_scores=self._all_scores(watch, format_.suffix)
        )
        judge = Judge(settings.report.review_below, settings.report.unknown)
        page = RunHtml(self.plan, info, judge, terminal) if self.plan.html else None
        picks = page.gallery if page is not None else None
        working = RunEngine(settings, terminal, outline, memory, self.care, picks, remote)
        max_bytes = settings.decode.max_bytes
        recall = working.recalling(RunRecall(memory, self.care, remote, self.plan.since, max_bytes))
        engine = working.engine
        if explain:
            working.make_work()  # whether it can is told before anything is done
        wanted, keep = self._wanted()

        def at_end() -> None:
            if page is not None:
                page.draw(memory, self.care, remote)

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
            with (
                terminal.progress("classifying", total=total) as advance,
                closing(outcomes(files, recall, working.make_work, engine, working.ahead)) as found,
            ):
                run(
                    self._progressing(found),
                    report,
                    self.end.summary,
                    judge,
                    wanted,
                    on_batch,
                    at_end,
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

    def _scanned(self, rules: ScanRules) -> tuple[Iterator[ImageFile], Callable[[], int] | None]:
        """Give the files, and what counts them, where that is worth it."""
        roots, shard = self.plan.settings.run.images, self.plan.shard
        files = Share(shard, self.end.summary).of(scan(roots, rules, self.care, self.remote))

        def count() -> int:
            return sum(1 for _ in Share(shard, RunSummary()).of(scan(roots, rules)))

        # Listing what is at a URL costs money, and takes as long as the work.
        vague = self.plan.since or self.plan.settings.run.new_only or self.remote is not None
        return files, None if vague else count

    def _reads(self, file: ImageFile) -> bool:
        """Tell whether a file is to be read: not where its features are known."""
        if self.memory is None or file.content is None:
            return True
        return self.memory.features(file.content) is None

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
        """Close the store, after making it smaller if it has grown too large, and connections."""
        if self.remote is not None:
            self.remote.close()
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
        reported = Reported(self.store, absolute(template), fingerprint.failing(settings))
        former = self._former_reports()
        if reportpath.changes(template) or self.report_is_ours():
            # Of the same night: a second run must not take away what the first one has told.
            reported.add_present(self.plan.report)
            places = reportpath.places_of(template)
            former = [one for one in former if not places.is_same(one, self.plan.report)]
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
