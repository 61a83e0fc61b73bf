"""Jobs as the list of studies shows them, in each database."""

from __future__ import annotations

from storage import jobs_in_short, ledger
from storage.database import Database
from storage.jobs_in_short import JobInShort
from storage.records import FindingRow, JobResults, JobState
from tests.storage.samples import NOON, add_study, enqueue, new_job

FOUND = FindingRow("Left lung", "Volume", 1.0, "L")


def test_the_newest_jobs_of_each_study_are_told_with_what_they_found(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        jobs = [enqueue(tx, new_job(tx, study, inputs=f"i{number}")) for number in range(3)]
        ledger.claim(tx, NOON)
        ledger.done(tx, jobs[0], NOON, JobResults(findings=(FOUND,)))
        assert [one.id for one in jobs_in_short.of_studies(tx, [study], 2)[study]] == jobs[:0:-1]
        first = jobs_in_short.of_studies(tx, [study], 9)[study][-1]
        assert first == JobInShort(
            jobs[0], study, None, first.analyzer, JobState.DONE, "", (FOUND,), 0, 0
        )
        assert jobs_in_short.of_studies(tx, [], 2) == {}
