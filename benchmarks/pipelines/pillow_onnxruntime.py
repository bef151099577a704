"""Pillow, one photograph after another, and ONNX Runtime, one batch after another."""

from __future__ import annotations

import onnxruntime

from benchmarks.pipelines.common import arguments, batches, paths_in, timed, write_report
from benchmarks.pipelines.pillow_input import pixels_of


def main() -> None:
    """Classify a folder."""
    options = arguments(__doc__)
    session = onnxruntime.InferenceSession(options.network, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    with timed():
        paths = paths_in(options.folder)
        found = [session.run(None, {name: pixels_of(batch)})[0] for batch in batches(paths)]
        write_report(options.out, paths, found)


if __name__ == "__main__":
    main()
