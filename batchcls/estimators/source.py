"""Where an estimator comes from: what its options are, and making one with them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchcls.errors import PluginError
from batchcls.estimators.trusted import is_trusted

# Threads are the pipeline's, and so is the screen; there is nothing to start from.
_NOT_OPTIONS = {"n_jobs", "verbose", "warm_start"}
_SEED = 0
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


@dataclass(frozen=True)
class EstimatorSource:
    """An estimator's class, or a function that gives one, by its dotted path or itself.

    ``defaults`` are the options that differ from its own; ``trusted`` the full names of types that
    a model may hold beyond those of scikit-learn that are known to be safe.
    """

    name: str
    estimator: str | Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()

    def signature(self) -> inspect.Signature:
        """Give the options as a signature.

        scikit-learn has no annotations and checks values itself, so only its switches have a type;
        options of others have the type of their default. Raises PluginError if there is no such
        estimator.
        """
        target = self._target()
        checks_itself = hasattr(target, "_parameter_constraints")
        parameters = []
        for name, parameter in _parameters(target).items():
            if isinstance(target, type) and name in _NOT_OPTIONS:
                continue
            default = self.defaults.get(name, parameter.default)
            annotation = parameter.annotation
            if checks_itself:
                annotation = bool if isinstance(default, bool) else Any
            elif isinstance(annotation, str):
                annotation = Any
            parameters.append(
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
                )
            )
        return inspect.Signature(parameters)

    def make(self, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - scikit-learn is untyped
        """Make the estimator, unfitted, with a fixed seed and one thread.

        Raises ValueError for an option whose value is wrong, PluginError for an estimator that
        can't be used here.
        """
        target = self._target()
        unknown = sorted({*self.defaults, *options} - set(_parameters(target)))
        if unknown:
            raise PluginError(f"the classifier {self.name}: there is no option {unknown[0]}")
        estimator = target(**{**self.defaults, **options})
        if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
            raise PluginError(
                f"the classifier {self.name}: {type(estimator).__name__} is no estimator"
            )
        parameters = estimator.get_params(deep=True)
        fixed = {"random_state": _SEED, "n_jobs": 1}
        estimator.set_params(
            **{
                name: fixed[last]
                for name, value in parameters.items()
                if (last := name.rpartition("__")[2]) in fixed and value is None
            }
        )
        # At once and not when it is fitted, which may be after an hour of featurizing.
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        self._check(estimator, parameters)
        return estimator

    def _check(self, estimator: Any, parameters: Mapping[str, Any]) -> None:  # noqa: ANN401
        kind = type(estimator)
        # What a stack of estimators gives, only the fitted one knows; `fit` finds out.
        if not hasattr(estimator, "predict_proba") and not hasattr(estimator, "final_estimator"):
            raise PluginError(
                f"the classifier {self.name}: {kind.__name__} gives no probabilities "
                "(it has no predict_proba)",
                hint="Let it be calibrated: write a function that returns "
                f"CalibratedClassifierCV({kind.__name__}()), and give that function instead.",
            )
        parts = [value for value in parameters.values() if hasattr(value, "get_params")]
        for part in map(type, [estimator, *(part for part in parts if not isinstance(part, type))]):
            if not is_trusted(part.__module__, part.__qualname__, self.trusted):
                full = f"{part.__module__}.{part.__qualname__}"
                raise PluginError(
                    f"the classifier {self.name}: a {full} can't be kept in a model: "
                    "it is not among the types that are known to be safe to load",
                    hint="If you know that it is safe, whatever a model file may hold: "
                    f"estimator_classifier(..., trusted=({full!r},)).",
                )

    def _target(self) -> Callable[..., Any]:
        if not isinstance(self.estimator, str):
            return self.estimator
        module, colon, name = self.estimator.partition(":")
        if not colon:
            module, _, name = self.estimator.rpartition(".")
        try:
            target: Callable[..., Any] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise PluginError(
                f"the classifier {self.name} needs {self.estimator}, which can't be had: {error}"
            ) from None
        return target


def _parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(target, eval_str=not isinstance(target, type))
    except NameError:  # an annotation that exists for type checkers only
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        raise PluginError(f"{target!r} is neither a class nor a function of Python") from None
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in _NAMED
    }
