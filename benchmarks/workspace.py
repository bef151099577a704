"""What the benchmark needs, made on the first run and kept: photographs and networks.

Whatever imports much is done by programs of their own, see ``measuring.py``.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import photographs
from benchmarks.measuring import CommandError, environment

ROOT = Path(__file__).resolve().parents[1]
# To be raised when other networks are made of the same weights.
NETWORKS = "networks-1"
# What each is kept as.
NETWORK_FILES = {
    "tensorflow": "efficientnet-lite0",
    "keras": "efficientnet-lite0.keras",
    "onnx": "efficientnet-lite0.onnx",
}
# Enough framed photographs that the network does not see the same ones all the time.
FRAMED = 64


def python(module: str, *arguments: str | Path) -> list[str]:
    """Give the command that runs a module."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def module_environment() -> dict[str, str]:
    """Give what a module of this package needs to be found; and TensorFlow is told to be quiet."""
    return {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def run_module(module: str, *arguments: str | Path) -> str:
    """Run a module and give what it prints. CommandError if it fails."""
    done = subprocess.run(
        python(module, *arguments),
        env=environment(module_environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise CommandError(f"{module}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True)
class Workspace:
    """A folder that is kept, and one for what is not: ``scratch``, on the same disk."""

    folder: Path
    photos: Path
    scratch: Path
    say: Callable[[str], None]

    def photographs(self, kind: str, count: int | None = None) -> Path:
        """Give the folder of so many photographs of a kind; by default, one of each source."""
        sources = photographs.sources_in(self.photos)
        count = len(sources) if count is None else count
        folder = self.folder / photographs.folder_name(kind, count, sources)
        if not photographs.is_complete(folder):
            self.say(f"making {count:,} photographs: {folder}")
            run_module("benchmarks.photographs", self.photos, folder, kind, str(count))
        return folder

    def pixels(self, images: Path) -> Path:
        """Give the file of a few framed photographs, made anew by the code as it is now."""
        target = self.scratch / f"{images.name}.npy"
        run_module("benchmarks.framed", images, target, str(FRAMED))
        return target

    def network(self, name: str, pixels: Path) -> Path:
        """Give a network: a key of NETWORK_FILES. CommandError if it can't be made, or is wrong."""
        folder = self.folder / NETWORKS
        target = folder / NETWORK_FILES[name]
        if not target.exists():
            self.say(f"building the network: {target}")
            run_module("benchmarks.networks.building", folder, pixels, name)
        return target
