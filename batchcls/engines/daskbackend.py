"""joblib's Dask backend, for tasks that are groups, and whose loss is a result like any other.

joblib's own waits for ever for a task that Dask has given up.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config
from joblib._dask import DaskDistributedBackend

if TYPE_CHECKING:
    from batchcls.engines.atworker import Answer
    from batchcls.engines.groups import Group

# Groups for each thread that the cluster is handed at first: one to work on, one to go on with.
_EACH = 2
# Seconds for which results are waited for that are there: a worker that stands still has some, too,
# and all others wait meanwhile.
_FETCH = 10.0
_FETCH_ONE = 3.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a group; None, and ``why``, where it was lost with its worker.

    ``blameless``: no worker has died over it: it was cancelled, or it was done, but its worker does
    not hand the result out.
    """

    group: Group[Any]
    answer: Answer | None
    why: str = ""
    blameless: bool = False


@dataclass(eq=False, slots=True)
class _Sent:
    """A group that was sent, and joblib's place for it, which is freed once.

    Then nothing of it is held: joblib's objects, which refer to each other, stay for a while.
    """

    group: Group[Any]
    future: Any
    callback: Callable[[Any], Any] | None

    def free(self) -> None:
        """Let joblib send the next one."""
        callback, self.callback, self.future = self.callback, None, None
        if callback is not None:
            callback([None])


def work_through(backend: Backend, groups: Iterator[Group[Any]]) -> None:
    """Have all groups worked on. What goes wrong is put where the replies are."""
    try:
        with parallel_config(backend=backend, n_jobs=-1):
            parallel = Parallel(
                n_jobs=-1,
                batch_size=1,
                pre_dispatch=_EACH * backend.threads,
                return_as="generator_unordered",
            )
            for _ in parallel(delayed(_nothing)(group) for group in groups):
                pass  # it has been put by the backend
    except BaseException as error:  # noqa: BLE001 - this is a thread, of whose end nobody hears
        backend.put(error)


def _nothing(group: Group[Any]) -> None:
    """Stand for the group: what is sent is the backend's affair."""


class Backend(DaskDistributedBackend):  # type: ignore[misc]  # untyped
    """Sends each group by ``send``, which gives a future; several results are fetched at once.

    ``put`` is called with what comes of each, as it comes, and with what goes wrong.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - distributed is untyped
        send: Callable[[Group[Any]], Any],
        put: Callable[[Reply | BaseException], None],
        threads: int,
    ) -> None:
        self.threads, self.put = threads, put
        super().__init__(client=client, wait_for_workers_timeout=0)
        self._send = send
        self._ended: queue.SimpleQueue[_Sent | None] = queue.SimpleQueue()

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002 - as joblib calls it
        """Give how many groups joblib is to draw at once: few, as nobody else can meanwhile.

        How many are out is said by its ``pre_dispatch``. For one it would not ask the backend.
        """
        return 2

    def start_call(self) -> None:
        """Begin."""
        threading.Thread(target=self._collected, daemon=True).start()

    def stop_call(self) -> None:
        """End."""
        self._ended.put(None)

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401
        """Send a group."""
        [(_, [group], _)] = func.items
        future = self._send(group)
        sent = _Sent(group, future, callback)
        # Done elsewhere is done, too: a worker that stands still must not keep joblib waiting. The
        # task is left to it (Dask waits with the future), or Dask would send it another.
        group.when_done.append(partial(self._ended.put, sent))
        future.add_done_callback(lambda _: self._ended.put(sent))
        return future

    apply_async = submit  # as joblib calls it before 1.5

    def retrieve_result_callback(self, out: Any) -> Any:  # noqa: ANN401
        """Give what was fetched."""
        return out

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Leave what is out to who has sent it."""

    def _collected(self) -> None:
        """Fetch the results of all tasks that have ended, as they do."""
        try:
            while (first := self._ended.get()) is not None:
                batch = [first]
                with contextlib.suppress(queue.Empty):
                    while (one := self._ended.get_nowait()) is not None:
                        batch.append(one)
                    self._ended.put(None)  # the end, for the next look
                # First all are handed on: the callbacks draw from the source, which may take long.
                for reply in self._replies([one for one in batch if not one.group.done]):
                    self.put(reply)
                for sent in batch:
                    sent.free()
                del first, batch, sent  # or their results would stay in the cluster
        except BaseException as error:  # noqa: BLE001 - this is a thread, of whose end nobody hears
            self.put(error)

    def _replies(self, batch: list[_Sent]) -> Iterator[Reply]:
        if not batch:
            return
        finished = [sent.future for sent in batch if sent.future.status == "finished"]
        answers: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # then each by itself
            gather = partial(self.client.gather, finished, asynchronous=True)
            found = self.client.sync(gather, asynchronous=False, callback_timeout=_FETCH)
            answers = {future.key: one for future, one in zip(finished, found, strict=True)}
        for sent in batch:
            if sent.future.key in answers:
                yield Reply(sent.group, answers[sent.future.key])
        for sent in batch:
            if sent.future.key not in answers:
                yield _reply_of(sent.future, sent.group)


def _reply_of(future: Any, group: Group[Any]) -> Reply:  # noqa: ANN401
    status = future.status
    try:
        if status == "cancelled":
            return Reply(group, None, status, blameless=True)
        if status != "error":
            return Reply(group, future.result(timeout=_FETCH_ONE))
        error = future.exception(timeout=_FETCH_ONE)  # its worker died, as a rule
    except BaseException as raised:  # noqa: BLE001 - this is a thread, of whose end nobody hears
        error = raised
    why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Reply(group, None, why, blameless=status != "error")
