"""Pillow, one photograph after another, and a TensorFlow graph, one batch after another."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.pipelines.common import arguments, batches, paths_in, timed, write_report
from benchmarks.pipelines.pillow_input import pixels_of


def main() -> None:
    """Classify a folder."""
    options = arguments(__doc__)
    network = tf.saved_model.load(options.network)
    with timed():
        paths = paths_in(options.folder)
        found = [network.classify(pixels_of(batch)).numpy() for batch in batches(paths)]
        write_report(options.out, paths, found)


if __name__ == "__main__":
    main()
