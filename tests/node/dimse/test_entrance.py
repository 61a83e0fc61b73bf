"""Connections that have not asked yet: they cost no thread, no place, and no peer its service."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.dimse.association import entrance
from node.dimse.association.connections import Listener
from node.dimse.scu.sender import Peer, Timeouts, echo
from node.dimse.wire import rejections
from tests.node.dimse.raw_peer import (
    ABORT,
    ECHO,
    RELEASE_RQ,
    Context,
    RawPeer,
    associate_rq,
    image,
    pdu,
)
from tests.node.dimse.receiving import Node, running_node
from tests.waiting import until


def listener_of(node: Node) -> Listener:
    return node.server._listening()


def from_elsewhere(node: Node) -> RawPeer:
    """A peer with another address of this machine."""
    return RawPeer(node.port, source="127.0.0.2")


def test_hundreds_that_close_without_asking_keep_nobody_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, negotiation_timeout_s=600) as node:
        threads = threading.active_count()
        for _ in range(400):
            socket.create_connection(("127.0.0.1", node.port), 5).close()
        until(lambda: len(listener_of(node).entrance) == 0)
        assert threading.active_count() == threads
        with from_elsewhere(node) as peer:
            peer.associate()
            assert peer.store(image()) == 0x0000
    assert capfd.readouterr().out.count("connection_without_request") == 1


@pytest.mark.parametrize("sent", [b"\x01", associate_rq()[:5], associate_rq()[:-1]])
def test_one_that_closes_within_its_request_is_forgotten_at_once_and_named(
    tmp_path: Path, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, negotiation_timeout_s=600) as node:
        with RawPeer(node.port) as peer:
            peer.send(sent)
            until(lambda: len(listener_of(node).entrance) == 1)
        until(lambda: len(listener_of(node).entrance) == 0)
        until(lambda: "before the association request was whole" in capfd.readouterr().out)


def test_hundreds_that_are_silent_leave_other_addresses_and_the_nodes_own_call_their_places(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {"negotiation_timeout_s": 600, "probe_ae_title": "PROBE", "max_associations": 4}
    with running_node(tmp_path, **settings) as node, ExitStack() as stack:
        threads = threading.active_count()
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", node.port), 5))
        until(lambda: len(listener_of(node).entrance) == entrance.MOST_WAITING_PER_HOST)
        assert threading.active_count() == threads
        good = stack.enter_context(from_elsewhere(node))
        good.associate()
        assert good.store(image()) == 0x0000
        same = stack.enter_context(RawPeer(node.port))
        same.associate()
        own = Peer("own", "WETREAD", "127.0.0.1", node.port, "PROBE")
        assert echo(own, Timeouts(10, 10, 10, 10)) >= 0
    output = capfd.readouterr().out
    assert "connection_refused" in output and "127.0.0.1" in output


def test_the_oldest_of_the_busiest_address_goes_when_all_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "MOST_WAITING", 4)
    with running_node(tmp_path, negotiation_timeout_s=600) as node, ExitStack() as stack:
        lonely = stack.enter_context(from_elsewhere(node))
        until(lambda: len(listener_of(node).entrance) == 1)
        many = []
        for number in range(4):
            many.append(stack.enter_context(RawPeer(node.port)))
            until(lambda number=number: len(listener_of(node).entrance) == min(number + 2, 4))
        assert many[0].read() == (0, b"")
        lonely.associate()


def test_a_request_waits_its_turn_and_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While as many of one address are negotiated as may be; others do not wait for them."""
    monkeypatch.setattr(entrance, "SPARE_PER_HOST", 1)
    slow, admitted = threading.Event(), threading.Event()
    with running_node(tmp_path, probe_ae_title="PROBE") as node, ExitStack() as stack:
        admit = node.server.admit

        def admit_slowly(session, claim, probe_only):  # type: ignore[no-untyped-def]
            if session.calling_ae == "SLOW":
                admitted.set()
                assert slow.wait(20)
            return admit(session, claim, probe_only)

        node.server.admit = admit_slowly  # type: ignore[method-assign]
        first, second = (stack.enter_context(RawPeer(node.port)) for _ in range(2))
        first.send(associate_rq(calling=b"SLOW"))
        assert admitted.wait(10)
        second.send(associate_rq(calling=b"NEXT"))
        with from_elsewhere(node) as other, RawPeer(node.port) as probe:
            other.associate()
            probe.associate(associate_rq(calling=b"PROBE"))
        assert [one.calling_ae for one in node.server.associations()].count("NEXT") == 0
        slow.set()
        assert first.read()[0] == second.read()[0] == 2
        assert second.store(image()) == 0x0000


def test_who_waits_too_long_for_its_turn_is_told_of_congestion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "SPARE_PER_HOST", 0)
    with running_node(tmp_path, negotiation_timeout_s=0.2) as node, RawPeer(node.port) as peer:
        told = rejections.CONGESTED
        assert peer.rejection() == (told.result, told.source, told.diagnostic) == (2, 3, 1)


def test_a_fault_while_a_request_is_decided_on_lets_nobody_in(
    node: Node, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def admit(*facts: object) -> None:
        raise LookupError("a bug")

    with monkeypatch.context() as patch, RawPeer(node.port) as peer:
        patch.setattr(node.server, "admit", admit)
        told = rejections.FAULT
        assert peer.rejection() == (told.result, told.source, told.diagnostic) == (2, 2, 1)
    assert "negotiation_fault" in capfd.readouterr().out
    until(lambda: len(listener_of(node).entrance) == 0)
    with RawPeer(node.port) as peer:
        peer.associate()


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", pdu(RELEASE_RQ, bytes(4)), bytes(6)])
def test_what_is_no_request_is_aborted_without_a_thread(
    tmp_path: Path, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_node(tmp_path, negotiation_timeout_s=600) as node:
        threads = threading.active_count()
        with RawPeer(node.port) as peer:
            peer.send(sent)
            assert peer.read()[0] == ABORT
            assert threading.active_count() == threads
        until(lambda: len(listener_of(node).entrance) == 0)
        assert "before an association request" in capfd.readouterr().out


def test_an_association_that_is_idle_wakes_no_thread(tmp_path: Path) -> None:
    """Counted by the kernel while another association works; its time-outs still hold."""
    with running_node(tmp_path, network_timeout_s=300) as node, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(RawPeer(node.port)).associate()
        idle = listener_of(node).active_associations
        assert len(idle) == 20
        ids = [one for each in idle for one in (each.native_id, each.dul.native_id)]
        until(lambda: all(association.is_established for association in idle))
        before = settled(ids)
        with RawPeer(node.port) as busy:
            busy.associate(associate_rq([Context(), Context(3, ECHO)]))
            for number in range(100):
                assert busy.store(image(b"1.2.%d" % number), b"1.2.%d" % number) == 0x0000
                assert busy.echo(3) == 0x0000
        assert [switches(one) for one in ids] == before


def settled(ids: list[int]) -> list[int]:
    """Switches of threads that have come to rest."""
    seen: list[list[int]] = [[]]

    def rest() -> bool:
        seen.append([switches(one) for one in ids])
        return seen[-1] == seen[-2]

    until(rest, every_s=0.2)
    return seen[-1]


def switches(thread_id: int) -> int:
    """How often a thread has gone to sleep."""
    status = Path(f"/proc/self/task/{thread_id}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("voluntary_ctxt_switches"))
    return int(line.split()[1])
