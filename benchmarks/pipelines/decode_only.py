"""One half of this project, at its best: read, decode, frame, on every core.

    python -m benchmarks.pipelines.decode_only FOLDER --threads 2

It does nothing else, and keeps nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from batchcls.decode import Decoder
from batchcls.pipeline import CHUNK
from benchmarks.framed import framed
from benchmarks.pipelines.common import batches, paths_in, timed


def main() -> None:
    """Decode a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    decoder = Decoder()

    def work(chunk: Sequence[str]) -> None:
        for path in chunk:
            framed(decoder, path)

    with ThreadPoolExecutor(options.threads) as pool, timed():
        list(pool.map(work, batches(paths_in(options.folder), CHUNK)))


if __name__ == "__main__":
    main()
