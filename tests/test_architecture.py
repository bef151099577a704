"""What keeps the code easy to find one's way in, checked by reading it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import batchcls

from .conftest import picture

PACKAGE = Path(batchcls.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
STAGES = {
    "batchcls.scan",
    "batchcls.decode",
    "batchcls.featurize",
    "batchcls.classify",
    *(f"batchcls.reports.{path.stem}" for path in PACKAGE.glob("reports/*.py")),
} - {"batchcls.reports.__init__"}
HEAVY = {
    "tensorflow",
    "sklearn",
    "PIL",
    "ai_edge_litert",
    "joblib",
    "numpy",
    "scipy",
    "threadpoolctl",
    "requests",
    "urllib3",
    "skops",
    "jinja2",
    "matplotlib",
    "pyarrow",
    "fsspec",
    "s3fs",
    "aiohttp",
    "botocore",
    "dask",
    "distributed",
}
MOST_LINES = 300


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def imports_of(path: Path) -> set[str]:
    """Every module that is imported anywhere in a file, for types alone or inside a function."""
    found: set[str] = set()
    package = name_of(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def test_all_stages_are_there():
    assert {name_of(path) for path in MODULES} >= STAGES
    assert len(STAGES) >= 5


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_no_stage_imports_another(stage):
    path = PACKAGE.parent / Path(*stage.split(".")).with_suffix(".py")
    assert imports_of(path) & (STAGES - {stage}) == set()


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_no_stage_knows_who_joins_them(stage):
    path = PACKAGE.parent / Path(*stage.split(".")).with_suffix(".py")
    joiners = {"batchcls.pipeline", "batchcls.assembly", "batchcls.cli", "batchcls.plugins"}
    assert imports_of(path) & joiners == set()


def test_no_module_is_too_long_to_read():
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def loaded_by(code: str) -> set[str]:
    """Give the top-level modules that a process has loaded at its end."""
    return {name.partition(".")[0] for name in modules_loaded_by(code)}


def modules_loaded_by(code: str) -> set[str]:
    code = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys
sys.argv = ["batchcls", *{arguments!r}]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
"""
    loaded = loaded_by(code)
    assert {"batchcls", "typer"} <= loaded
    assert loaded & (HEAVY | {"pydantic"}) == set()


def test_importing_batchcls_loads_nothing_heavy():
    assert loaded_by("import batchcls") & (HEAVY | {"typer", "pluggy", "rich"}) == set()


RUN = """
import sys
sys.argv = ["batchcls", "run", "images", *{options!r}]
from batchcls.__main__ import main
try:
    main()
except SystemExit as error:
    assert not error.code
"""


def loaded_by_run(*options: str) -> set[str]:
    """Give what a run loads, all in one process."""
    return loaded_by(RUN.format(options=options))


def make_images(folder: Path, count: int) -> Path:
    """Make some, which are old enough to be known the next time."""
    (folder / "images").mkdir()
    for number in range(count):
        picture(number).save(folder / "images" / f"{number}.jpg")
        os.utime(folder / "images" / f"{number}.jpg", (10**9, 10**9))
    return folder / "images"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHCLS_DECODE_GUARD", "false")
    return make_images(tmp_path, 24)


@pytest.fixture
def one_image(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHCLS_DECODE_GUARD", "false")
    return make_images(tmp_path, 1)


# What a run over one photograph has no need of, where nobody looks on.
SPARED = {
    *("joblib", "threadpoolctl", "multiprocessing", "pydantic", "rich", "pathspec", "_strptime"),
    *("http.client", "ssl", "requests", "PIL.PalmImagePlugin", "PIL.WebPImagePlugin"),
    *("pillow_heif", "scipy", "sklearn"),
}


@pytest.mark.parametrize("options", [(), ("-o", "{date}.csv"), ("--no-store",)])
def test_a_run_over_one_photograph_loads_only_what_that_needs(one_image, options):
    (one_image / "folder").mkdir()
    (one_image / "no extension").touch()
    loaded = modules_loaded_by(RUN.format(options=("-q", *options)))
    assert {"ai_edge_litert.interpreter", "numpy", "PIL.Image"} <= loaded
    assert loaded & SPARED == set()


def test_predicting_one_photograph_loads_only_what_that_needs(one_image):
    run = RUN.replace('"run", "images",', '"predict", "images/0.jpg",')
    loaded = modules_loaded_by(run.format(options=()))
    assert {"ai_edge_litert.interpreter", "numpy", "PIL.Image"} <= loaded
    assert loaded & SPARED == set()


def test_numpy_starts_no_threads_in_the_command():
    code = """
import os, sys
sys.argv = ["batchcls", "--version"]
from batchcls.__main__ import main
try:
    main()
except SystemExit:
    pass
import threadpoolctl, numpy
found = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
print(set(found) <= {1})
"""
    environment = {key: value for key, value in os.environ.items() if "_NUM_THREADS" not in key}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "True"


def test_the_garbage_collector_works_while_a_command_does(images):
    code = """
import batchcls.pipeline, gc
before = batchcls.pipeline.outcomes
def outcomes(*arguments):
    for chunk in before(*arguments):
        assert gc.isenabled()
        yield chunk
batchcls.pipeline.outcomes = outcomes
"""
    assert "joblib" in loaded_by(code + RUN.format(options=("--no-store",)))


def test_classifying_loads_neither_tensorflow_nor_scikit_learn(images):
    loaded = loaded_by_run("--no-store")
    assert {"PIL", "ai_edge_litert", "joblib"} <= loaded
    assert loaded & {"tensorflow", "sklearn", "scipy", "keras"} == set()


@pytest.mark.parametrize(
    "options",
    [
        *((), ("--top", "3"), ("-o", "{date}.csv", "--new-only"), ("--summary", "s.json")),
        ("--html", "page.html"),
    ],
)
def test_where_nothing_is_new_no_network_and_no_decoder_is_loaded(batchcls, images, options):
    assert "24 images" in batchcls("run", "images", *options).out
    page = {"jinja2"} if "--html" in options else set()
    assert loaded_by_run(*options) & (HEAVY - {"numpy"}) == page


def test_a_model_file_is_not_loaded_either_where_nothing_is_new(batchcls, images, model):
    assert batchcls("run", "images", "-m", model).status == 0
    assert loaded_by_run("-m", str(model)) & (HEAVY - {"numpy"}) == set()
