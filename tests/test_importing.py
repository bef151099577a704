"""The collector rests while the command imports, in a process of its own and nowhere else."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from batchcls.importing import importing


def test_a_program_that_calls_the_command_keeps_its_collector():
    before = gc.get_freeze_count()
    with importing():
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_in_a_process_of_its_own_it_rests_and_goes_on():
    code = """
import gc
from batchcls.importing import importing, process_is_own
process_is_own()
with importing():
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 0
gc.disable()
with importing():
    pass
assert not gc.isenabled()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("cause", [KeyboardInterrupt(), SystemExit(3)])
def test_a_signal_in_the_midst_of_an_import_is_one(cause):
    with pytest.raises(type(cause)), importing():
        raise ImportError("initialization failed") from cause


def test_an_import_that_fails_fails():
    with pytest.raises(ImportError, match="nothing"), importing():
        raise ImportError("nothing") from ValueError()
