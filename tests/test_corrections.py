"""Corrections: tags of several sources, of which the later one has the last word."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from batchcls import Model
from batchcls.corrections import CHANGES_SHOWN, merge, told
from batchcls.errors import ConfigError
from batchcls.records import TaggedImage
from batchcls.settings import Settings, load_settings

from .conftest import make_classes, picture

QUICK = ("-f", "efficientnet-lite0", "--framing", "square")


def tag(path: str, label: str, where: str = "") -> TaggedImage:
    return TaggedImage(path, label, where)


def labels_of(tags: list[TaggedImage]) -> list[tuple[str, str]]:
    return [(one.path, one.label) for one in tags]


def page_row(path: bytes, label: str) -> bytes:
    """Give a line of ``corrections.tsv`` as a page writes it: quoted as CSV does it."""
    cells = [path, label.encode()]
    quoted = [
        b'"' + cell.replace(b'"', b'""') + b'"' if set(cell) & set(b'"\t\r\n') else cell
        for cell in cells
    ]
    return b"\t".join(quoted) + b"\n"


# Merging


def test_the_later_source_wins_and_each_image_keeps_its_place():
    merged = merge(
        [
            ("tags.tsv", [tag("/a", "cat", "tags.tsv:1"), tag("/b", "dog"), tag("/c", "cat")]),
            ("more.tsv", [tag("/d", "cow"), tag("/b", "cat"), tag("/a", "cat")]),
            ("last.tsv", [tag("/b", "cow"), tag("/d", "cow")]),
        ]
    )
    assert labels_of(merged.tags) == [("/a", "cat"), ("/b", "cow"), ("/c", "cat"), ("/d", "cow")]
    more, last = merged.corrections
    assert (more.source, len(more.changed), more.added, more.confirmed) == ("more.tsv", 1, 1, 1)
    assert (last.source, len(last.changed), last.added, last.confirmed) == ("last.tsv", 1, 0, 1)
    assert [(one.before.label, one.now.label) for one in last.changed] == [("cat", "cow")]
    assert merged.tags[0].where == "tags.tsv:1"  # a label that is confirmed stays where it is
    assert merged.vanished == ["dog"]


def test_what_the_first_sources_say_can_be_had_alone():
    first = [tag("/a", "cat"), tag("/b", "dog")]
    merged = merge([("1", first), ("2", [tag("/a", "dog")]), ("3", [tag("/c", "cat")])])
    assert merged.before(1).tags == first
    assert labels_of(merged.before(2).tags) == [("/a", "dog"), ("/b", "dog")]
    assert merged.before(3).tags == merged.tags


def test_one_source_is_taken_as_it_is():
    tags = [tag("a", "cat"), tag("./a", "dog")]
    merged = merge([("tags.tsv", tags)])
    assert (merged.tags, list(merged.corrections), merged.vanished) == (tags, [], [])


def test_an_image_is_its_file_by_whichever_links_it_is_named(tmp_path):
    (tmp_path / "real").mkdir()
    picture().save(tmp_path / "real/a.png")
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "link.png").symlink_to("real/a.png")
    first = [tag(str(tmp_path / "linked/a.png"), "cat"), tag("real/../link.png", "cat")]
    by_real_name = tag(str(tmp_path / "real/a.png"), "dog", "c.tsv:2")
    merged = merge([("tags.tsv", first), ("c.tsv", [by_real_name])])
    assert merged.tags == [by_real_name, by_real_name]
    [correction] = merged.corrections
    assert (len(correction.changed), correction.added) == (1, 0)


def test_paths_that_lead_nowhere_are_merged_by_their_names():
    odd = ["/none/\udcff.jpg", "/none/a\0b.jpg", "/none/x" * 400]
    first = [tag(path, "cat") for path in odd]
    merged = merge([("1", first), ("2", [tag(path, "dog") for path in odd])])
    assert labels_of(merged.tags) == [(path, "dog") for path in odd]


def test_what_was_changed_is_told_line_by_line_up_to_a_limit_and_nothing_unprintable():
    count = CHANGES_SHOWN + 2
    first = [tag(f"/{n}\n\x1b[1m.jpg", "c\tat", f"tags.tsv:{n}") for n in range(count)]
    now = [tag(one.path, "dog\u202e", f"c.tsv:{n}") for n, one in enumerate(first)]
    [correction] = merge([("tags.tsv", first), ("c\n.tsv", now)]).corrections
    summary, *lines = told(correction)
    assert summary == f"c\\n.tsv: {count} labels changed, 0 images added, 0 confirmed"
    assert lines[0] == "  /0\\n\\x1b[1m.jpg: c\\tat -> dog\\u202e (tags.tsv:0, c.tsv:0)"
    assert len(lines) == CHANGES_SHOWN + 1
    assert lines[-1] == "  and 2 more"


def test_where_a_label_is_the_name_of_a_folder_no_place_is_told():
    [correction] = merge([("a", [tag("/x", "cat")]), ("b", [tag("/x", "dog")])]).corrections
    assert told(correction)[1] == "  /x: cat -> dog"


# The command


def test_corrections_as_a_page_writes_them_change_the_models_mind(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=5)
    names = [b'\'tab\t"quote"\n<script>.jpg', b"=caf\xe9 \xff.jpg", "犬\u202e\r.jpg".encode()]
    wrong = []
    for number, name in enumerate(names):
        path = os.path.join(os.fsencode(images), name)
        os.rename(images / f"dark/{number}.jpg", path)
        wrong.append(path)
    rows = [f"dark/{n}.jpg\tdark\n" for n in (3, 4)]
    rows += [f"light/{n}.jpg\tlight\n" for n in range(5)]
    head = b"path\tlabel\n"
    relative = b"".join(page_row(name, "light") for name in names)
    (images / "tags.tsv").write_bytes(head + relative + "".join(rows).encode())
    assert batchcls("train", "data/tags.tsv", *QUICK).status == 0
    before = Model.load("model.batchcls").predict([os.fsdecode(path) for path in wrong])
    assert [one.label for one in before] == ["light"] * 3

    corrected = b"".join(page_row(path, "dark") for path in wrong)
    confirmed = page_row(os.fsencode(images / "dark/3.jpg"), "dark")
    (tmp_path / "corrections.tsv").write_bytes(head + corrected + confirmed)
    result = batchcls("train", "data/tags.tsv", "corrections.tsv", *QUICK)
    assert result.status == 0, result.err
    assert "corrections.tsv: 3 labels changed, 0 images added, 1 confirmed\n" in result.err
    assert re.search(
        r"^  \S+caf\\xe9 \\xff\.jpg: light -> dark \(data/tags\.tsv:4, corrections\.tsv:4\)$",
        result.err,
        re.M,
    ), result.err
    model = Model.load("model.batchcls")
    after = model.predict([os.fsdecode(path) for path in wrong])
    assert [one.label for one in after] == ["dark"] * 3
    assert model.manifest.training["images_per_class"] == {"dark": 5, "light": 5}


def test_a_class_that_is_gone_is_told_and_class_folders_correct_as_well(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=3)
    (tmp_path / "right/night").mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"right/night/{number}.jpg").symlink_to(images / f"dark/{number}.jpg")
    result = batchcls("train", "data/tags.tsv", "right", *QUICK)
    assert result.status == 0, result.err
    assert "right: 3 labels changed, 0 images added, 0 confirmed" in result.err
    assert f"right{os.sep}night{os.sep}0.jpg: dark -> night (data/tags.tsv:1)" in result.err
    assert "The class dark is gone" in result.err
    assert Model.load("model.batchcls").classes == ["light", "night"]


def test_nothing_is_said_of_corrections_where_there_are_none(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    (tmp_path / "empty.tsv").write_text("path\tlabel\n")
    result = batchcls("train", "data/tags.tsv", "data/tags.tsv", "--quiet", *QUICK)
    assert (result.status, result.out, result.err) == (0, "", "")
    told_of = batchcls("train", "data/tags.tsv", *QUICK)
    assert "changed" not in told_of.err
    nothing = batchcls("train", "data/tags.tsv", "empty.tsv", *QUICK)
    assert nothing.status == 2
    assert "empty.tsv: no tags in it" in nothing.err


def test_all_that_is_wrong_in_any_source_is_listed_in_order_and_nothing_is_written(
    batchcls, tmp_path
):
    images = make_classes(tmp_path / "data", count=2)
    (images / "text.jpg").write_text("no image")
    with (images / "tags.tsv").open("a") as tags:
        tags.write("dark/0.jpg\tlight\nlight/0.jpg\t\n")
    (tmp_path / "corrections.tsv").write_text(
        f"path\tlabel\n{images}/dark/0.jpg\tdark\n{images}/gone.jpg\tdark\n"
        f"{images}/text.jpg\tdark\n{images}/dark/0.jpg\tlight\n"
    )
    (tmp_path / "model.batchcls").write_bytes(b"PK: the old one")
    result = batchcls("train", "data/tags.tsv", "corrections.tsv", *QUICK)
    assert result.status == 2
    told_of = re.findall(r"^(\S+:\d+): ", result.err, re.M)
    assert told_of == [f"data/tags.tsv:{n}" for n in (5, 6)] + [
        f"corrections.tsv:{n}" for n in (3, 4, 5)
    ]
    assert re.search(r"tags\.tsv:5: dark/0\.jpg is tagged 'light' here and 'dark'", result.err)
    assert re.search(r"corrections\.tsv:3: .*gone\.jpg: no such file", result.err)
    assert re.search(r"corrections\.tsv:4: .*text\.jpg: not an image", result.err)
    assert re.search(r"corrections\.tsv:5: .*dark/0\.jpg is tagged 'light' here", result.err)
    assert (tmp_path / "model.batchcls").read_bytes() == b"PK: the old one"


def test_corrections_that_leave_one_class_only_are_an_error(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    (tmp_path / "c.tsv").write_text("data/dark/0.jpg\tlight\ndata/dark/1.jpg\tlight\n")
    result = batchcls("train", "data/tags.tsv", "c.tsv", *QUICK)
    assert result.status == 2
    assert "one class only: all images are tagged 'light'" in result.err


def test_a_source_that_is_not_there_is_named(batchcls, tmp_path):
    make_classes(tmp_path / "data", count=2)
    result = batchcls("train", "data/tags.tsv", "corrections.tsv", *QUICK)
    assert result.status == 2
    assert "corrections.tsv: No such file or directory" in result.err


def test_the_folder_of_images_is_that_of_all_sources(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=3)
    (tmp_path / "tags").mkdir()
    (images / "tags.tsv").rename(tmp_path / "tags/tags.tsv")
    (tmp_path / "c.tsv").write_text(f"dark/0.jpg\tlight\n{images}/dark/1.jpg\tlight\n")
    arguments = ("train", "tags/tags.tsv", "c.tsv", *QUICK)
    assert batchcls(*arguments).status == 2
    result = batchcls(*arguments, "--images", "data")
    assert result.status == 0, result.err
    assert "c.tsv: 2 labels changed, 0 images added, 0 confirmed" in result.err


# The configuration


def test_the_configuration_may_name_one_source_or_several(tmp_path):
    (tmp_path / "sub").mkdir()
    config = tmp_path / "sub/c.toml"
    for written, sources in (
        ("'t.tsv'", ["sub/t.tsv"]),
        ("['t.tsv', '/abs/c.tsv']", ["sub/t.tsv", "/abs/c.tsv"]),
        ("[]", []),
        ("''", []),
    ):
        config.write_text(f"[train]\ntags = {written}\n")
        assert load_settings("sub/c.toml", {}).train.sources == sources
    assert Settings().train.sources == []


def test_so_may_the_variable_with_commas(tmp_path):
    Path("c.toml").write_text("[train]\ntags = ['t.tsv', 'c.tsv']\n")
    for config in (None, "c.toml"):
        one = load_settings(config, {"BATCHCLS_TRAIN_TAGS": "a.tsv"})
        assert one.train.sources == ["a.tsv"]
        two = load_settings(config, {"BATCHCLS_TRAIN_TAGS": "a.tsv, b.tsv"})
        assert two.train.sources == ["a.tsv", "b.tsv"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("3", "c.toml: train -> tags: expected text or a list, got a whole number"),
        ("['a', 3]", "c.toml: train -> tags[1]: expected text, got a whole number"),
    ],
)
def test_what_is_neither_is_named(written, message):
    Path("c.toml").write_text(f"[train]\ntags = {written}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings("c.toml", {})
    assert caught.value.message.startswith(message)


def test_a_missing_model_is_trained_from_all_sources_of_the_configuration(batchcls, tmp_path):
    images = make_classes(tmp_path / "data", count=3)
    (tmp_path / "c.tsv").write_text("data/dark/0.jpg\tlight\n")
    (tmp_path / "config.toml").write_text(
        "[run]\nmodel = 'm.batchcls'\nimages = ['data/dark']\n"
        "[train]\ntags = ['data/tags.tsv', 'c.tsv']\n"
        "featurizer = 'efficientnet-lite0'\nframing = 'square'\n"
    )
    result = batchcls("run")
    assert result.status == 0, result.err
    assert "training it from data/tags.tsv, c.tsv." in result.err
    assert "c.tsv: 1 label changed, 0 images added, 0 confirmed" in result.err
    [prediction] = Model.load("m.batchcls").predict([images / "dark/0.jpg"])
    assert prediction.label == "light"
    assert (tmp_path / "report.csv").read_text().count("\n") == 4
