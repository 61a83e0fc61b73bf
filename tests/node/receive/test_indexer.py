"""The index behind the receiver: batches, faults, and what an abrupt end leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pysqlite3 import dbapi2 as sqlite

from node.clock import system_clock
from node.observe.health import Heartbeat
from node.receive.indexer import Indexer, recover
from storage import events, index, quarantine
from storage.database import Database, Transaction, open_database
from storage.errors import DatabaseUnavailable
from storage.files.instances import InstanceStore
from storage.header.attributes import extract
from storage.records import InstanceRecord, PutOutcome
from tests.waiting import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    one = open_database(f"sqlite:///{tmp_path / 'w.db'}", busy_s=0.3)
    yield one
    one.close()


@pytest.fixture
def store(tmp_path: Path) -> InstanceStore:
    return InstanceStore(tmp_path / "instances", tmp_path / "quarantine")


def stored(store: InstanceStore, path: Path) -> InstanceRecord:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    attributes = extract(dataset)
    content = path.read_bytes()
    begin = 144 + dataset.file_meta.FileMetaInformationGroupLength
    with store.open_incoming() as file:
        file.write_header(content[:begin])
        file.write(content[begin:])
        placement = file.place(attributes.sop_instance_uid)
    return InstanceRecord(attributes, placement, NOW, "CT1")


def indexed(database: Database) -> int:
    with database.read() as tx:
        return sum(study.instances for study in index.list_studies(tx))


def test_what_is_submitted_is_indexed_and_no_longer_open(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    indexer.start()
    for path in phantom_paths[:5]:
        indexer.submit(stored(store, path))
    indexer.stop()
    assert indexed(database) == 5
    assert indexer.open_studies() == frozenset()
    assert store.unindexed() == []


def test_a_study_is_open_while_its_instances_wait_for_the_index(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    record = stored(store, phantom_paths[0])
    indexer.submit(record)
    assert indexer.open_studies() == {record.attributes.study_instance_uid}
    indexer.start()
    indexer.stop()
    assert indexer.open_studies() == frozenset()


def test_the_same_image_sent_again_changes_nothing(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    indexer.start()
    indexer.submit(stored(store, phantom_paths[0]))
    again = stored(store, phantom_paths[0])
    assert again.placement.outcome is PutOutcome.SAME
    indexer.submit(again)
    indexer.submit(stored(store, phantom_paths[1]))
    indexer.stop()
    assert indexed(database) == 2


@pytest.mark.timeout(120)
def test_while_the_database_is_away_senders_are_told_and_nothing_is_lost(
    database: Database, store: InstanceStore, phantom_paths: list[Path], tmp_path: Path
) -> None:
    heartbeat = Heartbeat("indexer", system_clock)
    indexer = Indexer(database, store, heartbeat)
    holder = sqlite.connect(str(tmp_path / "w.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    indexer.start()
    indexer.submit(stored(store, phantom_paths[0]))
    until(lambda: "database" in heartbeat.check().reason)
    with pytest.raises(DatabaseUnavailable):
        indexer.submit(stored(store, phantom_paths[1]))
    holder.execute("ROLLBACK")
    holder.close()
    until(lambda: indexed(database) == 1)
    until(lambda: not indexer.open_studies())
    indexer.submit(stored(store, phantom_paths[1]))
    indexer.stop()
    assert indexed(database) == 2


def test_one_instance_that_cannot_be_indexed_does_not_keep_the_others_out(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    odd = stored(store, phantom_paths[0])
    unstorable = {"InstanceNumber": object()}
    odd = replace(odd, attributes=replace(odd.attributes, instance=unstorable))
    for record in (odd, stored(store, phantom_paths[1])):
        indexer.submit(record)
    indexer.start()
    indexer.stop()
    assert indexed(database) == 1
    with database.read() as tx:
        (alarm,) = events.open_alarms(tx)
    assert "cannot be indexed" in alarm.reason
    assert [name for name, _ in store.unindexed()] == [odd.placement.incoming]


def test_what_was_stored_but_not_indexed_is_found_at_the_next_start(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    for path in phantom_paths[:3]:
        stored(store, path)
    assert indexed(database) == 0
    assert recover(database, store) == 3
    assert indexed(database) == 3
    assert recover(database, store) == 0


def test_how_far_the_index_is_behind_can_be_asked(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    assert indexer.backlog() == (0, 0.0)
    records = [stored(store, path) for path in phantom_paths[:3]]
    for record in records:
        indexer.submit(record)
    time.sleep(0.05)
    waiting, lag_s = indexer.backlog()
    assert waiting == 3 and lag_s >= 0.05
    study = records[0].attributes.study_instance_uid
    assert (indexer.waiting_of(study), indexer.waiting_of("1.2.3")) == (3, 0)
    indexer.start()
    until(lambda: indexer.backlog()[0] == 0)
    indexer.stop()
    assert indexed(database) == 3
    assert indexer.backlog()[1] >= 0.05, "the last one's lag stays to be seen"
    assert indexer.waiting_of(study) == 0


def test_what_was_cut_short_before_it_was_found_to_be_no_instance_goes_to_quarantine(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    """Killed between the seal and the look at the header: never acknowledged, and not lost."""
    content = phantom_paths[0].read_bytes()
    with store.open_incoming() as file:
        file.write_header(content[:132] + b"\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00")
        file.write(b"no data set at all")
        file.begin_to_place("1.2.3")
        file._settled = True  # it is there still when the next process starts
    again = InstanceStore(store.root, store.quarantine)
    recover(database, again)
    with database.read() as tx:
        [kept] = quarantine.newest(tx)
    assert (again.quarantine / kept.refused.key).read_bytes().endswith(b"no data set at all")
    assert kept.refused.reason == "the data set ends within an element"
    assert kept.refused.sop_instance_uid == "1.2.3"
    assert indexed(database) == 0 and list(again.iterate()) == [] == again.unindexed()


def refuse(database: Database, uid: str) -> None:
    """From now on the database takes everything but one instance."""
    with database.write() as tx:
        tx.exec_driver_sql(
            "CREATE TRIGGER refuses BEFORE INSERT ON instances"
            f" WHEN NEW.sop_instance_uid = '{uid}' BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )


def test_what_the_index_will_never_take_does_not_keep_the_node_from_starting(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    odd, *_ = [stored(store, path) for path in phantom_paths[:4]]
    refuse(database, odd.attributes.sop_instance_uid)
    assert recover(database, store) == 4
    assert indexed(database) == 3
    assert store.unindexed() == []
    with database.read() as tx:
        (aside,) = quarantine.newest(tx)
        (alarm,) = events.open_alarms(tx)
    assert "stored and cannot be indexed" in alarm.reason
    kept = (store.quarantine / aside.refused.key).read_bytes()
    assert kept.endswith(phantom_paths[0].read_bytes()[-1000:]), "nothing is lost"
    assert recover(database, store) == 0


def test_a_database_that_is_away_is_no_reason_to_set_anything_aside(
    store: InstanceStore, phantom_paths: list[Path]
) -> None:
    record = stored(store, phantom_paths[0])
    with pytest.raises(DatabaseUnavailable):
        recover(Away(), store)
    assert [name for name, _ in store.unindexed()] == [record.placement.incoming]
    assert list(store.quarantine.iterdir()) == []


class Away(Database):
    """A database that does not answer."""

    def __init__(self) -> None:
        return

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        raise DatabaseUnavailable("no connection")
        yield


def test_who_asks_after_an_instance_was_stored_finds_it(
    database: Database, store: InstanceStore, phantom_paths: list[Path]
) -> None:
    indexer = Indexer(database, store)
    indexer.start()
    for number, path in enumerate(phantom_paths[:5], 1):
        record = stored(store, path)
        indexer.submit(record)
        indexer.catch_up(record.attributes.study_instance_uid if number % 2 else "")
        assert indexed(database) == number
    indexer.stop()


def test_who_asks_for_another_study_or_an_index_that_is_away_does_not_wait_for_it(
    database: Database,
    store: InstanceStore,
    phantom_paths: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    indexer = Indexer(database, store)  # nobody writes what is submitted
    indexer.submit(stored(store, phantom_paths[0]))
    indexer.catch_up("1.2.3")
    monkeypatch.setattr("node.receive.indexer.CATCH_UP_S", 0.01)
    indexer.catch_up()
    assert indexed(database) == 0
