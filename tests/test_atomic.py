"""A file appears whole or not at all, whatever happens to the disk, the folder or the process."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchcls.atomic import AtomicFile, write_atomically
from batchcls.errors import BatchclsError, UsageError

OLD = b"the old report\n"


def python(code: str, *arguments: object, **options: Any) -> Any:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.csv"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_nothing_is_seen_before_the_commit_and_all_of_it_after(report):
    file = AtomicFile(str(report))
    file.write(b"new " * 100_000)
    assert report.read_bytes() == OLD
    file.commit()
    assert report.read_bytes() == b"new " * 100_000
    assert os.listdir(report.parent) == ["report.csv"]


def test_a_reader_never_sees_half_of_it(report):
    versions = {OLD, *(bytes([letter]) * 200_000 for letter in b"abc")}
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(report.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for version in sorted(versions) * 10:
        write_atomically(str(report), version)
    done.set()
    reader.join()
    assert seen <= versions


def test_discarding_leaves_what_was_there_and_nothing_else(report):
    file = AtomicFile(str(report))
    file.write(b"x" * 100_000)
    file.discard()
    file.discard()
    assert report.read_bytes() == OLD
    assert os.listdir(report.parent) == ["report.csv"]


def test_an_error_while_writing_leaves_what_was_there(report):
    with pytest.raises(TypeError):
        write_atomically(str(report), "text")  # type: ignore[arg-type]
    assert report.read_bytes() == OLD
    assert os.listdir(report.parent) == ["report.csv"]


def test_a_full_disk_leaves_what_was_there_and_says_so(full_disk):
    path = full_disk / "report.csv"
    path.write_bytes(OLD)
    with pytest.raises(BatchclsError, match=r"report\.csv: can't be written: No space left"):
        write_atomically(str(path), b"x" * 200_000)
    assert path.read_bytes() == OLD
    assert os.listdir(full_disk) == ["report.csv"]


def test_a_limit_on_the_size_of_files_leaves_what_was_there(report):
    code = """
        import resource, sys
        from batchcls.atomic import write_atomically
        from batchcls.errors import BatchclsError
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write_atomically(sys.argv[1], b"x" * 200_000)
        except BatchclsError as error:
            print(error)
    """
    done = python(code, report)
    assert done.stderr == b""
    assert f"{report}: can't be written: File too large".encode() in done.stdout
    hint = b"What stood there before is untouched. Make room, or name a file elsewhere.\n"
    assert done.stdout.endswith(hint)
    assert report.read_bytes() == OLD
    assert os.listdir(report.parent) == ["report.csv"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_killed_while_it_writes_leaves_what_was_there(report, number):
    code = """
        import sys, time
        from batchcls.atomic import AtomicFile
        file = AtomicFile(sys.argv[1])
        file.write(b"x" * 100_000)
        print("written", flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), report],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert report.read_bytes() == OLD
    others = set(os.listdir(report.parent)) - {"report.csv"}
    assert all(name.startswith(".batchcls-") for name in others)  # no scan takes it for an image


def test_a_folder_that_vanishes_before_the_commit_is_an_error(tmp_path):
    folder = tmp_path / "sub"
    folder.mkdir()
    file = AtomicFile(str(folder / "report.csv"))
    file.write(b"x")
    for name in os.listdir(folder):
        os.unlink(folder / name)
    folder.rmdir()
    with pytest.raises(BatchclsError, match="can't be written: No such file") as caught:
        file.commit()
    assert caught.value.hint == "Name a file elsewhere."


def test_a_folder_put_in_its_place_before_the_commit_is_an_error_and_stays(tmp_path):
    path = tmp_path / "report.csv"
    file = AtomicFile(str(path))
    file.write(b"x")
    path.mkdir()
    with pytest.raises(BatchclsError, match="can't be written: Is a directory"):
        file.commit()
    assert os.listdir(tmp_path) == ["report.csv"]


@pytest.mark.parametrize(
    "name", ["", "sub", "sub/", "new/", ".", "..", "sub/..", "a\0b", "no/x.csv"]
)
def test_a_place_that_cannot_be_a_file_is_a_usage_error_at_once(tmp_path, name):
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError) as caught:
        AtomicFile(name)
    assert caught.value.message.isprintable()
    assert os.listdir(tmp_path) == ["sub"]


def test_a_file_for_a_folder_is_an_error(report):
    with pytest.raises(UsageError, match="does not exist"):
        AtomicFile(str(report / "x.csv"))


def test_a_link_stays_and_what_it_points_to_is_replaced(report, tmp_path):
    (tmp_path / "web").mkdir()
    link = tmp_path / "web/latest.csv"
    link.symlink_to("../report.csv")
    write_atomically(str(link), b"new")
    assert os.readlink(link) == "../report.csv"
    assert report.read_bytes() == b"new"
    assert os.listdir(tmp_path / "web") == ["latest.csv"]


