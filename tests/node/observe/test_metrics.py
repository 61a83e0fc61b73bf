"""What /metrics says: read back with Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from node.observe.health import Health
from node.observe.metrics import IndexQueue, Metrics, ReceptionCounts
from node.observe.shared import Shared
from storage import announcements, commitment_requests, gaps, index
from storage.announcements import NewAnnouncement
from storage.database import Database
from storage.records import AnnouncementKind, Reference, StepStatus
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, record

CT = "1.2.840.10008.5.1.4.1.1.2"


def metrics(database: Database) -> Metrics:
    health = Health(lambda: NOON)
    health.part("database")
    return Metrics(
        database,
        health,
        lambda: ReceptionCounts(associations=2, stored=40, refused=1),
        lambda: IndexQueue(waiting=7, lag_s=0.125, indexed=33),
        lambda: {"node.pem": 1.8e9},
    )


def samples(found: Metrics) -> dict[str, float]:
    text = found.text().decode()
    return {
        "".join([sample.name, *(f"|{value}" for value in sample.labels.values())]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_lags_depths_and_gaps_are_there(database: Database) -> None:
    with database.write() as tx:
        enqueue(tx, new_job(tx, add_study(tx)))
        index.add(tx, [record(1, "4.5.6", "4.5.6.1")])
        named = (Reference(CT, "7.7.7"),)
        new = NewAnnouncement(
            AnnouncementKind.MPPS, "9.1", "CT1", StepStatus.COMPLETED, ("1.2.3",), named, {}
        )
        announcements.enter(tx, new, NOON)
        commitment_requests.enter(tx, "9.2", "CT1", "10.0.0.1", "a", named, NOON)
        gaps.watch(tx, gaps.find(tx, NOON + minutes(1)), NOON)
    found = samples(metrics(database))
    expected = {
        "wetread_instances_total|stored": 40,
        "wetread_instances_total|refused": 1,
        "wetread_associations": 2,
        "wetread_index_waiting": 7,
        "wetread_indexed_total": 33,
        "wetread_index_lag_seconds": 0.125,
        "wetread_certificate_end_timestamp_seconds|node.pem": 1.8e9,
        "wetread_studies|receiving": 1,
        "wetread_studies|complete": 1,
        "wetread_jobs|pending": 1,
        "wetread_deliveries|pending": 0,
        "wetread_gaps|received": 1,
        "wetread_gaps|completed": 1,
        "wetread_gaps|analyzed": 1,
        "wetread_gaps|committed": 0,
        "wetread_announcements|awaited": 1,
        "wetread_commitment_requests|received": 1,
        "wetread_result_commitments|owed": 0,
        "wetread_alarms": 3,
        "wetread_database_up": 1,
        "wetread_healthy|database": 0,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_no_label_names_a_peer_a_patient_or_an_instance(database: Database) -> None:
    with database.write() as tx:
        add_study(tx)
        commitment_requests.enter(
            tx, "9.2", "CT1", "10.0.0.1", "a", (Reference(CT, "7.7.7"),), NOON
        )
    text = metrics(database).text().decode()
    assert not any(word in text for word in ("CT1", "10.0.0.1", "1.2.3", "P1", "7.7.7", CT))


def test_without_the_database_the_process_is_still_measured(
    database: Database, tmp_path: Path
) -> None:
    database.close()
    for path in tmp_path.glob("w.db*"):
        path.unlink()
    (tmp_path / "w.db").mkdir()
    found = samples(metrics(database))
    assert found["wetread_database_up"] == 0
    assert found["wetread_index_waiting"] == 7
    assert "wetread_jobs|pending" not in found


def test_they_ask_the_same_of_the_database_however_much_there_is(database: Database) -> None:
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith("PRAGMA"):  # how a connection is set up
            asked.append(statement)

    def number() -> int:
        asked.clear()
        metrics(database).text()
        return len(asked)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    few = number()
    for one in range(20):
        with database.write() as tx:
            study_id = add_study(tx, f"1.2.{one}", instances=20)
            enqueue(tx, new_job(tx, study_id, inputs=f"i{one}"))
    many = number()
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert many == few < 16


def test_what_the_process_counts_is_never_old_but_the_database_is_asked_once(
    database: Database,
) -> None:
    health = Health(lambda: NOON)
    indexed = iter((1, 2))
    made = Metrics(
        database,
        health,
        lambda: ReceptionCounts(0, 0, 0),
        lambda: IndexQueue(0, 0.0, next(indexed)),
        dict,
        shared=Shared(fresh_s=3600),
    )
    first = samples(made)
    with database.write() as tx:
        add_study(tx)
    second = samples(made)
    assert (first["wetread_indexed_total"], second["wetread_indexed_total"]) == (1, 2)
    assert second["wetread_studies|complete"] == first["wetread_studies|complete"] == 0
