"""Tags: the three forms, their encodings, and every problem named with its file and line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchcls.errors import TagsError, UsageError
from batchcls.scan import ScanRules
from batchcls.tags import read_tags

from .conftest import Result, make_classes, picture

RULES = ScanRules(suffixes=frozenset({".jpg"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files that exist; nothing here opens them."""
    for name in ("a.jpg", "b.jpg", "c d.jpg", "é.jpg", "x,y.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def tags_of(folder: Path, content: bytes | str, name: str = "tags.tsv") -> list[tuple[str, str]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tags = read_tags(str(path), None, RULES)
    return [(os.path.relpath(tag.path, folder), tag.label) for tag in tags]


def problems_of(folder: Path, content: bytes | str, images: str | None = None) -> list[str]:
    path = folder / "tags.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TagsError) as caught:
        read_tags(str(path), images, RULES)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


AB = [("a.jpg", "cat"), ("b.jpg", "dog")]


@pytest.mark.parametrize(
    "content",
    [
        "a.jpg\tcat\nb.jpg\tdog\n",
        "a.jpg\tcat\nb.jpg\tdog",
        "a.jpg\tcat  \nb.jpg\tdog\t \t   \n",
        "a.jpg\tcat\r\nb.jpg\tdog\r\n",
        "a.jpg\tcat\rb.jpg\tdog\r",
        "\ufeffa.jpg\tcat\nb.jpg\tdog\n",
        "\n\na.jpg\tcat\n  \t \n\nb.jpg\tdog\n\n",
        "a.jpg \tcat\n  b.jpg\tdog\n",
        "path,label\na.jpg,cat\nb.jpg,dog\n",
        "\ufeffPath,LABEL\r\na.jpg,cat\r\nb.jpg,dog\r\n",
        "label;file\ncat;a.jpg\ndog;b.jpg\n",
        "id\timage\twidth\tclass\n1\ta.jpg\t20\tcat\n2\tb.jpg\t30\tdog\n",
        "\nfilename,label\n\na.jpg,cat\n,\nb.jpg, dog \n",
        '"path","label","note"\n"a.jpg","cat","two\nlines"\n"b.jpg","dog",""\n',
        "path,label\na.jpg,cat,,\nb.jpg,dog\n",
    ],
)
def test_the_forms_that_people_and_spreadsheets_write_are_read_alike(folder, content):
    assert tags_of(folder, content) == AB


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_letters_beyond_ascii_are_read_in_every_encoding_of_a_spreadsheet(folder, encoding):
    text = "é.jpg\tchâteau\r\nc d.jpg\t犬\r\n"
    if encoding in {"utf-16-le", "utf-16-be"}:
        text = "\ufeff" + text
    assert tags_of(folder, text.encode(encoding)) == [("é.jpg", "château"), ("c d.jpg", "犬")]


def test_a_quoted_cell_may_hold_the_delimiter_a_quote_and_a_line_break(folder):
    (folder / "line\nbreak.jpg").touch()
    (folder / 'q"q.jpg').touch()
    content = 'path,label\n"x,y.jpg","a ""b"""\n"line\nbreak.jpg",c\n"q""q.jpg",d\n'
    assert tags_of(folder, content) == [
        ("x,y.jpg", 'a "b"'),
        ("line\nbreak.jpg", "c"),
        ('q"q.jpg', "d"),
    ]


def test_a_path_that_is_not_utf8_comes_through_as_its_bytes(folder):
    name = b"caf\xe9.jpg"
    open(os.fsencode(folder) + b"/" + name, "w").close()
    for content in (name + b"\tcat\na.jpg\tdog\n", b"path,label\n" + name + b",cat\na.jpg,dog\n"):
        assert os.fsencode(tags_of(folder, content)[0][0]) == name


def test_blanks_at_the_ends_of_a_path_count_where_the_file_has_them(folder):
    (folder / " s.jpg ").touch()
    assert tags_of(folder, " s.jpg \tcat\n a.jpg \tdog\n") == [(" s.jpg ", "cat"), ("a.jpg", "dog")]


def test_paths_are_absolute_or_below_the_images_or_below_the_folder_of_the_tags(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z.jpg").touch()
    tags = folder / "tags.tsv"
    tags.write_text(f"{folder}/a.jpg\tcat\nz.jpg\tdog\n")
    found = read_tags(str(tags), str(elsewhere), RULES)
    assert [tag.path for tag in found] == [f"{folder}/a.jpg", f"{elsewhere}/z.jpg"]
    assert [tag.where for tag in found] == [f"{tags}:1", f"{tags}:2"]
    assert problems_of(folder, "z.jpg\tdog\n") == ["tags.tsv:1: z.jpg: no such file"]


def test_every_problem_is_listed_at_once_with_file_and_line(folder):
    content = (
        "a.jpg\tcat\n"
        "missing1.jpg\tcat\n"
        "b.jpg\tdog\n"
        "sub/missing2.jpg\tdog\n"
        "./a.jpg\tdog\n"
        "\tdog\n"
        "b.jpg\n"
        "b.jpg\tdog\textra\n"
        "missing3.jpg\tcat\n"
    )
    assert problems_of(folder, content) == [
        "tags.tsv:2: missing1.jpg: no such file",
        "tags.tsv:4: sub/missing2.jpg: no such file",
        "tags.tsv:5: ./a.jpg is tagged 'dog' here and 'cat' in tags.tsv:1",
        "tags.tsv:6: the label 'dog' has no image",
        "tags.tsv:7: b.jpg has no label",
        "tags.tsv:8: more columns than path and label, or than the header names",
        "tags.tsv:9: missing3.jpg: no such file",
    ]


def test_a_table_numbers_its_problems_by_the_line_that_a_row_begins_in(folder):
    content = 'path,label,note\na.jpg,cat,"one\ntwo\nthree"\nm.jpg,dog,\n\nn.jpg,dog,"x\ny"\n'
    assert problems_of(folder, content) == [
        "tags.tsv:5: m.jpg: no such file",
        "tags.tsv:7: n.jpg: no such file",
    ]


NO_TAB = "tags.tsv: no tab between path and label, and the first line does not name the columns"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "tags.tsv: no tags in it"),
        ("\n \n\t\n", "tags.tsv: no tags in it"),
        ("path,label\n", "tags.tsv: no tags in it"),
        ("path,label\n,cat\n", "tags.tsv:2: the label 'cat' has no image"),
        ("path,label\na.jpg,\n", "tags.tsv:2: a.jpg has no label"),
        ("path,label\na.jpg\n", "tags.tsv:2: a.jpg has no label"),
        (
            "path,label\nx,y.jpg,cat\n",
            "tags.tsv:2: more columns than path and label, or than the header names",
        ),
        (
            "a.jpg cat\n",
            f"{NO_TAB}: a.jpg cat",
        ),
        (
            "path,kind\na.jpg,cat\n",
            f"{NO_TAB}: path,kind",
        ),
        (b"\x89PNG\r\n\0\0", "tags.tsv: not a text file"),
        (b"a.jpg\tcaf\xe9\n", "tags.tsv:1: the label caf\\xe9 is not UTF-8"),
        (
            b"caf\xe9.jpg\tcat\n",
            "tags.tsv:1: caf\\xe9.jpg: no such file",
        ),
        ("sub\tcat\n", "tags.tsv:1: sub: a folder, not an image file"),
        ("a.jpg/b\tcat\n", "tags.tsv:1: a.jpg/b: Not a directory"),
        ("x" * 300 + "\tcat\n", f"tags.tsv:1: {'x' * 300}: File name too long"),
    ],
)
def test_a_problem_says_what_is_wrong(folder, content, problem):
    (folder / "sub").mkdir()
    assert problems_of(folder, content) == [problem]


