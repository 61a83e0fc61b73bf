"""Associations as devices really negotiate them: what DCMTK and Orthanc take, the node takes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ

from node.config.dimse import IdentitySettings, PeerSettings
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.sender import Peer, Timeouts, echo
from node.dimse.wire.negotiation import plain, read_request, title
from node.dimse.wire.pdus import PduFault
from tests.node.dimse.raw_peer import ABORT, AC, DATA, RELEASE_RP, RELEASE_RQ, RJ, RawPeer, pdu
from tests.node.dimse.raw_peer import image as image_of
from tests.node.dimse.receiving import Node, running_node
from tests.node.dimse.variants import (
    ANSWERS,
    NOT_ACCEPTED,
    REFUSED,
    SERVED,
    SERVED_HERE_ALONE,
    answered,
    asking,
    identity,
    results,
    user,
)
from tests.peers import running_orthanc, running_storescp

QUICK = Timeouts(connect_s=5, negotiation_s=10, response_s=10, network_s=10)


@pytest.mark.parametrize("name", [*SERVED, *SERVED_HERE_ALONE])
def test_what_a_device_says_in_passing_keeps_no_image_out(node: Node, name: str) -> None:
    request = (SERVED | SERVED_HERE_ALONE)[name]
    with RawPeer(node.port) as peer:
        answer = peer.associate(request)
        assert results(answer)[1] == 0
        assert answer[4:68] == request[10:74]  # titles and reserved bytes come back as they came
        assert peer.store(image_of()) == 0x0000
        peer.send(pdu(RELEASE_RQ, bytes(4)))
        assert peer.read()[0] == RELEASE_RP


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_negotiated_is_rejected_with_the_standards_reason_and_named_in_the_log(
    node: Node, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    request, reason = REFUSED[name]
    with RawPeer(node.port) as peer:
        assert peer.rejection(request) == reason
    (line,) = [
        line for line in capfd.readouterr().out.splitlines() if "association_rejected" in line
    ]
    assert "127.0.0.1" in line
    assert "calling" in name or "MODALITY" in line


@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_a_context_that_lacks_a_syntax_is_refused_alone(node: Node, name: str) -> None:
    request, result = NOT_ACCEPTED[name]
    with RawPeer(node.port) as peer:
        assert results(peer.associate(request)) == {1: result}


@pytest.mark.interop
def test_dcmtk_takes_the_same_requests(tmp_path: Path) -> None:
    with running_storescp(tmp_path) as port:
        refused = {name for name, request in SERVED.items() if not _is_accepted(port, request)}
        assert refused == set()
        refused_too = ("other application context", "no application context", "version 2 alone")
        for name in refused_too:
            request, reason = REFUSED[name]
            with RawPeer(port) as peer:
                assert peer.rejection(request) == reason


@pytest.mark.interop
def test_orthanc_takes_the_same_requests(tmp_path: Path) -> None:
    with running_orthanc(tmp_path) as orthanc:
        refused = {
            name for name, request in SERVED.items() if not _is_accepted(orthanc.port, request)
        }
        assert refused == set()


def _is_accepted(port: int, request: bytes) -> bool:
    with RawPeer(port) as peer:
        peer.send(request)
        kind, body = peer.read()
        return kind == AC and results(body)[1] == 0


def test_an_identity_that_is_unknown_counts_as_none_where_users_are_required(
    tmp_path: Path,
) -> None:
    users = tmp_path / "users"
    users.write_text("")
    with running_node(tmp_path / "node", identity=IdentitySettings(users_file=users)) as node:
        for users_item in (identity(9), identity(4), b"\x58\0\0\1\2"):
            with RawPeer(node.port) as peer:
                assert peer.rejection(asking(users=user(users_item))) == (2, 2, 1)


def test_a_title_that_is_none_is_nobodys_that_the_settings_name(tmp_path: Path) -> None:
    named = (PeerSettings(ae_title="M?LLER"), PeerSettings(ae_title="MODALITY"))
    with running_node(tmp_path, accept_any_peer=False, peers=named) as node:
        with RawPeer(node.port) as peer:
            assert peer.rejection(SERVED["umlaut in a title"]) == (1, 1, 3)
        with RawPeer(node.port) as peer:
            peer.associate(SERVED["calling title ends in NUL"])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"CT1".ljust(16), "CT1"),
        (b"  CT 1".ljust(16), "CT 1"),
        (b"CT1" + bytes(13), "CT1"),
        (b"CT1 \0junk", "CT1"),
        ("CTÄ".encode("latin-1"), "CT\ufffd"),
        (bytes(16), ""),
    ],
)
def test_a_title_is_read_without_its_padding(raw: bytes, expected: str) -> None:
    assert title(raw) == expected


def test_pynetdicom_takes_what_was_read() -> None:
    for request in (SERVED | SERVED_HERE_ALONE).values():
        asked = read_request(request[6:])
        decoded = A_ASSOCIATE_RQ()
        decoded.decode(asked.pdu)
        assert decoded.to_primitive().presentation_context_definition_list


# --- as SCU ---------------------------------------------------------------------------------------


@contextmanager
def answering(answer: Any) -> Iterator[int]:
    """A peer that answers one request with what ``answer`` makes of its body, then any C-ECHO."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=_answer_one, args=(listener, answer), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def _answer_one(listener: socket.socket, answer: Any) -> None:
    connection, _ = listener.accept()
    connection.settimeout(20)
    with connection, connection.makefile("rb") as stream:
        while len(head := stream.read(6)) == 6:
            kind, length = struct.unpack(">BxL", head)
            body = stream.read(length)
            if kind == 1:
                connection.sendall(answer(body))
            elif kind == DATA:
                connection.sendall(_echo_response(body))
            elif kind == RELEASE_RQ:
                connection.sendall(pdu(RELEASE_RP, bytes(4)))
            else:
                return


