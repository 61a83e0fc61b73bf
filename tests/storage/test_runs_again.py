"""A job that runs again: what of its earlier runs is still owed, and what is owed again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from alembic import command

from storage import abilities, ledger, outbox, retries
from storage.abilities import KnownAbilities
from storage.database import Database, Transaction
from storage.records import DeliveryState, JobResults
from tests.storage.samples import NOON, add_study, alembic_config, enqueue, new_job, result

FILE = "job/report.dcm"


def begun(tx: Transaction) -> int:
    return enqueue(tx, new_job(tx, add_study(tx)))


def run(tx: Transaction, job_id: int, uid: str) -> None:
    """The job runs, and writes an object under a UID into the one file that it has."""
    if ledger.get(tx, job_id).finished_at is not None:
        ledger.restart(tx, job_id, NOON)
    ledger.claim(tx, NOON)
    made = replace(result(uid, "sr"), key=FILE, sha256=uid)
    ledger.done(tx, job_id, NOON, JobResults(objects=(made,)))


def states(tx: Transaction, job_id: int) -> dict[str, DeliveryState]:
    found = outbox.list_deliveries(tx, job_id=job_id)
    return {one.object.sop_instance_uid: one.state for one in found}


def test_what_a_run_made_as_an_earlier_one_did_is_owed_again(database: Database) -> None:
    with database.write() as tx:
        job_id = begun(tx)
        for uid, other in (("9.1", "9.2"), ("9.2", "9.1"), ("9.1", "9.2")):
            run(tx, job_id, uid)
            found = states(tx, job_id)
            assert found[uid] is DeliveryState.PENDING
            assert found.get(other) in (None, DeliveryState.SUPERSEDED)
            assert list(outbox.made_last(tx, job_id).values()) == [uid]
        (claimed,) = outbox.claim(tx, "pacs", NOON)
        assert claimed.object.sop_instance_uid == "9.1"


def test_what_was_sent_is_not_sent_twice_however_often_the_job_runs(database: Database) -> None:
    with database.write() as tx:
        job_id = begun(tx)
        run(tx, job_id, "9.1")
        (first,) = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, first.id, NOON, 0)
        run(tx, job_id, "9.2")
        run(tx, job_id, "9.1")
        assert states(tx, job_id) == {
            "9.1": DeliveryState.SENT,
            "9.2": DeliveryState.SUPERSEDED,
        }


def test_what_was_refused_and_is_written_over_is_not_sent_by_trying_again(
    database: Database,
) -> None:
    with database.write() as tx:
        job_id = begun(tx)
        run(tx, job_id, "9.1")
        (first,) = outbox.claim(tx, "pacs", NOON)
        outbox.failed(tx, first.id, NOON, 0xA900, "refused")
        ledger.claim(tx, NOON)
        made = replace(result("9.2", "sr"), key=FILE, sha256="9.2")
        ledger.done(tx, job_id, NOON, JobResults(objects=(made,)))
        assert states(tx, job_id)["9.1"] is DeliveryState.FAILED
        (second,) = outbox.claim(tx, "pacs", NOON)
        outbox.sent(tx, second.id, NOON, 0)
        assert retries.retry(tx, job_id, NOON).objects == 0  # the job itself is due
        assert states(tx, job_id)["9.1"] is DeliveryState.FAILED


def test_two_that_ask_a_destination_at_once_both_enter_what_it_takes(database: Database) -> None:
    """Couriers and the page may ask at the same moment; neither is turned away."""
    both = threading.Barrier(2, timeout=20)

    def ask(telling: str) -> None:
        for _ in range(10):
            both.wait()
            with database.write() as tx:
                abilities.put(tx, KnownAbilities("pacs", NOON, telling, frozenset()))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, ("all", "these")))
    with database.read() as tx:
        known = abilities.get(tx, "pacs")
        assert known is not None
        assert known.telling in ("all", "these")


def test_an_older_database_learns_which_results_are_those_of_the_last_run(
    database: Database,
) -> None:
    made = [("9.1", "report"), ("9.2", "report"), ("9.3", "mask")]
    with database.write() as tx:
        job_id = begun(tx)
        objects = tuple(replace(result(uid), key=key) for uid, key in made)
        ledger.claim(tx, NOON)
        ledger.done(tx, job_id, NOON, JobResults(objects=objects))
    with database.write() as tx:
        command.downgrade(alembic_config(tx), "0017")
        command.upgrade(alembic_config(tx), "head")
    with database.read() as tx:
        assert sorted(outbox.made_last(tx, job_id).values()) == ["9.2", "9.3"]
