"""What goes by age, by quota and by hand; and what never goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from node.config.tables import RetentionSettings
from node.retention import LINGER_S, Folders, Retention, forecast
from storage import deletions, events, holdings, index, ledger, outbox, quarantine, retention
from storage.database import Database, open_database
from storage.deletions import DeletionState, NewDeletion, Scope
from storage.errors import NotFound
from storage.files.instances import InstanceStore
from storage.files.metadata_shelf import MetadataShelf, Shelved
from storage.files.results import ResultStore
from storage.holdings import Selection
from storage.people.kept_notes import NotesFolder
from storage.quarantine import RefusalKind, Refused
from storage.records import InstanceRecord, PutOutcome, StudyState
from storage.retention import Usage
from tests.storage.samples import NOON, enqueue, new_job, record, results

DAY = timedelta(days=1)


@dataclass
class House:
    """A node's stores with a keeper, at a time that a test sets."""

    database: Database
    folders: Folders
    now: datetime = NOON
    open_studies: set[str] = field(default_factory=set)
    during_linger: Callable[[], object] = lambda: None

    def keeper(self, **settings: float) -> Retention:
        return Retention(
            self.database,
            self.folders,
            RetentionSettings(**settings),
            lambda: self.open_studies,
            lambda: self.now,
            self._linger,
        )

    def _linger(self, seconds: float) -> None:
        assert seconds == LINGER_S
        self.during_linger()

    def store(self, number: int, study: str) -> InstanceRecord:
        """A real file, and its row."""
        made = record(number, study, f"{study}.1", self.now)
        with self.folders.instances.open_incoming() as file:
            file.write_header(bytes(128) + b"DICM")
            file.write(f"{study} {number}".encode())
            placement = file.place(made.attributes.sop_instance_uid)
        self.folders.instances.forget_incoming(placement.incoming)
        made = replace(made, placement=replace(placement, incoming=""))
        with self.database.write() as tx:
            index.add(tx, [made])
        return made

    def study(self, uid: str, images: int = 2) -> int:
        for number in range(1, images + 1):
            self.store(number, uid)
        with self.database.write() as tx:
            found = index.find_study(tx, uid)
            assert found is not None
            index.complete(tx, found.id, self.now, found.last_received_at)
        return found.id

    def finished_job(self, study_id: int, sent: bool = True) -> str:
        """One job with a result that lies in the folder; gives its key."""
        with self.database.write() as tx:
            job = enqueue(tx, new_job(tx, study_id, inputs=f"i{study_id}"), self.now)
            key = ledger.get(tx, job).key
            ledger.claim(tx, self.now)
            ledger.done(tx, job, self.now, results(f"9.{study_id}", ("sr",)))
            for one in outbox.claim(tx, "pacs", self.now) if sent else ():
                outbox.sent(tx, one.id, self.now, 0)
        (self.folders.results.folder(key) / "sr.dcm").write_bytes(b"sr")
        return key

    def studies(self) -> list[str]:
        with self.database.read() as tx:
            return sorted(one.study_instance_uid for one in index.list_studies(tx))

    def files(self) -> list[str]:
        return list(self.folders.instances.iterate())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = open_database(f"sqlite:///{tmp_path / 'w.db'}")
    store = InstanceStore(tmp_path / "instances", tmp_path / "quarantine", sync=False)
    (tmp_path / "logs").mkdir()
    results, shelf = ResultStore(tmp_path / "results"), MetadataShelf(tmp_path / "metadata")
    notes = NotesFolder(tmp_path / "notes")
    yield House(database, Folders(store, results, shelf, tmp_path / "logs", notes))
    store.ready.forget()
    database.close()


def ask(house: House, study_id: int, **more: object) -> int:
    wanted = NewDeletion(study_id, Scope.STUDY, "no consent", "a person", **more)  # type: ignore[arg-type]
    with house.database.write() as tx:
        return deletions.ask(tx, wanted, house.now)


def state_of(house: House, deletion_id: int) -> tuple[DeletionState, str]:
    with house.database.read() as tx:
        found = deletions.get(tx, deletion_id)
    return found.state, found.answer


