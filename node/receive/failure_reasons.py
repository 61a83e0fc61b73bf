"""Why a file was not stored, as STOW-RS tells it: Failure Reason (0008,1197), PS3.18 I.2.2.

What C-STORE answers with a status is told by the same number here.
"""

from __future__ import annotations

from node.receive import statuses
from node.statuses import (
    DUPLICATE_SOP_INSTANCE,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    StatusRow,
)

STORED = statuses.SUCCESS
TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122

_SOURCE = "PS3.18 Table I.2-2"

TABLE = (
    StatusRow(
        statuses.OUT_OF_RESOURCES,
        "Refused out of Resources",
        "disk full, quota, database or store away: worth another try",
        _SOURCE,
    ),
    StatusRow(
        statuses.INSTANCE_TOO_LARGE,
        "Refused out of Resources",
        "more than `dimse.max_instance_mb`; nothing of it is kept",
        _SOURCE,
    ),
    StatusRow(
        statuses.SOP_CLASS_MISMATCH,
        "Error: Data Set does not match SOP Class",
        "file meta information and data set disagree on the SOP class: the instance is in"
        " quarantine; or the data set is of another study than the URL names: it is not kept",
        _SOURCE,
    ),
    StatusRow(
        statuses.CANNOT_UNDERSTAND,
        "Error: Cannot understand",
        "no DICOM file, or one whose file meta information lacks a UID: not kept; a data set that"
        " is unreadable, or whose UIDs are missing or no UIDs: in quarantine",
        _SOURCE,
    ),
    StatusRow(
        statuses.SOP_INSTANCE_MISMATCH,
        "Error: Cannot understand",
        "file meta information and data set disagree on the SOP instance; the instance is in"
        " quarantine",
        _SOURCE,
    ),
    StatusRow(
        TRANSFER_SYNTAX_NOT_SUPPORTED,
        "Referenced Transfer Syntax not supported",
        "a transfer syntax in which the header cannot be read, or an unknown one",
        _SOURCE,
    ),
    StatusRow(
        PROCESSING_FAILURE,
        "Processing failure",
        "a fault of this node, which stands in its log",
        _SOURCE,
    ),
    StatusRow(
        SOP_CLASS_NOT_SUPPORTED,
        "Referenced SOP Class not supported",
        "instances of this SOP class belong to no study",
        _SOURCE,
    ),
    StatusRow(
        DUPLICATE_SOP_INSTANCE,
        "Duplicate SOP Instance",
        "the UID is taken by an instance with other bytes; the new one is in quarantine",
        "PS3.7 Annex C",
    ),
)
"""All that is ever told."""
