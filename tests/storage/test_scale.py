"""What is asked often is found by an index, however much there is: plans and statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage import ledger, outbox
from storage.database import Database, Transaction, open_database
from storage.records import Priority
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/w.db")
    yield opened
    opened.close()


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, object]]]:
    """What is executed meanwhile, with its parameters."""
    seen: list[tuple[str, object]] = []

    def note(connection: object, cursor: object, statement: str, given: object, *_: object) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append((statement, given))

    sa.event.listen(database._engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(database._engine, "before_cursor_execute", note)


def plans(database: Database, act: Callable[[Transaction], object]) -> list[str]:
    """The steps of the plans of everything that ``act`` asks."""
    with statements(database) as seen, database.write() as tx:
        act(tx)
    found: list[str] = []
    with database.read() as tx:
        for statement, given in seen:
            if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
                rows = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)  # type: ignore[arg-type]
                found += [row[3] for row in rows]
    return found


def fill(database: Database, jobs: int) -> None:
    """So many studies with a done job that has an image, a SEG and a report to be sent."""
    with database.write() as tx:
        for number in range(jobs):
            study = add_study(tx, f"1.2.{number}")
            job_id = enqueue(tx, new_job(tx, study, inputs=f"i{number}"))
            ledger.claim(tx, NOON)
            ledger.done(tx, job_id, NOON, results(f"9.{job_id}"))


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_claim_of_objects_sorts_and_scans_nothing(database: Database, analyzed: bool) -> None:
    fill(database, 30)
    if analyzed:
        with database.write() as tx:
            tx.exec_driver_sql("ANALYZE")
    steps = plans(database, lambda tx: outbox.claim(tx, "pacs", NOON))
    assert not [step for step in steps if step.startswith("SCAN")], steps
    assert [step for step in steps if "ix_deliveries_next (destination=? AND state=?)" in step]
    assert not [step for step in steps if "ix_deliveries_due" in step], "that is all that waits"


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_claim_of_a_job_sorts_and_scans_nothing(database: Database, analyzed: bool) -> None:
    fill(database, 30)
    if analyzed:
        with database.write() as tx:
            tx.exec_driver_sql("ANALYZE")
    steps = plans(database, lambda tx: ledger.claim(tx, NOON))
    assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN")], steps
    assert [step for step in steps if "ix_jobs_next" in step][1:] == [], "it is walked once"
    assert [step for step in steps if step.startswith("SEARCH earlier")] == [
        "SEARCH earlier USING INDEX ix_jobs_study_id (study_id=?)"
    ]


def test_many_jobs_objects_can_be_claimed_at_once_in_order(database: Database) -> None:
    fill(database, 5)
    with database.write() as tx:
        claimed = outbox.claim(tx, "pacs", NOON, limit=11, jobs=4)
    order = [(one.job_id, one.object.kind) for one in claimed]
    kinds = ("image", "seg", "sr")
    assert order == [(job, kind) for job in (1, 2, 3, 4) for kind in kinds][:11]


def test_what_is_stat_is_sent_first_however_much_waits(database: Database) -> None:
    fill(database, 3)
    with database.write() as tx:
        study = ledger.get(tx, 1).study_id
        for name, priority in (("u", Priority.URGENT), ("s", Priority.STAT)):
            job_id = enqueue(tx, new_job(tx, study, name, priority))
            ledger.claim(tx, NOON)
            ledger.done(tx, job_id, NOON, results(f"9.{job_id}", ("sr",)))
        claims = [outbox.claim(tx, "pacs", NOON, jobs=10) for _ in range(4)]
    order = [list(dict.fromkeys(one.job_id for one in claimed)) for claimed in claims]
    assert order == [[5], [4], [1, 2, 3], []], "a claim is of one urgency"


def test_restarting_and_releasing_many_objects_takes_few_statements(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job_id = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        ledger.done(tx, job_id, NOON, results("9.1", ("image",) * 300))
        for one in outbox.claim(tx, "pacs", NOON):
            outbox.failed(tx, one.id, NOON, 0x0122, "not supported")
    with statements(database) as seen, database.write() as tx:
        assert outbox.restart_job(tx, job_id, NOON) == 300
        assert len(outbox.claim(tx, "pacs", NOON)) == 300
        assert outbox.release_sending(tx, NOON + minutes(1)) == 300
    assert len(seen) < 20
