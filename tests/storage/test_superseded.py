"""A result that a newer one has taken the place of never comes to lie on top of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from storage import events, index, ledger, outbox, successors
from storage.database import Database, Transaction
from storage.records import DeliveryState, JobResults, JobState, Level, Topic
from storage.successors import Superseded
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, record, results


def two_jobs(tx: Transaction, series: int = 0) -> tuple[int, int]:
    """A job that runs, and its successor: a late image, or a better series."""
    study = add_study(tx)
    index.add(tx, [record(1, "1.2.3", "1.2.3.2")])
    first = enqueue(tx, new_job(tx, study, inputs="i1"))
    assert claimed(tx) == first
    return first, enqueue(tx, new_job(tx, study, inputs="i2", series=series), NOON)


def claimed(tx: Transaction, after_min: float = 0) -> int | None:
    job = ledger.claim(tx, NOON + minutes(after_min))
    return None if job is None else job.id


def sent_uids(tx: Transaction, destination: str = "pacs", after_min: float = 1) -> list[str]:
    found = outbox.claim(tx, destination, NOON + minutes(after_min))
    return [one.object.sop_instance_uid for one in found]


def report(job_id: int) -> JobResults:
    return results(f"9.{job_id}", ("sr",))


@pytest.mark.parametrize("series", [0, 1])
def test_a_job_waits_for_the_running_one_whose_place_it_takes(
    database: Database, series: int
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx, series)
        assert claimed(tx) is None, "although a slot is free"
        ledger.done(tx, first, NOON, report(first))
        assert claimed(tx) == second
        found = ledger.report_of(tx, second)
        assert found is not None and found[0].sop_instance_uid == f"9.{first}.0"


def test_the_last_of_three_waits_for_the_first_that_still_runs(database: Database) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        third = enqueue(tx, new_job(tx, ledger.get(tx, first).study_id, inputs="i3"))
        assert ledger.get(tx, second).state is JobState.NOT_APPLICABLE
        assert claimed(tx) is None
        ledger.done(tx, first, NOON, report(first))
        assert claimed(tx) == third


def test_jobs_of_other_analyzers_and_other_rules_do_not_wait(database: Database) -> None:
    with database.write() as tx:
        first, _ = two_jobs(tx)
        study = ledger.get(tx, first).study_id
        other = enqueue(tx, new_job(tx, study, "bones", inputs="i1"))
        beside = replace(new_job(tx, study, inputs="i4", series=1), rule="another")
        beside_id = enqueue(tx, beside)
        assert [claimed(tx), claimed(tx), claimed(tx)] == [other, beside_id, None]


def put_off(tx: Transaction, job_id: int) -> None:
    ledger.retry_later(tx, job_id, NOON, NOON + minutes(1), "busy", "Traceback")


def wait(tx: Transaction, job_id: int) -> None:
    ledger.wait_for(tx, job_id, NOON, NOON + minutes(1), "the disk is full")


def release(tx: Transaction, job_id: int) -> None:
    ledger.release_running(tx, NOON)


@pytest.mark.parametrize("again", [put_off, wait, release])
def test_a_job_that_would_run_again_gives_way_to_its_successor(
    database: Database, again: Callable[[Transaction, int], None]
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        again(tx, first)
        job = ledger.get(tx, first)
        assert job.state is JobState.NOT_APPLICABLE
        assert job.reason == f"superseded by job {second} before it ended"
        event = events.list_events(tx, Topic.JOB, first)[0]
        assert (event.from_state, event.to_state) == ("running", "not_applicable")
        assert [claimed(tx, 5), claimed(tx, 5)] == [second, None]


@pytest.mark.parametrize("ends", ["done", "failed", "pending"])
def test_a_person_who_restarts_it_is_told_which_job_to_restart(
    database: Database, ends: str
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, first, NOON, report(first))
        if ends != "pending":
            claimed(tx)
        if ends == "done":
            ledger.done(tx, second, NOON, report(second))
        if ends == "failed":
            ledger.failed(tx, second, NOON, "broken", "")
        with pytest.raises(Superseded, match=f"restart job {second}") as refused:
            ledger.restart(tx, first, NOON)
        assert refused.value.successor == second
        assert ledger.get(tx, first).state is JobState.DONE


def test_what_the_older_job_still_owes_is_not_sent_once_the_newer_has_results(
    database: Database,
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, first, NOON, results(f"9.{first}"))
        image, *rest = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, image.id, NOON, 0)
        for one in rest:
            outbox.retry_later(tx, one.id, NOON, NOON + minutes(5), 0xA700, "full")
        claimed(tx)
        ledger.done(tx, second, NOON + minutes(1), report(second))
        assert sent_uids(tx, after_min=60) == [f"9.{second}.0"]
        older = outbox.list_deliveries(tx, job_id=first)
        event = events.list_events(tx, Topic.DELIVERY, rest[0].id)[0]
    assert sorted(one.state for one in older) == ["sent", "superseded", "superseded"]
    assert {one.reason for one in older} == {"", f"not sent: job {second} has taken its place"}
    assert (event.level, event.from_state, event.to_state) == (
        Level.INFO,
        "pending",
        "superseded",
    )


def test_it_is_still_sent_where_the_newer_one_leaves_nothing(database: Database) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, first, NOON, report(first))
        claimed(tx)
        ledger.failed(tx, second, NOON, "broken", "")
        assert sent_uids(tx) == [f"9.{first}.0"]


def test_it_is_still_sent_where_the_newer_one_does_not_go(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first = enqueue(tx, new_job(tx, study, destinations=("pacs", "archive")))
        claimed(tx)
        second = enqueue(tx, new_job(tx, study, inputs="i2", destinations=("pacs",)))
        ledger.done(tx, first, NOON, report(first))
        claimed(tx)
        ledger.done(tx, second, NOON, report(second))
        assert sent_uids(tx) == [f"9.{second}.0"]
        assert sent_uids(tx, "archive") == [f"9.{first}.0"]


@pytest.mark.parametrize("how", ["retry_later", "give_back", "release"])
def test_what_was_being_sent_when_the_newer_one_ended_is_not_tried_again(
    database: Database, how: str
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, first, NOON, report(first))
        (sending,) = outbox.claim(tx, "pacs", NOON)
        claimed(tx)
        ledger.done(tx, second, NOON, report(second))
        if how == "retry_later":
            outbox.retry_later(tx, sending.id, NOON, NOON, None, "aborted")
        elif how == "give_back":
            outbox.give_back(tx, [sending.id], NOON, NOON, "the PACS is away")
        else:
            outbox.release_sending(tx, NOON)
        assert outbox.list_deliveries(tx, job_id=first)[0].state is DeliveryState.SUPERSEDED
        assert sent_uids(tx) == [f"9.{second}.0"]


def test_a_person_cannot_have_refused_objects_of_an_older_job_sent_on_top(
    database: Database,
) -> None:
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, first, NOON, report(first))
        (refused,) = outbox.claim(tx, "pacs", NOON)
        outbox.failed(tx, refused.id, NOON, 0x0122, "not supported")
        claimed(tx)
        ledger.done(tx, second, NOON, report(second))
        with pytest.raises(Superseded, match=f"restart job {second}"):
            outbox.restart_job(tx, first, NOON)


def test_an_older_job_that_ends_last_all_the_same_sends_nothing(database: Database) -> None:
    """Both may have been running when a node of an earlier version was stopped."""
    with database.write() as tx:
        first, second = two_jobs(tx)
        ledger.done(tx, second, NOON, report(second))
        ledger.done(tx, first, NOON, report(first))
        assert sent_uids(tx) == [f"9.{second}.0"]
        assert sent_uids(tx) == []


def test_jobs_of_a_rule_that_runs_on_every_series_do_not_take_each_others_place(
    database: Database,
) -> None:
    with database.write() as tx:
        study = two_series(tx)
        jobs = [
            enqueue(tx, replace(new_job(tx, study, inputs=f"i{n}", series=n), every_series=True))
            for n in (0, 1)
        ]
        again = enqueue(tx, replace(new_job(tx, study, inputs="i3", series=0), every_series=True))
        assert [ledger.get(tx, one).state for one in jobs] == [
            JobState.NOT_APPLICABLE,
            JobState.PENDING,
        ]
        assert ledger.get(tx, again).predecessor_id == jobs[0]


def test_jobs_of_another_variant_stand_beside_one_another(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first = enqueue(tx, new_job(tx, study))
        other = enqueue(tx, replace(new_job(tx, study, inputs="i2"), variant="soft"))
        for job in (first, other):
            ledger.claim(tx, NOON)
            ledger.done(tx, job, NOON, results(f"9.{job}"))
        assert successors.newest_of(tx, first) is None
        assert {one.state for one in outbox.list_deliveries(tx)} == {DeliveryState.PENDING}
        newer = enqueue(tx, replace(new_job(tx, study, inputs="i3"), variant="soft"))
        assert successors.newest_of(tx, other) == newer
        assert successors.newest_of(tx, first) is None


def two_series(tx: Transaction) -> int:
    study = "1.2.3"
    index.add(tx, [record(n, study, f"{study}.{series}") for n in (1, 2) for series in (1, 2)])
    found = index.find_study(tx, study)
    assert found is not None
    return found.id
