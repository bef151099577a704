"""The machine and the versions that figures are of, as JSON.

    python -m benchmarks.machine

A process of its own, since counting the cores to use (an affinity, a container's quota) takes
joblib, which this project counts them by.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from importlib import metadata
from typing import Any

# TensorFlow has two names; the one that is there counts.
PACKAGES = {
    "batchcls": ["batchcls"],
    "Pillow": ["pillow"],
    "cykooz-resizer": ["cykooz-resizer"],
    "NumPy": ["numpy"],
    "LiteRT": ["ai-edge-litert"],
    "TensorFlow": ["tensorflow-cpu", "tensorflow"],
    "Keras": ["keras"],
    "ONNX Runtime": ["onnxruntime"],
}
# Instructions that decide how quick int8 is, the best first.
INT8 = {"avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "avx2": "AVX2"}


def describe() -> dict[str, Any]:
    """Tell processor, cores, memory and versions."""
    from joblib import cpu_count

    return {
        "processor": _processor(),
        "cores": cpu_count(),
        "memory": _memory(),
        "system": platform.system(),
        "versions": {"Python": platform.python_version(), **_versions()},
    }


def _processor() -> str:
    told: dict[str, str] = {}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    model = told.get("model name") or platform.processor() or platform.machine()
    flags = told.get("flags", "").split()
    best = next((f" with {name}" for flag, name in INT8.items() if flag in flags), "")
    return model + best


def _memory() -> int | None:
    """Give the bytes of memory."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _versions() -> dict[str, str]:
    found = {}
    for name, distributions in PACKAGES.items():
        for distribution in distributions:
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(distribution)
                break
    return found


if __name__ == "__main__":
    print(json.dumps(describe()))
