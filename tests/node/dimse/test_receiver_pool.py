"""Several receiver processes behind one port: limits, drain, commitment and crashes across them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pysqlite3 import dbapi2 as sqlite

from node.config.dimse import PeerSettings, TlsSettings
from node.dimse.errors import CannotListen, ListenerEnded, PeerUnavailable
from node.dimse.receivers.places import Places
from node.dimse.receivers.pool import Callbacks, ReceiverPool
from node.dimse.receivers.process import PlaceWanted, ProcessSettings
from node.dimse.scu.answers import SendResult
from node.dimse.scu.sender import Peer, echo, send
from node.dimse.services.event_reports import EventReport
from node.dimse.tls import TlsFiles
from node.dimse.wire import rejections
from node.receive.indexer import recover
from storage import index
from storage.database import Database, open_database
from storage.errors import DatabaseUnavailable
from storage.files.archive import Archive
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord
from tests.certificates import authority
from tests.instances import dataset_bytes, make_dataset, write_instance
from tests.node.dimse.raw_peer import RawPeer, image
from tests.node.dimse.receiving import entity
from tests.node.dimse.retrieving import Requestor
from tests.node.dimse.test_find import ask, associated
from tests.peers import running_pacs
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)

COMMITMENT = "1.2.840.10008.1.20.1"


@dataclass
class Node:
    """What a node does with a pool, without an index queue."""

    pool: ReceiverPool
    store: InstanceStore
    database: Database
    records: list[InstanceRecord] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    away: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def peer(self) -> Peer:
        return Peer("node", "WETREAD", "127.0.0.1", self.pool.port, calling_ae="CT1")

    def take(self, record: InstanceRecord) -> None:
        self.gate.wait()
        if self.away.is_set():
            raise DatabaseUnavailable("away")
        with self.database.write() as tx:
            index.add(tx, [record])
        self.records.append(record)

    def process_ids(self) -> list[int]:
        return [one.life.process.pid for one in self.pool._receivers]

    def indexed(self) -> set[str]:
        with self.database.read() as tx:
            studies = index.list_studies(tx)
            series = [one for study in studies for one in index.series_of(tx, study.id)]
        return {one.sop_instance_uid for each in series for one in each.instances}


def no_log(name: str) -> None:
    """In place of the node's log."""


@contextmanager
def running(folder: Path, processes: int = 2, **settings: Any) -> Iterator[Node]:
    url = f"sqlite:///{folder / 'index.db'}"
    own = entity(**({"network_timeout_s": 20} | settings))
    store = InstanceStore(folder / "instances", folder / "quarantine")
    database = open_database(url)
    archive = Archive(store.blobs, store.blobs)
    pool = ReceiverPool(
        processes,
        lambda name: ProcessSettings(
            name, own, store.root, store.quarantine, True, url, archive, no_log
        ),
        own,
        Callbacks(
            store=lambda record: node.take(record),
            quarantined=lambda refused: None,
            wake_reporter=lambda: None,
            recover=lambda name: recover(database, store, name),
            fault=lambda reason: node.faults.append(reason),
        ),
    )
    node = Node(pool, store, database)
    node.gate.set()
    try:
        pool.start()
        yield node
    finally:
        pool.drain(0)
        database.close()


def test_every_receiver_process_answers_retrieves(tmp_path: Path, images: list[Path]) -> None:
    study = str(make_dataset(1).StudyInstanceUID)
    with running_pacs() as pacs:
        destination = PeerSettings(ae_title="DEST", host="127.0.0.1", port=pacs.port)
        with running(tmp_path, peers=(destination,)) as node:
            send(images[:3], node.peer, lambda _, result: None)
            until(lambda: len(node.indexed()) == 3)
            for _ in range(4):
                asker = Requestor()
                assert asker.get(node.peer.port, StudyInstanceUID=study)[-1].completed == 3
                assert len(asker.received) == 3
            assert asker.move(node.peer.port, "DEST", StudyInstanceUID=study)[-1].completed == 3
            assert len(pacs.received) == 3


