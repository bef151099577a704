"""The ready model ``inception-imagenet``: Inception with the classes that it was trained for.

Its scores before the softmax are the features; the softmax over the 1,000 ImageNet classes among
them gives the probabilities.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from batchcls.builtin.head import model_of_head
from batchcls.builtin.inception import LOGITS, Inception, find_files, obtained
from batchcls.errors import NetworkError
from batchcls.framing import Framing
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.builtin.inception_files import InceptionFiles
    from batchcls.context import Context
    from batchcls.model import Model
    from batchcls.records import NetworkInfo

# The graph has 1,008 scores. The file of labels names the first 1,001: "dummy", then the classes;
# the others were never trained.
_FIRST, _CLASSES = 1, 1000
_MAX_LABELS = 2**20


class InceptionImageNet:
    """Provider of the ready model."""

    name = "inception-imagenet"
    description = "The 1,000 classes of ImageNet, by Inception's own head; no training needed"

    def load(self, context: Context) -> Model:
        """Put Inception and its classes together. Raises NetworkError if it can't be had."""
        files = obtained(context, f"the model {self.name}", "--model imagenet")
        labels = _labels(files)  # before the network is converted, which takes its time
        featurizer = Inception().create(context)
        if featurizer.dimension < _FIRST + _CLASSES:
            raise NetworkError(f"Inception's graph has {featurizer.dimension} scores, not 1,008")
        chosen = np.arange(_CLASSES)
        weights = np.zeros((featurizer.dimension, _CLASSES), np.float32)
        weights[_FIRST + chosen, chosen] = 1
        return model_of_head(
            featurizer,
            labels,
            weights,
            np.zeros(_CLASSES, np.float32),
            framing=Framing.SQUARE,  # as the tutorial has it
            note="the ImageNet head of Inception",
            options={"output": LOGITS},
        )

    def about(self, context: Context) -> NetworkInfo:
        """Tell as Inception does; the names of the classes must be there, too."""
        info = Inception().about(context)
        files = find_files(context)
        if files is None:
            return info
        try:
            _labels(files)
        except NetworkError as error:
            return replace(info, at_hand=False, note=error.message)
        return info


def _labels(files: InceptionFiles) -> list[str]:
    """Read what the classes are called. NetworkError where that is not there, or not whole."""
    from batchcls.builtin.inception_files import LABELS

    if files.labels is None:
        raise NetworkError(
            f"there is no {LABELS} beside {shown(files.graph)}, which names Inception's classes",
            hint="It is in inception5h.zip, too; `batchcls models fetch inception` brings both "
            "where no graph was put in its place by hand.",
        )
    with open(files.labels, "rb") as file:
        text = file.read(_MAX_LABELS).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    labels = [line for line in lines[_FIRST : _FIRST + _CLASSES] if line]
    if len(labels) != _CLASSES:
        raise NetworkError(
            f"{shown(files.labels)}: {_FIRST + _CLASSES} lines are expected, the first being "
            f"dummy, found {len(lines)}",
            hint="Take the file that is in inception5h.zip.",
        )
    return _different(labels)


def _different(labels: list[str]) -> list[str]:
    """Give a number to a name that several classes have: crane the bird, and the machine."""
    seen: dict[str, int] = {}
    result = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        result.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return result
