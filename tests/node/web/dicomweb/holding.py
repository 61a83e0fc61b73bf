"""Instances that a site holds."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from storage import index
from storage.files.blobs import Files
from storage.header.reading import read_attributes
from storage.records import InstanceRecord, Placement, PutOutcome
from tests.instances import write_instance
from tests.node.web.sites import Site

RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hold(site: Site, dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> Path:
    """Store an instance and enter it into the index; gives its file."""
    folder = _folder(site)
    folder.mkdir(exist_ok=True)
    path = folder / f"{len(list(folder.iterdir()))}.dcm"
    write_instance(path, dataset, transfer_syntax)
    enter(site, path)
    return path


def enter(site: Site, path: Path) -> None:
    """Enter a file that lies in the site's store into the index."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    placed = Placement(PutOutcome.NEW, path.name, path.stat().st_size, digest, "")
    record = InstanceRecord(read_attributes(path), placed, RECEIVED, "CT1")
    with site.database.write() as tx:
        index.add(tx, [record])


def take(site: Site, path: Path) -> Path:
    """Hold a copy of a file as it is."""
    folder = _folder(site)
    folder.mkdir(exist_ok=True)
    copy = folder / f"{len(list(folder.iterdir()))}.dcm"
    copy.write_bytes(path.read_bytes())
    enter(site, copy)
    return copy


def url(dataset: Dataset, below: str = "") -> str:
    """Of an instance."""
    return (
        f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}{below}"
    )


def series_url(dataset: Dataset) -> str:
    return f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"


def study_url(dataset: Dataset) -> str:
    return f"/dicom-web/studies/{dataset.StudyInstanceUID}"


def _folder(site: Site) -> Path:
    store = site.archive.instances
    assert isinstance(store, Files)
    return store.root
