"""What a peer's answer to a C-STORE means for the object that was sent.

Sources: PS3.4 Table B.2-1 (storage service), PS3.7 Annex C (all services).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node import statuses


class SendOutcome(StrEnum):
    """What a peer's answer means for the object that was sent."""

    STORED = "stored"
    WARNING = "warning"
    """Stored, with a remark (an attribute was coerced, for instance)."""
    REFUSED = "refused"
    """The same object would be refused again."""
    TRANSIENT = "transient"
    """Worth another try."""
    NOT_ACCEPTED = "not_accepted"
    """The peer accepted no presentation context for the object; nothing was sent."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one object. ``status`` is None where nothing was answered for it."""

    status: int | None
    outcome: SendOutcome
    reason: str
    in_doubt: bool = False
    """Whether it may have come through: the connection ended before its answer."""

    @property
    def is_stored(self) -> bool:
        return self.outcome in (SendOutcome.STORED, SendOutcome.WARNING)


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of the statuses from ``first`` to ``last``; the first row that fits counts."""

    first: int
    last: int
    outcome: SendOutcome
    text: str


MEANINGS = (
    Meaning(0x0000, 0x0000, SendOutcome.STORED, "stored"),
    # Warnings: the instance is stored. PS3.4 B.2.3, PS3.7 C.4
    Meaning(0x0001, 0x0001, SendOutcome.WARNING, "stored; optional attributes not supported"),
    Meaning(0x0107, 0x0107, SendOutcome.WARNING, "stored; attribute list warning"),
    Meaning(0x0116, 0x0116, SendOutcome.WARNING, "stored; attribute value out of range"),
    Meaning(0xB000, 0xB000, SendOutcome.WARNING, "stored; data elements were coerced"),
    Meaning(0xB006, 0xB006, SendOutcome.WARNING, "stored; elements were discarded"),
    Meaning(0xB007, 0xB007, SendOutcome.WARNING, "stored; data set does not match SOP class"),
    Meaning(0xB000, 0xBFFF, SendOutcome.WARNING, "stored with a warning"),
    # Something at the peer that may pass. PS3.4 B.2.3, PS3.7 C.5
    Meaning(0x0110, 0x0110, SendOutcome.TRANSIENT, "processing failure"),
    Meaning(0x0213, 0x0213, SendOutcome.TRANSIENT, "resource limitation"),
    Meaning(0xA700, 0xA7FF, SendOutcome.TRANSIENT, "out of resources"),
    # The object, or this sender, is not wanted
    Meaning(0x0111, 0x0111, SendOutcome.REFUSED, "duplicate SOP instance"),
    Meaning(0x0117, 0x0117, SendOutcome.REFUSED, "invalid SOP instance"),
    Meaning(0x0122, 0x0122, SendOutcome.REFUSED, "SOP class not supported"),
    Meaning(0x0124, 0x0124, SendOutcome.REFUSED, "not authorised"),
    Meaning(0x0100, 0x02FF, SendOutcome.REFUSED, "operation refused"),
    Meaning(0xA900, 0xA9FF, SendOutcome.REFUSED, "data set does not match SOP class"),
    Meaning(0xC122, 0xC122, SendOutcome.REFUSED, "transfer syntax not supported"),  # PS3.18 I.2.2
    Meaning(0xC000, 0xCFFF, SendOutcome.REFUSED, "data set not understood"),
    # Not in the standard's tables: the number of attempts bounds the patience
    Meaning(0x0000, 0xFFFF, SendOutcome.TRANSIENT, "status unknown to the standard"),
)


def is_duplicate(result: SendResult) -> bool:
    """Whether the peer has the object, from an attempt whose answer was lost or from before.

    UIDs derive from all that enters an object's bytes, so what has its UID is this object.
    """
    return result.status == statuses.DUPLICATE_SOP_INSTANCE


def classify(code: int) -> SendOutcome:
    """What a C-STORE response's status means for the object that was sent."""
    return _meaning(code).outcome


def describe(code: int, comment: str = "") -> str:
    """A status in words, with the peer's own Error Comment where it gave one."""
    words = f"{_meaning(code).text} (0x{code:04X})"
    return f"{words}: {comment}" if comment else words


def _meaning(code: int) -> Meaning:
    return next(row for row in MEANINGS if row.first <= code <= row.last)
