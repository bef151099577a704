"""What the tests share: the real command, real image files, and the reference material."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from .warm import USUAL, Warm

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
# Photographs that are not part of the project; tests that need them are skipped without them.
SHARED = Path(os.environ.get("BATCHCLS_SHARED", ROOT.parent / "shared"))

# A plugin that holds a run, after its first images, for as long as there is a file `hold`.
HOLD = """
import os, time
from batchcls import hookimpl

@hookimpl
def batchcls_run_batch():
    open("held", "w").close()
    while os.path.exists("hold"):
        time.sleep(0.01)
"""

# How many times the usual number of random examples to try: `make soak`, or 1.
SOAK = int(os.environ.get("BATCHCLS_SOAK", "1"))


def fuzzed(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test with random input, which is the same each time, but for a soak."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        chosen = settings(
            max_examples=examples * SOAK,
            derandomize=SOAK == 1,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.fuzz(chosen(test))

    return decorate


@dataclass
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


# A process that was started in the background, or by nohup, ignores these, as would all it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), signal.SIG_DFL)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by number, not by content: a profile, say, has the time in it."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no configuration of this machine reach a test, nor a test leave files behind.

    Nothing is downloaded, but by tests that start a server of their own; no plugin is found, but
    in tests that install it. Each test has a store of its own. Output is as on a terminal.
    """
    for name in list(os.environ):
        if name.startswith("BATCHCLS_") and name != "BATCHCLS_SOAK":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BATCHCLS_INSTALLED_PLUGINS", "")
    monkeypatch.setenv("BATCHCLS_MODELS_DOWNLOAD", "false")
    monkeypatch.setenv("BATCHCLS_MODELS_FOLDER", str(tmp_path / "models"))
    monkeypatch.setenv("BATCHCLS_STORE_FOLDER", f"{tmp_path}-store")
    monkeypatch.setenv("BATCHCLS_LOG_LEVEL", "normal")
    monkeypatch.chdir(tmp_path)


def command(warm: Warm, folder: Path) -> Callable[..., Result]:
    """Give what calls the command in ``folder``."""

    def call(*arguments: str | bytes | Path, cwd: Path | None = None, **env: str) -> Result:
        done = warm.run(
            ["-m", "batchcls", *arguments],
            cwd=cwd or folder,
            env={**os.environ, **env},
            timeout=120,
        )
        return Result(
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )

    return call


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """What starts processes that need not import NumPy and the like first."""
    server = Warm()
    yield server
    server.close()


@pytest.fixture(scope="session")
def warm_tensorflow() -> Iterator[Warm]:
    """The same for those that convert a network."""
    server = Warm((*USUAL, "tensorflow"))
    yield server
    server.close()


@pytest.fixture
def batchcls(tmp_path: Path, warm: Warm) -> Callable[..., Result]:
    """The command, as a process of its own, in ``tmp_path``."""
    return command(warm, tmp_path)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A model that tells dark from light."""
    folder = make_classes(tmp_path_factory.mktemp("model"))
    target = folder / "model.batchcls"
    env = {**os.environ, "BATCHCLS_INSTALLED_PLUGINS": "", "BATCHCLS_STORE_ENABLED": "false"}
    train = ["-m", "batchcls", "train", folder / "tags.tsv", "-o", target, "-q"]
    train += ["-f", "efficientnet-lite0"]
    warm.run(train, cwd=folder, env=env, timeout=120).check_returncode()
    return target


@pytest.fixture(scope="session")
def tutorial() -> Path:
    """The tutorial's photographs and tags."""
    return _reference("tutorial")


@pytest.fixture(scope="session")
def photos() -> Path:
    """59 photographs of ImageNet classes; each name begins with the synset."""
    return _reference("photos")


def _reference(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs the reference folder {name!r}, which is not here")
    return folder


def picture(seed: int = 0, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth RGB picture, different for each seed."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def make_classes(folder: Path, count: int = 4, size: tuple[int, int] = (96, 80)) -> Path:
    """Make the folders ``dark`` and ``light`` with ``count`` JPEGs in each, and ``tags.tsv``."""
    lines = []
    for label, base in (("dark", 40), ("light", 210)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            random = np.random.default_rng(base * 100 + number)
            pixels = np.clip(random.normal(base, 18, (size[1], size[0], 3)), 0, 255)
            name = f"{label}/{number}.jpg"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=90)
            lines.append(f"{name}\t{label}\n")
    (folder / "tags.tsv").write_text("".join(lines), encoding="utf-8")
    return folder
