"""Listing names, and reading objects, with nothing done to them.

    python -m benchmarks.scale.listing bucket 10000000
    python -m benchmarks.scale.listing bucket 1000000 --shard 3/16
    python -m benchmarks.scale.listing pages 10000000
    python -m benchmarks.scale.listing folders 100000
    python -m benchmarks.scale.listing objects 5000

Each prints its figures as JSON. The bucket and the folders are made up, and gone afterwards.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from batchcls import assembly
from batchcls.pipeline import chunked
from batchcls.reading import Identity
from batchcls.records import ImageFile, RunSummary
from batchcls.remote.reading import RemoteFiles
from batchcls.remote.s3 import KEYS, Page
from batchcls.scan import scan
from batchcls.settings import Settings
from batchcls.sharding import Share, parse_shard
from benchmarks.scale.bucket import FOLDER, NAME, bucket
from benchmarks.scale.probe import Work, cpu, tell

ROOT = f"s3://{NAME}/{FOLDER}"
IN_FOLDER = 1000


def settings_for(address: str) -> Settings:
    """Give settings for a server on loopback."""
    settings = Settings()
    settings.filesystem["s3"] = {"endpoint_url": address, "key": "scale", "secret": "scale"}
    return settings


def listed(names: int, shard: str) -> dict[str, float]:
    """List a bucket of so many names, and take those of a shard."""
    with bucket(names) as (address, server):
        settings = settings_for(address)
        with closing(RemoteFiles(settings)) as remote:
            before = cpu(server)
            work = Work(names)
            files = scan([ROOT], assembly.scan_rules(settings), remote=remote)
            return {**_taken(work, names, files, shard), "server_cpu": cpu(server) - before}


def pages(names: int) -> dict[str, float]:
    """List a bucket whose pages are made up on the spot: what is left without server and SDK."""
    identity = Identity(109_000, 1, 2, 3)

    async def page(prefix: str, token: str | None = None, keys: int = KEYS) -> Page:  # noqa: ARG001
        first = int(token or 0)
        last = min(first + keys, names)
        objects: list[tuple[str, Identity | None]] = [
            (f"{FOLDER}/{number:010}.jpg", identity) for number in range(first, last)
        ]
        return Page(objects, str(last) if last < names else None)

    settings = settings_for("http://127.0.0.1:9")
    with closing(RemoteFiles(settings)) as remote:
        storage: Any = remote._connections.place_of(ROOT).storage
        storage.page = page
        work = Work(names)
        return _taken(work, names, scan([ROOT], assembly.scan_rules(settings), remote=remote), "")


def folders(names: int, shard: str, within: str | None) -> dict[str, float]:
    """List folders of this machine, of IN_FOLDER empty files each."""
    with tempfile.TemporaryDirectory(prefix="folders-", dir=within) as place:
        for number in range(names):
            if number % IN_FOLDER == 0:
                folder = Path(place, f"{number // IN_FOLDER:08}")
                folder.mkdir()
            (folder / f"{number % IN_FOLDER:06}.jpg").touch()
        work = Work(names)
        return _taken(work, names, scan([place], assembly.scan_rules(Settings())), shard)


def _taken(work: Work, names: int, files: Iterable[ImageFile], shard: str) -> dict[str, float]:
    """Go through a listing. RuntimeError if it does not have all that is there."""

    def counted() -> Iterator[ImageFile]:
        for file in files:
            if file.problem is not None:
                raise RuntimeError(file.problem)
            work.did()
            yield file

    share = Share(parse_shard(shard) if shard else None, RunSummary())
    taken = sum(1 for _ in share.of(counted()))
    if work.done != names:
        raise RuntimeError(f"{work.done:,} names, where there are {names:,}")
    return {**work.figures(), "taken": taken}


def objects(count: int) -> dict[str, float]:
    """Read objects ahead, as a run does, and take their digests."""
    with bucket(count) as (address, server):
        settings = settings_for(address)
        with closing(RemoteFiles(settings)) as remote:
            files = list(scan([ROOT], assembly.scan_rules(settings), remote=remote))
            before, size = cpu(server), 0
            work = Work(count)
            for chunk in remote.through(chunked(files)):
                for file in chunk:
                    with remote.opened(file.path, settings.decode.max_bytes) as content:
                        size += content.file.seek(0, 2)
                work.did(len(chunk))
            return {**work.figures(), "server_cpu": cpu(server) - before, "bytes": size}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=["bucket", "pages", "folders", "objects"])
    parser.add_argument("count", type=int)
    parser.add_argument("--shard", default="")
    parser.add_argument("--folder", help="where folders are made")
    asked = parser.parse_args()
    if asked.what == "objects":
        tell(objects(asked.count))
    elif asked.what == "pages":
        tell(pages(asked.count))
    elif asked.what == "bucket":
        tell(listed(asked.count, asked.shard))
    else:
        tell(folders(asked.count, asked.shard, asked.folder))


if __name__ == "__main__":
    main()
