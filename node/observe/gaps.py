"""Looks for instances that were left behind on their way, and raises the alarm."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from node.clock import Clock
from node.observe.logs import study_digest
from storage import gaps, index, totals
from storage.database import Database
from storage.gaps import Change

log: structlog.stdlib.BoundLogger = structlog.get_logger()


REFRESH_S = 3600.0
"""So often the database looks how much there is: what is asked here goes through all of it."""
AT_ONCE = 50
"""So many alarms are raised, and so many gaps closed, in one transaction: others write too."""


class GapWatch:
    """Finds what stands still for longer than ``alarm_s``: ``step``, again and again."""

    def __init__(self, database: Database, alarm_s: float, clock: Clock) -> None:
        self._database = database
        self._alarm = timedelta(seconds=alarm_s)
        self._clock = clock
        self._refresh_at = clock()

    def step(self) -> list[Change]:
        """Look once; gives the gaps that were opened or closed.

        Raises
        ------
        DatabaseUnavailable
        """
        now = self._clock()
        self._refresh_statistics(now)
        with self._database.read() as tx:
            found = gaps.find(tx, now - self._alarm)
        with self._database.write() as tx:
            changes = gaps.watch(tx, found, now, AT_ONCE)
            totals.gather(tx)
            studies = {
                change.gap.study_id: index.get_study(tx, change.gap.study_id).study_instance_uid
                for change in changes
                if change.gap.study_id is not None
            }
        for change in changes:
            gap = change.gap
            uid = studies.get(gap.study_id) if gap.study_id is not None else None
            line = log.info if change.closed else log.error
            line(
                "gap_closed" if change.closed else "gap",
                stage=gap.stage.value,
                study=study_digest(uid) if uid else "unknown",
                missing=gap.missing,
                since=gap.since.isoformat(),
            )
        return changes

    def _refresh_statistics(self, now: datetime) -> None:
        if now >= self._refresh_at:
            self._database.refresh_statistics()
            self._refresh_at = now + timedelta(seconds=REFRESH_S)
