"""Tags: which image bears which label.

Three forms are read: lines of path, tab, label with no header; a CSV or TSV whose header names
the columns; a folder with one sub-folder per class.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from batchcls.errors import TagsError, UsageError
from batchcls.locations import is_url
from batchcls.records import TaggedImage
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.scanrules import ScanRules

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
LABEL_COLUMNS = ("label", "class", "tag", "category", "target")

_CLASSES_HINT = "A folder of tags holds one sub-folder per class, with that class's images in it."
_FILE_HINT = (
    "Each line is: path, tab, label. Or the file is a CSV whose first line names the columns "
    "path and label. Paths are absolute, or relative to --images, by default the file's folder."
)


class _Line(NamedTuple):
    number: int
    path: str
    label: str
    surplus: bool = False  # more cells than columns are known of


def read_tags(source: str, images: str | None, rules: ScanRules) -> list[TaggedImage]:
    """Read all tags of ``source``, a file or a folder of class folders, in their order.

    Paths in a file are absolute, or relative to ``images``, by default the folder of the file.
    A path named twice with the same label counts once. Raises TagsError with every problem that
    can be told without opening the images; UsageError where ``source`` can't be read at all.
    """
    if os.path.isdir(source):
        tagged, problems = _from_folder(source, rules)
        sound = tagged
        hint = _CLASSES_HINT
    else:
        tagged, sound, problems = _from_file(source, images)
        hint = _FILE_HINT
    if not tagged and not problems:
        problems.append(f"{shown(source)}: no tags in it")
    if problems:
        raise TagsError(problems, hint=hint, tagged=tagged, sound=sound)
    return tagged


def _from_folder(source: str, rules: ScanRules) -> tuple[list[TaggedImage], list[str]]:
    from batchcls.scan import scan

    tagged: list[TaggedImage] = []
    problems: list[str] = []
    try:
        names = sorted(os.listdir(source), key=os.fsencode)
    except OSError as error:
        raise UsageError(f"{shown(source)}: {error.strerror}", hint=_CLASSES_HINT) from None
    for name in names:
        path = os.path.join(source, name)
        if name.startswith(".") and not rules.hidden:
            continue
        if not os.path.isdir(path):
            if rules.wants_file(name, name):
                problems.append(f"{shown(path)}: an image outside the class folders has no label")
            continue
        if not rules.wants_folder(name, name):
            continue
        found = list(scan([path], rules))
        label = name.strip()
        problems += [f"{shown(file.path)}: {file.problem}" for file in found if file.problem]
        if not found:
            problems.append(f"{shown(path)}: a label with no image")
        elif not label or not _is_text(label):
            problems.append(f"{shown(path)}: its name is no label: it is blank, or not UTF-8")
        tagged += [TaggedImage(file.path, label) for file in found if not file.problem]
    return tagged, problems


def _from_file(
    source: str, images: str | None
) -> tuple[list[TaggedImage], list[TaggedImage], list[str]]:
    """Give all tags with a path and a label, those of them that are sound, and the problems."""
    base = os.path.dirname(source) if images is None else images
    if images is not None and not os.path.isdir(images):
        here = " on this machine" if is_url(images) else ""
        raise UsageError(
            f"{shown(images)}: no such folder{here}",
            hint="--images (train.images) is the folder that the paths in the tags start from.",
        )
    sound: list[TaggedImage] = []
    problems: list[str] = []
    first: dict[str, TaggedImage] = {}
    for line in _lines(source, _text(source)):
        where = f"{shown(source)}:{line.number}"
        problem = _line_problem(line)
        if problem:
            problems.append(f"{where}: {problem}")
            continue
        path = _path(base, line.path)
        tag = TaggedImage(path, line.label, where)
        before = first.setdefault(os.path.normpath(os.path.abspath(path)), tag)
        if before is tag:
            problem = _file_problem(path)
            if problem:
                problems.append(f"{where}: {shown(path)}: {problem}")
            else:
                sound.append(tag)
        elif before.label != line.label:
            problems.append(
                f"{where}: {shown(line.path)} is tagged {line.label!r} here "
                f"and {before.label!r} in {before.where}"
            )
    return list(first.values()), sound, problems


def _path(base: str, cell: str) -> str:
    """Give the path that a cell names; blanks around it count only where the file has them."""
    if is_url(cell.strip()):
        return cell.strip()
    exact = os.path.join(base, cell)
    if cell == cell.strip() or (_file_problem(exact) is None):
        return exact
    return os.path.join(base, cell.strip())


def _line_problem(line: _Line) -> str | None:
    if not line.path.strip():
        return f"the label {line.label!r} has no image" if line.label else "neither path nor label"
    if not line.label:
        return f"{shown(line.path)} has no label"
    if line.surplus:
        return "more columns than path and label, or than the header names"
    if not _is_text(line.label):
        return f"the label {shown(line.label)} is not UTF-8"
    return None


def _file_problem(path: str) -> str | None:
    if is_url(path):
        return "a URL, where a file on this machine is needed"
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return "a folder, not an image file"
    except OSError as error:
        return "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
    except ValueError:
        return "not a path: it holds a NUL"
    return None


def _text(source: str) -> str:
    try:
        data = _content(source)
    except OSError as error:
        raise UsageError(
            f"{shown(source)}: {error.strerror}",
            hint="Name a file of tags, or a folder with one sub-folder per class.",
        ) from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # a spreadsheet's "Unicode"
        return data.decode("utf-16", "replace")
    # Paths may be bytes that are not UTF-8; they must come through as the file system has them.
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _content(source: str) -> bytes:
    if is_url(source):
        from batchcls.remote.fetching import fetched

        return fetched(source)
    with open(source, "rb") as file:
        return file.read()


def _lines(source: str, text: str) -> Iterator[_Line]:
    if "\0" in text:
        raise TagsError([f"{shown(source)}: not a text file"], hint=_FILE_HINT)
    # A lone carriage return ends a line only where nothing else does (an old Macintosh's file).
    lines = [line.rstrip("\r") for line in text.split("\n" if "\n" in text else "\r")]
    head = next((line for line in lines if line.strip()), "")
    header = _header(head)
    if header is not None:
        yield from _table(source, text, header)
    elif head and "\t" not in head:
        raise TagsError(
            [
                f"{shown(source)}: no tab between path and label, and the first line does not "
                f"name the columns: {shown(head)[:80]}"
            ],
            hint=_FILE_HINT,
        )
    else:
        yield from _plain(lines)


class _Header(NamedTuple):
    delimiter: str
    path: int
    label: int
    width: int


def _header(head: str) -> _Header | None:
    for delimiter in "\t,;":
        try:
            cells = next(csv.reader([head], delimiter=delimiter), [])
        except csv.Error:
            continue
        names = [name.strip().lower() for name in cells]
        path = next((names.index(name) for name in PATH_COLUMNS if name in names), None)
        label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
        if path is not None and label is not None:
            return _Header(delimiter, path, label, len(names))
    return None


def _table(source: str, text: str, header: _Header) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter)
    seen_header = False
    number = 1  # of the line that a row begins in: a quoted cell may hold line breaks
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if seen_header:
                    cells = row + [""] * (header.width - len(row))
                    surplus = any(cell.strip() for cell in cells[header.width :])
                    yield _Line(number, cells[header.path], cells[header.label].strip(), surplus)
                seen_header = True
            number = reader.line_num + 1
    except csv.Error as error:
        raise TagsError([f"{shown(source)}:{number}: {error}"], hint=_FILE_HINT) from None


def _plain(lines: list[str]) -> Iterator[_Line]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            path, _, label = line.partition("\t")
            label = label.strip()
            yield _Line(number, path, label, "\t" in label)


def _is_text(label: str) -> bool:
    try:
        label.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
