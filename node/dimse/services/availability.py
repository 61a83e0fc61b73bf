"""Instance Availability Notification, as SCP (PS3.4 R).

A PACS says which instances of a study it holds. The node keeps the list as an announcement: what
stands on it and does not come is a gap.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from node import statuses
from node.clock import Clock
from node.dimse.services import requests
from node.dimse.services.requests import Answer, Operation, Refusal, Request, references, required
from storage import announcements
from storage.announcements import DuplicateAnnouncement, NewAnnouncement
from storage.database import Database
from storage.records import AnnouncementKind, Reference, StepStatus

log: structlog.stdlib.BoundLogger = structlog.get_logger()

INSTANCE_AVAILABILITY = "1.2.840.10008.5.1.4.33"
"""Instance Availability Notification SOP Class. PS3.4 R.3."""
AVAILABILITIES = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")
"""Instance Availability (0008,0056). PS3.4 Table R.3.2-1."""
NOT_EXPECTED = "UNAVAILABLE"


class AvailabilityService:
    """Keeps what PACS say they hold."""

    sop_class_uid = INSTANCE_AVAILABILITY

    def __init__(
        self, database: Database, clock: Clock, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._on_change = on_change

    def serve(self, request: Request) -> Answer:
        if request.operation is not Operation.CREATE:
            raise Refusal(statuses.UNRECOGNISED_OPERATION, "No such operation of this SOP class")
        data = request.dataset
        study = requests.require_uid(required(data, "StudyInstanceUID"), "StudyInstanceUID")
        uid = request.sop_instance_uid or generate_uid(prefix=None)
        new = NewAnnouncement(
            AnnouncementKind.IAN,
            uid,
            request.calling_ae,
            StepStatus.COMPLETED,
            (study,),
            _expected(data),
            {},
        )
        try:
            with self._database.write() as tx:
                announcements.enter(tx, new, self._clock())
        except DuplicateAnnouncement as error:
            comment = "A notification with this SOP Instance UID exists"
            raise Refusal(statuses.DUPLICATE_SOP_INSTANCE, comment) from error
        log.info(
            "availability_notified",
            association=request.association,
            calling_ae=request.calling_ae,
            instances=len(new.instances),
        )
        self._on_change()
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
