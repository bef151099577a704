"""The file of weights that Keras wants for a network: which, and where it is or comes from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from batchcls_keras.access import load_keras, silenced

_BLOCK = 2**20
_MD5_LENGTH = 32
_lock = threading.Lock()


@dataclass(frozen=True)
class WeightsFile:
    """A file as a constructor of Keras asks for it; ``digest``, MD5 or SHA-256, where Keras knows.

    ``get`` has Keras find it in its cache, or download it, and gives its path.
    """

    name: str
    origin: str
    digest: str
    get: Callable[[], str]

    @property
    def place(self) -> str:
        """Where Keras keeps it."""
        return os.path.join(cache_folder(), self.name)

    def is_at(self, path: str) -> bool:
        """Whether the file at ``path`` is this one, by what is in it, or else by its name."""
        if not self.digest:
            return os.path.basename(path) == self.name
        known = self.digest.lower()
        md5 = len(known) == _MD5_LENGTH
        found = hashlib.md5(usedforsecurity=False) if md5 else hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
        return found.hexdigest() == known


Answer = Callable[[WeightsFile], str]


class RefusedError(Exception):
    """What :func:`refuse` raises."""


def refuse(file: WeightsFile) -> str:
    """Give no weights: for a look at a network that needs none."""
    raise RefusedError(file.name)


@contextlib.contextmanager
def answering(answer: Answer) -> Iterator[None]:
    """Let ``answer`` give the path of the weights that a constructor of Keras asks for.

    Only so can be told which file it is to be before it is downloaded, and another one be given:
    the constructors ask by the name ``get_file`` of one module, and have no parameter for it.
    """
    keras = load_keras()
    module: Any = sys.modules[keras.utils.get_file.__module__]
    with _lock:
        original = module.get_file

        def get_file(
            fname: str | None = None,
            origin: str = "",
            *args: Any,  # noqa: ANN401
            **kwargs: Any,  # noqa: ANN401
        ) -> str:
            name = fname or os.path.basename(origin)
            digest = kwargs.get("file_hash") or kwargs.get("md5_hash") or ""
            file = WeightsFile(
                name, origin, digest, lambda: original(fname, origin, *args, **kwargs)
            )
            return answer(file)

        module.get_file = get_file
        try:
            yield
        finally:
            module.get_file = original


def cache_folder() -> str:
    """Give the folder that Keras keeps weights in, without importing it; it may not exist yet."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    existing = home if os.path.isdir(home) else os.path.dirname(home)
    if not os.access(existing, os.W_OK):
        home = os.path.join("/tmp", ".keras")  # noqa: S108 - so does Keras
    return os.path.join(home, "models")


def find_cached(network: str) -> str | None:
    """Find weights of ``network`` without its top in Keras's cache, without importing Keras.

    Their names follow the network's, give or take ``_`` and ``-``; None if there are none.
    """
    wanted = re.compile(rf"(weights)?{re.escape(_letters(network))}(?!v\d).*notop.*h5")
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(cache_folder())):
            if wanted.fullmatch(_letters(name)):
                return os.path.join(cache_folder(), name)
    return None


def weights_digest(model: Any) -> str:  # noqa: ANN401 - a keras.Model
    """Give the SHA-256, in hex, of the numbers in a model."""
    total = hashlib.sha256()
    with silenced():
        arrays = model.get_weights()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape} ".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
