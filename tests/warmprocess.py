"""A process that has imported what is slow to import, and forks one for each command that is asked.

Run as ``python warmprocess.py SOCKET LIFE MODULE...``: it listens on the socket that is its file
descriptor SOCKET, imports the modules (all of a package for ``PACKAGE.*``), and ends when nobody
holds the other end of the pipe LIFE. What a forked process does is what ``python -m MODULE`` or
``python -c CODE`` does: only those modules are there already.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import types
from typing import Any

_SIZE = 1 << 20


def main() -> None:
    """Serve until nobody is left to ask."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    life = int(sys.argv[2])
    here = sys.path.pop(0)  # this script's folder, where no module of a command is
    assert os.path.samefile(here, os.path.dirname(os.path.abspath(__file__)))
    # As the command has it, which is where a command's NumPy would be loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in sys.argv[3:]:
        _import(name)
    gc.collect()
    gc.freeze()
    _serve(listening, life)


def _import(name: str) -> None:
    package = importlib.import_module(name.removesuffix(".*"))
    if name.endswith(".*"):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)


def _serve(listening: socket.socket, life: int) -> None:
    selector = selectors.DefaultSelector()
    selector.register(life, selectors.EVENT_READ)
    selector.register(listening, selectors.EVENT_READ)
    children: dict[int, tuple[int, socket.socket]] = {}  # by what tells of their end
    while True:
        for key, _ in selector.select():
            if key.fd == life:
                return
            if key.fileobj is listening:
                asked, _ = listening.accept()
                request, streams = _received(asked)
                child = os.fork()
                if child == 0:
                    selector.close()
                    for one in (listening, asked, *(other for _, other in children.values())):
                        one.close()
                    for descriptor in (life, *children):
                        os.close(descriptor)
                    _become(request, streams)
                for descriptor in streams:
                    os.close(descriptor)
                watched = os.pidfd_open(child)
                children[watched] = child, asked
                selector.register(watched, selectors.EVENT_READ)
                selector.register(asked, selectors.EVENT_READ, watched)
            elif key.data is not None:  # who has asked has given it up
                signal.pidfd_send_signal(key.data, signal.SIGKILL)
                selector.unregister(key.fileobj)
            elif key.fd in children:
                child, asked = children.pop(key.fd)
                selector.unregister(key.fd)
                with contextlib.suppress(KeyError):
                    selector.unregister(asked)
                os.close(key.fd)
                _, status = os.waitpid(child, 0)
                with contextlib.suppress(OSError), asked:
                    asked.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _received(asked: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Take a request, and the file descriptors that become its standard streams."""
    descriptors = array.array("i")
    data, ancillary, _, _ = asked.recvmsg(_SIZE, socket.CMSG_SPACE(3 * descriptors.itemsize))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content)
    while not data.endswith(b"\n"):
        data += asked.recv(_SIZE)
    return json.loads(data), list(descriptors)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that was asked for, to its end."""
    status = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        sys.stderr = open(  # noqa: SIM115
            2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False
        )
        for name in ("stdin", "stdout", "stderr"):
            setattr(sys, f"__{name}__", getattr(sys, name))
        os.chdir(os.fsencode(request["folder"]))
        os.environ.clear()
        os.environ.update(request["environment"])
        how, what, *arguments = request["arguments"]
        sys.orig_argv = [sys.executable, *request["arguments"]]
        sys.path.insert(0, os.getcwd() if how == "-m" else "")
        importlib.invalidate_caches()
        status = _run(how, what, arguments)
    finally:
        os._exit(status & 0xFF)


def _run(how: str, what: str, arguments: list[str]) -> int:
    """Run a module or code as Python does, with all that Python does at its end but for freeing."""
    status: object = 0
    try:
        sys.argv = [how, *arguments]
        if how == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            module = types.ModuleType("__main__")
            module.__dict__["__builtins__"] = __builtins__
            sys.modules["__main__"] = module
            exec(compile(what, "<string>", "exec"), module.__dict__)
    except SystemExit as end:
        status = end.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:  # noqa: BLE001 - whatever it is, Python tells it so
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    main()
