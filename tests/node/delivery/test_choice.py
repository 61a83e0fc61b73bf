"""A courier and destinations that do not take everything: real ones, and one that changes its mind.

What a destination holds at the end is read: nothing it holds refers to what it does not have.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.delivery.pace import Pace
from node.delivery.references import references_of
from node.delivery.targets.dimse import DimseTarget
from node.dimse.scu import sender
from node.dimse.scu.sender import How, Peer
from storage import abilities, events, ledger, outbox, selection, successors
from storage.database import Transaction
from storage.records import DeliveryState, JobState, Level, NewJob, Priority
from tests.instances import make_dataset, write_instance
from tests.node.delivery.outboxes import KINDS, PATIENT, Outbox, courier_of, courier_to
from tests.peers import FakePacs, Orthanc, running_pacs, running_storescp

ALL = tuple(KINDS)
NO_SEG = frozenset({SegmentationStorage})
NO_SR = frozenset({Comprehensive3DSRStorage})
SENT, LEFT_OUT, PENDING = DeliveryState.SENT, DeliveryState.LEFT_OUT, DeliveryState.PENDING
FAILED = DeliveryState.FAILED


def deliver_all(box: Outbox, port: int, ae_title: str = "FAKEPACS") -> None:
    """Until nothing is owed that is not waited for."""
    courier = courier_to(box, port, ae_title)
    while courier.deliver_once():
        box.clock.advance(6)


def sent(box: Outbox) -> set[str]:
    return {kind for kind, one in box.deliveries().items() if one.state is SENT}


def dangling(held: Iterable[Dataset], box: Outbox) -> list[str]:
    """Objects that refer to what the node has made and the destination does not hold."""
    held = list(held)
    uids = {str(one.SOPInstanceUID) for one in held}
    made = {box.uid_of(kind) for kind in ALL}
    return [
        str(one.SOPInstanceUID)
        for one in held
        for item in one.get("ReferencedSOPSequence", ())
        if item.ReferencedSOPInstanceUID in made - uids
    ]


# --- DCMTK's storescp, which takes what a profile names -------------------------------------------


def profile(folder: Path, *sop_classes: str) -> tuple[str, Path, str]:
    """Options with which storescp takes these SOP classes, uncompressed."""
    lines = ["[[TransferSyntaxes]]", "[Plain]"]
    lines += ["TransferSyntax1 = LittleEndianExplicit", "TransferSyntax2 = LittleEndianImplicit"]
    lines += ["[[PresentationContexts]]", "[Taken]"]
    lines += [
        f"PresentationContext{number} = {uid}\\Plain" for number, uid in enumerate(sop_classes, 1)
    ]
    lines += ["[[Profiles]]", "[Default]", "PresentationContexts = Taken"]
    path = folder / "storescp.cfg"
    path.write_text("\n".join(lines) + "\n")
    return "-xf", path, "Default"


CT, VERIFICATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((CT, SecondaryCaptureImageStorage), {"picture", "sheet"}),
        (
            (CT, SecondaryCaptureImageStorage, GSPS, EncapsulatedPDFStorage, SegmentationStorage),
            {"seg", "pdf"},
        ),
        ((CT, SecondaryCaptureImageStorage, GSPS, Comprehensive3DSRStorage),
         {"picture", "outlines", "sr-regions"}),
    ],
    ids=["CT and secondary captures alone", "no SR", "no SEG"],
)  # fmt: skip
def test_dcmtk_gets_what_it_takes_and_nothing_that_dangles(
    box: Outbox, tmp_path: Path, classes: tuple[str, ...], expected: set[str]
) -> None:
    (folder := tmp_path / "scp").mkdir()
    box.forget_pacs()
    box.finish_job(ALL)
    with running_storescp(folder, *profile(tmp_path, VERIFICATION, *classes)) as port:
        deliver_all(box, port, "ANY")
    held = [dcmread(path) for path in folder.iterdir()]
    assert {str(one.SOPInstanceUID) for one in held} == {box.uid_of(kind) for kind in expected}
    assert not dangling(held, box)
    assert sent(box) == expected
    left_out = [one for one in box.deliveries().values() if one.state is LEFT_OUT]
    assert len(left_out) + len(expected) == len(ALL)
    assert all(one.reason for one in left_out)
    assert not box.alarms()


def test_orthanc_takes_everything_and_gets_the_segmentation_and_the_report(
    box: Outbox, orthanc: Orthanc
) -> None:
    box.forget_pacs()
    box.finish_job(ALL)
    deliver_all(box, orthanc.port, orthanc.ae_title)
    assert sent(box) == {"seg", "sr"}
    assert orthanc.sop_instance_uids() == {box.uid_of("seg"), box.uid_of("sr")}


def test_what_is_compressed_arrives_decompressed_with_the_same_pixels(tmp_path: Path) -> None:
    plain = make_dataset(3, SOPClassUID=SecondaryCaptureImageStorage)
    path = write_instance(tmp_path / "rle.dcm", plain, ExplicitVRLittleEndian)
    dataset = dcmread(path)
    dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    dataset.save_as(path)
    (folder := tmp_path / "scp").mkdir()
    results: dict[int, sender.SendResult] = {}
    options = profile(tmp_path, VERIFICATION, SecondaryCaptureImageStorage)
    with running_storescp(folder, *options) as port:
        peer = Peer("pacs", "ANY", "127.0.0.1", port, "WETREAD")
        sender.send([path], peer, results.__setitem__, PATIENT, How(decompress=True))
    assert results[0].is_stored
    (held,) = [dcmread(one) for one in folder.iterdir()]
    assert held.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(held.pixel_array, dcmread(path).pixel_array)


# --- a destination that changes its mind ----------------------------------------------------------


def change_mind(pacs: FakePacs, refused: frozenset[str]) -> None:
    """From the next association on other SOP classes are refused."""
    pacs.stop()
    pacs.refused_classes = refused
    pacs.start()


def test_a_segmentation_that_is_not_taken_after_all_takes_the_report_with_it(box: Outbox) -> None:
    with running_pacs() as pacs:
        box.forget_pacs()
        box.finish_job(ALL)
        first = box.finish_job(ALL)
        courier = courier_to(box, pacs.port)
        with box.database.write() as tx:  # the first job is for later: it is asked now
            outbox.claim(tx, "pacs", box.clock(), jobs=1)
        courier.deliver_once()
        assert sent(box) == {"seg", "sr"}
        change_mind(pacs, NO_SEG)
        with box.database.write() as tx:
            outbox.release_sending(tx, box.clock())
        deliver_all(box, pacs.port)
        assert not dangling(pacs.received, box)
        of_first = [one for one in box_rows(box) if one.job_id != first and one.state is SENT]
        assert {one.object.kind for one in of_first} == {"picture", "outlines", "sr-regions"}
        assert len(pacs.uids()) == len(set(pacs.uids()))


def box_rows(box: Outbox) -> list[outbox.Delivery]:
    with box.database.read() as tx:
        return outbox.list_deliveries(tx)


def test_what_goes_there_one_by_one_is_chosen_as_what_goes_together(box: Outbox) -> None:
    box.forget_pacs()
    box.finish_job(ALL)
    with running_pacs(refused_classes=NO_SEG) as pacs:
        target = DimseTarget(Peer("pacs", "FAKEPACS", "127.0.0.1", pacs.port, "WETREAD"), PATIENT)
        courier = courier_of(box, target, pace=Pace(1))
        for _ in range(len(ALL) + 2):
            courier.deliver_once()
            box.clock.advance(61)
        assert not dangling(pacs.received, box)
    assert sent(box) == {"picture", "outlines", "sr-regions"}
    assert not box.alarms()


def test_a_file_that_is_missing_holds_up_nothing_that_goes_before_it(box: Outbox) -> None:
    box.finish_job(("seg", "sr"))
    (box.results.root / box.deliveries()["sr"].object.key).unlink()
    with running_pacs() as pacs:
        target = DimseTarget(Peer("pacs", "FAKEPACS", "127.0.0.1", pacs.port, "WETREAD"), PATIENT)
        courier = courier_of(box, target, pace=Pace(1))
        courier.deliver_once()
        assert sent(box) == {"seg"}
        box.clock.advance(61)
        courier.deliver_once()
    assert box.deliveries()["sr"].state is FAILED
    assert "missing" in box.deliveries()["sr"].reason


@pytest.mark.parametrize("status", [0x0122, 0xC000])
def test_a_segmentation_that_is_refused_when_it_comes_is_shown_in_another_form(
    box: Outbox, status: int
) -> None:
    box.finish_job(ALL)
    with running_pacs(statuses={box.uid_of("seg"): status}) as pacs:
        deliver_all(box, pacs.port)
        assert not dangling(pacs.received, box)
    assert sent(box) == {"picture", "outlines", "sr-regions"}
    is_alarm = status == 0xC000
    assert box.deliveries()["seg"].state is (FAILED if is_alarm else LEFT_OUT)
    assert len(box.alarms()) == is_alarm


def test_a_report_that_nobody_takes_in_any_form_is_an_alarm(box: Outbox) -> None:
    box.finish_job(("seg", "sr", "pdf"))
    note_forms_made(box)
    with running_pacs(refused_classes=NO_SR | {EncapsulatedPDFStorage}) as pacs:
        box.forget_pacs()
        deliver_all(box, pacs.port)
    assert sent(box) == {"seg"}
    (alarm,) = box.alarms()
    assert "no form of the report" in alarm.reason


def note_forms_made(box: Outbox) -> None:
    """There are no further forms of the newest job."""
    with box.database.write() as tx:
        job = ledger.list_jobs(tx)[0]
        ledger.want_forms(tx, job.id, tuple(outbox.ObjectKind), box.clock(), "")
    box.make_further(())


def test_forms_that_lack_are_made_and_only_they_are_sent(box: Outbox) -> None:
    job_id = box.finish_job(("seg", "sr"))
    box.forget_pacs()
    with running_pacs(refused_classes=NO_SEG) as pacs:
        deliver_all(box, pacs.port)
        assert not pacs.received
        with box.database.read() as tx:
            job = ledger.get(tx, job_id)
        assert job.state is JobState.PENDING
        assert {"picture", "outlines", "sr-regions"} <= set(job.forms)
        assert box.deliveries()["sr"].state is PENDING
        box.make_further(("picture", "outlines", "sr-regions"))
        deliver_all(box, pacs.port)
        assert not dangling(pacs.received, box)
    assert sent(box) == {"picture", "outlines", "sr-regions"}
    assert {box.deliveries()[one].state for one in ("seg", "sr")} == {LEFT_OUT}
    assert not box.alarms()


def test_forms_of_a_job_that_a_failed_one_has_taken_the_place_of_are_not_waited_for(
    box: Outbox,
) -> None:
    job_id = box.finish_job(("seg", "sr"))
    with box.database.write() as tx:
        newer = fail_after(tx, job_id, box)
        assert successors.newest_of(tx, job_id) == newer
    box.forget_pacs()
    with running_pacs(refused_classes=NO_SEG) as pacs:
        deliver_all(box, pacs.port)
    assert box.deliveries()["sr"].state is FAILED
    (alarm,) = box.alarms()[:1]
    assert "no form of the report" in alarm.reason


def fail_after(tx: Transaction, job_id: int, box: Outbox) -> int:
    """A later job of the same analyzer on the same images, of which nothing is left."""
    job = ledger.get(tx, job_id)
    first = ledger.first_input(tx, job_id)
    assert first is not None
    newer = ledger.enqueue(
        tx,
        NewJob(
            inputs_digest="with a late image",
            analyzer=job.analyzer,
            analyzer_version="1",
            parameters_digest="",
            parameters={},
            study_id=job.study_id,
            series_id=first.series_id,
            instance_ids=(first.instance_id,),
            rule="rule",
            priority=Priority.ROUTINE,
            destinations=("pacs",),
        ),
        box.clock(),
    )
    assert newer is not None
    ledger.claim(tx, box.clock())
    ledger.failed(tx, newer, box.clock(), "it stopped", "")
    return newer


def test_a_destination_that_takes_segmentations_later_gets_them_when_they_are_asked_for(
    box: Outbox,
) -> None:
    box.forget_pacs()
    job_id = box.finish_job(ALL)
    with running_pacs(refused_classes=NO_SEG) as pacs:
        deliver_all(box, pacs.port)
        change_mind(pacs, frozenset())
        box.clock.advance(3600)
        deliver_all(box, pacs.port)
        assert "seg" not in sent(box)
        with box.database.write() as tx:
            selection.ask_for(tx, "pacs", job_id, box.clock())
            abilities.forget(tx, "pacs")
        deliver_all(box, pacs.port)
        assert not dangling(pacs.received, box)
        assert len(pacs.uids()) == len(set(pacs.uids()))
    assert sent(box) == {"seg", "sr", "picture", "outlines", "sr-regions"}


def test_what_a_killed_node_had_sent_counts_whatever_the_destination_says_now(
    box: Outbox,
) -> None:
    with running_pacs(answers_queries=True) as pacs:
        box.forget_pacs()
        box.finish_job(ALL)
        courier = courier_to(box, pacs.port)
        courier._deliver(courier._claim())
        with box.database.write() as tx:
            outbox.release_sending(tx, box.clock())
        change_mind(pacs, NO_SEG)
        box.clock.advance(3600)
        deliver_all(box, pacs.port)
        assert sorted(pacs.uids()) == sorted([box.uid_of("seg"), box.uid_of("sr")])
    assert sent(box) == {"seg", "sr"}


def test_a_destination_that_refuses_by_chance_holds_nothing_that_dangles_in_the_end(
    box: Outbox,
) -> None:
    chance = random.Random(13)
    box.forget_pacs()
    with running_pacs(answers_queries=True) as pacs:
        for _ in range(6):
            box.finish_job(ALL)
            note_forms_made(box)
            for _ in range(4):
                classes = chance.sample(sorted(set(KINDS.values())), 2)
                change_mind(pacs, frozenset(classes))
                pacs.statuses = {
                    box.uid_of(kind): chance.choice([0x0000, 0x0000, 0xA700, 0x0122, 0xC000])
                    for kind in ALL
                }
                courier_to(box, pacs.port).deliver_once()
                box.clock.advance(chance.choice([6, 700]))
                assert not dangling(pacs.received, box)
        change_mind(pacs, frozenset())
        pacs.statuses = {}
        for _ in range(10):
            box.clock.advance(700)
            courier_to(box, pacs.port).deliver_once()
        assert len(pacs.uids()) == len(set(pacs.uids()))
    assert not {one.state for one in box_rows(box)} & {PENDING, DeliveryState.SENDING}


def test_what_an_object_refers_to_is_read_without_what_went_before_it(tmp_path: Path) -> None:
    dataset, item, earlier = make_dataset(1), Dataset(), Dataset()
    item.ReferencedSOPInstanceUID, earlier.ReferencedSOPInstanceUID = "1.2.3", "1.2.4"
    series = Dataset()
    series.ReferencedSOPSequence = [item]
    dataset.CurrentRequestedProcedureEvidenceSequence = [series]
    dataset.PredecessorDocumentsSequence = [earlier]
    path = write_instance(tmp_path / "one.dcm", dataset)
    assert references_of(path) == {"1.2.3"}


def test_the_page_is_told_of_what_was_left_out(box: Outbox) -> None:
    box.finish_job(ALL)
    with running_pacs() as pacs:
        deliver_all(box, pacs.port)
    with box.database.read() as tx:
        left_out = selection.left_out_of_jobs(tx, [1])
        told = events.list_events(tx, level=Level.INFO)
    assert {one.kind for one in left_out} == set(ALL) - {"seg", "sr"}
    assert any(one.to_state == LEFT_OUT for one in told)
