"""The guardian: forks a worker, watches it, and forks another where it dies or hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from batchcls.errors import BatchclsError, ExitStatus, Terminated
from batchcls.guard.board import Board, Stage, left_over
from batchcls.guard.flight import Flight
from batchcls.guard.forking import LifeLine, Signals, can_fork
from batchcls.guard.verdicts import Verdicts
from batchcls.guard.watching import Ages, Worker
from batchcls.text import plural, shown

Work = Callable[[Flight, Verdicts], int]

# Signals by which code that went wrong ends a process, or by which a system short of memory does.
# Any other was meant.
_CRASHES = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS", "SIGKILL")
    if hasattr(signal, name)
)
# So many deaths in a row without anything got done, or learnt, and it goes on otherwise, or not.
_IN_VAIN = 3
_LOOK = 0.2  # seconds between two looks at the board
# How long to wait, beyond what is allowed to take its time, for others that hang with it.
_GATHER = 1.0
_TO_DIE = 5.0  # seconds that a killed process has
_TO_LEAVE = 10.0  # seconds that a step may take once the run was told to end
_TO_EXIT = 60.0  # seconds that a worker has to exit in when its work is done


def guarded(
    work: Work,
    *,
    seconds: float,
    folder: str | None,
    warn: Callable[[str], None],
    verdicts: Verdicts | None = None,
    guard: bool = True,
) -> int:
    """Do ``work`` in a worker, as often as need be, and give its exit status.

    **It returns twice**: in the worker, whatever ``work`` returns or raises, as if there were no
    guardian; and in the guardian, when the worker is gone, the status that it ended with. Both are
    to go on to the end of their process and do nothing else. So it is to be called early: with no
    other threads, nothing half written, and nothing to be removed at exit.

    A step of ``work`` (see ``Flight.entering``) that takes longer than ``seconds`` (math.inf: it
    may) ends the worker. ``folder`` is for the journal that tells the next run of files in work, if
    all of this one is killed; what former runs left there is taken into account. ``warn`` is called
    in the guardian. Where a process can't fork, or without ``guard``, it does ``work`` itself.

    Raises BatchclsError where workers die and no file is to blame, and Terminated or
    KeyboardInterrupt where a signal ended a worker before it could tell of that itself.
    """
    verdicts = (verdicts or Verdicts()).crashed(left_over(folder))
    board = Board(folder)
    try:
        if not guard or not can_fork():
            return work(Flight(board), verdicts)
        guardian = _Guardian(board, verdicts, seconds, warn)
        status = guardian.run()
        if status is not None:
            return status
        return _work(work, board, guardian.verdicts)
    finally:
        board.close()


def _work(work: Work, board: Board, verdicts: Verdicts) -> int:
    """Do the work, in the worker, and note how it ended: what dies after that need not return."""
    status: int = ExitStatus.FAILED
    try:
        status = work(Flight(board), verdicts)
        return status
    except BatchclsError as error:
        status = error.exit_status
        raise
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
        raise
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else status
        raise
    finally:
        board.landed = status


class _Guardian:
    def __init__(
        self, board: Board, verdicts: Verdicts, seconds: float, warn: Callable[[str], None]
    ) -> None:
        self.verdicts = verdicts
        self._board = board
        self._seconds = seconds
        self._warn = warn
        self._told: int | None = None  # the signal that told the run to end
        self._progress = 0
        self._in_vain = 0
        self._nothing_learnt = 0

    def run(self) -> int | None:
        """Give the exit status of the run, or, in a worker, None."""
        with contextlib.closing(LifeLine()) as life_line, Signals() as signals:
            while True:
                for stream in (sys.stdout, sys.stderr):  # or the worker would write it, too
                    with contextlib.suppress(AttributeError, OSError, ValueError):
                        stream.flush()
                self._board.clear()
                child = self._fork(signals)
                if child == 0:
                    break
                status = self._watch(child, signals)
                if status is not None:
                    return status
            life_line.hold()
            self._board.inherit()
            signals.inherit()
        return None

    def _fork(self, signals: Signals) -> int:
        try:
            return signals.fork()
        except OSError as error:
            raise BatchclsError(
                f"no process can be started: {error.strerror or error}",
                hint="The machine is short of memory or at its limit of processes.",
            ) from error

    def _watch(self, child: int, signals: Signals) -> int | None:
        """Watch a worker to its end; give the exit status of the run, or None to go on."""
        ages = Ages(self._board)
        worker = Worker(child)
        landed = 0.0
        while True:
            limit = self._limit()
            look = max(0.005, min(_LOOK, limit / 10))
            before = time.monotonic()
            told = signals.wait(look)
            self._told = next(iter(told), None) if self._told is None else self._told
            if worker.ended():
                return self._ended(worker.status)
            for number in told:
                worker.kill(number)
            # What passes while this process is kept from watching doesn't count, nor while the
            # worker is stopped: the machine may have slept, or somebody may have pressed Ctrl-Z.
            step = 0.0 if worker.stopped else min(time.monotonic() - before, 2 * look)
            ages.advance(step)
            landed += step if self._board.landed is not None else 0.0
            if landed > max(_TO_EXIT, self._seconds):
                worker.kill(signal.SIGKILL)
            if ages.oldest() > limit + min(_GATHER, limit / 10):
                return self._too_long(worker, ages.older_than(limit), limit)

    def _limit(self) -> float:
        return self._seconds if self._told is None else min(self._seconds, _TO_LEAVE)

    def _ended(self, status: int) -> int | None:
        exited = os.WIFEXITED(status)
        number = os.WEXITSTATUS(status) if exited else os.WTERMSIG(status)
        landed = self._board.landed
        if landed is not None:
            return number if exited else landed  # it crashed on its way out
        if exited and self._told is not None:
            return number
        if self._told is not None or not (exited or number in _CRASHES):
            raise _end_by(number)
        in_flight = self._board.in_flight()
        files = len({each.path for each in in_flight if each.stage is not Stage.LISTING})
        if exited:
            how = f"ended the process, with status {number}"
        elif number == signal.SIGKILL:
            how = "was killed, most likely for want of memory"
        else:
            how = f"crashed ({signal.Signals(number).name})"
        _mend_terminal()
        hopeless = self._learn(self.verdicts.crashed(in_flight), blamed=True)
        if hopeless or (self.verdicts.everything and self._in_vain >= _IN_VAIN):
            self._give_up(f"the worker {how}")
        if files:
            who = "the worker" if number == signal.SIGKILL and not exited else "a decoder"
            held = f"with {plural(files, 'file')} in work; going on, and decoding those apart"
            self._warn(f"{who} {how}, {held}" if "," in how else f"{who} {how} {held}")
        else:
            self._warn(f"the worker {how}; going on")
        self._go_apart()
        return None

    def _too_long(self, worker: Worker, late: dict[int, int], limit: float) -> int | None:
        """End a worker that is stuck, and learn by what it is."""
        worker.kill(signal.SIGKILL)
        worker.await_end(_TO_DIE)  # it may be stuck in the system, where nothing reaches it
        if self._board.landed is not None:
            return self._board.landed
        _mend_terminal()
        if self._told is not None:
            raise _end_by(self._told)
        found = [(sequence, self._board.read(slot)) for slot, sequence in late.items()]
        stuck = [now[1] for sequence, now in found if now is not None and now[0] == sequence]
        if stuck:  # and didn't get on in the last moment
            known = set(self.verdicts.places)
            blamed = any(each.stage is Stage.DECODING for each in stuck)
            if self._learn(self.verdicts.overdue(stuck, limit), blamed=blamed):
                self._give_up("the worker was stuck")
            first = shown(stuck[0].path)
            more = f", and {len(stuck) - 1} more," if len(stuck) > 1 else ""
            self._warn(f"{first}{more} took more than {limit:g} s; going on without")
            for place in self.verdicts.places.keys() - known:
                self._warn(f"{shown(place)} does not answer; going on without what is there")
            self._go_apart()
        return None

    def _learn(self, verdicts: Verdicts, *, blamed: bool) -> bool:
        """Take in what a death has taught; tell whether it is in vain to go on.

        ``blamed`` if decoding may be the cause.
        """
        if self._board.progress != self._progress:
            self._progress = self._board.progress
            self._in_vain = self._nothing_learnt = 0
        self._nothing_learnt = 0 if verdicts != self.verdicts else self._nothing_learnt + 1
        self._in_vain += blamed
        self.verdicts = verdicts
        return self._nothing_learnt >= _IN_VAIN

    def _go_apart(self) -> None:
        """Where files crash so densely that nothing gets done between, learn of no more of them."""
        if self._in_vain >= _IN_VAIN and not self.verdicts.everything:
            self._in_vain = 0
            self.verdicts = replace(self.verdicts, everything=True)
            self._warn("nothing got done between the last crashes; decoding all files apart")

    def _give_up(self, what: str) -> NoReturn:
        raise BatchclsError(
            f"{what}, {_IN_VAIN} times in a row, and no file could be found that is to blame",
            hint="The network, a plugin or the machine may be at fault. Try one thread: --jobs 1",
        )


def _end_by(number: int) -> BaseException:
    """Give what this process is to end with, as the worker could not tell of its own end."""
    if number == signal.SIGINT:
        return KeyboardInterrupt()
    return Terminated(128 + number)


def _mend_terminal() -> None:
    """Undo what a progress bar did that was cut off: it has hidden the cursor."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K\x1b[?25h")
            sys.stderr.flush()
