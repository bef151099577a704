"""Forking with care: signals, and what a worker owes its guardian."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

# Those that tell a run to end; a terminal and a service manager send them to both processes.
ENDING = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
)
_SAME = 1.0  # seconds within which a signal that comes again is the same
_PR_SET_PDEATHSIG = 1

Handler = Callable[[int, FrameType | None], Any]


def can_fork() -> bool:
    """Tell whether this process can be a guardian: it has no other threads, and takes signals."""
    alone = threading.active_count() == 1
    return hasattr(os, "fork") and alone and threading.current_thread() is threading.main_thread()


def fork() -> int:
    """Fork. A thread of a library's, which Python warns of, is not one that the child needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Signals:
    """Within it, the signals that tell to end, and the ends of children, only wake :meth:`wait`.

    A signal that is ignored stays so. To be left in the worker, too: then all is as before.
    """

    def __init__(self) -> None:
        self._arrived: list[int] = []

    def __enter__(self) -> Signals:
        self._before_mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._before_waker = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, self._note)
            for number in (*ENDING, signal.SIGCHLD)
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            if handler is not None:  # None: it wasn't Python that set it
                signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_waker)
        os.close(self._woken)
        os.close(self._waker)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before_mask)

    def inherit(self) -> None:
        """Have each of the handlers, in the worker, act but once on a signal that comes twice.

        A worker has its own of a signal that a terminal or a service manager sends to all, and then
        the guardian's, which can't know.
        """
        for number in ENDING:
            handler = self._before.get(number)
            if callable(handler):
                self._before[number] = _once(handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._arrived.append(number)

    def fork(self) -> int:
        """Fork; signals of the child's stay blocked until it leaves this block."""
        signal.pthread_sigmask(signal.SIG_BLOCK, (*ENDING, signal.SIGCHLD))
        child = -1
        try:
            child = fork()
        finally:
            if child != 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, self._before_mask)
        return child

    def wait(self, seconds: float) -> list[int]:
        """Wait for a signal, and give those that tell to end."""
        with contextlib.suppress(InterruptedError):
            select.select([self._woken], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._woken, 4096):
                pass
        arrived, self._arrived = self._arrived, []
        return [number for number in arrived if number != signal.SIGCHLD]


def _once(handler: Handler) -> Handler:
    last = -math.inf

    def act(number: int, frame: FrameType | None) -> Any:  # noqa: ANN401 - as the handler has it
        nonlocal last
        before, last = last, time.monotonic()
        return handler(number, frame) if last - before >= _SAME else None

    return act


class LifeLine:
    """A pipe that only the guardian can write to: it is at its end when the guardian is dead."""

    def __init__(self) -> None:
        self._worker_end, self._guardian_end = os.pipe()
        self._guardian = os.getpid()

    def hold(self) -> None:
        """See to it, in the worker, that it dies with the guardian."""
        os.close(self._guardian_end)
        if not dies_with_parent():
            threading.Thread(target=self._watch, daemon=True).start()
            return
        os.close(self._worker_end)
        if os.getppid() != self._guardian:  # it died just now
            os._exit(1)

    def _watch(self) -> None:
        os.read(self._worker_end, 1)
        os._exit(1)

    def close(self) -> None:
        """Close it, in the guardian, when no worker is left."""
        if os.getpid() == self._guardian:
            os.close(self._worker_end)
            os.close(self._guardian_end)


def dies_with_parent() -> bool:
    """Have the system kill this process when its parent ends, where the system can."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return int(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)) == 0
    except (AttributeError, OSError):
        return False
