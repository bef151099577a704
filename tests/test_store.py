"""The store, as a user meets it: what is kept, what it saves, and that it changes no report."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchcls.store.rows import packed_features, sealed, unpacked_features, unsealed
from batchcls.store.schema import open_database

from .conftest import SOAK, Result, make_classes, picture

Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the store of the test is, once there is one."""
    return Path(f"{tmp_path}-store") / "store.sqlite"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten images and two files that can't be read, last modified a while ago."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10):
        picture(number).save(folder / f"{number:02}.png")
    (folder / "broken.png").write_bytes((folder / "00.png").read_bytes()[:100])
    (folder / "empty.jpg").touch()
    settle()
    return folder


def settle() -> None:
    """Let the clock that stamps files go on, so that what was written counts as at rest."""
    time.sleep(0.1)


@pytest.fixture
def run(batchcls: Run, images: Path, model: Path, tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Run over the images; gives the counts of the summary."""

    def running(*options: str | Path, output: str = "report.csv", **env: str) -> dict[str, int]:
        result = batchcls(
            *("run", "images", "-o", output, "--summary", "summary.json", "--no-unknown"),
            *(["-m", model] if "-m" not in options else []),
            *options,
            **env,
        )
        assert result.status == 3, result.err
        running.err = result.err  # type: ignore[attr-defined]
        counts: dict[str, int] = json.loads((tmp_path / "summary.json").read_text())["counts"]
        running.counts = counts  # type: ignore[attr-defined]
        return counts

    return running


def opened_files(tmp_path: Path, *arguments: str | Path) -> set[str]:
    """Run the command under strace; give the files in ``images`` that were opened."""
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-e", "trace=open,openat", "-o", trace),
            *(sys.executable, "-m", "batchcls", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace: {done.stderr}")
    lines = trace.read_text(errors="replace").splitlines()
    names = (line.split('"')[1] for line in lines if '"' in line)
    return {os.path.basename(name) for name in names if "images/" in name}


class TestNothingTwice:
    def test_the_second_run_knows_everything(self, run):
        first = run()
        assert (first["images"], first["recalled"], first["computed"]) == (12, 0, 12)
        second = run()
        assert (second["images"], second["recalled"], second["computed"]) == (12, 12, 0)
        assert (second["ok"], second["error"]) == (10, 2)

    @pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
    def test_an_unchanged_file_is_not_opened(self, images, model, tmp_path):
        everything = {path.name for path in images.iterdir()}
        arguments = ("run", "images", "-m", model)
        assert opened_files(tmp_path, *arguments) == everything
        assert opened_files(tmp_path, *arguments) == set()
        picture(99).save(images / "03.png")
        assert opened_files(tmp_path, *arguments) == {"03.png"}

    def test_what_was_moved_renamed_or_copied_is_not_computed_again(self, run, images):
        run()
        (images / "sub").mkdir()
        (images / "00.png").rename(images / "sub" / "moved.png")
        (images / "01.png").rename(images / "renamed.png")
        shutil.copy(images / "02.png", images / "copied.png")
        (images / "broken.png").rename(images / "still broken.png")
        counts = run()
        assert (counts["images"], counts["computed"]) == (13, 0)

    def test_what_was_edited_is_computed_again(self, run, images):
        run()
        before = (images / "05.png").stat()
        data = bytearray((images / "05.png").read_bytes())
        other = (images / "06.png").read_bytes()
        (images / "05.png").write_bytes(other)
        assert run()["computed"] == 0, "its content was known"
        picture(77).save(images / "05.png")
        assert run()["computed"] == 1
        # An edit that hides itself: the same size, and the old time of modification.
        data[-5] ^= 1  # the checksum of the last chunk, which no decoder minds
        (images / "05.png").write_bytes(data)
        os.utime(images / "05.png", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert run()["computed"] == 1

    def test_a_new_model_needs_no_image_again(self, run, images, batchcls, tmp_path, model):
        run()
        labels = (tmp_path / "report.csv").read_text()
        make_classes(tmp_path / "more", count=6)
        tags = (tmp_path / "more" / "tags.tsv").read_text().replace("dark\n", "gloomy\n")
        (tmp_path / "more" / "tags.tsv").write_text(tags)
        options = ("--framing", framing_of(model), "-o", "new.batchcls")
        result = batchcls("train", "more/tags.tsv", *options)
        assert result.status == 0, result.err
        counts = run("-m", "new.batchcls")
        assert (counts["images"], counts["computed"]) == (12, 0)
        assert (tmp_path / "report.csv").read_text() != labels

    def test_training_again_reads_no_image(self, tmp_path, batchcls):
        make_classes(tmp_path / "images")
        settle()
        arguments = ("train", "images/tags.tsv", "-f", "efficientnet-lite0", "--framing", "pad")
        assert batchcls(*arguments, "-o", "one.batchcls").status == 0
        opened = opened_files(tmp_path, *arguments, "-o", "two.batchcls")
        assert {name for name in opened if name.endswith(".jpg")} == set()
        one, two = (weights_of(tmp_path / f"{name}.batchcls") for name in ("one", "two"))
        assert one == two


def weights_of(model: Path) -> bytes:
    import zipfile

    with zipfile.ZipFile(model) as archive:
        return archive.read("classifier/weights.npy")


def framing_of(model: Path) -> str:
    import zipfile

    with zipfile.ZipFile(model) as archive:
        framing: str = json.loads(archive.read("manifest.json"))["featurizer"]["framing"]
    return framing


def peak_memory(tmp_path: Path, folder: str) -> int:
    """Run over a folder in which nothing is new; give the worker's most memory in KB."""
    code = (
        "import os, resource, sys; sys.argv = ['batchcls', 'run', sys.argv[1], '-m', 'imagenet']\n"
        "from batchcls.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    env = {**os.environ, "BATCHCLS_DECODE_GUARD": "false", "BATCHCLS_LOG_LEVEL": "quiet"}
    command = [sys.executable, "-c", code, folder]
    done = subprocess.run(command, capture_output=True, env=env, check=True)
    return int(done.stdout)


MANY = 10_000 if SOAK > 1 else 4_000


@pytest.mark.fuzz
def test_memory_does_not_grow_with_the_folder(tmp_path, batchcls):
    """More files than fit into any buffer, all of them links to a few."""
    for name, count in (("few", 100), ("many", MANY)):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(20):
            picture(number).save(folder / f"{number:06}.png")
        for number in range(20, count):
            os.link(folder / f"{number % 20:06}.png", folder / f"{number:06}.png")
        time.sleep(0.1)
        assert batchcls("run", name, "-m", "imagenet").status == 0
    growth = peak_memory(tmp_path, "many") - peak_memory(tmp_path, "few")
    assert growth < MANY * 0.5  # KB: the names of one folder are sorted


class TestTheReportIsTheSame:
    @pytest.mark.parametrize(
        "options",
        [
            (),
            ("--top", "2", "--scores", "--review-below", "0.99"),
            ("-m", "imagenet", "--top", "3"),
            ("-m", "imagenet", "--top", "12", "--jobs", "1"),
            ("-m", "imagenet", "--scores"),
        ],
        ids=" ".join,
    )
    def test_with_without_and_with_half_a_store(self, run, images, tmp_path, options):
        def report(name: str, *more: str) -> bytes:
            run(*options, *more, output=f"{name}.csv")
            return (tmp_path / f"{name}.csv").read_bytes()

        without = report("without", "--no-store")
        half = [images / f"{number:02}.png" for number in range(0, 10, 2)]
        aside = tmp_path / "aside"
        aside.mkdir()
        for image in half:
            image.rename(aside / image.name)
        run(*options)
        for image in half:
            (aside / image.name).rename(image)
        assert report("half") == without
        half_known = run.counts["recalled"]
        assert report("all") == without
        assert half_known == 7
        assert run.counts["recalled"] == 12

    def test_a_store_filled_for_another_report_changes_nothing(self, run, tmp_path):
        run("-m", "imagenet")
        run("-m", "imagenet", "--scores", output="scores.csv")
        scores = (tmp_path / "scores.csv").read_bytes()
        run("-m", "imagenet", "--scores", "--no-store", output="scores.csv")
        assert (tmp_path / "scores.csv").read_bytes() == scores

    def test_a_module_that_learns_a_format(self, run, images, tmp_path):
        module = tmp_path / "formats.py"
        code = "from PIL import Image\nImage.register_extension('PNG', '.{suffix}')\n"
        env = {
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "BATCHCLS_DECODE_PILLOW_PLUGINS": "formats",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        picture(300).save(images / "new.kind", "PNG")
        module.write_text(code.format(suffix="other"))
        assert run(**env)["images"] == 12
        module.write_text(code.format(suffix="kind"))
        assert run(**env)["images"] == 13

    def test_other_limits_are_not_mixed_up(self, run):
        assert run()["error"] == 2
        assert run(BATCHCLS_DECODE_MAX_PIXELS="1000")["error"] == 12
        assert run()["error"] == 2
        assert run(BATCHCLS_DECODE_MAX_BYTES="200")["error"] == 12
        assert run()["error"] == 2


# What SQLite can't notice: sound rows that say what is not so.
LIES = [
    "UPDATE file SET content = 13 - content",
    "UPDATE content SET digest = CAST(substr(digest, 2) || x'00' AS BLOB)",
    "UPDATE prediction SET data = (SELECT data FROM prediction p WHERE p.content = 1)",
    "UPDATE prediction SET content = content + 100;UPDATE prediction SET content = 112 - content",
    "UPDATE prediction SET data = CAST(substr(data, 1, 20) || x'01' || substr(data, 22) AS BLOB)",
    "UPDATE features SET data = (SELECT data FROM features f WHERE f.content = 1);"
    "DELETE FROM prediction",
    "UPDATE features SET data = CAST(substr(data, 1, 99) || x'7f' || substr(data, 101)"
    " AS BLOB);"
    "DELETE FROM prediction",
    "UPDATE failure SET content = content + 100; INSERT INTO failure"
    " SELECT id, way, data FROM content, (SELECT way, data FROM failure LIMIT 1)",
    "UPDATE note SET value = CAST(replace(value, '.png', '.pgn') AS BLOB)",
    "UPDATE note SET value = replace(value, '.png', '.pgn')",
    "UPDATE prediction SET data = substr(data, 1, 20) || x'ff' || substr(data, 22)",
    "UPDATE note SET value = ''",
    "UPDATE file SET inode = 'text', checksum = x'00'",
    "UPDATE prediction SET data = 5; UPDATE features SET data = 'text'",
]


ODD_BITS = [0, 0x80000000, 1, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345, 0x7F800001]
BITS = st.lists(st.sampled_from(ODD_BITS) | st.integers(0, 2**32 - 1) | st.just(0), max_size=200)


def of_bits(bits: list[int]) -> np.ndarray:
    return np.array(bits, dtype=np.uint32).view(np.float32)


class TestFeatures:
    @given(BITS)
    @example([])
    @example([0] * 1280)
    @example([0] * 7 + [0x80000000])
    @example(ODD_BITS * 40)
    @example(list(range(1, 1281)))
    def test_they_come_back_bit_for_bit(self, bits):
        features = of_bits(bits)
        found = unpacked_features(packed_features(features), len(bits))
        assert found is not None
        assert (found.dtype, found.shape) == (np.float32, features.shape)
        assert found.tobytes() == features.tobytes()

    def test_a_column_of_a_matrix(self):
        matrix = np.arange(120, dtype=np.float32).reshape(30, 4)
        found = unpacked_features(packed_features(matrix[:, 1]), 30)
        assert found is not None
        assert found.tolist() == matrix[:, 1].tolist()

    @given(BITS, st.data())
    def test_what_is_damaged_is_refused(self, bits, data):
        row = sealed(b"digest", 3, packed_features(of_bits(bits)))
        at = data.draw(st.integers(0, 8 * len(row) - 1))
        flipped = bytearray(row)
        flipped[at // 8] ^= 1 << at % 8
        assert unsealed(b"digest", 3, bytes(flipped)) is None
        assert unsealed(b"digest", 3, row[: at // 8]) is None

    @given(st.sampled_from([b"m", b"z", b"p", b"x", b""]), st.binary(), st.integers(0, 40))
    @example(b"m", b"", 0)
    @example(b"m", b"\xff", 1)
    def test_whatever_the_bytes_they_give_as_many_or_nothing(self, form, data, dimension):
        found = unpacked_features(form + data, dimension)
        assert found is None or found.shape == (dimension,)
        found = unpacked_features(b"z" + zlib.compress(data), dimension)
        assert (found is None) == (len(data) != 4 * dimension)

    @given(BITS, st.integers(1, 9))
    def test_those_of_another_dimension_are_refused(self, bits, more):
        packed = packed_features(of_bits(bits))
        assert unpacked_features(packed, len(bits) + 8 * more) is None
        assert unpacked_features(packed[:-1], len(bits)) is None
        assert unpacked_features(packed + b"\0", len(bits)) is None or packed[:1] == b"z"

    def test_each_is_kept_in_the_form_that_suits_it(self):
        chance = np.random.default_rng(3)
        dense = chance.normal(size=1280).astype(np.float32)
        half = np.maximum(dense, 0)
        assert packed_features(dense) == b"p" + dense.tobytes()
        assert packed_features(half)[:1] == b"m"
        assert len(packed_features(half)) == 1 + 4 + 160 + 4 * np.count_nonzero(half)
        assert unpacked_features(packed_features(half), 1279) is None
        assert unpacked_features(packed_features(half[:1279]), 1280) is None
        rounded = np.round(half * 64) / 64
        assert packed_features(rounded)[:1] == b"z"
        assert len(packed_features(rounded)) < 0.7 * len(packed_features(half))

    def test_what_an_earlier_batchcls_kept_is_known(self, run, store, tmp_path):
        """Of pages of 16 KB, and features in zlib, or as they are."""
        run()
        report = (tmp_path / "report.csv").read_bytes()
        with sqlite3.connect(store, isolation_level=None) as database:
            ways = dict(database.execute("SELECT title, id FROM way"))
            [way] = [ways[title] for title in ways if title.startswith("features")]
            rows = database.execute(
                "SELECT features.id, digest, data FROM features JOIN content"
                " ON content.id = content WHERE way = ?",
                [way],
            ).fetchall()
            for number, (row, digest, data) in enumerate(rows):
                features = unpacked_features(unsealed(digest, way, data), 1280)
                plain = features.tobytes()
                former = b"p" + plain if number % 2 else b"z" + zlib.compress(plain, 1)
                values = [sealed(digest, way, former), row]
                database.execute("UPDATE features SET data = ? WHERE id = ?", values)
            database.execute("DELETE FROM prediction")
            database.execute("PRAGMA journal_mode = DELETE").fetchone()
            database.execute("PRAGMA page_size = 16384")
            database.execute("VACUUM")
        database.close()
        assert len(rows) == 10
        assert run()["computed"] == 0
        assert (tmp_path / "report.csv").read_bytes() == report
        with sqlite3.connect(store) as database:
            assert database.execute("PRAGMA page_size").fetchone() == (16384,)
        database.close()

    def test_a_form_of_a_later_batchcls_is_computed_anew(self, run, store, tmp_path):
        run()
        report = (tmp_path / "report.csv").read_bytes()
        with sqlite3.connect(store, isolation_level=None) as database:
            rows = database.execute(
                "SELECT features.id, digest, way FROM features JOIN content ON content.id = content"
            ).fetchall()
            for row, digest, way in rows:
                values = [sealed(digest, way, b"?" + bytes(5120)), row]
                database.execute("UPDATE features SET data = ? WHERE id = ?", values)
            database.execute("DELETE FROM prediction")
        database.close()
        assert run()["computed"] == 10
        assert (tmp_path / "report.csv").read_bytes() == report
        assert "the store" not in run.err


@pytest.mark.fuzz
def test_many_that_make_the_same_store_at_once(tmp_path):
    """None takes what another has half made for a stranger's."""

    def opening(folder: str) -> None:
        ready.wait()
        open_database(folder).close()

    for number in range(40 if SOAK > 1 else 12):
        ready = threading.Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(opening, [str(tmp_path / str(number))] * 6))


class TestAStoreThatCantBeUsed:
    def damaged(self, store: Path) -> None:
        store.write_bytes(b"\0" * 4096)

    def cut_off(self, store: Path) -> None:
        data = store.read_bytes()
        store.write_bytes(data[: len(data) // 2])

    def newer(self, store: Path) -> None:
        with sqlite3.connect(store) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()

    def of_another_program(self, store: Path) -> None:
        store.unlink()
        with sqlite3.connect(store) as database:
            database.execute("CREATE TABLE precious (a)")
        database.close()

    def a_folder(self, store: Path) -> None:
        store.unlink()
        store.mkdir()

    @pytest.mark.parametrize(
        ("harm", "word"),
        [
            ("damaged", "damaged"),
            ("cut_off", "damaged"),
            ("newer", "newer batchcls"),
            ("of_another_program", "another program"),
            ("a_folder", "unable to open"),
        ],
    )
    def test_it_is_said_and_the_report_is_the_same(self, run, store, tmp_path, harm, word):
        run()
        report = (tmp_path / "report.csv").read_bytes()
        getattr(self, harm)(store)
        kept = None if store.is_dir() else store.read_bytes()
        assert run()["computed"] > 0
        assert (tmp_path / "report.csv").read_bytes() == report
        warnings = [line for line in run.err.splitlines() if "the store" in line]
        assert len(warnings) == 1, run.err
        assert word in warnings[0]
        assert "going on without it" in warnings[0]
        assert kept is None or store.read_bytes() == kept, "it is not ours to change"

    def test_no_store_says_nothing_and_makes_none(self, run, store):
        run("--no-store")
        assert "store" not in run.err
        assert not store.exists()

    def test_a_folder_that_is_a_file(self, run, tmp_path):
        (tmp_path / "file").touch()
        run(BATCHCLS_STORE_FOLDER=str(tmp_path / "file"))
        assert "the store" in run.err

    @pytest.fixture
    def small_disk(self, tmp_path):
        """A file system of 200 KB."""
        folder = tmp_path / "disk"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("needs the right to mount a file system")
        yield folder
        subprocess.run(["umount", folder], check=True)

    def test_a_full_disk(self, run, small_disk, images, tmp_path):
        for number in range(100, 150):
            picture(number).save(images / f"{number}.png")
        without = run("--no-store")
        report = (tmp_path / "report.csv").read_bytes()
        counts = run(BATCHCLS_STORE_FOLDER=str(small_disk / "store"))
        assert "is full; going on without it" in run.err
        assert counts == without
        assert (tmp_path / "report.csv").read_bytes() == report

    def test_a_read_only_one(self, run, small_disk, tmp_path):
        env = {"BATCHCLS_STORE_FOLDER": str(small_disk / "store")}
        run(**env)
        report = (tmp_path / "report.csv").read_bytes()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        assert run(**env)["computed"] == 12
        assert "going on without it" in run.err
        assert (tmp_path / "report.csv").read_bytes() == report

    def test_held_by_a_hung_process(self, run, store, monkeypatch):
        run()
        holder = sqlite3.connect(store, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        code = (
            "import sys; from batchcls.store import schema; schema.BUSY_SECONDS = 0.3\n"
            "sys.argv = ['batchcls', 'run', 'images', '-m', 'imagenet']\n"
            "from batchcls.__main__ import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        holder.close()
        assert done.returncode == 3
        assert "database is locked; going on without it" in done.stderr

    def test_bytes_that_changed_never_change_a_report(self, run, store, tmp_path):
        """Anywhere in the file: whatever SQLite makes of it."""
        run()
        report = (tmp_path / "report.csv").read_bytes()
        whole = store.read_bytes()
        chance = random.Random(5)
        for flips in (1, 2, 3, 5, 10, 40):
            data = bytearray(whole)
            for _ in range(flips):
                data[chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
            store.write_bytes(data)
            for beside in ("-wal", "-shm"):
                Path(f"{store}{beside}").unlink(missing_ok=True)
            run()
            assert (tmp_path / "report.csv").read_bytes() == report

    def test_rows_that_lie_never_change_a_report(self, run, store, tmp_path):
        run("-m", "imagenet")
        report = (tmp_path / "report.csv").read_bytes()
        whole = store.read_bytes()
        for lie in LIES:
            store.write_bytes(whole)
            with sqlite3.connect(store) as database:
                database.executescript(lie)
            database.close()
            counts = run("-m", "imagenet")
            assert (tmp_path / "report.csv").read_bytes() == report, lie
            assert counts["images"] == 12, lie
            assert "going on without it" not in run.err, f"after {lie!r} it is still of use"

    def test_a_disk_in_the_place_of_another(self, run, images, tmp_path):
        """Its file may have the same name, size, times and even inode."""
        from batchcls import reading

        disk = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
        file = disk / f"batchcls-{os.getpid()}.png"
        picture(1).save(file)
        try:
            status = file.stat()
            before = reading.identity_of(status, os.fspath(file))
            reading._volumes[status.st_dev] = 12345
            assert reading.identity_of(status, os.fspath(file)) != before
        finally:
            file.unlink()
            reading._volumes.clear()


class TestCache:
    def test_info(self, run, batchcls, store):
        run()
        info = json.loads(batchcls("cache", "info", "--json").out)
        assert info["path"] == str(store)
        assert info["bytes"] > 10_000
        assert (info["files"], info["contents"], info["unreadable"]) == (12, 12, 2)
        assert [result["count"] for result in info["results"]] == [10, 10]
        assert "12" in batchcls("cache", "info").out

    def test_files_that_are_gone_are_taken_out(self, run, batchcls, images):
        run()
        (images / "00.png").unlink()
        (images / "01.png").rename(images / "elsewhere.png")
        run()
        assert "2 files, 1 content," in batchcls("cache", "prune", "--gone").out
        info = json.loads(batchcls("cache", "info", "--json").out)
        assert (info["files"], info["contents"]) == (11, 11)
        assert run()["computed"] == 0

    def test_a_disk_that_is_not_mounted_is_not_gone(self, run, batchcls, images):
        (images / "sub").mkdir()
        for image in images.glob("*.*"):
            image.rename(images / "sub" / image.name)
        run()
        images.rename(images.with_name("unmounted"))
        images.mkdir()
        assert "0 files" in batchcls("cache", "prune", "--gone").out
        (images / "other.png").touch()  # mounted, and they are gone
        assert "12 files" in batchcls("cache", "prune", "--gone").out

    def test_what_was_not_used_for_long(self, run, batchcls, store, images):
        run()
        with sqlite3.connect(store) as database:
            database.execute("UPDATE content SET used = used - 100")
            database.execute("UPDATE content SET used = used + 100 WHERE id % 2")
        database.close()
        assert "6 contents" in batchcls("cache", "prune", "--unused", "30").out
        assert run()["computed"] == 6
        with sqlite3.connect(store) as database:
            database.execute("UPDATE content SET used = used - 100")
        database.close()
        run()  # which uses them
        assert " 0 contents" in batchcls("cache", "prune", "--unused", "30").out

    def test_size(self, run, batchcls, store):
        run()
        before = store.stat().st_size
        assert "12 contents" in batchcls("cache", "prune", "--max-gigabytes", "0.00001").out
        assert store.stat().st_size < before
        assert run()["computed"] == 12

    def test_a_store_that_outgrows_its_limit_is_made_smaller(self, run, store):
        run(BATCHCLS_STORE_MAX_GIGABYTES="0.00001")
        with sqlite3.connect(store) as database:
            [count] = database.execute("SELECT count(*) FROM content").fetchone()
        database.close()
        assert count == 0
        assert run.err.count("warning") == 1  # of the unreadable ones

    def test_no_limit(self, run, batchcls):
        run()
        assert " 0 contents" in batchcls("cache", "prune", "--max-gigabytes", "0").out

    def test_clear(self, run, batchcls, store):
        run()
        assert "cleared" in batchcls("cache", "clear").out
        assert not store.exists()
        assert "there was no store" in batchcls("cache", "clear").out
        assert run()["computed"] == 12

    def test_clear_mends_a_damaged_one_and_leaves_anothers(self, run, batchcls, store):
        run()
        store.write_bytes(b"nonsense" * 1000)
        result = batchcls("cache", "info")
        assert (result.status, "damaged" in result.err) == (1, True)
        assert batchcls("cache", "clear").status == 0
        assert not store.exists()
        with sqlite3.connect(store) as database:
            database.execute("CREATE TABLE precious (a)")
        database.close()
        result = batchcls("cache", "clear")
        assert result.status == 2
        assert "another program" in result.err
        assert store.exists()
