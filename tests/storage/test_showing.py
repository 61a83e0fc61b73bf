"""What a viewer opens: the best result of the newest jobs, on the images it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage import index, ledger, schema, showing
from storage.database import Database, Transaction
from storage.errors import NotFound
from storage.kinds import ObjectKind
from storage.restriction import NOTHING
from storage.showing import Shown
from tests.storage.samples import NOON, add_study, enqueue, new_job, record, results, with_study

SOURCE = "1.2.3.1"


def done(
    tx: Transaction, study: int, prefix: str, kinds: Sequence[str], analyzer: str = "lungs"
) -> int:
    job = enqueue(tx, new_job(tx, study, analyzer))
    ledger.claim(tx, NOON)
    ledger.done(tx, job, NOON, results(prefix, kinds))
    return job


def test_a_study_opens_with_what_shows_a_finding_on_the_image(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        done(tx, study, "9.1", ("sr", "seg", "image"))
        done(tx, study, "9.2", ("sr", "image"), "filter")
    with database.look() as tx:
        shown = showing.of_study(tx, study)
    assert replace(shown, sop_instance_uid="") == Shown(
        study, "1.2.3", ObjectKind.SEGMENTATION, "9.1.1.0", SOURCE
    )
    assert shown.sop_instance_uid == "9.1.1"


def test_a_job_that_made_images_opens_them_and_a_study_its_report(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job = done(tx, study, "9.1", ("sr", "image"))
    with database.look() as tx:
        assert showing.of_job(tx, job).kind is ObjectKind.IMAGE
        assert showing.of_study(tx, study).kind is ObjectKind.REPORT


def test_of_two_of_a_kind_the_newer_job_s_is_opened(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        done(tx, study, "9.1", ("seg",))
        done(tx, study, "9.2", ("seg",), "bones")
    with database.look() as tx:
        assert showing.of_study(tx, study).series_instance_uid == "9.2.0.0"


def test_a_study_without_results_opens_as_it_is_and_a_job_at_what_it_read(
    database: Database,
) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job = enqueue(tx, new_job(tx, study))
    with database.look() as tx:
        assert showing.of_study(tx, study) == Shown(study, "1.2.3")
        assert showing.of_job(tx, job) == Shown(study, "1.2.3", None, "", SOURCE)


def test_every_object_of_a_job_can_be_opened_by_its_number(database: Database) -> None:
    kinds = ("sr", "seg", "pr")
    with database.write() as tx:
        job = done(tx, add_study(tx), "9.1", kinds)
        made = ledger.results_of(tx, job).objects
    with database.look() as tx:
        found = [showing.of_object(tx, job, number) for number in range(len(kinds))]
        assert [one.kind for one in found] == [one.kind for one in made]
        with pytest.raises(NotFound, match="has no object 3"):
            showing.of_object(tx, job, 3)


def test_no_object_opens_in_the_place_of_one_that_is_not_held(database: Database) -> None:
    with database.write() as tx:
        job = done(tx, add_study(tx), "9.1", ("sr", "seg", "pr"))
        second = ledger.results_of(tx, job).objects[1].sop_instance_uid
        tx.execute(sa.delete(schema.instances).where(schema.instances.c.sop_instance_uid == second))
        made = ledger.results_of(tx, job).objects
    with database.look() as tx:
        assert [showing.of_object(tx, job, at).kind for at in (0, 2)] == [
            made[0].kind,
            made[2].kind,
        ]
        with pytest.raises(NotFound, match="has no object 1 any more"):
            showing.of_object(tx, job, 1)


def test_what_was_deleted_is_not_opened(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job = done(tx, study, "9.1", ("sr", "seg"))
        tx.execute(sa.delete(schema.instances).where(schema.instances.c.own))
    with database.look() as tx:
        assert showing.of_study(tx, study) == Shown(study, "1.2.3")
        assert showing.of_job(tx, job).kind is None


def test_a_study_is_found_by_uid_and_by_accession_number(database: Database) -> None:
    with database.write() as tx:
        for uid, date in (("1.2.3", "20300504"), ("4.5.6", "20300601")):
            header = {"StudyInstanceUID": uid, "AccessionNumber": "A7", "StudyDate": date}
            index.add(tx, [with_study(record(1, uid, f"{uid}.1"), **header)])
    with database.look() as tx:
        newest, oldest = showing.by_accession(tx, "A7")
        assert (newest.header["StudyDate"], oldest.header["StudyDate"]) == ("20300601", "20300504")
        assert [one.id for one in showing.by_uid(tx, "1.2.3")] == [oldest.id]
        assert showing.by_accession(tx, "A8") == []
        assert showing.by_accession(tx, "") == [], "studies without one are not meant"


def test_a_series_that_a_viewer_opens_is_a_result_or_its_images(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        done(tx, study, "9.1", ("seg",))
        images = tx.scalar(sa.select(schema.series.c.id).where(_is(SOURCE)))
    with database.look() as tx:
        made = showing.of_series(tx, "1.2.3", "9.1.0.0")
        assert made is not None
        assert (made.kind, made.sop_instance_uid) == (ObjectKind.SEGMENTATION, "9.1.0")
        plain = showing.of_series(tx, "1.2.3", SOURCE)
        assert plain == Shown(study, "1.2.3", None, SOURCE, series_id=images)
        assert showing.of_series(tx, "1.2.4", SOURCE) is None, "it is of another study"
        assert showing.of_series(tx, "1.2.4", "9.1.0.0") is None
        assert showing.of_series(tx, "1.2.3", "1.2.3.99") is None


def _is(series_instance_uid: str) -> sa.ColumnElement[bool]:
    return schema.series.c.series_instance_uid == series_instance_uid


def test_who_may_not_see_a_study_opens_nothing_of_it(database: Database) -> None:
    with database.write() as tx:
        study = add_study(tx)
        job = done(tx, study, "9.1", ("seg",))
    with database.seen_by(lambda: NOTHING).look() as tx:
        assert showing.by_uid(tx, "1.2.3") == []
        assert showing.of_series(tx, "1.2.3", "9.1.0.0") is None
        assert showing.of_series(tx, "1.2.3", SOURCE) is None
        for refused in (
            lambda: showing.of_study(tx, study),
            lambda: showing.of_job(tx, job),
            lambda: showing.of_object(tx, job, 0),
        ):
            with pytest.raises(NotFound):
                refused()
