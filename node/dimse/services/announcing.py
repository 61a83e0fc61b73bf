"""What is the same for all who announce instances (MPPS, availability): the row that is kept."""

from __future__ import annotations

from collections.abc import Callable

from node import statuses
from node.clock import Clock
from node.dimse.services.requests import Refusal, Request
from node.identity import new_uid
from node.statuses import general
from storage import announcements
from storage.announcements import DuplicateAnnouncement, NewAnnouncement
from storage.database import Database

TAKEN = general(statuses.DUPLICATE_SOP_INSTANCE, "the SOP Instance UID is in use")


class Announcements:
    """Where announcements are kept, and who hears of it."""

    def __init__(
        self, database: Database, clock: Clock, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.database = database
        self.clock = clock
        self.on_change = on_change

    def enter(self, new: NewAnnouncement, what: str) -> None:
        """Keep a new one.

        Raises
        ------
        Refusal
            Its UID is taken. ``what`` it is called in the comment.
        DatabaseUnavailable
        """
        try:
            with self.database.write() as tx:
                announcements.enter(tx, new, self.clock())
        except DuplicateAnnouncement as error:
            comment = f"A {what} with this SOP Instance UID exists"
            raise Refusal(TAKEN.code, comment) from error


def uid_of(request: Request) -> str:
    """Of the SOP instance; made here where the SCU leaves it to the SCP. PS3.7 10.1.5.1.4."""
    return request.sop_instance_uid or new_uid()
