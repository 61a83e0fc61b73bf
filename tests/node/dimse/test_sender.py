"""The sender against a PACS that accepts, refuses, aborts and stalls."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    SegmentationStorage,
)

from node.dimse.association import limits
from node.dimse.errors import PeerFault, PeerUnavailable
from node.dimse.scu.answers import SendOutcome, SendResult, classify, describe
from node.dimse.scu.parcels import Parcel, batches, proposals
from node.dimse.scu.sender import Peer, Timeouts, echo, send
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.dimse.receiving import Node
from tests.peers import FakePacs, free_port, running_pacs

QUICK = Timeouts(connect_s=2, negotiation_s=2, response_s=1, network_s=2)
"""For peers that do not answer in the test."""
PATIENT = Timeouts(connect_s=30, negotiation_s=30, response_s=30, network_s=30)
"""For those that answer, on however busy a machine."""


def peer_of(pacs: FakePacs) -> Peer:
    return Peer("pacs", pacs.ae_title, "127.0.0.1", pacs.port, "WETREAD")


def send_all(paths: list[Path], pacs: FakePacs, timeouts: Timeouts = PATIENT) -> list[SendResult]:
    results: dict[int, SendResult] = {}
    send(paths, peer_of(pacs), results.__setitem__, timeouts)
    return [results[index] for index in range(len(paths))]


def test_files_arrive_in_order_byte_for_byte_over_one_association(images: list[Path]) -> None:
    with running_pacs() as pacs:
        results = send_all(images, pacs)
        assert [one.outcome for one in results] == [SendOutcome.STORED] * 5
        assert pacs.uids() == [str(dcmread(path).SOPInstanceUID) for path in images]
        assert list(pacs.raw.values()) == [dataset_bytes(path) for path in images]
        assert pacs.associations == 1


def test_an_explicit_file_is_encoded_anew_for_a_peer_that_takes_only_implicit(
    images: list[Path],
) -> None:
    with running_pacs(transfer_syntaxes=(ImplicitVRLittleEndian,)) as pacs:
        assert send_all(images[:1], pacs)[0].outcome is SendOutcome.STORED
        original = dcmread(images[0])
        assert list(pacs.syntaxes.values()) == [ImplicitVRLittleEndian]
        assert pacs.received[0].PixelData == original.PixelData
        assert pacs.received[0].PatientName == original.PatientName


def test_an_implicit_file_is_encoded_anew_for_a_peer_that_takes_only_explicit(
    tmp_path: Path,
) -> None:
    path = write_instance(tmp_path / "i.dcm", make_dataset(), ImplicitVRLittleEndian)
    with running_pacs(transfer_syntaxes=(ExplicitVRLittleEndian,)) as pacs:
        assert send_all([path], pacs)[0].outcome is SendOutcome.STORED
        assert pacs.received[0].PixelData == dcmread(path).PixelData
        assert list(pacs.syntaxes.values()) == [ExplicitVRLittleEndian]


def test_a_compressed_file_is_never_decompressed_for_a_peer(tmp_path: Path) -> None:
    from pydicom.encaps import encapsulate

    dataset = make_dataset()
    dataset.PixelData = encapsulate([b"opaque" * 10])
    dataset["PixelData"].VR = "OB"
    path = write_instance(tmp_path / "j.dcm", dataset, JPEG2000Lossless)
    plain = write_instance(tmp_path / "p.dcm", make_dataset(2))
    with running_pacs(transfer_syntaxes=(ExplicitVRLittleEndian,)) as pacs:
        results = send_all([path, plain], pacs)
        assert [one.outcome for one in results] == [SendOutcome.NOT_ACCEPTED, SendOutcome.STORED]
        assert "JPEG 2000" in results[0].reason


def test_a_refused_sop_class_is_told_apart_and_the_others_are_sent(
    tmp_path: Path, images: list[Path]
) -> None:
    seg = write_instance(tmp_path / "seg.dcm", make_dataset(9, SOPClassUID=SegmentationStorage))
    with running_pacs(refused_classes=frozenset({SegmentationStorage})) as pacs:
        results = send_all([seg, images[0]], pacs)
        assert [one.outcome for one in results] == [SendOutcome.NOT_ACCEPTED, SendOutcome.STORED]
        assert results[0].status is None
        assert "Segmentation Storage" in results[0].reason
        assert [one.outcome for one in send_all([seg], pacs)] == [SendOutcome.NOT_ACCEPTED]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, SendOutcome.STORED),
        (0xB000, SendOutcome.WARNING),
        (0xB007, SendOutcome.WARNING),
        (0xA700, SendOutcome.TRANSIENT),
        (0xA7FF, SendOutcome.TRANSIENT),
        (0x0110, SendOutcome.TRANSIENT),
        (0x0111, SendOutcome.REFUSED),
        (0x0122, SendOutcome.REFUSED),
        (0x0124, SendOutcome.REFUSED),
        (0xA900, SendOutcome.REFUSED),
        (0xC123, SendOutcome.REFUSED),
    ],
)
def test_each_status_has_one_meaning(images: list[Path], status: int, outcome: SendOutcome) -> None:
    with running_pacs(statuses={"": status}) as pacs:
        (result,) = send_all(images[:1], pacs)
    assert (result.status, result.outcome) == (status, outcome)
    assert f"0x{status:04X}" in result.reason


def test_every_possible_status_has_a_meaning() -> None:
    assert all(classify(code) in SendOutcome for code in range(0x10000))
    assert describe(0xA700, "disk full") == "out of resources (0xA700): disk full"


def test_an_abort_is_raised_after_what_was_stored_is_reported(images: list[Path]) -> None:
    with running_pacs(abort_at=2) as pacs:
        results: dict[int, SendResult] = {}
        with pytest.raises(PeerUnavailable) as caught:
            send(images, peer_of(pacs), results.__setitem__, PATIENT)
        assert caught.value.fault is PeerFault.ABORTED
        assert sorted(results) == [0, 1]
        assert all(one.is_stored for one in results.values())


def test_a_stalled_peer_times_out(images: list[Path]) -> None:
    with running_pacs() as pacs:
        pacs.gate.clear()
        started = time.monotonic()
        with pytest.raises(PeerUnavailable) as caught:
            send_all(images, pacs, QUICK)
        assert caught.value.fault is PeerFault.TIMED_OUT
        assert time.monotonic() - started < 8


def test_a_peer_that_never_answers_the_request_times_out(images: list[Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = Peer("deaf", "DEAF", "127.0.0.1", listener.getsockname()[1], "WETREAD")
        with pytest.raises(PeerUnavailable) as caught:
            send(images, peer, lambda index, result: None, QUICK)
    assert caught.value.fault is PeerFault.TIMED_OUT


def test_a_peer_that_stops_reading_in_the_middle_of_an_object_times_out(tmp_path: Path) -> None:
    path = write_instance(tmp_path / "large.dcm", make_dataset(rows=4000))
    short = Timeouts(connect_s=2, negotiation_s=2, response_s=1, network_s=1)
    with running_pacs(deaf=True) as pacs:
        started = time.monotonic()
        with pytest.raises(PeerUnavailable):
            send_all([path], pacs, short)
        # 32 MB would be waited for by 320 s: what ends it is the socket that takes no more
        assert time.monotonic() - started < 20


def test_nobody_listening_a_wrong_host_and_a_rejection_are_told_apart(
    images: list[Path],
) -> None:
    nobody = Peer("off", "OFF", "127.0.0.1", free_port(), "WETREAD")
    with pytest.raises(PeerUnavailable) as caught:
        echo(nobody, QUICK)
    assert caught.value.fault is PeerFault.UNREACHABLE
    with pytest.raises(PeerUnavailable, match="resolved") as caught:
        echo(Peer("off", "OFF", "no-such-host.invalid", 104, "WETREAD"), QUICK)
    assert caught.value.fault is PeerFault.UNREACHABLE
    with running_pacs(reject=(1, 1, 7)) as pacs:
        with pytest.raises(PeerUnavailable, match="alled AE title") as caught:
            echo(peer_of(pacs), PATIENT)
        assert caught.value.fault is PeerFault.REJECTED


def test_an_echo_gives_its_seconds() -> None:
    with running_pacs() as pacs:
        assert 0 < echo(peer_of(pacs), PATIENT) < 5
        assert pacs.echoes == 1


def test_files_leave_over_a_descriptor_that_select_does_not_take(
    node: Node, images: list[Path]
) -> None:
    with ExitStack() as held:
        limits.provide_files(1000)
        while held.enter_context(Path(os.devnull).open("rb")).fileno() < 1024:
            pass
        outcomes: list[SendOutcome] = []
        peer = Peer("node", "WETREAD", "127.0.0.1", node.port, "CT1")
        send(images, peer, lambda _, result: outcomes.append(result.outcome), PATIENT)
    assert outcomes == [SendOutcome.STORED] * len(images)


def test_a_missing_and_a_foreign_file_are_refused_and_the_rest_is_sent(
    tmp_path: Path, images: list[Path]
) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("no DICOM" * 100)
    with running_pacs() as pacs:
        results = send_all([tmp_path / "gone.dcm", foreign, images[0]], pacs)
    assert [one.outcome for one in results] == [
        SendOutcome.REFUSED,
        SendOutcome.REFUSED,
        SendOutcome.STORED,
    ]
    assert "cannot be read" in results[0].reason
    assert "no DICOM file" in results[1].reason


def test_more_than_128_contexts_go_over_more_associations() -> None:
    parcels = [
        Parcel(index, Path(str(index)), f"1.2.3.{index}", "1.2.4", ExplicitVRLittleEndian, 1)
        for index in range(150)
    ]
    split = list(batches(parcels))
    assert [len(batch) for batch in split] == [64, 64, 22]
    assert max(len(proposals(batch)) for batch in split) == 128
    assert [parcel for batch in split for parcel in batch] == parcels


def test_no_context_offers_a_choice_of_transfer_syntaxes() -> None:
    parcels = [
        Parcel(0, Path("a"), CTImageStorage, "1.2.1", JPEG2000Lossless, 1),
        Parcel(1, Path("b"), MRImageStorage, "1.2.2", ImplicitVRLittleEndian, 1),
    ]
    proposed = proposals(parcels)
    assert all(len(context.transfer_syntax) == 1 for context in proposed)
    pairs = [(one.abstract_syntax, one.transfer_syntax[0]) for one in proposed]
    assert pairs == [
        (CTImageStorage, JPEG2000Lossless),
        (MRImageStorage, ImplicitVRLittleEndian),
        (MRImageStorage, ExplicitVRLittleEndian),
    ]
