"""Importing without the garbage collector, where the process is the command's own."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_own = False


def process_is_own() -> None:
    """Say that this process does nothing but the command: what it imports is there for good."""
    global _own  # noqa: PLW0603 - it is said once a process
    _own = True


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Let the collector rest within it, and never look at what was made there.

    Modules are there to stay, yet it would go through them again and again, and once more at the
    end of the process: a seventh of the time of a run over one image (measured: 0.04 s). In a
    program that calls the command as a function it changes nothing: other things are there, too.
    """
    rests = _own and gc.isenabled()
    if rests:
        gc.disable()
    try:
        yield
    except ImportError as error:
        # So C++ puts it where a signal ends the import of an extension module.
        if isinstance(error.__cause__, KeyboardInterrupt | SystemExit):
            raise error.__cause__ from None
        raise
    finally:
        if rests:
            gc.freeze()
            gc.enable()