def test_without_settings_nothing_is_ever_deleted(house: House) -> None:
    house.finished_job(house.study("1.1"))
    house.now += 10_000 * DAY
    house.keeper().step()
    assert house.studies() == ["1.1"]


def test_a_study_goes_by_age_with_its_files_and_the_record_stays(house: House) -> None:
    key = house.finished_job(house.study("1.1"))
    house.now += 20 * DAY
    house.study("1.2")
    house.now += 20 * DAY
    house.keeper(images_days=30).step()
    assert house.studies() == ["1.2"]
    assert len(house.files()) == 2
    assert not house.folders.results.path(key).exists()
    assert list(house.folders.instances.discarded.iterdir()) == []
    with house.database.read() as tx:
        (done,) = deletions.newest(tx)
    assert (done.state, done.study_instance_uid) == (DeletionState.DONE, "1.1")
    assert (done.instances, done.results, done.asked_by) == (2, 1, "retention.images_days")


def test_metadata_count_with_the_images_and_go_with_their_study(house: House) -> None:
    house.finished_job(house.study("1.1"))
    shelf = house.folders.metadata
    name = Shelved("1.1", "1.1.1", "its images")
    adding = shelf.adding(name)
    adding.write(bytes(500))
    assert adding.keep() and shelf.has(name)
    keeper = house.keeper(images_days=30)
    with house.database.read() as tx:
        images = sum(
            one.size_bytes for one in holdings.select(tx, Selection(("P1",))) if not one.own
        )
    assert keeper.usage().images == images + 500
    house.now += 40 * DAY
    keeper.step()
    assert not shelf.has(name) and shelf.size_bytes() == 0


def test_what_is_not_delivered_or_in_work_stays_whatever_its_age(house: House) -> None:
    house.finished_job(house.study("1.1"), sent=False)
    with house.database.write() as tx:
        waiting = index.find_study(tx, "1.1")
        assert waiting is not None
        (delivery,) = outbox.claim(tx, "pacs", house.now)
        outbox.failed(tx, delivery.id, house.now, None, "refused")
    in_work = house.study("1.2")
    with house.database.write() as tx:
        enqueue(tx, new_job(tx, in_work, inputs="other"), house.now)
    house.store(1, "1.3")  # never completed
    house.now += 100 * DAY
    house.keeper(images_days=30).step()
    assert house.studies() == ["1.1", "1.2", "1.3"]
    with house.database.read() as tx:
        assert retention.oldest(tx, deletions.Scope.STUDY, house.now) == []
        assert deletions.holds(tx, waiting.id) == ["1 objects could not be delivered"]
        assert deletions.holds(tx, in_work) == ["1 jobs are due or running"]


def test_what_a_newer_result_was_sent_in_the_place_of_keeps_no_study(house: House) -> None:
    study_id = house.study("1.1")
    house.finished_job(study_id, sent=False)
    with house.database.write() as tx:
        newer = enqueue(tx, new_job(tx, study_id, inputs="with a late image"), house.now)
        ledger.claim(tx, house.now)
        ledger.done(tx, newer, house.now, results("9.2", ("sr",)))
        (delivery,) = outbox.claim(tx, "pacs", house.now)
        assert delivery.job_id == newer
        outbox.sent(tx, delivery.id, house.now, 0)
    house.now += 100 * DAY
    house.keeper(images_days=30).step()
    assert house.studies() == []


def test_beyond_a_quota_the_oldest_go_until_it_is_kept(house: House) -> None:
    for number in range(4):
        house.study(f"1.{number}")
        house.now += DAY
    with house.database.read() as tx:
        total = retention.usage(tx, house.now).images
    house.keeper(images_gb=0.55 * total / 1e9).step()
    assert house.studies() == ["1.2", "1.3"]


def test_a_quota_that_cannot_be_kept_is_one_alarm(house: House) -> None:
    house.finished_job(house.study("1.1"), sent=False)
    keeper = house.keeper(images_gb=1e-9)
    for _ in range(3):
        keeper.step()
        house.now += DAY
    with house.database.read() as tx:
        (alarm,) = events.open_alarms(tx)
    assert alarm.reason.startswith("retention.images_gb is exceeded, and nothing may go")
    assert house.studies() == ["1.1"]