def test_a_cell_that_never_ends_is_an_error_not_a_crash(folder):
    content = 'path,label\na.jpg,"' + "x" * 200_000
    [problem] = problems_of(folder, content)
    assert problem.startswith("tags.tsv:2: field larger")
    [problem] = problems_of(folder, "x" * 300_000)
    assert "no tab" in problem


def test_a_path_named_twice_with_one_label_counts_once(folder):
    content = f"a.jpg\tcat\n./a.jpg\tcat\n{folder}/a.jpg\tcat\nb.jpg\tdog\n"
    assert tags_of(folder, content) == AB


def test_a_source_that_cannot_be_read_or_an_images_folder_that_is_none_is_a_usage_error(folder):
    with pytest.raises(UsageError, match=r"nothing\.tsv: No such file"):
        read_tags("nothing.tsv", None, RULES)
    (folder / "tags.tsv").write_text("a.jpg\tcat\n" * 3)
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        read_tags(str(folder / "tags.tsv"), "nowhere", RULES)


def test_a_folder_of_class_folders_gives_each_image_the_name_of_its_folder(tmp_path):
    for name in ("cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg", ".hidden/4.jpg", "cat/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "README.txt").touch()
    found = read_tags(str(tmp_path), None, RULES)
    assert [(os.path.relpath(tag.path, tmp_path), tag.label) for tag in found] == [
        ("cat/1.jpg", "cat"),
        ("cat/deep/2.jpg", "cat"),
        ("dog/3.jpg", "dog"),
    ]


def test_the_problems_of_a_folder_of_class_folders_are_listed_at_once(tmp_path):
    for name in ("cat/1.jpg", "empty/notes.txt", " /2.jpg", "stray.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    not_utf8 = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(not_utf8)
    open(not_utf8 + b"/3.jpg", "w").close()
    with pytest.raises(TagsError) as caught:
        read_tags(str(tmp_path), None, RULES)
    assert [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        " : its name is no label: it is blank, or not UTF-8",
        "caf\\xe9: its name is no label: it is blank, or not UTF-8",
        "empty: a label with no image",
        "stray.jpg: an image outside the class folders has no label",
    ]


def test_a_folder_with_nothing_in_it_is_an_error(tmp_path):
    with pytest.raises(TagsError, match="no tags in it"):
        read_tags(str(tmp_path), None, RULES)


def test_the_command_lists_missing_and_unreadable_images_together_and_writes_nothing(
    tmp_path, batchcls
):
    make_classes(tmp_path, count=1)
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    with (tmp_path / "tags.tsv").open("a") as file:
        file.write("gone1.jpg\tdark\ngone2.jpg\tdark\nbroken.jpg\tlight\ndark/0.jpg\tlight\n")
    before = sorted(os.listdir(tmp_path))
    result: Result = batchcls("train", "tags.tsv", "-o", "m.batchcls")
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[0] == "batchcls: error: 4 problems with the tags:"
    assert {line.split(": ")[0] for line in lines[1:5]} == {f"tags.tsv:{n}" for n in (3, 4, 5, 6)}
    assert "Traceback" not in result.err
    assert sorted(os.listdir(tmp_path)) == before


def test_the_command_refuses_one_class_only_and_writes_nothing(tmp_path, batchcls):
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "tags.tsv").write_text("a.jpg\tcat\n")
    result: Result = batchcls("train", "tags.tsv", "-o", "m.batchcls")
    assert result.status == 2
    assert "tags.tsv:1: a.jpg: one class only: all images are tagged 'cat'" in result.err
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "tags.tsv"]
