"""Every DIMSE service that the node uses at others: what it does as SCU, for the statement."""

from __future__ import annotations

from dataclasses import dataclass

from node.dimse import contexts
from node.dimse.scu.finder import PATIENT_ROOT, STUDY_ROOT
from node.dimse.scu.retrieve import (
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
)
from node.dimse.services.commitment import STORAGE_COMMITMENT


@dataclass(frozen=True, slots=True)
class Used:
    """One service. Without SOP classes: those of the objects that are sent."""

    name: str
    operation: str
    sop_classes: tuple[str, ...]
    source: str
    when: str


USED = (
    Used(
        "Verification",
        "C-ECHO",
        (str(contexts.VERIFICATION),),
        "PS3.4 A",
        "the node proves its own listener; a destination that was away is asked whether it is back;"
        " `wetread check` asks destinations and archives",
    ),
    Used(
        "Storage",
        "C-STORE",
        (),
        "PS3.4 B",
        "results are delivered to destinations; `wetread send` sends a folder; what a C-MOVE asks"
        " for goes to its destination",
    ),
    Used(
        "Storage Commitment Push Model",
        "N-ACTION",
        (STORAGE_COMMITMENT,),
        "PS3.4 J",
        "a destination with `commitment = true` is asked to commit to the results it was sent",
    ),
    Used(
        "Storage Commitment Push Model, as its SCP by role selection",
        "N-EVENT-REPORT",
        (STORAGE_COMMITMENT,),
        "PS3.4 J",
        "a report is owed to who asked for commitment and has closed the association",
    ),
    Used(
        "Query/Retrieve FIND",
        "C-FIND",
        (str(STUDY_ROOT), str(PATIENT_ROOT)),
        "PS3.4 C.4.1",
        "what is to be fetched is looked for at STUDY, SERIES and IMAGE level; the answer to a"
        " result was lost: does the destination hold it (IMAGE), before it is sent again",
    ),
    Used(
        "Query/Retrieve GET",
        "C-GET",
        (STUDY_ROOT_GET, PATIENT_ROOT_GET),
        "PS3.4 C.4.3",
        "what was found and is not here is fetched, at SERIES level, or at IMAGE level by lists of"
        " UIDs; the node is SCP of the storage SOP classes by role selection",
    ),
    Used(
        "Query/Retrieve MOVE",
        "C-MOVE",
        (STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE),
        "PS3.4 C.4.2",
        "the same where a source takes no C-GET, to the node's own AE title",
    ),
)