def test_a_dangling_link_gets_its_file(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_atomically("link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o666, 0o444])
def test_the_mode_of_the_old_file_is_kept_whatever_the_umask(report, mode):
    report.chmod(mode)
    before = os.umask(0o077)
    try:
        write_atomically(str(report), b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(report.stat().st_mode) == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically("new.csv", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.csv").stat().st_mode) == mode


def test_the_owner_of_the_old_file_is_kept_where_that_is_allowed(report):
    try:
        os.chown(report, 12345, 23456)
    except PermissionError:
        pytest.skip("needs the right to give files away")
    report.chmod(0o600)
    write_atomically(str(report), b"new")
    status = report.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o600)


def test_a_folder_that_may_not_be_written_to_is_an_error_and_the_old_file_stays(report):
    """As a user without rights, since root may write anywhere."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    report.parent.chmod(0o755)
    code = """
        import os, sys
        from batchcls.atomic import write_atomically
        from batchcls.errors import BatchclsError
        os.setgid(65534)
        os.setuid(65534)
        try:
            write_atomically("report.csv", b"new")
        except BatchclsError as error:
            print(error)
    """
    done = python(code, cwd=report.parent)
    told = (
        b"report.csv: can't be written: Permission denied\n"
        b"What stood there before is untouched. Name a file elsewhere.\n"
    )
    assert done.stdout == told, done.stderr
    assert report.read_bytes() == OLD


ASK = """
    import os, sys
    from batchcls.atomic import AtomicFile
    from batchcls.errors import BatchclsError
    if len(sys.argv) > 1:
        os.setgid(int(sys.argv[1]))
        os.setuid(int(sys.argv[1]))
    try:
        file = AtomicFile("report.csv")
    except BatchclsError as error:
        print(error)
    else:
        file.write(b"new")
        file.commit()
"""
NOT_PERMITTED = (
    "report.csv: can't be written: Operation not permitted\n"
    "What stood there before is untouched. Name a file elsewhere.\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell at the end")
def test_another_users_file_in_a_folder_for_all_is_an_error_before_the_work():
    if os.geteuid() != 0:
        pytest.skip("needs root, to become other users")
    with tempfile.TemporaryDirectory() as folder:  # those of pytest's are closed to others
        os.chmod(folder, 0o1777)
        report = Path(folder) / "report.csv"
        report.write_bytes(OLD)
        os.chown(report, 12345, 12345)
        before = report.stat()
        done = python(ASK, 65534, cwd=folder)
        assert done.stdout.decode() == NOT_PERMITTED, done.stderr
        assert report.read_bytes() == OLD
        assert report.stat().st_ctime_ns == before.st_ctime_ns
        assert os.listdir(folder) == ["report.csv"]
        done = python(ASK, 12345, cwd=folder)
        assert (done.stdout, done.stderr) == (b"", b"")
        assert report.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell at the end")
@pytest.mark.parametrize("attribute", ["i", "a"])
def test_a_file_that_was_made_immutable_is_an_error_before_the_work(report, attribute):
    try:
        subprocess.run(["chattr", f"+{attribute}", report], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this file system knows no immutable files, or they need another user")
    before = report.stat()
    try:
        done = python(ASK, cwd=report.parent)
    finally:
        subprocess.run(["chattr", f"-{attribute}", report], check=True)
    assert done.stdout.decode() == NOT_PERMITTED, done.stderr
    assert report.read_bytes() == OLD
    assert report.stat().st_mtime_ns == before.st_mtime_ns
    assert os.listdir(report.parent) == ["report.csv"]


def test_a_device_is_written_to_and_not_replaced():
    write_atomically("/dev/null", b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(BatchclsError) as caught:
        write_atomically("/dev/full", b"x")
    assert caught.value.message == "/dev/full: can't be written: No space left on device"
    assert caught.value.hint == "Make room, or name a file elsewhere."


def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    write_atomically("pipe", b"new")
    reader.join()
    assert got == [b"new"]
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


STDOUT_CODE = """
    import sys
    from batchcls.atomic import write_atomically
    from batchcls.errors import BatchclsError
    print("before")
    try:
        write_atomically("-", b"caf\\xe9\\r\\n")
    except BatchclsError as error:
        print(error, file=sys.stderr)
    else:
        print("after")
"""


def test_standard_output_gets_the_bytes_in_order_and_stays_open():
    assert python(STDOUT_CODE).stdout == b"before\ncaf\xe9\r\nafter\n"


def test_a_standard_output_that_is_full_or_closed_is_an_error():
    code = textwrap.dedent(STDOUT_CODE).replace('print("before")', "")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False
        )
    reason = os.strerror(errno.ENOSPC)
    advice = "Let it lead elsewhere, or name a file.\n"
    assert done.stderr.decode() == f"standard output: can't be written: {reason}\n{advice}"
    closed = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" >&-', sys.executable, code], capture_output=True, check=False
    )
    reason = os.strerror(errno.EBADF)
    assert closed.stderr.decode() == f"standard output: can't be written: {reason}\n{advice}"


def test_a_name_that_is_not_utf8_or_not_printable_is_written_and_shown(tmp_path):
    name = os.fsdecode(b"caf\xe9\n.csv")
    write_atomically(name, b"new")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9\n.csv"]
    os.unlink(name)
    os.mkdir(name)
    with pytest.raises(UsageError, match=r"^caf\\xe9\\n\.csv: a folder"):
        write_atomically(name, b"new")
