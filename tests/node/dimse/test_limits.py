"""What a peer can ask for at most, and how it is told."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from node.dimse.association import entrance, lane, limits
from node.dimse.association.limits import TOO_MANY, TOO_MANY_FROM_HOST
from node.dimse.errors import CannotListen
from node.dimse.wire.pdus import PduFault, PduReader
from node.observe import throttle
from node.observe.throttle import ThrottledLog
from tests.instances import incoming
from tests.node.dimse.raw_peer import (
    ABORT,
    COMMAND,
    DATA,
    ECHO,
    LAST,
    RELEASE_RQ,
    Context,
    RawPeer,
    associate_rq,
    data,
    echo_command,
    image,
    pdu,
    pdv,
    store_command,
)
from tests.node.dimse.receiving import running_node
from tests.waiting import until

LOCAL_LIMIT = (2, 3, 2)


@pytest.mark.parametrize(
    ("soft", "hard", "is_raised"),
    [(1024, 4096, True), (1024, -1, True), (4096, 4096, False), (-1, -1, False)],
)
def test_as_many_files_as_the_associations_need_may_be_opened(
    soft: int, hard: int, is_raised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, values: asked.append(values))
    limits.provide_files(64)
    assert asked == []  # 1024 are enough for the default
    limits.provide_files(500)
    needed = limits.FILES_BESIDE + 4 * (500 + limits.SPARE_CONNECTIONS) + 2 * limits.MOST_WAITING
    assert asked == ([(needed, hard)] if is_raised else [])


def test_more_associations_than_the_system_grants_files_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    expected = pytest.raises(CannotListen, match=r"max_associations = 2000 needs 8768 .*NOFILE")
    with expected, running_node(tmp_path, max_associations=2000):
        pass


def test_what_comes_by_the_thousand_is_logged_once_with_its_number(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(throttle.time, "monotonic", lambda: now)
    refusals = ThrottledLog(every_s=10)
    for _ in range(500):
        refusals.warn("connection_refused", TOO_MANY, "host")
    now = 110.0
    refusals.warn("connection_refused", TOO_MANY, "host")
    lines = [line for line in capfd.readouterr().out.splitlines() if "connection_refused" in line]
    assert len(lines) == 2
    assert "times=1" in lines[0].replace(" ", "") or '"times":1' in lines[0].replace(" ", "")
    assert "500" in lines[1]


def test_one_host_cannot_take_all_places_and_is_told_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, max_associations_per_peer=2) as node, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(RawPeer(node.port)).associate()
        with RawPeer(node.port) as third:
            assert third.rejection() == LOCAL_LIMIT
        assert "associations of one host" in capfd.readouterr().out
    # and a place is free again when one ends
    with running_node(tmp_path, max_associations_per_peer=1) as node:
        with RawPeer(node.port) as first:
            first.associate()
        until(lambda: not node.server.associations())
        with RawPeer(node.port) as second:
            second.associate()


def test_beyond_its_limit_a_host_loses_the_connection_that_is_silent_longest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "MOST_WAITING_PER_HOST", 3)
    with running_node(tmp_path) as node, ExitStack() as stack:
        silent = [stack.enter_context(RawPeer(node.port)) for _ in range(3)]
        until(lambda: len(node.server._listening().entrance) == len(silent))
        with RawPeer(node.port) as taken:
            taken.associate()
            assert taken.store(image()) == 0x0000
        newest = stack.enter_context(RawPeer(node.port))
        assert silent[0].read() == (0, b"")
        assert TOO_MANY_FROM_HOST in capfd.readouterr().out
        newest.associate()


def test_the_nodes_own_call_is_let_in_whatever_the_limits_say(tmp_path: Path) -> None:
    with (
        running_node(
            tmp_path, max_associations=1, probe_ae_title="SECRET", accept_any_peer=False
        ) as node,
        RawPeer(node.port) as probe,
        RawPeer(node.port) as other,
    ):
        probe.associate(associate_rq(calling=b"SECRET"))
        assert other.rejection() == (1, 1, 3)


def test_more_presentation_contexts_than_allowed_are_rejected(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, max_contexts=4) as node:
        with RawPeer(node.port) as peer:
            many = associate_rq([Context(number) for number in range(1, 11, 2)])
            assert peer.rejection(many) == (1, 3, 2)
        assert "dimse.max_contexts" in capfd.readouterr().out
        with RawPeer(node.port) as peer:
            peer.associate(associate_rq([Context(number) for number in range(1, 9, 2)]))


# --- sizes ----------------------------------------------------------------------------------------


def test_an_instance_over_the_limit_is_refused_at_its_end_and_the_next_one_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, max_instance_mb=1) as node, RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(image() + bytes(1_200_000)) == 0xA701
        assert "dimse.max_instance_mb" in capfd.readouterr().out
        assert peer.store(image()) == 0x0000
        assert not incoming(node.store)
        assert len(node.records) == 1


def test_an_instance_without_end_is_aborted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, max_instance_mb=1) as node, RawPeer(node.port) as peer:
        peer.associate()
        peer.send(data(pdv(store_command(), COMMAND | LAST)))
        for _ in range(18):
            peer.send(data(pdv(bytes(120_000), 0)))
        assert peer.read()[0] == ABORT
        assert "has no end" in capfd.readouterr().out
        until(lambda: not incoming(node.store))


def test_a_buffer_grows_with_what_arrives_and_not_with_what_is_announced() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        reader = _reader(ours, max_pdu_bytes=64 * 2**20, timeout_s=0.2)
        theirs.sendall(struct.pack(">BBL", DATA, 0, 64 * 2**20) + bytes(100))
        header = reader.read_header()
        with pytest.raises(PduFault, match="in time"):
            reader.read_body(header)
        assert len(reader._buffer) == 64 * 1024
        reader.close()


def _reader(sock: socket.socket, max_pdu_bytes: int, timeout_s: float) -> PduReader:
    """On a Unix socket: the options of TCP do not exist there."""

    class Quiet(socket.socket):
        def setsockopt(self, level: int, *args: Any) -> None:  # type: ignore[override]
            if level != socket.IPPROTO_TCP:
                super().setsockopt(level, *args)

    quiet = Quiet(fileno=sock.detach())
    return PduReader(quiet, max_pdu_bytes, timeout_s)


@pytest.mark.parametrize("length", [1, 6, 65_536, 65_537, 200_000])
def test_a_pdu_of_any_length_is_read_whole(length: int) -> None:
    ours, theirs = socket.socketpair()
    body = bytes(number % 251 for number in range(length))
    with theirs:
        reader = _reader(ours, 2**20, 10)
        sending = threading.Thread(target=theirs.sendall, args=(pdu(DATA, body),))
        sending.start()
        assert bytes(reader.read_body(reader.read_header())) == body
        sending.join()
        reader.close()


def test_a_release_that_announces_a_megabyte_is_refused(tmp_path: Path) -> None:
    with running_node(tmp_path) as node, RawPeer(node.port) as peer:
        peer.associate()
        peer.send(pdu(RELEASE_RQ, b"", length=2**20))
        assert peer.read()[0] == ABORT


# --- times ----------------------------------------------------------------------------------------


def test_a_pdu_that_trickles_in_is_aborted_though_each_byte_is_in_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, pdu_timeout_s=0.5) as node, RawPeer(node.port) as peer:
        peer.associate()
        whole = data(pdv(store_command(), COMMAND | LAST))
        started = time.monotonic()
        trickle(peer, whole)
        assert time.monotonic() - started < 8  # all bytes would take 20 s
        until(lambda: not node.server.associations())
        assert "in time" in capfd.readouterr().out


def trickle(peer: RawPeer, raw: bytes, pause_s: float = 0.1) -> None:
    """Byte by byte, until the node has had enough."""
    peer.socket.settimeout(pause_s)
    for number in range(len(raw)):
        try:
            peer.socket.send(raw[number : number + 1])
            if peer.socket.recv(100) is not None:
                return
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("the node took every byte")


def test_an_association_request_that_trickles_in_is_dropped(tmp_path: Path) -> None:
    with running_node(tmp_path, negotiation_timeout_s=0.5) as node, RawPeer(node.port) as peer:
        trickle(peer, associate_rq())
        until(lambda: not len(node.server._listening().entrance))


def test_an_idle_association_is_aborted_with_a_line_that_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, network_timeout_s=0.4) as node, RawPeer(node.port) as peer:
        peer.associate()
        assert peer.read()[0] in (ABORT, 0)
        until(lambda: not node.server.associations())
        assert "association_idle" in capfd.readouterr().out


def test_a_peer_that_takes_no_answer_ends_its_own_association_alone(tmp_path: Path) -> None:
    """It asks without end and reads nothing: the node must not wait for it for ever."""
    with running_node(tmp_path, pdu_timeout_s=0.3) as node:
        # Connections inherit the small buffer, so that it is full soon.
        node.server._listening().socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with RawPeer(node.port) as peer, RawPeer(node.port) as other:
            other.associate()
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.associate(associate_rq([Context(abstract=ECHO)]))
            asking = data(pdv(echo_command(), COMMAND | LAST)) * 100
            with pytest.raises(ConnectionError):
                for _ in range(400):
                    peer.send(asking)
            assert other.store(image()) == 0x0000


def test_questions_wait_in_the_socket_and_not_in_memory(tmp_path: Path) -> None:
    """A flood of requests is read no faster than it is answered."""
    with running_node(tmp_path) as node, RawPeer(node.port) as peer:
        peer.associate(associate_rq([Context(abstract=ECHO)]))
        (association,) = node.server._listening().active_associations
        sending = threading.Thread(
            target=peer.send, args=(data(pdv(echo_command(), COMMAND | LAST)) * 2000,)
        )
        sending.start()
        most = 0
        for _ in range(2000):
            assert peer.status() == 0
            most = max(most, association.dimse.msg_queue.qsize())
        sending.join()
        assert most <= lane.MAX_WAITING
