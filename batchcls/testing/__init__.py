"""Checks of a classifier and of a featurizer, for the tests of whoever writes one.

::

    from batchcls.testing import check_classifier, check_featurizer

    def test_my_classifier():
        check_classifier(MyClassifier, neighbors=3)

    def test_my_network():
        check_featurizer(MyProvider(), path="net.onnx")

They hold an implementation to ``batchcls.interfaces``: several dozen small trials with made-up
data, the same each time. All of them are done, and one error says what failed; a check that needs
what another has found to be broken is left out. No test framework is needed.

``CLASSIFIER_CHECKS`` and ``FEATURIZER_CHECKS`` list the checks: name → what is due. One can be
skipped, with a reason: ``skip={"batch-independence": "the GPU sums in another order"}``. What can't
be checked, and is not skipped, is told as a ``NotCheckedWarning``.

"The same" is always the same bit for bit: a report must not depend on the number of threads, nor
on what else is in the folder, and a last bit decides between two labels that are equally likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from batchcls.testing.classifying import CHECKS as CLASSIFYING
from batchcls.testing.explaining import CHECKS as EXPLAINING
from batchcls.testing.featurizerfiles import CHECKS as FILES
from batchcls.testing.featurizing import CHECKS as FEATURIZING
from batchcls.testing.fitting import CHECKS as FITTING
from batchcls.testing.running import Check, ConformanceError, NotCheckedWarning, called, run
from batchcls.testing.states import CHECKS as STATES
from batchcls.testing.subjects import ClassifierSubject, FeaturizerSubject

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Classifier, Featurizer, FeaturizerProvider

__all__ = [
    "CLASSIFIER_CHECKS",
    "FEATURIZER_CHECKS",
    "ConformanceError",
    "NotCheckedWarning",
    "check_classifier",
    "check_featurizer",
]

_CLASSIFIER: tuple[Check[ClassifierSubject], ...] = (*FITTING, *CLASSIFYING, *STATES, *EXPLAINING)
_FEATURIZER: tuple[Check[FeaturizerSubject], ...] = (*FEATURIZING, *FILES)

CLASSIFIER_CHECKS: Mapping[str, str] = MappingProxyType(
    {check.name: check.rule for check in _CLASSIFIER}
)
FEATURIZER_CHECKS: Mapping[str, str] = MappingProxyType(
    {check.name: check.rule for check in _FEATURIZER}
)


def check_classifier(
    classifier_class: type[Classifier],
    /,
    *,
    skip: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - an author's options
) -> None:
    """Check a classifier class, made with ``options``, against ``interfaces.Classifier``.

    ``skip`` names checks to leave out and says why. Raises ConformanceError, an AssertionError,
    that says of each check that failed what was done, what was due and what came; ValueError for
    a ``skip`` that names no check or gives no reason.
    """
    __tracebackhide__ = True
    subject = ClassifierSubject(classifier_class, options)
    name = getattr(classifier_class, "__qualname__", repr(classifier_class))
    run(_CLASSIFIER, subject, f"check_classifier({called(name, options)})", skip or {})


def check_featurizer(
    featurizer: FeaturizerProvider | Featurizer,
    /,
    *,
    context: Context | None = None,
    skip: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401 - an author's options
) -> None:
    """Check a featurizer's provider, or a featurizer, against ``interfaces``.

    A provider makes the featurizer with ``context`` and ``options``, and restores it. Without a
    context it gets one that permits no download and has made-up training images. For a featurizer
    that is made already, whatever the registry has by its ``restored_by``, or else by its name,
    restores it.

    Raises as :func:`check_classifier` does. What ``create`` raises of batchcls's own errors
    (NetworkError for a network that is not at hand, UsageError for wrong options) passes as it is:
    then nothing was checked.
    """
    __tracebackhide__ = True
    name = type(featurizer).__qualname__
    subject = FeaturizerSubject.of(featurizer, context, options)
    run(_FEATURIZER, subject, f"check_featurizer({called(name, options)})", skip or {})