def test_every_receiver_process_answers_queries(tmp_path: Path, images: list[Path]) -> None:
    with running(tmp_path) as node:
        send(images[:3], node.peer, lambda _, result: None)
        until(lambda: len(node.indexed()) == 3)
        for _ in range(4):
            with associated(node.peer.port) as association:
                found = ask(association, "IMAGE", PatientID="SECRET*", SOPInstanceUID="")
            assert {str(one.SOPInstanceUID) for one in found.answers} == node.indexed()


def test_what_four_modalities_send_at_once_is_stored_and_told_byte_for_byte(
    tmp_path: Path,
) -> None:
    sets = [
        [
            write_instance(tmp_path / f"{who}-{one}.dcm", make_dataset(100 * who + one))
            for one in range(1, 11)
        ]
        for who in range(1, 5)
    ]
    stored: list[SendResult] = []
    with running(tmp_path) as node:
        threads = [
            threading.Thread(
                target=send, args=(paths, node.peer, lambda _, result: stored.append(result))
            )
            for paths in sets
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [one.status for one in stored] == [0] * 40
        until(lambda: node.pool.open_studies() == set() and node.pool.counts() == (40, 0))
        sent = {dataset_bytes(path) for paths in sets for path in paths}
        assert {dataset_bytes(node.store.path(one.placement.key)) for one in node.records} == sent
        assert {one.placement.incoming.partition("/")[0] for one in node.records} <= {
            "receiver1",
            "receiver2",
        }


def test_limits_hold_for_all_processes_together(tmp_path: Path) -> None:
    with running(tmp_path, max_associations=3) as node:
        peers = [RawPeer(node.pool.port) for _ in range(6)]
        try:
            for peer in peers[:3]:
                peer.associate()
            refused = rejections.LIMIT_EXCEEDED
            for peer in peers[3:5]:
                assert peer.rejection() == (refused.result, refused.source, refused.diagnostic)
            assert peers[0].store(image(b"1.2.3.4", b"1.2.3"), b"1.2.3.4") == 0
            until(lambda: node.pool.open_studies() == {"1.2.3"})
            until(lambda: len(node.pool.associations()) == 3)
            peers[0].__exit__(None, None, None)
            until(lambda: node.pool.open_studies() == set())
            peers[5].associate()
        finally:
            for peer in peers[1:]:
                peer.__exit__(None, None, None)


def test_a_process_that_is_killed_loses_nothing_and_comes_back(tmp_path: Path) -> None:
    paths = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in range(1, 61)]
    acknowledged: set[int] = set()

    def note(number: int, result: SendResult) -> None:
        if result.status == 0:
            acknowledged.add(number)
        if len(acknowledged) == 20:
            for process_id in node.process_ids():
                os.kill(process_id, signal.SIGKILL)

    with running(tmp_path) as node:
        before = node.process_ids()
        node.gate.clear()  # so that what was acknowledged waits on its way to the index
        with pytest.raises(PeerUnavailable):
            send(paths, node.peer, note)
        assert node.indexed() == set()
        node.gate.set()
        until(lambda: not set(node.process_ids()) & set(before) and _answers(node.peer))
        uids = {make_dataset(number + 1).SOPInstanceUID for number in acknowledged}
        assert len(uids) >= 20
        until(lambda: uids <= node.indexed())
        assert any("ended" in fault for fault in node.faults)
        again: dict[int, SendResult] = {}
        send(paths, node.peer, again.__setitem__)
        assert {one.status for one in again.values()} == {0}
        until(lambda: len(node.indexed()) == len(paths))


