"""tf.data, as parallel as it likes, and a TensorFlow graph."""

from __future__ import annotations

import tensorflow as tf

from benchmarks.pipelines.common import arguments, paths_in, timed, write_report
from benchmarks.pipelines.tfdata_input import dataset


def main() -> None:
    """Classify a folder."""
    options = arguments(__doc__)
    network = tf.saved_model.load(options.network)
    with timed():
        paths = paths_in(options.folder)
        found = [network.classify(batch).numpy() for batch in dataset(paths)]
        write_report(options.out, paths, found)


if __name__ == "__main__":
    main()
