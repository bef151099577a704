"""A network that TensorFlow has read, whatever from: one function, pixels → features."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchcls.errors import UsageError
from batchcls.networks.operations import check_operations
from batchcls.networks.quiet import quiet, tensorflow
from batchcls.text import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Untyped: a tf.Tensor, a ConcreteFunction.
Tensor = Any
Function = Any

_NAMES_SHOWN = 8
# Edges of the square input beyond this are a mistake, and would exhaust the memory.
_MAX_SIZE = 4096


@dataclass(frozen=True)
class Source:
    """A network as TensorFlow sees it, before any preprocessing.

    Its input is float32 ``[N, size, size, 3]``, preprocessed; its output features, float32
    ``[N, dimension]``.
    """

    size: int
    dimension: int
    _trace: Callable[[int], Function]

    def freeze(self, batch: int = 1) -> Function:
        """Give it as a ConcreteFunction for ``batch`` images, with all variables made constants."""
        return self._trace(batch)

    def run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run it on preprocessed ``pixels``, float32 ``[N, S, S, 3]``, one image at a time."""
        import numpy as np

        tf = tensorflow()
        with quiet():
            function = self.freeze(1)
            rows = [first(function(tf.constant(pixels[i : i + 1]))) for i in range(len(pixels))]
            features: NDArray[np.float32] = np.concatenate([row.numpy() for row in rows])
        return features


def make_source(
    what: str,
    call: Callable[[Tensor], Tensor],
    shape: Sequence[int | None] | None,
    size: int | None,
) -> Source:
    """Make a source of ``call``, which takes pixels, float32 ``[N, S, S, 3]``.

    A 4-D result ``[N, H, W, C]`` is averaged over its places (global average pooling).
    ``what`` begins the message of an error; ``shape`` is the input's as far as it is known,
    ``size`` the edge that the user gives. Raises UsageError for shapes that don't fit.
    """
    edge = input_edge(what, shape, size)

    @functools.cache
    def trace(batch: int) -> Function:
        tf = tensorflow()
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        spec = tf.TensorSpec([batch, edge, edge, 3], tf.float32, name="pixels")
        with quiet():
            traced = tf.function(lambda x: _pooled(what, first(call(x))), autograph=False)
            concrete = traced.get_concrete_function(spec)
            frozen = convert_variables_to_constants_v2(concrete)
        frozen.outputs[0].set_shape(concrete.outputs[0].shape)  # a call in it may have lost it
        return frozen

    frozen = explained(what, lambda: trace(1))
    check_operations(what, frozen.graph.as_graph_def())
    return Source(edge, int(frozen.outputs[0].shape[1]), trace)


def explained(what: str, action: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Do ``action``; what TensorFlow can't do becomes a UsageError."""
    try:
        return action()
    except UsageError:
        raise
    except Exception as error:  # TensorFlow and Keras raise whatever they like
        said = " ".join(str(error).split())
        raise UsageError(
            f"{what}: TensorFlow can't use it: {type(error).__name__}: {said[:300]}",
            hint="Is it a whole network for images, and of a TensorFlow not newer than this one?",
        ) from error


def first(result: Any) -> Tensor:  # noqa: ANN401
    """Give the tensor that a function gives, alone or in a list or a dict of one."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        [result] = result
    return result


def no_such_name(what: str, kind: str, name: str, names: Iterable[str]) -> UsageError:
    """Make the error for a name that does not exist; ``names`` in order, the likeliest last."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3)
    meant = f"Did you mean {' or '.join(map(shown, close))}? " if close else ""
    return UsageError(
        f"{what}: has no {kind} {shown(name)!r}", hint=meant + listed(f"{kind}s", known)
    )


def choose_name(what: str, kind: str, names: Iterable[str]) -> UsageError:
    """Make the error for a choice that the user has to make."""
    known = list(names)
    found = f"has {len(known)} {kind}s" if known else f"has no {kind}"
    return UsageError(f"{what}: {found}: name the one to use", hint=listed(f"{kind}s", known))


def listed(kinds: str, names: Sequence[str]) -> str:
    """List names, the last ones where there are many."""
    if not names:
        return ""
    few = ", ".join(map(shown, names[-_NAMES_SHOWN:]))
    many = len(names) > _NAMES_SHOWN
    return f"The last of its {len(names)} {kinds}: {few}." if many else f"Its {kinds}: {few}."


def input_edge(what: str, shape: Sequence[int | None] | None, size: int | None) -> int:
    """Settle the edge of the square input ``shape``, None for what may vary, with the user's.

    Raises UsageError for a shape that is not ``[N, S, S, 3]``, or a size that is not its own.
    """
    if size is not None and not 1 <= size <= _MAX_SIZE:
        raise UsageError(f"{what}: size is {size}", hint=f"It is 1 to {_MAX_SIZE} pixels.")
    if shape is None:
        shape = (None, None, None, 3)
    text = _shape_text(shape)
    if len(shape) != 4 or shape[3] not in {3, None} or shape[1] != shape[2]:
        first_channels = len(shape) == 4 and shape[1] == 3
        raise UsageError(
            f"{what}: its input is {text}, not [N, S, S, 3]",
            hint="Its channels come first; it must be exported with the channels last."
            if first_channels
            else "Only networks for square colour images, channels last, can be used.",
        )
    if shape[0] not in {None, 1}:
        raise UsageError(
            f"{what}: its input is {text}: always {shape[0]} images at once",
            hint="It must be exported for any number of images, or for one.",
        )
    if shape[1] is None:
        if size is None:
            raise UsageError(
                f"{what}: its input is {text}: of any size",
                hint="Say which size to use (size=224, in pixels).",
            )
        return size
    if size is not None and size != shape[1]:
        raise UsageError(
            f"{what}: its input is {text}, but the size given is {size}",
            hint=f"Leave the size out, or give {shape[1]}.",
        )
    return int(shape[1])


def _pooled(what: str, output: Tensor) -> Tensor:
    tf = tensorflow()
    if output.dtype != tf.float32:
        raise UsageError(
            f"{what}: its output is {output.dtype.name}, not float32",
            hint="Name another output.",
        )
    shape = output.shape.as_list() if output.shape.rank is not None else None
    if shape is not None and len(shape) == 4:
        output = tf.reduce_mean(output, axis=[1, 2])
        shape = output.shape.as_list()
    if shape is None or len(shape) != 2 or not shape[1]:
        raise UsageError(
            f"{what}: its output is {_shape_text(shape)}, not [N, D] or [N, H, W, C]",
            hint="Name another output.",
        )
    return output


def _shape_text(shape: Sequence[int | None] | None) -> str:
    if shape is None:
        return "of an unknown shape"
    return "[" + ", ".join("?" if edge is None else str(edge) for edge in shape) + "]"
