"""The networks that Keras has: found by name, with what is to be known of each.

There is no table of them here: all is asked of ``keras.applications``
(https://keras.io/api/applications), so what a later Keras adds can be used at once.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchcls.errors import UsageError
from batchcls.text import shown
from batchcls_keras.access import load_keras, silenced
from batchcls_keras.weights import answering, refuse

# Of a network that takes any size; ImageNet's networks learnt from images of this.
_USUAL_SIZE = 224


@dataclass(frozen=True)
class Network:
    """A network of Keras: its constructor, and what turns RGB levels into its input."""

    name: str
    construct: Callable[..., Any]
    preprocess: Callable[..., Any]

    def default_size(self) -> int:
        """Give the edge of the input that Keras made it for, in pixels."""
        with silenced():
            # Of all that Keras says of a network, only this tells the size without building it.
            with contextlib.suppress(Exception), answering(refuse):
                try:
                    self.construct(include_top=True, weights="imagenet", input_shape=(1, 1, 3))
                except ValueError as error:
                    if found := re.search(r"should be \((\d+), \1, 3\)", str(error)):
                        return int(found[1])
            model = self.construct(include_top=True, weights=None)
        return model.input_shape[1] or _USUAL_SIZE


def find_network(name: str) -> Network:
    """Find a network by its name, in any case; UsageError lists those that exist."""
    applications = load_keras().applications
    known = {
        each: one
        for each, one in vars(applications).items()
        if inspect.isfunction(one) and each[:1].isupper()
    }
    found = [name] if name in known else [one for one in known if one.lower() == name.lower()]
    if len(found) != 1:
        close = difflib.get_close_matches(name.lower(), [one.lower() for one in known], n=3)
        meant = " or ".join(one for one in known if one.lower() in close)
        question = f"Did you mean {meant}? " if meant else ""
        raise UsageError(
            f"Keras has no network {shown(name)!r}",
            hint=f"{question}There is: {', '.join(known)}.",
        )
    [name] = found
    return Network(name, known[name], _preprocess_input(applications, name))


def _preprocess_input(applications: Any, name: str) -> Callable[..., Any]:  # noqa: ANN401
    """Find the function of the network's family: of the module that the network is made in."""
    family = getattr(applications, name).__module__.rpartition(".")[2]
    function: Callable[..., Any] | None = getattr(
        getattr(applications, family, None), "preprocess_input", None
    )
    if function is None:
        raise UsageError(
            f"{name}: Keras has no preprocess_input for it, so what it wants to see is not known",
            hint="Take another network, or save this one, and use it as --featurizer tensorflow.",
        )
    return function
