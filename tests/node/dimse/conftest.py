"""A receiving node with a real store, and instances to send to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom.dsutils import split_dataset

from node.dimse import library
from node.dimse.server import AssociationServer, DimseSettings
from storage.instances import InstanceStore
from storage.records import InstanceRecord


@pytest.fixture(autouse=True)
def _prepared_libraries() -> None:
    library.prepare()


@dataclass
class Quarantined:
    key: str
    reason: str
    calling_ae: str


@dataclass
class Node:
    """An association server that keeps what it gets."""

    server: AssociationServer
    store: InstanceStore
    records: list[InstanceRecord]
    quarantined: list[Quarantined]
    released: list[frozenset[str]]
    sink: list[Callable[[InstanceRecord], None]] = field(default_factory=list)
    """One function that stands before the sink, where a test puts one."""

    @property
    def port(self) -> int:
        return self.server.port

    def dataset_bytes(self, record: InstanceRecord) -> bytes:
        return dataset_bytes(self.store.path(record.placement.key))


def dataset_bytes(path: Path) -> bytes:
    """What follows the file meta information."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]


@contextmanager
def running_node(folder: Path, **settings: Any) -> Iterator[Node]:
    store = InstanceStore(folder / "instances", folder / "quarantine")
    records: list[InstanceRecord] = []
    hooks: list[Callable[[InstanceRecord], None]] = []

    def sink(record: InstanceRecord) -> None:
        for hook in hooks:
            hook(record)
        store.forget_incoming(record.placement.incoming)
        records.append(record)

    quarantined: list[Quarantined] = []
    released: list[frozenset[str]] = []
    defaults: dict[str, Any] = {"ae_title": "WETREAD", "port": 0, "network_timeout_s": 10}
    server = AssociationServer(
        DimseSettings(**(defaults | settings)),
        store,
        sink,
        on_released=released.append,
        on_quarantined=lambda *facts: quarantined.append(Quarantined(*facts)),
    )
    server.start()
    try:
        yield Node(server, store, records, quarantined, released, hooks)
    finally:
        server.drain(0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running_node(tmp_path / "node") as one:
        yield one


def make_dataset(seed: int = 1, rows: int = 64, **attributes: Any) -> Dataset:
    """A CT image with seeded pixels and UIDs, and a private element."""
    chance = np.random.default_rng(seed)
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _uid("instance", seed)
    dataset.StudyInstanceUID = _uid("study", 0)
    dataset.SeriesInstanceUID = _uid("series", 0)
    dataset.Modality = "CT"
    dataset.PatientName = "Secret^Name"
    dataset.PatientID = "SECRET-ID"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = seed
    block = dataset.private_block(0x0009, "WETREAD TEST", create=True)
    block.add_new(0x01, "LO", "private")
    dataset.Rows = dataset.Columns = rows
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = chance.integers(0, 4096, (rows, rows), dtype=np.uint16).tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _uid(kind: str, number: int) -> str:
    return str(generate_uid(entropy_srcs=["wetread tests", kind, str(number)]))


def write_instance(
    path: Path, dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian
) -> Path:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Five CT images of one series."""
    folder = tmp_path / "images"
    folder.mkdir()
    return [write_instance(folder / f"{n}.dcm", make_dataset(n)) for n in range(1, 6)]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
