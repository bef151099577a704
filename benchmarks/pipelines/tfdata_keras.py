"""tf.data, as parallel as it likes, and ``predict`` of a Keras model: the way of the tutorials."""

from __future__ import annotations

import keras

from benchmarks.pipelines.common import arguments, paths_in, timed, write_report
from benchmarks.pipelines.tfdata_input import dataset


def main() -> None:
    """Classify a folder."""
    options = arguments(__doc__)
    model = keras.saving.load_model(options.network, compile=False)
    with timed():
        paths = paths_in(options.folder)
        write_report(options.out, paths, [model.predict(dataset(paths), verbose=0)])


if __name__ == "__main__":
    main()
