"""A receiving node with a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.config.dimse import DimseSettings
from node.dimse.association.server import AssociationServer
from node.dimse.entity import Entity
from node.dimse.services.requests import Service
from node.dimse.session import Session
from node.dimse.wire.rejections import Rejection
from storage.files.instances import InstanceStore
from storage.quarantine import Refused
from storage.records import InstanceRecord
from tests.instances import dataset_bytes


@dataclass
class Node:
    """An association server that keeps what it gets."""

    server: AssociationServer
    store: InstanceStore
    records: list[InstanceRecord]
    quarantined: list[Refused]
    released: list[frozenset[str]]
    sink: list[Callable[[InstanceRecord], None]] = field(default_factory=list)
    """One function that stands before the sink, where a test puts one."""

    def dataset_bytes(self, record: InstanceRecord) -> bytes:
        return dataset_bytes(self.store.path(record.placement.key))

    @property
    def port(self) -> int:
        return self.server.port


def entity(**given: Any) -> Entity:
    """Of keys of [dimse] and of what stands beside that table."""
    besides = {"ae_title", "peers", "min_free_mb", "probe_ae_title", "query"}
    table = {"port": 0, "network_timeout_s": 10, "max_associations_per_peer": 0}
    table |= {key: value for key, value in given.items() if key not in besides}
    beside = {"ae_title": "WETREAD"} | {key: given[key] for key in besides & given.keys()}
    return Entity(dimse=DimseSettings(**table), **beside)


class _Overseer:
    """Lets everybody in, and notes the studies of associations that are over."""

    def __init__(self, released: list[frozenset[str]]) -> None:
        self._released = released

    def take_place(self, session: Session) -> Rejection | None:
        return None

    def touched(self, session: Session, study_instance_uid: str) -> None:
        return

    def left(self, session: Session) -> None:
        if session.studies():
            self._released.append(session.studies())


@contextmanager
def running_node(folder: Path, services: Sequence[Service] = (), **settings: Any) -> Iterator[Node]:
    store = InstanceStore(folder / "instances", folder / "quarantine")
    records: list[InstanceRecord] = []
    hooks: list[Callable[[InstanceRecord], None]] = []

    def sink(record: InstanceRecord) -> None:
        for hook in hooks:
            hook(record)
        if record.placement.incoming:  # empty where the same bytes were there already
            store.forget_incoming(record.placement.incoming)
        records.append(record)

    quarantined: list[Refused] = []
    released: list[frozenset[str]] = []
    server = AssociationServer(
        entity(**settings),
        store,
        sink,
        on_quarantined=quarantined.append,
        services=services,
        overseer=_Overseer(released),
    )
    server.start()
    try:
        yield Node(server, store, records, quarantined, released, hooks)
    finally:
        server.drain(0)
        store.ready.forget()  # or their descriptors wait for the garbage collector
