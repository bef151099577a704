"""Where a run writes: that nothing else is lost there, and that no other run writes it meanwhile.

What is at a URL is looked at by the worker alone: the guardian, which is forked, has neither
threads nor connections.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from batchcls.assembly import store_folder
from batchcls.errors import ConfigError
from batchcls.locations import absolute, any_url, is_url, read_only, resolved, without_secrets
from batchcls.overlap import alone_on
from batchcls.reading import beginning_of, is_no_page, stamp_of
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.commands.run import RunPlan
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal


def check_writable(setting: str, path: str) -> None:
    """Raise ConfigError for a URL that nothing can be written to."""
    if is_url(path) and read_only(path):
        raise ConfigError(
            f"run -> {setting}: {_named(path)}: {read_only(path)}:// can only be read",
            hint="Name a file on this machine, or a URL such as s3://bucket/reports/report.csv",
        )


def check_other(setting: str, path: str, **others: str) -> None:
    """Raise ConfigError where a file would take the place of one of the ``others``, or of any else.

    A former summary or page may be replaced. What is at a URL: see ``check_urls``.
    """
    check_writable(setting, path)
    for what, other in others.items():
        if other and resolved(path) == resolved(other):
            raise ConfigError(
                f"run -> {setting}: {_named(path)} is the {what}",
                hint="Name another file for it.",
            )
    if not is_url(path):
        _check_replaceable(setting, path)


def check_urls(plan: RunPlan) -> None:
    """Check what stands at URLs, as ``check_other`` does. Raises BatchclsError if it can't be told.

    To be called in the worker.
    """
    for setting, path in (("summary", plan.summary), ("html", plan.html)):
        if is_url(path):
            _check_replaceable(setting, path)


def _check_replaceable(setting: str, path: str) -> None:
    if is_no_page(path) if setting == "html" else beginning_of(path, 1) not in {b"", b"{"}:
        kind = {"summary": "a summary", "html": "a page of batchcls"}[setting]
        raise ConfigError(
            f"run -> {setting}: {_named(path)} is something else than {kind}, and would be lost",
            hint="Name another file for it, or remove that one.",
        )


def no_images(plan: RunPlan, former_reports: Callable[[], list[str]]) -> list[str]:
    """List what this run writes, and what earlier ones have written, which a scan may meet.

    At a URL former reports are asked for only where they might be taken for images.
    """
    settings = plan.settings
    might = settings.scan.all_files and any_url(settings.run.images)
    former = former_reports() if might or not is_url(plan.template) else []
    return [plan.report, plan.summary, plan.html, *former]


def alone_on_report(plan: RunPlan, terminal: Terminal) -> AbstractContextManager[bool]:
    """Let one run at a time write the report, if that can be; as ``alone_on`` has it.

    Of one at a URL the lock is in the folder of the store: other machines do not see it.
    """
    if not is_url(plan.report):
        return alone_on(plan.report, plan.settings.run.wait, terminal.say)
    return _alone("report", plan.report, plan.settings, terminal)


def alone_on_news(plan: RunPlan, terminal: Terminal) -> AbstractContextManager[object]:
    """Let one run at a time tell what is new, whatever its report is called today."""
    if not plan.settings.run.new_only:
        return contextlib.nullcontext()
    return _alone("new-only", absolute(plan.template), plan.settings, terminal)


def _alone(
    kind: str, location: str, settings: Settings, terminal: Terminal
) -> AbstractContextManager[bool]:
    folder = store_folder(settings)
    with contextlib.suppress(OSError):  # the store has its own error
        os.makedirs(folder, mode=0o700, exist_ok=True)
    digest = hashlib.sha256(os.fsencode(location)).hexdigest()
    lock = os.path.join(folder, f"{kind}-{digest[:16]}")
    return alone_on(lock, settings.run.wait, terminal.say, named=without_secrets(location))


class Before:
    """What stood in the place of the report before the run, so that a worker knows its own run's.

    A worker that was killed may have written it. To be made in the guardian; of what is at a URL
    the first worker notes it, in memory that they share.
    """

    def __init__(self, report: str) -> None:
        self._report = report
        self._noted: mmap.mmap | None = None
        self._stamp: tuple[int, int, int] | None = None
        if is_url(report):
            self._noted = mmap.mmap(-1, 1 + hashlib.sha256().digest_size)
        else:
            self._stamp = stamp_of(report)

    def is_another(self) -> bool:
        """Tell whether another report stands there now. Raises BatchclsError."""
        if self._noted is None:
            return self._stamp != stamp_of(self._report)
        from batchcls.remote.fetching import stamp_of_object

        stamp = hashlib.sha256(repr(stamp_of_object(self._report)).encode()).digest()
        if not self._noted[0]:
            self._noted[:] = b"\1" + stamp
        return self._noted[1:] != stamp


def _named(path: str) -> str:
    return shown(without_secrets(path))
