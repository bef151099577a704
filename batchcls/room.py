"""Room: only so many pixels are in memory at a time, however many threads decode.

A large image waits until there is room for it, or until it is alone. A small one takes none: it
costs nothing, and never waits.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from functools import cache

# What is smaller takes no room. (A photograph of any size is decoded at less.)
SMALL = 4_000_000
# What may be in memory whatever the machine has.
LEAST = 32_000_000
# Of an image with transparency: the pixels, and as much again while they are resized.
BYTES_PER_PIXEL = 8
_SHARE = 0.5
_TICK = 0.5
# Whoever keeps pictures for good must not keep the others waiting for good.
PATIENCE = 120.0


class Place:
    """What an image takes of a room, until it is closed or collected."""

    def __init__(self) -> None:
        self.close: Callable[[], object] = _nothing


class Room:
    """Hands out ``pixels``, to whoever came first. Safe to share between threads."""

    def __init__(self, pixels: float) -> None:
        self.pixels = pixels
        # Pixels and the thread that holds them. A place is removed without the lock, as Python may
        # collect it at any moment, also in a thread that has the lock.
        self._held: dict[int, tuple[int, threading.Thread]] = {}
        self._changed = threading.Condition()
        self._waiting: list[int] = []
        self._count = 0
        self._moved = time.monotonic()

    def take(self, pixels: int, on_wait: Callable[[], object] | None = None) -> Place:
        """Wait until there is room for an image, and take it.

        ``on_wait`` is called every half second meanwhile. A thread that holds some already does
        not wait: it might be for itself.
        """
        place = Place()
        if pixels < SMALL:
            return place
        with self._changed:
            self._count += 1
            number = self._count
            self._waiting.append(number)
            try:
                while not self._fits(number, pixels):
                    self._changed.wait(_TICK)
                    if on_wait is not None:
                        on_wait()
                self._held[number] = pixels, threading.current_thread()
                self._moved = time.monotonic()
                place.close = weakref.finalize(place, self._leave, number)
            finally:
                self._waiting.remove(number)
                self._changed.notify_all()
        return place

    def _fits(self, number: int, pixels: int) -> bool:
        held = list(self._held.values())
        if any(thread is threading.current_thread() for _, thread in held):
            return True
        if self._waiting[0] != number:
            return False
        free = self.pixels - sum(taken for taken, _ in held)
        return not held or pixels <= free or time.monotonic() - self._moved > PATIENCE

    def _leave(self, number: int) -> None:
        self._held.pop(number, None)
        self._moved = time.monotonic()
        # Whoever has the lock, maybe this very thread, looks again soon enough.
        if self._changed.acquire(blocking=False):
            try:
                self._changed.notify_all()
            finally:
                self._changed.release()


def _nothing() -> None:
    pass


@cache
def room_of_process() -> Room:
    """Give the room that all threads of this process share: half of the memory to be had."""
    from batchcls.guard.memory import available

    free = available()
    return Room(float("inf") if free is None else max(LEAST, free * _SHARE / BYTES_PER_PIXEL))
