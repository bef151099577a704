"""Resizing: the package with vector instructions, and Pillow where it can't be used, agree."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchcls import resizing
from batchcls.resizing import resized
from tests.images import photo

HERE = importlib.util.find_spec("cykooz_resizer") is not None
needs_package = pytest.mark.skipif(not HERE, reason="cykooz_resizer has no wheel here")


def by_pillow(image: Image.Image, size, box) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box)


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    assert (one.mode, one.size) == (other.mode, other.size)
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))


@needs_package
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_photograph_comes_out_as_pillow_has_it(mode):
    image = photo(500, 375).convert(mode)
    box = (86.0, 23.4, 414.1, 351.6)
    one = resized(image, (224, 224), box)
    off = difference(one, by_pillow(image, (224, 224), box))
    assert 0 < off.max() <= 6  # another way of rounding; 0 would be Pillow itself
    assert off.mean() < 0.3


@needs_package
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.sampled_from(["RGB", "L"]),
    st.tuples(*[st.floats(0, 0.4)] * 4),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_any_shape_any_part(width, height, mode, margins, size):
    image = photo(width, height).convert(mode)
    left, top, right, bottom = margins
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    off = difference(resized(image, size, box), by_pillow(image, size, box))
    assert off.mean() < 1.0
    assert off.max() <= 40


@pytest.mark.parametrize("mode", ["LA", "RGBA", "CMYK"])
def test_other_modes_are_pillows(mode):
    image = photo(300, 200).convert(mode)
    box = (10.0, 20.0, 200.0, 150.0)
    one = resized(image, (64, 48), box)
    assert difference(one, by_pillow(image, (64, 48), box)).max() == 0


def test_what_is_large_is_pillows_which_lets_other_threads_work():
    image = photo(2001, 2000)
    box = (0.0, 0.0, 2001.0, 2000.0)
    assert difference(resized(image, (99, 98), box), by_pillow(image, (99, 98), box)).max() == 0


def test_without_the_package(monkeypatch):
    image = photo(300, 200)
    box = (0.0, 0.0, 300.0, 200.0)
    monkeypatch.setitem(sys.modules, "cykooz_resizer", None)
    resizing._package.cache_clear()
    try:
        one = resized(image, (64, 48), box)
    finally:
        resizing._package.cache_clear()
    assert difference(one, by_pillow(image, (64, 48), box)).max() == 0


def test_the_image_is_left_alone():
    image = photo(300, 200)
    before = image.tobytes()
    one = resized(image, (64, 48), (0, 0, 300, 200))
    Image.Image.paste(one, (0, 0, 0), (0, 0, 64, 48))
    assert image.tobytes() == before


def test_many_threads_at_once():
    image = photo(500, 375)
    expected = resized(image, (224, 224), (0, 0, 500, 375)).tobytes()
    found: set[bytes] = set()

    def work() -> None:
        for _ in range(30):
            found.add(resized(image, (224, 224), (0, 0, 500, 375)).tobytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {expected}


def test_grey_stays_grey_and_white_white():
    for value in (0, 1, 127, 128, 254, 255):
        image = Image.new("RGB", (333, 222), (value, value, value))
        assert set(np.unique(resized(image, (224, 224), (0, 0, 333, 222)))) == {value}


def test_nothing_of_it_is_loaded_before_it_is_needed():
    modules = "batchcls.decode, batchcls.framing, batchcls.resizing"
    code = f"import sys, {modules}; sys.exit('cykooz_resizer' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
