"""Which model a command uses when it is not told, and why."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.errors import ConfigError
from batchcls.locations import is_url
from batchcls.outline import Outline, outline_of
from batchcls.plugins import registry
from batchcls.text import shown

if TYPE_CHECKING:
    from batchcls.model import Model
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

READY_MODEL = "imagenet"


def model_name(settings: Settings, option: str | None) -> str:
    """Give the file or the ready model that is chosen, by name."""
    return option or settings.run.model or READY_MODEL


def chosen_model(settings: Settings, option: str | None, terminal: Terminal) -> Model:
    """Load the model that is chosen as in :func:`chosen_outline`."""
    return chosen_outline(settings, option, terminal).model


def chosen_outline(settings: Settings, option: str | None, terminal: Terminal) -> Outline:
    """Look up the model that ``option`` names, or the configured one, or the ready one.

    A configured model file that is not there yet is trained first, where tags are configured.
    """
    context = assembly.context(settings, terminal)
    if option is not None:
        return outline_of(option, context)
    configured, tags = settings.run.model, settings.train.sources
    if configured is None:
        if tags:
            raise ConfigError(
                "run -> model: not set, although train -> tags is",
                hint="Set it to the file that the trained model is to be kept in.",
            )
        terminal.say(f"No model is named, so the ready model {READY_MODEL} is used.")
        return outline_of(READY_MODEL, context)
    if configured in registry().ready_models:
        return outline_of(configured, context)
    if "." not in configured and "/" not in configured and os.sep not in configured:
        raise ConfigError(
            f"run -> model: there is no ready model {configured!r}",
            hint=f"There is: {', '.join(registry().ready_models)}. "
            "The name of a model file ends in .batchcls, or begins with ./",
        )
    if tags and not _is_there(configured):
        from batchcls.commands.train import train_command

        named = ", ".join(shown(source) for source in tags)
        terminal.say(f"There is no {shown(configured)} yet: training it from {named}.")
        train_command(settings, configured, terminal)
        terminal.result("")
    return outline_of(configured, context)


def _is_there(model: str) -> bool:
    if not is_url(model):
        return os.path.exists(model)
    from batchcls.remote.fetching import exists

    return exists(model)
