"""How far the reading of a study is, as its jobs come, wait, run and are cancelled."""

from __future__ import annotations

import pytest

from storage import ledger, reading_state, study_words
from storage.database import Database, Transaction
from storage.reading_state import ReadingState, SomethingNew
from storage.records import FindingRow, JobResults
from storage.study_words import WordKind
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job

FOUND = JobResults(findings=(FindingRow("Left lung", "Volume", 1.0, "L"),))


def state(tx: Transaction, study: int) -> ReadingState:
    return reading_state.read(tx, [study])[study]


def test_a_job_that_comes_back_for_the_same_reason_does_not_count_as_running(
    database: Database,
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
        for _ in range(3):
            ledger.claim(tx, NOON)
            assert state(tx, study) is ReadingState.RUNNING
            ledger.wait_for(tx, job, NOON, NOON, "waits for disk")
            assert state(tx, study) is ReadingState.WAITING


def test_what_was_found_counts_while_a_later_job_is_cancelled(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        ledger.done(tx, first, NOON, FOUND)
        second = enqueue(tx, new_job(tx, study, inputs="i2"))
        assert state(tx, study) is ReadingState.WAITING
        ledger.cancel(tx, second, NOON, "anna")
        assert state(tx, study) is ReadingState.FINDING
        third = enqueue(tx, new_job(tx, study, inputs="i3"))
        ledger.claim(tx, NOON)
        ledger.done(tx, third, NOON, JobResults())
        assert state(tx, study) is ReadingState.NOTHING, "it follows the first one too"


def test_jobs_that_are_entered_together_change_the_state_of_their_study(
    database: Database,
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        assert state(tx, study) is ReadingState.RECEIVED
        jobs = [new_job(tx, study, name) for name in ("lungs", "airways")]
        ledger.enqueue_all(tx, jobs, NOON)
        assert state(tx, study) is ReadingState.WAITING
        seen = reading_state.as_it_stands(tx, study)
        reading_state.mark_read(tx, study, NOON, "ann", seen)
        ledger.enqueue_all(tx, [new_job(tx, study, "lungs", inputs="i2")], NOON + minutes(1))
        assert state(tx, study) is ReadingState.WAITING
        assert reading_state.reader_of(tx, study) is None


def test_who_has_not_seen_what_was_found_since_has_not_read_it(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first, later = (enqueue(tx, new_job(tx, study, name)) for name in ("lungs", "airways"))
        ledger.claim(tx, NOON)
        ledger.done(tx, first, NOON, JobResults())
        on_the_page = reading_state.as_it_stands(tx, study)
        ledger.claim(tx, NOON)
        ledger.done(tx, later, NOON + minutes(1), JobResults())
    with pytest.raises(SomethingNew, match="look again"), database.write() as tx:
        reading_state.mark_read(tx, study, NOON + minutes(2), "ann", on_the_page)
    with database.write() as tx:
        assert reading_state.reader_of(tx, study) is None
        now = reading_state.as_it_stands(tx, study)
        reading_state.mark_read(tx, study, NOON + minutes(2), "ann", now)
        assert reading_state.reader_of(tx, study) is not None


def found_by(tx: Transaction, word: str) -> list[int]:
    return list(tx.scalars(study_words.studies_with(tx, [WordKind.FINDING], word)))


def test_a_study_is_found_by_what_its_newest_results_say(database: Database) -> None:
    nodule = JobResults(findings=(FindingRow("Nodule", "Volume", 1.0, "mL"),))
    with database.write() as tx:
        study = add_study(tx)
        for name, made in (("lungs", FOUND), ("nodules", nodule)):
            job = enqueue(tx, new_job(tx, study, name))
            ledger.claim(tx, NOON)
            ledger.done(tx, job, NOON, made)
        again = enqueue(tx, new_job(tx, study, "nodules", inputs="i2"))
        ledger.claim(tx, NOON)
        assert found_by(tx, "nodule") == [study], "nothing else is known yet"
        ledger.failed(tx, again, NOON, "no memory", "")
        assert found_by(tx, "nodule") == [study]
        last = enqueue(tx, new_job(tx, study, "nodules", inputs="i3"))
        ledger.claim(tx, NOON)
        ledger.done(tx, last, NOON, JobResults())
        assert found_by(tx, "nodule") == []
        assert found_by(tx, "lung") == [study]
