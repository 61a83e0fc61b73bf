"""What announcements say about open studies: complete now, not yet, or no longer worth waiting.

Evidence, strongest first: an MPPS COMPLETED or an Instance Availability Notification whose list of
instances is there to the last; then the quiet period. A step in progress and a list with instances
missing hold a study open, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from node.observe.logs import study_digest
from storage import announcements, index
from storage.announcements import Standing
from storage.database import Database, Transaction
from storage.records import AnnouncementState, StudyRow

log = structlog.get_logger(__name__)

EVIDENCE = "every announced instance is there"


@dataclass(frozen=True, slots=True)
class Word:
    """What the announcements say at one moment."""

    held: Set[str] = frozenset()
    """Study instance UIDs that are not to be completed yet."""
    vouched: tuple[StudyRow, ...] = ()
    """Studies that are complete without waiting."""


class Announced:
    """Follows the announcements.

    indexing: UIDs of studies with instances that are stored and not in the index yet.
    """

    def __init__(self, database: Database, wait_s: float, indexing: Callable[[], Set[str]]) -> None:
        self._database = database
        self._wait = timedelta(seconds=wait_s)
        self._indexing = indexing

    def step(self, now: datetime) -> Word:
        """Settle what has arrived, give up what was waited for too long, and say what holds.

        Raises
        ------
        DatabaseUnavailable
        """
        behind = self._indexing()  # asked first: what is indexed later is seen in the index below
        with self._database.read() as tx:
            standing = announcements.standing(tx, *announcements.HOLDING)
            after_all = announcements.reopened(tx)
            here = [one for one in (*standing, *after_all) if one.has_arrived]
            late = [one for one in standing if not one.has_arrived and self._is_late(tx, one, now)]
        if here or late:
            with self._database.write() as tx:
                for one in here:
                    announcements.arrived(tx, one.announcement, now)
                for one in late:
                    self._give_up(tx, one, now)
        held = {
            uid
            for one in standing
            if one not in here and one not in late
            for uid in one.announcement.studies
        }
        with self._database.read() as tx:
            vouched = self._vouched(tx, behind | held)
        return Word(held, vouched)

    def _vouched(self, tx: Transaction, not_yet: Set[str]) -> tuple[StudyRow, ...]:
        """Open studies all of whose instances stand on lists that have come completely."""
        found = (
            index.get_study(tx, one)
            for one in announcements.vouched_studies(tx)
            if not announcements.unannounced_in(tx, one)
        )
        return tuple(study for study in found if study.study_instance_uid not in not_yet)

    def _is_late(self, tx: Transaction, one: Standing, now: datetime) -> bool:
        """Whether nothing came of it for too long: neither word nor images."""
        rows = (index.find_study(tx, uid) for uid in one.announcement.studies)
        moments = [study.last_received_at for study in rows if study is not None]
        last = max([one.announcement.changed_at, *moments])
        return now - last > self._wait

    def _give_up(self, tx: Transaction, one: Standing, now: datetime) -> None:
        announcement = one.announcement
        ended = announcement.state is not AnnouncementState.IN_PROGRESS
        why = f"{one.missing} announced instances did not come" if ended else "the step has no end"
        announcements.give_up(tx, announcement, now, f"{why}; its study waits no longer")
        log.warning(
            "announcement_given_up",
            kind=announcement.kind.value,
            sender=announcement.sender_ae,
            missing=one.missing,
            studies=[study_digest(uid) for uid in announcement.studies],
        )
