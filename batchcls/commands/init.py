"""``batchcls init``: writes a ``config.toml``."""

from __future__ import annotations

import os

from batchcls.atomic import write_atomically
from batchcls.configfile import Value, rendered
from batchcls.errors import UsageError
from batchcls.locations import is_url
from batchcls.plugins import registry
from batchcls.settings import CONFIG_FILE
from batchcls.text import shown


def init_command(
    folder: str,
    images: list[str],
    tags: str | None,
    model: str | None,
    *,
    force: bool,
) -> str:
    """Write the configuration into ``folder``, and give its path.

    Paths are as seen from the current folder, and written as seen from the configuration.
    """
    path = os.path.join(folder, CONFIG_FILE)
    if os.path.exists(path) and not force:
        raise UsageError(f"{shown(path)}: is there already", hint="--force replaces it.")
    values: dict[tuple[str, str], Value] = {}
    if images:
        values["run", "images"] = [_relative(image, folder) for image in images]
    if tags is not None:
        values["train", "tags"] = _relative(tags, folder)
        model = model or os.path.join(folder, "model.batchcls")
    if model is not None:
        name = _relative(model, folder)
        ready = name in registry().ready_models
        values["run", "model"] = name if ready or "." in name or "/" in name else f"./{name}"
    write_atomically(path, rendered(values).encode("utf-8"))
    return path


def _relative(path: str, folder: str) -> str:
    if not path:
        raise UsageError("an empty path", hint="Name a folder or a file.")
    if os.path.isabs(path) or is_url(path):
        return path
    return os.path.relpath(path, folder).replace(os.sep, "/")
