"""What a stranger may put into a model file, and whether it is refused."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

from batchcls.errors import fault_of
from batchcls.testing.running import Problems


def broken(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield ``data`` broken in ways that can't go unseen, and what was done to it."""
    yield "that is empty", b""
    if len(data) > 1:
        yield "cut to half its length", data[: len(data) // 2]
    noise = np.random.default_rng(0).bytes(min(max(len(data), 64), 4096))
    yield "with noise for content", noise


def refusal_problem(restore: Callable[[], object], what: str) -> Problems:
    """Yield what is wrong if ``restore`` does not raise ValueError."""
    try:
        restore()
    except ValueError:
        return
    except Exception as error:  # noqa: BLE001 - what else it raises is what is looked for
        yield fault_of(f"ValueError was due for {what}, but restore", error).reason
    else:
        yield f"restore took {what}"


class Tattler:
    """Tells when it is unpickled: whatever unpickles a stranger's bytes runs what they say."""

    ran = False

    def __reduce__(self) -> tuple[Callable[[], Tattler], tuple[()]]:
        return _tell, ()

    @classmethod
    def ran_in(cls, use: Callable[[], object]) -> bool:
        """Say whether one was unpickled by ``use``, whatever else became of it."""
        Tattler.ran = False
        with contextlib.suppress(Exception):
            use()
        return Tattler.ran

    @classmethod
    def versions(cls, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield bytes, of the form of ``data``, that have one in them, and how."""
        bare = pickle.dumps(cls())
        yield "(a pickle)", bare
        array = io.BytesIO()
        np.save(array, np.array([cls()], dtype=object), allow_pickle=True)
        yield "(a .npy of objects)", array.getvalue()
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError):
            return
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, content in members.items():
                evil = {"npy": array.getvalue(), "pkl": bare}.get(name.rpartition(".")[2])
                archive.writestr(name, content if evil is None else evil)
        yield "(a zip with pickles in it)", out.getvalue()


def _tell() -> Tattler:
    Tattler.ran = True
    return Tattler()