def test_one_that_dies_while_the_database_is_locked_is_started_again_at_once(
    tmp_path: Path,
) -> None:
    paths = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in (1, 2)]
    with running(tmp_path) as node:
        assert _status(paths[0], node.peer) == 0
        until(lambda: node.indexed())
        lock = sqlite.connect(tmp_path / "index.db", isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
            before = node.process_ids()
            for process_id in before:
                os.kill(process_id, signal.SIGKILL)
            until(lambda: not set(node.process_ids()) & set(before))
            until(lambda: all(one.is_alive() for one in node.pool._receivers))
            assert _answers(node.peer)
            assert _status(paths[1], node.peer) == 0
            node.pool.prove()
        finally:
            lock.close()
        until(lambda: make_dataset(2).SOPInstanceUID in node.indexed())


def test_one_that_cannot_start_again_is_tried_until_it_can(tmp_path: Path) -> None:
    with running(tmp_path, processes=1) as node:
        kept, aside = node.store.incoming, tmp_path / "aside"
        kept.rename(aside)
        kept.write_bytes(b"no folder")
        os.kill(node.process_ids()[0], signal.SIGKILL)
        until(lambda: sum("started again (Store" in fault for fault in node.faults) >= 2)
        with pytest.raises(ListenerEnded, match="receiver1"):
            node.pool.prove()
        kept.unlink()
        aside.rename(kept)
        until(lambda: _answers(node.peer))


def test_a_dead_receivers_places_are_free_at_once_and_its_studies_open_until_they_are_indexed() -> (
    None
):
    places = Places(1, 0)
    first, second = (PlaceWanted(name, "CT", "10.0.0.1", False) for name in ("one", "two"))
    assert places.take("receiver1", first) is None
    places.touch("one", "1.2.3")
    assert places.take("receiver2", second) is rejections.LIMIT_EXCEEDED
    places.end_all("receiver1")
    assert places.take("receiver2", second) is None
    assert places.studies() == {"1.2.3"}
    assert places.receiver_of("one") == "" and places.of_peer("CT", "10.0.0.1") == ["two"]
    places.leave_all("receiver1")
    assert places.studies() == set()


def _answers(peer: Peer) -> bool:
    try:
        echo(peer)
    except PeerUnavailable:
        return False
    return True


def test_while_the_index_is_away_senders_are_asked_to_try_again(tmp_path: Path) -> None:
    paths = [write_instance(tmp_path / f"{n}.dcm", make_dataset(n)) for n in range(1, 4)]
    with running(tmp_path) as node:
        node.away.set()
        first: dict[int, SendResult] = {}
        send(paths[:1], node.peer, first.__setitem__)
        assert first[0].status == 0  # it is durable, and the index will have it
        until(lambda: _status(paths[1], node.peer) == 0xA700)
        node.away.clear()
        until(lambda: _status(paths[2], node.peer) == 0)
        until(lambda: make_dataset(1).SOPInstanceUID in node.indexed())


def _status(path: Path, peer: Peer) -> int:
    results: dict[int, SendResult] = {}
    send([path], peer, results.__setitem__)
    return int(results[0].status or 0)


def test_a_report_to_an_association_that_is_over_says_so(tmp_path: Path) -> None:
    with running(tmp_path, processes=1) as node:
        there = node.pool.open_associations
        with RawPeer(node.pool.port) as peer:
            peer.associate()
            (name,) = until(lambda: list(node.pool.places._taken))
            assert there.is_open(name)
            report = EventReport(COMMITMENT, f"{COMMITMENT}.1", 1, Dataset())
            with pytest.raises(PeerUnavailable, match="no presentation context"):
                there.report(name, report, 5)
        until(lambda: not there.is_open(name))
        with pytest.raises(PeerUnavailable, match="over"):
            there.report(name, report, 5)


def test_images_arrive_over_tls(tmp_path: Path) -> None:
    hospital = authority(tmp_path / "hospital")
    own = hospital.issue("node")
    path = write_instance(tmp_path / "1.dcm", make_dataset(1))
    settings = TlsSettings(certificate=own.certificate, key=own.key, port=0, only=True)
    with running(tmp_path / "node", tls=settings) as node:
        files = TlsFiles(ca=hospital.ca)
        peer = Peer("node", "WETREAD", "127.0.0.1", node.pool.tls_port, "CT1", files)
        assert _status(path, peer) == 0
        until(lambda: node.indexed() == {make_dataset(1).SOPInstanceUID})
        with pytest.raises(PeerUnavailable):
            echo(node.peer)  # plain


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as node:
        taken = entity(ae_title="OTHER", port=node.pool.port)
        other = ReceiverPool(2, lambda name: node.pool._receivers[0]._settings, taken, None)  # type: ignore[arg-type]
        with pytest.raises(CannotListen, match="another program has the port"):
            other.start()
