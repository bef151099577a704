"""What a run did, as JSON for programs: the keys are documented in ``docs/cron.md``, and stay."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from batchcls import __version__
from batchcls.atomic import STDOUT, write_atomically
from batchcls.errors import BatchclsError, ExitStatus
from batchcls.locations import absolute, is_url, without_secrets
from batchcls.logformat import json_text
from batchcls.records import RunInfo, RunSummary
from batchcls.reportpath import make_folders
from batchcls.sharding import Shard
from batchcls.text import shown

FORMAT = 1

_STATUSES = {
    ExitStatus.OK: "ok",
    ExitStatus.USAGE: "usage",
    ExitStatus.UNREADABLE: "unreadable",
    ExitStatus.BUSY: "busy",
    ExitStatus.INTERRUPTED: "interrupted",
}
# TensorFlow has two names; the first that is there counts.
_PACKAGES = {
    "numpy": ("numpy",),
    "pillow": ("pillow",),
    "ai-edge-litert": ("ai-edge-litert",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "scikit-learn": ("scikit-learn",),
}


def summary_of(
    info: RunInfo | None,
    summary: RunSummary,
    *,
    started: datetime,
    finished: datetime,
    exit_status: int,
    report: str,
    report_written: bool,
    page: str | None = None,
    images: Sequence[str] = (),
    shard: Shard | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """Give the summary. Without ``info`` the run has ended before it had a model.

    ``started`` and ``finished`` have a time zone. ``page`` is that of ``--html``, if it is there;
    ``shard`` what was classified, None for all.
    ``error`` is None, or says why it ended early.
    """
    error = error or summary.error
    total = summary.images
    return {
        "format": FORMAT,
        "status": status_of(exit_status),
        "exit_status": int(exit_status),
        "error": error,
        "started": _iso(started),
        "finished": _iso(finished),
        "seconds": round((finished - started).total_seconds(), 3),
        "seconds_classifying": round(summary.seconds, 3),
        "counts": {
            "images": total,
            "ok": summary.labels.total() - summary.review,
            "review": summary.review,
            "unknown": summary.unknown,
            "error": summary.unreadable,
            "plugin_failed": summary.faults,
            "left_out": summary.left_out,
            "computed": max(0, total - summary.recalled),
            "recalled": summary.recalled,
        },
        "labels": dict(sorted(summary.labels.items(), key=lambda item: (-item[1], item[0]))),
        "report": report if report == STDOUT else _place(report),
        "report_written": report_written,
        "page": None if page is None else _place(page),
        "images": [_place(root) for root in (images or (info.images if info else ()))],
        "shard": None if shard is None else {"index": shard.index, "count": shard.count},
        "model": None
        if info is None
        else {"name": info.model, "digest": info.model_digest, "classes": len(info.classes)},
        "versions": versions(),
    }


def _place(location: str) -> str:
    """Name a place, from wherever it is looked at; of a URL without what is secret in it."""
    return without_secrets(absolute(location))


def status_of(exit_status: int) -> str:
    """Give the word for an exit status."""
    if exit_status > 128:
        return "interrupted"
    return next((word for known, word in _STATUSES.items() if known == exit_status), "failed")


def versions() -> dict[str, str | None]:
    """Give the versions of what the scores depend on, without importing it."""
    found: dict[str, str | None] = {
        "batchcls": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name, distributions in _PACKAGES.items():
        found[name] = None
        for distribution in reversed(distributions):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(distribution)
    return found


def as_bytes(summary: dict[str, Any]) -> bytes:
    """Give a summary as JSON in UTF-8, a line for each key."""
    return (json_text(summary, indent=2) + "\n").encode()


def write_summary(
    template: str,
    path: str,
    summary: dict[str, Any],
    warn: Callable[[str], None],
    *,
    soon: bool = False,
) -> bool:
    """Write a summary whole, or leave the former one; give whether it is there.

    That it can't be written is a warning: the report is what the run is for. ``path`` is the
    ``template`` with its placeholders filled in. With ``soon`` nothing is tried twice. What is at a
    URL is looked at, too: it may be that the run has ended because it is no summary.
    """
    retries = 0 if soon else None
    try:
        make_folders(template, path)
        if is_url(path):
            _check_replaceable(path, retries)
        write_atomically(path, as_bytes(summary), retries=retries)
    except (BatchclsError, OSError) as error:
        reason = error.message if isinstance(error, BatchclsError) else str(error)
        warn(f"there is no summary: {reason}")
        return False
    return True


def _check_replaceable(url: str, retries: int | None) -> None:
    from batchcls.remote.fetching import beginning_of

    if beginning_of(url, 1, retries=retries) not in {b"", b"{"}:
        raise BatchclsError(f"{shown(without_secrets(url))}: something else is there")


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
