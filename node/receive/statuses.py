"""The C-STORE statuses that receiving answers, and when (PS3.4 Table B.2-1, PS3.7 Annex C)."""

from __future__ import annotations

from dataclasses import dataclass

from node.statuses import (
    DUPLICATE_SOP_INSTANCE,
    MAX_COMMENT_LENGTH,
    NOT_AUTHORISED,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    StatusRow,
    general,
)

__all__ = [
    "CANNOT_UNDERSTAND",
    "DUPLICATE_SOP_INSTANCE",
    "INSTANCE_TOO_LARGE",
    "MAX_COMMENT_LENGTH",
    "NOT_AUTHORISED",
    "OUT_OF_RESOURCES",
    "PROCESSING_FAILURE",
    "SOP_CLASS_MISMATCH",
    "SOP_CLASS_NOT_SUPPORTED",
    "SOP_INSTANCE_MISMATCH",
    "SUCCESS",
    "TABLE",
    "Status",
]

OUT_OF_RESOURCES = 0xA700
INSTANCE_TOO_LARGE = 0xA701
SOP_CLASS_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
SOP_INSTANCE_MISMATCH = 0xC001

_SOURCE = "PS3.4 Table B.2-1"

TABLE = (
    general(SUCCESS, "stored durably, or the same instance with the same bytes was there"),
    StatusRow(
        OUT_OF_RESOURCES,
        "Refused: Out of resources",
        "disk full, quota, database or store away: worth another try",
        _SOURCE,
    ),
    StatusRow(
        INSTANCE_TOO_LARGE,
        "Refused: Out of resources",
        "more than `dimse.max_instance_mb`; nothing of it is kept",
        _SOURCE,
    ),
    StatusRow(
        SOP_CLASS_MISMATCH,
        "Error: Data Set does not match SOP Class",
        "command and data set disagree on the SOP class; the instance is in quarantine",
        _SOURCE,
    ),
    StatusRow(
        CANNOT_UNDERSTAND,
        "Error: Cannot understand",
        "data set missing or unreadable, or its UIDs are missing or not UIDs; what came is in"
        " quarantine",
        _SOURCE,
    ),
    StatusRow(
        SOP_INSTANCE_MISMATCH,
        "Error: Cannot understand",
        "command and data set disagree on the SOP instance; the instance is in quarantine",
        _SOURCE,
    ),
    general(
        PROCESSING_FAILURE, "a fault of this node; the comment has an id that stands in its log"
    ),
    general(
        DUPLICATE_SOP_INSTANCE,
        "the UID is taken by an instance with other bytes; the new one is in quarantine",
    ),
    general(
        SOP_CLASS_NOT_SUPPORTED, "the command names another SOP class than its presentation context"
    ),
    general(NOT_AUTHORISED, "the peer has not the right to `store`; nothing of it is kept"),
)
"""All that is ever answered to a C-STORE."""
_ANSWERED = frozenset(row.code for row in TABLE)


@dataclass(frozen=True, slots=True)
class Status:
    """What is answered to a C-STORE; ``comment`` holds no patient data."""

    code: int
    comment: str = ""

    def __post_init__(self) -> None:
        if len(self.comment) > MAX_COMMENT_LENGTH or not self.comment.isascii():
            raise ValueError("an Error Comment has at most 64 ASCII characters")
        if self.code not in _ANSWERED:
            raise ValueError(f"0x{self.code:04X} is in no row of the table")

    @property
    def is_success(self) -> bool:
        return self.code == SUCCESS
