"""The Dask engine: groups of chunks as tasks of a cluster, through joblib's Dask backend.

Dask itself begins a task anew whose worker has died. What is here besides is what a night needs:
results in order, in bounds; a group that Dask has given up is done carefully; one that does not
come is begun elsewhere, and whichever comes first counts; a scheduler that is gone ends the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import threading
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from batchcls.engines.groups import Groups
from batchcls.errors import BatchclsError, UsageError
from batchcls.text import shown

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

_CONNECT = 10.0  # seconds that a scheduler may take to answer
_TRIES = 3  # so often a work is sent to the workers, where one leaves meanwhile
_FAREWELL = 5.0  # seconds that workers have to let go of the work


class DaskEngine:
    """A cluster. ``scheduler`` is its address, or a file that tells it; "" as Dask is configured.

    A task has at most ``images`` images. For ``wait`` seconds there may be no worker; a task that
    takes ``late`` seconds, and much longer than others, is begun elsewhere, too.
    """

    def __init__(
        self,
        scheduler: str,
        images: int,
        wait: float,
        late: float,
        warn: Callable[[str], None],
    ) -> None:
        self._scheduler, self._images = scheduler, images
        self._wait, self._late, self._warn = wait, late, warn

    def map(
        self, work: Callable[[Chunk], Result], chunks: Iterable[Chunk]
    ) -> Generator[Result, None, None]:
        """Yield ``work(chunk)`` for each chunk; ``work`` is a DistantWork.

        Raises UsageError where no scheduler answers, or a worker can't do the work, and
        BatchclsError where the cluster fails on the way.
        """
        client = _connected(self._scheduler)
        try:
            from batchcls.engines.atworker import Payload, check, is_there
            from batchcls.engines.daskmapping import Mapping

            # A cluster that grows with its tasks has to have one: of Python's own, as what a
            # worker can't unpickle ends it.
            wanted = client.submit(int, pure=False)
            _await_worker(client, self._wait)
            _within(self._wait, lambda: _check_workers(client, is_there))
            del wanted
            _check_scheduler(client.submit(is_there, pure=False), self._wait)
            data = pickle.dumps(work, protocol=pickle.HIGHEST_PROTOCOL)
            # Of this run alone: another with the same work has other groups, and another end.
            token = uuid.uuid4().hex
            payload = Payload(token, data)
            try:
                _within(self._wait, lambda: _register(client, payload))
                _within(self._wait, lambda: _check_workers(client, check, token))
                groups: Groups[Any] = Groups(chunks, self._images)
                mapping = Mapping(client, token, groups, self._wait, self._late, self._warn)
                with contextlib.closing(mapping):
                    yield from mapping.results()
            finally:
                with contextlib.suppress(Exception):
                    if client.status == "running":
                        _within(_FAREWELL, lambda: client.unregister_worker_plugin(payload.name))
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


def _connected(scheduler: str) -> Any:  # noqa: ANN401 - distributed is untyped
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import dask
            from distributed import Client
    except ImportError:
        raise UsageError(
            "the engine dask needs the package distributed",
            hint="Install it: pip install 'batchcls[dask]'",
        ) from None
    # What it says of lost connections is told by us, once.
    for name in [*logging.root.manager.loggerDict]:
        if name.split(".")[0] in {"distributed", "tornado"}:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    if not scheduler:
        address = dask.config.get("scheduler-address", None)
        if not address:
            raise UsageError(
                "the engine dask: no scheduler is named",
                hint="Name it: --scheduler tcp://HOST:8786, or in config.toml [engine.dask]",
            )
        where = {"address": address}
    if scheduler.endswith(".json") and not os.path.exists(scheduler):  # Dask would wait for it
        raise UsageError(
            f"the engine dask: {shown(scheduler)}: no such file",
            hint="It is what dask scheduler --scheduler-file writes.",
        )
    what = next(iter(where.values()))
    try:
        # Versions are compared by us, those that matter.
        warnings.filterwarnings("ignore", module=r"distributed\..*")
        make: Any = Client
        return make(**where, timeout=_CONNECT, set_as_default=False, name="batchcls")
    except (OSError, asyncio.TimeoutError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"the engine dask: {shown(what)}: no scheduler answers: {shown(reason)[:200]}",
            hint="Start one: dask scheduler; and workers: dask worker ADDRESS",
        ) from None


def _await_worker(client: Any, wait: float) -> None:  # noqa: ANN401
    try:
        client.wait_for_workers(1, timeout=wait)
    except (TimeoutError, asyncio.TimeoutError):  # which are two before Python 3.11
        raise UsageError(
            f"the engine dask: there is no worker, and none came in {wait:g} s",
            hint="Start one: dask worker ADDRESS",
        ) from None


def _within(seconds: float, ask: Callable[[], object]) -> None:
    """Ask all workers something. Raises BatchclsError where not all have answered in time."""
    failed: list[BaseException] = []
    answered = threading.Event()

    def run() -> None:
        try:
            ask()
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failed.append(error)
        answered.set()

    threading.Thread(target=run, daemon=True).start()
    if not answered.wait(seconds):
        raise BatchclsError(
            f"the engine dask: not all workers have answered in {seconds:g} s",
            hint="One may be stuck: the scheduler's dashboard tells. Stop it, and run again.",
        )
    if failed:
        raise failed[0]


def _register(client: Any, payload: Any) -> None:  # noqa: ANN401
    """Hand the work to all workers; again, where one has left in the middle of that."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(OSError):  # of which Dask's errors of connections are
            client.register_plugin(payload)
            return
    client.register_plugin(payload)


def _check_scheduler(first: Any, wait: float) -> None:  # noqa: ANN401
    """Raise UsageError where not even this task could be done: the scheduler unpickles it, too."""
    try:
        first.result(timeout=wait)
    except (TimeoutError, asyncio.TimeoutError):
        raise BatchclsError(
            f"the engine dask: no task is done in {wait:g} s",
            hint="The cluster may be busy with other work: the scheduler's dashboard tells.",
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever is missing there
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"the engine dask: the scheduler can't take tasks: {shown(reason)[:200]}",
            hint="Install the same on the scheduler as on every worker, batchcls itself included.",
        ) from None


def _check_workers(client: Any, ask: Callable[..., Any], *given: str) -> None:  # noqa: ANN401
    """Raise UsageError where a worker raises what it is asked."""
    problems = []
    hint = "Install the same on every worker, batchcls itself included."
    answers = client.run(ask, *given, on_error="return")
    there = client.nthreads() if any(isinstance(one, OSError) for one in answers.values()) else {}
    for address, found in answers.items():
        if isinstance(found, OSError) and address not in there:
            continue  # it has left in the middle of that
        if isinstance(found, BatchclsError):
            hint = found.hint or hint
            problems.append(f"{address}: {found.message}")
        elif isinstance(found, BaseException):
            reason = " ".join(f"{type(found).__name__}: {found}".split())
            problems.append(f"{address}: {shown(reason)[:200]}")
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UsageError("the engine dask: " + "; ".join(problems[:3]) + more, hint=hint)
