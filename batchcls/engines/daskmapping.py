"""One pass of the Dask engine: what is out, what has come, and what becomes of what does not."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from batchcls.engines.atworker import work_on
from batchcls.engines.daskbackend import Backend, work_through
from batchcls.errors import BatchclsError, UsageError
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
_KEPT = "No report was written; the former one is untouched. What was done is kept."


class _Pulse:
    """Which workers there are, by address, and how many threads each has: asked now and then.

    On a thread of its own, as the answer may not come.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - distributed is untyped
        self._client = client
        self._stopped = threading.Event()
        self.threads: dict[str, int] = dict(client.nthreads())
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK):
            with contextlib.suppress(Exception):  # the scheduler is gone: seen elsewhere
                self.threads = dict(self._client.nthreads())

    @property
    def total(self) -> int:
        """How many threads there are."""
        return sum(self.threads.values())

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()


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
        self._replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._come: dict[int, Answer] = {}
        self._unfit: set[str] = set()
        self._seconds: list[float] = []
        self._gone_since: float | None = None
        self._alone_since: float | None = None

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
                continue
            self._look()
        if groups.error is not None:
            raise groups.error

    def close(self) -> None:
        """Let nothing more be begun, and give up what is out."""
        self._groups.stop()
        self._pulse.stop()
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._client.futures), force=True)

    def _begin(self, groups: Iterator[Group[Any]]) -> None:
        """Have joblib work on groups, on a thread of its own."""
        backend = Backend(self._client, self._send, self._groups.threads)
        threading.Thread(
            target=work_through,
            args=(backend, groups, self._replies.put),
            daemon=True,
        ).start()

    def _send(self, group: Group[Any]) -> Any:  # noqa: ANN401 - a future of Dask's
        group.sent = time.monotonic()
        fit = None
        if self._unfit:
            fit = [one for one in self._pulse.threads if one not in self._unfit] or None
        return self._client.submit(
            work_on,
            self._token,
            group.chunks,
            careful=group.careful,
            key=f"batchcls-{self._token[:8]}-{group.number}-{group.attempt}",
            pure=False,
            workers=fit,
            # The first ones first, where Dask has to choose.
            priority=-group.number,
        )

    def _receive(self, reply: Reply) -> None:
        group, answer = reply.group, reply.answer
        if group.number < self._groups.taken or group.number in self._come:
            return  # done elsewhere meanwhile
        if answer is None:
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

    def _lost(self, group: Group[Any], why: str) -> None:
        self._raise_if_gone(at_once=self._client.status != "running")
        group.losses += 1
        names = [shown(str(one.path)) for chunk in group.chunks for one in chunk][:1]
        if group.losses >= _LOSSES:
            raise BatchclsError(
                f"the workers died {_LOSSES} times over the same images, of which "
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
        if self._unfit >= set(self._pulse.threads):
            raise UsageError(f"no worker can do the work: {answer.unfit}", hint=_KEPT)
        self._groups.again(group)

    def _look(self) -> None:
        """See whether those are there that have to be, and begin elsewhere what is late."""
        self._raise_if_gone()
        now = time.monotonic()
        if self._pulse.threads:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            self._warn(f"there is no worker any more; waiting for one, {self._wait:g} s")
        elif now - self._alone_since > self._wait:
            raise BatchclsError(f"no worker for {self._wait:g} s", hint=_KEPT)
        typical = sorted(self._seconds)[len(self._seconds) // 2] if self._seconds else 0.0
        self._groups.begin_late_anew(now - max(self._late, _LATE_TIMES * typical))

    def _raise_if_gone(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._client.status == "running":
            self._gone_since = None
            return
        self._gone_since = self._gone_since or now
        if at_once or now - self._gone_since > _GONE:
            raise BatchclsError("the scheduler is gone, in the middle of the work", hint=_KEPT)
