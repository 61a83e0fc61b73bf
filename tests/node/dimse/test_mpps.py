"""MPPS and Instance Availability Notification as SCP, with pynetdicom as SCU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.association import Association

from node.dimse.services.availability import INSTANCE_AVAILABILITY
from node.dimse.services.mpps import MPPS
from storage import announcements
from storage.errors import DatabaseUnavailable
from storage.records import Announcement, AnnouncementKind, StepStatus
from tests.node.dimse.commitments import Requestor, Ward
from tests.waiting import until

STEP = "1.2.826.0.1.3680043.8.498.7"
STUDY = "1.2.826.0.1.3680043.8.498.8"
CT = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.67"


@pytest.fixture
def modality(ward: Ward) -> Iterator[Association]:
    with Requestor().associated(ward.server.port) as association:
        yield association


def begun(**changes: Any) -> Dataset:
    """The attribute list of an N-CREATE-RQ; an attribute that is None is left out."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = STUDY
    scheduled.AccessionNumber = ""
    scheduled.RequestedProcedureID = ""
    data = Dataset()
    data.ScheduledStepAttributesSequence = [scheduled]
    data.PatientName = "Secret^Name"
    data.PatientID = "SECRET-ID"
    data.PerformedProcedureStepID = "PPS1"
    data.PerformedStationAETitle = "CT1"
    data.PerformedStationName = ""
    data.PerformedProcedureStepStartDate = "20300504"
    data.PerformedProcedureStepStartTime = "1200"
    data.PerformedProcedureStepStatus = "IN PROGRESS"
    data.PerformedProcedureStepEndDate = ""
    data.PerformedProcedureStepEndTime = ""
    data.Modality = "CT"
    data.PerformedSeriesSequence = []
    return changed(data, changes)


def ended(*uids: str, status: str = "COMPLETED", **changes: Any) -> Dataset:
    """The modification list of an N-SET-RQ: images, and one report."""
    series = Dataset()
    series.SeriesInstanceUID = f"{STUDY}.1"
    series.ReferencedImageSequence = [referenced(uid, CT) for uid in uids]
    series.ReferencedNonImageCompositeSOPInstanceSequence = [referenced(f"{STUDY}.9", SR)]
    data = Dataset()
    data.PerformedProcedureStepStatus = status
    data.PerformedProcedureStepEndDate = "20300504"
    data.PerformedProcedureStepEndTime = "1210"
    data.PerformedSeriesSequence = [series]
    return changed(data, changes)


def referenced(uid: str, sop_class: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item


def changed(data: Dataset, changes: dict[str, Any]) -> Dataset:
    for keyword, value in changes.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    return data


def create(modality: Association, data: Dataset, uid: str | None = STEP) -> Dataset:
    status, _ = modality.send_n_create(data, MPPS, uid)
    return Dataset(status)


def set_(modality: Association, data: Dataset, uid: str = STEP) -> Dataset:
    status, _ = modality.send_n_set(data, MPPS, uid)
    return Dataset(status)


def kept(ward: Ward, kind: AnnouncementKind = AnnouncementKind.MPPS) -> Announcement | None:
    with ward.database.read() as tx:
        return announcements.find(tx, kind, STEP)


def count(ward: Ward) -> int:
    with ward.database.read() as tx:
        found = announcements.announced_in_studies(tx, [STUDY]).get(STUDY)
    return found.instances if found else 0


def test_a_step_is_begun_and_completed_with_its_list(ward: Ward, modality: Association) -> None:
    assert create(modality, begun()).Status == 0x0000
    step = kept(ward)
    assert step is not None
    assert (step.status, step.sender_ae, step.studies) == (StepStatus.IN_PROGRESS, "CT1", (STUDY,))
    assert set_(modality, ended(f"{STUDY}.2", status="IN PROGRESS")).Status == 0x0000
    assert count(ward) == 2
    assert set_(modality, ended(f"{STUDY}.2", f"{STUDY}.3")).Status == 0x0000
    step = kept(ward)
    assert step is not None and step.status is StepStatus.COMPLETED
    assert count(ward) == 3


def test_nothing_of_the_patient_is_kept(ward: Ward, modality: Association) -> None:
    create(modality, begun())
    assert "secret" not in str(kept(ward)).lower()


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_a_step_that_has_ended_may_no_longer_be_changed(
    ward: Ward, modality: Association, status: str
) -> None:
    create(modality, begun())
    assert set_(modality, ended(f"{STUDY}.2", status=status)).Status == 0x0000
    for again in ("COMPLETED", "DISCONTINUED", "IN PROGRESS"):
        refused = set_(modality, ended(status=again))
        assert refused.Status == 0x0110
        assert refused.ErrorID == 0xA710
        assert refused.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    step = kept(ward)
    assert step is not None and step.status == status
    assert count(ward) == 2


def test_a_step_may_be_discontinued_without_images(ward: Ward, modality: Association) -> None:
    create(modality, begun())
    data = Dataset()
    data.PerformedProcedureStepStatus = "DISCONTINUED"
    assert set_(modality, data).Status == 0x0000


def test_what_came_with_an_earlier_request_counts_at_completion(
    ward: Ward, modality: Association
) -> None:
    create(modality, begun())
    set_(modality, ended(f"{STUDY}.2", status="IN PROGRESS"))
    data = Dataset()
    data.PerformedProcedureStepStatus = "COMPLETED"
    assert set_(modality, data).Status == 0x0000
    assert count(ward) == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "BUSY"}, 0x0106),
        ({"PerformedProcedureStepStatus": None}, 0x0120),
        ({"PerformedProcedureStepID": None}, 0x0120),
        ({"PerformedProcedureStepID": ""}, 0x0121),
        ({"Modality": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [Dataset()]}, 0x0120),
    ],
)
def test_a_malformed_step_is_refused(
    ward: Ward, modality: Association, changes: dict[str, Any], status: int
) -> None:
    assert create(modality, begun(**changes)).Status == status
    assert kept(ward) is None


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": "BUSY"}, 0x0106),
        ({"PerformedProcedureStepEndDate": None}, 0x0120),
        ({"PerformedSeriesSequence": None}, 0x0121),
        ({"PerformedSeriesSequence": []}, 0x0121),
        ({"PerformedSeriesSequence": [Dataset()]}, 0x0120),
    ],
)
def test_a_malformed_completion_is_refused_and_changes_nothing(
    ward: Ward, modality: Association, changes: dict[str, Any], status: int
) -> None:
    create(modality, begun())
    assert set_(modality, ended(f"{STUDY}.2", **changes)).Status == status
    step = kept(ward)
    assert step is not None and step.status is StepStatus.IN_PROGRESS
    assert count(ward) == 0


