"""As much of a node as fetches: database, store, index, listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.clock import system_clock
from node.config.dimse import DimseSettings
from node.dimse.association.server import AssociationServer, Entity
from node.dimse.scu.sender import Peer, Timeouts
from node.fetch.arrivals import Arrivals
from node.fetch.dimse_source import DimseSource
from node.fetch.fetching import Fetching
from node.fetch.source import Source
from node.receive.indexer import Indexer
from node.receive.reception import Receiver
from storage import fetches, index
from storage.database import Database, open_database
from storage.fetches import Fetch, FetchedStudy, NewFetch, Wanted
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord

QUICK = Timeouts(connect_s=2, negotiation_s=5, response_s=5, network_s=5)


@dataclass
class Ward:
    database: Database
    store: InstanceStore
    indexer: Indexer
    arrivals: Arrivals
    server: AssociationServer
    receiver: Receiver

    def dimse(self, peer: Peer, timeouts: Timeouts = QUICK) -> DimseSource:
        return DimseSource(peer, "WETREAD", self.receiver, timeouts)

    def ask(self, source: str, analyzer: str = "", **wanted: object) -> int:
        new = NewFetch(source, Wanted(**wanted), "a test", analyzer)  # type: ignore[arg-type]
        with self.database.write() as tx:
            return fetches.ask(tx, new, system_clock())

    def fetching(self, source: Source) -> Fetching:
        return Fetching(source, self.database, self.arrivals, system_clock)

    def fetched(self, source: Source, analyzer: str = "", **wanted: object) -> Fetch:
        """Ask for something, and carry it out."""
        number = self.ask(source.name, analyzer, **wanted)
        assert self.fetching(source).step()
        return self.look(number)

    def look(self, number: int) -> Fetch:
        with self.database.read() as tx:
            return fetches.get(tx, number)

    def studies(self, number: int) -> list[FetchedStudy]:
        with self.database.read() as tx:
            return fetches.studies_of(tx, number)

    def instances(self) -> int:
        with self.database.read() as tx:
            return sum(one.instances for one in index.list_studies(tx))


@contextmanager
def running_ward(folder: Path, url: str = "") -> Iterator[Ward]:
    database = open_database(url or f"sqlite:///{folder / 'wetread.db'}")
    store = InstanceStore(folder / "instances", folder / "quarantine")
    indexer, arrivals = Indexer(database, store), Arrivals()

    def take(record: InstanceRecord) -> None:
        indexer.submit(record)
        arrivals.note(record)

    settings = DimseSettings(port=0, network_timeout_s=60)
    server = AssociationServer(Entity("WETREAD", settings), store, take)
    receiver = Receiver(store, take, lambda refused: None, system_clock)
    indexer.start()
    server.start()
    try:
        yield Ward(database, store, indexer, arrivals, server, receiver)
    finally:
        server.drain(0)
        indexer.stop()
        store.ready.forget()
        database.close()
