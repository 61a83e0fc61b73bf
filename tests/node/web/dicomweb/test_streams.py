"""Clients that read slowly, or leave: they keep nothing that others need."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.instances import make_dataset
from tests.node.web.dicomweb.holding import hold, series_url, url
from tests.node.web.sites import Site
from tests.waiting import until

ROWS = 1400
"""Of images that are too large together for what lies between two sockets."""


def large_series(site: Site) -> list[Path]:
    return [hold(site, make_dataset(seed, ROWS)) for seed in range(1, 6)]


@contextmanager
def slow_client(site: Site, path: str, accept: str = "*/*") -> Iterator[socket.socket]:
    """Asks, reads the first bytes of the answer, and no more."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect(("127.0.0.1", site.server.port))
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode()
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        yield client


def open_files(folder: Path) -> list[Path]:
    found = []
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found.append(number.readlink())
    return [one for one in found if one.is_relative_to(folder)]


@pytest.mark.parametrize("accept", ["*/*", "application/zip"])
def test_a_client_that_leaves_leaves_no_file_open(site: Site, accept: str) -> None:
    files = large_series(site)
    folder = files[0].parent
    with slow_client(site, series_url(make_dataset()), accept):
        until(lambda: open_files(folder))
    until(lambda: not open_files(folder))


def test_many_slow_clients_keep_nobody_waiting(site: Site) -> None:
    files = large_series(site)
    path = series_url(make_dataset())
    with (
        slow_client(site, path), slow_client(site, path), slow_client(site, path),
        slow_client(site, path), slow_client(site, path), slow_client(site, path),
        slow_client(site, path), slow_client(site, path),
    ):  # fmt: skip
        answer = site.client.get(url(make_dataset()), headers={"Accept": "application/dicom"})
        assert answer.content == files[0].read_bytes()
        assert site.client.get("/health").status_code in (200, 503)


def test_no_transaction_is_open_while_a_client_reads_slowly(site: Site, tmp_path: Path) -> None:
    large_series(site)
    with slow_client(site, series_url(make_dataset())):
        hold(site, make_dataset(9))
        with closing(sqlite3.connect(tmp_path / "w.db")) as looking:
            busy, _, _ = looking.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy


def test_a_file_that_vanishes_while_it_is_sent_breaks_the_answer_off(site: Site) -> None:
    files = large_series(site)
    with capture_logs() as logs:
        with slow_client(site, series_url(make_dataset())) as client:
            files[-1].unlink()
            received = b"".join(iter(lambda: client.recv(1 << 20), b""))
        assert len(received) < sum(one.stat().st_size for one in files[:-1]) + 5000
        assert not received.endswith(b"--\r\n")
    assert "dicomweb_broken_off" in [one["event"] for one in logs]
