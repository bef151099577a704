"""joblib's Dask backend, for tasks that are groups, and whose loss is a result like any other.

joblib's own waits for ever for a task that Dask has given up.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config
from joblib._dask import DaskDistributedBackend

if TYPE_CHECKING:
    from batchcls.engines.atworker import Answer
    from batchcls.engines.groups import Group

# Groups for each thread that the cluster is handed at first: one to work on, one to go on with.
_EACH = 2


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a group; None, and ``why``, where it was lost with its worker."""

    group: Group[Any]
    answer: Answer | None
    why: str = ""


def work_through(
    backend: Backend,
    groups: Iterator[Group[Any]],
    put: Callable[[Reply], None],
) -> None:
    """Have all groups worked on; ``put`` is called with what comes of each, as it comes."""
    with parallel_config(backend=backend, n_jobs=-1):
        parallel = Parallel(
            n_jobs=-1,
            batch_size=1,
            pre_dispatch=_EACH * backend.threads,
            return_as="generator_unordered",
        )
        for reply in parallel(delayed(_nothing)(group) for group in groups):
            put(reply)


def _nothing(group: Group[Any]) -> None:
    """Stand for the group: what is sent is the backend's affair."""


class Backend(DaskDistributedBackend):  # type: ignore[misc]  # untyped
    """Sends each group by ``send``, which gives a future; several results are fetched at once."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - distributed is untyped
        send: Callable[[Group[Any]], Any],
        threads: int,
    ) -> None:
        self.threads = threads
        super().__init__(client=client, wait_for_workers_timeout=0)
        self._send = send
        self._ended: queue.SimpleQueue[tuple[Any, Group[Any], Callable[[Any], Any]] | None]
        self._ended = queue.SimpleQueue()

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002 - as joblib calls it
        """Give the threads of the cluster; for a single one joblib would not ask the backend."""
        return max(2, self.threads)

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
        future.add_done_callback(lambda one: self._ended.put((one, group, callback)))
        return future

    def retrieve_result_callback(self, out: Any) -> Any:  # noqa: ANN401
        """Give what was fetched."""
        return out

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Leave what is out to who has sent it."""

    def _collected(self) -> None:
        """Fetch the results of all tasks that have ended, as they do."""
        while (first := self._ended.get()) is not None:
            batch = [first]
            with contextlib.suppress(queue.Empty):
                while (one := self._ended.get_nowait()) is not None:
                    batch.append(one)
                self._ended.put(None)  # the end, for the next look
            for (_, _, callback), reply in zip(batch, self._replies(batch), strict=True):
                callback([reply])

    def _replies(self, batch: list[tuple[Any, Any, Any]]) -> list[Reply]:
        finished = [future for future, _, _ in batch if future.status == "finished"]
        answers: dict[str, Any] = {}
        with contextlib.suppress(Exception):  # then each by itself
            found = self.client.gather(finished)
            answers = {future.key: one for future, one in zip(finished, found, strict=True)}
        return [
            Reply(group, answers[future.key]) if future.key in answers else _reply_of(future, group)
            for future, group, _ in batch
        ]


def _reply_of(future: Any, group: Group[Any]) -> Reply:  # noqa: ANN401
    try:
        return Reply(group, future.result())
    except BaseException as error:  # noqa: BLE001 - its worker died, it was cancelled, ...
        return Reply(group, None, " ".join(f"{type(error).__name__}: {error}".split())[:300])
