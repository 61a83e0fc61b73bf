"""What a late image superseded is taken back where it was sent: after the new, and once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from node.delivery import retractions
from node.delivery.books import Books
from node.delivery.decisions import Decisions
from node.work import retractions as told
from storage import index, ledger, outbox, own_jobs
from storage.database import Transaction
from storage.records import Job, JobResults, NewJob, Priority
from tests.node.delivery.outboxes import Outbox

PACS = "pacs"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class Site(Outbox):
    """Jobs of one analyzer on one study, as late images come."""

    def end(
        self,
        kinds: tuple[str, ...] = ("seg", "sr"),
        destinations: tuple[str, ...] = (PACS,),
        rule: str = "rule",
        is_failed: bool = False,
    ) -> int:
        """One more job, done, or failed with a report of it."""
        self._jobs += 1
        with self.database.write() as tx:
            index.add(tx, [self._image()])
            study = index.list_studies(tx)[0]
            (series,) = [one for one in index.series_of(tx, study.id)]
            job = NewJob(
                inputs_digest=f"images {self._jobs}",
                analyzer="lungs",
                analyzer_version="1",
                parameters_digest="",
                parameters={},
                study_id=study.id,
                series_id=series.id,
                instance_ids=tuple(one.id for one in series.instances),
                rule=rule,
                priority=Priority.ROUTINE,
                destinations=destinations,
            )
            job_id = ledger.enqueue(tx, job, self.clock())
            assert job_id is not None
            claimed = ledger.claim(tx, self.clock())
            while claimed is not None and claimed.id != job_id:  # a note
                ledger.done(tx, claimed.id, self.clock(), JobResults())
                claimed = ledger.claim(tx, self.clock())
            assert claimed is not None
            objects = tuple(self._object(claimed.key, kind) for kind in kinds)
            results = JobResults(objects=objects)
            if is_failed:
                ledger.failed(tx, job_id, self.clock(), "it stopped", "", results)
            else:
                ledger.done(tx, job_id, self.clock(), results)
        return job_id

    def store(self, count: int = 9, destination: str = PACS) -> list[int]:
        """The destination stores so many of what it is owed; gives the notes that are due then."""
        notes = []
        with self.database.write() as tx:
            for one in outbox.claim(tx, destination, self.clock(), limit=count):
                outbox.sent(tx, one.id, self.clock(), 0)
                notes.append(_note(self, tx, one.job_id, destination))
        return [one for one in notes if one is not None]

    def taken_back(self, note: int) -> list[str]:
        with self.database.read() as tx:
            found = told.told(tx, ledger.get(tx, note))
        return sorted(one.object.sop_instance_uid for one in found.objects)

    def made(self, *jobs: int) -> list[str]:
        with self.database.read() as tx:
            found = [one for job in jobs for one in ledger.results_of(tx, job).objects]
        return sorted(one.sop_instance_uid for one in found)

    def notes(self) -> Sequence[Job]:
        with self.database.read() as tx:
            return [one for one in ledger.list_jobs(tx) if one.analyzer == own_jobs.RETRACTION]


def _note(site: Site, tx: Transaction, job_id: int, destination: str) -> int | None:
    return retractions.enter_due(tx, job_id, destination, "quality", site.clock())


def test_the_old_objects_are_taken_back_when_the_last_of_the_new_is_stored(site: Site) -> None:
    old = site.end()
    assert site.store() == []
    site.end()
    assert site.store(count=1) == []
    (note,) = site.store(count=1)
    assert site.taken_back(note) == site.made(old)
    (job,) = site.notes()
    assert job.destinations == (PACS,)


def test_what_the_destination_was_not_sent_is_not_taken_back(site: Site) -> None:
    site.end()
    site.store(count=1)
    with site.database.read() as tx:
        sent = [one for one in outbox.list_deliveries(tx) if one.sent_at is not None]
    site.end()
    (note,) = site.store()
    assert site.taken_back(note) == [one.object.sop_instance_uid for one in sent]


def test_nothing_is_taken_back_where_nothing_was_sent_before(site: Site) -> None:
    site.end(destinations=("elsewhere",))
    site.store(destination="elsewhere")
    site.end()
    assert site.store() == []


def test_an_object_is_taken_back_once_however_often_images_come(site: Site) -> None:
    first = site.end()
    site.store()
    second = site.end()
    (note,) = site.store()
    third = site.end()
    (later,) = site.store()
    assert site.taken_back(note) == site.made(first)
    assert site.taken_back(later) == site.made(second)
    with site.database.write() as tx:
        assert _note(site, tx, third, PACS) is None
    assert len(site.notes()) == 2


def test_results_of_which_the_new_are_refused_stay(site: Site) -> None:
    site.end()
    site.store()
    new = site.end()
    with site.database.write() as tx:
        refused, other = outbox.claim(tx, PACS, site.clock())
        outbox.failed(tx, refused.id, site.clock(), 0xC000, "no")
        outbox.sent(tx, other.id, site.clock(), 0)
        assert _note(site, tx, new, PACS) is None
    assert site.notes() == []


def test_the_old_objects_are_taken_back_too_when_the_last_of_the_new_is_left_out(
    site: Site,
) -> None:
    old = site.end()
    site.store()
    site.end()
    assert site.store(count=1) == []
    books = Books(PACS, site.clock, random.Random(1), retraction="quality")
    with site.database.write() as tx:
        (last,) = outbox.claim(tx, PACS, site.clock())
        books.enter_decisions(tx, Decisions(left_out={last.id: "it is not taken"}))
    (note,) = site.notes()
    assert site.taken_back(note.id) == site.made(old)


def test_a_job_that_failed_takes_nothing_back_with_its_report(site: Site) -> None:
    site.end()
    site.store()
    site.end(("sr",), is_failed=True)
    assert site.store() == []
    site.end()
    assert len(site.store()) == 1


def test_a_note_supersedes_nothing_and_is_superseded_by_nothing(site: Site) -> None:
    site.end()
    site.store()
    site.end()
    (note,) = site.store()
    with site.database.write() as tx:
        job = ledger.claim(tx, site.clock())
        assert job is not None and job.id == note
        assert job.predecessor_id is None
        site._jobs += 1
        made = site._object(job.key, "sr")
        ledger.done(tx, note, site.clock(), JobResults(objects=(made,)))
    with site.database.write() as tx:
        (owed,) = outbox.claim(tx, PACS, site.clock())
        assert owed.job_id == note
        outbox.sent(tx, owed.id, site.clock(), 0)
        assert _note(site, tx, note, PACS) is None
