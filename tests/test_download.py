"""A file with a known SHA-256 arrives whole or not at all, whatever servers and processes do."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchcls import locking
from batchcls.downloading import download as download_module
from batchcls.downloading.alone import alone
from batchcls.downloading.download import DownloadError, Patience, download, lock_path
from batchcls.downloading.partial import Partial, partial_path
from batchcls.errors import BatchclsError, ExitStatus, UsageError

from .servers import (
    Server,
    cut,
    direct,
    drip,
    drip_chunk_size,
    drip_headers,
    end_launched,
    endless,
    eventually,
    finish,
    hang_up,
    launch,
    not_http,
    redirect,
    silent,
    stall,
    status,
    whole,
)

BODY = random.Random(1).randbytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()
OTHER = random.Random(2).randbytes(300_000)
# Where nothing has to time out, no slow machine shall make it.
PATIENT = Patience(connect=60, silence=60, slowest=0)
SHORT = Patience(connect=0.5, silence=0.5, slowest=1500, window=0.5, attempts=2)
# Far above what SHORT allows, as a machine may be busy; far below what 300,000 drips would take.
SOON = 60.0


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    direct(monkeypatch)
    monkeypatch.setattr(download_module, "_FIRST_PAUSE", 0.01)
    yield
    end_launched()


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder / "archive.zip"


def get(addresses, target, *, patience=PATIENT, max_bytes=10**6, sha256=SHA, **options):
    if isinstance(addresses, str):
        addresses = [addresses]
    download(
        addresses, str(target), sha256=sha256, max_bytes=max_bytes, patience=patience, **options
    )


def refused(addresses, target, **options):
    """The error of a download that must fail and leave nothing at its path."""
    before = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        get(addresses, target, **options)
    assert time.monotonic() - before < SOON
    assert not target.exists()
    assert str(target) in caught.value.message
    assert caught.value.exit_status == ExitStatus.FAILED
    assert caught.value.hint
    return caught.value


def reason(addresses, target, **options):
    error = refused(addresses, target, **options)
    [(address, said)] = error.reasons
    assert f"{address}: {said}" in error.message
    assert "\n" not in said
    return said


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TestWhole:
    def test_arrives(self, target):
        told = []
        with Server(BODY) as server:
            get(server.url, target, on_progress=lambda done, total: told.append((done, total)))
        assert target.read_bytes() == BODY
        assert left(target) == ["archive.zip"]
        [request] = server.seen
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.headers["User-Agent"].startswith("batchcls/")
        assert "Range" not in request.headers
        assert told[0] == (0, len(BODY))
        assert told[-1] == (len(BODY), len(BODY))
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    @pytest.mark.parametrize("how", [{"length": False}, {"chunked": True}])
    def test_without_a_length(self, target, how):
        told = []
        with Server(BODY, whole(**how)) as server:
            get(server.url, target, on_progress=lambda done, total: told.append((done, total)))
        assert target.read_bytes() == BODY
        assert told[-1] == (len(BODY), None)

    def test_an_empty_file(self, target):
        with Server(b"") as server:
            get(server.url, target, sha256=hashlib.sha256(b"").hexdigest())
        assert target.read_bytes() == b""

    def test_what_is_there_already_is_left_alone(self, target):
        target.write_bytes(BODY)
        with Server(OTHER) as server:
            get(server.url, target, sha256=SHA.upper())
        assert server.seen == []

    def test_what_is_there_but_wrong_is_replaced(self, target):
        target.write_bytes(OTHER)
        with Server(BODY) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_what_is_there_but_wrong_stays_until_then(self, target):
        target.write_bytes(OTHER)
        with Server(BODY, status(404)) as server, pytest.raises(DownloadError):
            get(server.url, target)
        assert target.read_bytes() == OTHER

    def test_raw_bytes_count_whatever_they_are_said_to_be(self, target):
        with Server(BODY, whole(encoding="gzip")) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_a_file_that_was_packed_on_the_way_is_not_the_file(self, target):
        packed = gzip.compress(BODY)
        with Server(packed, whole(encoding="gzip")) as server:
            assert "encoded: gzip" in reason(server.url, target)

    def test_in_the_folder_one_is_in(self, target, monkeypatch):
        monkeypatch.chdir(target.parent)
        with Server(BODY, cut(1000), whole()) as server:
            get(server.url, Path("archive.zip"))
        assert left(target) == ["archive.zip"]


class TestResuming:
    def test_in_the_same_call(self, target):
        said, told = [], []
        with Server(BODY, cut(100_000), cut(50_000), whole()) as server:
            get(
                server.url,
                target,
                say=said.append,
                on_progress=lambda done, total: told.append((done, total)),
            )
        assert target.read_bytes() == BODY
        assert left(target) == ["archive.zip"]
        assert [request.headers.get("Range") for request in server.seen] == [
            None,
            "bytes=100000-",
            "bytes=150000-",
        ]
        assert server.seen[1].headers["If-Range"] == '"one"'
        assert sum(request.sent for request in server.seen) == len(BODY)
        assert len(said) == 2
        assert "the connection was cut after 100,000 of 300,000 bytes; trying again" in said[0]
        assert {total for _, total in told} == {len(BODY)}
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_in_a_later_call(self, target):
        with Server(BODY, cut(100_000)) as server:
            error = refused(server.url, target, patience=Patience(60, 60, 0, attempts=1))
            assert "100,000 bytes, is kept" in error.hint
            assert left(target) == [".archive.zip.partial", ".archive.zip.partial.json"]
            server.plan = [whole()]
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert server.seen[1].headers["Range"] == "bytes=100000-"
        assert (server.seen[1].status, server.seen[1].sent) == (206, len(BODY) - 100_000)
        assert left(target) == ["archive.zip"]

    def test_after_ctrl_c(self, target):
        def interrupt(done, _total):
            if done > 100_000:
                raise KeyboardInterrupt

        with Server(BODY) as server:
            with pytest.raises(KeyboardInterrupt):
                get(server.url, target, on_progress=interrupt)
            kept = Path(partial_path(str(target))).stat().st_size
            assert kept > 100_000
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert server.seen[1].headers["Range"] == f"bytes={kept}-"

    @pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
    @pytest.mark.parametrize("after", [None, 0, 200_000])
    def test_a_silent_server_does_not_hold_up_ctrl_c(self, target, after):
        with Server(BODY, silent if after is None else stall(after)) as server:
            process = start(server.url, target, quiet=True)
            partial = Path(partial_path(str(target)))
            eventually(lambda: bool(server.seen) and (not after or partial.exists()), "the request")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SOON)  # its patience would be 120 s
        assert process.returncode == -signal.SIGINT
        assert not target.exists()
        assert not Path(lock_path(str(target))).exists()

    def test_after_being_killed(self, target):
        with Server(BODY, stall(200_000), whole()) as server:
            process = start(server.url, target)
            partial = Path(partial_path(str(target)))
            eventually(
                lambda: partial.exists() and partial.stat().st_size == 200_000, "200,000 bytes"
            )
            process.kill()
            process.communicate(timeout=60)
            assert not target.exists()
            assert Path(lock_path(str(target))).exists()
            finish(start(server.url, target))
        assert target.read_bytes() == BODY
        assert server.seen[1].headers["Range"] == "bytes=200000-"
        assert server.seen[1].sent == len(BODY) - 200_000
        assert left(target) == ["archive.zip"]

    def test_killed_between_the_last_byte_and_the_renaming(self, target):
        interrupted(target, BODY, len(BODY))
        with Server(BODY) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert server.seen == []

    def test_the_same_but_for_a_length_that_nobody_told(self, target):
        interrupted(target, BODY, None)
        with Server(BODY) as server:
            get(server.url, target)
        assert [request.status for request in server.seen] == [416]
        assert target.read_bytes() == BODY

    def test_a_partial_file_that_is_longer_than_the_file(self, target):
        interrupted(target, BODY + b"more", None)
        with Server(BODY) as server:
            get(server.url, target)
        assert [request.status for request in server.seen] == [416, 200]
        assert target.read_bytes() == BODY

    def test_a_partial_file_that_is_longer_than_allowed(self, target):
        interrupted(target, bytes(2 * 10**6), None)
        with Server(BODY) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_ranges_ignored(self, target):
        with Server(BODY, cut(100_000, ranges=False), whole(ranges=False)) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert server.seen[1].headers["Range"] == "bytes=100000-"
        assert (server.seen[1].status, server.seen[1].sent) == (200, len(BODY))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"etag": '"one"'}, {"etag": '"two"'}),
            (
                {"etag": 'W/"weak"', "modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
                {"etag": 'W/"weak"', "modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
            ),
        ],
    )
    def test_a_file_that_changed_meanwhile(self, target, before, after):
        with Server(BODY, cut(100_000, body=OTHER, **before), whole(**after)) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert server.seen[1].headers["If-Range"] in before.values()
        assert server.seen[1].status == 200

    def test_a_file_that_changed_and_the_server_does_not_say_so(self, target):
        said = []
        sly = {"etag": None}
        with Server(BODY, cut(100_000, body=OTHER, **sly), whole(**sly)) as server:
            get(server.url, target, say=said.append)
        assert target.read_bytes() == BODY
        assert [request.status for request in server.seen] == [200, 206, 200]
        assert "If-Range" not in server.seen[1].headers
        assert "not the right file" in said[1]
        assert "once more from the start" in said[1]

    def test_what_was_resumed_and_wrong_is_fetched_once_more_and_no_more(self, target):
        with Server(OTHER, cut(100_000), whole()) as server:
            assert "not the right file" in reason(server.url, target)
        assert [request.status for request in server.seen] == [200, 206, 200]
        assert left(target) == []

    def test_a_file_of_another_size_is_another_file(self, target):
        with Server(BODY, cut(100_000, body=OTHER[:-1], etag=None), whole(etag=None)) as server:
            get(server.url, target)
        assert [request.status for request in server.seen] == [200, 206, 200]
        assert target.read_bytes() == BODY

    @pytest.mark.parametrize(
        "lie",
        [
            f"bytes 0-{len(BODY) - 1}/{len(BODY)}",
            f"bytes 99999-{len(BODY) - 1}/{len(BODY)}",
            f"bytes 100000-{len(BODY)}/{len(BODY)}",
            "bytes 100000-99999/300000",
            f"bytes 100000-{len(BODY) - 1}/{len(BODY) + 1}",
            f"100000-{len(BODY) - 1}",
            "bytes */300000",
            "nonsense",
        ],
    )
    def test_a_part_that_was_not_asked_for_is_not_used(self, target, lie):
        with Server(BODY, cut(100_000), whole(content_range=lie)) as server:
            get(server.url, target)
        assert [request.status for request in server.seen] == [200, 206, 200]
        assert target.read_bytes() == BODY

    def test_a_part_where_the_whole_was_asked_for(self, target):
        with Server(BODY, status(206, Content_Range="bytes 0-9/10")) as server:
            assert "part of the file" in reason(server.url, target)

    def test_a_total_that_is_not_told(self, target):
        with Server(BODY, cut(10), whole(content_range=f"bytes 10-{len(BODY) - 1}/*")) as server:
            get(server.url, target)
        assert [request.status for request in server.seen] == [200, 206]
        assert target.read_bytes() == BODY

    def test_an_answer_without_a_length_that_was_cut_off(self, target):
        with Server(BODY, cut(100_000, length=False), whole(length=False)) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_a_chunked_answer_that_was_cut_off(self, target):
        with Server(BODY, cut(0, chunked=True), whole()) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_from_another_address(self, target):
        with (
            Server(BODY, cut(100_000), status(404)) as first,
            Server(BODY, whole(etag='"of another"')) as second,
        ):
            get([first.url, second.url], target)
        assert target.read_bytes() == BODY
        assert second.seen[0].headers["Range"] == "bytes=100000-"
        assert "If-Range" not in second.seen[0].headers
        assert second.seen[0].sent == len(BODY) - 100_000

    def test_what_came_for_another_sha256_is_dropped(self, target):
        interrupted(target, OTHER[:1000], len(OTHER), sha256=hashlib.sha256(OTHER).hexdigest())
        with Server(BODY) as server:
            get(server.url, target)
        assert "Range" not in server.seen[0].headers

    @pytest.mark.parametrize("note", [b"", b"{", b"\xff", b'{"sha256": 3}', None])
    def test_a_note_that_is_broken_or_lost(self, target, note):
        interrupted(target, BODY[:1000], len(BODY))
        path = Path(f"{partial_path(str(target))}.json")
        path.unlink() if note is None else path.write_bytes(note)
        with Server(BODY) as server:
            get(server.url, target)
        assert "Range" not in server.seen[0].headers
        assert left(target) == ["archive.zip"]

    @pytest.mark.parametrize("tag", ['"a\ttag"', '"\xe9"', '"' + "x" * 300 + '"'])
    def test_an_etag_that_could_not_be_sent_back(self, target, tag):
        with Server(BODY, cut(1000, etag=tag), whole(etag=tag)) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert "If-Range" not in server.seen[1].headers

    def test_a_line_that_breaks_often_but_gets_on(self, target):
        megabyte = 2**20
        body = random.Random(3).randbytes(5 * megabyte + 1)
        with Server(body, cut(megabyte)) as server:
            get(
                server.url,
                target,
                sha256=hashlib.sha256(body).hexdigest(),
                max_bytes=len(body),
                patience=Patience(60, 60, 0, attempts=2),
            )
        assert len(server.seen) == 6
        assert target.read_bytes() == body

    def test_a_line_that_breaks_often_and_starts_anew_each_time_comes_to_an_end(self, target):
        megabyte = 2**20
        body = random.Random(3).randbytes(3 * megabyte)
        with Server(body, cut(2 * megabyte, ranges=False)) as server:
            refused(
                server.url,
                target,
                sha256=hashlib.sha256(body).hexdigest(),
                max_bytes=len(body),
                patience=Patience(60, 60, 0, attempts=2),
            )
        assert len(server.seen) == 2


class TestWrong:
    def test_another_file(self, target):
        with Server(OTHER) as server:
            said = reason(server.url, target)
        assert hashlib.sha256(OTHER).hexdigest() in said
        assert SHA in said
        assert "300,000 bytes, application/zip" in said
        assert len(server.seen) == 1
        assert left(target) == []

    def test_declared_too_large(self, target):
        with Server(BODY) as server:
            assert "too large: 300,000 bytes" in reason(server.url, target, max_bytes=299_999)
        assert left(target) == []

    def test_declared_absurdly_large(self, target):
        with Server(BODY, stall(1000, declared=10**13)) as server:
            assert "too large" in reason(server.url, target)
        assert left(target) == []

    def test_the_rest_is_too_large(self, target):
        interrupted(target, BODY[:1000], None)
        with Server(BODY) as server:
            assert "too large" in reason(server.url, target, max_bytes=299_999)
        assert left(target) == []

    def test_endless(self, target):
        with Server(BODY, endless) as server:
            assert "too large" in reason(server.url, target)
            assert server.seen[0].sent < 20 * 10**6  # what lies in buffers, no more
        assert left(target) == []

    def test_as_large_as_allowed(self, target):
        with Server(BODY, whole(length=False)) as server:
            get(server.url, target, max_bytes=len(BODY))
        assert target.read_bytes() == BODY


class TestStatus:
    @pytest.mark.parametrize(
        ("number", "said", "tries"),
        [
            (404, "404 Not Found", 1),
            (403, "403 Forbidden", 1),
            (410, "410 Gone", 1),
            (204, "204 No Content", 1),
            (304, "304 Not Modified", 1),
            (599, "599", 3),
            (429, "429 Too Many Requests", 3),
            (500, "500 Internal Server Error", 3),
            (503, "503 Service Unavailable", 3),
        ],
    )
    def test_is_told(self, target, number, said, tries):
        with Server(BODY, status(number)) as server:
            assert reason(server.url, target) == said
        assert len(server.seen) == tries

    def test_a_fault_that_passes(self, target):
        with Server(BODY, status(500), status(429), whole()) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_a_page_where_the_file_was(self, target):
        page = b"<html>Sign in to this hotel's network</html>"
        with Server(page, whole()) as server:
            assert "44 bytes" in reason(server.url, target)


class TestSlow:
    @pytest.mark.parametrize(
        ("behaviour", "said"),
        [
            (silent, "silent for 0.5 s"),
            (stall(0), "silent for 0.5 s"),
            (stall(1000), "silent for 0.5 s"),
            (drip, "too slow: "),
            (drip_headers, "no answer within 1 s"),
            (drip_chunk_size, "silent for 0.5 s"),
        ],
        ids=["silent", "headers", "some", "drip", "drip headers", "drip chunk size"],
    )
    def test_ends_within_the_patience(self, target, behaviour, said):
        with Server(BODY, behaviour) as server:
            assert said in reason(server.url, target, patience=SHORT)

    def test_a_drip_that_is_no_byte_of_the_file_ends_where_any_speed_will_do(self, target):
        patience = Patience(0.5, 0.5, slowest=0, attempts=1)
        with Server(BODY, drip_chunk_size) as server:
            said = reason(server.url, target, patience=patience)
        assert said == "silent for 0.5 s after 0 bytes"

    def test_what_came_before_the_silence_is_kept(self, target):
        with Server(BODY, stall(100_000), whole()) as server:
            get(server.url, target, patience=Patience(60, 1, 0))
        assert [request.headers.get("Range") for request in server.seen] == [None, "bytes=100000-"]
        assert target.read_bytes() == BODY

    def test_slow_but_fast_enough(self, target):
        with Server(BODY[:80_000], whole(every=0.1)) as server:
            get(
                server.url,
                target,
                sha256=hashlib.sha256(BODY[:80_000]).hexdigest(),
                patience=Patience(60, 60, slowest=100, window=0.3),
            )

    def test_a_slow_disk_is_not_the_servers_fault(self, target):
        with Server(BODY) as server:
            get(
                server.url,
                target,
                patience=Patience(60, 60, slowest=10**9, window=0.05),
                on_progress=lambda done, _: time.sleep(0.1 if done < 200_000 else 0),
            )
        assert target.read_bytes() == BODY

    def test_a_name_that_takes_for_ever_to_resolve(self, target, monkeypatch):
        with Server(BODY) as server:

            def resolve(*_arguments, **_options):
                server.closing.wait(60)
                raise socket.gaierror(socket.EAI_AGAIN, "Try again")

            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            said = reason("http://name.invalid/a.zip", target, patience=SHORT)
        assert said == "no answer within 1 s"


class TestUnreachable:
    def test_nobody_listens(self, target):
        said = reason(f"http://127.0.0.1:{closed_port()}/a.zip", target)
        assert said == os.strerror(111) if sys.platform == "linux" else said

    def test_no_route(self, target):
        # A connection to the broadcast address fails before a packet is sent.
        assert reason("http://255.255.255.255/a.zip", target, patience=SHORT)

    def test_no_such_name(self, target, monkeypatch):
        def resolve(*_arguments, **_options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        said = reason("http://name.invalid/a.zip", target)
        assert said == "its name can't be resolved: Name or service not known"

    def test_hangs_up(self, target):
        with Server(BODY, hang_up) as server:
            assert "the connection was cut" in reason(server.url, target)
        assert len(server.seen) == 3

    def test_speaks_another_protocol(self, target):
        with Server(BODY, not_http) as server:
            assert "mail.example" in reason(server.url, target)

    def test_no_tls(self, target):
        with Server(BODY) as server:
            assert "TLS: " in reason(server.url.replace("http:", "https:"), target)

    @pytest.mark.parametrize("address", ["http://127.0.0.1:99999/a", "http://a..b/", "http://*/"])
    def test_an_address_that_turns_out_to_be_none(self, target, address):
        assert reason(address, target)

    @pytest.mark.parametrize(
        "address",
        [
            *("", "a.zip", "/etc/passwd", "file:///etc/passwd", "ftp://127.0.0.1/a", "http://"),
            *("http:///a", "http://[::1/a", "data:,a", "javascript:1"),
        ],
    )
    def test_only_http_and_https(self, target, address):
        with pytest.raises(UsageError) as caught:
            get(["http://127.0.0.1/a", address], target)
        assert caught.value.hint
        assert left(target) == []

    def test_no_address(self, target):
        with pytest.raises(UsageError, match="no address"):
            get([], target)

    def test_passwords_are_not_told(self, target):
        address = f"http://user:secret@127.0.0.1:{closed_port()}/a.zip?key=secret"
        said = []
        error = refused([address, address], target, say=said.append)
        assert "secret" not in f"{error}{said}"

    def test_passwords_are_not_kept(self, target):
        with Server(BODY, cut(1000)) as server:
            refused(server.url.replace("//", "//user:secret@"), target)
            assert server.seen[0].headers["Authorization"].startswith("Basic ")
        for path in target.parent.iterdir():
            assert b"secret" not in path.read_bytes()


class TestMirrors:
    def test_the_first_that_works(self, target):
        said = []
        with (
            Server(BODY, status(404)) as missing,
            Server(OTHER) as wrong,
            Server(BODY) as right,
            Server(BODY) as unneeded,
        ):
            get([one.url for one in (missing, wrong, right, unneeded)], target, say=said.append)
        assert target.read_bytes() == BODY
        assert unneeded.seen == []
        assert len(said) == 2
        assert f"404 Not Found; trying {wrong.url}" in said[0]

    def test_all_their_reasons_are_told(self, target):
        with Server(BODY, status(404)) as missing, Server(BODY, status(403)) as forbidden:
            error = refused([missing.url, forbidden.url], target)
        assert error.reasons == (
            (missing.url, "404 Not Found"),
            (forbidden.url, "403 Forbidden"),
        )
        assert str(error).splitlines()[1:3] == [f"{url}: {why}" for url, why in error.reasons]

    def test_a_silent_one_is_passed_over(self, target):
        with Server(BODY, silent) as first, Server(BODY) as second:
            get(
                [first.url, second.url],
                target,
                patience=Patience(connect=60, silence=1, slowest=0, attempts=1),
            )
        assert target.read_bytes() == BODY


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "certificate.pem"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("this openssl makes no such certificate")
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


class TestTLS:
    def test_a_certificate_that_nobody_vouches_for(self, target, tls):
        with Server(BODY, tls=tls) as server:
            said = reason(server.url, target)
        assert said.startswith("TLS: ")
        assert "self" in said
        assert server.seen == []

    def test_the_certificates_of_the_environment(self, target, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        with Server(BODY, cut(1000), whole(), tls=tls) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY

    def test_certificates_that_are_not_there(self, target, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "missing.pem")
        assert "missing.pem" in reason(f"https://127.0.0.1:{closed_port()}/a", target)

    def test_never_from_https_down_to_http(self, target, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        with Server(BODY) as plain, Server(BODY, redirect(plain.url), tls=tls) as server:
            assert reason(server.url, target) == f"redirected from https to {plain.url}"
        assert plain.seen == []

    def test_from_http_up_to_https(self, target, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
        with Server(BODY, tls=tls) as safe, Server(BODY, redirect(safe.url)) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY


class TestRedirects:
    @pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
    def test_are_followed(self, target, number):
        with Server(BODY) as there, Server(BODY, redirect(there.url, number)) as here:
            get(here.url, target)
        assert target.read_bytes() == BODY

    def test_relative_ones(self, target):
        with Server(BODY, redirect("../elsewhere.zip"), whole()) as server:
            get(server.url, target)
        assert server.seen[1].path == "/elsewhere.zip"

    def test_the_range_goes_along(self, target):
        with Server(BODY, cut(1000), whole()) as there, Server(BODY, redirect(there.url)) as here:
            get(here.url, target)
        assert there.seen[1].headers["Range"] == "bytes=1000-"
        assert there.seen[1].sent == len(BODY) - 1000

    def test_in_a_circle(self, target):
        with Server(BODY, redirect("/files/archive.zip")) as server:
            assert reason(server.url, target) == "redirected more than 10 times"
        assert len(server.seen) == 11

    @pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http://[/"])
    def test_to_nothing_but_http(self, target, to):
        with Server(BODY, redirect(to)) as server:
            assert "redirect" in reason(server.url, target)
        assert len(server.seen) == 1

    def test_with_an_endless_body(self, target):
        def to_the_file(handler):
            handler.head(302, Location="/file")
            while not handler.server.closing.is_set():
                handler.send_body(bytes(2**16))

        with Server(BODY, to_the_file, whole()) as server:
            get(server.url, target)
            eventually(lambda: server.seen[1].sent == len(BODY), "the file")
            assert server.seen[0].sent < 20 * 10**6  # what lies in buffers, no more
        assert target.read_bytes() == BODY

    def test_beyond_ascii(self, target):
        with Server(BODY, redirect("/d\xc3\xa9j\xc3\xa0.zip"), whole()) as server:
            get(server.url, target)
        assert server.seen[1].path == "/d%C3%A9j%C3%A0.zip"

    def test_to_nowhere(self, target):
        with Server(BODY, status(302)) as server:
            assert reason(server.url, target) == "a redirect that leads nowhere"

    def test_passwords_do_not_go_along(self, target):
        with Server(BODY) as there, Server(BODY, redirect(there.url)) as here:
            get(here.url.replace("//", "//user:secret@"), target)
        assert "Authorization" in here.seen[0].headers
        assert "Authorization" not in there.seen[0].headers


class TestProxies:
    @pytest.fixture(autouse=True)
    def no_exceptions(self, monkeypatch):
        monkeypatch.delenv("NO_PROXY")

    def test_the_proxy_of_the_environment_is_used(self, target, monkeypatch):
        with Server(BODY, cut(1000), whole()) as proxy:
            monkeypatch.setenv("http_proxy", proxy.origin)
            get("http://files.invalid/archive.zip", target)
        assert target.read_bytes() == BODY
        assert [one.path for one in proxy.seen] == ["http://files.invalid/archive.zip"] * 2

    def test_for_https_it_is_asked_for_a_tunnel(self, target, monkeypatch):
        with Server(BODY, status(403)) as proxy:
            monkeypatch.setenv("https_proxy", proxy.origin)
            said = reason("https://files.invalid/archive.zip", target)
        assert said.startswith("the proxy can't be used: ")
        assert "403" in said
        [request] = proxy.seen
        assert (request.method, request.path) == ("CONNECT", "files.invalid:443")

    def test_a_proxy_that_is_not_there(self, target, monkeypatch):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        said = reason("http://files.invalid/archive.zip", target)
        assert said.startswith("the proxy can't be used: ")

    def test_hosts_without_proxy(self, target, monkeypatch):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Server(BODY) as server:
            get(server.url, target)
        assert target.read_bytes() == BODY


class TestProcesses:
    def test_two_at_once_fetch_once(self, target):
        with Server(BODY, whole(every=0.02)) as server:
            processes = [start(server.url, target) for _ in range(2)]
            for process in processes:
                finish(process)
        assert target.read_bytes() == BODY
        assert left(target) == ["archive.zip"]
        assert len(server.seen) == 1

    def test_many_at_once_at_a_line_that_breaks(self, target):
        with Server(BODY, cut(100_000), cut(100_000), whole()) as server:
            processes = [start(server.url, target) for _ in range(5)]
            for process in processes:
                finish(process)
        assert target.read_bytes() == BODY
        assert left(target) == ["archive.zip"]

    def test_one_that_hangs_is_not_waited_for(self, target):
        said = []
        with Server(BODY, stall(100_000), whole()) as server:
            process = start(server.url, target)
            try:
                partial = Path(partial_path(str(target)))
                eventually(
                    lambda: partial.exists() and partial.stat().st_size == 100_000, "its bytes"
                )
                get(server.url, target, patience=Patience(0.5, 0.5, 0), say=said.append)
            finally:
                process.kill()
                process.communicate(timeout=60)
        assert target.read_bytes() == BODY
        assert said[0] == "Another process is at it; waiting for that."
        assert len(said) == 2
        # What is the other's was left to it, and nothing else is left.
        assert left(target) == [
            ".archive.zip.lock",
            ".archive.zip.partial",
            ".archive.zip.partial.json",
            "archive.zip",
        ]

    def test_where_there_are_no_locks(self, target, monkeypatch):
        def refuse(_descriptor):
            raise OSError(37, "No locks available")

        monkeypatch.setattr(locking, "_lock", refuse)
        with Server(BODY, cut(1000), whole()) as server:
            get(server.url, target)
            assert server.seen[1].headers["Range"] == "bytes=1000-"
            target.unlink()
            server.plan = [status(404)]
            error = refused(server.url, target)
        assert "kept" not in error.hint
        assert not [name for name in left(target) if "partial" in name]

    def test_the_lock_is_let_go_after_a_failure(self, target):
        with Server(BODY, status(404)) as server:
            refused(server.url, target)
        assert left(target) == []


class TestAlone:
    def held(self, lock, patience=0.3, watched=""):
        return alone(str(lock), watched=str(watched), patience=patience, say=lambda _: None)

    def test_one_at_a_time(self, tmp_path):
        lock = tmp_path / "lock"
        with self.held(lock) as first:
            assert first
            with self.held(lock) as second:
                assert not second
            assert lock.exists()
        assert not lock.exists()
        with self.held(lock) as third:
            assert third

    def test_a_lock_file_that_is_left_over_is_no_lock(self, tmp_path):
        lock = tmp_path / "lock"
        lock.touch()
        with self.held(lock) as held:
            assert held

    def test_no_folder(self, tmp_path):
        with pytest.raises(BatchclsError, match="can't be written"), self.held(tmp_path / "a/lock"):
            pass


class TestWriting:
    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(UsageError, match=r"the folder .+ does not exist"):
            get("http://127.0.0.1/a", tmp_path / "no" / "a.zip")

    def test_a_folder_where_the_file_should_be(self, target):
        target.mkdir()
        with pytest.raises(UsageError, match="not a file's name"):
            get("http://127.0.0.1/a", target)

    @pytest.mark.parametrize("path", ["", ".", "..", "a\0b"])
    def test_a_path_that_is_none(self, path):
        with pytest.raises(UsageError, match="not a file's name"):
            get("http://127.0.0.1/a", path)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
    def test_a_folder_that_may_not_be_written_to(self, target):
        target.parent.chmod(0o500)
        try:
            with pytest.raises(BatchclsError, match="can't be written"):
                get("http://127.0.0.1/a", target)
        finally:
            target.parent.chmod(0o700)

    def test_a_partial_file_that_is_a_folder(self, target):
        Path(partial_path(str(target))).mkdir()
        with pytest.raises(BatchclsError, match=r"archive\.zip\.partial: can't be written"):
            get("http://127.0.0.1/a", target)

    @pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
    def test_a_disk_that_is_full(self, target):
        # The system refuses to let a file grow, as it does where no room is left.
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2)"
        with Server(BODY) as server:
            process = start(server.url, target, first=limit)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 7
        assert "archive.zip" in out
        assert "can't be written: File too large" in out
        assert "make room" in out
        assert left(target) == []

    def test_a_disk_that_fails(self, target, monkeypatch):
        def fail(_descriptor):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("batchcls.downloading.partial.sync", fail)
        with Server(BODY) as server:
            with pytest.raises(BatchclsError, match="Input/output error"):
                get(server.url, target)
            assert not target.exists()
            monkeypatch.undo()
            direct(monkeypatch)
            get(server.url, target)
        assert target.read_bytes() == BODY
        assert len(server.seen) == 1


def test_help_does_not_import_requests():
    code = "import sys, batchcls.downloading.download; print('requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def interrupted(target, data, total, sha256=SHA):
    """Leave what a process that was killed leaves."""
    partial = Partial(str(target), sha256, private=False)
    partial.begin("origin", "", total)
    partial.append(data)
    partial.close()


SCRIPT = """
import sys
{first}
from batchcls.downloading.download import Patience, download
from batchcls.errors import BatchclsError
url, path, sha256 = sys.argv[1:]
try:
    download([url], path, sha256=sha256, max_bytes=10**6, patience=Patience(60, 60, 0))
except BatchclsError as error:
    print(error)
    sys.exit(7)
"""


def start(url, target, first="", *, quiet=False):
    return launch(SCRIPT.format(first=first), url, str(target), SHA, quiet=quiet)
