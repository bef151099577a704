"""TensorFlow without its chatter: a nightly job's mail is no place for it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import Any

# What TensorFlow's and LiteRT's compiled parts say on standard error, with no switch for it.
BANNER = rb"INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.\n"
_NOISE = rb"|".join(
    [
        BANNER,
        rb"fully_quantize: .*\n",
        rb"WARNING: All log messages before absl::InitializeLog\(\) is called .*\n",
        rb"[IW]0000 00:00:.*\n",
    ]
)
_lock = threading.RLock()


def tensorflow() -> Any:  # noqa: ANN401 - TensorFlow is untyped
    """Import TensorFlow (4 s the first time) and give it.

    The environment variables that quieten it are set unless the user has set them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        with quiet():
            import tensorflow
    import tensorflow

    return tensorflow


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run what is inside without TensorFlow's warnings and messages, Python's and the others."""
    with _lock, warnings.catch_warnings(), _without_logging(), without(_NOISE):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_logging() -> Iterator[None]:
    import logging

    loggers = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


@contextlib.contextmanager
def without(noise: bytes) -> Iterator[list[bytes]]:
    """Hold standard error back, then pass on all of it but what the pattern ``noise`` matches.

    Gives a list, which afterwards has in it what was dropped. One thread at a time can be inside:
    the process has but one standard error.
    """
    with _lock:
        yield from _without(noise)


def _without(noise: bytes) -> Iterator[list[bytes]]:
    dropped: list[bytes] = []
    try:
        sys.stderr.flush()
        held = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        kept = os.dup(2)
    except (AttributeError, OSError):
        # No standard error, or no place for a temporary file: then the noise is seen.
        yield dropped
        return
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield dropped
        finally:
            with contextlib.suppress(AttributeError, OSError, ValueError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            said = held.read()
            dropped.extend(re.findall(noise, said))
            rest = re.sub(noise, b"", said)
            while rest:
                rest = rest[os.write(2, rest) :]