def test_results_may_go_alone_and_what_was_found_stays(house: House) -> None:
    study = house.study("1.1")
    key = house.finished_job(study)
    house.now += 40 * DAY
    house.keeper(results_days=30).step()
    assert house.studies() == ["1.1"]
    assert not house.folders.results.path(key).exists()
    with house.database.read() as tx:
        (job,) = ledger.list_jobs(tx, study_id=study)
        assert ledger.results_of(tx, job.id).objects == ()
        assert job.key == key
        held = holdings.select(tx, Selection(study_uids=("1.1",)))
        assert [one.own for one in held] == [False, False], "only the images are found"


def test_results_that_went_by_age_and_come_back_open_no_study(house: House) -> None:
    study = house.study("1.1")
    house.finished_job(study)
    house.now += 40 * DAY
    house.keeper(results_days=30).step()
    made = results(f"9.{study}", ("sr",)).objects[0]
    assert made.attributes is not None
    back = replace(made.attributes, study_instance_uid="1.1")
    with house.database.write() as tx:
        index.add(tx, [replace(record(1, "1.1"), attributes=back)])
        row = index.get_study(tx, study)
    assert (row.state, row.results) == (StudyState.COMPLETE, 1)
    house.keeper(results_days=30).step()
    with house.database.read() as tx:
        assert index.get_study(tx, study).results == 1, "it was received, and goes with the images"


def test_a_deletion_by_hand_is_refused_with_the_condition_that_was_not_met(house: House) -> None:
    study = house.study("1.1")
    house.finished_job(study, sent=False)
    deletion = ask(house, study)
    house.keeper().step()
    assert house.studies() == ["1.1"]
    assert state_of(house, deletion) == (
        DeletionState.REFUSED,
        "1 objects are not delivered yet",
    )


def test_what_was_not_delivered_goes_where_a_person_says_so_but_never_what_is_in_work(
    house: House,
) -> None:
    study, working = house.study("1.1"), house.study("1.2")
    house.finished_job(study, sent=False)
    with house.database.write() as tx:
        enqueue(tx, new_job(tx, working, inputs="other"), house.now)
    ask(house, study, even_undelivered=True)
    ask(house, working, even_undelivered=True)
    house.keeper().step()
    assert house.studies() == ["1.2"]


def test_a_study_that_a_sender_is_at_is_deleted_later(house: House) -> None:
    deletion = ask(house, house.study("1.1"))
    house.open_studies = {"1.1"}
    house.keeper().step()
    assert state_of(house, deletion)[0] is DeletionState.ASKED
    house.open_studies = set()
    house.keeper().step()
    assert house.studies() == []


def test_an_image_that_comes_again_while_it_is_deleted_is_kept(house: House) -> None:
    ask(house, house.study("1.1"))
    again: list[InstanceRecord] = []

    def send_again() -> None:
        if not again:
            again.append(house.store(2, "1.1"))

    house.during_linger = send_again
    house.keeper().step()
    assert again[0].placement.outcome is PutOutcome.NEW
    assert house.files() == [again[0].placement.key]
    assert house.studies() == ["1.1"]


def test_an_image_found_to_be_the_same_a_moment_before_is_given_back(house: House) -> None:
    first = house.store(1, "1.1")
    house.study("1.1", images=1)
    study = house.studies() and ask(house, 1)
    assert study

    def was_told_that_it_is_there() -> None:
        house.open_studies = {"1.1"}

    house.during_linger = was_told_that_it_is_there
    house.keeper().step()
    assert house.files() == [first.placement.key]
    assert list(house.folders.instances.discarded.iterdir()) == []


def test_a_deletion_that_was_cut_short_goes_on_at_the_next_start(house: House) -> None:
    deletion = ask(house, house.study("1.1", images=3))

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    house.during_linger = kill
    with pytest.raises(Killed):
        house.keeper().step()
    assert state_of(house, deletion)[0] is DeletionState.BEGUN
    house.during_linger = lambda: None
    house.keeper().step()
    assert (house.studies(), house.files()) == ([], [])
    assert list(house.folders.instances.discarded.iterdir()) == []


