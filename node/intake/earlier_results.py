"""Enters results that an older version left, as instances of their studies, by reading them.

A few at a time, beside everything else. What is entered is found no more, so it goes on where an
abrupt end cut it off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import structlog

from node.clock import Clock
from storage import earlier_results, events, index
from storage.database import Database, Transaction
from storage.earlier_results import Unentered
from storage.errors import UnreadableInstance
from storage.files.blobs import Blob
from storage.files.port import Results
from storage.header.reading import read_attributes
from storage.records import Level, ResultObject, Topic

log: structlog.stdlib.BoundLogger = structlog.get_logger()

AT_ONCE = 100
"""So many are read, and entered in one transaction."""
SAY_AFTER = 5_000
"""So many have been looked at until the log says how far it is."""
JOBS_NAMED = 10


class EarlierResults:
    """``step`` is for one thread."""

    def __init__(self, database: Database, results: Results, clock: Clock) -> None:
        self._database = database
        self._results = results
        self._clock = clock
        self._after = self._entered = self._said = 0
        self._lost: dict[int, int] = {}

    def step(self) -> bool:
        """Enter the next few; true while there may be more.

        Raises
        ------
        DatabaseUnavailable
        OSError
            The disk does not give them.
        """
        with self._database.read() as tx:
            found = earlier_results.unentered(tx, self._after, AT_ONCE)
        if not found:
            self._end()
            return False
        read = {one.id: made for one in found if (made := self._read(one)) is not None}
        with self._database.write() as tx:
            there = earlier_results.unentered(tx, self._after, AT_ONCE)
            self._entered += _enter(tx, [one for one in there if one.id in read], read)
        self._after = found[-1].id
        self._say()
        return True

    def _read(self, one: Unentered) -> ResultObject | None:
        """With what the index keeps of it; None where there is nothing to be read."""
        try:
            blob = Blob(self._results.blobs, one.object.key)
            return replace(one.object, attributes=read_attributes(blob))
        except (FileNotFoundError, UnreadableInstance) as error:
            log.warning("result_lost", job=one.job_id, reason=type(error).__name__)
            self._lost[one.job_id] = self._lost.get(one.job_id, 0) + 1
            return None

    def _say(self) -> None:
        seen = self._entered + sum(self._lost.values())
        if seen - self._said >= SAY_AFTER:
            self._said = seen
            log.info("earlier_results_entered", entered=self._entered, more=True)

    def _end(self) -> None:
        if self._entered:
            log.info("earlier_results_entered", entered=self._entered, more=False)
        if self._lost:
            reason = _why_lost(self._lost)
            with self._database.write() as tx:
                now = self._clock()
                events.record(tx, now, Level.WARNING, Topic.NODE, 0, "", "results lost", reason)
        self._entered, self._said, self._lost = 0, 0, {}


def _enter(tx: Transaction, found: Sequence[Unentered], read: dict[int, ResultObject]) -> int:
    """Job by job: each dates its own."""
    entered = 0
    for _, members in groupby(found, key=lambda one: one.job_id):
        of_job = list(members)
        first = of_job[0]
        made = [read[one.id] for one in of_job]
        entered += index.add_own(tx, first.study_id, made, first.ended_at)
    return entered


def _why_lost(lost: dict[int, int]) -> str:
    named = ", ".join(str(job) for job in list(lost)[:JOBS_NAMED])
    more = " …" if len(lost) > JOBS_NAMED else ""
    return (
        f"{sum(lost.values())} results have no file that can be read, and are not found by queries:"
        f" of jobs {named}{more}"
    )
