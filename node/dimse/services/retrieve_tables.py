"""The SOP classes of C-GET and C-MOVE, and all that is answered to them (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from node import statuses
from node.statuses import StatusRow, general

PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_ROOT = frozenset((PATIENT_ROOT_MOVE, PATIENT_ROOT_GET))
GET = (PATIENT_ROOT_GET, STUDY_ROOT_GET)
MOVE = (PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE)

PENDING = 0xFF00
CANCELLED = 0xFE00
SOME_FAILED = 0xB000
NO_MATCHES_COUNTED = 0xA701
NOTHING_SENT = 0xA702
DESTINATION_UNKNOWN = 0xA801
IDENTIFIER_MISMATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000

_SOURCE = "PS3.4 Table C.4-2, C.4-3"


def _row(code: int, meaning: str, when: str) -> StatusRow:
    return StatusRow(code, meaning, when, _SOURCE)


TABLE_OF_GET = (
    general(statuses.SUCCESS, "all instances were sent, or none is meant"),
    _row(
        PENDING,
        "Sub-operations are continuing",
        "after each instance, with the counts",
    ),
    _row(
        SOME_FAILED,
        "Sub-operations Complete - One or more Failures or Warnings",
        "some were not stored, or with a warning",
    ),
    _row(CANCELLED, "Sub-operations terminated due to Cancel Indication", "a C-CANCEL came"),
    _row(
        NO_MATCHES_COUNTED,
        "Refused: Out of resources - Unable to calculate number of matches",
        "the database is away: worth another try",
    ),
    _row(
        NOTHING_SENT,
        "Refused: Out of resources - Unable to perform sub-operations",
        "no instance was stored",
    ),
    _row(
        IDENTIFIER_MISMATCH,
        "Error: Data Set does not match SOP Class",
        "no level of the model, its unique key is empty, or one below it is not; with"
        " `query.strict_hierarchy` also where one above it is missing; or the identifier cannot be"
        " read",
    ),
    general(
        statuses.SOP_CLASS_NOT_SUPPORTED,
        "the request names another SOP class than its presentation context",
    ),
    general(statuses.NOT_AUTHORISED, "the peer has not the right to `retrieve`"),
    _row(
        UNABLE_TO_PROCESS,
        "Failed: Unable to process",
        "a fault of this node; the comment has an id that is in its log",
    ),
)
TABLE_OF_MOVE = (
    *TABLE_OF_GET,
    _row(
        DESTINATION_UNKNOWN,
        "Refused: Move Destination unknown",
        "nobody in `[[peers]]` or `[[destinations]]` has the AE title and an address, or the peer's"
        " `retrieve_to` has not the title",
    ),
)
