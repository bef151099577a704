"""Decoding one file in a process of its own, so that what it does to the decoder ends there."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from batchcls.errors import DecodeError
from batchcls.guard import memory
from batchcls.guard.forking import dies_with_parent
from batchcls.guard.verdicts import no_answer, took_too_long

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchcls.decode import Decoder
    from batchcls.framing import Framing

# What the process may take, as a share of the memory that there is to be had.
_SHARE = 0.5
# Beyond the file's own time, for the process to start, or to be taken for stuck in the system.
_PATIENCE = 60.0
_TO_DIE = 2.0
# An answer begins with how far the process came: it has what it needs; it has read the file.
_READY, _READ = b"r", b"o"
# Then follows what it is: pixels, a reason that lasts or one that passes, the trace of a bug.
_PIXELS, _LASTING, _PASSING, _BUG = b"P", b"L", b"T", b"B"


def decode_apart(
    path: str,
    framings: Sequence[Framing],
    input_size: int,
    *,
    max_pixels: int,
    max_bytes: int,
    pillow_plugins: Sequence[str] = (),
    seconds: float = math.inf,
    content: bytes = b"",
) -> list[NDArray[np.uint8]]:
    """Decode and frame a file: uint8 ``[input_size, input_size, 3]`` for each of ``framings``.

    The pixels are those that this process would get. ``content`` is the digest that the file is
    expected to have, if it is known. Raises DecodeError with the reason, also for a file that
    crashes the decoder, takes longer than ``seconds`` or more memory than there is. It keeps its
    own time: not to be called while the flight says that the file is being decoded.
    """
    import numpy as np

    request = {
        "path": os.fsencode(os.path.abspath(path)).hex(),
        "framings": [framing.value for framing in framings],
        "input_size": input_size,
        "max_pixels": max_pixels,
        "max_bytes": max_bytes,
        "pillow_plugins": list(pillow_plugins),
        "seconds": None if math.isinf(seconds) else seconds,
        "content": content.hex(),
        "parent": os.getpid(),
    }
    answer, status = _asked(json.dumps(request).encode("ascii"), seconds)
    answer, ready = _without(answer, _READY)
    answer, read = _without(answer, _READ)
    kind, said = answer[:1], answer[1:]
    if kind == _PIXELS:
        shape = (len(framings), input_size, input_size, 3)
        return list(np.frombuffer(said, np.uint8).reshape(shape))
    if kind in {_LASTING, _PASSING}:
        raise DecodeError(said.decode("utf-8", "surrogatepass"), lasting=kind == _LASTING)
    if kind == _BUG:
        raise RuntimeError(f"in the process that decodes apart:\n{said.decode()}")
    if not ready and status is None:
        raise DecodeError(took_too_long(seconds), lasting=False)
    if not ready:
        raise DecodeError("the process to decode it apart did not start", lasting=False)
    if not read and _is_late(status):
        raise DecodeError(no_answer(seconds), lasting=False)
    raise _death(status, seconds)


def _without(answer: bytes, beginning: bytes) -> tuple[bytes, bool]:
    return answer.removeprefix(beginning), answer.startswith(beginning)


def _is_late(status: int | None) -> bool:
    names = ("SIGALRM", "SIGXCPU")
    return status is None or -status in {getattr(signal, name, None) for name in names}


def _death(status: int | None, seconds: float) -> DecodeError:
    if status is None or _is_late(status):
        return DecodeError(took_too_long(seconds))
    if -status == getattr(signal, "SIGKILL", None):
        reason = "the decoder was killed, most likely for want of memory"
        return DecodeError(reason, lasting=False)
    how = f"status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-status).name
    return DecodeError(f"the decoder crashed on it ({how})")


def _asked(request: bytes, seconds: float) -> tuple[bytes, int | None]:
    """Give what a process answers and its exit status, None for one that had to be killed."""
    try:
        process = subprocess.Popen(
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries say when they crash would be cron's mail
            env={**os.environ, "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    except OSError as error:
        reason = f"no process can be started to decode it apart: {error.strerror or error}"
        raise DecodeError(reason, lasting=False) from error
    try:
        limit = None if math.isinf(seconds) else seconds + _PATIENCE
        answer, _ = process.communicate(request, timeout=limit)
        return answer, process.returncode
    except subprocess.TimeoutExpired as error:
        return error.output or b"", None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind, unless it is stuck in the system; then don't wait for it."""
    if process.returncode is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # a Ghostscript, too
        process.kill()
        try:
            process.wait(_TO_DIE)
        except subprocess.TimeoutExpired:
            process.returncode = -1  # or Python would warn that it still runs
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _command() -> list[str]:
    """Start Python with the modules that this process has, whatever folder is the current one.

    On its own (-I) it looks into no folder but those of its installation. What is in the current
    one, if this process was to look there, comes last, for a plugin that is named: nothing in it
    can take another module's place.
    """
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    here = os.path.abspath("")
    places = [os.path.abspath(entry) for entry in sys.path]
    first = [place for place in places if place != here or place == home]
    last = [place for place in places if place == here and place != home]
    code = (
        f"import sys; sys.path[:] = {first + last!a}; "
        "from batchcls.guard.apart import answer; answer()"
    )
    return [sys.executable, "-I", *(["-B"] if sys.dont_write_bytecode else []), "-c", code]


