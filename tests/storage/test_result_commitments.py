"""Commitment to the node's own results: owed, requested, committed or refused."""

from __future__ import annotations

import pytest

from storage import ledger, outbox, result_commitments
from storage.database import Database
from storage.records import DeliveryState, Reference
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results

DAY = minutes(24 * 60)


@pytest.fixture
def deliveries(database: Database) -> list[int]:
    """Three results that were sent to a PACS which is to commit to them."""
    with database.write() as tx:
        job = enqueue(tx, new_job(tx, add_study(tx)))
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, results())
        due = outbox.claim(tx, "pacs", NOON)
        for one in due:
            outbox.sent(tx, one.id, NOON, 0)
            result_commitments.owe(tx, one.id, NOON)
    return [one.id for one in due]


def ask(database: Database, uid: str = "9.1", later: int = 0) -> list[Reference]:
    with database.write() as tx:
        at = NOON + later * DAY
        due = result_commitments.claim(tx, "pacs", uid, at)
        result_commitments.ask_later(tx, uid, at + DAY, was_asked=True)
    return [one.reference for one in due]


def states(database: Database) -> list[DeliveryState]:
    with database.read() as tx:
        return [one.state for one in outbox.list_deliveries(tx)]


def test_a_destination_is_asked_once_about_all_it_was_sent(
    database: Database, deliveries: list[int]
) -> None:
    assert len(ask(database)) == len(deliveries) == 3
    assert ask(database, "9.2") == []
    assert len(ask(database, "9.3", later=1)) == 3, "and again when no report came in a day"


def test_a_request_that_did_not_get_through_is_made_again(
    database: Database, deliveries: list[int]
) -> None:
    with database.write() as tx:
        result_commitments.claim(tx, "pacs", "9.1", NOON)
        result_commitments.ask_later(tx, "9.1", NOON + minutes(1))
        assert result_commitments.claim(tx, "pacs", "9.2", NOON) == []
        again = result_commitments.claim(tx, "pacs", "9.3", NOON + minutes(1))
    assert [one.attempts for one in again] == [1, 1, 1]


def test_after_a_crash_between_claim_and_answer_the_destination_is_asked_again(
    database: Database, deliveries: list[int]
) -> None:
    with database.write() as tx:
        result_commitments.claim(tx, "pacs", "9.1", NOON)
    assert len(ask(database, "9.2")) == 3


def test_a_report_settles_what_it_names_and_no_more(
    database: Database, deliveries: list[int]
) -> None:
    first, second, third = ask(database)
    with database.write() as tx:
        assert result_commitments.settle(tx, "9.1", [first], {second: 0x0112}, NOON) == 2
        assert result_commitments.settle(tx, "9.1", [first], {second: 0x0112}, NOON) == 0
    assert sorted(states(database)) == ["failed", "sent", "sent"]
    with database.write() as tx:
        assert result_commitments.settle(tx, "9.1", [third], {}, NOON) == 1


def test_a_report_on_an_unknown_transaction_changes_nothing(
    database: Database, deliveries: list[int]
) -> None:
    known = ask(database)
    with database.write() as tx:
        assert result_commitments.settle(tx, "9.9", known, {}, NOON) is None
        assert result_commitments.settle(tx, "", known, {}, NOON) is None


def test_what_is_sent_again_after_a_refusal_is_owed_again(
    database: Database, deliveries: list[int]
) -> None:
    refused = ask(database)[0]
    with database.write() as tx:
        result_commitments.settle(tx, "9.1", [], {refused: 0x0112}, NOON)
        failed = outbox.list_deliveries(tx, state=DeliveryState.FAILED)[0]
        outbox.restart_job(tx, failed.job_id, NOON)
        (due,) = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, due.id, NOON, 0)
        result_commitments.owe(tx, due.id, NOON)
    assert ask(database, "9.4") == [refused]
