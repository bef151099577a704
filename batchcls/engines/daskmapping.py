"""One pass of the Dask engine: what is out, what has come, and what becomes of what does not."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from batchcls.engines.atworker import work_on
from batchcls.engines.daskbackend import Backend, work_through
from batchcls.errors import BatchclsError
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.engines.atworker import Answer
    from batchcls.engines.daskbackend import Reply
    from batchcls.engines.groups import Group, Groups

_GONE = 10.0  # seconds without the scheduler, and it is gone
_LOOK = 1.0  # seconds between two looks at how things are
# A group is begun elsewhere, too, only when it takes so many times as long as groups do.
_LATE_TIMES = 20.0
# So many times a group may be lost with its workers.
_LOSSES = 3
_BLAMELESS = 10  # and so many times begun for other reasons
_GONE_TEXT = "the scheduler is gone, in the middle of the work"
_KEPT = "No report was written; the former one is untouched. What was done is kept."


class _Pulse:
    """Which workers there are, by address, and how many threads each has: asked now and then.

    On a thread of its own, as the answer may not come.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - distributed is untyped
        self._client = client
        self._stopped = threading.Event()
        self.threads: dict[str, int] = dict(client.nthreads())
        self.answered = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK):
            with contextlib.suppress(Exception):  # the scheduler is gone: seen elsewhere
                self.threads = dict(self._client.nthreads())
                self.answered = time.monotonic()

    @property
    def total(self) -> int:
        """How many threads there are."""
        return sum(self.threads.values())

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()


def _identity(client: Any) -> str:  # noqa: ANN401
    """Tell which scheduler this is: another may be at the same address."""
    try:
        return str(client.scheduler_info()["id"])
    except Exception as error:
        raise BatchclsError(_GONE_TEXT, hint=_KEPT) from error


