"""Places where a report can't go: a clear error, and what stood there before is still there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import Result, picture

OLD = b"path,label,score,status,error\r\nold.png,fox,0.900000,ok,\r\n"
# With a score for each of a thousand classes, 300 rows are 3 MB.
MANY = 300
LIMITED = (
    "import os, resource, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)

Command = Callable[..., Result]
Mount = Callable[..., Path]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one picture of many names."""
    folder = tmp_path / "images"
    folder.mkdir()
    picture(1).save(folder / "a.png")
    for number in range(MANY - 1):
        (folder / f"{number:03}.png").symlink_to("a.png")
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A folder with one picture."""
    folder = tmp_path / "one"
    folder.mkdir()
    picture(1).save(folder / "a.png")
    return folder


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system in memory at a name below ``tmp_path``."""
    mounted: list[Path] = []

    def call(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if not succeeds(command):
            pytest.skip("needs the right to mount")
        mounted.append(folder)
        return folder

    yield call
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def succeeds(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def limited(
    *arguments: str | Path, without: str = "", file_size: int = 0, cwd: Path | None = None
) -> Result:
    """Run the command without some rights of root's, or with a limit on the size of files."""

    command: list[str | Path] = [sys.executable, "-m", "batchcls", *arguments]
    if file_size:
        command = [sys.executable, "-c", LIMITED, str(file_size), *command]
    if without and os.geteuid() == 0:
        bound = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
        if not succeeds([*bound, "true"]):
            pytest.skip("the tests run as root, and setpriv can't take its rights away")
        command = [*bound, *command]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


def check_error(result: Result, *parts: str, status: int = 1) -> None:
    """Check that the command said in words what is wrong, and nothing else."""
    assert result.status == status, result
    errors = [line for line in result.err.splitlines() if line.startswith("batchcls: error: ")]
    assert len(errors) == 1, result.err
    for part in parts:
        assert part in errors[0], result.err
    assert len(result.err.splitlines()) >= 2, "and what to do"
    assert "Traceback" not in result.err
    assert result.err.replace("\n", "").isprintable()
    assert len(result.err) < 1000
    assert result.out == ""


def old_report(folder: Path) -> Path:
    report = folder / "report.csv"
    report.write_bytes(OLD)
    return report


def test_a_disk_that_is_full_half_way_keeps_the_old_report(
    batchcls: Command, images: Path, mount: Mount
) -> None:
    disk = mount("disk", "size=1m")
    report = old_report(disk)
    result = batchcls("run", images, "-m", "imagenet", "-o", report, "--scores")
    check_error(result, str(report), "No space left on device")
    assert "untouched" in result.err
    assert report.read_bytes() == OLD
    assert os.listdir(disk) == ["report.csv"]


def test_a_disk_that_is_full_half_way_is_left_without_a_new_report(
    batchcls: Command, images: Path, mount: Mount
) -> None:
    disk = mount("disk", "size=1m")
    result = batchcls("run", images, "-m", "imagenet", "-o", disk / "report.csv", "--scores")
    check_error(result, str(disk / "report.csv"), "No space left on device")
    assert os.listdir(disk) == []


def test_a_disk_with_no_room_for_another_file(batchcls: Command, one: Path, mount: Mount) -> None:
    disk = mount("disk", "size=1m,nr_inodes=2")  # the folder and the old report
    report = old_report(disk)
    result = batchcls("run", one, "-m", "imagenet", "-o", report)
    check_error(result, str(report), "No space left on device")
    assert report.read_bytes() == OLD
    assert os.listdir(disk) == ["report.csv"]


def test_a_disk_that_is_full_to_the_last_byte(batchcls: Command, one: Path, mount: Mount) -> None:
    disk = mount("disk", "size=64k")
    report = old_report(disk)
    with (disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    result = batchcls("run", one, "-m", "imagenet", "-o", report)
    check_error(result, str(report), "No space left on device")
    assert report.read_bytes() == OLD
    assert sorted(os.listdir(disk)) == ["filler", "report.csv"]


def test_a_full_device(batchcls: Command, one: Path) -> None:
    result = batchcls("run", one, "-m", "imagenet", "-o", "/dev/full")
    check_error(result, "/dev/full", "No space left on device")
    assert Path("/dev/full").is_char_device()


def test_a_full_standard_output(one: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "batchcls", "run", one, "-m", "imagenet", "-o", "-", "-q"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    result = Result(done.returncode, "", done.stderr)
    check_error(result, "standard output", "No space left on device")


def test_a_disk_that_may_only_be_read(batchcls: Command, one: Path, mount: Mount) -> None:
    disk = mount("disk", "size=1m")
    report = old_report(disk)
    make_read_only(disk)
    check_error(
        batchcls("run", one, "-m", "imagenet", "-o", report), str(report), "Read-only file system"
    )
    result = batchcls("run", one, "-m", "imagenet", "-o", disk / "new.csv")
    check_error(result, str(disk / "new.csv"), "Read-only file system")
    assert report.read_bytes() == OLD
    assert os.listdir(disk) == ["report.csv"]


def test_images_on_a_disk_that_may_only_be_read_are_classified(
    batchcls: Command, mount: Mount, tmp_path: Path
) -> None:
    disk = mount("disk", "size=1m")
    picture(1).save(disk / "a.png")
    (disk / "b.png").write_bytes(b"")
    before = sorted(os.listdir(disk))
    make_read_only(disk)
    result = batchcls("run", disk, "-m", "imagenet", "-o", "out.csv")
    assert result.status == 3, result.err
    lines = (tmp_path / "out.csv").read_bytes().splitlines()
    assert [line.split(b",")[0] for line in lines] == [b"path", b"a.png", b"b.png"]
    assert sorted(os.listdir(disk)) == before
    # As cron would do it, in the folder itself: the report has no place there.
    check_error(batchcls("run", ".", "-m", "imagenet", cwd=disk), "report.csv", "Read-only")


def test_images_in_a_folder_that_may_only_be_read_are_left_as_they_are(
    one: Path, tmp_path: Path
) -> None:
    one.chmod(0o555)
    before = one.stat()
    try:
        result = limited(
            "run", one, "-m", "imagenet", "-o", tmp_path / "out.csv", without="-dac_override"
        )
    finally:
        one.chmod(0o755)
    assert result.status == 0, result.err
    assert os.listdir(one) == ["a.png"]
    assert one.stat().st_mtime_ns == before.st_mtime_ns


def test_a_folder_that_may_not_be_written_to(one: Path, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    report = old_report(folder)
    folder.chmod(0o555)
    try:
        result = limited("run", one, "-m", "imagenet", "-o", report, without="-dac_override")
    finally:
        folder.chmod(0o755)
    check_error(result, str(report), "Permission denied")
    assert report.read_bytes() == OLD
    assert os.listdir(folder) == ["report.csv"]


def test_a_folder_that_may_not_even_be_looked_into(one: Path, tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    (folder / "inner").mkdir(parents=True)
    folder.chmod(0)
    try:
        result = limited(
            "run",
            one,
            "-m",
            "imagenet",
            "-o",
            folder / "inner" / "report.csv",
            without="-dac_override,-dac_read_search",
        )
    finally:
        folder.chmod(0o755)
    check_error(result, str(folder), "Permission denied")
    assert os.listdir(folder / "inner") == []


def test_another_users_report_in_a_folder_for_all(one: Path, tmp_path: Path) -> None:
    """As in /tmp: one may add files there, but not put one in another's place."""
    folder = tmp_path / "for-all"
    folder.mkdir()
    report = old_report(folder)
    try:
        os.chown(report, 65534, 65534)
        os.chown(folder, 65534, 65534)
    except PermissionError:
        pytest.skip("needs the right to give files away")
    folder.chmod(0o1777)
    result = limited(
        "run", one, "-m", "imagenet", "-o", report, without="-dac_override,-fowner,-chown"
    )
    check_error(result, str(report), "Operation not permitted")
    assert report.read_bytes() == OLD
    assert os.listdir(folder) == ["report.csv"]


def test_a_report_that_was_made_immutable(batchcls: Command, one: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    report = old_report(folder)
    if shutil.which("chattr") is None or not succeeds(["chattr", "+i", str(report)]):
        pytest.skip("this file system knows no immutable files, or they need another user")
    try:
        result = batchcls("run", one, "-m", "imagenet", "-o", report)
    finally:
        subprocess.run(["chattr", "-i", str(report)], check=True)
    check_error(result, str(report), "Operation not permitted")
    assert report.read_bytes() == OLD
    assert os.listdir(folder) == ["report.csv"]


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("x" * 252 + ".csv", "File name too long"),
        ("x" * 300 + "/report.csv", "File name too long"),
        ("loop.csv", "symbolic links"),
        ("loop/report.csv", "symbolic links"),
        ("to-a-loop.csv", "symbolic links"),
        ("socket.csv", "No such device or address"),
    ],
    ids=["name", "folder", "loop", "below-a-loop", "leads-to-a-loop", "socket"],
)
def test_what_the_system_refuses_has_the_systems_words(
    batchcls: Command, one: Path, tmp_path: Path, output: str, part: str
) -> None:
    for name, target in {
        "loop.csv": "loop.csv", "loop": "loop", "to-a-loop.csv": "loop.csv",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(target)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.csv")  # relative, as such a path may not be long
    before = sorted(os.listdir(tmp_path))
    result = batchcls("run", one, "-m", "imagenet", "-o", output)
    assert result.status in {1, 2}
    check_error(result, output[:9], part, status=result.status)
    assert set(os.listdir(tmp_path)) - {"store", "models"} == set(before) - {"store", "models"}


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("dangling.csv", "nowhere"),
        ("file/report.csv", "file"),
        ("folder.csv", "a folder"),
        ("to-a-folder.csv", "a folder"),
        ("folder.csv/", "not a file's name"),
    ],
)
def test_what_can_be_no_place_is_wrong_usage(
    batchcls: Command, one: Path, tmp_path: Path, output: str, part: str
) -> None:
    (tmp_path / "dangling.csv").symlink_to("nowhere/report.csv")
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "to-a-folder.csv").symlink_to("folder.csv")
    result = batchcls("run", one, "-m", "imagenet", "-o", output)
    check_error(result, output, part, status=2)
    assert (tmp_path / "file").read_bytes() == OLD
    assert os.listdir(tmp_path / "folder.csv") == []
    assert os.readlink(tmp_path / "dangling.csv") == "nowhere/report.csv"


def test_the_longest_name_that_can_be_is_one(batchcls: Command, one: Path, tmp_path: Path) -> None:
    name = "x" * 251 + ".csv"
    result = batchcls("run", one, "-m", "imagenet", "-o", name)
    assert result.status == 0, result.err
    assert (tmp_path / name).read_bytes().count(b"\r\n") == 2
    assert not list(tmp_path.glob(".batchcls-*"))


def test_a_limit_on_the_size_of_files_keeps_the_old_report(images: Path, tmp_path: Path) -> None:
    """The system sends a signal then, which must not end the process."""
    folder = tmp_path / "reports"
    folder.mkdir()
    report = old_report(folder)
    result = limited("run", images, "-m", "imagenet", "-o", report, "--scores", file_size=1_000_000)
    check_error(result, str(report), "File too large")
    assert report.read_bytes() == OLD
    assert os.listdir(folder) == ["report.csv"]


def test_a_limit_on_the_size_of_files_that_no_report_reaches_does_no_harm(
    one: Path, tmp_path: Path
) -> None:
    """Whatever else is kept on the way may well be larger than the report."""
    report = tmp_path / "out.csv"
    result = limited("run", one, "-m", "imagenet", "-o", report, "-q", file_size=10_000)
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    assert report.read_bytes().count(b"\r\n") == 2


@pytest.mark.parametrize("state", ["full", "read-only", "missing", "a file", "closed"])
def test_where_nothing_can_be_kept_the_report_is_the_same(
    batchcls: Command, one: Path, tmp_path: Path, request: pytest.FixtureRequest, state: str
) -> None:
    """What is kept for the next run saves time, and is no reason to fail."""
    place = tmp_path / "kept"
    if state in {"full", "read-only"}:
        place = request.getfixturevalue("mount")("kept", "size=4k,nr_inodes=1")
        if state == "read-only":
            make_read_only(place)
    elif state == "a file":
        place.write_bytes(OLD)
    elif state == "closed":
        place = Path("/proc/kept")
    assert batchcls("run", one, "-m", "imagenet", "-o", "expected.csv").status == 0
    result = batchcls(
        "run", one, "-m", "imagenet", "-o", "out.csv", BATCHCLS_STORE_FOLDER=str(place)
    )
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    assert "error" not in result.err
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()


def test_a_full_disk_for_temporary_files_does_no_harm(
    batchcls: Command, one: Path, tmp_path: Path, mount: Mount
) -> None:
    disk = mount("temporary", "size=4k,nr_inodes=1")
    result = batchcls("run", one, "-m", "imagenet", "-o", "out.csv", TMPDIR=str(disk))
    assert result.status == 0, result.err
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 2
