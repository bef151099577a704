"""The guide for plugin authors, followed to the letter in a fresh virtual environment.

What stands in a block of the guide is written to the file named in front of it, or run. Only where
packages come from is arranged here: those of this environment are seen in the new one, so that
nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .conftest import ROOT, make_classes, picture

GUIDE = ROOT / "docs" / "plugins.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
NAMED = re.compile(r"`(batchcls-mine/[\w.]+)`")


def steps() -> list[tuple[str, str, str]]:
    """Give the guide's blocks in order: language, the file that was last named, content."""
    text = GUIDE.read_text(encoding="utf-8")
    return [
        (match[1], (NAMED.findall(text[: match.start()]) or [""])[-1], match[2])
        for match in BLOCK.finditer(text)
    ]


def test_the_guide_says_what_to_do_with_each_block():
    found = [(language, name) for language, name, _ in steps()]
    assert found[0] == ("sh", "")
    assert sum(language == "sh" for language, _ in found) >= 6
    assert {name for language, name in found if language == "python"} == {
        *("batchcls-mine/batchcls_mine.py", "batchcls-mine/batchcls_nearest.py"),
        *("batchcls-mine/test_mine.py", "batchcls-mine/test_grid.py"),
        *("batchcls-mine/batchcls_grid.py", "batchcls-mine/batchcls_watch.py"),
        "batchcls-mine/batchcls_engine.py",
    }
    assert {language for language, _ in found} == {"sh", "python", "toml"}


@pytest.mark.timeout(600)
def test_the_guide_works_to_the_letter(tmp_path):
    pytest.importorskip("hatchling")
    folder = make_classes(tmp_path / "work", count=4)
    for number in range(2):
        picture(number).save(folder / f"{number}.jpg")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BATCHCLS": str(ROOT),
        "BATCHCLS_INSTALLED_PLUGINS": "batchcls-mine",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip takes the word of this variable the other way round
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "BATCHCLS_TRAIN_FRAMING": "pad",  # which of them fits best is not what is shown
    }
    said: list[str] = []
    tried: list[str] = []
    for language, name, content in steps():
        path = folder / name
        if language == "python" or (language == "toml" and "[build-system]" in content):
            path.write_text(content, encoding="utf-8")
        elif language == "toml":
            before, table, after = path.read_text(encoding="utf-8").partition(
                "[project.entry-points.batchcls]\n"
            )
            assert table
            path.write_text(before + table + content + after, encoding="utf-8")
        else:
            active = "" if content.startswith("python -m venv") else ". .venv/bin/activate\n"
            install = 'pip install "$BATCHCLS"\n'
            script = content.replace(install, see_packages() + install)
            done = subprocess.run(
                ["bash", "-euc", active + script],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{content}\n{done.stdout}\n{done.stderr}"
            said.append(done.stdout + done.stderr)
            if "pip install ./batchcls-mine" in content:  # what it requires stays what it was
                environment["PIP_NO_DEPS"] = "1"
            if "\npytest " in content:  # what has passed is not tried again beside what is new
                for passed in (folder / "batchcls-mine").glob("test_*.py"):
                    environment["PYTEST_ADDOPTS"] += f" --ignore={passed}"
                    tried.append(passed.name)
    listed = next(text for text in said if "options of the classifier mine" in text)
    assert re.search(r"batchcls-mine +1\.0 +classifier +mine ", listed)
    everything = "\n".join(said)
    assert re.search(r"classifier  mine .*max_depth=8", everything)
    assert "classifier  nearest-mean" in everything
    assert "featurizer  grid cells=8, 192 features" in everything
    assert "Hello ANN" in everything
    assert {"test_mine.py", "test_grid.py"} == set(tried)
    assert re.search(r"\d+ images from \.: all well", everything)
    for model in ("mine", "nearest", "grid"):
        assert (folder / f"{model}.batchcls").exists()


def see_packages() -> str:
    """Let the new environment see the packages of this one, and have a pytest of its own."""
    here = sysconfig.get_paths()
    code = f"import site; site.addsitedir({here['purelib']!r})"
    pytest_script = "import sys, pytest; sys.exit(pytest.main())"
    return f"""
        echo {shlex.quote(code)} > \\
            "$(python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/here.pth"
        printf '#!%s\\n%s\\n' "$PWD/.venv/bin/python" {shlex.quote(pytest_script)} \\
            > .venv/bin/pytest
        chmod +x .venv/bin/pytest
    """
