"""Sending a folder: what is found, and how it goes on after a lost association."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread

from node.dimse.scu.folder import FolderSummary, find_instances, send_folder
from node.dimse.scu.sender import Peer, Timeouts
from tests.instances import make_dataset, write_instance
from tests.peers import FakePacs, free_port, running_pacs

QUICK = Timeouts(connect_s=2, negotiation_s=2, response_s=2, network_s=2)


def peer_of(pacs: FakePacs) -> Peer:
    return Peer("pacs", pacs.ae_title, "127.0.0.1", pacs.port, "WETREAD")


def a_folder(folder: Path, count: int = 6) -> Path:
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(count):
        place = folder / "deep" / "er" if number % 2 else folder
        write_instance(place / f"IM{number:04}", make_dataset(number))
    (folder / "notes.txt").write_text("not DICOM")
    (folder / "empty").touch()
    write_instance(folder / "DICOMDIR", make_dataset(99))
    return folder


def test_instances_are_found_at_any_depth_whatever_they_are_called(tmp_path: Path) -> None:
    found, skipped = find_instances(a_folder(tmp_path))
    assert [path.name for path in found] == [
        "IM0000", "IM0002", "IM0004", "IM0001", "IM0003", "IM0005",
    ]  # fmt: skip
    assert skipped == 3


def test_a_folder_is_sent_with_progress(tmp_path: Path) -> None:
    seen: list[FolderSummary] = []
    with running_pacs() as pacs:
        summary = send_folder(a_folder(tmp_path), peer_of(pacs), seen.append, QUICK)
    assert (summary.found, summary.stored, summary.skipped) == (6, 6, 3)
    assert summary.is_complete
    assert [one.stored for one in seen] == [1, 2, 3, 4, 5, 6]


def test_after_each_abort_it_goes_on_with_what_is_unsent(tmp_path: Path) -> None:
    pauses: list[float] = []
    with running_pacs(abort_at=2) as pacs:
        summary = send_folder(
            a_folder(tmp_path), peer_of(pacs), timeouts=QUICK, sleep=pauses.append
        )
        assert len(pacs.uids()) == len(set(pacs.uids())) == 6
        assert pacs.associations == 3
    assert summary.is_complete
    assert summary.reconnects == 2
    assert pauses == [1.0, 1.0]


def test_a_full_peer_is_tried_again_until_it_has_room(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    full = str(dcmread(folder / "IM0002").SOPInstanceUID)
    with running_pacs(statuses={full: 0xA700}) as pacs:

        def make_room(seconds: float) -> None:
            pacs.statuses.clear()

        summary = send_folder(folder, peer_of(pacs), timeouts=QUICK, sleep=make_room)
        assert len(pacs.uids()) == len(set(pacs.uids())) == 6
    assert summary.is_complete


def test_a_peer_that_stays_away_is_given_up_with_the_reason(tmp_path: Path) -> None:
    pauses: list[float] = []
    peer = Peer("off", "OFF", "127.0.0.1", free_port(), "WETREAD")
    summary = send_folder(
        a_folder(tmp_path), peer, timeouts=QUICK, reconnects=3, sleep=pauses.append
    )
    assert pauses == [2.0, 4.0]
    assert summary.stored == 0
    assert len(summary.failures) == 6
    assert "no connection" in summary.failures[0].reason
    assert summary.is_settled
    assert not summary.is_complete


def test_a_permanent_refusal_is_not_repeated(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    unwanted = str(dcmread(folder / "IM0004").SOPInstanceUID)
    with running_pacs(statuses={unwanted: 0xC000}) as pacs:
        summary = send_folder(folder, peer_of(pacs), timeouts=QUICK)
        assert pacs.associations == 1
    assert summary.stored == 5
    ((path, reason),) = [(one.path, one.reason) for one in summary.failures]
    assert path == folder / "IM0004"
    assert "0xC000" in reason
