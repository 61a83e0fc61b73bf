"""The association server's manners: who gets in, how much, and how it ends."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.presentation import build_context

from node.config.dimse import PeerSettings
from node.dimse.association.server import AssociationServer
from node.dimse.errors import CannotListen
from storage.errors import DatabaseUnavailable
from storage.records import InstanceRecord
from tests.instances import incoming, make_dataset, write_instance
from tests.node.dimse.raw_peer import Context, RawPeer, associate_rq, image
from tests.node.dimse.receiving import Node, entity, running_node
from tests.waiting import until

VERIFICATION = "1.2.840.10008.1.1"


@contextmanager
def associated(
    node: Node, *contexts: Any, calling: str = "CT1", called: str = "WETREAD"
) -> Iterator[Association]:
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = 10
    wanted = list(contexts) or [build_context(CTImageStorage), build_context(VERIFICATION)]
    association = ae.associate("127.0.0.1", node.port, wanted, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def rejection(association: Association) -> tuple[int, int, int]:
    assert association.is_rejected
    answer: Any = association.acceptor.primitive
    return answer.result, answer.result_source, answer.diagnostic


def test_images_and_echoes_are_served_on_one_association(node: Node, images: list[Path]) -> None:
    with associated(node) as association:
        assert association.send_c_store(images[0]).Status == 0x0000
        assert association.send_c_echo().Status == 0x0000
        assert association.send_c_store(images[1]).Status == 0x0000
    assert len(node.records) == 2


def test_a_released_association_reports_its_studies_once(node: Node, images: list[Path]) -> None:
    study = str(dcmread(images[0]).StudyInstanceUID)
    with associated(node) as association:
        association.send_c_store(images[0])
        assert node.server.open_studies() == {study}
        (info,) = node.server.associations()
        assert (info.calling_ae, info.called_ae, info.host) == ("CT1", "WETREAD", "127.0.0.1")
        assert info.instances == 1
    until(lambda: node.released)
    until(lambda: not node.server.associations())
    time.sleep(0.1)
    assert node.released == [frozenset({study})]
    assert node.server.open_studies() == set()


def test_an_aborted_association_reports_its_studies_too(node: Node, images: list[Path]) -> None:
    with associated(node) as association:
        association.send_c_store(images[0])
        association.abort()
    until(lambda: node.released)
    assert len(node.released[0]) == 1


def test_the_right_host_with_a_known_title_is_let_in_and_no_other(tmp_path: Path) -> None:
    peers = (
        PeerSettings(ae_title="CT1", host="localhost"),
        PeerSettings(ae_title="MR1", host="192.0.2.7"),
        PeerSettings(ae_title="ANY"),
    )
    with running_node(tmp_path, accept_any_peer=False, peers=peers) as node:
        for calling, known in [("CT1", True), ("ANY", True), ("MR1", False), ("NOBODY", False)]:
            with associated(node, calling=calling) as association:
                assert association.is_established is known
                if not known:
                    assert rejection(association) == (1, 1, 3)


def test_another_called_title_is_refused_only_where_it_is_required(tmp_path: Path) -> None:
    with (
        running_node(tmp_path / "lax") as node,
        associated(node, called="OTHER") as association,
    ):
        assert association.is_established
    with (
        running_node(tmp_path / "strict", require_called_ae_title=True) as node,
        associated(node, called="OTHER") as association,
    ):
        assert rejection(association) == (1, 1, 7)


def test_beyond_the_limit_associations_are_rejected_for_the_moment(tmp_path: Path) -> None:
    with running_node(tmp_path, max_associations=2) as node:
        with associated(node) as first, associated(node) as second:
            assert first.is_established
            assert second.is_established
            with associated(node) as third:
                assert rejection(third) == (2, 3, 2)
        until(lambda: not node.server.associations())
        with associated(node) as again:
            assert again.is_established


def test_more_than_ten_associations_work_at_once(tmp_path: Path, images: list[Path]) -> None:
    with running_node(tmp_path / "many") as node:
        ae = AE()
        open_ones = [
            ae.associate("127.0.0.1", node.port, [build_context(CTImageStorage)]) for _ in range(14)
        ]
        assert all(one.is_established for one in open_ones)
        assert len(node.server.associations()) == 14
        for one in open_ones:
            assert one.send_c_store(images[0]).Status == 0x0000
            one.release()


@pytest.mark.parametrize(
    "abstract",
    [
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.5",  # nuclear medicine, retired
        "1.2.840.10008.5.1.4.1.1.66.7",  # label map segmentation
        "1.2.840.10008.5.1.4.34.10",  # RT brachy application setup delivery instruction
        "1.2.840.10008.5.1.4.1.1.999.9",  # a storage class of a later edition
        "1.2.840.10008.5.1.1.30",  # hardcopy colour image, retired
        "1.2.840.10008.5.1.4.34.1",  # RT beams delivery instruction, trial
        "1.3.12.2.1107.5.9.1",  # Siemens CSA non-image
        "1.2.826.0.1.3680043.2.99.1",
    ],
)
def test_standard_retired_future_and_private_storage_is_accepted(
    node: Node, tmp_path: Path, abstract: str
) -> None:
    path = write_instance(tmp_path / "one.dcm", make_dataset(SOPClassUID=UID(abstract)))
    with associated(node, build_context(abstract, ExplicitVRLittleEndian)) as association:
        assert association.send_c_store(path).Status == 0x0000
    assert node.records[0].attributes.sop_class_uid == abstract
    assert (
        node.dataset_bytes(node.records[0])
        == path.read_bytes()[-len(node.dataset_bytes(node.records[0])) :]
    )


@pytest.mark.parametrize(
    "abstract",
    [
        "1.2.840.10008.5.1.4.1.2.2.1",  # study root find
        "1.2.840.10008.5.1.4.1.2.3.1",  # patient/study only find, retired
        "1.2.840.10008.1.20.1",  # storage commitment
        "1.2.840.10008.3.1.2.3.3",  # MPPS
        "1.2.840.10008.5.1.4.31",  # modality worklist
        "1.2.840.10008.5.1.4.1.1.201.2",  # storage management query
        "1.2.840.10008.5.1.4.38.1",  # hanging protocol: belongs to no study
        "1.2.840.10008.5.1.4.39.1",  # color palette
        "1.2.840.10008.5.1.4.1.1.200.1",  # defined procedure protocol
        "1.2.840.10008.1.3.10",  # DICOMDIR
    ],
)
def test_what_is_no_image_storage_is_refused_in_negotiation(node: Node, abstract: str) -> None:
    contexts = [build_context(abstract), build_context(VERIFICATION)]
    with associated(node, *contexts) as association:
        assert association.is_established
        assert [str(one.abstract_syntax) for one in association.accepted_contexts] == [VERIFICATION]
        assert [one.result for one in association.rejected_contexts] == [3]


@pytest.mark.parametrize("syntax", ["98", "52", "53", "54", "55", "56", "58", "59", "61", "65"])
def test_retired_transfer_syntaxes_are_stored_as_they_come(node: Node, syntax: str) -> None:
    uid = b"1.2.840.10008.1.2." + (b"1." if syntax == "98" else b"4.") + syntax.encode()
    with RawPeer(node.port) as peer:
        peer.associate(associate_rq([Context(transfer=(uid,))]))
        assert peer.store(image()) == 0x0000
    assert node.records[0].attributes.transfer_syntax_uid == uid.decode()


def test_an_unknown_transfer_syntax_is_refused_in_negotiation(node: Node) -> None:
    contexts = [
        build_context(CTImageStorage, "1.2.840.113619.5.2"),  # GE private, big endian pixels
        build_context(CTImageStorage, ExplicitVRLittleEndian),
    ]
    with associated(node, *contexts) as association:
        assert [one.result for one in association.rejected_contexts] == [4]
        assert len(association.accepted_contexts) == 1


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([ImplicitVRLittleEndian, ExplicitVRLittleEndian], ExplicitVRLittleEndian),
        ([JPEG2000Lossless, ExplicitVRLittleEndian], JPEG2000Lossless),
        ([ImplicitVRLittleEndian], ImplicitVRLittleEndian),
    ],
)
def test_the_best_proposed_transfer_syntax_is_chosen(
    node: Node, proposed: list[str], chosen: str
) -> None:
    with associated(node, build_context(CTImageStorage, list(proposed))) as association:
        (context,) = association.accepted_contexts
        assert context.transfer_syntax == [chosen]


def test_an_error_comment_says_why_without_patient_data(
    node: Node, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_instance(tmp_path / "bad.dcm", make_dataset(StudyInstanceUID=""))
    with associated(node) as association:
        answer = association.send_c_store(path)
    assert answer.Status == 0xC000
    assert 0 < len(answer.ErrorComment) <= 64
    assert "StudyInstanceUID" in answer.ErrorComment or "Study" in answer.ErrorComment
    assert node.quarantined[0].calling_ae == "CT1"
    output = "".join(capfd.readouterr())
    assert "instance_quarantined" in output
    assert "SECRET" not in output.upper().replace("SECRETS", "")


def test_nothing_of_a_data_set_stands_in_the_log(
    node: Node, images: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = dcmread(images[0])
    with associated(node) as association:
        for path in images:
            association.send_c_store(path)
    until(lambda: node.released)
    output = "".join(capfd.readouterr())
    assert "association_released" in output
    for secret in ("Secret", str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID)):
        assert secret not in output


def test_a_database_away_is_answered_and_the_association_goes_on(
    node: Node, images: list[Path]
) -> None:
    away = True

    def hook(record: InstanceRecord) -> None:
        if away:
            raise DatabaseUnavailable("locked")

    node.sink.append(hook)
    with associated(node) as association:
        assert association.send_c_store(images[0]).Status == 0xA700
        away = False
        assert association.send_c_store(images[0]).Status == 0x0000
    assert len(node.records) == 1


def test_a_taken_port_is_named_with_what_to_do(node: Node) -> None:
    second = AssociationServer(
        entity(ae_title="TWO", port=node.port), node.store, lambda record: None
    )
    with pytest.raises(CannotListen, match=f"{node.port}.*another program has the port"):
        second.start()


def test_an_address_of_another_machine_is_named_with_what_to_do(node: Node) -> None:
    second = AssociationServer(
        entity(ae_title="TWO", host="192.0.2.1"), node.store, lambda record: None
    )
    with pytest.raises(CannotListen, match="no such address"):
        second.start()


# --- draining -------------------------------------------------------------------------------------


def test_draining_rejects_new_associations_and_lets_a_sender_finish(
    tmp_path: Path, images: list[Path]
) -> None:
    with running_node(tmp_path / "drained") as node, associated(node) as sender:
        assert sender.send_c_store(images[0]).Status == 0x0000
        drain = threading.Thread(target=node.server.drain, args=(10,))
        drain.start()
        time.sleep(0.1)
        with associated(node) as late:
            assert rejection(late) == (2, 3, 1)
        assert [sender.send_c_store(path).Status for path in images[1:]] == [0] * 4
        assert drain.is_alive()
        sender.release()
        drain.join(5)
        assert not drain.is_alive()
        assert len(node.records) == 5
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.port), 1)


def test_draining_aborts_what_does_not_end_in_time(tmp_path: Path, images: list[Path]) -> None:
    with running_node(tmp_path / "drained") as node, associated(node) as sender:
        assert sender.send_c_store(images[0]).Status == 0x0000
        started = time.monotonic()
        node.server.drain(0.3)
        assert time.monotonic() - started < 4
        until(lambda: sender.is_aborted)
        assert len(node.released) == 1
        assert node.server.associations() == []


def test_draining_while_a_sender_pushes_loses_nothing_acknowledged(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [write_instance(folder / f"{n}.dcm", make_dataset(n)) for n in range(60)]
    with running_node(tmp_path / "drained") as node, associated(node) as sender:
        drain = threading.Thread(target=node.server.drain, args=(0.15,))
        acknowledged = []
        for number, path in enumerate(paths * 20):
            if number == 20:
                drain.start()
            if not sender.is_established:
                break
            try:
                status = sender.send_c_store(path)
            except RuntimeError:
                break
            if not status:
                break
            if status.Status == 0x0000:
                acknowledged.append(path)
        drain.join(10)
        until(lambda: not sender.is_established)
        assert len(acknowledged) >= 20
        stored = {record.attributes.sop_instance_uid for record in node.records}
        assert {str(dcmread(path).SOPInstanceUID) for path in acknowledged} <= stored


# --- the wire -------------------------------------------------------------------------------------


def raw_association(node: Node, **options: Any) -> socket.socket:
    """A socket on which an association for CT (context 1) is established."""
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    ae = AE(ae_title="RAW")
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = "RAW", "WETREAD"
    context = build_context(CTImageStorage, ExplicitVRLittleEndian)
    context.context_id = 1
    request.presentation_context_definition_list = [context]
    from pynetdicom.pdu_primitives import (
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )

    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = ae.implementation_class_uid
    request.user_information = [length, implementation]
    sock = socket.create_connection(("127.0.0.1", node.port), 5)
    sock.sendall(A_ASSOCIATE_RQ(request).encode())
    kind, _, body = read_pdu(sock)
    assert kind == 0x02
    assert struct.pack(">BBHL", 0x51, 0, 4, 131072) in body
    return sock


def read_pdu(sock: socket.socket) -> tuple[int, int, bytes]:
    header = sock.recv(6, socket.MSG_WAITALL)
    if len(header) < 6:
        return 0, 0, b""
    kind, length = struct.unpack(">BxL", header)
    return kind, length, sock.recv(length, socket.MSG_WAITALL)


def test_a_pdu_longer_than_announced_is_never_read_but_aborted(node: Node) -> None:
    with raw_association(node) as sock:
        sock.sendall(struct.pack(">BBL", 4, 0, 131073) + b"\0" * 1000)
        assert read_pdu(sock)[0] == 0x07
    until(lambda: not node.server.associations())


def test_a_pdu_of_4_gb_is_refused_before_any_association(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.port), 5) as sock:
        sock.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFFF))
        assert read_pdu(sock)[0] == 0x07


def test_a_pdu_of_exactly_the_announced_length_is_read(node: Node) -> None:
    value = b"\x01" + b"\0" * (131072 - 6)  # a command fragment, not the last: too long for one
    with raw_association(node) as sock:
        sock.sendall(struct.pack(">BBLLB", 4, 0, 131072, 131068, 1) + value)
        assert read_pdu(sock)[0] == 0x07
    until(lambda: not node.server.associations())


@pytest.mark.parametrize(
    "pdu",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        struct.pack(">BBL", 4, 0, 10) + b"\xff" * 10,
        struct.pack(">BBLLBB", 4, 0, 6, 2, 1, 3),
        struct.pack(">BBLLBB", 4, 0, 10, 6, 1, 3) + b"\xff" * 4,
        struct.pack(">BBLLBB", 4, 0, 10, 6, 99, 2) + b"data",
    ],
)
def test_nonsense_on_an_association_aborts_it_and_hurts_no_other(
    node: Node, images: list[Path], pdu: bytes
) -> None:
    with associated(node) as other, raw_association(node) as sock:
        sock.sendall(pdu)
        if pdu[0] != 4 or pdu[10] != 99:
            assert read_pdu(sock)[0] == 0x07
        assert other.send_c_store(images[0]).Status == 0x0000


def test_a_connection_that_ends_within_an_instance_leaves_no_file(node: Node) -> None:
    command = store_command(b"1.2.3.4")
    fragment = struct.pack(">BBLLBB", 4, 0, 6 + len(command), 2 + len(command), 1, 3) + command
    data = struct.pack(">BBLLBB", 4, 0, 100_006, 100_002, 1, 0) + b"\0" * 100_000
    with raw_association(node) as sock:
        sock.sendall(fragment + 3 * data)
        until(lambda: incoming(node.store))
    until(lambda: not node.server.associations())
    until(lambda: not incoming(node.store))
    assert not node.records
    assert not node.quarantined


def store_command(uid: bytes) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    uid += b"\0" * (len(uid) % 2)
    body = (
        element(0x0002, CTImageStorage.encode() + b"\0" * (len(CTImageStorage) % 2))
        + element(0x0100, b"\x01\0")
        + element(0x0110, b"\x07\0")
        + element(0x0700, b"\0\0")
        + element(0x0800, b"\x01\0")
        + element(0x1000, uid)
    )
    return element(0x0000, struct.pack("<L", len(body))) + body


def test_a_silent_association_is_aborted_after_the_network_timeout(tmp_path: Path) -> None:
    with running_node(tmp_path, network_timeout_s=0.5) as node, raw_association(node) as sock:
        started = time.monotonic()
        assert read_pdu(sock)[0] in (0x00, 0x07)
        assert 0.3 < time.monotonic() - started < 4
        until(lambda: not node.server.associations())


def test_a_peer_that_stalls_within_a_pdu_is_dropped_after_the_network_timeout(
    tmp_path: Path,
) -> None:
    with running_node(tmp_path, network_timeout_s=0.5) as node, raw_association(node) as sock:
        sock.sendall(struct.pack(">BBL", 4, 0, 1000) + b"\0" * 10)
        until(lambda: not node.server.associations(), patience_s=5)


def test_a_connection_that_never_asks_is_closed(tmp_path: Path) -> None:
    with (
        running_node(tmp_path, negotiation_timeout_s=0.3) as node,
        socket.create_connection(("127.0.0.1", node.port), 5) as sock,
    ):
        assert sock.recv(1) == b""


def test_a_fault_in_an_associations_thread_ends_that_one_alone(
    node: Node, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with associated(node) as other, associated(node, calling="CT2") as broken:
        assert broken.send_c_store(images[0]).Status == 0x0000

        (lane,) = [
            one.dul
            for one in node.server._listening().active_associations
            if one.requestor.ae_title == "CT2"
        ]
        monkeypatch.setattr(lane, "_run_loop_delay", "no number")
        until(lambda: len(node.server.associations()) == 1)
        assert other.send_c_store(images[1]).Status == 0x0000
        until(lambda: node.released)
