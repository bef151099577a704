"""The demonstration in the repository root: what ``make run`` does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from batchcls.configfile import rendered

from .conftest import ASSETS, ROOT

DEMO = {
    ("run", "images"): ["assets/images"],
    ("run", "model"): "demo.batchcls",
    ("run", "html"): "report.html",
    ("train", "tags"): "assets/tags.tsv",
    ("train", "images"): "assets/images",
}


def tags(name: str) -> dict[str, str]:
    lines = (ASSETS / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the demonstration needs, as a newcomer has it."""
    shutil.copytree(
        ASSETS, tmp_path / "root" / "assets", ignore=shutil.ignore_patterns("*.pb", "imagenet_*")
    )
    shutil.copy(ROOT / "config.toml", tmp_path / "root")
    return tmp_path / "root"


def test_run_in_the_repository_root_trains_and_classifies_and_is_right_on_the_other_half(
    batchcls, copy
):
    result = batchcls("run", cwd=copy)
    assert result.status == 0, result.err
    assert "training it from assets/tags.tsv" in result.err
    assert "accuracy" in result.out
    assert "24 images" in result.out
    assert "report.csv" in result.out
    assert (copy / "report.html").read_text(encoding="utf-8").count("data:image/webp") == 24
    assert (copy / "demo.batchcls").exists()
    assert len((copy / "report.csv").read_text().splitlines()) == 25
    result = batchcls("evaluate", "assets/test-tags.tsv", "--images", "assets/images", cwd=copy)
    assert result.status == 0, result.err
    assert "micro accuracy       1.0000" in result.out


def test_tags_halve_the_images_by_class():
    train, test = tags("tags.tsv"), tags("test-tags.tsv")
    images = {path.name for path in (ASSETS / "images").iterdir()}
    assert set(train) | set(test) == images
    assert not set(train) & set(test)
    for half in (train, test):
        assert sorted(half.values()) == ["appliance"] * 4 + ["food"] * 4 + ["toy"] * 4


def test_demo_images_are_small():
    for path in (ASSETS / "images").iterdir():
        assert path.stat().st_size <= 60_000, path
        with Image.open(path) as image:
            assert image.format == "JPEG"
            assert min(image.size) >= 300


def test_configuration_in_the_root_is_the_template_with_the_demo_set():
    assert (ROOT / "config.toml").read_text(encoding="utf-8") == rendered(DEMO)