def _echo_response(body: bytes) -> bytes:
    response = struct.pack("<HHLH", 0, 0x0100, 2, 0x8030)
    response += struct.pack("<HHLH", 0, 0x0120, 2, 1)
    response += struct.pack("<HHLH", 0, 0x0800, 2, 0x0101)
    response += struct.pack("<HHLH", 0, 0x0900, 2, 0)
    return pdu(DATA, struct.pack(">LBB", len(response) + 2, body[4], 3) + response)


def _peer(port: int) -> Peer:
    return Peer("pacs", "PACS", "127.0.0.1", port, "WETREAD")


@pytest.mark.parametrize("name", ANSWERS)
def test_an_odd_acceptance_is_one(name: str) -> None:
    with answering(lambda body: answered(body, **ANSWERS[name])) as port:
        assert echo(_peer(port), QUICK) >= 0


def test_an_answer_that_cannot_be_read_is_not_called_the_peers_abort() -> None:
    with answering(lambda body: pdu(AC, bytes(68) + b"\x50\0\xff\xff")) as port:
        with pytest.raises(PeerUnavailable, match="an answer that cannot be read") as caught:
            echo(_peer(port), QUICK)
        assert "aborted the association request" not in str(caught.value)


ENDLESS = bytes(65_536)
MANY = 4096
"""Times 64 KiB: what a peer sends that has announced 4 GiB."""


def _flood(connection: socket.socket, head: bytes) -> int:
    """Announce without end, and send; how many bytes the other side took before it closed."""
    sent = 0
    try:
        connection.sendall(head)
        for _ in range(MANY):
            connection.sendall(ENDLESS)
            sent += len(ENDLESS)
    except OSError:
        return sent
    return sent


@pytest.mark.parametrize(
    ("kind", "is_established"),
    [*((kind, False) for kind in (AC, RJ, DATA, RELEASE_RP, ABORT)), (DATA, True), (ABORT, True)],
)
def test_a_pdu_without_end_is_not_read_by_the_side_that_calls(
    kind: int, is_established: bool
) -> None:
    taken: list[int] = []

    def hostile(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(20)
        with connection, connection.makefile("rb") as stream:
            for pdus in range(1 + is_established):
                _, length = struct.unpack(">BxL", stream.read(6))
                body = stream.read(length)
                if is_established and not pdus:
                    connection.sendall(answered(body))
            taken.append(_flood(connection, struct.pack(">BxL", kind, 0xFFFFFFFF)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=hostile, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(PeerUnavailable, match="4294967295 bytes") as caught:
            echo(_peer(listener.getsockname()[1]), QUICK)
        thread.join(20)
    assert caught.value.fault is PeerFault.ABORTED
    assert taken and taken[0] < MANY * len(ENDLESS) / 8


@pytest.mark.parametrize(
    ("told", "said"), [((1, 1, 7), "1/1/7"), ((2, 3, 6), "2/3/6"), ((9, 0, 255), "9/0/255")]
)
def test_a_rejection_for_any_reason_is_a_rejection(told: tuple[int, int, int], said: str) -> None:
    with answering(lambda body: pdu(RJ, bytes((0, *told)))) as port:
        with pytest.raises(PeerUnavailable, match=said) as caught:
            echo(_peer(port), QUICK)
        assert caught.value.fault is PeerFault.REJECTED


@pytest.mark.parametrize("reserved", [(2, 3), (2, 7), (2, 255), (1, 0), (255, 255)])
def test_an_abort_with_a_reserved_reason_is_an_abort_on_both_sides(
    node: Node, reserved: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    told = pdu(ABORT, bytes((0, 0, *reserved)))
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.send(told)
        assert peer.read() == (0, b"")
    with answering(lambda body: told) as port, pytest.raises(PeerUnavailable) as caught:
        echo(_peer(port), QUICK)
    assert caught.value.fault is PeerFault.ABORTED
    node.server.drain(5)
    output = capfd.readouterr().out
    assert "association_aborted" in output
    assert "fault" not in output and "[error" not in output


def test_an_acceptance_that_lies_about_its_lengths_is_named() -> None:
    with pytest.raises(PduFault, match="lie about their lengths"):
        plain(AC, bytes(68) + b"\x21\0\0\x09\1")
