"""Modality Performed Procedure Step, as SCP (PS3.4 F.7).

A step is kept for one purpose: its list of instances is what a modality says it has made, the
strongest evidence that a study is complete. Nothing of the patient is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from pydicom.dataset import Dataset

from node import statuses
from node.clock import Clock
from node.dimse.services import requests
from node.dimse.services.announcing import TAKEN, Announcements, uid_of
from node.dimse.services.requests import Answer, Operation, Refusal, Request, references, required
from node.statuses import StatusRow, general
from storage import announcements
from storage.announcements import NewAnnouncement
from storage.database import Database
from storage.records import AnnouncementKind, Header, Reference, StepStatus

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MPPS = "1.2.840.10008.3.1.2.3.3"
"""Modality Performed Procedure Step SOP Class. PS3.4 F.7."""
NO_LONGER_UPDATED = 0xA710
"""Error ID of a change to a completed or discontinued step. PS3.4 Table F.7.2-2."""
NO_LONGER_UPDATED_COMMENT = "Performed Procedure Step Object may no longer be updated"

REQUIRED_AT_CREATION = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
)
"""Type 1 for the SCU's N-CREATE. PS3.4 Table F.7.2-1."""
REQUIRED_AT_COMPLETION = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime")
"""Of the final state. PS3.4 Table F.7.2-1."""
KEPT = (*REQUIRED_AT_CREATION[1:], *REQUIRED_AT_COMPLETION)

SERIES = "PerformedSeriesSequence"
_INSTANCE_SEQUENCES = (
    "ReferencedImageSequence",
    "ReferencedNonImageCompositeSOPInstanceSequence",
)


_ALL = (
    *requests.ALWAYS,
    *requests.LACKING,
    general(
        statuses.INVALID_ATTRIBUTE_VALUE,
        "Performed Procedure Step Status is none of the defined terms, or not IN PROGRESS at the"
        " creation",
    ),
)
TABLES = {
    Operation.CREATE: (*_ALL, TAKEN),
    Operation.SET: (
        *_ALL,
        general(statuses.NO_SUCH_SOP_INSTANCE, "no such step"),
        StatusRow(
            statuses.PROCESSING_FAILURE,
            NO_LONGER_UPDATED_COMMENT,
            f"the step is completed or discontinued (Error ID 0x{NO_LONGER_UPDATED:04X})",
            "PS3.4 Table F.7.2-2",
        ),
    ),
}


class StepService:
    """Keeps the steps that modalities report."""

    sop_class_uid = MPPS
    tables = TABLES

    def __init__(
        self, database: Database, clock: Clock, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._announcements = Announcements(database, clock, on_change)

    def serve(self, request: Request) -> Answer:
        if request.operation is Operation.CREATE:
            answer = self._create(request)
        else:
            answer = self._set(request)
        self._announcements.on_change()
        return answer

    def _create(self, request: Request) -> Answer:
        data = request.dataset
        if _status(required(data, "PerformedProcedureStepStatus")) is not StepStatus.IN_PROGRESS:
            comment = "A step is created with the status IN PROGRESS"
            raise Refusal(statuses.INVALID_ATTRIBUTE_VALUE, comment)
        for keyword in REQUIRED_AT_CREATION:
            required(data, keyword)
        studies = tuple(
            requests.require_uid(required(item, "StudyInstanceUID"), "StudyInstanceUID")
            for item in data.ScheduledStepAttributesSequence
        )
        uid = uid_of(request)
        new = NewAnnouncement(
            AnnouncementKind.MPPS,
            uid,
            request.calling_ae,
            StepStatus.IN_PROGRESS,
            studies,
            _instances(data),
            _kept(data),
        )
        self._announcements.enter(new, "step")
        log.info("step_begun", association=request.association, calling_ae=request.calling_ae)
        return Answer(uid)

    def _set(self, request: Request) -> Answer:
        data = request.dataset
        with self._announcements.database.write() as tx:
            step = announcements.find(
                tx, AnnouncementKind.MPPS, request.sop_instance_uid, for_update=True
            )
            if step is None:
                raise Refusal(statuses.NO_SUCH_SOP_INSTANCE, "No such step")
            if step.status is not StepStatus.IN_PROGRESS:
                raise Refusal(
                    statuses.PROCESSING_FAILURE, NO_LONGER_UPDATED_COMMENT, NO_LONGER_UPDATED
                )
            status: StepStatus = step.status
            if "PerformedProcedureStepStatus" in data:
                status = _status(required(data, "PerformedProcedureStepStatus"))
            attributes = {**step.attributes, **_kept(data)}
            if status is StepStatus.COMPLETED:
                _check_final(attributes)
            given = "PerformedSeriesSequence" in data
            instances = _instances(data) if given else None
            announcements.change(
                tx, step, self._announcements.clock(), status, attributes, instances
            )
        log.info(
            "step_changed",
            association=request.association,
            calling_ae=request.calling_ae,
            status=status.value,
            instances=None if instances is None else len(instances),
        )
        return Answer()


def _status(value: object) -> StepStatus:
    try:
        return StepStatus(str(value).strip())
    except ValueError as error:
        comment = "PerformedProcedureStepStatus is none of the defined terms"
        raise Refusal(statuses.INVALID_ATTRIBUTE_VALUE, comment) from error


def _kept(data: Dataset) -> dict[str, str | int]:
    kept: dict[str, str | int] = {
        keyword: str(data[keyword].value)[:64] for keyword in KEPT if data.get(keyword)
    }
    if "PerformedSeriesSequence" in data:
        kept[SERIES] = len(data.PerformedSeriesSequence or [])
    return kept


def _check_final(attributes: Header) -> None:
    """What a completed step has to have, by whichever request it came."""
    for keyword in (*REQUIRED_AT_COMPLETION, SERIES):
        if keyword not in attributes:
            raise Refusal(statuses.MISSING_ATTRIBUTE, f"{keyword} is missing")
    if not attributes[SERIES]:
        raise Refusal(statuses.MISSING_ATTRIBUTE_VALUE, f"{SERIES} is empty")


def _instances(data: Dataset) -> tuple[Reference, ...]:
    found: list[Reference] = []
    for series in data.get("PerformedSeriesSequence") or []:
        requests.require_uid(required(series, "SeriesInstanceUID"), "SeriesInstanceUID")
        for keyword in _INSTANCE_SEQUENCES:
            found += references(series.get(keyword) or [])
    return tuple(dict.fromkeys(found))
