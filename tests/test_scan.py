"""Scan: folders and files → image files, none lost and none twice, in a stable order."""

from __future__ import annotations

import itertools
import os
import random
import socket
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.decode import Decoder
from batchcls.errors import DecodeError, UsageError
from batchcls.imageformats import image_suffixes
from batchcls.scan import ScanRules, scan
from tests.conftest import fuzzed, picture
from tests.images import huge_png, saved, unprivileged

SUFFIXES = image_suffixes()


def make(folder: Path, *names: str) -> Path:
    """Make empty files, with their folders."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def keys(*roots: Path | str, **rules: Any) -> list[str]:
    return [file.key for file in scan([*map(os.fspath, roots)], ScanRules(SUFFIXES, **rules))]


def real(*roots: Path | str, **rules: Any) -> list[str]:
    """Scan; give the real paths of what was found, sorted."""
    files = scan([*map(os.fspath, roots)], ScanRules(SUFFIXES, **rules))
    return sorted(os.path.realpath(file.path) for file in files)


def test_files_are_found_at_any_depth_in_the_order_of_their_names(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.png", "a/1.png", "a/x/y/z.gif", "a.jpg", "B.jpg", "c/d.webp")
    assert keys(tmp_path) == [
        "B.jpg", "a/1.png", "a/2.png", "a/x/y/z.gif", "a.jpg", "b.jpg", "c/d.webp",
    ]  # fmt: skip


def test_the_order_does_not_depend_on_the_order_of_creation(tmp_path: Path) -> None:
    names = [f"{a}{b}.jpg" for a in "xyz" for b in "0123456789"]
    one, two = list(names), list(names)
    random.Random(1).shuffle(one)
    random.Random(2).shuffle(two)
    found = keys(make(tmp_path / "one", *one))
    assert found == keys(make(tmp_path / "two", *two)) == sorted(names)


def test_an_extension_counts_in_any_case(tmp_path: Path) -> None:
    make(tmp_path, "a.JPG", "b.Tif", "c.txt", "d", "e.jpg.txt", "jpg", "f.tar.png", "g.", "h.jpg ")
    assert keys(tmp_path) == ["a.JPG", "b.Tif", "f.tar.png"]


def test_all_files_takes_every_file(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.txt", "c", "d/e", ".hidden")
    assert keys(tmp_path, all_files=True) == ["a.jpg", "b.txt", "c", "d/e"]


def test_hidden_files_and_folders_are_skipped_unless_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", ".b.jpg", ".c/d.jpg", "e/.f/g.jpg", ".jpg")
    assert keys(tmp_path) == ["a.jpg"]
    assert keys(tmp_path, hidden=True) == [".b.jpg", ".c/d.jpg", "a.jpg", "e/.f/g.jpg"]


def test_a_hidden_root_is_scanned(tmp_path: Path) -> None:
    make(tmp_path, ".photos/a.jpg")
    assert keys(tmp_path / ".photos") == ["a.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], ["*.gif"], ["2023/a.jpg", "2023/raw/b.jpg", "2024/raw/c.jpg", "thumbs/d.jpg"]),
        ([], ["raw/"], ["2023/a.jpg", "2024/e.gif", "thumbs/d.jpg"]),
        ([], ["/2023/"], ["2024/e.gif", "2024/raw/c.jpg", "thumbs/d.jpg"]),
        ([], ["2023/**/raw", "thumbs"], ["2023/a.jpg", "2024/e.gif", "2024/raw/c.jpg"]),
        ([], ["*.jpg", "!c.jpg"], ["2024/e.gif", "2024/raw/c.jpg"]),
        (["*.gif"], [], ["2024/e.gif"]),
        (["2023/"], [], ["2023/a.jpg", "2023/raw/b.jpg"]),
        (["2023/", "2024/"], ["raw"], ["2023/a.jpg", "2024/e.gif"]),
        (["nothing"], [], []),
    ],
)
def test_include_and_exclude_are_patterns_as_in_a_gitignore(
    include: Sequence[str], exclude: Sequence[str], expected: list[str], tmp_path: Path
) -> None:
    make(tmp_path, "2023/a.jpg", "2023/raw/b.jpg", "2024/e.gif", "2024/raw/c.jpg", "thumbs/d.jpg")
    assert keys(tmp_path, include=include, exclude=exclude) == expected


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_what_is_no_pattern_is_told_before_anything_is_scanned(option: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{option}: "):
        scan([os.fspath(tmp_path)], ScanRules(SUFFIXES, **{option: ["!"]}))


def test_links_to_files_are_followed_and_links_to_folders_only_when_asked(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", "out/b.jpg", "out/c.jpg")
    (tmp_path / "in" / "file.jpg").symlink_to("../out/b.jpg")
    (tmp_path / "in" / "folder").symlink_to("../out")
    assert keys(tmp_path / "in") == ["a.jpg", "file.jpg"]
    found = keys(tmp_path / "in", follow_links=True)
    assert found == ["a.jpg", "file.jpg", "folder/b.jpg", "folder/c.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to("../..")
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "z")
    (tmp_path / "z").symlink_to(tmp_path / "a" / "other")
    assert keys(tmp_path, follow_links=True) == ["a/b/c.jpg"]
    assert keys(tmp_path) == ["a/b/c.jpg"]


def test_two_links_to_one_folder_give_its_files_once(tmp_path: Path) -> None:
    make(tmp_path, "photos/a.jpg")
    for name in ("1", "z"):
        (tmp_path / name).symlink_to("photos")
    assert keys(tmp_path, follow_links=True) == ["1/a.jpg"]


def test_several_roots_keep_their_order_and_begin_the_keys(tmp_path: Path) -> None:
    make(tmp_path, "b/1.jpg", "a/1.jpg", "c.jpg")
    assert keys("b", "a", "c.jpg") == ["b/1.jpg", "a/1.jpg", "c.jpg"]
    assert keys("b/", "./a") == ["b/1.jpg", "./a/1.jpg"]
    assert keys("c.jpg") == ["c.jpg"]


def test_roots_that_repeat_or_overlap_give_every_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "a/b/2.jpg", "a/b/c/3.jpg", "a/.d/4.jpg", "e/5.jpg")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "deep").symlink_to("a/b/c")
    roots = ["a", "a/b", "a/b/2.jpg", "a/", "./a/b/c", "link", "deep", "a/.d", "e/../a"]
    expected = [*real("a"), os.path.realpath("a/.d/4.jpg")]
    for number in range(60):
        chosen = random.Random(number).sample(roots, len(roots))
        for rules in ({}, {"follow_links": True}):
            assert real(*chosen, **rules) == sorted(expected)
            found = keys(*chosen, **rules)
            assert len(set(found)) == len(found)
    for pair in itertools.permutations(["a", "a/b", "link", "deep", "a/b/2.jpg"], 2):
        found = real(*pair, follow_links=True)
        assert len(found) == len(set(found)), pair
        assert set(found) == {*real(pair[0]), *real(pair[1])}, pair


def test_one_root_that_repeats_has_keys_as_if_named_once(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    (tmp_path / "link").symlink_to("a")
    assert keys("a", "a/", "link") == ["1.jpg"]


def test_a_linked_file_as_a_root_costs_no_other_file_its_row(tmp_path: Path) -> None:
    make(tmp_path, "a/x.jpg", "a/y.jpg", "out/z.jpg")
    (tmp_path / "a" / "link.jpg").symlink_to("x.jpg")
    (tmp_path / "away.jpg").symlink_to("a/y.jpg")
    assert keys("a") == ["link.jpg", "x.jpg", "y.jpg"]
    assert sorted(keys("a", "a/link.jpg")) == ["a/link.jpg", "a/x.jpg", "a/y.jpg"]
    assert sorted(keys("a", "a/link.jpg", "a/x.jpg")) == ["a/link.jpg", "a/x.jpg", "a/y.jpg"]
    assert sorted(keys("a", "away.jpg")) == ["a/link.jpg", "a/x.jpg", "away.jpg"]
    assert keys("a/y.jpg", "away.jpg") == ["a/y.jpg", "away.jpg"]
    assert keys("a/y.jpg", "./a/y.jpg", "a/../a/y.jpg") == ["a/y.jpg"]


def test_a_root_within_a_linked_folder_is_not_found_a_second_time(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg", "out/2.jpg", "out/sub/3.jpg")
    (tmp_path / "a" / "link").symlink_to("../out")
    found = keys("a", "out/sub", "out/2.jpg", follow_links=True)
    assert found == ["a/1.jpg", "out/sub/3.jpg", "out/2.jpg"]


def test_a_root_that_does_not_exist_is_told_before_anything_is_yielded(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    (tmp_path / "link").symlink_to("nowhere")
    for missing in ("missing", "a/missing.jpg", "", "link", "a/1.jpg/x", "nul\0"):
        with pytest.raises(UsageError):
            scan(["a", missing], ScanRules(SUFFIXES))


def test_a_dangling_link_named_among_images_is_a_row(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to("nowhere")
    assert keys("a.jpg", "b.jpg") == ["a.jpg", "b.jpg"]


def test_a_file_named_by_itself_is_taken_whatever_the_rules(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", ".hidden.jpg", "a.gif")
    roots = ["notes.txt", ".hidden.jpg", "a.gif"]
    assert keys(*roots, exclude=["*"]) == roots


def test_the_report_is_never_taken_for_an_image(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "report.csv", "sub/report.csv", ".batchcls-0a.tmp", ".batchcls.jpg")
    (tmp_path / "link").symlink_to(".")
    skip = frozenset({os.path.realpath("report.csv")})
    for root in (".", "link", tmp_path):
        found = keys(root, skip=skip, all_files=True, hidden=True)
        assert found == [".batchcls.jpg", "a.jpg", "sub/report.csv"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "way").symlink_to("..")
    assert keys("other", skip=skip, all_files=True, follow_links=True) == [
        "way/a.jpg",
        "way/sub/report.csv",
    ]


def test_names_that_are_not_utf8_or_hold_odd_characters_survive(tmp_path: Path) -> None:
    names = [b"caf\xe9.jpg", b"new\nline.jpg", b"tab\t.jpg", b"back\\slash.jpg", b"[a]*?.jpg",
             "Ähre.jpg".encode(), b"\xff\xfe/\x80.jpg", b" .jpg", b"-o.jpg"]  # fmt: skip
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "wb") as file:
                file.write(saved(picture(), "PNG"))
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    files = list(scan([os.fspath(tmp_path)], ScanRules(SUFFIXES, exclude=["nothing"])))
    assert [os.fsencode(file.key) for file in files] == sorted(names)
    for file in files:
        Decoder().decode(file.path)


def test_everything_odd_in_a_folder_has_its_row_and_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "night"
    make(folder, "folder.jpg/inside.txt", "empty.jpg")
    jpeg = saved(picture(size=(400, 300)), "JPEG")
    (folder / "fine.jpg").write_bytes(jpeg)
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "text.jpg").write_text("no image", encoding="utf-8")
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "dangling.jpg").symlink_to("nowhere")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "album.jpg").symlink_to("..")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("night/socket.jpg")
        for rules in ({}, {"all_files": True}):
            start = time.monotonic()
            found = {}
            for file in scan(["night"], ScanRules(SUFFIXES, **rules)):
                assert file.key not in found
                try:
                    if file.problem:
                        raise DecodeError(file.problem)
                    Decoder().decode(file.path)
                    found[file.key] = ""
                except DecodeError as error:
                    found[file.key] = str(error)
            assert time.monotonic() - start < 30
            inside = found.pop("folder.jpg/inside.txt", None)
            assert (inside is not None) == bool(rules)
            assert found.pop("fine.jpg") == ""
            assert all(found.values())
            assert sorted(found) == [
                "album.jpg", "dangling.jpg", "device.jpg", "empty.jpg", "folder.jpg", "huge.png",
                "loop.jpg", "pipe.jpg", "socket.jpg", "text.jpg", "truncated.jpg",
            ]  # fmt: skip


def test_a_file_that_vanishes_between_scan_and_decode_has_its_reason(tmp_path: Path) -> None:
    make(tmp_path / "a", "1.jpg", "2.jpg")
    for file in scan(["a"], ScanRules(SUFFIXES)):
        os.unlink(file.path)
        with pytest.raises(DecodeError, match="vanished"):
            Decoder().decode(file.path)


def test_a_folder_that_vanishes_during_the_scan_is_a_row(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/c.jpg", "d.jpg")
    files = scan([os.fspath(tmp_path)], ScanRules(SUFFIXES))
    assert next(files).key == "a.jpg"
    (tmp_path / "b" / "c.jpg").unlink()
    (tmp_path / "b").rmdir()
    gone, last = files
    assert gone.key == "b/"
    assert "No such file" in (gone.problem or "")
    assert last.key == "d.jpg"


def test_a_folder_named_like_an_image_obeys_the_rules(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg/b.png", "c/d.jpg/e.png")
    assert keys(tmp_path) == ["a.jpg", "a.jpg/b.png", "c/d.jpg", "c/d.jpg/e.png"]
    assert keys(tmp_path, include=["*.png"]) == ["a.jpg/b.png", "c/d.jpg/e.png"]
    assert keys(tmp_path, exclude=["a.jpg"]) == ["c/d.jpg", "c/d.jpg/e.png"]


def test_a_folder_that_may_not_be_listed_is_a_row(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "secret/b.jpg", "z/c.jpg")
    script = (
        "import sys\n"
        "from batchcls.imageformats import image_suffixes\n"
        "from batchcls.scan import ScanRules, scan\n"
        "for file in scan(sys.argv[1:], ScanRules(image_suffixes())):\n"
        "    print(file.key, file.problem)\n"
    )
    locked = tmp_path / "secret"
    locked.chmod(0)
    try:
        lines = unprivileged(script, tmp_path).splitlines()
        assert lines == [
            "a.jpg None",
            "secret/ the folder can't be read: Permission denied",
            "z/c.jpg None",
        ]
        assert unprivileged(script, locked) == "./ the folder can't be read: Permission denied\n"
        both = unprivileged(script, locked, tmp_path / "z").splitlines()
        assert both[0] == f"{locked}/ the folder can't be read: Permission denied"
        assert both[1] == f"{tmp_path}/z/c.jpg None"
    finally:
        locked.chmod(0o755)


def test_a_tree_of_hundreds_of_levels(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 400)
    make(deep, "a.jpg")
    assert keys(tmp_path) == ["d/" * 400 + "a.jpg"]


def test_a_tree_deeper_than_a_path_may_be_long_is_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    level = "x" * 200
    for _ in range(30):
        os.mkdir(level)
        os.chdir(level)
        Path("a.jpg").touch()
    os.chdir(tmp_path)
    make(tmp_path, "z.jpg")
    files = list(scan(["."], ScanRules(SUFFIXES)))
    assert files[-1].key == "z.jpg"
    problems = [file for file in files if file.problem]
    assert len(problems) == 1
    assert "too long" in (problems[0].problem or "")
    assert problems[0].key.endswith(level + "/")
    assert len(files) > 15
    for file in files[:-1]:
        if file.problem is None:
            with pytest.raises(DecodeError):
                Decoder().decode(file.path)


def test_20_000_files_in_one_folder_stream_and_only_names_are_kept(tmp_path: Path) -> None:
    for number in range(20_000):
        os.close(os.open(f"{number:07}-{'n' * 40}.jpg", os.O_CREAT))
    tracemalloc.start()
    start = time.monotonic()
    files = scan(["."], ScanRules(SUFFIXES))
    assert next(files).key.startswith("0000000")
    assert sum(1 for _ in files) == 19_999
    assert time.monotonic() - start < 30
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 400


NAMES = st.sampled_from(["a", "b", "c.jpg", "d.PNG", ".e", ".f.jpg", "g.txt"])


@given(paths=st.lists(st.lists(NAMES, min_size=1, max_size=4), max_size=12), follow=st.booleans())
@fuzzed(60)
def test_any_tree_gives_exactly_its_visible_images(
    paths: list[list[str]], follow: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for parts in paths:
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError:  # a part of it is a file
            continue
    expected = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in {".jpg", ".png"}
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    assert sorted(keys(root, follow_links=follow)) == sorted(expected)
