"""Every DIMSE service that the node offers, in whichever process receives: the one list of them.

A service is added here, and nowhere else: associations accept its SOP class, its requests reach
it, and the conformance statement tells of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pynetdicom.dimse_primitives import C_GET, C_MOVE

from node import statuses
from node.clock import Clock
from node.dimse import contexts
from node.dimse.entity import Entity
from node.dimse.services import availability, commitment, find, mpps, retrieve_tables, retrieves
from node.dimse.services.composite import Composite
from node.dimse.services.requests import Operation, Service
from node.dimse.services.retrieves import RetrieveService
from node.receive import statuses as store_statuses
from node.statuses import StatusRow, general
from storage.database import Database
from storage.files.archive import Archive


@dataclass(frozen=True, slots=True)
class Means:
    """What services need of the process that they run in."""

    database: Database
    clock: Clock
    archive: Archive
    entity: Entity
    commitment_requested: Callable[[], None] = lambda: None
    """Told when a storage commitment request was taken: somebody has to look."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A service of DIMSE-N, of which the node is the SCP unless its table says otherwise."""

    name: str
    sop_class_uid: str
    tables: Mapping[Operation, Sequence[StatusRow]]
    """The operations that are served, each with all that is answered."""
    source: str
    make: Callable[[Means], Service]


@dataclass(frozen=True, slots=True)
class OfferedComposite:
    """A service of DIMSE-C that answers many times, of which the node is the SCP."""

    name: str
    operation: str
    sop_classes: tuple[str, ...]
    table: Sequence[StatusRow]
    source: str
    make: Callable[[Means], Composite]


@dataclass(frozen=True, slots=True)
class OnTheLane:
    """A service that the association's lane serves itself, without pynetdicom."""

    name: str
    operation: str
    sop_classes: tuple[str, ...]
    table: Sequence[StatusRow]
    source: str


ON_THE_LANE = (
    OnTheLane(
        "Verification",
        "C-ECHO",
        (str(contexts.VERIFICATION),),
        (general(statuses.SUCCESS, "always"),),
        "PS3.4 A",
    ),
    OnTheLane("Storage", "C-STORE", contexts.storage_classes(), store_statuses.TABLE, "PS3.4 B"),
)

OFFERED = (
    Offered(
        "Storage Commitment Push Model",
        commitment.STORAGE_COMMITMENT,
        commitment.TABLES,
        "PS3.4 J",
        lambda means: commitment.CommitmentService(
            means.database, means.clock, means.commitment_requested
        ),
    ),
    Offered(
        "Modality Performed Procedure Step",
        mpps.MPPS,
        mpps.TABLES,
        "PS3.4 F.7",
        lambda means: mpps.StepService(means.database, means.clock),
    ),
    Offered(
        "Instance Availability Notification",
        availability.INSTANCE_AVAILABILITY,
        availability.TABLES,
        "PS3.4 R",
        lambda means: availability.AvailabilityService(means.database, means.clock),
    ),
)


COMPOSITES = (
    OfferedComposite(
        "Query/Retrieve FIND, Patient Root and Study Root",
        "C-FIND",
        find.FindService.sop_class_uids,
        find.TABLE,
        "PS3.4 C.4.1",
        lambda means: find.FindService(
            means.database, means.archive, means.entity.ae_title, means.entity.query
        ),
    ),
    OfferedComposite(
        "Query/Retrieve GET, Patient Root and Study Root",
        "C-GET",
        retrieve_tables.GET,
        retrieve_tables.TABLE_OF_GET,
        "PS3.4 C.4.3",
        lambda means: RetrieveService(C_GET, _of_retrieves(means)),
    ),
    OfferedComposite(
        "Query/Retrieve MOVE, Patient Root and Study Root",
        "C-MOVE",
        retrieve_tables.MOVE,
        retrieve_tables.TABLE_OF_MOVE,
        "PS3.4 C.4.2",
        lambda means: RetrieveService(C_MOVE, _of_retrieves(means)),
    ),
)


def _of_retrieves(means: Means) -> retrieves.Means:
    return retrieves.means_of(means.entity, means.database, means.archive)


def services(means: Means) -> tuple[Service, ...]:
    """All services of DIMSE-N, for one process."""
    return tuple(offered.make(means) for offered in OFFERED)


def composites(means: Means) -> tuple[Composite, ...]:
    """All services of DIMSE-C that answer many times, for one process."""
    return tuple(offered.make(means) for offered in COMPOSITES)
