"""A node that holds instances and lets them be retrieved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from node.audit.trail import NO_TRAIL, Trail
from node.clock import system_clock
from node.config.dimse import PeerSettings
from node.dimse.association.server import AssociationServer
from node.dimse.scu.sender import Peer, send
from node.dimse.services.offered import Means, composites
from storage import index
from storage.database import Database, open_database
from storage.files.archive import Archive
from storage.files.instances import InstanceStore
from storage.files.results import ResultStore
from storage.header.reading import read_attributes
from storage.holdings import Selection, select
from storage.kinds import ObjectKind
from storage.records import InstanceRecord, ResultObject
from tests.instances import write_instance
from tests.node.dimse.receiving import entity


@dataclass
class Holder:
    """A running server with its index."""

    server: AssociationServer
    database: Database
    store: InstanceStore
    results: ResultStore

    @property
    def port(self) -> int:
        return self.server.port

    def put(self, paths: Sequence[Path]) -> None:
        """Store files by C-STORE, and wait until the index has them."""
        refused: list[str] = []
        peer = Peer("holder", "WETREAD", "127.0.0.1", self.port, "FILLER")
        send(
            paths, peer, lambda _, result: None if result.is_stored else refused.append(str(result))
        )
        assert not refused

    def put_result(self, dataset: Dataset) -> None:
        """Enter an object as the node's own, of the study that it holds already."""
        path = self.results.path("job/made.dcm")
        with self.results.job("job").making():
            write_instance(path, dataset)
        made = ResultObject(
            str(dataset.SOPInstanceUID),
            str(dataset.SOPClassUID),
            str(dataset.SeriesInstanceUID),
            str(dataset.file_meta.TransferSyntaxUID),
            ObjectKind.IMAGE,
            "job/made.dcm",
            path.stat().st_size,
            "f" * 64,
            read_attributes(path),
        )
        with self.database.write() as tx:
            (study,) = index.list_studies(tx)
            index.add_own(tx, study.id, [made], datetime.now(UTC))

    def path_of(self, sop_instance_uid: str) -> Path:
        """Where an instance lies."""
        with self.database.read() as tx:
            (held,) = select(tx, Selection(sop_uids=(sop_instance_uid,)))
        return self.store.path(held.key)


@contextmanager
def running_holder(
    folder: Path,
    destinations: dict[str, int] | None = None,
    trail: Trail = NO_TRAIL,
    **settings: Any,
) -> Iterator[Holder]:
    """``destinations``: ports of this machine, by the AE titles that C-MOVE names."""
    store = InstanceStore(folder / "instances", folder / "quarantine")
    results = ResultStore(folder / "results", folder / "quarantine")
    database = open_database(f"sqlite:///{folder / 'index.db'}")
    peers = [
        PeerSettings(ae_title=title, host="127.0.0.1", port=port)
        for title, port in (destinations or {}).items()
    ]
    own = entity(**({"peers": tuple(peers)} | settings))

    def sink(record: InstanceRecord) -> None:
        with database.write() as tx:
            index.add(tx, [record])
        if record.placement.incoming:
            store.forget_incoming(record.placement.incoming)

    archive = Archive(store.blobs, results.blobs)
    means = Means(database, system_clock, archive, own)
    server = AssociationServer(own, store, sink, composites=composites(means), trail=trail)
    server.start()
    try:
        yield Holder(server, database, store, results)
    finally:
        server.drain(0)
        store.ready.forget()
        database.close()
