"""Instance Availability Notification, as SCP (PS3.4 R).

A PACS says which instances of a study it holds. The node keeps the list as an announcement: what
stands on it and does not come is a gap.
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
from node.statuses import general
from storage.announcements import NewAnnouncement
from storage.database import Database
from storage.records import AnnouncementKind, Reference, StepStatus

log: structlog.stdlib.BoundLogger = structlog.get_logger()

INSTANCE_AVAILABILITY = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class. PS3.4 R.3."""
AVAILABILITIES = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")
"""Instance Availability (0008,0056). PS3.4 Table R.3.2-1."""
NOT_EXPECTED = "UNAVAILABLE"


TABLES = {
    Operation.CREATE: (
        *requests.ALWAYS,
        *requests.LACKING,
        general(
            statuses.INVALID_ATTRIBUTE_VALUE, "Instance Availability is none of the defined terms"
        ),
        TAKEN,
    )
}


class AvailabilityService:
    """Keeps what PACS say they hold."""

    sop_class_uid = INSTANCE_AVAILABILITY
    tables = TABLES

    def __init__(
        self, database: Database, clock: Clock, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._announcements = Announcements(database, clock, on_change)

    def serve(self, request: Request) -> Answer:
        data = request.dataset
        study = requests.require_uid(required(data, "StudyInstanceUID"), "StudyInstanceUID")
        uid = uid_of(request)
        new = NewAnnouncement(
            AnnouncementKind.IAN,
            uid,
            request.calling_ae,
            StepStatus.COMPLETED,
            (study,),
            _expected(data),
            {},
        )
        self._announcements.enter(new, "notification")
        log.info(
            "availability_notified",
            association=request.association,
            calling_ae=request.calling_ae,
            instances=len(new.instances),
        )
        self._announcements.on_change()
        return Answer(uid)


def _expected(data: Dataset) -> tuple[Reference, ...]:
    """The instances that the sender can give out. PS3.4 Table R.3.2-1."""
    found: list[Reference] = []
    for series in required(data, "ReferencedSeriesSequence"):
        requests.require_uid(required(series, "SeriesInstanceUID"), "SeriesInstanceUID")
        for item in required(series, "ReferencedSOPSequence"):
            availability = str(required(item, "InstanceAvailability")).strip()
            if availability not in AVAILABILITIES:
                comment = "InstanceAvailability is none of the defined terms"
                raise Refusal(statuses.INVALID_ATTRIBUTE_VALUE, comment)
            if availability != NOT_EXPECTED:
                found += references([item])
    return tuple(dict.fromkeys(found))
