"""What "try again" does to a job, whoever says it: the page, a program, or the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage import ledger, outbox
from storage.database import Transaction
from storage.records import JobState

_SETTLED = (JobState.DONE, JobState.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Retry:
    """What was made due again: ``objects`` to be sent, or the job itself where it is 0."""

    job_id: int
    objects: int

    def in_words(self) -> str:
        if not self.objects:
            return f"job {self.job_id} is due again"
        what = "result is" if self.objects == 1 else "results are"
        return f"{self.objects} {what} due to be sent again"


def retry(tx: Transaction, job_id: int, at: datetime, said_by: str = "a person") -> Retry:
    """Send again what was refused of a job that came to an end, or else run the job again.

    Raises
    ------
    NotFound, JobRunning, Superseded
    """
    if ledger.get(tx, job_id).state in _SETTLED:
        objects = outbox.restart_job(tx, job_id, at)
        if objects:
            return Retry(job_id, objects)
    ledger.restart(tx, job_id, at, said_by)
    return Retry(job_id, 0)
