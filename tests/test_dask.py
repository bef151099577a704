"""The Dask engine, on a cluster that the tests start: the same report, whatever happens there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .cluster import Cluster
from .conftest import SOAK, Result, picture
from .s3 import cut, pass_on, status, vanished
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414
from .servers import eventually
from .test_harm import HARMFUL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

# How often workers are killed in a run, after how many seconds again, and how many images there are
# for each time. In a soak there has to be time between for a group of images to be done, each
# apart, or it is given up as what kills its workers.
KILLS, PAUSE, EACH = (2, 0.7, 40) if SOAK == 1 else (10, 5.0, 150)
Run = Callable[..., Result]


# A format of images that are decoded when there is a file "go", or that stop who decodes it first.
# The folder of that file is in them; there they leave a file "begun".
WAITING = """
import os, signal, time
from PIL import Image, ImageFile

class Waiting(ImageFile.ImageFile):
    format = "WAITING"

    def _open(self):
        self.what, self.folder = self.fp.read().decode().split(" ", 2)[1:]
        self._size, self._mode, self.tile = (64, 64), "RGB", []

    def load(self):
        begun = os.path.join(self.folder, "begun")
        if self.what == "stop" and not os.path.exists(begun):
            with open(begun, "x") as file:
                file.write(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.what == "wait":
            open(begun, "w").close()
            while not os.path.exists(os.path.join(self.folder, "go")):
                time.sleep(0.05)
        self.im = Image.new("RGB", (64, 64), (200, 30, 30)).im

Image.register_open("WAITING", Waiting, lambda prefix: prefix.startswith(b"WAITING "))
Image.register_extension("WAITING", ".waiting")
"""

# How long a run waits where nobody answers, and how much later than others a group has to be, to
# be late: too long for a test, of which the first groups are most of all.
HASTY = """
from batchcls import hookimpl
from batchcls.engines import dask, daskmapping

dask._CONNECT = dask._FAREWELL = daskmapping._GONE = 1.0
daskmapping._LATE_TIMES = 2.0

@hookimpl
def batchcls_engines():
    return []
"""

# A work without images, and a program that has it done: by two engines at once, and by one in which
# the work ends what it is in, in silence.
SIMPLE = """
import sys, threading, time
from batchcls.engines.dask import DaskEngine

class Work:
    def check(self):
        pass
    def __call__(self, chunk):
        time.sleep(0.01)
        if "stop" in chunk:
            raise StopIteration
        return chunk
    carefully = __call__
    def many(self, chunks):
        return map(self, chunks)

def done(first, count):
    engine = DaskEngine(sys.argv[1], 8, 60.0, 30.0, print)
    chunks = [[first + number] * 8 for number in range(count)]
    print(first, list(engine.map(Work(), chunks)) == chunks)

if __name__ == "__main__":
    from simple import Work
    threads = [threading.Thread(target=done, args=given) for given in ((0, 20), (1000, 60))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine = DaskEngine(sys.argv[1], 8, 60.0, 30.0, print)
    try:
        print("came", len(list(engine.map(Work(), [["stop"]] * 3))))
    except RuntimeError as error:
        print(str(error).splitlines()[0])
"""

# joblib's threads can't send what they are to.
BROKEN = """
import queue, sys
from distributed import Client
from batchcls.engines.daskbackend import Backend, work_through
from batchcls.engines.groups import Group

for works in (0, 3):  # on the thread that begins, and on the one that collects
    with Client(sys.argv[1], set_as_default=False) as client:
        replies = queue.SimpleQueue()
        def send(group):
            if group.number >= works:
                raise KeyError("not sent")
            return client.submit(int, key=f"broken-{works}-{group.number}", pure=False)
        backend = Backend(client, send, replies.put, 1)
        import threading
        groups = (Group(number, []) for number in range(10))
        threading.Thread(target=work_through, args=(backend, groups), daemon=True).start()
        while not isinstance(reply := replies.get(timeout=60), BaseException):
            assert reply.answer == 0
        print(repr(reply))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers, on which a harmful decoder can be had."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "harmful.py").write_text(HARMFUL)
    (folder / "waiting.py").write_text(WAITING)
    (folder / "simple.py").write_text(SIMPLE)
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    env = {
        "PYTHONPATH": path,
        "BATCHCLS_INSTALLED_PLUGINS": "",
    }
    if SOAK == 1:
        # So often a worker may die over the same work; each time it takes seconds to come back.
        env["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
    started = Cluster(folder, **env)
    try:
        started.add("a")
        started.add("b")
        yield started
    finally:
        started.close()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Images in folders, of which some can't be read."""
    folder = tmp_path / "images"
    (folder / "sub" / "deep").mkdir(parents=True)
    for number in range(30):
        place = [folder, folder / "sub", folder / "sub" / "deep"][number % 3]
        picture(number).save(place / f"{number:02}.{['jpg', 'png'][number % 2]}")
    (folder / "empty.jpg").touch()
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot")
    (folder / "cut.jpg").write_bytes((folder / "00.jpg").read_bytes()[:200])
    (folder / "folder.jpg").mkdir()
    os.symlink("nowhere", folder / "dangling.jpg")
    time.sleep(0.1)
    return folder


@pytest.fixture
def run(batchcls, tmp_path) -> Run:
    def running(engine: Cluster | None, *options: str, **env: str) -> Result:
        which = [] if engine is None else ["--engine", "dask", "--scheduler", engine.address]
        return batchcls("run", "images", "-m", "imagenet", *which, *options, **env)

    return running


class Begun:
    """Begins runs that know the format of ``WAITING``, and that lose their patience soon."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        (folder / "hasty.py").write_text(HASTY)
        self.folder = folder
        self.env = {
            "PYTHONPATH": f"{cluster.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "BATCHCLS_DECODE_PILLOW_PLUGINS": "waiting",
            "BATCHCLS_PLUGINS": "hasty.py",
        }

    def __call__(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "batchcls", "run", "images", "-m", "imagenet", *options],
            cwd=self.folder,
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def waiting(cluster, tmp_path) -> Begun:
    return Begun(cluster, tmp_path)


def many(folder: Path, count: int) -> None:
    """Fill a folder with photographs that take a while."""
    for number in range(count):
        picture(number, size=(1600, 1200)).save(folder / f"many-{number:04}.jpg", quality=85)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_the_report_is_that_of_the_local_engine(cluster, images, run, tmp_path, suffix):
    options = ("--top", "3", "--scores", "--no-store", "--review-below", "0.5")
    local = run(None, "-o", f"local{suffix}", *options)
    distant = run(cluster, "-o", f"distant{suffix}", *options)
    assert (local.status, distant.status) == (3, 3), distant.err
    told = [re.sub(r"in [\d.]+ s .*", "", one.out) for one in (local, distant)]
    assert told[0].replace("local", "distant") == told[1]
    found = (tmp_path / f"distant{suffix}").read_bytes()
    assert found == (tmp_path / f"local{suffix}").read_bytes()


def test_the_model_travels_once_to_each_worker(cluster, images, run):
    def unpickled() -> list[int]:
        return [cluster.log(name).count("unpickled") for name in ("a", "b")]

    before = unpickled()
    assert run(cluster, "--no-store").status == 3
    assert [now - then for now, then in zip(unpickled(), before, strict=True)] == [1, 1]
    left = [line for name in ("a", "b") for line in cluster.log(name).splitlines()]
    assert sum("Removing Worker plugin batchcls-" in line for line in left) >= 2


def test_a_night_without_news_needs_no_cluster(cluster, images, run, tmp_path):
    assert run(cluster).status == 3
    first = (tmp_path / "report.csv").read_bytes()
    again = run(None, "--engine", "dask", "--scheduler", "nonsense://x")
    # Broken content is known, too; what could not be read at all is tried again, which is work.
    assert again.status == 2
    assert "no scheduler answers" in again.err
    for name in ("dangling.jpg", "folder.jpg", "empty.jpg"):
        path = images / name
        path.rmdir() if path.is_dir() else path.unlink()
    again = run(None, "--engine", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert again.status == 3, again.err
    rows = first.decode().splitlines()
    assert (tmp_path / "report.csv").read_text().splitlines() == [
        row for row in rows if not row.startswith(("dangling", "folder", "empty"))
    ]


def test_what_a_cluster_found_is_known_to_a_local_run_and_the_other_way_round(
    cluster, images, run, tmp_path
):
    assert run(cluster).status == 3
    local = run(None)
    assert "35 images" in local.out
    assert "33 of them known already" in local.out  # all but those that can't be read
    picture(99).save(images / "new.jpg")
    time.sleep(0.1)
    assert run(cluster, "-o", "third.csv").status == 3
    run(None, "-o", "whole.csv", "--no-store")
    assert (tmp_path / "third.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.fuzz
@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_again_and_again_changes_nothing(cluster, images, run, tmp_path):
    many(images, EACH * KILLS)
    assert run(None, "-o", "local.csv").status == 3
    command = [sys.executable, "-m", "batchcls", "run", "images", "-m", "imagenet", "--no-store"]
    command += ["--engine", "dask", "--scheduler", cluster.address, "-o", "killed.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        kills = 0
        while process.poll() is None and kills < KILLS:
            time.sleep(PAUSE)
            # One that has begun with the work: what has not is soon killed in vain.
            kills += cluster.kill("ab"[kills % 2])
        _, err = process.communicate(timeout=400)
    assert process.returncode == 3, err.decode()
    assert kills >= KILLS // 2
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_files_that_crash_or_hang_cost_only_themselves(cluster, images, run, tmp_path):
    for name, what in (("x1.harm", "segfault"), ("x2.harm", "hang"), ("x3.harm", "fine")):
        (images / name).write_bytes(b"HARM " + what.encode() + b" " + name.encode())
    env = {
        "PYTHONPATH": f"{cluster.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "BATCHCLS_DECODE_PILLOW_PLUGINS": "harmful",
        "BATCHCLS_DECODE_MAX_SECONDS": "1.5",
    }
    local = run(None, "-o", "local.csv", "--no-store", **env)
    distant = run(cluster, "-o", "distant.csv", "--no-store", **env)
    assert (local.status, distant.status) == (3, 3), distant.err
    assert "decoding those apart" in distant.err
    rows = (tmp_path / "distant.csv").read_text()
    assert "crashed on it (SIGSEGV)" in rows
    assert "could not be decoded within 1.5 s" in rows
    assert rows == (tmp_path / "local.csv").read_text()


def test_a_worker_that_stands_still_is_not_waited_for(cluster, images, waiting, tmp_path):
    (images / "10.waiting").write_text(f"WAITING stop {tmp_path}")
    (tmp_path / "config.toml").write_text("[engine.dask]\nlate = 1.0\n")
    distant = ("--engine", "dask", "--scheduler", cluster.address)
    stopped = None
    try:
        with waiting(*distant, "-o", "slow.csv", "--no-store") as slow:
            _, err = slow.communicate(timeout=200)
            stopped = int((tmp_path / "begun").read_text())
    finally:
        if stopped is not None:
            os.kill(stopped, signal.SIGCONT)
    assert slow.returncode == 3, err.decode()
    assert stopped in [*cluster.working("a"), *cluster.working("b")]
    with waiting("-o", "local.csv", "--no-store") as local:
        local.communicate(timeout=200)
    assert local.returncode == 3
    assert (tmp_path / "slow.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


def test_runs_of_the_same_work_know_nothing_of_each_other_and_no_result_is_lost(cluster):
    command = [sys.executable, str(cluster.folder / "simple.py"), cluster.address]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert sorted(found.stdout.splitlines()[:2]) == ["0 True", "1000 True"], found
    assert "0 results for 3 chunks" in found.stdout


def test_what_goes_wrong_on_a_thread_of_joblib_is_heard_of(cluster):
    command = [sys.executable, "-c", BROKEN, cluster.address]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.splitlines() == ["KeyError('not sent')"] * 2, found
    assert "Traceback" not in found.stderr


def test_a_scheduler_that_goes_away_ends_the_run_and_what_was_done_is_kept(
    images, run, waiting, tmp_path
):
    # So many groups are not under way at once: when the last one is begun, the first has come home.
    for number in range(160):
        (images / f"more-{number:03}.jpg").touch()
    (images / "zz.waiting").write_text(f"WAITING wait {tmp_path}")
    (tmp_path / "config.toml").write_text("[engine.dask]\nimages = 8\n")
    (tmp_path / "report.csv").write_text("path,label\nformer,report\n")
    own = Cluster(
        tmp_path / "own", BATCHCLS_INSTALLED_PLUGINS="", PYTHONPATH=waiting.env["PYTHONPATH"]
    )
    try:
        own.add("a")
        options = ["--engine", "dask", "--scheduler", str(own.file), "-v"]
        with waiting(*options) as process:
            eventually((tmp_path / "begun").exists, "the last one is begun")
            own.stop("scheduler")
            _, err = process.communicate(timeout=120)
    finally:
        own.close()
    assert process.returncode == 1, err.decode()
    assert b"the scheduler is gone" in err
    assert b"Traceback" not in err
    assert (tmp_path / "report.csv").read_text() == "path,label\nformer,report\n"
    (images / "zz.waiting").unlink()
    after = run(None, **waiting.env)
    assert after.status == 3
    known = re.search(r"(\d+) of them known already", after.out)
    assert known is not None, after.out
    assert int(known[1]) > 0


def test_ctrl_c_ends_it_soon(cluster, images, waiting, tmp_path):
    (images / "10.waiting").write_text(f"WAITING wait {tmp_path}")
    try:
        with waiting("--engine", "dask", "--scheduler", cluster.address, "--no-store") as process:
            eventually((tmp_path / "begun").exists, "it is in the midst of the work")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    finally:
        (tmp_path / "go").touch()
    assert process.returncode == 130
    assert b"no report was written" in err
    assert not (tmp_path / "report.csv").exists()


# What a worker loads before it begins: it sees nothing of a folder, or has something else.
BLIND = """
import os
def blind(seen=os.path.lexists, looked=os.stat):  # Dask loads this more than once
    def hidden(path):
        return isinstance(path, str) and {folder!r} in path
    def stat(path, *given, **named):
        if hidden(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return looked(path, *given, **named)
    {at_once}os.path.lexists = lambda path: seen(path) and not hidden(path)
    os.stat = stat
blind()
"""
OTHER = "import batchcls.fingerprint as f; f._version = lambda package: '0.0.1'"
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "batchcls":
            raise ModuleNotFoundError("No module named 'batchcls'", name="batchcls")
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def odd(cluster, tmp_path) -> Iterator[Callable[[str], None]]:
    """Adds a worker that has loaded some code before."""
    added = []

    def add(code: str) -> None:
        (tmp_path / "preload_this.py").write_text(code)
        cluster.add("odd", "--preload", str(tmp_path / "preload_this.py"))
        added.append("odd")

    yield add
    for name in added:
        cluster.stop(name)
        deadline = time.monotonic() + 30
        while "odd" not in cluster.log("scheduler").rpartition("Remove worker")[2]:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (OTHER, r"tcp://127\.0\.0\.1:\d+: .*: other versions than .*: pillow 0\.0\.1, not \d"),
        (WITHOUT, r"tcp://127\.0\.0\.1:\d+: .*batchcls"),
        (BLIND, r"tcp://127\.0\.0\.1:\d+: .* does not see .*images"),
    ],
    ids=["other versions", "nothing installed", "no access"],
)
def test_a_worker_that_can_not_do_the_work_is_told_at_once(
    cluster, images, run, odd, code, says, tmp_path
):
    odd(code.format(folder=str(images), at_once="") if code is BLIND else code)
    result = run(cluster)
    assert result.status == 2
    assert re.search(says, result.err), result.err
    assert "every worker" in result.err.lower()
    assert "Traceback" not in result.err
    assert not (tmp_path / "report.csv").exists()


def test_files_that_one_worker_does_not_see_are_worked_on_here(cluster, images, run, odd, tmp_path):
    for number in range(60):  # so many that each of the three workers gets some
        picture(number).save(images / "sub" / f"more-{number:02}.jpg")
    assert run(None, "-o", "local.csv", "--no-store").status == 3
    odd(BLIND.format(folder=str(images / "sub"), at_once="# "))
    result = run(cluster, "-o", "distant.csv", "--no-store")
    assert result.status == 3, result.err
    assert "which can be read here; such files are worked on here" in result.err
    assert (tmp_path / "distant.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--engine", "dask"], "no scheduler is named"),
        (["--engine", "dask", "--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers"),
        (["--engine", "dask", "--scheduler", "nonsense://x"], "no scheduler answers"),
        (["--engine", "dask", "--scheduler", "none.json"], "none.json: no such file"),
        (["--engine", "spark"], "there is no engine 'spark'"),
        (["--scheduler", "tcp://127.0.0.1:9"], "the engine local has no option 'scheduler'"),
    ],
)
def test_wrong_usage_is_told(run, options, says, tmp_path):
    (tmp_path / "images").mkdir()
    picture().save(tmp_path / "images" / "one.png")
    (tmp_path / "hasty.py").write_text(HASTY)
    result = run(None, *options, BATCHCLS_PLUGINS="hasty.py")
    assert result.status == 2
    assert says in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "report.csv").exists()


def test_it_can_all_be_configured(cluster, images, run, tmp_path):
    (tmp_path / "config.toml").write_text(
        f"[run]\nengine = 'dask'\n[engine.dask]\nscheduler = '{cluster.address}'\nimages = 3\n"
    )
    shutil.rmtree(images / "sub")
    before = sum(cluster.log(name).count("unpickled") for name in "ab")
    assert run(None).status == 3
    assert sum(cluster.log(name).count("unpickled") for name in "ab") > before


ENGINE = """
import pickle, subprocess, sys
from batchcls import hookimpl

WORKER = '''
import pickle, sys
work = pickle.load(sys.stdin.buffer)
while True:
    pickle.dump(work(pickle.load(sys.stdin.buffer)), sys.stdout.buffer)
    sys.stdout.flush()
'''

class Pool:
    def __init__(self, processes):
        self.processes = processes

    def map(self, work, chunks):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        one, *_ = [subprocess.Popen([sys.executable, "-c", WORKER], **pipes)] * self.processes
        with one:
            pickle.dump(work, one.stdin)
            for chunk in chunks:
                pickle.dump(chunk, one.stdin)
                one.stdin.flush()
                yield pickle.load(one.stdout)
            one.kill()

class Processes:
    name, description, distant = "processes", "a process of this machine", True

    def create(self, context, *, processes: int = 2):
        return Pool(processes)

@hookimpl
def batchcls_engines():
    return [Processes()]
"""


def test_another_engine_is_a_plugin(images, run, batchcls, tmp_path):
    (tmp_path / "processes.py").write_text(ENGINE)
    (tmp_path / "config.toml").write_text("plugins = ['processes.py']\n")
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    assert run(None, "-o", "local.csv").status == 3
    result = run(None, "--engine", "processes", "-o", "pool.csv", "--no-store", **env)
    assert result.status == 3, result.err
    assert (tmp_path / "pool.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    listed = batchcls("plugins", **env).out
    assert re.search(r"engine +processes", listed)
    assert "options of the engine processes" in listed


@pytest.fixture
def bucket(s3, tmp_path) -> str:
    """Images in object storage, some of them broken; workers are told of it by the settings."""
    for number in range(30):
        picture(number).save(tmp_path / "one.jpg")
        s3.put(f"night/{number % 3}/{number:02}.jpg", (tmp_path / "one.jpg").read_bytes())
    s3.put("night/broken.png", b"\x89PNG\r\n\x1a\nnot")
    s3.put("night/empty.jpg", b"")
    (tmp_path / "config.toml").write_text(
        f"[storage]\nretries = 2\n[filesystem.s3]\nendpoint_url = '{s3.url}'\n"
        "key = 'testing'\nsecret = 'testing'\n"
    )
    return f"s3://{s3.bucket}/night"


@pytest.fixture
def nightly(batchcls) -> Run:
    def running(engine: Cluster | None, *options: str) -> Result:
        which = [] if engine is None else ["--engine", "dask", "--scheduler", engine.address]
        return batchcls("run", *options, "-m", "imagenet", *which)

    return running


def test_workers_read_object_storage_themselves(cluster, s3, bucket, nightly, tmp_path):
    assert nightly(None, bucket, "-o", "local.csv", "--no-store").status == 3
    s3.clear()
    distant = nightly(cluster, bucket, "-o", "distant.csv")
    assert distant.status == 3, distant.err
    assert (tmp_path / "distant.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    read = {key: times for key, times in s3.counts("GET").items() if key.startswith("night/")}
    assert len(read) == 32
    assert set(read.values()) == {1}
    s3.clear()
    again = nightly(None, bucket, "-o", "again.csv")
    assert again.status == 3, again.err
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert not [key for key in s3.counts("GET") if key.startswith("night/")]


def test_what_fails_in_object_storage_has_the_same_row_from_a_cluster(
    cluster, s3, bucket, nightly, tmp_path
):
    def fail() -> None:
        s3.clear()
        s3.fail(status(500), key="night/0/00.jpg", times=1)
        s3.fail(vanished(), key="night/0/03.jpg", times=99)
        s3.fail(status(403, "AccessDenied"), key="night/0/06.jpg", times=99)
        s3.fail(cut(100), key="night/0/09.jpg", times=1)

    fail()
    assert nightly(None, bucket, "-o", "local.csv", "--no-store").status == 3
    fail()
    distant = nightly(cluster, bucket, "-o", "distant.csv", "--no-store")
    assert distant.status == 3, distant.err
    rows = (tmp_path / "distant.csv").read_text()
    assert rows == (tmp_path / "local.csv").read_text()
    assert "permission denied" in rows
    assert "no such object" in rows
    assert rows.count(",error,") == 4


def test_a_worker_that_may_not_read_the_storage_is_told_at_once(
    cluster, s3, bucket, nightly, tmp_path
):
    # The one that asks lists first; then each worker looks whether it may.
    nightly(None, bucket, "--no-store")
    listings = s3.count("GET", listing=True)
    s3.fail(pass_on, listing=True, times=listings)
    s3.fail(status(403, "AccessDenied"), listing=True)
    result = nightly(cluster, bucket)
    assert result.status == 2, result.err
    assert re.search(r"tcp://127\.0\.0\.1:\d+: ", result.err), result.err
    assert "Traceback" not in result.err
