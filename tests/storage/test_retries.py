"""Trying again sends what was refused where there are results, and else runs the job."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage import ledger, outbox
from storage.database import Database, Transaction
from storage.ledger import JobRunning
from storage.records import JobResults, JobState
from storage.retries import Retry, retry
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results

End = Callable[[Transaction, int, JobResults], None]


def _done(tx: Transaction, job_id: int, made: JobResults) -> None:
    ledger.done(tx, job_id, NOON, made)


def _not_applicable(tx: Transaction, job_id: int, made: JobResults) -> None:
    ledger.not_applicable(tx, job_id, NOON, "no CT", made)


def _failed(tx: Transaction, job_id: int, made: JobResults) -> None:
    ledger.failed(tx, job_id, NOON, "it broke", "", made)


def ended(tx: Transaction, end: End, refused: bool) -> int:
    """A job with one object, which its destination refuses or takes."""
    job_id = enqueue(tx, new_job(tx, add_study(tx)))
    ledger.claim(tx, NOON)
    end(tx, job_id, results(kinds=("sr",)))
    for one in outbox.claim(tx, "pacs", NOON):
        if refused:
            outbox.failed(tx, one.id, NOON, 0xA900, "refused")
        else:
            outbox.sent(tx, one.id, NOON, 0)
    return job_id


@pytest.mark.parametrize("end", [_done, _not_applicable])
def test_what_was_refused_of_a_job_that_came_to_an_end_is_sent_again_without_running_it(
    database: Database, end: End
) -> None:
    with database.write() as tx:
        job_id = ended(tx, end, refused=True)
        before = ledger.get(tx, job_id).state
        again = retry(tx, job_id, NOON + minutes(1))
        assert again == Retry(job_id, 1)
        assert again.in_words() == "1 result is due to be sent again"
        assert ledger.get(tx, job_id).state is before
        assert len(outbox.claim(tx, "pacs", NOON + minutes(1))) == 1


@pytest.mark.parametrize(
    ("end", "refused"),
    [(_failed, True), (_failed, False), (_done, False), (_not_applicable, False)],
)
def test_a_job_that_failed_or_owes_nothing_runs_again(
    database: Database, end: End, refused: bool
) -> None:
    with database.write() as tx:
        job_id = ended(tx, end, refused)
        again = retry(tx, job_id, NOON + minutes(1))
        assert again == Retry(job_id, 0)
        assert again.in_words() == f"job {job_id} is due again"
        assert ledger.get(tx, job_id).state is JobState.PENDING


def test_a_running_job_is_left_alone(database: Database) -> None:
    with database.write() as tx:
        job_id = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        with pytest.raises(JobRunning, match="is running"):
            retry(tx, job_id, NOON)
