"""C-GET-RSP and C-MOVE-RSP on the wire (PS3.7 9.3.3.2, 9.3.4.2), and the identifier of the last."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID

from node.dimse.wire.commands import NO_DATA_SET, Elements

C_GET_RSP = 0x8010
C_MOVE_RSP = 0x8021
MOST = 0xFFFF
"""A number of sub-operations is a US: more cannot be said."""
_FAILED_LIST = (0x0008, 0x0058)
_SHORT_LENGTH = 0xFFFE
"""The longest UI value in Explicit VR; longer ones are UN. PS3.5 6.2.2."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The counts of an answer. ``remaining`` None: not said, as in the last one."""

    completed: int = 0
    failed: int = 0
    warnings: int = 0
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that is answered."""

    response_field: int
    sop_class_uid: str
    message_id: int


def answer(
    asked: Asked,
    status: int,
    progress: Progress,
    has_identifier: bool = False,
    comment: str = "",
    offending: tuple[int, int] | None = None,
) -> bytes:
    """The command set of a response."""
    elements = Elements()
    elements.uid(0x0002, asked.sop_class_uid)
    elements.number(0x0100, asked.response_field)
    elements.number(0x0120, asked.message_id)
    elements.number(0x0800, 0 if has_identifier else NO_DATA_SET)
    elements.number(0x0900, status)
    if offending is not None:
        elements.raw(0x0901, struct.pack("<HH", *offending))
    if comment:
        elements.text(0x0902, comment)
    if progress.remaining is not None:
        elements.number(0x1020, min(progress.remaining, MOST))
    for element, count in (
        (0x1021, progress.completed),
        (0x1022, progress.failed),
        (0x1023, progress.warnings),
    ):
        elements.number(element, min(count, MOST))
    return elements.command_set()


def failed_list(sop_instance_uids: Sequence[str], transfer_syntax: UID) -> bytes:
    """An identifier with the Failed SOP Instance UID List. PS3.4 C.4.2.1.4.2, C.4.3.1.3.2.

    ``transfer_syntax`` of the context: a native one that is not deflated.
    """
    value = "\\".join(sop_instance_uids).encode("ascii", "replace")
    value += b"\0" * (len(value) % 2)
    order = "<" if transfer_syntax.is_little_endian else ">"
    if transfer_syntax.is_implicit_VR:
        head = struct.pack(f"{order}HHL", *_FAILED_LIST, len(value))
    elif len(value) <= _SHORT_LENGTH:
        head = struct.pack(f"{order}HH2sH", *_FAILED_LIST, b"UI", len(value))
    else:
        head = struct.pack(f"{order}HH2sHL", *_FAILED_LIST, b"UN", 0, len(value))
    return head + value
