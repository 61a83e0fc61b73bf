"""The index: what is entered, what re-opens a study, what is due."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage import events, index, schema
from storage.database import Database
from storage.errors import NotFound
from storage.records import Level, StudyState, Topic
from tests.storage.samples import (
    NOON,
    add_study,
    minutes,
    record,
    with_study,
)


def count(database: Database, table: sa.Table) -> int:
    with database.read() as tx:
        return tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# --- adding ---------------------------------------------------------------------------------------


def test_adding_twice_changes_nothing(database: Database) -> None:
    batch = [record(n) for n in range(1, 4)]
    with database.write() as tx:
        assert index.add(tx, batch) == 3
        before = (index.list_studies(tx), events.list_events(tx))
    with database.write() as tx:
        assert index.add(tx, [*batch, *batch]) == 0
        assert (index.list_studies(tx), events.list_events(tx)) == before
    tables = (schema.patients, schema.studies, schema.series, schema.instances)
    assert [count(database, table) for table in tables] == [1, 1, 1, 3]


def test_an_empty_batch_is_nothing(database: Database) -> None:
    with database.write() as tx:
        assert index.add(tx, []) == 0
        assert index.list_studies(tx) == []


def test_a_repeat_within_a_batch_is_entered_once_and_the_first_counts(database: Database) -> None:
    with database.write() as tx:
        assert index.add(tx, [record(1, BodyPartExamined="CHEST"), record(1)]) == 1
        assert index.series_of(tx, 1)[0].header["BodyPartExamined"] == "CHEST"


def test_a_batch_may_hold_several_studies_and_series(database: Database) -> None:
    batch = [
        record(n, study, series)
        for n in (1, 2)
        for study, series in (("1", "1.1"), ("2", "2.1"), ("1", "1.2"))
    ]
    with database.write() as tx:
        assert index.add(tx, batch) == 6
        studies = {one.study_instance_uid: one for one in index.list_studies(tx)}
    assert {uid: (one.series, one.instances) for uid, one in studies.items()} == {
        "1": (2, 4),
        "2": (1, 2),
    }
    assert count(database, schema.patients) == 1


def _placed() -> sa.Select[tuple[object, ...]]:
    table = schema.instances
    names = ("received_at", "key", "size_bytes", "sha256", "calling_ae", "own")
    return sa.select(*(table.c[name] for name in names))


def test_rows_say_what_the_records_do_whatever_characters_are_in_a_header(
    database: Database,
) -> None:
    odd = {"ImageType": ["\ud800", 'a"b\\u0041', "\0", None, 0.1]}
    batch = [
        replace(one, attributes=replace(one.attributes, instance=odd))
        for one in (record(1), record(2))
    ]
    with database.write() as tx:
        index.add(tx, batch)
        header = sa.cast(schema.instances.c.header, sa.Text)
        texts = list(tx.scalars(sa.select(header).order_by(schema.instances.c.id)))
        rows = tx.execute(_placed().order_by(schema.instances.c.id)).all()
    assert [json.loads(one) for one in texts] == [odd, odd]
    for row, one in zip(rows, batch, strict=True):
        assert row.received_at == one.received_at
        placed = (row.key, row.size_bytes, row.sha256, row.calling_ae, row.own)
        at = one.placement
        assert placed == (at.key, at.size_bytes, at.sha256, one.calling_ae, False)


def test_more_than_a_thousand_instances_go_in_at_once(database: Database) -> None:
    batch = [record(n) for n in range(1, 1202)]
    with database.write() as tx:
        assert index.add(tx, batch[:700]) == 700
        assert index.add(tx, batch) == 501
        assert len(index.series_of(tx, 1)[0].instances) == 1201


def test_the_first_header_stays(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1, BodyPartExamined="CHEST")])
        index.add(tx, [record(2, BodyPartExamined="HEAD")])
        assert index.series_of(tx, 1)[0].header["BodyPartExamined"] == "CHEST"


def test_a_late_instance_reopens_a_complete_study(database: Database) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
    with database.write() as tx:
        index.add(tx, [record(4, "1.2.3", "1.2.3.1", at=NOON + minutes(9))])
        study = index.get_study(tx, study_id)
        event = events.list_events(tx, Topic.STUDY, study_id)[0]
    assert (study.state, study.generation) == (StudyState.RECEIVING, 1)
    assert study.last_received_at == NOON + minutes(9) and study.first_received_at == NOON
    assert (event.from_state, event.to_state) == ("complete", "receiving")
    assert event.at == NOON + minutes(9) and event.level is Level.INFO and "late" in event.reason
    with database.write() as tx:
        assert index.complete(tx, study_id, NOON, study.last_received_at)
        assert index.get_study(tx, study_id).generation == 2


def test_an_instance_sent_again_does_not_reopen_a_study(database: Database) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
        index.add(tx, [record(1, at=NOON + minutes(5))])
        assert index.get_study(tx, study_id).state is StudyState.COMPLETE


def test_a_record_that_was_queued_long_does_not_turn_time_back(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1, at=NOON)])
        index.add(tx, [record(2, at=NOON - minutes(3))])
        assert index.get_study(tx, 1).last_received_at == NOON


def test_another_patient_in_a_study_is_a_warning_and_is_kept(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1)])
        index.add(tx, [record(2), record(3, patient_id="P2")])
        warnings = events.list_events(tx, level=Level.WARNING)
        assert index.get_study(tx, 1).instances == 3
    assert [(one.subject, one.subject_id) for one in warnings] == [(Topic.STUDY, 1)]
    assert "1 instances name another patient" in warnings[0].reason
    assert "P2" not in warnings[0].reason


def test_another_patient_within_the_first_batch_is_a_warning_too(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1), record(2, patient_id="P2")])
        assert len(events.list_events(tx, level=Level.WARNING)) == 1


def test_studies_without_a_patient_id_are_not_one_patient(database: Database) -> None:
    long = "1." + "2" * 60
    with database.write() as tx:
        for uid, series in ((long + ".1", "1.1"), (long + ".2", "2.1")):
            index.add(tx, [with_study(record(1, uid, series), PatientName="Unknown")])
        index.add(tx, [record(1, "3", "3.1", patient_id=""), record(1, "4", "4.1", patient_id="")])
        index.add(tx, [record(1, "5", "5.1"), record(1, "6", "6.1")])
    assert count(database, schema.patients) == 5


def test_values_that_databases_refuse_do_not_stop_the_index(database: Database) -> None:
    odd = with_study(
        record(1, SeriesDescription="a\0b\udc80", SeriesNumber="9" * 30, Modality=["CT", "PT"]),
        PatientName="Yamada^Tarou=山田^太郎\0",
        StudyDescription="x" * 100_000,
    )
    with database.write() as tx:
        assert index.add(tx, [odd]) == 1
        row = tx.execute(sa.select(schema.series)).one()
    assert (row.series_description, row.series_number, row.modality) == ("ab?", None, "CT\\PT")


def test_two_receivers_may_bring_the_same_study_at_once(database: Database) -> None:
    faults: list[BaseException] = []
    start = threading.Barrier(4)

    def bring(mine: int) -> None:
        try:
            start.wait(10)
            for n in range(8):
                order = [
                    record(n * 10, "1", "1.1"),
                    record(n * 10 + mine, "2", "2.1", patient_id="P2"),
                ]
                with database.write() as tx:
                    index.add(tx, order if mine % 2 else order[::-1])
        except BaseException as fault:  # noqa: BLE001  looked at below
            faults.append(fault)

    threads = [threading.Thread(target=bring, args=(mine,)) for mine in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert count(database, schema.instances) == 8 + 32


# --- completion -----------------------------------------------------------------------------------


def test_a_study_is_due_when_nothing_came_for_a_while(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1, "1", "1.1", at=NOON + minutes(2))])
        index.add(tx, [record(1, "2", "2.1", at=NOON)])
        index.add(tx, [record(1, "3", "3.1", at=NOON + minutes(9))])
        due = index.due_studies(tx, NOON + minutes(2))
    assert [one.study_instance_uid for one in due] == ["2", "1"]
    assert [one.instances for one in due] == [1, 1]


def test_a_complete_study_is_not_due(database: Database) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
        assert index.due_studies(tx, NOON + minutes(99)) == []
        study = index.get_study(tx, study_id)
        assert (study.state, study.completed_at) == (StudyState.COMPLETE, NOON)
        assert not index.complete(tx, study_id, NOON, study.last_received_at)
        assert index.get_study(tx, study_id).generation == 1


def test_a_study_to_which_an_instance_came_meanwhile_is_not_complete(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1)])
        seen = index.due_studies(tx, NOON)[0]
    with database.write() as tx:
        index.add(tx, [record(2, at=NOON + minutes(1))])
    with database.write() as tx:
        assert not index.complete(tx, seen.id, NOON, seen.last_received_at)
        study = index.get_study(tx, seen.id)
        assert (study.state, study.generation) == (StudyState.RECEIVING, 0)
        assert [one.to_state for one in events.list_events(tx)] == ["receiving"]


def test_of_two_that_complete_a_study_one_does(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(1)])
    outcomes: list[bool] = []

    def complete() -> None:
        with database.write() as tx:
            outcomes.append(index.complete(tx, 1, NOON, NOON))

    threads = [threading.Thread(target=complete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]


def test_a_note_says_why_nothing_ran(database: Database) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
        index.note(tx, study_id, "no rule is configured")
        assert index.get_study(tx, study_id).note == "no rule is configured"
        index.note(tx, study_id, "")
        assert index.get_study(tx, study_id).note == ""


# --- reading --------------------------------------------------------------------------------------


def test_series_come_with_all_levels_of_the_header_and_their_instances(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(n, "1", "1.1") for n in (2, 1)] + [record(5, "1", "1.2")])
        index.add(tx, [record(1, "2", "2.1")])
        first, second = index.series_of(tx, 1)
    assert (first.series_instance_uid, second.series_instance_uid) == ("1.1", "1.2")
    assert first.study_id == 1
    assert first.header["PatientID"] == "P1" and first.header["Modality"] == "CT"
    assert first.header["InstanceNumber"] == 2
    assert [one.sop_instance_uid for one in first.instances] == ["1.1.2", "1.1.1"]
    one = first.instances[0]
    assert (one.key, one.size_bytes, one.sha256) == ("aa/1.1.2.dcm", 1002, f"{2:064d}")
    assert one.header["ImagePositionPatient"] == [0.0, 0.0, 2.0]


def test_an_unknown_study_has_no_series(database: Database) -> None:
    with database.read() as tx:
        assert index.series_of(tx, 99) == []
        assert index.find_study(tx, "9.9") is None
        with pytest.raises(NotFound, match="99"):
            index.get_study(tx, 99)


def test_instances_come_in_the_order_asked_for(database: Database) -> None:
    with database.write() as tx:
        index.add(tx, [record(n) for n in range(1, 700)])
        ids = [one.id for one in index.series_of(tx, 1)[0].instances][::-1]
        found = index.instances_by_id(tx, [*ids, 10**6])
    assert [one.id for one in found] == ids


def test_studies_are_listed_newest_first_page_by_page(database: Database) -> None:
    with database.write() as tx:
        for n in (3, 1, 5, 2, 4):
            index.add(tx, [record(1, f"{n}", f"{n}.1", at=NOON + minutes(n))])
        pages = [
            [one.study_instance_uid for one in index.list_studies(tx, limit=2, offset=offset)]
            for offset in (0, 2, 4, 6)
        ]
        assert len(index.list_studies(tx)) == 5
    assert pages == [["5", "4"], ["3", "2"], ["1"], []]
