"""Who sees some studies only: what is of the others is not there for them, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from alembic import command

from storage import (
    deletions,
    events,
    gaps,
    holdings,
    index,
    ledger,
    open_alarms,
    outbox,
    overview,
    quarantine,
    query,
    retries,
    schema,
    selection,
    study_list,
)
from storage.database import Database, Transaction
from storage.deletions import NewDeletion, Scope
from storage.errors import NotFound
from storage.holdings import Selection
from storage.quarantine import RefusalKind, Refused
from storage.query import Level, Narrowing
from storage.records import Level as EventLevel
from storage.records import Topic
from storage.restriction import EVERYTHING, NOTHING, Origins, Restriction
from storage.study_list import Asked
from tests.storage.samples import (
    NOON,
    alembic_config,
    enqueue,
    new_job,
    record,
    with_study,
)

OURS, THEIRS = "1.2.3", "4.5.6"
OF_CT1 = Restriction((Origins(ae_titles=("CT1",)),))


def add(tx: Transaction, study: str, calling_ae: str, institution: str = "") -> int:
    header = {"PatientID": "P1", "StudyInstanceUID": study, "InstitutionName": institution}
    one = with_study(record(1, study, f"{study}.1"), **header)
    index.add(tx, [replace(one, calling_ae=calling_ae)])
    found = index.find_study(tx, study)
    assert found is not None
    return found.id


def seen(database: Database, restriction: Restriction) -> list[str]:
    with database.seen_by(lambda: restriction).look() as tx:
        return sorted(one.study_instance_uid for one in index.list_studies(tx))


def test_a_study_is_seen_by_where_it_came_from_and_by_its_institution(database: Database) -> None:
    with database.write() as tx:
        add(tx, OURS, "CT1", "North Clinic")
        add(tx, THEIRS, "MR9", "South Clinic")
    assert seen(database, EVERYTHING) == [OURS, THEIRS]
    assert seen(database, NOTHING) == []
    assert seen(database, OF_CT1) == [OURS]
    assert seen(database, Restriction((Origins(institutions=(" south clinic",)),))) == [THEIRS]
    both = Origins(("CT1",), ("South Clinic",))
    assert seen(database, Restriction((both,))) == []
    either = (Origins(("CT1",)), Origins(institutions=("South Clinic",)))
    assert seen(database, Restriction(either)) == [OURS, THEIRS]
    assert seen(database, Restriction((Origins(),))) == [OURS, THEIRS]


def test_studies_within_two_restrictions_are_those_that_both_admit(database: Database) -> None:
    with database.write() as tx:
        add(tx, OURS, "CT1", "North Clinic")
        add(tx, THEIRS, "MR9", "North Clinic")
    north = Restriction((Origins(institutions=("North Clinic",)),))
    assert seen(database, north.within(OF_CT1)) == [OURS]
    assert seen(database, OF_CT1.within(north)) == [OURS]
    assert seen(database, OF_CT1.within(NOTHING)) == []
    assert OF_CT1.within(EVERYTHING) == EVERYTHING.within(OF_CT1) == OF_CT1.within(OF_CT1) == OF_CT1


def test_who_stores_an_image_into_a_study_does_not_change_its_institution(
    database: Database,
) -> None:
    with database.write() as tx:
        add(tx, OURS, "CT1", "North Clinic")
        header = {"StudyInstanceUID": OURS, "InstitutionName": "South Clinic"}
        index.add(tx, [with_study(record(2, OURS, f"{OURS}.1"), **header)])
    assert seen(database, Restriction((Origins(institutions=("South Clinic",)),))) == []


def test_a_corrected_study_is_of_the_institution_that_it_names_now(database: Database) -> None:
    with database.write() as tx:
        add(tx, OURS, "CT1", "North Clinic")
        header = {"StudyInstanceUID": OURS, "InstitutionName": "South Clinic"}
        index.correct(tx, [with_study(record(1, OURS, f"{OURS}.1"), **header)])
    assert seen(database, Restriction((Origins(institutions=("South Clinic",)),))) == [OURS]
    assert seen(database, Restriction((Origins(institutions=("North Clinic",)),))) == []


@pytest.fixture
def foreign(database: Database) -> dict[str, int]:
    """Rows of a study from elsewhere: the study's, a job's, an alarm's, a refused image's."""
    with database.write() as tx:
        add(tx, OURS, "CT1")
        study = add(tx, THEIRS, "MR9")
        job = enqueue(tx, new_job(tx, study))
        alarm = events.record(
            tx, NOON, EventLevel.ALARM, Topic.JOB, job, "running", "failed", "broken"
        )
        events.record(tx, NOON, EventLevel.ALARM, Topic.NODE, 0, "", "", "disk full")
        refused = Refused("q", RefusalKind.CONFLICT, "other", "f", "4.5.6.1.1", THEIRS, "MR9")
        quarantine.enter(tx, NOON, refused)
        (row,) = quarantine.newest(tx)
    return {"study": study, "job": job, "alarm": alarm, "refused": row.id}


def test_nothing_of_a_foreign_study_is_listed(database: Database, foreign: dict[str, int]) -> None:
    selected = Selection(study_uids=(THEIRS,))
    with database.seen_by(lambda: OF_CT1).look() as tx:
        assert index.find_study(tx, THEIRS) is None
        assert index.get_studies(tx, [foreign["study"]]) == []
        assert holdings.select(tx, selected) == []
        assert holdings.count(tx, selected) == 0
        for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
            found = query.find(tx, level, Narrowing(), None, 10)
            assert [one.header["StudyInstanceUID"] for one in found] == [OURS]
            assert query.find(tx, level, Narrowing(study_uids=(THEIRS,)), None, 10) == []
        (patient,) = query.find(tx, Level.STUDY, Narrowing(), None, 10)
        counted = query.counts(tx, Level.PATIENT, [patient.patient_row])
        assert [one.studies for one in counted.values()] == [1]
        assert ledger.list_jobs(tx) == []
        assert ledger.studies_of(tx, [foreign["job"]]) == {}
        assert outbox.list_deliveries(tx) == []
        assert {one.subject_id for one in events.list_events(tx)} == {1}
        assert events.open_alarms(tx) == []
        assert open_alarms.kinds(tx) == []
        assert quarantine.newest(tx) == []
        assert gaps.open_gaps(tx) == []
        assert len(study_list.part(tx, Asked(), 10).ids) == 1
    with database.seen_by(lambda: EVERYTHING).look() as tx:
        assert len(open_alarms.kinds(tx)) == 3
        assert len(holdings.select(tx, selected)) == len(ledger.list_jobs(tx)) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx, its: index.get_study(tx, its["study"]),
        lambda tx, its: ledger.get(tx, its["job"]),
        lambda tx, its: ledger.results_of(tx, its["job"]),
        lambda tx, its: overview.previews_of(tx, its["job"]),
        lambda tx, its: retries.retry(tx, its["job"], NOON),
        lambda tx, its: selection.ask_for(tx, "pacs", its["job"], NOON),
        lambda tx, its: events.acknowledge(tx, its["alarm"]),
        lambda tx, its: open_alarms.acknowledge_alike(tx, its["alarm"]),
        lambda tx, its: quarantine.accept(tx, its["refused"], NOON),
        lambda tx, its: deletions.holds(tx, its["study"]),
        lambda tx, its: deletions.ask(
            tx, NewDeletion(its["study"], Scope.STUDY, "no consent", "a test"), NOON
        ),
    ],
)
def test_what_is_asked_of_a_foreign_study_is_not_found_as_if_there_were_none(
    database: Database, foreign: dict[str, int], ask: Callable[[Transaction, Any], object]
) -> None:
    nothing = dict.fromkeys(foreign, 999)
    with database.seen_by(lambda: OF_CT1).write() as tx:
        with pytest.raises(NotFound) as there:
            ask(tx, foreign)
        with pytest.raises(NotFound) as nowhere:
            ask(tx, nothing)
    shown = [str(foreign[name]) for name in foreign]
    assert any(str(there.value) == str(nowhere.value).replace("999", one) for one in shown)


def test_studies_of_before_are_seen_by_their_origins_after_the_migration(
    database: Database,
) -> None:
    with database.write() as tx:
        add(tx, OURS, "CT1", "North Clinic")
        add(tx, THEIRS, "MR9")
        before = sorted(tx.execute(schema.study_origins.select()).all())
        command.downgrade(alembic_config(tx), "0022-1")
        command.upgrade(alembic_config(tx), "head")
        assert sorted(tx.execute(schema.study_origins.select()).all()) == before
        assert len(before) == 3
