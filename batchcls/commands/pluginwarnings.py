"""What a command tells of plugins that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls.plugins import registry

if TYPE_CHECKING:
    from batchcls.terminal import Terminal


def warn_of_plugins(terminal: Terminal) -> None:
    """Tell of plugins that failed, as far as that is known by now; this work did without them."""
    for problem in registry().failed:
        terminal.warn(f"a plugin failed: {problem}")
