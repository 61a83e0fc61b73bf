"""Services of DIMSE-C that answer one request many times: C-FIND, C-GET and C-MOVE (PS3.7 9.1).

Each binds itself to an association; what is the same for all of them stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pynetdicom import evt
from pynetdicom.association import Association

from node import statuses
from node.dimse.session import Session


class Composite(Protocol):
    """A service of Query/Retrieve. Called from association threads."""

    @property
    def sop_class_uids(self) -> tuple[str, ...]:
        """The SOP classes that it serves as SCP."""

    def agree(self, asked: bytes) -> bytes:
        """The answer to SOP class extended negotiation (PS3.4 C.5), as long as what is asked at
        most; empty for none."""

    def bind(self, association: Association, session: Session) -> None:
        """Answer what the peer asks over an association. Whatever goes wrong is a status."""


class Refused(Exception):
    """A request is answered with a failure; ``comment`` holds no patient data. offending: the tag
    of an element."""

    def __init__(self, status: int, comment: str, offending: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment[: statuses.MAX_COMMENT_LENGTH]
        self.offending = offending


def bind(association: Association, session: Session, composites: Sequence[Composite]) -> None:
    """Let the services answer what a peer asks, and negotiate, over an association."""
    by_class = {uid: one for one in composites for uid in one.sop_class_uids}

    def negotiate(event: evt.Event) -> dict[str, bytes]:
        for uid, asked in vars(event)["app_info"].items():
            one = by_class.get(str(uid))
            answer = one.agree(asked) if one else b""
            if answer:
                session.agreed[str(uid)] = answer
        return session.agreed

    association.bind(evt.EVT_SOP_EXTENDED, negotiate)
    for one in composites:
        one.bind(association, session)


def internal_fault(session: Session, operation: str, status: int, error: Exception) -> Refused:
    """A fault of our own."""
    return Refused(status, session.log_fault(operation, error))
