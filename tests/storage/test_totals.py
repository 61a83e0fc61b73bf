"""Totals are what counting would give, whatever was done, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storage import events, ledger, quarantine, schema, totals
from storage.database import Database, Transaction
from storage.quarantine import RefusalKind, Refused
from storage.records import Counts, DeliveryState, JobState, Level, StudyState, Topic
from tests.storage.samples import NOON, add_study, enqueue, new_job, results


def counted(tx: Transaction) -> Counts:
    """By counting every row."""

    def by_state(table: sa.Table) -> dict[str, int]:
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        return dict(tx.execute(query).all())

    studies, jobs, sent = map(by_state, (schema.studies, schema.jobs, schema.deliveries))
    return Counts(
        {one: studies.get(one, 0) for one in StudyState},
        {one: jobs.get(one, 0) for one in JobState},
        {one: sent.get(one, 0) for one in DeliveryState},
        len(events.open_alarms(tx, 10_000)),
        tx.scalar(sa.select(sa.func.count()).select_from(schema.quarantine)) or 0,
    )


def is_right(database: Database) -> bool:
    with database.read() as tx:
        return events.counts(tx) == counted(tx)


def test_totals_follow_what_comes_changes_and_goes(database: Database) -> None:
    assert is_right(database)
    with database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
    assert is_right(database)
    with database.write() as tx:
        ledger.claim(tx, NOON)
        ledger.failed(tx, job, NOON, "it broke", "")
        quarantine.enter(tx, NOON, Refused("a.dcm", RefusalKind.CONFLICT, "other bytes", "0a"))
    assert is_right(database)
    with database.read() as tx:
        assert events.counts(tx).jobs[JobState.FAILED] == 1
        assert events.counts(tx).alarms == 2
        assert totals.of(tx, totals.READING, "failed") == 1
    with database.write() as tx:
        ledger.restart(tx, job, NOON)
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results("1.9"))
        events.acknowledge(tx, events.open_alarms(tx)[0].id)
        totals.gather(tx)
    assert is_right(database)
    with database.write() as tx:
        tx.execute(sa.delete(schema.studies).where(schema.studies.c.id == study))
    assert is_right(database)


def test_what_is_taken_back_is_not_counted(database: Database) -> None:
    try:
        with database.write() as tx:
            add_study(tx)
            raise LookupError
    except LookupError:
        pass
    assert is_right(database)


def test_gathered_totals_are_the_same(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "MANY", 0)
    with database.write() as tx:
        for number in range(30):
            events.record(tx, NOON, Level.ALARM, Topic.NODE, 0, "", "", f"kind {number}")
        totals.gather(tx)
        totals.gather(tx)
        assert totals.of(tx, totals.ALARMS, totals.OPEN) == 30
    assert is_right(database)
