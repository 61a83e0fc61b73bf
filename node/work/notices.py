"""The one report, a study and rule, of the analyzers that did not apply.

Owns when it is due and what it says. It is owed once all jobs of the rule have ended, and is
entered with the first of those that did not apply; the page shows each job's own reason anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version

import structlog

from node.backoff import doubled
from node.clock import Clock
from node.config.tables import WorkerSettings
from node.work.executor import Outcome, Ticket, Verdict
from node.work.reasons import loggable
from node.work.tickets import Tickets, title_of
from storage import events, ledger, own_jobs
from storage.database import Database, Transaction
from storage.errors import DatabaseUnavailable, NotFound, StoreUnavailable
from storage.records import Job, JobResults, JobState, Level, Topic

log = structlog.get_logger(__name__)

MAKER = "wetread"
"""Stands where a report names its algorithm, in one that speaks for several analyzers."""
MOST_JOBS = 1000
"""Of a study: enough for every analyzer and rule that anybody has."""
LONGEST_RETRY_S = 3600.0
"""How far the pause before another try of a report doubles."""
_OPEN = frozenset({JobState.PENDING, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class Due:
    """The job that the report is entered with, and those that it speaks of."""

    holder: Job
    silent: tuple[Job, ...]

    def reasons(self, title_of: Callable[[str], str]) -> tuple[str, ...]:
        """A sentence an analyzer."""
        return tuple(f"{title_of(job.analyzer)}: {job.reason}" for job in self.silent)

    @property
    def is_of_several(self) -> bool:
        return len({job.analyzer for job in self.silent}) > 1

    def titles(self, title_of: Callable[[str], str]) -> str:
        return ", ".join(dict.fromkeys(title_of(job.analyzer) for job in self.silent))


def due(tx: Transaction, ended: Job) -> Due | None:
    """What is to be reported now that a job has ended; None while others of its rule have not.

    Results that newer images have superseded are not spoken of, and nothing is reported twice.
    """
    jobs = ledger.list_jobs(tx, ended.study_id, limit=MOST_JOBS)
    superseded = {job.predecessor_id for job in jobs if job.state is not JobState.CANCELLED}
    of_rule = [
        job
        for job in jobs
        if job.rule == ended.rule and job.id not in superseded and job.analyzer not in own_jobs.OWN
    ]
    if any(job.state in _OPEN for job in of_rule):
        return None
    silent = sorted(
        (job for job in of_rule if job.state is JobState.NOT_APPLICABLE), key=lambda job: job.id
    )
    if not silent or any(ledger.results_of(tx, job.id).objects for job in silent):
        return None
    return Due(silent[0], tuple(silent))


def is_one(ticket: Ticket) -> bool:
    """Whether a ticket is that of such a report."""
    notice = ticket.notice
    return ticket.notices and notice is not None and notice.verdict is Verdict.NOT_APPLICABLE


class Notices:
    """Begins and enters the reports that are owed. Of one thread.

    What is owed stands in the ledger: this remembers only what is being written, and what waits for
    another try.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: WorkerSettings,
        tickets: Tickets,
        wanted: Callable[[str], bool],
    ) -> None:
        """wanted: whether a rule, by its name, wants reports."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._tickets = tickets
        self._wanted = wanted
        self._tries: dict[int, int] = {}
        self._not_before: dict[int, datetime | None] = {}

    def owe_due(self, tx: Transaction, ended: Job) -> None:
        """Note that a report is to be written, where one is due now that this job has ended."""
        found = due(tx, ended) if self._wanted(ended.rule) else None
        if found is not None:
            ledger.owe_notice(tx, found.holder.id)

    def due(self) -> list[int]:
        """The jobs whose reports can be begun now."""
        with self._database.read() as tx:
            owed = ledger.notices_owed(tx)
        return [job_id for job_id in owed if self._is_due(job_id)]

    def _is_due(self, job_id: int) -> bool:
        if job_id not in self._not_before:
            return True
        then = self._not_before[job_id]
        return then is not None and then <= self._clock()

    def begin(self, job_id: int) -> tuple[Job, Ticket] | None:
        """The ticket of a report; None where it is owed no more.

        Raises
        ------
        StoreUnavailable, DatabaseUnavailable
        """
        try:
            begun = self._begin(job_id)
        except (DatabaseUnavailable, StoreUnavailable):
            raise
        except Exception as error:  # border: one report must not hold up the jobs
            log.exception("notice_not_made", job=job_id)
            self.give_up(job_id, type(error).__name__)
            return None
        if begun is None:
            self.settle(job_id)
        else:
            self._tries[job_id] = self._tries.get(job_id, 0) + 1
            self._not_before[job_id] = None
        return begun

    def _begin(self, job_id: int) -> tuple[Job, Ticket] | None:
        with self._database.read() as tx:
            job = ledger.get(tx, job_id)
            found = due(tx, job) if self._wanted(job.rule) else None
            if found is None or found.holder.id != job_id:
                return None  # a job of the rule runs again, or nobody wants the report now
            ticket = self._tickets.of(tx, job)
        told = replace(ticket, notices=True, title=found.titles(title_of), predecessor=None)
        if found.is_of_several:
            told = replace(told, analyzer=MAKER, analyzer_version=version("wetread"))
            told = replace(told, parameters={}, family=None, weights="")
        return job, told.as_notice(Verdict.NOT_APPLICABLE, found.reasons(title_of))

    def enter(self, job: Job, report: Outcome, is_stopping: bool) -> bool:
        """Enter a report with its job, which has ended long ago; whether there is one."""
        if report.verdict is Verdict.NOT_APPLICABLE:
            self.settle(job.id, report.results)
            return True
        if is_stopping:
            return False  # cut off by the stop: still owed
        may_pass = report.transient or bool(report.waits_for)
        if not may_pass or not self._again(job.id, counts=not report.waits_for):
            log.error("notice_not_made", job=job.id, reason=loggable(report))
            self.give_up(job.id, loggable(report))
        return False

    def _again(self, job_id: int, counts: bool) -> bool:
        """Whether it is tried once more. What all jobs wait for is waited for without end."""
        tries = self._tries[job_id]
        if counts and tries >= self._settings.attempts:
            return False
        first_s = self._settings.retry_delay_s
        delay_s = doubled(first_s, tries, max(LONGEST_RETRY_S, first_s))
        self._not_before[job_id] = self._clock() + timedelta(seconds=delay_s)
        return True

    def give_up(self, job_id: int, why: str) -> None:
        """Owe it no more, and have a person told: nobody misses what he never saw. Of a job that
        was deleted meanwhile nothing is to be told."""
        with suppress(NotFound), self._database.write() as tx:
            ledger.get(tx, job_id)
            reason = f"the report that it does not apply cannot be made: {why}"
            events.record(tx, self._clock(), Level.ALARM, Topic.JOB, job_id, "", "", reason)
        self.settle(job_id)

    def settle(self, job_id: int, results: JobResults | None = None) -> None:
        """Owe it no more. results: the report; not entered where its job runs again, or is deleted,
        meanwhile."""
        with suppress(NotFound), self._database.write() as tx:
            job = ledger.get(tx, job_id)
            if results is not None and job.state is JobState.NOT_APPLICABLE:
                ledger.not_applicable(tx, job_id, self._clock(), job.reason, results)
            ledger.notice_settled(tx, job_id)
        self._tries.pop(job_id, None)
        self._not_before.pop(job_id, None)
