"""Inception's files: found where they are, fetched whole, and whatever is in an archive, safely."""

from __future__ import annotations

import hashlib
import io
import os
import random
import stat
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls import locking
from batchcls.builtin import inception_files
from batchcls.builtin.inception_files import (
    ADDRESS,
    GRAPH,
    LABELS,
    LICENCE,
    InceptionFiles,
    Published,
    fetch,
    find,
)
from batchcls.downloading.download import DownloadError, Patience
from batchcls.errors import BatchclsError, ExitStatus, NetworkError, UsageError

from .conftest import fuzzed
from .servers import Server, cut, direct, end_launched, eventually, finish, launch, stall, whole

GRAPH_DATA = random.Random(4).randbytes(200_000)
FILES = {LICENCE: b"Apache License\n", LABELS: b"dummy\nkit fox\n", GRAPH: GRAPH_DATA}
PATIENT = Patience(connect=60, silence=60, slowest=0)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 53884595\n"


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    direct(monkeypatch)
    monkeypatch.setattr("batchcls.downloading.download._FIRST_PAUSE", 0.01)
    yield
    end_launched()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def archive(members=None, tamper=lambda infos: None):
    """A zip of ``members``; ``tamper`` is given their headers, by name, before they are written."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in (members or FILES).items():
            out.writestr(name.rstrip("*"), content)
        tamper({info.filename: info for info in out.filelist})
    return data.getvalue()


SOUND = archive()


def published(server, data=SOUND, graph=GRAPH_DATA):
    return Published((server.url,), sha(data), sha(graph))


def got(folder, data=SOUND, graph=GRAPH_DATA, **options):
    """Fetch ``data`` from a server that has it."""
    with Server(data) as server:
        return fetch(str(folder), published(server, data, graph), PATIENT, **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refused(tmp_path, data, **options):
    """The error of an archive that must not be used, and leaves nothing."""
    folder = tmp_path / "cache" / "networks"
    with pytest.raises(NetworkError) as caught:
        got(folder, data, **options)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert caught.value.exit_status == ExitStatus.FAILED
    assert str(folder / "inception5h.zip") in caught.value.message
    assert caught.value.hint
    return caught.value.message


def test_what_google_published():
    usual = Published()
    assert usual.addresses == (ADDRESS,)
    assert ADDRESS.startswith("https://storage.googleapis.com/")
    assert len(bytes.fromhex(usual.archive_sha256)) == len(bytes.fromhex(usual.graph_sha256)) == 32


class TestFetching:
    def test_brings_the_files(self, tmp_path):
        folder = tmp_path / "cache" / "networks"
        told = []
        files = got(folder, on_progress=lambda done, total: told.append((done, total)))
        assert files == InceptionFiles(
            graph=str(folder / GRAPH),
            labels=str(folder / LABELS),
            placed_by_user=False,
            is_published=True,
            graph_sha256=sha(GRAPH_DATA),
        )
        assert {name: (folder / name).read_bytes() for name in names(folder)} == FILES
        assert told[-1] == (len(SOUND), len(SOUND))

    def test_only_once(self, tmp_path):
        with Server(SOUND) as server:
            first = fetch(str(tmp_path), published(server), PATIENT)
            second = fetch(str(tmp_path), published(server), PATIENT)
        assert first == second == find([], str(tmp_path), published(server))
        assert len(server.seen) == 1

    def test_goes_on_where_it_was_cut_off(self, tmp_path):
        once = Patience(60, 60, 0, attempts=1)
        with Server(SOUND, cut(100_000), whole()) as server:
            with pytest.raises(DownloadError):
                fetch(str(tmp_path), published(server), once)
            assert find([], str(tmp_path), published(server)) is None
            fetch(str(tmp_path), published(server), once)
        assert server.seen[1].headers["Range"] == "bytes=100000-"
        assert names(tmp_path) == sorted(FILES)

    def test_unpacks_an_archive_that_was_left_behind(self, tmp_path):
        (tmp_path / "inception5h.zip").write_bytes(SOUND)
        with Server(b"") as server:
            fetch(str(tmp_path), published(server), PATIENT)
        assert server.seen == []
        assert names(tmp_path) == sorted(FILES)

    def test_another_archive_is_not_unpacked(self, tmp_path):
        with Server(SOUND) as server, pytest.raises(DownloadError, match="not the right file"):
            fetch(str(tmp_path), Published((server.url,), "0" * 64), PATIENT)
        assert names(tmp_path) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(BatchclsError, match="the folder can't be made") as caught:
            got(tmp_path / "file" / "networks")
        assert caught.value.hint

    @pytest.mark.parametrize("damaged", [GRAPH_DATA[:-1], b"", POINTER, bytes(1) + GRAPH_DATA[1:]])
    def test_a_graph_that_is_not_as_it_was_is_fetched_again(self, tmp_path, damaged):
        said = []
        graph = tmp_path / GRAPH
        with Server(SOUND) as server:
            fetch(str(tmp_path), published(server), PATIENT, say=said.append)
            assert said == []
            graph.write_bytes(damaged)
            assert find([], str(tmp_path), published(server)) is None
            fetch(str(tmp_path), published(server), PATIENT, say=said.append)
        assert graph.read_bytes() == GRAPH_DATA
        assert len(said) == 1
        assert str(graph) in said[0]

    def test_the_graph_comes_last(self, tmp_path, monkeypatch):
        order = []
        replace = os.replace

        def recorded(here, there):
            order.append(Path(there).name)
            replace(here, there)

        monkeypatch.setattr(os, "replace", recorded)
        got(tmp_path)
        assert order == ["inception5h.zip", LICENCE, LABELS, GRAPH]

    def test_ctrl_c_while_unpacking_keeps_the_archive(self, tmp_path, monkeypatch):
        def interrupt(*_arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(inception_files, "_copy", interrupt)
            with pytest.raises(KeyboardInterrupt):
                got(tmp_path)
        assert names(tmp_path) == ["inception5h.zip"]

    @pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
    def test_a_disk_that_is_full(self, tmp_path):
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2)"
        graph = bytes(300_000)  # its archive fits, it does not
        data = archive({**FILES, GRAPH: graph})
        with Server(data) as server:
            process = start(server, tmp_path / "networks", data, graph, first=limit)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 7
        assert f"{tmp_path / 'networks' / GRAPH}: can't be written: File too large" in out
        assert names(tmp_path / "networks") == []


class TestProcesses:
    def test_several_at_once_fetch_once(self, tmp_path):
        with Server(SOUND, whole(every=0.02)) as server:
            processes = [start(server, tmp_path) for _ in range(3)]
            for process in processes:
                finish(process)
        assert names(tmp_path) == sorted(FILES)
        assert len(server.seen) == 1

    def test_killed_in_the_middle(self, tmp_path):
        with Server(SOUND, stall(100_000), whole()) as server:
            process = start(server, tmp_path)
            partial = tmp_path / ".inception5h.zip.partial"
            eventually(lambda: partial.exists() and partial.stat().st_size == 100_000, "its bytes")
            process.kill()
            process.communicate(timeout=60)
            assert find([], str(tmp_path), published(server)) is None
            finish(start(server, tmp_path))
        assert server.seen[1].headers["Range"] == "bytes=100000-"
        assert server.seen[1].sent == len(SOUND) - 100_000
        assert names(tmp_path) == sorted(FILES)

    def test_where_there_are_no_locks_another_may_be_faster(self, tmp_path, monkeypatch):
        def refuse(_descriptor):
            raise OSError(37, "No locks available")

        unpack = inception_files._unpack

        def slowly(path, folder, digest):
            unpack(path, folder, digest)  # as the other process does
            os.unlink(path)
            unpack(path, folder, digest)

        monkeypatch.setattr(locking, "_lock", refuse)
        monkeypatch.setattr(inception_files, "_unpack", slowly)
        assert got(tmp_path).is_published
        assert {*FILES} <= {*names(tmp_path)}


class TestHostileArchives:
    @pytest.mark.parametrize("name", FILES)
    def test_a_member_that_is_missing(self, tmp_path, name):
        rest = {other: data for other, data in FILES.items() if other != name}
        assert f"it has no {name}" in refused(tmp_path, archive(rest))

    @pytest.mark.parametrize("name", FILES)
    def test_a_member_that_is_there_twice(self, tmp_path, name):
        message = refused(tmp_path, archive({**FILES, f"{name}*": b"another"}))
        assert f"it holds {name} 2 times" in message

    def test_a_member_that_is_there_twice_in_disguise(self, tmp_path):
        data = archive({**FILES, f"{GRAPH}/evil": b"another"})
        data = data.replace(f"{GRAPH}/evil".encode(), f"{GRAPH}\0evil".encode())
        assert "2 times" in refused(tmp_path, data)

    @pytest.mark.parametrize(
        "elsewhere",
        ["../", "../../", "/", "/tmp/", "C:\\", "..\\", "./", "inception5h/", "LICENSE/", "//"],
    )
    def test_a_member_elsewhere_is_another_one(self, tmp_path, elsewhere):
        rest = {name: data for name, data in FILES.items() if name != GRAPH}
        hostile = archive({**rest, f"{elsewhere}{GRAPH}": GRAPH_DATA})
        assert f"it has no {GRAPH}" in refused(tmp_path, hostile)

    def test_what_else_is_in_it_goes_nowhere(self, tmp_path):
        others = [f"../{GRAPH}", "../../evil", f"{tmp_path}/evil", "a/b", "evil", ".bashrc", "x/"]
        folder = tmp_path / "cache" / "networks"
        got(folder, archive({**FILES, **dict.fromkeys(others, b"evil")}))
        found = {path for path in tmp_path.rglob("*") if path.is_file()}
        assert found == {folder / name for name in FILES}

    def test_a_link(self, tmp_path):
        def make_link(infos):
            infos[LABELS].external_attr = (stat.S_IFLNK | 0o777) << 16

        got(tmp_path, archive({**FILES, LABELS: b"/etc/passwd"}, make_link))
        assert not (tmp_path / LABELS).is_symlink()
        assert (tmp_path / LABELS).read_bytes() == b"/etc/passwd"

    @pytest.mark.parametrize(
        ("name", "size"), [(GRAPH, 10 * 2**30), (GRAPH, 2**28 + 1), (LABELS, 2**20 + 1)]
    )
    def test_a_member_of_an_absurd_size(self, tmp_path, name, size):
        def declare(infos):
            infos[name].file_size = size

        message = refused(tmp_path, archive(tamper=declare))
        assert f"its {name} claims {size:,} bytes" in message

    def test_a_bomb(self, tmp_path):
        data = archive({**FILES, LABELS: bytes(200 * 2**20)})
        assert len(data) < 2**20
        assert "claims 209,715,200 bytes" in refused(tmp_path, data)

    @pytest.mark.parametrize("claim", [0, 10, 2**20])
    def test_a_bomb_that_claims_to_be_small(self, tmp_path, claim):
        def lie(infos):
            infos[LABELS].file_size = claim

        data = archive({**FILES, LABELS: bytes(200 * 2**20)}, lie)
        tracemalloc.start()
        try:
            refused(tmp_path, data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 50 * 2**20

    def test_whatever_the_unpacker_gives_is_counted(self, monkeypatch):
        class Loose:
            def open(self, _info):
                return io.BytesIO(bytes(2**20 + 1))

        class Sink:
            write = staticmethod(lambda _block: None)

        with pytest.raises(ValueError, match="unpacks to more"):
            inception_files._copy(Loose(), zipfile.ZipInfo(LABELS), Sink())

    @pytest.mark.parametrize("flag", [0x1, 0x41, 0x2001])
    def test_an_encrypted_member(self, tmp_path, flag):
        def encrypt(infos):
            infos[GRAPH].flag_bits |= flag

        assert f"its {GRAPH} is encrypted" in refused(tmp_path, archive(tamper=encrypt))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
    def test_another_way_of_packing(self, tmp_path, method):
        def claim(infos):
            infos[GRAPH].compress_type = method

        assert "packed in a way" in refused(tmp_path, archive(tamper=claim))

    @pytest.mark.parametrize(
        "data", [b"", b"PK", b"<html></html>", GRAPH_DATA, SOUND[:-10], SOUND[1000:]]
    )
    def test_no_zip_or_a_broken_one(self, tmp_path, data):
        assert "not to be used" in refused(tmp_path, data)

    def test_a_member_whose_bytes_are_broken(self, tmp_path):
        middle = len(SOUND) // 2
        broken = SOUND[:middle] + bytes(100) + SOUND[middle + 100 :]
        assert "not to be used" in refused(tmp_path, broken)

    def test_another_graph(self, tmp_path):
        message = refused(tmp_path, SOUND, graph=b"another")
        assert sha(GRAPH_DATA) in message
        assert sha(b"another") in message

    def test_what_was_there_stays(self, tmp_path):
        (tmp_path / LABELS).write_bytes(b"mine")
        with pytest.raises(NetworkError):
            got(tmp_path, SOUND, graph=b"another")
        assert names(tmp_path) == [LABELS]
        assert (tmp_path / LABELS).read_bytes() == b"mine"

    @fuzzed(150)
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), max_size=6
        ),
        end=st.integers(0, 40),
    )
    def test_any_other_damage(self, tmp_path_factory, changes, end):
        small = bytearray(archive({**FILES, GRAPH: b"graph" * 9}))
        for place, data in changes:
            start = place % len(small)
            small[start : start + len(data)] = data
        folder = tmp_path_factory.mktemp("fuzz")
        (folder / "a.zip").write_bytes(small[: len(small) - end])
        try:
            inception_files._unpack(str(folder / "a.zip"), str(folder), sha(b"graph" * 9))
        except NetworkError:
            assert names(folder) == ["a.zip"]
        else:
            assert (folder / GRAPH).read_bytes() == b"graph" * 9


class TestFinding:
    @pytest.fixture
    def place(self, tmp_path):
        return tmp_path / "assets" / GRAPH

    @pytest.fixture
    def cache(self, tmp_path):
        """The folder of a graph that was fetched."""
        folder = tmp_path / "cache"
        got(folder)
        return folder

    def found(self, places, folder="nowhere"):
        return find(
            [str(place) for place in places], str(folder), Published((), "", sha(GRAPH_DATA))
        )

    def put(self, place, data):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)

    def test_nothing(self, place):
        assert self.found([]) is None
        assert self.found([place, "", "a\0b", place / "below"], "no\0where") is None

    def test_a_place(self, place, cache):
        self.put(place, GRAPH_DATA)
        files = self.found([place.with_name("missing"), place], cache)
        assert files == InceptionFiles(
            graph=str(place),
            labels=None,
            placed_by_user=True,
            is_published=True,
            graph_sha256=sha(GRAPH_DATA),
        )

    def test_the_first_place_wins(self, place, tmp_path):
        self.put(place, GRAPH_DATA)
        self.put(tmp_path / "other.pb", b"other")
        assert self.found([tmp_path / "other.pb", place]).graph == str(tmp_path / "other.pb")

    def test_another_graph_at_a_place(self, place, cache):
        self.put(place, b"retrained")
        files = self.found([place], cache)
        assert (files.graph, files.placed_by_user) == (str(place), True)
        assert (files.is_published, files.graph_sha256) == (False, sha(b"retrained"))

    def test_labels_beside_it(self, place):
        self.put(place, GRAPH_DATA)
        self.put(place.with_name(LABELS), b"dummy\n")
        assert self.found([place]).labels == str(place.with_name(LABELS))

    def test_a_relative_place(self, place, monkeypatch):
        self.put(place, GRAPH_DATA)
        self.put(place.with_name(LABELS), b"dummy\n")
        monkeypatch.chdir(place.parent)
        files = self.found([GRAPH])
        assert (files.graph, files.labels) == (GRAPH, LABELS)

    def test_the_cache(self, place, cache):
        files = self.found([place], cache)
        assert files.graph == str(cache / GRAPH)
        assert not files.placed_by_user
        assert files.is_published

    @pytest.mark.parametrize("damaged", [GRAPH_DATA[:-1], GRAPH_DATA + b"x", b"", POINTER])
    def test_a_cache_that_is_not_as_it_was(self, cache, damaged):
        (cache / GRAPH).write_bytes(damaged)
        assert self.found([], cache) is None

    @pytest.mark.parametrize(
        ("data", "said"), [(b"", "an empty file"), (POINTER, "a Git LFS pointer")]
    )
    def test_a_file_that_is_no_graph(self, place, cache, data, said):
        self.put(place, data)
        self.complains(place, said, cache)

    def test_a_file_that_is_too_large(self, place):
        self.put(place, b"x")
        os.truncate(place, 2**28 + 1)
        self.complains(place, "too large for the graph: 268,435,457 bytes")

    def test_a_folder(self, place):
        place.mkdir(parents=True)
        self.complains(place, "a folder, where the graph is expected")

    def test_a_folder_in_the_cache(self, place):
        place.mkdir(parents=True)
        with pytest.raises(UsageError, match="a folder"):
            self.found([], place.parent)
        with pytest.raises(UsageError, match="a folder"):
            got(place.parent)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
    def test_a_named_pipe_is_not_waited_for(self, place):
        place.parent.mkdir()
        os.mkfifo(place)
        self.complains(place, "not a regular file")

    def test_a_link_that_leads_nowhere(self, place, tmp_path):
        place.parent.mkdir()
        place.symlink_to(tmp_path / "missing")
        self.complains(place, "can't be read")

    def test_a_link(self, place, tmp_path):
        place.parent.mkdir()
        self.put(tmp_path / "real.pb", GRAPH_DATA)
        place.symlink_to(tmp_path / "real.pb")
        assert self.found([place]).graph == str(place)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read")
    def test_a_file_that_may_not_be_read(self, place):
        self.put(place, GRAPH_DATA)
        place.chmod(0)
        self.complains(place, "can't be read: Permission denied")

    def complains(self, place, said, folder="nowhere"):
        with pytest.raises(UsageError) as caught:
            self.found([place], folder)
        assert caught.value.message.startswith(f"{place}: ")
        assert said in caught.value.message
        assert caught.value.hint


SCRIPT = """
import sys
{first}
from batchcls.builtin.inception_files import Published, fetch
from batchcls.downloading.download import Patience
from batchcls.errors import BatchclsError
folder, url, archive, graph = sys.argv[1:]
try:
    assert fetch(folder, Published((url,), archive, graph), Patience(60, 60, 0)).is_published
except BatchclsError as error:
    print(error)
    sys.exit(7)
"""


def start(server, folder, data=SOUND, graph=GRAPH_DATA, first=""):
    return launch(SCRIPT.format(first=first), str(folder), server.url, sha(data), sha(graph))