def test_a_step_that_exists_and_one_that_does_not(ward: Ward, modality: Association) -> None:
    assert create(modality, begun()).Status == 0x0000
    assert create(modality, begun()).Status == 0x0111
    assert set_(modality, ended(), uid=f"{STEP}.9").Status == 0x0112


def test_the_node_names_a_step_that_has_no_uid(ward: Ward, modality: Association) -> None:
    assert create(modality, begun(), uid=None).Status == 0x0000
    with ward.database.read() as tx:
        (step,) = announcements.of_study(tx, STUDY)
    assert step.uid.startswith("2.25.")
    assert set_(modality, ended(), uid=step.uid).Status == 0x0000


def test_without_the_database_the_modality_is_asked_to_try_again(
    ward: Ward, modality: Association, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(ward.database, "write", away)
        assert create(modality, begun()).Status == 0x0213
    assert create(modality, begun()).Status == 0x0000


def test_a_fault_of_the_node_is_answered_with_an_id_and_the_association_lives(
    ward: Ward, modality: Association, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("Secret^Name")

    with monkeypatch.context() as patch:
        patch.setattr(ward.database, "write", broken)
        refused = create(modality, begun())
    assert refused.Status == 0x0110
    assert refused.ErrorComment.startswith("Internal fault ")
    assert "Secret" not in refused.ErrorComment
    assert create(modality, begun()).Status == 0x0000


# --- Instance Availability Notification -----------------------------------------------------------


def notification(*uids: str, availability: str = "ONLINE", **changes: Any) -> Dataset:
    items = []
    for uid in uids:
        item = referenced(uid, CT)
        item.InstanceAvailability = availability
        item.RetrieveAETitle = "PACS"
        items.append(item)
    series = Dataset()
    series.SeriesInstanceUID = f"{STUDY}.1"
    series.ReferencedSOPSequence = items
    data = Dataset()
    data.ReferencedPerformedProcedureStepSequence = []
    data.StudyInstanceUID = STUDY
    data.ReferencedSeriesSequence = [series]
    return changed(data, changes)


def notify(modality: Association, data: Dataset) -> int:
    status, _ = modality.send_n_create(data, INSTANCE_AVAILABILITY, STEP)
    return int(status.Status)


def test_a_notification_is_kept_as_an_announcement(ward: Ward, modality: Association) -> None:
    assert notify(modality, notification(f"{STUDY}.2", f"{STUDY}.3")) == 0x0000
    found = kept(ward, AnnouncementKind.IAN)
    assert found is not None and found.status is StepStatus.COMPLETED
    assert count(ward) == 2
    assert notify(modality, notification(f"{STUDY}.2")) == 0x0111


def test_what_is_unavailable_is_not_expected(ward: Ward, modality: Association) -> None:
    assert notify(modality, notification(f"{STUDY}.2", availability="UNAVAILABLE")) == 0x0000
    assert count(ward) == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (notification(f"{STUDY}.2", StudyInstanceUID=None), 0x0120),
        (notification(f"{STUDY}.2", ReferencedSeriesSequence=[]), 0x0121),
        (notification(), 0x0121),
        (notification(f"{STUDY}.2", availability="SOMEWHERE"), 0x0106),
        (notification(f"{STUDY}.2", StudyInstanceUID=""), 0x0121),
    ],
)
def test_a_malformed_notification_is_refused(
    ward: Ward, modality: Association, data: Dataset, status: int
) -> None:
    assert notify(modality, data) == status
    assert kept(ward, AnnouncementKind.IAN) is None


def test_an_operation_that_a_service_does_not_have_ends_the_association(
    ward: Ward, modality: Association
) -> None:
    status, _ = modality.send_n_set(ended(), INSTANCE_AVAILABILITY, STEP)
    assert "Status" not in status
    until(lambda: modality.is_aborted)
    until(lambda: not ward.server.associations())
