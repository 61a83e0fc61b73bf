"""Every DIMSE service that the node uses at others: what it does as SCU, for the statement."""

from __future__ import annotations

from dataclasses import dataclass

from node.dimse import contexts
from node.dimse.scu.finder import PATIENT_ROOT, STUDY_ROOT
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
        " `wetread check` asks the destinations",
    ),
    Used(
        "Storage",
        "C-STORE",
        (),
        "PS3.4 B",
        "results are delivered to destinations; `wetread send` sends a folder",
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
        "Query/Retrieve FIND, IMAGE level",
        "C-FIND",
        (str(STUDY_ROOT), str(PATIENT_ROOT)),
        "PS3.4 C.4.1",
        "the answer to a result was lost: does the destination hold it, before it is sent again",
    ),
)
