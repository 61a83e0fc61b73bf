"""Bodies of STOW-RS requests, as clients make them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

BOUNDARY = "0f8fad5b-d9cb-469f-a165-70867728950e"
MULTIPART = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def file_of(dataset: Dataset, **meta: Any) -> bytes:
    """As a file of PS3.10; ``meta`` stands in its file meta information."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    for keyword, value in meta.items():
        setattr(dataset.file_meta, keyword, value)
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=not meta, implicit_vr=False, little_endian=True)
    return buffer.getvalue() if not meta else bytes(128) + b"DICM" + buffer.getvalue()


def multipart(*files: bytes, boundary: str = BOUNDARY, content_type: str = "") -> bytes:
    kind = content_type or "application/dicom"
    head = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"\r\n".join([*(head + file for file in files), f"--{boundary}--\r\n".encode()])
