"""What stands at a destination, and sending again what it refused."""

from __future__ import annotations

from storage import ledger, outbox, standing
from storage.database import Database
from storage.records import DeliveryState
from tests.storage.samples import NOON, add_study, enqueue, minutes, new_job, results


def test_what_was_refused_comes_first_and_then_what_is_next_in_turn(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        for number in range(4):
            enqueue(tx, new_job(tx, study, f"analyzer {number}"))
            job = ledger.claim(tx, NOON)
            assert job is not None
            ledger.done(tx, job.id, NOON, results(f"9.{number}"))
        for one in outbox.claim(tx, "pacs", NOON):
            outbox.failed(tx, one.id, NOON, 0xA900, "no such class")
        found = standing.open_ones(tx, "pacs")
        numbers = standing.numbers(tx, "pacs")
    assert [(one.job_id, one.state.value, one.number) for one in found] == [
        (1, "failed", 3),
        (2, "pending", 3),
        (3, "pending", 3),
        (4, "pending", 3),
    ]
    assert found[0].reason == "no such class"
    assert numbers == {
        DeliveryState.PENDING: 9,
        DeliveryState.SENDING: 0,
        DeliveryState.FAILED: 3,
    }


def test_what_was_refused_is_due_again_but_not_what_a_newer_job_has_taken_the_place_of(
    database: Database,
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        for inputs in ("i1", "i2"):
            enqueue(tx, new_job(tx, study, inputs=inputs))
            job = ledger.claim(tx, NOON)
            assert job is not None
            ledger.done(tx, job.id, NOON, results(f"9.{inputs}"))
            for one in outbox.claim(tx, "pacs", NOON):
                outbox.failed(tx, one.id, NOON, 0xA900, "no such class")
        assert standing.restart_failed(tx, "pacs", NOON + minutes(1), "anna") == 3
        assert standing.restart_failed(tx, "pacs", NOON + minutes(1), "anna") == 0
        states = {one.job_id: one.state for one in outbox.list_deliveries(tx)}
    assert states == {1: DeliveryState.FAILED, 2: DeliveryState.PENDING}
