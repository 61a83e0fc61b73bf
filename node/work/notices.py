"""The one report, a study and rule, of the analyzers that did not apply.

Owns when it is due and what it says. It is owed once all jobs of the rule have ended, and is
entered with the first of those that did not apply; the page shows each job's own reason anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.backoff import doubled
from node.clock import Clock
from node.config.tables import WorkerSettings
from storage import ledger, own_jobs
from storage.database import Transaction
from storage.records import Job, JobState

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


def owe_due(tx: Transaction, ended: Job) -> None:
    """Note that a report is to be written, where one is due now that this job has ended."""
    found = due(tx, ended)
    if found is not None:
        ledger.owe_notice(tx, found.holder.id)


class InHand:
    """The reports that are being written, and those that wait for another try. Of one thread.

    What is owed stands in the ledger: this forgets nothing that matters.
    """

    def __init__(self, clock: Clock, settings: WorkerSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._tries: dict[int, int] = {}
        self._not_before: dict[int, datetime | None] = {}

    def due_of(self, owed: Iterable[int]) -> list[int]:
        """Those of them that can be begun now."""
        return [job_id for job_id in owed if self._is_due(job_id)]

    def _is_due(self, job_id: int) -> bool:
        if job_id not in self._not_before:
            return True
        then = self._not_before[job_id]
        return then is not None and then <= self._clock()

    def begun(self, job_id: int) -> None:
        """It is being written."""
        self._tries[job_id] = self._tries.get(job_id, 0) + 1
        self._not_before[job_id] = None

    def again(self, job_id: int, counts: bool) -> bool:
        """It could not be written for a reason that may pass: whether it is tried once more.

        counts: the reason is its own; what all jobs wait for is waited for without end.
        """
        tries = self._tries[job_id]
        if counts and tries >= self._settings.attempts:
            return False
        first_s = self._settings.retry_delay_s
        delay_s = doubled(first_s, tries, max(LONGEST_RETRY_S, first_s))
        self._not_before[job_id] = self._clock() + timedelta(seconds=delay_s)
        return True

    def ended(self, job_id: int) -> None:
        """Nothing is owed of it any more."""
        self._tries.pop(job_id, None)
        self._not_before.pop(job_id, None)
