"""Results are instances of their study, and never a reason to look at it again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic import command

from storage import (
    announcements,
    deletions,
    earlier_results,
    events,
    gaps,
    holdings,
    index,
    ledger,
    overview,
    retention,
    schema,
)
from storage.database import Database, Transaction
from storage.deletions import Deletion, NewDeletion, Scope
from storage.holdings import Selection
from storage.records import (
    AnnouncementState,
    InstanceRecord,
    JobResults,
    ResultObject,
    StudyRow,
    StudyState,
    Topic,
)
from tests.storage.samples import (
    NOON,
    add_study,
    alembic_config,
    announce,
    enqueue,
    minutes,
    new_job,
    record,
    result,
    results,
)


def analyzed(
    tx: Transaction, made: JobResults | None = None, inputs: str = "i1"
) -> tuple[int, int]:
    """A complete study of three images, and a job on it that has ended with these."""
    known = index.find_study(tx, "1.2.3")
    study_id = known.id if known else add_study(tx)
    job_id = enqueue(tx, new_job(tx, study_id, inputs=inputs))
    ledger.claim(tx, NOON)
    ledger.done(tx, job_id, NOON, made or results("9.1", ("sr", "seg")))
    return study_id, job_id


def sent_back(uid: str, key: str = "aa/back.dcm") -> InstanceRecord:
    """A result as a PACS returns it, an hour later."""
    made = result(uid)
    assert made.attributes is not None
    received = record(1, at=NOON + minutes(60))
    placement = replace(received.placement, key=key)
    return replace(received, attributes=made.attributes, placement=placement)


def state(tx: Transaction, study_id: int) -> StudyRow:
    return index.get_study(tx, study_id)


def revision(tx: Transaction, study_id: int) -> int:
    table = schema.studies
    return tx.scalar(sa.select(table.c.revision).where(table.c.id == study_id)) or 0


def held(tx: Transaction) -> dict[str, bool]:
    """What the node holds of the study, and whether that is its own."""
    found = holdings.select(tx, Selection(study_uids=("1.2.3",)))
    return {one.sop_instance_uid: one.own for one in found}


# --- the study of results ------------------------------------------------------------------------


def test_images_and_results_are_counted_apart(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        row = state(tx, study_id)
    assert (row.series, row.instances, row.results) == (1, 3, 2)
    assert row.state is StudyState.COMPLETE
    assert row.last_received_at == NOON


def test_results_are_neither_routed_nor_shown_as_a_modality_of_the_study(
    database: Database,
) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        assert [one.header["Modality"] for one in index.series_of(tx, study_id)] == ["CT"]
        assert [one.header["Modality"] for one in index.glances(tx, [study_id])] == ["CT"]
        assert overview.modalities(tx, [study_id]) == {study_id: ["CT"]}


def test_results_are_no_instances_that_somebody_has_to_announce(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        announce(tx, 1, 2, 3)
        (found,) = announcements.in_state(tx, AnnouncementState.AWAITED)
        assert not announcements.is_missing_any(tx, found.id)
        announcements.arrived(tx, found, NOON)
        assert announcements.unannounced_in(tx, study_id) == 0


def test_a_study_that_is_open_again_is_not_completed_on_what_was_seen_before_results_came(
    database: Database,
) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
        job_id = enqueue(tx, new_job(tx, study_id))
        ledger.claim(tx, NOON)
        index.add(tx, [record(4, at=NOON + minutes(1))])
        (seen,) = index.open_studies(tx)
        ledger.done(tx, job_id, NOON + minutes(2), results())
        (now,) = index.open_studies(tx)
        assert now.last_received_at == seen.last_received_at, "results keep no study open"
        arguments = (tx, study_id, NOON + minutes(9), seen.last_received_at, "")
        assert not index.complete(*arguments, seen.revision)
        assert index.complete(*arguments, now.revision)


def test_results_open_no_gap_of_their_study(database: Database) -> None:
    with database.write() as tx:
        analyzed(tx, JobResults((result("9.1"),)))
        found = [one.stage for one in gaps.find(tx, NOON + minutes(600))]
    assert [str(one) for one in found] == ["sent"]


# --- made again -----------------------------------------------------------------------------------


def test_what_a_job_made_again_has_its_newest_bytes_and_stays_one_instance(
    database: Database,
) -> None:
    with database.write() as tx:
        study_id, job_id = analyzed(tx, JobResults((result("9.1"),)))
        before = revision(tx, study_id)
        ledger.restart(tx, job_id, NOON)
        ledger.claim(tx, NOON)
        again = replace(result("9.1"), sha256="e" * 64, size_bytes=11, key="job/again.dcm")
        ledger.done(tx, job_id, NOON + minutes(5), JobResults((again,)))
        (found,) = holdings.select(tx, Selection(sop_uids=("9.1",)))
        assert (found.sha256, found.size_bytes, found.key) == ("e" * 64, 11, "job/again.dcm")
        assert state(tx, study_id).results == 1
        assert revision(tx, study_id) > before


def test_what_was_written_over_is_held_no_more(database: Database) -> None:
    with database.write() as tx:
        study_id, job_id = analyzed(tx, JobResults((result("9.1"), result("9.2"))))
        ledger.restart(tx, job_id, NOON)
        ledger.claim(tx, NOON)
        other = replace(result("9.3"), key=result("9.1").key)
        ledger.done(tx, job_id, NOON, JobResults((other,)))
        own = [uid for uid, is_own in held(tx).items() if is_own]
        assert sorted(own) == ["9.2", "9.3"]
        assert state(tx, study_id).results == 2


def test_superseded_results_stay_held_beside_those_that_supersede_them(database: Database) -> None:
    with database.write() as tx:
        analyzed(tx, JobResults((result("9.1"),)))
        analyzed(tx, JobResults((result("9.2"),)), inputs="i2")
        own = [uid for uid, is_own in held(tx).items() if is_own]
    assert own == ["9.1", "9.2"]


# --- coming back ----------------------------------------------------------------------------------


def test_a_result_that_comes_back_is_the_instance_it_was(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        before = held(tx)
        back = [sent_back("9.1.0"), sent_back("9.1.1")]
        assert index.add(tx, back) == 0
        assert [one.record for one in index.came_back(tx, back)] == back
        assert index.came_back(tx, [record(1), record(77)]) == []
        assert held(tx) == before
        assert state(tx, study_id).state is StudyState.COMPLETE


def test_an_instance_in_a_series_of_the_nodes_own_opens_no_study(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        before = revision(tx, study_id)
        stray = sent_back("9.1.0")
        stray = replace(stray, attributes=replace(stray.attributes, sop_instance_uid="9.8"))
        assert index.add(tx, [stray]) == 1
        row = state(tx, study_id)
        assert (row.state, row.instances, row.results) == (StudyState.COMPLETE, 3, 3)
        assert row.last_received_at == NOON
        assert revision(tx, study_id) > before


def test_late_images_open_their_study_whatever_comes_with_them(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        stray = sent_back("9.1.0")
        stray = replace(stray, attributes=replace(stray.attributes, sop_instance_uid="9.8"))
        index.add(tx, [stray, record(4, at=NOON + minutes(1))])
        row = state(tx, study_id)
        assert (row.state, row.instances, row.results) == (StudyState.RECEIVING, 4, 3)
        assert row.last_received_at == NOON + minutes(1)
        told = events.list_events(tx, Topic.STUDY, study_id)
    late, _ = (one.reason for one in told if one.to_state == "receiving")
    assert late == "1 late instances"


def test_a_result_that_comes_back_after_its_deletion_opens_no_study(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        carry_out(tx, study_id, Scope.RESULTS)
        assert state(tx, study_id).results == 0
        assert index.add(tx, [sent_back("9.1.0")]) == 1
        row = state(tx, study_id)
        assert (row.state, row.instances, row.results) == (StudyState.COMPLETE, 3, 1)
        assert held(tx)["9.1.0"] is False, "its bytes lie with what was received"
        assert len(index.series_of(tx, study_id)) == 1


def test_a_result_that_came_before_its_job_ran_is_of_the_nodes_own_series_from_then_on(
    database: Database,
) -> None:
    """On a node that lost its database, say, and whose PACS sends everything again."""
    with database.write() as tx:
        study_id = add_study(tx)
        index.add(tx, [sent_back("9.1.0")])
        assert state(tx, study_id).state is StudyState.RECEIVING
        (study,) = index.open_studies(tx)
        index.complete(tx, study_id, NOON, study.last_received_at)
        analyzed(tx)
        row = state(tx, study_id)
        assert (row.series, row.instances, row.results) == (1, 3, 2)
        assert held(tx) == {f"1.2.3.1.{n}": False for n in (1, 2, 3)} | {
            "9.1.0": False,
            "9.1.1": True,
        }


def test_what_came_back_takes_the_place_of_a_result_whose_file_is_gone(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        index.take_instead(tx, sent_back("9.1.0", "bb/back.dcm"))
        (found,) = holdings.select(tx, Selection(sop_uids=("9.1.0",)))
        assert (found.own, found.key) == (False, "bb/back.dcm")
        assert state(tx, study_id).state is StudyState.COMPLETE


def test_a_correction_of_what_came_back_opens_no_study(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        carry_out(tx, study_id, Scope.RESULTS)
        index.add(tx, [sent_back("9.1.0")])
        index.correct(tx, [sent_back("9.1.0", "cc/corrected.dcm")])
        (found,) = holdings.select(tx, Selection(sop_uids=("9.1.0",)))
        assert found.key == "cc/corrected.dcm"
        assert state(tx, study_id).state is StudyState.COMPLETE


# --- deletion and retention -----------------------------------------------------------------------


def carry_out(tx: Transaction, study_id: int, scope: Scope) -> Deletion:
    """Everything but the files."""
    wanted = NewDeletion(study_id, scope, "a test", "a test", even_undelivered=True)
    deletion = deletions.get(tx, deletions.ask(tx, wanted, NOON))
    assert deletions.begin(tx, deletion) == []
    while deletions.take_slice(tx, deletion):
        pass
    return deletions.finish(tx, deletion, NOON)


def places(tx: Transaction, deletion: Deletion) -> list[tuple[str, str]]:
    return [(one.place.value, one.key) for one in deletions.doomed(tx, deletion.id)]


def test_deleted_results_are_held_no_more_and_their_series_is_gone(database: Database) -> None:
    with database.write() as tx:
        study_id, job_id = analyzed(tx)
        key = ledger.get(tx, job_id).key
        before = revision(tx, study_id)
        done = carry_out(tx, study_id, Scope.RESULTS)
        assert (done.instances, done.results, done.size_bytes) == (0, 2, 20)
        assert places(tx, done) == [("results", key)]
        assert set(held(tx).values()) == {False}
        series = schema.series
        assert tx.scalar(sa.select(sa.func.count()).select_from(series)) == 1
        assert revision(tx, study_id) > before


def test_a_deleted_study_takes_its_results_from_where_they_lie(database: Database) -> None:
    with database.write() as tx:
        study_id, job_id = analyzed(tx)
        key = ledger.get(tx, job_id).key
        done = carry_out(tx, study_id, Scope.STUDY)
        assert (done.instances, done.results) == (3, 2)
        images = [("instances", f"aa/1.2.3.1.{n}.dcm") for n in (1, 2, 3)]
        assert places(tx, done) == [("results", key), *images]
        assert index.find_study(tx, "1.2.3") is None
        for table in (schema.series, schema.instances, schema.patients, schema.retired_series):
            assert tx.scalar(sa.select(sa.func.count()).select_from(table)) == 0


@pytest.mark.parametrize("scope", list(Scope))
def test_results_that_no_job_names_are_deleted_too(database: Database, scope: Scope) -> None:
    with database.write() as tx:
        study_id = add_study(tx)
        made = [replace(result(uid), key=f"lost/{uid}.dcm") for uid in ("9.1", "9.2")]
        index.add_own(tx, study_id, made, NOON)
        done = carry_out(tx, study_id, scope)
        assert (done.results, done.size_bytes) == (2, 20 + (3006 if scope is Scope.STUDY else 0))
        assert ("results", "lost") in places(tx, done)
        assert not any(held(tx).values())


def test_images_and_results_keep_ages_and_quotas_of_their_own(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        used = retention.usage(tx, NOON - minutes(1))
        assert (used.images, used.results, used.images_of_last_week) == (3006, 20, 3006)
        tx.execute(sa.delete(schema.deliveries))
        assert [one.size_bytes for one in retention.oldest(tx, Scope.STUDY)] == [3006]
        assert [one.size_bytes for one in retention.oldest(tx, Scope.RESULTS)] == [20]
        carry_out(tx, study_id, Scope.RESULTS)
        assert retention.oldest(tx, Scope.RESULTS) == []


# --- from an older version ------------------------------------------------------------------------


def unread(made: ResultObject) -> ResultObject:
    return replace(made, attributes=None)


def test_results_that_are_no_instances_yet_are_found_page_by_page(database: Database) -> None:
    with database.write() as tx:
        study_id, job_id = analyzed(
            tx, JobResults((unread(result("9.1")), result("9.2"), unread(result("9.3"))))
        )
        first = earlier_results.unentered(tx, 0, 1)
        second = earlier_results.unentered(tx, first[0].id, 5)
        assert [one.object.sop_instance_uid for one in (*first, *second)] == ["9.1", "9.3"]
        assert (first[0].study_id, first[0].job_id, first[0].ended_at) == (study_id, job_id, NOON)
        index.add_own(tx, study_id, [result("9.1"), result("9.3")], NOON)
        assert earlier_results.unentered(tx, 0, 5) == []
        assert state(tx, study_id).results == 3


def test_what_came_back_of_results_of_an_older_version_is_of_the_nodes_own_series(
    database: Database,
) -> None:
    """Its results are known before they have been read."""
    with database.write() as tx:
        study_id, _ = analyzed(tx, JobResults((unread(result("9.1")),)))
        index.add(tx, [sent_back("9.1")])
        row = state(tx, study_id)
        assert (row.state, row.instances, row.results) == (StudyState.COMPLETE, 3, 1)


def test_a_database_of_an_older_version_knows_which_series_came_back(database: Database) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx, JobResults((unread(result("9.1")),)))
        command.downgrade(alembic_config(tx), "0010")
        tx.execute(
            sa.text(
                "INSERT INTO series (study_id, series_instance_uid, modality, series_description,"
                " body_part_examined, header, own)"
                f" VALUES ({study_id}, '9.1.0', 'SEG', '', '', '{{}}', false)"
            )
        )
        command.upgrade(alembic_config(tx), "head")
        index.add(tx, [sent_back("9.1")])
        row = state(tx, study_id)
        assert (row.state, row.series, row.instances, row.results) == (StudyState.COMPLETE, 1, 3, 1)


def test_an_older_version_keeps_what_was_received_and_forgets_what_it_cannot_read(
    database: Database,
) -> None:
    with database.write() as tx:
        study_id, _ = analyzed(tx)
        carry_out(tx, study_id, Scope.RESULTS)
        index.add(tx, [sent_back("9.1.0")])
        index.add_own(tx, study_id, [result("9.9")], NOON)
        command.downgrade(alembic_config(tx), "0009")
        kept = list(tx.scalars(sa.text("SELECT sop_instance_uid FROM instances ORDER BY id")))
        assert kept == ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3", "9.1.0"]
        command.upgrade(alembic_config(tx), "head")
