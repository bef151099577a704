"""``batchcls merge``: the reports of shards → the one that a run over everything writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from batchcls.atomic import STDOUT
from batchcls.errors import ExitStatus, UsageError
from batchcls.importing import importing
from batchcls.locations import absolute, any_url, is_url, resolved, without_secrets
from batchcls.maxerrors import parse_max_errors
from batchcls.records import Status
from batchcls.reportreading import FORMATS, suffix_of
from batchcls.shardfiles import Shards, check_count, find_shards, numbers
from batchcls.terminal import print_json
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.merging import Merged
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_WORDS = {Status.REVIEW: "to review", Status.UNKNOWN: "unknown", Status.ERROR: "unreadable"}


def merge_command(
    settings: Settings,
    paths: Sequence[str],
    output: str,
    images: Sequence[str],
    terminal: Terminal,
    *,
    count: int | None,
    partial: bool,
    as_json: bool,
) -> ExitStatus:
    """Merge, and tell; give the exit status.

    ``count`` is how many shards there are, None where the names tell. ``images`` are the folders
    that the run was given, by default those of the settings. Raises UsageError before anything is
    written.
    """
    allowance = parse_max_errors(settings.run.max_errors)
    check_count(count)
    _check_places(paths, output, as_json=as_json)
    with importing():
        from batchcls.merging import merge

    with _copied(paths) as copies:
        shards = find_shards(paths, count, copies)
        if shards.missing and not partial:
            raise UsageError(
                f"{_missing(shards)}; nothing was written",
                hint="Run what is missing, or name it; --partial writes what there is.",
            )
        roots = images or settings.run.images
        merged = merge(shards, output, roots, told=bool(images))
    if as_json:
        print_json(_to_dict(shards, merged, output))
    else:
        terminal.result(_sentence(shards, merged))
        where = "standard output" if output == STDOUT else shown(without_secrets(output))
        terminal.result(f"report: {where}")
    for note in merged.notes:
        terminal.warn(note)
    if shards.missing:
        terminal.warn(f"the report is not whole: {_missing(shards)}")
    unreadable = merged.counts[Status.ERROR]
    allowed = allowance.allows(unreadable, merged.images)
    if unreadable:
        message = f"{plural(unreadable, 'image')} could not be read; the report says why"
        (terminal.say if allowed else terminal.warn)(message)
    if not merged.images:
        terminal.warn("there is no image in any shard")
    return ExitStatus.OK if allowed and not shards.missing else ExitStatus.UNREADABLE


@contextlib.contextmanager
def _copied(paths: Sequence[str]) -> Iterator[dict[str, str]]:
    """Copy what is at URLs to temporary files, as it is read more than once; give their places."""
    if not any_url(paths):
        yield {}
        return
    from batchcls.remote.fetching import fetched

    with tempfile.TemporaryDirectory(prefix="batchcls-") as folder:
        copies = {}
        for number, path in enumerate(paths):
            if is_url(path):
                copies[path] = os.path.join(folder, f"{number}{suffix_of(path)}")
                with open(copies[path], "wb") as file:
                    file.write(fetched(path))
        yield copies


def _check_places(paths: Sequence[str], output: str, *, as_json: bool) -> None:
    """Raise UsageError for reports that can't be merged, or not into such an output."""
    first = paths[0]
    suffix = suffix_of(first)
    for path in paths:
        if suffix_of(path) not in FORMATS:
            raise UsageError(
                f"{shown(path)}: no report by its name",
                hint=f"A report that can be merged ends in {', '.join(FORMATS)}.",
            )
        if suffix_of(path) != suffix:
            raise UsageError(
                f"{shown(first)} and {shown(path)}: shards of one run have the same format",
                hint="Name the reports of one run.",
            )
    if output == STDOUT:
        if as_json:
            raise UsageError("only one thing can go to standard output", hint="Name a file.")
        return
    if (suffix_of(output) or suffix) != suffix:
        raise UsageError(
            f"--output {shown(output)}: the shards are {suffix}, and merging keeps the format",
            hint=f"Name a file that ends in {suffix}",
        )
    for path in paths:
        if resolved(path) == resolved(output):
            raise UsageError(
                f"--output: {shown(output)} is one of the shards, and would be lost",
                hint="Name another file for it.",
            )


def _missing(shards: Shards) -> str:
    count = len(shards.missing)
    verb = "is" if count == 1 else "are"
    return f"{count:,} of {shards.count:,} shards {verb} missing: {numbers(shards.missing)}"


def _sentence(shards: Shards, merged: Merged) -> str:
    count = len(shards.files)
    whole = plural(count, "shard")
    parts = [
        f"{count:,} of {shards.count:,} shards" if shards.missing else whole,
        plural(merged.images, "image"),
        *(f"{merged.counts[one]:,} {words}" for one, words in _WORDS.items() if merged.counts[one]),
    ]
    return ", ".join(parts)


def _to_dict(shards: Shards, merged: Merged, output: str) -> dict[str, Any]:
    return {
        "shards": shards.count,
        "missing": shards.missing,
        "images": merged.images,
        **{status.value: merged.counts[status] for status in Status},
        "report": without_secrets(absolute(output)),
        "notes": merged.notes,
    }
