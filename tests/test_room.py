"""Room: large images wait for one another, small ones for nobody, and nobody for ever."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchcls import room as room_module
from batchcls.decode import Decoder
from batchcls.errors import DecodeError
from batchcls.extraction import Extractor, NoCare
from batchcls.framing import Framing
from batchcls.records import ImageFile
from batchcls.room import LEAST, SMALL, Place, Room, room_of_process

LARGE = (2500, 2000)
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again sooner than every half second."""
    monkeypatch.setattr(room_module, "_TICK", 0.02)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class Taker:
    """Takes room on a thread of its own, and holds it until it is told to end."""

    def __init__(self, room: Room, pixels: int) -> None:
        self.has, self.done, self.waited = threading.Event(), threading.Event(), 0
        self._room, self._pixels = room, pixels
        self.thread = in_thread(self._work)

    def _work(self) -> None:
        place = self._room.take(self._pixels, self._count)
        self.has.set()
        self.done.wait(30)
        place.close()

    def _count(self) -> None:
        self.waited += 1

    def end(self) -> None:
        self.done.set()
        self.thread.join(30)


def test_small_images_take_nothing_and_never_wait() -> None:
    room = Room(0)
    large = Taker(room, 100 * MILLION)
    assert large.has.wait(30)
    places = [room.take(SMALL - 1, pytest.fail) for _ in range(1000)]
    assert len(places) == 1000
    large.end()


def test_only_so_many_pixels_are_handed_out_and_in_turn() -> None:
    room = Room(20 * MILLION)
    first, second = Taker(room, 10 * MILLION), Taker(room, 10 * MILLION)
    assert first.has.wait(30)
    assert second.has.wait(30)
    third = Taker(room, 15 * MILLION)
    assert not third.has.wait(0.1)
    fourth = Taker(room, 5 * MILLION)
    first.end()
    assert not third.has.wait(0.1)
    assert not fourth.has.wait(0.1), "it would fit, but may not push in"
    assert third.waited > 1
    second.end()
    assert third.has.wait(30)
    assert fourth.has.wait(30)
    third.end()
    fourth.end()


def test_what_is_larger_than_the_room_goes_alone() -> None:
    room = Room(10 * MILLION)
    small = Taker(room, 5 * MILLION)
    assert small.has.wait(30)
    huge = Taker(room, 500 * MILLION)
    assert not huge.has.wait(0.1)
    small.end()
    assert huge.has.wait(30)
    other = Taker(room, 5 * MILLION)
    assert not other.has.wait(0.1)
    huge.end()
    assert other.has.wait(30)
    other.end()


def test_a_place_that_is_dropped_is_given_back() -> None:
    room = Room(10 * MILLION)
    held: list[Place] = []
    thread = in_thread(lambda: held.append(room.take(10 * MILLION)))
    thread.join(30)
    taker = Taker(room, 10 * MILLION)
    assert not taker.has.wait(0.1)
    held.clear()
    gc.collect()
    assert taker.has.wait(30)
    taker.end()


def test_a_thread_does_not_wait_for_itself() -> None:
    room = Room(10 * MILLION)
    places = [room.take(10 * MILLION, pytest.fail) for _ in range(5)]
    for place in places:
        place.close()
        place.close()


def test_pictures_that_are_kept_for_good_do_not_keep_others_waiting_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = Room(10 * MILLION)
    first = Taker(room, 10 * MILLION)
    assert first.has.wait(30)
    monkeypatch.setattr(room_module, "PATIENCE", 0.2)
    second = Taker(room, 10 * MILLION)
    assert second.has.wait(30)
    first.end()
    second.end()


def test_who_gives_up_waiting_is_waited_for_no_more() -> None:
    room = Room(10 * MILLION)
    first = Taker(room, 10 * MILLION)
    assert first.has.wait(30)

    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.take(10 * MILLION, give_up)
    first.end()
    last = Taker(room, 10 * MILLION)
    assert last.has.wait(30)
    last.end()


