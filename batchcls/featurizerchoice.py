"""Which featurizer a model is trained with, and made with which options.

``auto`` is settled here, once: a trained model never changes its featurizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchcls.errors import BatchclsError, UsageError
from batchcls.options import checked_options, made
from batchcls.plugins import registry
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.interfaces import Featurizer, FeaturizerProvider
    from batchcls.records import NetworkInfo

AUTO = "auto"
PREFERRED = "inception"
EMBEDDED = "efficientnet-lite0"


@dataclass(frozen=True)
class ChosenFeaturizer:
    """A featurizer, the name and the options it was asked for by, and the plugin it is from."""

    featurizer: Featurizer
    name: str
    options: Mapping[str, Any]
    plugin: str


def choose_featurizer(context: Context) -> ChosenFeaturizer:
    """Make the featurizer that the settings name.

    For ``auto``: Inception, where it is at hand or quickly downloaded, or else the embedded one;
    ``context.say`` tells which and why.
    """
    name = context.settings.train.featurizer
    if name != AUTO:
        return _made(name, context)
    if AUTO in context.settings.featurizer:
        raise UsageError(
            "options of a featurizer, but none is named",
            hint="Name it: --featurizer inception, or in config.toml [featurizer.inception]",
        )
    try:
        chosen = _preferred(context)
    except UsageError:
        raise  # the configuration is wrong: another network would hide it
    except BatchclsError as error:
        reason = shown(" ".join(error.message.split()))
        context.say(f"Featurizer: {EMBEDDED}, which is in the package. Inception: {reason}")
        return _made(EMBEDDED, context)
    return chosen


def _preferred(context: Context) -> ChosenFeaturizer:
    provider = registry().featurizer(PREFERRED)
    about = network_info(provider, context)
    if about is None or not about.at_hand:
        fetch: Any = getattr(provider, "fetch", None)
        if fetch is not None:
            fetch(context, hurry=True)
        about = network_info(provider, context)
    place = f" ({shown(about.place)})" if about is not None and about.place else ""
    context.say(f"Featurizer: {PREFERRED}, as it is at hand{place}.")
    return _made(PREFERRED, context)


def _made(name: str, context: Context) -> ChosenFeaturizer:
    provider = registry().featurizer(name)
    owner = f"the featurizer {shown(name)}"
    given = context.settings.featurizer.get(name, {})
    options = checked_options(owner, provider.create, given)
    featurizer: Featurizer = made(owner, provider.create, context, options=options)
    return ChosenFeaturizer(featurizer, name, options, registry().owner("featurizer", name))


def network_info(provider: FeaturizerProvider | Any, context: Context) -> NetworkInfo | None:  # noqa: ANN401
    """Ask a provider what is at hand; None if it does not say."""
    about: Any = getattr(provider, "about", None)
    if about is None:
        return None
    info: NetworkInfo = about(context)
    return info
