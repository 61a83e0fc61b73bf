"""Refused instances: counted instead of kept again, and one alarm for what has one reason."""

from __future__ import annotations

import sqlalchemy as sa

from storage import events, index, quarantine, schema
from storage.database import Database
from storage.quarantine import RefusalKind, Refused
from storage.records import Event, Level, Topic
from tests.storage.samples import NOON, minutes, record


def refused(
    number: int,
    kind: RefusalKind = RefusalKind.CONFLICT,
    study: str = "1.2.3",
    calling_ae: str = "CT1",
) -> Refused:
    return Refused(
        key=f"{kind}-{number:064d}.dcm",
        kind=kind,
        reason=f"refused as {kind}",
        sha256=f"{number:064d}",
        sop_instance_uid=f"1.2.3.1.{number}",
        study_instance_uid=study,
        calling_ae=calling_ae,
    )


def open_alarms(database: Database) -> list[Event]:
    with database.read() as tx:
        return events.open_alarms(tx)


def test_a_refused_instance_is_a_row_with_all_that_is_known_of_it(database: Database) -> None:
    one = refused(1)
    with database.write() as tx:
        quarantine.enter(tx, NOON, one)
        [row] = quarantine.newest(tx)
    assert row.refused == one
    assert (row.count, row.first_seen_at, row.last_seen_at) == (1, NOON, NOON)
    [alarm] = open_alarms(database)
    assert alarm.subject is Topic.INSTANCE and alarm.level is Level.ALARM
    assert alarm.reason == (
        "1 image refused and kept in quarantine: refused as conflict (from CT1)"
    )


def test_repeats_are_counted_and_raise_no_alarm_also_when_it_was_acknowledged(
    database: Database,
) -> None:
    for number in range(5):
        with database.write() as tx:
            quarantine.enter(tx, NOON + minutes(number), refused(1))
            if number == 2:
                [alarm] = events.open_alarms(tx)
                events.acknowledge(tx, alarm.id)
    with database.read() as tx:
        [row] = quarantine.newest(tx)
        assert events.counts(tx).quarantined == 1
    assert (row.count, row.first_seen_at, row.last_seen_at) == (5, NOON, NOON + minutes(4))
    assert open_alarms(database) == []


def test_all_that_is_refused_of_one_study_for_one_reason_is_one_alarm(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record()])
        for number in range(60):
            quarantine.enter(tx, NOON, refused(number))
    [alarm] = open_alarms(database)
    assert alarm.reason.startswith("60 images refused and kept in quarantine: ")
    with database.read() as tx:
        study = index.find_study(tx, "1.2.3")
    assert study is not None
    assert (alarm.subject, alarm.subject_id) == (Topic.STUDY, study.id)


def test_other_studies_and_other_reasons_have_alarms_of_their_own(database: Database) -> None:
    kinds = (RefusalKind.CONFLICT, RefusalKind.SOP_CLASS_MISMATCH)
    with database.write() as tx:
        for number, (study, kind) in enumerate([(s, k) for s in ("1.2", "1.3") for k in kinds]):
            quarantine.enter(tx, NOON, refused(2 * number, kind, study))
            quarantine.enter(tx, NOON, refused(2 * number + 1, kind, study))
    assert len(open_alarms(database)) == 4


def test_what_names_no_study_is_told_apart_by_its_sender(database: Database) -> None:
    unreadable = RefusalKind.UNREADABLE
    with database.write() as tx:
        for number in range(10):
            sender = f"CT{number % 2}"
            quarantine.enter(tx, NOON, refused(number, unreadable, "", sender))
    reasons = [alarm.reason for alarm in open_alarms(database)]
    assert [reason.split()[0] for reason in reasons] == ["5", "5"]
    assert {reason.split()[-1] for reason in reasons} == {"CT0)", "CT1)"}


def test_what_comes_after_the_alarm_was_acknowledged_is_a_new_alarm(database: Database) -> None:
    with database.write() as tx:
        quarantine.enter(tx, NOON, refused(1))
        [first] = events.open_alarms(tx)
        events.acknowledge(tx, first.id)
        quarantine.enter(tx, NOON, refused(2))
        quarantine.enter(tx, NOON, refused(3))
    [alarm] = open_alarms(database)
    assert alarm.id != first.id and alarm.reason.startswith("2 images")


def test_what_was_sent_last_is_shown_first(database: Database) -> None:
    with database.write() as tx:
        for number in (1, 2, 3):
            quarantine.enter(tx, NOON + minutes(number), refused(number))
        quarantine.enter(tx, NOON + minutes(9), refused(1))
        listed = [row.refused.key for row in quarantine.newest(tx, limit=2)]
    assert listed == [refused(1).key, refused(3).key]


def test_a_command_that_calls_it_by_no_uid_is_entered_all_the_same(database: Database) -> None:
    odd = Refused("unreadable-f.dcm", RefusalKind.UNREADABLE, "no UID", "f", "h\u00e4\0\ud800" * 99)
    with database.write() as tx:
        quarantine.enter(tx, NOON, odd)
        quarantine.enter(tx, NOON, odd)
        assert tx.scalar(sa.select(schema.quarantine.c.sop_instance_uid)) == ""
        assert quarantine.newest(tx)[0].count == 2
