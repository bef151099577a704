"""The flight recorder: what each thread does to which file, written down as it does it."""

from __future__ import annotations

import threading
from types import TracebackType

from batchcls.guard.board import (
    HELD,
    SLOTS,
    STATES,
    STEP,
    WRITING,
    Board,
    Stage,
    named,
    record_of,
    with_stage,
)


class Flight:
    """Writes to a board for the threads of one process. A thread that ends gives its slot back.

    Threads beyond the board's slots work unrecorded.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._local = threading.local()
        self._choosing = threading.Lock()
        self._free: list[int] = []  # appended to without the lock, by threads that end
        self._taken = 0

    def entering(self, stage: Stage, path: str, content: bytes = b"") -> Entering:
        """Tell what is done to ``path`` within a ``with``, which may stand in another's.

        ``path`` may be relative; ``content`` is a digest of at most 32 bytes, where it is known.
        To be left on the thread that it was entered on: not to be held over a ``yield``.
        """
        return Entering(self, record_of(stage, named(path), content))

    def stage(self, stage: Stage, content: bytes | None = None) -> None:
        """Tell that this thread now does something else to the file that it has entered."""
        seat = self._seat()
        if seat.record is not None:
            seat.put(with_stage(seat.record, stage, content))

    def touch(self) -> None:
        """Tell that what this thread has entered gets on, and has its full time again."""
        self._seat().touch()

    def progressed(self, count: int = 1) -> None:
        """Tell that results were kept, which no later worker has to begin again with.

        It is how the guardian knows a run that gets on, from crash to crash, from one that is
        hopeless. For one thread at a time.
        """
        self._board.progress += count

    def _seat(self) -> Seat:
        try:
            return self._local.seat  # type: ignore[no-any-return]
        except AttributeError:
            seat = self._local.seat = self._new_seat()
            return seat

    def _new_seat(self) -> Seat:
        with self._choosing:
            if self._free:
                return Seat(self._board, self._free.pop(), self._free)
            if self._taken == SLOTS:
                return Unrecorded(self._board, 0, [])
            self._taken += 1
            self._board.use(self._taken)
            return Seat(self._board, self._taken - 1, self._free)


class Entering:
    """What :meth:`Flight.entering` gives."""

    __slots__ = ("_before", "_flight", "_record", "_taken")

    def __init__(self, flight: Flight, record: bytes) -> None:
        self._flight = flight
        self._record = record

    def __enter__(self) -> None:
        seat = self._taken = self._flight._seat()
        self._before = seat.record
        seat.put(self._record)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._taken.put(self._before)


class Seat:
    """A thread's slot."""

    __slots__ = (
        "_free",
        "_memory",
        "_number",
        "_numbers",
        "_sequence",
        "_slot",
        "_start",
        "record",
    )

    def __init__(self, board: Board, slot: int, free: list[int]) -> None:
        self._numbers, self._memory = board.numbers, board.memory
        self._slot, self._free = slot, free
        self._number, self._start = board.place(slot)
        self._sequence = self._numbers[self._number]
        self.record: bytes | None = None

    def put(self, record: bytes | None) -> None:
        """Write a record; None for none."""
        sequence = self._sequence
        if record is None:
            sequence = (sequence | STATES) + 1
        else:
            self._numbers[self._number] = sequence | WRITING
            self._memory[self._start : self._start + len(record)] = record
            sequence = (sequence | STATES) + 1 + HELD
        self._numbers[self._number] = self._sequence = sequence
        self.record = record

    def touch(self) -> None:
        """Let the same record count as a new one."""
        if self.record is not None:
            self._sequence += STEP
            self._numbers[self._number] = self._sequence

    def __del__(self) -> None:
        if self.record is not None:
            self.put(None)
        self._free.append(self._slot)


class Unrecorded(Seat):
    """For a thread that found no slot free."""

    __slots__ = ()

    def put(self, record: bytes | None) -> None:
        """Remember the record, for those who return to it."""
        self.record = record

    def touch(self) -> None:
        """Do nothing."""
