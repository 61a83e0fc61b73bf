"""Writes a volume as CT images: single-frame or Enhanced, in any transfer syntax, whole or faulty.

UIDs are derived from what is written, so that the same volume gives the same files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from node.demo.enhanced_ct import enhance

IMPLEMENTATION_UID = uid.UID("2.25.171717202611221942310")
RESCALE_INTERCEPT = -1024


@dataclass(frozen=True, slots=True)
class CtSeries:
    """What the headers say besides geometry. ``study`` tells studies of one patient apart."""

    patient_name: str = "Phantom^Chest"
    patient_id: str = "PHANTOM"
    accession_number: str = "PHANTOM01"
    study: str = "1"
    number: int = 2
    description: str = "CHEST 2.5 LUNG"
    contrast_agent: str = ""
    acquired_at: datetime = datetime(2026, 1, 5, 9, 30)


@dataclass(frozen=True, slots=True)
class CtFiles:
    """How a series is stored, and what is wrong with it. Slices count from 0 along the normal.

    file_order: the order of names in the folder: "slice", "reversed" or "shuffled".
    signed: stored as 16-bit signed HU; otherwise as 12-bit unsigned with an intercept of −1024.
    duplicated: slices that are stored once more, as instances of their own.
    shift_mm: by how much the upper half of the stack is displaced along the normal.
    """

    transfer_syntax: str = uid.ExplicitVRLittleEndian
    multiframe: bool = False
    signed: bool = False
    file_order: str = "slice"
    reversed_numbers: bool = False
    missing: tuple[int, ...] = ()
    duplicated: tuple[int, ...] = ()
    shift_mm: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class CtVolume:
    """What is to be written. ``hu`` is (slice, row, column); ``key`` tells volumes apart."""

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]
    row: tuple[float, ...]
    column: tuple[float, ...]
    patient_position: str
    series: CtSeries
    key: str


def write_ct(volume: CtVolume, folder: Path, files: CtFiles) -> list[Path]:
    """Writes the files and returns their paths in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = [i for i in range(len(volume.hu)) if i not in files.missing]
    slices = sorted([*slices, *files.duplicated])
    if files.multiframe:
        return [_save(_multiframe(volume, files, slices), folder / "image0001.dcm")]
    images = list(_images(volume, files, slices))
    return [
        _save(images[place], folder / f"image{number:04d}.dcm")
        for number, place in enumerate(_file_order(files, len(images)), start=1)
    ]


