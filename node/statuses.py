"""Statuses with which a DIMSE service answers (PS3.7 Annex C), and the form of its table of them.

Every service has a table of what it answers and when, next to what answers. STOW-RS and storage
commitment give the same numbers as failure reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

SUCCESS = 0x0000
INVALID_ATTRIBUTE_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_SOP_CLASS = 0x0118
CLASS_INSTANCE_CONFLICT = 0x0119
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213

MAX_COMMENT_LENGTH = 64
"""Error Comment (0000,0902) is an LO. PS3.7 Table C.4-1."""

ANNEX_C = "PS3.7 Annex C"
_MEANINGS = {
    SUCCESS: "Success",
    INVALID_ATTRIBUTE_VALUE: "Invalid attribute value",
    PROCESSING_FAILURE: "Processing failure",
    DUPLICATE_SOP_INSTANCE: "Duplicate SOP Instance",
    NO_SUCH_SOP_INSTANCE: "No such SOP Instance",
    NO_SUCH_EVENT_TYPE: "No such event type",
    INVALID_ARGUMENT_VALUE: "Invalid argument value",
    NO_SUCH_SOP_CLASS: "No such SOP Class",
    CLASS_INSTANCE_CONFLICT: "Class-instance conflict",
    MISSING_ATTRIBUTE: "Missing attribute",
    MISSING_ATTRIBUTE_VALUE: "Missing attribute value",
    SOP_CLASS_NOT_SUPPORTED: "Refused: SOP Class not supported",
    NO_SUCH_ACTION: "No such action",
    NOT_AUTHORISED: "Refused: Not authorized",
    UNRECOGNISED_OPERATION: "Unrecognized operation",
    RESOURCE_LIMITATION: "Resource limitation",
}
"""In the words of PS3.7 Annex C."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A line of a service's table."""

    code: int
    meaning: str
    """In the standard's words."""
    when: str
    source: str


def general(code: int, when: str) -> StatusRow:
    """A line about a status that means the same in all services."""
    return StatusRow(code, _MEANINGS[code], when, ANNEX_C)
