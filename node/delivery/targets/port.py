"""Where results are sent to: what a courier asks of a destination, whatever it speaks.

``dimse`` stores by C-STORE; a further kind of destination is a further module beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from node.dimse.scu.answers import SendResult
from storage.files.blobs import Blob

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless)
"""Those that results are sent in: a destination is asked which it takes."""

Sink = Callable[[int, SendResult], None]
"""Takes an object's place in the sequence and its result, as soon as there is one."""


Wanted = Callable[[int], bool]
"""Whether an object, by its place in the sequence, is still to go: asked just before it is begun,
when those before it are settled that may be."""


def every(index: int) -> bool:
    """All are to go."""
    return True


class Telling(StrEnum):
    """What is known of a destination before anything is sent."""

    ALL = "all"
    """It takes whatever it is given."""
    THESE = "these"
    """It has said what it takes."""
    UNTOLD = "untold"
    """It does not tell: an answer to an object is the first that is heard of it."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a destination takes: pairs of SOP class and transfer syntax, where it has told them."""

    telling: Telling
    accepted: frozenset[tuple[str, str]] = frozenset()

    def takes(self, sop_class_uid: str, transfer_syntax_uid: str = "") -> bool:
        """Whether an object may be offered; with no transfer syntax: in any of ``SYNTAXES``."""
        if self.telling is not Telling.THESE:
            return True
        if transfer_syntax_uid:
            return (sop_class_uid, transfer_syntax_uid) in self.accepted
        return any(sop_class == sop_class_uid for sop_class, _ in self.accepted)


class Target(Protocol):
    """A destination. Called from one thread."""

    @property
    def name(self) -> str:
        """As the rules and the outbox have it."""

    def abilities(self, sop_classes: Iterable[str]) -> Abilities:
        """What it takes of these, each in ``SYNTAXES``.

        Raises
        ------
        PeerUnavailable
        """

    def send(self, objects: Sequence[Blob], take: Sink, wanted: Wanted = every) -> None:
        """Offer objects that are wanted, in this order. ``take`` is called once for each that was
        begun.

        What was begun and not answered is ``in_doubt``. After an error those that were not taken
        were not begun.

        Raises
        ------
        PeerUnavailable
            It cannot be reached, or ended early.
        """

    def held(self, objects: Sequence[Blob]) -> frozenset[int]:
        """Which objects it has, by their place in the sequence.

        Raises
        ------
        Unaskable
            It does not tell what it has.
        """

    def probe(self) -> float:
        """Whether it is there; the seconds that it took to answer.

        Raises
        ------
        PeerUnavailable
        """
