"""A mount that does not answer: a file system of a few files, spoken over /dev/fuse by hand.

Files are what ``files`` says. Of a file whose name begins with ``mute-`` no byte is ever read; one
whose name begins with ``lost-`` is not even looked up; a folder ``silent`` is never listed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE = 1, 2, 3, 14, 15, 17, 18
_FLUSH, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = (
    25, 26, 27, 28, 29, 36, 42,
)  # fmt: skip
_ROOT, _SILENT = 1, 2
_HEADER = struct.Struct("=IIQQIIII")
_NODEV_NOSUID, _DETACH = 6, 2


@contextlib.contextmanager
def dead_mount(place: Path, files: Mapping[str, bytes], *, killable: bool = True) -> Iterator[None]:
    """Mount it at ``place`` meanwhile. Skips the test where that can't be done."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        pytest.skip("needs /dev/fuse")
    place.mkdir(exist_ok=True)
    target = os.fsencode(place)
    options = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
    if libc.mount(b"dead", target, b"fuse", _NODEV_NOSUID, options.encode()) != 0:
        os.close(device)
        pytest.skip(f"may not mount: {os.strerror(ctypes.get_errno())}")
    server = os.fork()
    if server == 0:
        try:
            _Server(device, files, killable).run()
        finally:
            os._exit(0)
    os.close(device)
    try:
        yield
    finally:
        os.kill(server, signal.SIGKILL)  # what waits for it gets an error then
        os.waitpid(server, 0)
        libc.umount2(target, _DETACH)


class _Server:
    def __init__(self, device: int, files: Mapping[str, bytes], killable: bool) -> None:
        self._killable = killable
        self._device = device
        self._names = dict(enumerate(files, start=10))
        self._files = files

    def run(self) -> None:
        while True:
            request = os.read(self._device, 1 << 20)
            _, code, unique, node, *_ = _HEADER.unpack_from(request)
            body = request[_HEADER.size :]
            if code == _INTERRUPT:
                if self._killable:
                    self._reply(*struct.unpack_from("=Q", body), errno.EINTR)
                continue
            answer = self._answer(code, node, body)
            if answer is not None:
                self._reply(unique, answer)

    def _reply(self, unique: int, answer: bytes | int) -> None:
        error, body = (answer, b"") if isinstance(answer, int) else (0, answer)
        head = struct.pack("=IiQ", 16 + len(body), -error, unique)
        with contextlib.suppress(OSError):  # it was interrupted
            os.write(self._device, head + body)

    def _answer(  # noqa: PLR0911 - as many as there are requests
        self, code: int, node: int, body: bytes
    ) -> bytes | int | None:
        """Give the body of an answer, an error, or None for silence."""
        if code == _INIT:
            return struct.pack("=IIIIHHIIHHI7I", 7, 31, 65536, 0, 12, 10, 65536, 1, 16, *[0] * 9)
        if code == _LOOKUP:
            return self._lookup(os.fsdecode(body.rstrip(b"\0")))
        if code == _GETATTR:
            return struct.pack("=QII", 1000, 0, 0) + self._attributes(node)
        if code in {_OPEN, _OPENDIR}:
            return struct.pack("=QII", 0, 0, 0)
        if code == _READ:
            name = self._names[node]
            offset, size = struct.unpack_from("=QI", body, 8)
            return None if name.startswith("mute-") else self._files[name][offset : offset + size]
        if code == _READDIR:
            return None if node == _SILENT else self._listing(struct.unpack_from("=Q", body, 8)[0])
        if code == _STATFS:
            return bytes(80)
        if code in {_FLUSH, _RELEASE, _RELEASEDIR}:
            return b""
        return None if code in {_FORGET, _BATCH_FORGET} else errno.ENOSYS

    def _lookup(self, name: str) -> bytes | int | None:
        if name.startswith("lost-"):
            return None
        nodes = {"silent": _SILENT, **{name: node for node, name in self._names.items()}}
        if name not in nodes:
            return errno.ENOENT
        entry = struct.pack("=QQQQII", nodes[name], 0, 1000, 1000, 0, 0)
        return entry + self._attributes(nodes[name])

    def _attributes(self, node: int) -> bytes:
        folder = node in {_ROOT, _SILENT}
        size = 0 if folder else len(self._files[self._names[node]])
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
        now = int(time.time())
        owner = (os.getuid(), os.getgid())
        return struct.pack(
            "=QQQQQQIIIIIIIIII", node, size, 8, now, now, now, 0, 0, 0, mode, 1, *owner, 0, 4096, 0
        )

    def _listing(self, offset: int) -> bytes:
        entries = b""
        names = [(_SILENT, "silent"), *self._names.items()]
        for index, (node, name) in enumerate(names[offset:], start=offset + 1):
            raw = os.fsencode(name)
            kind = stat.S_IFDIR >> 12 if node == _SILENT else stat.S_IFREG >> 12
            entry = struct.pack("=QQII", node, index, len(raw), kind) + raw
            entries += entry + bytes(-len(entry) % 8)
        return entries
