"""A node that serves storage commitment, MPPS and availability, and peers that use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from node.config.dimse import DimseSettings
from node.delivery.commitment_reports import CommitmentReporter
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.dimse.scu.sender import Peer, Timeouts, send
from node.dimse.services import offered
from node.dimse.services.availability import INSTANCE_AVAILABILITY
from node.dimse.services.commitment import (
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    WELL_KNOWN_INSTANCE,
    CommitmentService,
)
from node.dimse.services.mpps import MPPS
from node.dimse.services.offered import Means
from storage import index
from storage.database import Database, open_database
from storage.files.archive import Archive
from storage.files.blobs import Files
from storage.files.instances import InstanceStore
from storage.records import InstanceRecord

QUICK = Timeouts(connect_s=2, negotiation_s=3, response_s=3, network_s=3)


@dataclass
class Ward:
    """A receiving node whose clock is set by hand."""

    database: Database
    store: InstanceStore
    server: AssociationServer
    reporter: CommitmentReporter
    service: CommitmentService
    addresses: dict[str, int] = field(default_factory=dict)
    """Ports where requestors take reports, by AE title."""
    passed_s: float = 0.0

    @property
    def now(self) -> datetime:
        return datetime(2030, 5, 4, 12, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def receive(self, paths: Sequence[Path]) -> None:
        outcomes = []
        peer = Peer("ward", "WETREAD", "127.0.0.1", self.server.port, "CT1")
        send(paths, peer, lambda _, result: outcomes.append(result.status), QUICK)
        assert outcomes == [0] * len(paths)

    def damage(self, sop_instance_uid: str) -> None:
        path = self.store.path(self.store.key_of(sop_instance_uid))
        content = bytearray(path.read_bytes())
        content[-1] ^= 0xFF
        path.write_bytes(content)

    def lose(self, sop_instance_uid: str) -> None:
        self.store.path(self.store.key_of(sop_instance_uid)).unlink()


@contextmanager
def running_ward(folder: Path, url: str = "", missing_wait_s: float = 0.0) -> Iterator[Ward]:
    database = open_database(url or f"sqlite:///{folder / 'wetread.db'}")
    store = InstanceStore(folder / "instances", folder / "quarantine")
    made: list[Ward] = []

    def clock() -> datetime:
        return made[0].now if made else datetime(2030, 5, 4, 12, tzinfo=UTC)

    def sink(record: InstanceRecord) -> None:
        with database.write() as tx:
            index.add(tx, [record])
        store.forget_incoming(record.placement.incoming)

    def peer_of(ae_title: str, host: str) -> Peer | None:
        port = made[0].addresses.get(ae_title)
        return Peer(ae_title, ae_title, host, port, "WETREAD") if port else None

    service = CommitmentService(database, clock)
    own = Entity("WETREAD", DimseSettings(port=0, network_timeout_s=60))
    means = Means(database, clock, Archive(store.blobs, store.blobs), own)
    server = AssociationServer(
        own,
        store,
        sink,
        clock=clock,
        services=offered.services(means),
        composites=offered.composites(means),
    )
    reporter = CommitmentReporter(
        database,
        store,
        Files(folder / "results"),
        server.open_associations,
        peer_of,
        clock,
        missing_wait_s,
        QUICK,
    )
    made.append(Ward(database, store, server, reporter, service))
    server.start()
    try:
        yield made[0]
    finally:
        reporter.stopping.set()
        server.drain(0)
        store.ready.forget()  # or their descriptors wait for the garbage collector
        database.close()


@dataclass
class Requestor:
    """A modality that asks for commitment and takes reports, over the same or a new association."""

    ae_title: str = "CT1"
    answer: int = 0x0000
    """The status with which it takes a report."""
    reports: list[tuple[int, Dataset]] = field(default_factory=list)
    """(event type, event information)."""
    port: int = 0

    @contextmanager
    def listening(self) -> Iterator[Requestor]:
        ae = AE(ae_title=self.ae_title)
        ae.add_supported_context(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
        server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[self._handler]
        )
        self.port = int(server.server_address[1])
        try:
            yield self
        finally:
            server.shutdown()

    @contextmanager
    def associated(self, port: int, *sop_classes: str) -> Iterator[Association]:
        ae = AE(ae_title=self.ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
        for sop_class in sop_classes or (STORAGE_COMMITMENT, MPPS, INSTANCE_AVAILABILITY):
            ae.add_requested_context(sop_class)
        roles = [build_role(STORAGE_COMMITMENT, scu_role=True, scp_role=True)]
        association = ae.associate(
            "127.0.0.1", port, ae_title="WETREAD", ext_neg=roles, evt_handlers=[self._handler]
        )
        assert association.is_established
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    @property
    def _handler(self) -> Any:
        def take(event: evt.Event) -> tuple[int, None]:
            self.reports.append((int(event.event_type), event.event_information))
            return self.answer, None

        return (evt.EVT_N_EVENT_REPORT, take)


def ask(
    association: Association, transaction_uid: str, instances: Sequence[Dataset], action: int = 1
) -> Dataset:
    """Request commitment to instances; the answer's status data set."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [item(one) for one in instances]
    status, _ = association.send_n_action(
        information, action, STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE
    )
    return Dataset(status)


def item(instance: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.SOPClassUID
    reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    return reference


assert REQUEST_COMMITMENT == 1
