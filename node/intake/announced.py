"""What announcements say about open studies: complete now, not yet, or no longer worth waiting.

Evidence, strongest first: an MPPS COMPLETED or an Instance Availability Notification whose list of
instances is there to the last; then the quiet period. A step in progress and a list with instances
missing hold a study open, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from node.observe.logs import study_digest
from storage import announcements, index
from storage.announcements import Glance
from storage.database import Database, Transaction
from storage.index import OpenStudy
from storage.records import Announcement, AnnouncementState

log = structlog.get_logger(__name__)

EVIDENCE = "every announced instance is there"


RECOUNT_S = 30.0
"""So often everything is counted anew, whatever is remembered."""


@dataclass(frozen=True, slots=True)
class Word:
    """What the announcements say at one moment."""

    held: Set[str] = frozenset()
    """Study instance UIDs that are not to be completed yet."""
    vouched: tuple[OpenStudy, ...] = ()
    """Studies that are complete without waiting."""
    open: tuple[OpenStudy, ...] = ()
    """All studies that are not complete, the longest waiting first."""


class Announced:
    """Follows the announcements. Instances are counted only where some have come since.

    indexing: UIDs of studies with instances that are stored and not in the index yet.
    """

    def __init__(self, database: Database, wait_s: float, indexing: Callable[[], Set[str]]) -> None:
        self._database = database
        self._wait = timedelta(seconds=wait_s)
        self._indexing = indexing
        self._lacking: dict[int, tuple[datetime, int]] = {}
        self._not_vouched: dict[int, int] = {}
        self._recount_at: datetime | None = None

    def step(self, now: datetime) -> Word:
        """Settle what has arrived, give up what was waited for too long, and say what holds.

        Raises
        ------
        DatabaseUnavailable
        """
        behind = self._indexing()  # asked first: what is indexed later is seen in the index below
        self._forget(now)
        with self._database.read() as tx:
            if not announcements.is_anything_open(tx):
                return Word()
            standing = announcements.glances(tx, *announcements.HOLDING)
            after_all = announcements.reopened_glances(tx)
            marks = {one.id: one.mark for one in (*standing, *after_all)}
            changed = [one for one in (*standing, *after_all) if self._has_changed(one)]
            here = {one.id for one in changed if self._has_arrived(tx, one)}
        late = {one.id for one in standing if one.id not in here and self._is_late(one, now)}
        recounted = {one.id for one in changed if one in after_all} - here
        self._settle(here, late, recounted, now)
        self._lacking = {one: mark for one, mark in marks.items() if one not in here | late}
        with self._database.read() as tx:
            held = announcements.held_studies(tx)
            studies = tuple(index.open_studies(tx))
            return Word(held, self._vouched(tx, studies, behind | held), studies)

    def _forget(self, now: datetime) -> None:
        if self._recount_at is None or now >= self._recount_at:
            self._lacking, self._not_vouched = {}, {}
            self._recount_at = now + timedelta(seconds=RECOUNT_S)

    def _has_changed(self, one: Glance) -> bool:
        return self._lacking.get(one.id) != one.mark

    def _has_arrived(self, tx: Transaction, one: Glance) -> bool:
        return one.is_final and not announcements.is_missing_any(tx, one.id)

    def _settle(self, here: Set[int], late: Set[int], recounted: Set[int], now: datetime) -> None:
        if not (here or late or recounted):
            return
        self._not_vouched = {}
        with self._database.write() as tx:
            for one in announcements.get_all(tx, sorted(here)):
                announcements.arrived(tx, one, now)
            for one in announcements.get_all(tx, sorted(late)):
                self._give_up(tx, one, now)
            for announcement_id in sorted(recounted):
                announcements.count_missing(tx, announcement_id)

    def _vouched(
        self, tx: Transaction, studies: Sequence[OpenStudy], not_yet: Set[str]
    ) -> tuple[OpenStudy, ...]:
        """Open studies all of whose instances stand on lists that have come completely."""
        named = set(announcements.vouched_studies(tx))
        found = [one for one in studies if one.id in named]
        return tuple(
            one
            for one in found
            if one.study_instance_uid not in not_yet and self._is_vouched_for(tx, one)
        )

    def _is_vouched_for(self, tx: Transaction, study: OpenStudy) -> bool:
        if self._not_vouched.get(study.id) == study.revision:
            return False
        if not announcements.unannounced_in(tx, study.id):
            return True
        self._not_vouched[study.id] = study.revision
        return False

    def _is_late(self, one: Glance, now: datetime) -> bool:
        """Whether nothing came of it for too long: neither word nor images."""
        moments = [one.changed_at, one.last_received_at or one.changed_at]
        return now - max(moments) > self._wait

    def _give_up(self, tx: Transaction, announcement: Announcement, now: datetime) -> None:
        missing = announcements.missing_of(tx, announcement.id)
        ended = announcement.state is not AnnouncementState.IN_PROGRESS
        why = f"{missing} announced instances did not come" if ended else "the step has no end"
        announcements.give_up(tx, announcement, now, f"{why}; its study waits no longer")
        log.warning(
            "announcement_given_up",
            kind=announcement.kind.value,
            sender=announcement.sender_ae,
            missing=missing,
            studies=[study_digest(uid) for uid in announcement.studies],
        )
