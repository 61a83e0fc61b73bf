"""Events, alarms and totals."""

from __future__ import annotations

import pytest

from storage import events, index, ledger, outbox
from storage.database import Database
from storage.errors import NotFound
from storage.records import DeliveryState, Event, JobState, Level, StudyState, Topic
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, record, results


def test_events_come_newest_first_by_subject_and_level(database: Database) -> None:
    with database.write() as tx:
        events.record(tx, NOON, Level.INFO, Topic.NODE, 0, "", "up", "started")
        events.record(tx, NOON + minutes(1), Level.ALARM, Topic.JOB, 1, "running", "failed", "x")
        events.record(tx, NOON + minutes(2), Level.WARNING, Topic.JOB, 2, "a", "b", "y")

        def reasons(**which: object) -> list[str]:
            return [one.reason for one in events.list_events(tx, **which)]  # type: ignore[arg-type]

        assert reasons() == ["y", "x", "started"]
        assert reasons(subject=Topic.JOB) == ["y", "x"]
        assert reasons(subject=Topic.JOB, subject_id=1) == ["x"]
        assert reasons(level=Level.WARNING) == ["y"]
        assert reasons(limit=1) == ["y"]
        assert events.list_events(tx, level=Level.ALARM) == [
            Event(2, NOON + minutes(1), Level.ALARM, Topic.JOB, 1, "running", "failed", "x")
        ]


def test_an_alarm_is_open_until_it_is_acknowledged(database: Database) -> None:
    with database.write() as tx:
        for reason in ("first", "second"):
            events.record(tx, NOON, Level.ALARM, Topic.NODE, 0, "", "", reason)
        events.record(tx, NOON, Level.WARNING, Topic.NODE, 0, "", "", "no alarm")
        second, first = events.open_alarms(tx)
        assert (second.reason, first.reason, first.acknowledged) == ("second", "first", False)
        assert events.counts(tx).alarms == 2
        events.acknowledge(tx, first.id)
        assert events.open_alarms(tx) == [second]
        assert events.counts(tx).alarms == 1
        assert [one.acknowledged for one in events.list_events(tx, level=Level.ALARM)] == [
            False,
            True,
        ]
        events.acknowledge(tx, first.id)
        assert events.open_alarms(tx, limit=0) == []


def test_an_unknown_event_cannot_be_acknowledged(database: Database) -> None:
    with database.write() as tx, pytest.raises(NotFound, match="no event 5"):
        events.acknowledge(tx, 5)


def test_totals_name_every_state(database: Database) -> None:
    with database.read() as tx:
        empty = events.counts(tx)
    assert set(empty.studies) == set(StudyState) and set(empty.jobs) == set(JobState)
    assert set(empty.deliveries) == set(DeliveryState)
    assert not any([*empty.studies.values(), *empty.jobs.values(), *empty.deliveries.values()])
    with database.write() as tx:
        study = add_study(tx)
        index.add(tx, [record(1, "5", "5.1")])
        job = enqueue(tx, new_job(tx, study))
        enqueue(tx, new_job(tx, study, "bones"))
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        first = outbox.claim(tx, "pacs", NOON)[0]
        outbox.sent(tx, first.id, NOON, 0)
        found = events.counts(tx)
    assert {state: n for state, n in found.studies.items() if n} == {
        StudyState.COMPLETE: 1,
        StudyState.RECEIVING: 1,
    }
    assert {state: n for state, n in found.jobs.items() if n} == {
        JobState.DONE: 1,
        JobState.PENDING: 1,
    }
    assert {state: n for state, n in found.deliveries.items() if n} == {
        DeliveryState.SENT: 1,
        DeliveryState.SENDING: 2,
    }
    assert (found.alarms, found.quarantined) == (0, 0)