def stable_uid(*parts: object) -> uid.UID:
    """A UID of the form 2.25.<number> (PS3.5 B.2) that depends on nothing but its parts."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return uid.UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def _file_order(files: CtFiles, count: int) -> Sequence[int]:
    order = np.arange(count)
    if files.file_order == "reversed":
        order = order[::-1]
    if files.file_order == "shuffled":
        order = np.random.default_rng(count).permutation(count)
    return [int(place) for place in order]


# --- headers --------------------------------------------------------------------------------------


def _images(volume: CtVolume, files: CtFiles, slices: Sequence[int]) -> Iterator[Dataset]:
    common = _common(volume, files)
    for place, index in enumerate(slices):
        image = Dataset()
        image.update(common)  # shares the elements: only new ones may be set
        image.file_meta = deepcopy(common.file_meta)
        image.SOPInstanceUID = stable_uid(volume.key, files, "instance", place)
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.InstanceNumber = len(slices) - place if files.reversed_numbers else place + 1
        image.ImagePositionPatient = _position(volume, files, index)
        image.SliceLocation = _ds(image.ImagePositionPatient[2])
        _set_pixels(image, _stored(volume.hu[index], files)[None])
        yield image


def _multiframe(volume: CtVolume, files: CtFiles, slices: Sequence[int]) -> Dataset:
    common = _common(volume, files)
    common.SOPInstanceUID = stable_uid(volume.key, files, "instance", 0)
    common.InstanceNumber = 1
    order = [slices[place] for place in _file_order(files, len(slices))]
    positions = [_position(volume, files, index) for index in order]
    image = enhance(common, positions, IMPLEMENTATION_UID)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    _set_pixels(image, _stored(volume.hu[order], files))
    return image


def _common(volume: CtVolume, files: CtFiles) -> Dataset:
    image = Dataset()
    image.file_meta = _file_meta(files)
    _set_patient_and_study(image, volume)
    _set_series(image, volume, files)
    _set_geometry(image, volume)
    _set_pixel_description(image, volume, files)
    return image


def _file_meta(files: CtFiles) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = uid.CTImageStorage
    meta.TransferSyntaxUID = uid.UID(files.transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "WETREAD_PHANTOM"
    return meta


def _set_patient_and_study(image: Dataset, volume: CtVolume) -> None:
    series = volume.series
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = series.patient_name
    image.PatientID = series.patient_id
    image.PatientBirthDate = ""
    image.PatientSex = "O"
    image.StudyInstanceUID = stable_uid("study", series.patient_id, series.study)
    image.StudyID = series.study
    image.StudyDescription = "Synthetic chest CT"
    image.AccessionNumber = series.accession_number
    image.ReferringPhysicianName = ""
    moment = series.acquired_at
    for what in ("Study", "Series", "Acquisition", "Content"):
        setattr(image, f"{what}Date", moment.strftime("%Y%m%d"))
        setattr(image, f"{what}Time", moment.strftime("%H%M%S"))


def _set_series(image: Dataset, volume: CtVolume, files: CtFiles) -> None:
    series = volume.series
    image.SOPClassUID = uid.CTImageStorage
    image.Modality = "CT"
    image.SeriesInstanceUID = stable_uid(volume.key, files, "series")
    image.SeriesNumber = series.number
    image.SeriesDescription = series.description
    image.ProtocolName = "Chest phantom"
    image.BodyPartExamined = "CHEST"
    image.PatientPosition = volume.patient_position
    image.FrameOfReferenceUID = stable_uid("space", series.patient_id, series.study)
    image.PositionReferenceIndicator = ""
    image.Manufacturer = "Wetread phantom"
    image.ManufacturerModelName = "Chest phantom"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.AcquisitionNumber = 1
    image.KVP = "120"
    image.ConvolutionKernel = "SYNTHETIC"
    if series.contrast_agent:
        image.ContrastBolusAgent = series.contrast_agent


def _set_geometry(image: Dataset, volume: CtVolume) -> None:
    normal = np.cross(volume.row, volume.column)
    step, down, right = volume.affine[:3, :3].T
    image.ImageOrientationPatient = [_ds(cosine) for cosine in (*volume.row, *volume.column)]
    image.PixelSpacing = [_ds(float(np.linalg.norm(side))) for side in (down, right)]
    image.SliceThickness = _ds(abs(float(step @ normal)))
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1, 1))))
    image.GantryDetectorTilt = _ds(tilt if tilt > 1e-3 else 0)


def _position(volume: CtVolume, files: CtFiles, index: int) -> list[str]:
    corner = volume.affine[:3, 3] + index * volume.affine[:3, 0]
    if index >= len(volume.hu) // 2:
        corner = corner + files.shift_mm * np.cross(volume.row, volume.column)
    return [_ds(coordinate) for coordinate in corner]


def _ds(number: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    return f"{float(number) + 0.0:.6f}".rstrip("0").rstrip(".")


# --- pixels ---------------------------------------------------------------------------------------


def _set_pixel_description(image: Dataset, volume: CtVolume, files: CtFiles) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = volume.hu.shape[1:]
    image.BitsAllocated = 16
    image.BitsStored = 16 if files.signed else 12
    image.HighBit = image.BitsStored - 1
    image.PixelRepresentation = int(files.signed)
    image.RescaleIntercept = "0" if files.signed else str(RESCALE_INTERCEPT)
    image.RescaleSlope = "1"
    image.RescaleType = "HU"
    image.WindowCenter = ["-600", "40"]
    image.WindowWidth = ["1500", "400"]


def _stored(hu: NDArray[np.int16], files: CtFiles) -> NDArray[Any]:
    return hu.astype("<i2") if files.signed else (hu - RESCALE_INTERCEPT).astype("<u2")


def _set_pixels(image: Dataset, frames: NDArray[Any]) -> None:
    """Native, or JPEG 2000, which pydicom cannot write; ``_save`` compresses the rest."""
    syntax = image.file_meta.TransferSyntaxUID
    if syntax in uid.JPEG2000TransferSyntaxes:
        image.PixelData = encapsulate([_jpeg_2000(frame, image.BitsStored) for frame in frames])
    else:
        ordered = (
            frames if syntax.is_little_endian else frames.astype(frames.dtype.newbyteorder(">"))
        )
        image.PixelData = ordered.tobytes()
    image["PixelData"].VR = "OB" if syntax in uid.JPEG2000TransferSyntaxes else "OW"


def _jpeg_2000(frame: NDArray[Any], bits_stored: int) -> bytes:
    import imagecodecs

    return bytes(
        imagecodecs.jpeg2k_encode(
            frame, level=0, reversible=True, codecformat="j2k", bitspersample=bits_stored
        )
    )


def _save(image: Dataset, path: Path) -> Path:
    syntax = image.file_meta.TransferSyntaxUID
    if syntax in (uid.RLELossless, uid.JPEGLSLossless):
        image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        image.compress(syntax, generate_instance_uid=False)
    image.save_as(path, enforce_file_format=True)
    return path
