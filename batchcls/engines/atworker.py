"""What a Dask worker runs: works by their token, each unpickled once in a process."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from batchcls.blas import one_blas_thread
from batchcls.errors import BatchclsError, fault_of

if TYPE_CHECKING:
    from batchcls.interfaces import DistantWork

# As Dask's own, so that it stands in the worker's log.
_log = logging.getLogger("distributed.worker.batchcls")
_payloads: dict[str, bytes] = {}
_works: dict[str, DistantWork] = {}
_making = threading.Lock()


class Payload(WorkerPlugin):
    """A work on its way to every worker, those included that come later or start anew."""

    idempotent = False  # where it is sent again, one that has it already takes it anew

    def __init__(self, token: str, work: bytes) -> None:
        self.name = f"batchcls-{token}"
        self._token, self._work = token, work

    def setup(self, worker: Any) -> None:  # noqa: ANN401, ARG002 - as Dask calls it
        """Arrive."""
        _payloads[self._token] = self._work

    def teardown(self, worker: Any) -> None:  # noqa: ANN401, ARG002 - as Dask calls it
        """Leave nothing behind."""
        _payloads.pop(self._token, None)
        _works.pop(self._token, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a group of chunks.

    ``results`` has one for each; ``unfit`` says why the worker at ``address`` can do no such work,
    ``error`` (message, hint) and ``fault`` (reason, trace) what was raised.
    """

    results: Sequence[Any] = ()
    address: str = ""
    unfit: str = ""
    error: tuple[str, str] | None = None
    fault: tuple[str, str] | None = None


def work_on(token: str, chunks: Sequence[Any], *, careful: bool) -> Answer:
    """Work on a group of chunks. Raises nothing."""
    address = ""
    try:
        address = get_worker().address
        work = _work(token)
    except BatchclsError as error:
        return Answer(address=address, unfit=str(error))
    except Exception as error:  # noqa: BLE001 - whatever is missing there
        return Answer(address=address, unfit=fault_of("unpickling the work", error).reason)
    try:
        with _one_blas_thread:
            if careful:
                return Answer([work.carefully(chunk) for chunk in chunks], address)
            results = list(work.many(chunks))
            if len(results) != len(chunks):  # a StopIteration in it ends it in silence
                raise RuntimeError(f"{len(results)} results for {len(chunks)} chunks")
            return Answer(results, address)
    except BatchclsError as error:
        return Answer(address=address, error=(error.message, error.hint))
    except BaseException as error:  # noqa: BLE001 - raised again where the run was begun
        fault = fault_of(f"the work on {address}", error)
        return Answer(address=address, fault=(fault.reason, fault.trace))


def _work(token: str) -> DistantWork:
    with _making:
        work: DistantWork | None = _works.get(token)
        if work is None:
            payload = _payloads.get(token)
            if payload is None:
                raise BatchclsError("the work has not arrived")
            work = pickle.loads(payload)  # noqa: S301 - Dask's trust
            work.check()
            if token in _payloads:  # it is still wanted
                _works[token] = work
            _log.info("work %s unpickled, %d bytes", token[:8], len(payload))
        return work


class _OneBlasThread:
    """Holds BLAS to one thread, which Dask's nannies do, too: the chunks keep the cores busy.

    For as long as a thread of this process is in it: each of them putting back what it has found
    would end it for the others, or never.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: AbstractContextManager[Any] = nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0 and os.environ.get("OPENBLAS_NUM_THREADS") != "1":
                self._limits = one_blas_thread()
                self._limits.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limits.__exit__(None, None, None)
                self._limits = nullcontext()


_one_blas_thread = _OneBlasThread()


def is_there() -> bool:
    """Tell that batchcls is installed: where it isn't, this can't even be unpickled."""
    return True


def check(token: str) -> None:
    """Raise BatchclsError, or what the unpickling raises, where the work can't be done here."""
    _work(token)
