"""What comes and goes over associations is in the audit trail: a line a study, not an instance."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pynetdicom import AE

from node.audit.events import Outcome, Query, Refused, TransferBegun, Transferred
from node.config.dimse import PeerSettings, TlsSettings
from node.dimse.errors import PeerUnavailable
from node.dimse.scu.sender import Peer, echo, send
from node.dimse.services.find import STUDY_ROOT
from tests.certificates import authority
from tests.instances import make_dataset, write_instance
from tests.node.dimse.holding import Holder, running_holder
from tests.node.dimse.retrieving import STUDY_GET, Requestor
from tests.peers import running_pacs
from tests.trails import KeptTrail
from tests.waiting import until

STUDY = str(make_dataset(1).StudyInstanceUID)
CLASS = str(make_dataset(1).SOPClassUID)


@pytest.fixture
def trail() -> KeptTrail:
    return KeptTrail()


@pytest.fixture
def holder(tmp_path: Path, trail: KeptTrail) -> Iterator[Holder]:
    with running_holder(tmp_path / "node", trail=trail) as one:
        yield one


def node_of(port: int, calling: str = "CT1") -> Peer:
    return Peer("node", "WETREAD", "127.0.0.1", port, calling)


def sent(port: int, paths: list[Path], calling: str = "CT1") -> None:
    send(paths, node_of(port, calling), lambda index, result: None)


def test_an_association_that_is_cut_off_with_the_node_was_told_of_with_its_first_instance(
    holder: Holder, trail: KeptTrail, images: list[Path]
) -> None:
    begun: list[int] = []

    def stored(index: int, result: object) -> None:
        begun.append(len(trail.of(TransferBegun)))
        assert trail.of(Transferred) == []

    send(images[:3], node_of(holder.port), stored)
    assert begun == [1, 1, 1]
    (told,) = trail.of(TransferBegun)
    assert (told.sender.name, told.subject.study_instance_uid) == ("CT1", STUDY)
    assert told.subject.patient_id == "SECRET-ID"


def test_an_association_that_stores_is_one_line_a_study(
    holder: Holder, trail: KeptTrail, images: list[Path], tmp_path: Path
) -> None:
    other = write_instance(tmp_path / "other.dcm", make_dataset(9, StudyInstanceUID="1.2.3.4"))
    sent(holder.port, [*images[:3], other])
    until(lambda: trail.of(Transferred))
    (told,) = trail.of(Transferred)
    assert (told.sender.name, told.sender.address, told.receiver.name) == (
        "CT1",
        "127.0.0.1",
        "WETREAD",
    )
    assert told.is_received
    assert {one.study_instance_uid: one.classes[0].instances for one in told.subjects} == {
        STUDY: 3,
        "1.2.3.4": 1,
    }
    assert told.subjects[0].classes[0].sop_class_uid == CLASS
    assert told.subjects[0].patient_id == "SECRET-ID"


def test_an_association_that_only_asks_whether_anybody_is_there_is_no_line(
    holder: Holder, trail: KeptTrail
) -> None:
    echo(node_of(holder.port))
    assert trail.events == []


def test_a_query_is_told_with_what_was_asked(holder: Holder, trail: KeptTrail) -> None:
    ae = AE("WS1")
    ae.add_requested_context(STUDY_ROOT)
    association = ae.associate("127.0.0.1", holder.port, ae_title="WETREAD")
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.PatientName = "Secret*"
    list(association.send_c_find(asked, STUDY_ROOT))
    asked.QueryRetrieveLevel = "NOTHING"
    list(association.send_c_find(asked, STUDY_ROOT))
    association.release()
    until(lambda: len(trail.of(Query)) == 2)
    found, refused = trail.of(Query)
    assert (found.by.name, found.service, found.outcome) == ("WS1", STUDY_ROOT, Outcome.SUCCESS)
    read = read_dataset(DicomBytesIO(found.asked), True, True)
    assert read.PatientName == "Secret*"
    assert (refused.outcome, refused.reason) == (Outcome.MINOR_FAILURE, "0xA900")


def test_what_is_got_and_moved_is_told_with_who_asked(
    tmp_path: Path, images: list[Path], trail: KeptTrail
) -> None:
    with (
        running_pacs() as pacs,
        running_holder(tmp_path / "node", {"DEST": pacs.port}, trail) as holder,
    ):
        holder.put(images[:2])
        Requestor().get(holder.port, STUDY_GET, StudyInstanceUID=STUDY)
        Requestor().move(holder.port, "DEST", StudyInstanceUID=STUDY)
        until(lambda: len([one for one in trail.of(Transferred) if not one.is_received]) == 2)
        got, moved = [one for one in trail.of(Transferred) if not one.is_received]
    assert got.requestor is None
    assert got.subjects[0].classes[0].instances == 2
    assert (moved.receiver.name, moved.requestor and moved.requestor.name) == (
        "DEST",
        got.receiver.name,
    )


def test_whoever_is_not_let_in_is_told_once_in_a_while(tmp_path: Path, trail: KeptTrail) -> None:
    known = (PeerSettings(ae_title="CT1", host="127.0.0.1", may=("query",)),)
    with running_holder(
        tmp_path / "node", trail=trail, peers=known, accept_any_peer=False
    ) as holder:
        for _ in range(3):
            with pytest.raises(PeerUnavailable):
                echo(node_of(holder.port, "INTRUDER"))
    (refused,) = trail.of(Refused)
    assert (refused.by.name, refused.what, refused.is_node) == ("INTRUDER", "association", True)


def test_what_a_peer_may_not_is_told_once_an_association(
    tmp_path: Path, images: list[Path], trail: KeptTrail
) -> None:
    known = (PeerSettings(ae_title="CT1", host="127.0.0.1", may=("query",)),)
    with running_holder(tmp_path / "node", trail=trail, peers=known) as holder:
        sent(holder.port, images[:3])
        until(lambda: len(trail.of(Refused)) == 2)
    assert [(one.what, one.is_node) for one in trail.of(Refused)] == [
        ("store", False),
        ("C-STORE", False),
    ]
    assert trail.of(Transferred) == []


def test_a_connection_without_the_certificate_that_is_asked_for_is_told(
    tmp_path: Path, trail: KeptTrail
) -> None:
    signing = authority(tmp_path / "authority")
    own = signing.issue("node")
    secure = TlsSettings(certificate=own.certificate, key=own.key, ca=signing.ca, port=0)
    with (
        running_holder(tmp_path / "node", trail=trail, tls=secure) as holder,
        socket.create_connection(("127.0.0.1", holder.server.tls_port)) as plain,
    ):
        plain.sendall(b"\x01\x00\x00\x00\x00\xcd" + b"\0" * 205)
        until(lambda: trail.of(Refused))
    (refused,) = trail.of(Refused)
    assert refused.is_node and refused.reason.startswith("tls: ")
    assert refused.by.address == "127.0.0.1"
