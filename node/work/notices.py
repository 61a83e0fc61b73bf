"""The one report, a study and rule, of the analyzers that did not apply.

Owns when it is due and what it says. It is written once all jobs of the rule have ended, and is
entered with the first of those that did not apply; the page shows each job's own reason anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from storage import ledger, own_jobs
from storage.database import Transaction
from storage.records import Job, JobState

MOST_JOBS = 1000
"""Of a study: enough for every analyzer and rule that anybody has."""
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