def test_the_room_of_the_process_is_a_share_of_its_memory() -> None:
    assert room_of_process() is room_of_process()
    assert room_of_process().pixels >= LEAST
    if os.path.exists("/proc/meminfo"):
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        assert room_of_process().pixels <= max(LEAST, whole / 2 / 8)


# ---- The decoder and the extractor ----


@pytest.fixture
def large(tmp_path: Path) -> str:
    path = tmp_path / "large.png"
    Image.new("L", LARGE).save(path)
    return os.fspath(path)


def taken(room: Room) -> bool:
    """Tell whether anything of a room of one place is taken."""
    taker = Taker(room, 5 * MILLION)
    free = taker.has.wait(0.1)
    taker.end()
    return not free


def test_a_large_picture_holds_its_room_until_it_is_closed_or_dropped(large: str) -> None:
    room = Room(5 * MILLION)
    decoder = Decoder(room=room)
    picture = decoder.decode(large)
    in_the_way = Taker(room, 5 * MILLION)
    assert not in_the_way.has.wait(0.1)
    picture.close()
    picture.close()
    assert in_the_way.has.wait(30)
    in_the_way.end()
    picture = decoder.decode(large)
    in_the_way = Taker(room, 5 * MILLION)
    assert not in_the_way.has.wait(0.1)
    del picture
    assert in_the_way.has.wait(30)
    in_the_way.end()


def test_a_jpeg_takes_what_is_decoded_of_it(tmp_path: Path) -> None:
    """It is decoded at a reduced size, but a progressive one is held in full before."""
    room = Room(0)
    blocker = Taker(room, 5 * MILLION)
    assert blocker.has.wait(30)
    path = tmp_path / "a.jpg"
    waited = threading.Event()
    Image.new("RGB", (3000, 2000)).save(path)
    with path.open("rb") as file:
        Decoder(room=room).decode_file(file, "a.jpg", on_wait=waited.set)
    assert not waited.is_set()
    Image.new("RGB", (3000, 2000)).save(path, progressive=True)

    def wait() -> None:
        waited.set()
        blocker.done.set()

    with path.open("rb") as file:
        Decoder(room=room).decode_file(file, "a.jpg", on_wait=wait)
    assert waited.is_set()


def test_a_large_image_that_cannot_be_decoded_gives_its_room_back(
    large: str, tmp_path: Path
) -> None:
    path = tmp_path / "cut.tif"
    Image.new("L", LARGE).save(path)
    os.truncate(path, 1000)
    room = Room(5 * MILLION)
    errors = []
    for name in (os.fspath(path), large):
        try:
            Decoder(room=room).decode(name)
        except DecodeError as error:
            errors.append(error)  # and with it, its traceback
    assert len(errors) == 1
    assert not taken(room)


class Touched(NoCare):
    """Counts how often it is told that work gets on."""

    def __init__(self) -> None:
        self.count = 0

    def touch(self) -> None:
        self.count += 1


class Mean:
    """A featurizer."""

    input_size, dimension, batch_size = 8, 3, 4

    def featurize(self, batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2)).astype(np.float32)


def test_the_extractor_waits_without_seeming_to_hang_and_gives_the_room_back(large: str) -> None:
    room, care = Room(5 * MILLION), Touched()
    extractor = Extractor(
        Decoder(room=room),
        Mean(),  # type: ignore[arg-type]
        [Framing.CROP, Framing.PAD],
        care=care,
    )
    blocker = Taker(room, 5 * MILLION)
    assert blocker.has.wait(30)
    file = ImageFile(key="large.png", path=large)
    found: list[object] = []
    thread = in_thread(lambda: found.append(extractor([file])))
    end = time.monotonic() + 30
    while care.count < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert care.count >= 3
    assert not found
    blocker.end()
    thread.join(30)
    assert len(found) == 1
    assert not taken(room)
