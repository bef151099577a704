"""Restoring a classifier in a new process, which knows nothing but what a model file holds."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import modelfile
from batchcls.model import made_classifier
from batchcls.plugins import registry
from batchcls.testing.running import CannotCheckError, RaisedError, doing
from batchcls.testing.subjects import ClassifierSubject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchcls.interfaces import Classifier

_SECONDS = 300
_NOT_FOUND = 71
_CODE = """
import json, sys
asked = json.load(sys.stdin)
sys.path[:] = asked["path"]
from batchcls.testing.elsewhere import main
sys.exit(main(asked))
"""
_MODEL, _FEATURES, _RESULT = "model.batchcls", "features.npy", "probabilities.npy"


def probabilities_elsewhere(
    subject: ClassifierSubject, features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Give the probabilities, ``[N, C]``, from a new process that restores the usual classifier.

    Raises CannotCheckError where such a process can't find the class.
    """
    place = _place(subject.cls)
    with tempfile.TemporaryDirectory() as folder:
        packed = modelfile.pack(subject.manifest(), subject.usual.to_state(), {})
        with open(os.path.join(folder, _MODEL), "wb") as file:
            file.write(packed)
        np.save(os.path.join(folder, _FEATURES), features)
        asked = {"path": [one for one in sys.path if isinstance(one, str)], "folder": folder}
        with doing("a new process"):
            done = subprocess.run(
                [sys.executable, "-c", _CODE],
                input=json.dumps({**asked, **place}),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        if done.returncode == _NOT_FOUND:
            raise CannotCheckError(f"a new process can't import {place}")
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise RaisedError(f"restore and predict_proba in a new process failed: {said[-1]}")
        result: NDArray[np.float64] = np.load(os.path.join(folder, _RESULT))
        return result


def _place(cls: type[Classifier]) -> dict[str, str]:
    """Say where a new process finds a class: in its module, or in the registry by its name."""
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is cls and cls.__module__ != "__main__":
        return {"module": cls.__module__, "qualname": cls.__qualname__}
    if registry().classifiers.get(cls.name) is cls:
        return {"name": cls.name}
    raise CannotCheckError(
        f"{cls.__module__}.{cls.__qualname__} is neither at the top of a module nor registered by "
        "a plugin, so that a new process can't find it"
    )


def main(asked: dict[str, Any]) -> int:
    """Do what is asked, in the new process; give its exit status."""
    try:
        cls = _found(asked)
    except (ImportError, AttributeError, KeyError):
        return _NOT_FOUND
    contents = modelfile.read(os.path.join(asked["folder"], _MODEL))
    manifest = contents.manifest
    classifier = made_classifier(cls, manifest.classifier.options)
    classifier.restore(contents.state, manifest.featurizer.dimension, len(manifest.classes))
    features = np.load(os.path.join(asked["folder"], _FEATURES))
    probabilities = classifier.predict_proba(features)
    np.save(os.path.join(asked["folder"], _RESULT), probabilities)
    return 0


def _found(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - a classifier class
    if "name" in asked:
        return registry().classifiers[asked["name"]]
    found: Any = importlib.import_module(asked["module"])
    for part in asked["qualname"].split("."):
        found = getattr(found, part)
    return found
