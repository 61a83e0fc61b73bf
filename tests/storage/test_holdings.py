"""What the node holds: images and results as one list, in pages, by lists of UIDs of any length."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from storage import holdings, index, ledger, schema
from storage.database import Database
from storage.files.archive import Archive
from storage.holdings import Held, Selection
from storage.records import JobResults, ResultObject, StudyState
from tests.storage.samples import NOON, add_study, enqueue, new_job, record, result, with_study


def own_object(uid: str = "9.1", study: str = "1.2.3", key: str = "job/9.1.dcm") -> ResultObject:
    attributes = record(1, study, "9.0").attributes
    attributes = replace(
        attributes, sop_instance_uid=uid, sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4"
    )
    return replace(result(uid), series_instance_uid="9.0", key=key, attributes=attributes)


def ended(database: Database, *objects: ResultObject) -> int:
    """A study of three images with a job that made these objects."""
    with database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
        ledger.claim(tx, NOON)
        ledger.done(tx, job, NOON, JobResults(tuple(objects)))
    return study


def of(database: Database, selection: Selection) -> list[Held]:
    with database.read() as tx:
        return holdings.select(tx, selection)


def test_results_are_held_like_images_and_marked_as_own(database: Database) -> None:
    ended(database, own_object())
    held = of(database, Selection(study_uids=("1.2.3",)))
    assert [one.own for one in held] == [False, False, False, True]
    assert held[-1].sop_instance_uid == "9.1"
    assert held[-1].key == "job/9.1.dcm"


def test_results_neither_reopen_their_study_nor_count_as_received(database: Database) -> None:
    study = ended(database, own_object())
    with database.read() as tx:
        row = index.get_study(tx, study)
        (series,) = index.series_of(tx, study)
    assert row.state is StudyState.COMPLETE
    assert (row.series, row.instances) == (1, 3)
    assert len(series.instances) == 3


def test_a_study_with_new_results_has_another_revision(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        table = schema.studies
        before = tx.scalar(sa.select(table.c.revision).where(table.c.id == study))
        index.add_own(tx, study, [own_object()], NOON)
        after = tx.scalar(sa.select(table.c.revision).where(table.c.id == study))
    assert after != before


def test_a_result_made_again_is_the_same_instance_with_its_newer_bytes(database: Database) -> None:
    study = ended(database, own_object())
    with database.write() as tx:
        again = replace(own_object(), sha256="e" * 64, size_bytes=11)
        index.add_own(tx, study, [again], NOON)
    (held,) = of(database, Selection(sop_uids=("9.1",)))
    assert (held.sha256, held.size_bytes) == ("e" * 64, 11)


def test_what_came_from_elsewhere_under_a_results_uid_stays_as_received(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        index.add_own(tx, study, [own_object("1.2.3.1.2")], NOON)
    (held,) = of(database, Selection(sop_uids=("1.2.3.1.2",)))
    assert not held.own


def test_lists_of_uids_may_be_of_any_length_and_name_anything_twice(database: Database) -> None:
    ended(database, own_object())
    many = tuple(f"7.{n}" for n in range(2_000))
    chosen = Selection(study_uids=(*many, "1.2.3"), sop_uids=(*many, "9.1", "1.2.3.1.2", "9.1"))
    assert {one.sop_instance_uid for one in of(database, chosen)} == {"9.1", "1.2.3.1.2"}
    with database.read() as tx:
        assert holdings.count(tx, chosen) == 2


def test_pages_follow_each_other_without_gap_or_repetition(database: Database) -> None:
    ended(database, own_object())
    chosen, seen, after = Selection(patient_ids=("P1",)), [], 0
    with database.read() as tx:
        while page := holdings.select(tx, chosen, after, limit=3):
            seen += [one.id for one in page]
            after = page[-1].id
    assert len(seen) == len(set(seen)) == 4


def test_a_selection_of_nothing_selects_nothing(database: Database) -> None:
    ended(database)
    assert of(database, Selection()) == []
    with database.read() as tx:
        assert holdings.count(tx, Selection()) == 0


def test_every_component_group_of_a_name_is_found_by(database: Database) -> None:
    with database.write() as tx:
        index.add(
            tx, [with_study(record(), PatientName="Yamada^Tarou^^=\u5c71\u7530^\u592a\u90ce=")]
        )
        names = list(tx.scalars(sa.select(schema.study_names.c.name)))
    assert names == ["yamada^tarou", "\u5c71\u7530^\u592a\u90ce"]


class Named:
    """Blobs that say where they were asked."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_own_bytes_lie_with_the_results_and_all_others_with_the_instances(
    database: Database,
) -> None:
    ended(database, own_object())
    archive = Archive(Named("instances"), Named("results"))  # type: ignore[arg-type]
    held = of(database, Selection(study_uids=("1.2.3",)))
    places = [archive.blob(one).store.name for one in held]  # type: ignore[attr-defined]
    assert places == ["instances"] * 3 + ["results"]