def answer() -> None:
    """Do what :func:`decode_apart` asks for, as the process that it has started."""
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing that a library prints comes in between
    request = json.loads(sys.stdin.buffer.read())
    if dies_with_parent() and os.getppid() != request["parent"]:
        return
    _be_the_first_to_go()
    from batchcls.decode import Decoder
    from batchcls.imageformats import register_plugins

    register_plugins(tuple(request["pillow_plugins"]))
    decoder = Decoder(request["max_pixels"])
    _limit(request["seconds"])
    output.write(_READY)
    try:
        pixels = _decoded(request, decoder, lambda: output.write(_READ))
    except DecodeError as error:
        reason = str(error).encode("utf-8", "surrogatepass")
        said = (_LASTING if error.lasting else _PASSING) + reason
    except MemoryError:
        said = _PASSING + b"not enough memory to decode it"
    except Exception:  # noqa: BLE001 - raised again by who has asked
        said = _BUG + traceback.format_exc().encode("utf-8", "backslashreplace")
    else:
        said = b"".join([_PIXELS, *(square.tobytes() for square in pixels)])
    _limit(None)
    while said:
        said = said[output.write(said) :]
    os._exit(0)  # whatever the decoder has left behind


def _decoded(
    request: dict[str, Any], decoder: Decoder, on_read: Callable[[], object]
) -> list[NDArray[np.uint8]]:
    from batchcls.framing import Framing, frame
    from batchcls.reading import opened

    path, size = os.fsdecode(bytes.fromhex(request["path"])), request["input_size"]
    content = bytes.fromhex(request["content"])
    with opened(path, request["max_bytes"]) as found:
        if content and found.digest != content:
            raise DecodeError("it was changed while it was read", lasting=False)
        on_read()
        picture = decoder.decode_file(found.file, path, size)
    try:
        return [frame(picture, Framing(framing), size) for framing in request["framings"]]
    except MemoryError:
        raise DecodeError("not enough memory to resize it", lasting=False) from None


def _be_the_first_to_go() -> None:
    """Have the system end this process before others where it is short of memory."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _limit(seconds: float | None) -> None:
    """Limit this process: its time, if any, its memory, and what a crash may leave behind.

    The system ends it even where a decoder never returns to Python.
    """
    if sys.platform == "win32":
        return
    import resource

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    limits = {resource.RLIMIT_CORE: 0}
    if seconds is not None:
        # For a Ghostscript that is left behind; a decoder's threads may use all cores.
        limits[resource.RLIMIT_CPU] = math.ceil(seconds * (os.cpu_count() or 1)) + 10
    free, own = memory.available(), memory.address_space()
    if free is not None and own is not None:
        limits[resource.RLIMIT_AS] = own + int(free * _SHARE)
    for name, most in limits.items():
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(name)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(name, (bound, hard))
