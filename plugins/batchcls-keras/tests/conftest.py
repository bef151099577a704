"""What the tests share: the real command, images to learn from, and a home for Keras."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from batchcls.context import Context
from batchcls.settings import ModelsSettings, Settings
from batchcls.testing.data import pictures

# Keras reads this when it is imported, so it is set before any test: nothing of this machine's
# cache is used, and nothing put there.
HOME = tempfile.TemporaryDirectory(prefix="batchcls-keras-")
os.environ["KERAS_HOME"] = HOME.name


@dataclass
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def models() -> Iterator[Path]:
    """Keras's folder of weights, empty before and after."""
    folder = Path(HOME.name) / "models"
    folder.mkdir(exist_ok=True)
    yield folder
    for one in folder.iterdir():
        one.unlink()


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """What a provider is told, with settings of ``[featurizer.keras]``; nothing is downloaded."""

    def make(download: bool = False, **options: object) -> Context:
        settings = Settings(
            models=ModelsSettings(folder=str(tmp_path / "models"), download=download),
            featurizer={"keras": options} if options else {},
        )
        return Context(settings, sample=lambda size: pictures(size, 16, seed=1))

    return make


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as it was converted, by its name in a folder of models: for all tests."""
    from batchcls_keras.provider import KerasApplications

    folder = tmp_path_factory.mktemp("converted")
    settings = Settings(models=ModelsSettings(folder=str(folder), download=False))
    KerasApplications().create(Context(settings), network="mobilenet", weights="none", size=32)
    [kept] = folder.iterdir()
    return kept


@pytest.fixture
def converted(small: Path, tmp_path: Path) -> Path:
    """The same in the folder of models of this test, where it needs not be converted again."""
    (tmp_path / "models").mkdir()
    return Path(shutil.copy(small, tmp_path / "models"))


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every download fail at once: the way out leads to a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("urllib.request._opener", None)  # one made earlier knows no proxy


@pytest.fixture
def batchcls(tmp_path: Path) -> Callable[..., Result]:
    """The command, as a process of its own, in ``tmp_path``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHCLS_")}
    environment["BATCHCLS_MODELS_FOLDER"] = str(tmp_path / "models")
    environment["BATCHCLS_TRAIN_FRAMING"] = "pad"  # trying which fits best takes seconds

    def call(*arguments: str, **env: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "batchcls", *arguments],
            cwd=tmp_path,
            env={**environment, **env},
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
