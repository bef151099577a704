"""``batchcls compare``: what differs between two reports, or between what two models say."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.atomic import output_file
from batchcls.commands.comparescreen import print_compared, to_dict
from batchcls.comparison import Answer, Compared, Comparison, answer_of, matched, only_in
from batchcls.comparisoncsv import DifferencesFile
from batchcls.errors import UsageError
from batchcls.importing import importing
from batchcls.locations import any_url, is_url, resolved
from batchcls.reading import is_no_page
from batchcls.reportreading import FORMATS, ReportRows, suffix_of
from batchcls.terminal import print_json
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

    Found = Iterable[tuple[str, Answer | None, Answer | None]]

STDOUT = "-"
_POSSIBLE = (
    f"Compare two reports ({', '.join(FORMATS)}), or two models: model files (.batchcls), or "
    "ready models such as imagenet."
)


def compare_command(
    settings: Settings,
    names: tuple[str, str],
    images: Sequence[str],
    output: str | None,
    html: str | None,
    terminal: Terminal,
    *,
    as_json: bool,
) -> None:
    """Compare, and tell: in words or as JSON; all differences in ``output``, a page in ``html``.

    ``images``, by default those of the settings, are for models. Raises UsageError before any work
    for what can't be compared, or can't be written.
    """
    reports = _are_reports(names)
    if reports and images:
        raise UsageError(
            "images are for comparing two models; two reports are compared as they are",
            hint="Leave the images out, or name two models.",
        )
    if not reports and not (images or settings.run.images):
        raise UsageError(
            "no images: nothing to compare the models on",
            hint="Name a folder: batchcls compare OLD NEW ./images (or set run.images)",
        )
    if not reports and any_url(images or settings.run.images):
        raise UsageError(
            "models are compared on images on this machine, not at URLs",
            hint="Make a report with each (batchcls run), and compare the reports.",
        )
    _check_places(names, output, html, as_json=as_json)
    with ExitStack() as stack:
        differences = DifferencesFile(output) if output is not None else None
        if differences is not None:
            stack.callback(differences.discard)  # once it is in its place this does nothing
        page = output_file(html) if html is not None else None
        if page is not None:
            stack.callback(page.discard)
        if reports:
            compared = Compared(names, "report", Comparison())
            found: Found = matched(ReportRows(names[0]), ReportRows(names[1]))
        else:
            compared, found = _models(settings, names, images, (output, html), stack, terminal)
        for path, old, new in found:
            one = compared.comparison.add(path, old, new)
            if one is not None and differences is not None:
                differences.add(one)
        if page is not None:
            with importing():
                from batchcls.pages.comparepage import compare_page
            page.write(compare_page(compared))
        if differences is not None:
            differences.commit()
        if page is not None:
            page.commit()
    _tell(compared, output, html, terminal, as_json=as_json)


def _are_reports(names: tuple[str, str]) -> bool:
    """Tell reports from models, by their endings. Raises UsageError where there is one of each."""
    reports = [name for name in names if suffix_of(name) in FORMATS]
    if len(reports) == 1:
        other = names[1] if reports[0] == names[0] else names[0]
        raise UsageError(
            f"{shown(reports[0])} is a report by its name, and {shown(other) or 'the other'} is "
            "none: they can't be compared",
            hint=_POSSIBLE,
        )
    if not reports:
        _refuse_other_reports(names)
    return bool(reports)


def _refuse_other_reports(names: tuple[str, str]) -> None:
    from batchcls.plugins import registry

    for name in names:
        suffix = suffix_of(name)
        if suffix in registry().report_formats:
            raise UsageError(
                f"{shown(name)}: a report that ends in {suffix} can't be read back", hint=_POSSIBLE
            )


def _check_places(
    names: tuple[str, str], output: str | None, html: str | None, *, as_json: bool
) -> None:
    """Raise UsageError where a file would take the place of something else."""
    if output is not None and output != STDOUT and suffix_of(output) != ".csv":
        raise UsageError(
            f"--output {shown(output)}: the differences are written as CSV",
            hint="Name a file that ends in .csv",
        )
    if [as_json, output == STDOUT, html == STDOUT].count(True) > 1:
        raise UsageError("only one thing can go to standard output", hint="Name a file.")
    taken = {resolved(name): name for name in names if is_url(name) or os.path.exists(name)}
    for option, path in (("--output", output), ("--html", html)):
        if path is None or path == STDOUT:
            continue
        before = taken.setdefault(resolved(path), option)
        if before != option:
            what = "being compared" if before in names else f"that of {before}, too"
            raise UsageError(
                f"{option}: {shown(path)} is {what}, and would be lost",
                hint="Name another file for it.",
            )
    if html is not None and html != STDOUT and is_no_page(html):
        raise UsageError(
            f"--html: {shown(html)} is something else than a page of batchcls, and would be lost",
            hint="Name another file for it, or remove that one.",
        )


def _models(
    settings: Settings,
    names: tuple[str, str],
    images: Sequence[str],
    written: Sequence[str | None],
    stack: ExitStack,
    terminal: Terminal,
) -> tuple[Compared, Found]:
    """Look both models up, and have them work, with the store, which ``stack`` closes."""
    with importing():
        from batchcls.commands.comparework import classified, sides
    from batchcls.commands.pluginwarnings import warn_of_plugins

    store = assembly.open_store(settings, terminal)
    if store is not None:
        stack.callback(store.close)
    both = sides(settings, names, store, terminal)
    warn_of_plugins(terminal)
    old, new = (side.classes for side in both)
    compared = Compared(names, "model", Comparison(), only_in(old, new), only_in(new, old))
    skip = [path for path in written if path is not None]
    roots = images or settings.run.images
    pairs = stack.enter_context(closing(classified(settings, both, roots, skip, store, terminal)))

    def answers() -> Iterator[tuple[str, Answer, Answer]]:
        for pair in pairs:
            yield pair.path, answer_of(pair.old), answer_of(pair.new)

    return compared, answers()


def _tell(
    compared: Compared,
    output: str | None,
    html: str | None,
    terminal: Terminal,
    *,
    as_json: bool,
) -> None:
    comparison = compared.comparison
    if as_json:
        print_json(to_dict(compared))
    else:
        print_compared(compared, terminal)
        for what, path in (("differences", output), ("page", html)):
            if path is not None and path != STDOUT:
                terminal.result(f"{what}: {shown(path)}")
    if not comparison.old_rows and not comparison.new_rows:
        terminal.warn("there is no image to compare")
    elif not comparison.compared:
        terminal.warn(
            "no image is in both: is each report of the same folder? A path is as it is below the "
            "folder that `batchcls run` was given, or begins with that folder where it was given "
            "several"
        )
