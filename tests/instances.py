"""Instances made for tests: small CT images with seeded pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom.dsutils import split_dataset

from storage.files.instances import InstanceStore


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


def dataset_bytes(path: Path) -> bytes:
    """What follows the file meta information."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]


def incoming(store: InstanceStore) -> list[str]:
    """Names of what was received into; of the files that are ready for the next, none."""
    files = [path for path in store.incoming.iterdir() if path.is_file()]
    return sorted(path.name for path in files if path.stat().st_size)
