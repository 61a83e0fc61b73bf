"""Small synthetic series in any orientation, with structures that have no symmetry."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian

from analyzers.contract import Code, Measurement, Segment, Segmentation, Volume
from node.results.modules.source import Provenance
from node.results.series_numbers import SeriesPlace
from node.series.source import Frame, Source

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung")
LIVER = Code("10200004", "SCT", "Liver")
NODULE = Code("27925004", "SCT", "Nodule")
LEFT, RIGHT = Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")
VOLUME, ML = Code("118565006", "SCT", "Volume"), Code("mL", "UCUM", "mL")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
HU, MEAN = Code("[hnsf'U]", "UCUM", "Hounsfield unit"), Code("373098007", "SCT", "Mean")
BLUR = Code("113088", "DCM", "Gaussian blur")

FIRST = SeriesPlace(0, 410)

PROVENANCE = Provenance(
    analyzer="lung_segmentation",
    analyzer_version="1.2.0",
    analyzer_title="Lung segmentation",
    parameters={"threshold_hu": -400, "closing_mm": 5.0},
    device="cuda:1",
    node_version="0.1.0",
    key="ab" * 32,
    started_at=datetime(2026, 11, 23, 8, 15, 30, 250_000, tzinfo=UTC),
)

_TILT = np.deg2rad(20)
ORIENTATIONS: dict[str, list[float]] = {
    "axial": [1, 0, 0, 0, 1, 0],
    "axial, prone": [-1, 0, 0, 0, -1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "sagittal": [0, 1, 0, 0, 0, -1],
    "mirrored rows": [1, 0, 0, 0, -1, 0],
    "oblique": [
        *(float(np.cos(_TILT)), 0.0, -float(np.sin(_TILT))),
        *(float(np.sin(_TILT) * 0.5), float(np.cos(np.pi / 6)), float(np.cos(_TILT) * 0.5)),
    ],
}

SHAPE = (9, 22, 18)


def ct_source(orientation: str = "axial", **attributes: Any) -> Source:
    """A CT series; ``attributes`` replace those of every header, None takes one away."""
    affine = _affine(ORIENTATIONS[orientation])
    headers = tuple(_header(affine, orientation, index) for index in range(SHAPE[0]))
    for header in headers:
        for keyword, value in attributes.items():
            if value is None:
                del header[keyword]
            else:
                setattr(header, keyword, value)
    frames = tuple(Frame(index) for index in range(SHAPE[0]))
    return Source(headers, frames, _volume(affine), "pydicom 3.0.2")


def enhanced_source() -> Source:
    """An Enhanced MR image of which every second frame, backwards, makes the volume."""
    affine = _affine(ORIENTATIONS["axial"])
    header = _header(affine, "axial", 0)
    header.SOPClassUID = EnhancedMRImageStorage
    header.Modality = "MR"
    positions = [affine @ (index, 0, 0, 1) for index in range(SHAPE[0])]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del header[keyword]
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = ORIENTATIONS["axial"]
    measures.PixelSpacing, measures.SliceThickness = [0.8, 1.1], 2.5
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = [
        _placed(positions[SHAPE[0] - 1 - number // 2]) for number in range(2 * SHAPE[0])
    ]
    header.NumberOfFrames = 2 * SHAPE[0]
    frames = tuple(Frame(0, 2 * (SHAPE[0] - 1 - index) + 1) for index in range(SHAPE[0]))
    return Source((header,), frames, _volume(affine))


def labels() -> NDArray[np.uint8]:
    """Structures 2 and 5; no turn or mirror image of them is the same."""
    made = np.zeros(SHAPE, np.uint8)
    made[1:4, 3:9, 2:7] = 2
    made[3, 9:11, 2] = 2
    made[2:8, 12:20, 9:16] = 5
    made[7, 11, 15] = 5
    return made


def lungs() -> Segmentation:
    """Two structures and one between them, the liver, that has no voxel."""
    measured = (Measurement(VOLUME, 1234.56789, ML), Measurement(ATTENUATION, -820.5, HU, MEAN))
    return Segmentation(
        labels(),
        (
            Segment("right_lung", 2, "Right lung", ANATOMY, LUNG, RIGHT, measurements=measured),
            Segment("liver", 3, "Liver", ANATOMY, LIVER),
            Segment("left_lung", 5, "Left lung", ANATOMY, LUNG, LEFT, (80, 160, 230)),
        ),
        "Lungs",
    )


def single() -> Segmentation:
    """One structure."""
    segment = Segment("nodule", 1, "Nodule", ABNORMAL, NODULE, LEFT)
    return Segmentation((labels() == 5).astype(np.uint8), (segment,), "Nodule")


def empty() -> Segmentation:
    """Looked for, not found: no structure has a voxel."""
    return dataclasses.replace(lungs(), labels=np.zeros(SHAPE, np.uint8))


def one_slice(source: Source) -> Source:
    assert source.volume is not None
    volume = dataclasses.replace(
        source.volume,
        stored=source.volume.stored[:1],
        slope=source.volume.slope[:1],
        intercept=source.volume.intercept[:1],
    )
    return Source(source.headers[:1], source.frames[:1], volume)


def _affine(orientation: list[float]) -> NDArray[np.float64]:
    row, column = np.array(orientation, float).reshape(2, 3)
    column = column - row * (row @ column)
    column /= np.linalg.norm(column)
    affine = np.eye(4)
    affine[:3, 0] = np.cross(row, column) * 2.5
    affine[:3, 1], affine[:3, 2] = column * 0.8, row * 1.1
    affine[:3, 3] = (-31.25, 17.5, -204.75)
    return affine


def _volume(affine: NDArray[np.float64]) -> Volume:
    stored = np.random.default_rng(7).integers(0, 2000, SHAPE).astype(np.int16)
    slices = SHAPE[0]
    return Volume(stored, affine, "CT", np.ones(slices), np.full(slices, -1024.0), HU)


def _placed(position: NDArray[np.float64]) -> Dataset:
    frame, plane = Dataset(), Dataset()
    plane.ImagePositionPatient = [f"{value:.10g}" for value in position[:3]]
    frame.PlanePositionSequence = [plane]
    return frame


def _header(affine: NDArray[np.float64], orientation: str, index: int) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, f"2.25.7700{index}"
    header.StudyInstanceUID, header.SeriesInstanceUID = "2.25.71", "2.25.72"
    header.FrameOfReferenceUID = "2.25.73"
    header.Modality, header.SeriesNumber, header.InstanceNumber = "CT", 4, index + 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.PatientName, header.PatientID = "Müller^Jürgen", "4711-0815"
    header.PatientBirthDate, header.PatientSex = "19500101", "M"
    header.StudyDate, header.StudyTime, header.StudyID = "20261122", "101500", "S1"
    header.AccessionNumber, header.ReferringPhysicianName = "ACC77", "Grün^Ärztin"
    header.BodyPartExamined, header.PatientPosition, header.KVP = "CHEST", "HFS", 120
    header.Rows, header.Columns = SHAPE[1:]
    place = affine @ (index, 0, 0, 1)
    row = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    column = affine[:3, 1] / np.linalg.norm(affine[:3, 1])
    header.ImagePositionPatient = [f"{value:.10g}" for value in place[:3]]
    header.ImageOrientationPatient = [f"{value:.10g}" for value in (*row, *column)]
    header.PixelSpacing, header.SliceThickness = [0.8, 1.1], 2.5
    header.RescaleSlope, header.RescaleIntercept = 1, -1024
    header.WindowCenter, header.WindowWidth = -600, 1500
    return header
