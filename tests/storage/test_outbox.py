"""The outbox: order, retries, and that nothing is sent twice or forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import events, ledger, outbox
from storage.database import Database, Transaction
from storage.errors import NotFound
from storage.records import DeliveryState, JobResults, Level, Topic
from tests.storage.samples import (
    NOON,
    add_study,
    enqueue,
    minutes,
    new_job,
    result,
    results,
)


def done(tx: Transaction, name: str, *destinations: str, at_min: float = 0) -> int:
    """A done job with an image, a SEG and a report, entered in the wrong order."""
    from storage import index

    found = index.find_study(tx, "1.2.3")
    study = found.id if found else add_study(tx)
    destinations = destinations or ("pacs",)
    job_id = enqueue(tx, new_job(tx, study, name, destinations=destinations))
    ledger.claim(tx, NOON)
    ledger.done(tx, job_id, NOON + minutes(at_min), results(f"9.{job_id}"))
    return job_id


def test_images_go_before_segmentations_and_the_report_last(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx, "a")
        claimed = outbox.claim(tx, "pacs", NOON)
        assert outbox.claim(tx, "pacs", NOON) == []
    assert [one.object.kind for one in claimed] == ["image", "seg", "sr"]
    assert {one.job_id for one in claimed} == {job_id}
    assert {(one.state, one.attempts) for one in claimed} == {(DeliveryState.SENDING, 1)}
    assert claimed[0].object.sop_instance_uid == f"9.{job_id}.2"


def test_a_claim_may_be_limited(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a")
        kinds = [[d.object.kind for d in outbox.claim(tx, "pacs", NOON, 2)] for _ in range(3)]
    assert kinds == [["image", "seg"], ["sr"], []]


def test_the_oldest_due_job_goes_first_and_alone(database: Database) -> None:
    with database.write() as tx:
        first, second = done(tx, "a"), done(tx, "b")
        for one in outbox.claim(tx, "pacs", NOON):
            assert one.job_id == first
            outbox.retry_later(tx, one.id, NOON, NOON + minutes(5), None, "PACS is away")
        assert {one.job_id for one in outbox.claim(tx, "pacs", NOON + minutes(1))} == {second}
        assert outbox.claim(tx, "pacs", NOON + minutes(1)) == []
        assert {one.job_id for one in outbox.claim(tx, "pacs", NOON + minutes(5))} == {first}


def test_destinations_do_not_wait_for_each_other(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a", "pacs", "archive")
        assert len(outbox.claim(tx, "pacs", NOON)) == 3
        assert len(outbox.claim(tx, "archive", NOON)) == 3
        assert outbox.claim(tx, "elsewhere", NOON) == []


def test_what_is_entered_is_due_from_that_moment_and_not_before(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a", at_min=2)
        assert outbox.claim(tx, "pacs", NOON + minutes(1)) == []
        assert len(outbox.claim(tx, "pacs", NOON + minutes(2))) == 3


def test_a_sent_object_keeps_its_status_and_time(database: Database) -> None:
    with database.write() as tx:
        job_id = done(tx, "a")
        first = outbox.claim(tx, "pacs", NOON)[0]
        outbox.sent(tx, first.id, NOON + minutes(1), 0xB000)
        row = outbox.list_deliveries(tx, job_id=job_id, state=DeliveryState.SENT)[0]
        event = events.list_events(tx, Topic.DELIVERY, first.id)[0]
    assert (row.status, row.sent_at, row.reason) == (0xB000, NOON + minutes(1), "")
    assert (event.from_state, event.to_state, event.level) == ("sending", "sent", Level.INFO)


def test_a_retry_keeps_the_reason_and_counts_attempts(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a")
        for one in outbox.claim(tx, "pacs", NOON):
            outbox.retry_later(tx, one.id, NOON, NOON + minutes(1), 0xA700, "out of resources")
        assert events.list_events(tx)[0].level is Level.WARNING
        row = outbox.list_deliveries(tx, state=DeliveryState.PENDING)[0]
        assert (row.status, row.reason) == (0xA700, "out of resources")
        assert row.not_before == NOON + minutes(1)
        assert {one.attempts for one in outbox.claim(tx, "pacs", NOON + minutes(1))} == {2}
        assert events.open_alarms(tx) == []


def test_a_refused_object_is_an_alarm_and_not_tried_again_by_itself(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a")
        first = outbox.claim(tx, "pacs", NOON)[0]
        outbox.failed(tx, first.id, NOON, 0x0122, "SOP class not supported")
        alarm = events.open_alarms(tx)[0]
        assert (alarm.subject, alarm.subject_id) == (Topic.DELIVERY, first.id)
        assert alarm.reason == "SOP class not supported"
        assert outbox.release_sending(tx, NOON) == 2
        assert len(outbox.claim(tx, "pacs", NOON + minutes(999))) == 2


def test_a_person_can_have_what_failed_sent_again(database: Database) -> None:
    with database.write() as tx:
        job_id, other = done(tx, "a"), done(tx, "b")
        for number, one in enumerate(outbox.claim(tx, "pacs", NOON)):
            if number:
                outbox.failed(tx, one.id, NOON, None, "not accepted")
            else:
                outbox.sent(tx, one.id, NOON, 0)
        assert outbox.restart_job(tx, other, NOON) == 0
        assert outbox.restart_job(tx, job_id, NOON + minutes(1)) == 2
        event = events.list_events(tx, Topic.DELIVERY)[0]
        assert (event.from_state, event.to_state) == ("failed", "pending")
        again = outbox.claim(tx, "pacs", NOON + minutes(1))
    assert [(one.object.kind, one.attempts) for one in again] == [("seg", 1), ("sr", 1)]


def test_what_was_being_sent_when_the_node_ended_is_due_again(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a")
        first = outbox.claim(tx, "pacs", NOON)[0]
        outbox.sent(tx, first.id, NOON, 0)
        assert outbox.release_sending(tx, NOON + minutes(1)) == 2
        event = events.list_events(tx, Topic.DELIVERY)[0]
        assert (event.from_state, event.to_state) == ("sending", "pending")
        assert [one.attempts for one in outbox.claim(tx, "pacs", NOON + minutes(1))] == [2, 2]


def test_the_next_due_time_is_that_of_what_is_still_owed(database: Database) -> None:
    with database.write() as tx:
        assert outbox.next_due(tx, "pacs") is None
        done(tx, "a", at_min=3)
        assert outbox.next_due(tx, "pacs") == NOON + minutes(3)
        assert outbox.next_due(tx, "archive") is None
        first, *rest = outbox.claim(tx, "pacs", NOON + minutes(3))
        assert outbox.next_due(tx, "pacs") is None
        outbox.retry_later(tx, first.id, NOON, NOON + minutes(9), None, "away")
        outbox.retry_later(tx, rest[0].id, NOON, NOON + minutes(7), None, "away")
        assert outbox.next_due(tx, "pacs") == NOON + minutes(7)


def test_deliveries_are_listed_by_job_study_and_state(database: Database) -> None:
    with database.write() as tx:
        first, second = done(tx, "a"), done(tx, "b", "pacs", "archive")
        other = enqueue(tx, new_job(tx, add_study(tx, "7"), inputs="i7"))
        ledger.claim(tx, NOON)
        ledger.done(tx, other, NOON, results("7", ("sr",)))
        outbox.sent(tx, outbox.claim(tx, "pacs", NOON)[0].id, NOON, 0)
        everything = outbox.list_deliveries(tx)
        assert len(everything) == 10
        assert [one.id for one in everything] == sorted((o.id for o in everything), reverse=True)
        assert {one.job_id for one in outbox.list_deliveries(tx, job_id=first)} == {first}
        assert len(outbox.list_deliveries(tx, study_id=ledger.get(tx, second).study_id)) == 9
        assert len(outbox.list_deliveries(tx, state=DeliveryState.SENT)) == 1
        assert len(outbox.list_deliveries(tx, limit=4)) == 4


def test_an_unknown_delivery_is_named(database: Database) -> None:
    with database.write() as tx:
        with pytest.raises(NotFound, match="no delivery 7"):
            outbox.sent(tx, 7, NOON, 0)
        with pytest.raises(NotFound, match="no delivery 7"):
            outbox.failed(tx, 7, NOON, None, "")
        with pytest.raises(NotFound, match="no delivery 7"):
            outbox.retry_later(tx, 7, NOON, NOON, None, "")
        assert events.list_events(tx) == []


def test_a_report_waits_for_a_segmentation_that_is_tried_again_later(database: Database) -> None:
    with database.write() as tx:
        done(tx, "a")
        image, seg, report = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, image.id, NOON, 0)
        outbox.retry_later(tx, seg.id, NOON, NOON + minutes(5), 0xA700, "full")
        outbox.retry_later(tx, report.id, NOON, NOON + minutes(1), None, "aborted")
        assert outbox.claim(tx, "pacs", NOON + minutes(2)) == []
        later = outbox.claim(tx, "pacs", NOON + minutes(5))
        assert [one.object.kind for one in later] == ["seg", "sr"]


def test_a_report_goes_out_although_a_segmentation_was_refused_for_good(
    database: Database,
) -> None:
    with database.write() as tx:
        done(tx, "a")
        _, seg, report = outbox.claim(tx, "pacs", NOON)
        outbox.failed(tx, seg.id, NOON, 0x0122, "SOP class not supported")
        outbox.retry_later(tx, report.id, NOON, NOON + minutes(1), None, "aborted")
        assert [one.object.kind for one in outbox.claim(tx, "pacs", NOON + minutes(1))] == ["sr"]


def test_what_a_job_wrote_over_when_it_ran_again_is_owed_no_more(database: Database) -> None:
    """The report that it failed, say: its file holds the result now."""
    told = replace(result("9.1", "sr"), key="job/report.dcm")
    made = replace(result("9.2", "sr"), key="job/report.dcm")
    with database.write() as tx:
        job = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.failed(tx, job, NOON, "broken", "", JobResults((told,)))
        ledger.restart(tx, job, NOON)
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, JobResults((made,)))
        states = {
            one.object.sop_instance_uid: one.state
            for one in outbox.list_deliveries(tx, job_id=job, limit=10)
        }
    assert states == {"9.1": DeliveryState.SUPERSEDED, "9.2": DeliveryState.PENDING}
