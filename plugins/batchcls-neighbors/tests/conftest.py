"""What the tests share: the real command, and images to learn from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def batchcls(tmp_path: Path) -> Callable[..., Result]:
    """The command, as a process of its own, in ``tmp_path``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHCLS_")}
    environment["BATCHCLS_TRAIN_FRAMING"] = "pad"  # trying which fits best takes seconds

    def call(*arguments: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "batchcls", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Three noisy images of each of two greys, and ``tags.tsv``, in ``tmp_path/tagged``."""
    folder = tmp_path / "tagged"
    folder.mkdir()
    lines = []
    for label, grey in (("dark", 40), ("light", 210)):
        for number in range(3):
            random = np.random.default_rng(grey + number)
            pixels = random.normal(grey, 18, (80, 96, 3)).clip(0, 255).astype(np.uint8)
            name = f"{label}{number}.png"
            Image.fromarray(pixels).save(folder / name)
            lines.append(f"{name}\t{label}\n")
    (folder / "tags.tsv").write_text("".join(lines), encoding="utf-8")
    return folder
