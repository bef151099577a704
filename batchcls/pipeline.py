"""The way of the data: the one place that joins the stages and knows their order.

scan → recall → read → decode → frame → featurize → classify → judge → report

What an earlier run has found out is recalled from the store; the rest goes to the engine, in chunks
(extraction.py, classification.py), and comes back in the order of the scan.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from batchcls.errors import BatchclsError, DecodeError, PluginFailedError
from batchcls.records import ImageFile, Outcome, Prediction, RunSummary, Status
from batchcls.text import plural

if TYPE_CHECKING:
    from batchcls.decode import Decoder
    from batchcls.interfaces import Engine, ReportWriter

# Images in a chunk, the unit of work: large enough that handing it out costs nothing, small
# enough that the cores finish together and the first rows come soon.
CHUNK = 8
# Files that the store is asked for at once, and that a chunk has at most, if it knows them.
BLOCK = 128
# A plugin that fails for this many images, and has worked for none, will work for none.
HOPELESS = 200
_NO_REPORT = "No report was written; the former one is untouched."

Item = TypeVar("Item")
Slot = Outcome | ImageFile


Work = Callable[[list[ImageFile]], list[Outcome]]


def outcomes(
    files: Iterable[ImageFile],
    recall: Callable[[list[ImageFile]], Sequence[Slot]],
    make_work: Callable[[], Work],
    engine: Engine,
    ahead: Callable[[Iterator[list[ImageFile]]], Iterable[list[ImageFile]]] = iter,
) -> Generator[list[Outcome], None, None]:
    """Yield what comes of all ``files``, in their order.

    ``recall`` gives the outcomes that are known already, and may leave files out. ``make_work``
    is called when the first file is met that isn't known: where nothing is new, the network is not
    even loaded. What goes to the engine passes through ``ahead``, which may begin to read it.
    """
    slots = chain.from_iterable(recall(block) for block in chunked(files, BLOCK))
    chunks = _mixed(slots)
    for chunk in chunks:
        if all(isinstance(slot, Outcome) for slot in chunk):
            yield [slot for slot in chunk if isinstance(slot, Outcome)]
        else:
            yield from _worked(chain([chunk], chunks), make_work(), engine, ahead)


def _worked(
    chunks: Iterator[list[Slot]],
    work: Work,
    engine: Engine,
    ahead: Callable[[Iterator[list[ImageFile]]], Iterable[list[ImageFile]]],
) -> Generator[list[Outcome], None, None]:
    """Have the engine work on the files in the chunks; what is known of the others stays here."""
    waiting: deque[list[Slot]] = deque()  # as far as the engine has drawn

    def files() -> Iterator[list[ImageFile]]:
        for chunk in chunks:
            waiting.append(chunk)
            yield [slot for slot in chunk if isinstance(slot, ImageFile)]

    results = engine.map(work, ahead(files()))
    try:
        for result in results:
            found = iter(result)
            yield [slot if isinstance(slot, Outcome) else next(found) for slot in waiting.popleft()]
    finally:
        if isinstance(results, Generator):
            results.close()  # now, and not when somebody collects what is left of it


def _mixed(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Cut into chunks with at most CHUNK files that aren't known."""
    chunk: list[Slot] = []
    unknown = 0
    for slot in slots:
        chunk.append(slot)
        unknown += isinstance(slot, ImageFile)
        if unknown == CHUNK or len(chunk) == BLOCK:
            yield chunk
            chunk, unknown = [], 0
    if chunk:
        yield chunk


def unreadable(
    files: Iterable[ImageFile], decoder: Decoder, engine: Engine
) -> Iterator[tuple[ImageFile, str]]:
    """Decode files for nothing but to learn which can't be, and why."""

    def check(chunk: list[ImageFile]) -> list[tuple[ImageFile, str]]:
        bad = []
        for file in chunk:
            try:
                decoder.decode(file.path)
            except DecodeError as error:
                bad.append((file, str(error)))
        return bad

    for bad in engine.map(check, chunked(files)):
        yield from bad


def chunked(items: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """Cut a stream into lists of ``size``, the last one shorter."""
    stream = iter(items)
    while chunk := list(islice(stream, size)):
        yield chunk


def run(
    found: Iterable[list[Outcome]],
    report: ReportWriter,
    summary: RunSummary,
    judge: Callable[[Prediction], Prediction] = lambda prediction: prediction,
    wanted: Callable[[Outcome], bool] = lambda _: True,
    on_batch: Callable[[list[Outcome], list[Prediction]], None] = lambda *_: None,
    at_end: Callable[[], None] = lambda: None,
    least: int = 0,
) -> None:
    """Write all outcomes to ``report``, which appears whole at the end or not at all.

    ``judge`` has the last word on each; those that aren't ``wanted`` get no row. ``summary`` is
    filled on the way; ``at_end`` is called when all is there but the report. Raises
    PluginFailedError where a plugin fails for every image, and BatchclsError for fewer images than
    ``least``.
    """
    start = time.perf_counter()
    try:
        for chunk in found:
            new = [outcome for outcome in chunk if wanted(outcome)]
            predictions = [judge(outcome.prediction) for outcome in new]
            report.write(predictions)
            summary.left_out += len(chunk) - len(new)
            summary.recalled += sum(outcome.recalled for outcome in new)
            for prediction in predictions:
                _count(prediction, summary)
            on_batch(new, predictions)
            if summary.faults >= HOPELESS and not summary.classified:
                break
        first = summary.first_fault
        if first is not None and not summary.classified:
            message = f"not one image could be classified: {first.error}"
            raise PluginFailedError(message, hint=_NO_REPORT, trace=first.fault or "")
        count = summary.images + summary.left_out + summary.elsewhere
        if count < least:
            raise BatchclsError(
                f"only {plural(count, 'image')}, where {least:,} or more were expected "
                "(run.min_images)",
                hint=f"Is the folder, or its drive, there? {_NO_REPORT}",
            )
        summary.seconds = time.perf_counter() - start
        at_end()
        report.commit()
    except BaseException:
        summary.seconds = time.perf_counter() - start
        report.discard()
        raise


def _count(prediction: Prediction, summary: RunSummary) -> None:
    if prediction.label is not None:
        summary.labels[prediction.label] += 1
        summary.review += prediction.status is Status.REVIEW
    elif prediction.status is Status.UNKNOWN:
        summary.unknown += 1
    else:
        summary.unreadable += 1
        if prediction.fault is not None:
            summary.faults += 1
            summary.first_fault = summary.first_fault or prediction
