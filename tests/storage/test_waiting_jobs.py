"""Jobs that wait for others, and the other series that a job is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from storage import ledger
from storage.database import Database
from storage.records import JobResults, Priority
from tests.storage.samples import NOON, add_study, enqueue, new_job


@pytest.mark.parametrize("end", ["done", "not_applicable", "failed"])
def test_a_job_that_waits_is_due_when_the_other_has_ended_however(
    database: Database, end: str
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        first = new_job(tx, study, "lungs", inputs="a")
        waiting = replace(
            new_job(tx, study, "rules", Priority.STAT, inputs="b"),
            waits_for=(ledger.key_of(first),),
        )
        first_id, waiting_id = enqueue(tx, first), enqueue(tx, waiting)
        claimed = ledger.claim(tx, NOON)
        assert claimed is not None
        assert claimed.id == first_id  # although the other is urgent
        assert ledger.claim(tx, NOON) is None
        ledger.retry_later(tx, first_id, NOON, NOON + timedelta(minutes=1), "busy", "")
        assert ledger.claim(tx, NOON) is None
        ended = {
            "done": lambda: ledger.done(tx, first_id, NOON, JobResults()),
            "not_applicable": lambda: ledger.not_applicable(tx, first_id, NOON, "", JobResults()),
            "failed": lambda: ledger.failed(tx, first_id, NOON, "broken", ""),
        }
        ended[end]()
        claimed = ledger.claim(tx, NOON)
        assert claimed is not None
        assert claimed.id == waiting_id
        assert [one.id for one in ledger.waited_for(tx, waiting_id)] == [first_id]


def test_companions_are_kept_by_role_and_are_no_inputs(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx, instances=4)
        plain = new_job(tx, study)
        one, *others = plain.instance_ids
        job = replace(
            plain, instance_ids=(one,), companions={"pet": tuple(others[:2]), "mr": (others[2],)}
        )
        job_id = enqueue(tx, job)
        assert [one.id for one in ledger.input_instances(tx, job_id)] == [one]
        found = ledger.companions_of(tx, job_id)
    assert {role: [one.id for one in given] for role, given in found.items()} == {
        "mr": [others[2]],
        "pet": others[:2],
    }


def test_the_name_of_a_job_of_one_series_is_that_of_its_series() -> None:
    assert ledger.joined_digest("own", {}, ()) == "own"


def test_the_name_of_a_job_knows_companions_roles_and_earlier_jobs() -> None:
    names = {
        ledger.joined_digest("own", {"pet": "a"}, ()),
        ledger.joined_digest("own", {"pet": "b"}, ()),
        ledger.joined_digest("own", {"mr": "a"}, ()),
        ledger.joined_digest("own", {}, ("key1",)),
        ledger.joined_digest("own", {"pet": "a"}, ("key1",)),
    }
    assert len(names) == 5
    assert ledger.joined_digest("own", {}, ("k2", "k1")) == ledger.joined_digest(
        "own", {}, ("k1", "k2")
    )
