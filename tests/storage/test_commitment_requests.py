"""Commitment requests of peers: entered once, checked, reported."""

from __future__ import annotations

import pytest

from storage import commitment_requests, events
from storage.commitment_requests import TransactionUIDTaken
from storage.database import Database
from storage.records import CheckedReference, CommitmentState, Level, Reference
from tests.storage.samples import NOON, add_study, minutes, reference

NAMED = [reference("1.2.3.1.1"), reference("1.2.3.1.2"), Reference("1.2.3", "1.2.3.1.2")]


def enter(database: Database, uid: str = "9.2", requestor: str = "CT1") -> int:
    with database.write() as tx:
        return commitment_requests.enter(tx, uid, requestor, "10.0.0.1", "a1", NAMED, NOON)


def test_a_request_goes_its_way(database: Database) -> None:
    number = enter(database)
    with database.write() as tx:
        (due,) = commitment_requests.due(tx, CommitmentState.RECEIVED, NOON)
        assert (due.id, due.requestor_ae, due.host, due.association) == (
            number, "CT1", "10.0.0.1", "a1",
        )  # fmt: skip
        found = commitment_requests.references_of(tx, number)
        assert {one.reference for one in found} == set(NAMED)
        assert {one.failure for one in found} == {None}
        findings = [
            CheckedReference(one, 0x0119 if one.sop_class_uid == "1.2.3" else 0) for one in NAMED
        ]
        commitment_requests.checked(tx, number, NOON, findings, NOON + minutes(1))
    with database.write() as tx:
        assert commitment_requests.due(tx, CommitmentState.CHECKED, NOON) == []
        (due,) = commitment_requests.due(tx, CommitmentState.CHECKED, NOON + minutes(1))
        assert set(commitment_requests.references_of(tx, number)) == set(findings)
        assert [one.level for one in events.open_alarms(tx)] == [Level.ALARM]
        commitment_requests.report_later(tx, number, NOON + minutes(5), "away")
        again = commitment_requests.get(tx, number)
        assert (again.attempts, again.reason, again.not_before) == (1, "away", NOON + minutes(5))
        commitment_requests.reported(tx, number, NOON + minutes(5))
        assert commitment_requests.get(tx, number).state is CommitmentState.REPORTED


def test_the_same_request_again_is_one_row_and_other_instances_are_refused(
    database: Database,
) -> None:
    number = enter(database)
    with database.write() as tx:
        commitment_requests.reported(tx, number, NOON)
    assert enter(database) == number
    assert enter(database, requestor="CT2") != number
    with database.read() as tx:
        assert commitment_requests.get(tx, number).state is CommitmentState.RECEIVED
    with pytest.raises(TransactionUIDTaken), database.write() as tx:
        commitment_requests.enter(tx, "9.2", "CT1", "h", "a2", NAMED[:1], NOON)


def test_what_the_index_has_is_found_with_its_studies(database: Database) -> None:
    number = enter(database)
    with database.write() as tx:
        add_study(tx, instances=1)
        stored = commitment_requests.stored_instances(tx, ["1.2.3.1.1", "1.2.3.1.2"])
        assert set(stored) == {"1.2.3.1.1"}
        assert stored["1.2.3.1.1"].sha256 == f"{1:064d}"
        assert commitment_requests.studies_of(tx, number) == ["1.2.3"]


def test_large_requests_are_taken_whole(database: Database) -> None:
    named = [reference(f"1.2.3.{n}") for n in range(1, 2002)]
    with database.write() as tx:
        number = commitment_requests.enter(tx, "9.3", "CT1", "h", "a", named, NOON)
        findings = [CheckedReference(one, n % 2 * 0x0112) for n, one in enumerate(named)]
        commitment_requests.checked(tx, number, NOON, findings, NOON)
        found = commitment_requests.references_of(tx, number)
    assert len(found) == 2001
    assert sum(one.failure == 0x0112 for one in found) == 1000
