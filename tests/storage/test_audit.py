"""The audit trail's tables, on both databases."""

from __future__ import annotations

from datetime import timedelta

from storage import audit, index
from storage.audit import AuditRow, Wanted
from storage.database import Database
from tests.storage.samples import NOON, record


def row(person: str, uid: str = "1.2", patient: str = "4711") -> AuditRow:
    return AuditRow(NOON, "Query", 0, person, "10.0.0.7", "<A/>", patient, "A^B", uid, "look")


def test_messages_are_numbered_in_their_order_and_no_number_is_given_twice(
    database: Database,
) -> None:
    with database.write() as tx:
        audit.keep(tx, [row("a"), row("b")])
        assert [one.id for one in audit.after(tx, 0, 10)] == [1, 2]
        assert audit.prune(tx, NOON + timedelta(days=1), 2, 10) == 2
    with database.write() as tx:
        audit.keep(tx, [row("c")])
        assert [one.id for one in audit.after(tx, 0, 10)] == [3]


def test_what_waits_is_counted_for_each_repository_of_the_settings(database: Database) -> None:
    with database.write() as tx:
        audit.keep(tx, [row("a"), row("b"), row("c")])
        audit.note_position(tx, "one", 1)
        audit.note_position(tx, "one", 2)
        audit.note_position(tx, "gone", 0)
        audit.forget_others(tx, ["one"])
        assert audit.waiting(tx) == {"one": 1}
        assert audit.position(tx, "gone") is None


def test_whose_a_study_is_comes_from_the_index_or_from_what_was_told_before(
    database: Database,
) -> None:
    with database.write() as tx:
        index.add(tx, [record(1, "1.1")])
        audit.keep(tx, [row("a", uid="1.9", patient="P9"), row("b", uid="1.9", patient="")])
        found = audit.whose(tx, ["1.1", "1.9", "1.5"])
    assert found.keys() == {"1.1", "1.9"}
    assert found["1.9"].patient_id == "P9"
    assert found["1.1"].patient_id


def test_a_person_or_a_text_that_a_database_refuses_is_kept_without_that(
    database: Database,
) -> None:
    with database.write() as tx:
        audit.keep(tx, [row("a\0b\ud800" + "x" * 1000)])
        (found,) = audit.search(tx, Wanted(), None, 10)
        assert found.row.person.startswith("ab?x")
        assert audit.search(tx, Wanted(person=found.row.person), None, 10)