class Mapping:
    """One pass over groups."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - distributed is untyped
        token: str,
        groups: Groups[Any],
        wait: float,
        late: float,
        warn: Callable[[str], None],
    ) -> None:
        self._client, self._token, self._groups = client, token, groups
        self._wait, self._late, self._warn = wait, late, warn
        self._pulse = _Pulse(client)
        self._scheduler = _identity(client)
        self._replies: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        self._come: dict[int, Answer] = {}
        self._futures: weakref.WeakSet[Any] = weakref.WeakSet()
        self._unfit: set[str] = set()
        self._refused_groups: list[Group[Any]] = []
        self._seconds: list[float] = []
        self._gone_since: float | None = None
        self._alone_since: float | None = None
        self._look_at = time.monotonic() + _LOOK

    def results(self) -> Iterator[Any]:
        """Yield the results of all chunks, in order."""
        groups = self._groups
        while True:
            while (answer := self._come.pop(groups.taken, None)) is not None:
                yield from answer.results
                groups.take()
            if groups.all_taken:
                break
            groups.limit(max(1, self._pulse.total))
            if (wave := groups.begin()) is not None:
                self._begin(wave)
            with contextlib.suppress(queue.Empty):
                self._receive(self._replies.get(timeout=_LOOK))
            if time.monotonic() >= self._look_at:
                self._look()
                self._look_at = time.monotonic() + _LOOK
        if groups.error is not None:
            raise groups.error

    def close(self) -> None:
        """Let nothing more be begun, and give up what is out."""
        self._groups.stop()
        self._pulse.stop()
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._futures), force=True)

    def _begin(self, groups: Iterator[Group[Any]]) -> None:
        """Have joblib work on groups, on a thread of its own."""
        backend = Backend(self._client, self._send, self._replies.put, self._groups.threads)
        threading.Thread(target=work_through, args=(backend, groups), daemon=True).start()

    def _send(self, group: Group[Any]) -> Any:  # noqa: ANN401 - a future of Dask's
        fit = self._fit() if self._unfit else set()
        group.fit = fit or None
        group.sent = time.monotonic()
        future = self._client.submit(
            work_on,
            self._token,
            group.chunks,
            careful=group.careful,
            key=f"batchcls-{self._token}-{group.number}-{group.attempt}",
            pure=False,
            workers=sorted(fit) or None,
            # The first ones first, where Dask has to choose.
            priority=-group.number,
        )
        self._futures.add(future)
        return future

    def _receive(self, reply: Reply | BaseException) -> None:
        if isinstance(reply, BaseException):  # of joblib's threads, which end with it
            self._raise_if_gone(at_once=True)
            raise reply
        group, answer = reply.group, reply.answer
        if group.done:
            return  # elsewhere, meanwhile
        if answer is None and reply.blameless and group.attempt < _BLAMELESS:
            self._raise_if_gone(at_once=True)
            self._groups.again(group)
        elif answer is None:
            self._lost(group, reply.why)
        elif answer.unfit:
            self._refused(group, answer)
        elif answer.error is not None:
            message, hint = answer.error
            raise BatchclsError(message, hint=hint)
        elif answer.fault:
            raise RuntimeError(f"{answer.fault[0]}\n{answer.fault[1]}")
        else:
            self._seconds = [*self._seconds[-99:], time.monotonic() - (group.sent or 0.0)]
            self._come[group.number] = answer
            group.end()

    def _lost(self, group: Group[Any], why: str) -> None:
        self._raise_if_gone(at_once=True)
        group.losses += 1
        names = [shown(str(one.path)) for chunk in group.chunks for one in chunk][:1]
        if group.losses >= _LOSSES:
            raise BatchclsError(
                f"workers died again and again over {plural(group.images, 'image')}, of which "
                f"{''.join(names)} is the first: {why}",
                hint=f"They may be short of memory. {_KEPT}",
            )
        self._warn(
            f"workers died over {plural(group.images, 'image')}, of which {''.join(names)} is the "
            "first; decoding those apart"
        )
        group.careful = True
        self._groups.again(group)

    def _refused(self, group: Group[Any], answer: Answer) -> None:
        if answer.address not in self._unfit:
            self._unfit.add(answer.address)
            self._warn(f"going on without the worker {answer.address}: {answer.unfit}")
        self._refused_groups.append(group)
        self._begin_refused()

    def _begin_refused(self) -> None:
        """Begin them anew if somebody may do it: who has refused would again, at once."""
        if self._fit():
            refused, self._refused_groups = self._refused_groups, []
            for group in refused:
                self._groups.again(group)

    def _fit(self) -> set[str]:
        """Give the workers that may do the work, as far as is known."""
        return set(self._pulse.threads) - self._unfit

    def _look(self) -> None:
        """See whether those are there that have to be, and begin elsewhere what is late."""
        self._raise_if_gone()
        now = time.monotonic()
        there = self._fit()
        for group in self._groups.out(lambda one: bool(one.fit and one.fit.isdisjoint(there))):
            self._groups.again(group)  # those workers are gone, and no other may do it
        self._begin_refused()
        others = " that can do the work" if self._pulse.threads else ""
        if there:
            self._alone_since = None
            typical = sorted(self._seconds)[len(self._seconds) // 2] if self._seconds else 0.0
            self._groups.begin_late_anew(now, max(self._late, _LATE_TIMES * typical))
        elif self._alone_since is None:
            self._alone_since = now
            self._warn(f"there is no worker{others} any more; waiting for one, {self._wait:g} s")
        elif now - self._alone_since > self._wait:
            raise BatchclsError(f"no worker{others} for {self._wait:g} s", hint=_KEPT)

    def _raise_if_gone(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._client.status == "running":
            self._gone_since = None
            if at_once and _identity(self._client) != self._scheduler:
                raise BatchclsError("the scheduler was started anew", hint=_KEPT)
            silent = now - self._pulse.answered
            if silent > self._wait:
                what = f"the scheduler has not answered for {silent:.0f} s"
                raise BatchclsError(what, hint=_KEPT)
            return
        self._gone_since = self._gone_since or now
        if at_once or now - self._gone_since > _GONE:
            raise BatchclsError(_GONE_TEXT, hint=_KEPT)