def test_a_large_study_is_deleted_in_slices(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions, "SLICE", 2)
    monkeypatch.setattr(deletions, "FILES", 2)
    study = house.study("1.1", images=5)
    ask(house, study)
    with house.database.write() as tx:
        (wanted,) = deletions.open_ones(tx)
        deletions.begin(tx, wanted)
        assert [deletions.take_slice(tx, wanted) for _ in range(4)] == [2, 2, 1, 0]
    house.keeper().step()
    assert (house.studies(), house.files()) == ([], [])


def test_history_quarantine_and_rotated_logs_go_by_age_but_open_alarms_stay(house: House) -> None:
    kept = house.folders.instances.quarantine / "q.dcm"
    kept.write_bytes(b"q")
    old = house.folders.logs / "wetread.log.3"
    old.write_text("old")
    (house.folders.logs / "wetread.log").write_text("new")
    with house.database.write() as tx:
        quarantine.enter(tx, NOON, Refused("q.dcm", RefusalKind.UNREADABLE, "unreadable", "f"))
    house.study("1.1")
    house.now += 40 * DAY
    os.utime(old, (NOON.timestamp(), NOON.timestamp()))
    house.keeper(events_days=30, quarantine_days=30, logs_days=30).step()
    assert not kept.exists()
    assert [one.name for one in house.folders.logs.iterdir()] == ["wetread.log"]
    with house.database.read() as tx:
        assert [one.level for one in events.list_events(tx)] == ["alarm"]
        assert quarantine.newest(tx) == []


def test_quarantine_is_kept_within_its_quota(house: House) -> None:
    for number in range(50):
        name = f"q{number}.dcm"
        (house.folders.instances.quarantine / name).write_bytes(bytes(1000))
        at = NOON + timedelta(minutes=number)
        with house.database.write() as tx:
            quarantine.enter(tx, at, Refused(name, RefusalKind.UNREADABLE, "unreadable", name))
    house.now += DAY
    house.keeper(quarantine_gb=30_000 / 1e9).step()
    left = sorted(one.name for one in house.folders.instances.quarantine.iterdir())
    assert 10 <= len(left) <= 30
    assert "q49.dcm" in left
    assert "q0.dcm" not in left


def refused(house: House, name: str, days: float) -> Path:
    """Results of a run that the gate refused, so many days ago."""
    folder = house.folders.instances.quarantine / name
    folder.mkdir()
    (folder / "report.dcm").write_bytes(bytes(1000))
    at = house.now.timestamp() - days * 86_400
    os.utime(folder, (at, at))
    return folder


def test_refused_results_go_by_age_with_refused_images(house: House) -> None:
    old, form = refused(house, "job-1-0a1b", 40), refused(house, "forms-2-0a1b", 31)
    new, other = refused(house, "job-3-0a1b", 3), refused(house, "notes", 90)
    house.keeper(quarantine_days=30).step()
    assert [one.exists() for one in (old, form, new, other)] == [False, False, True, True]


def test_beyond_the_quota_the_oldest_refused_results_go(house: House) -> None:
    folders = [refused(house, f"job-{number}-0a", 10 - number) for number in range(5)]
    house.keeper(quarantine_gb=2500 / 1e9).step()
    assert [one.exists() for one in folders] == [False] * 3 + [True] * 2


def test_an_image_that_is_taken_out_while_it_comes_again_is_stored_anew(house: House) -> None:
    store = house.folders.instances
    house.store(1, "1.1")
    key = store.key_of("1.1.1.1")
    with store.open_incoming() as file:
        file.write_header(bytes(128) + b"DICM")
        file.write(b"1.1 1")
        file.begin_to_place("1.1.1.1")
        store.discard(key)
        assert file.place("1.1.1.1").outcome is PutOutcome.NEW
    assert store.path(key).is_file()


def test_a_deletion_needs_a_study(house: House) -> None:
    with pytest.raises(NotFound):
        ask(house, 77)


def test_the_forecast_is_drawn_from_the_last_week() -> None:
    coming = forecast(70, Usage(images=100, results=0, images_of_last_week=14))
    assert coming.full_in_days == 35
    assert coming.in_words().endswith("the disk is full in 35 days")
    assert forecast(70, Usage(100, 0, 0)).in_words() == "no image came in the last seven days"
