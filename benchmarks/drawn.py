"""Images and structures made for measurements, of what this and an earlier checkout both have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from analyzers.contract import Code, Segment, Segmentation

if TYPE_CHECKING:
    from node.series.source import Source

PIXELS = 512
RADIOGRAPH = (2500, 2048)
ORGAN, LUNG = Code("91723000", "SCT", "Anatomical Structure"), Code("39607008", "SCT", "Lung")


def ellipsoids(source: Source, structures: int, share: float) -> Segmentation:
    """So many structures, each through a share of the slices; no two share a voxel."""
    assert source.volume is not None
    shape = source.volume.shape
    labels: NDArray[np.uint8] = np.zeros(shape, np.uint8)
    random = np.random.default_rng(structures)
    radius = 200 if structures == 1 else 300 / structures**0.5
    half = shape[0] * share / 2 + 1
    for number in range(1, structures + 1):
        row, column = (256, 256) if structures == 1 else random.integers(80, 432, 2)
        middle = shape[0] / 2 if share == 1 else random.uniform(half, shape[0] - half)
        for index in range(max(int(middle - half), 0), min(int(middle + half) + 1, shape[0])):
            left = 1 - ((index - middle) / (half + 1)) ** 2
            _disc(labels[index], row, column, radius * max(left, 0) ** 0.5, number)
    described = tuple(
        Segment(f"part_{number}", number, f"Part {number}", ORGAN, LUNG)
        for number in range(1, structures + 1)
    )
    return Segmentation(labels, described, "Parts")


def _disc(plane: NDArray[np.uint8], row: float, column: float, radius: float, number: int) -> None:
    rows, columns = np.ogrid[: plane.shape[0], : plane.shape[1]]
    plane[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number


# --- images ---------------------------------------------------------------------------------------


def write_ct(folder: Path, slices: int) -> None:
    """A CT of noise."""
    folder.mkdir()
    for index, image in enumerate(ct(slices)):
        image.save_as(folder / f"{index:04d}.dcm", enforce_file_format=True)


def ct(slices: int) -> Iterator[Dataset]:
    """The images of a study of its own."""
    for image in stack(CTImageStorage, "CT", slices, PIXELS):
        image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, -1024, "HU"
        yield image


def stack(sop_class: UID, modality: str, slices: int, size: int) -> Iterator[Dataset]:
    """Slices of noise, as a study of their own."""
    pixels = _noise((size, size))
    study, series, frame_of_reference = (generate_uid() for _ in range(3))
    for index in range(slices):
        image = _image(sop_class, modality, study, series)
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = frame_of_reference, ""
        image.InstanceNumber = index + 1
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImagePositionPatient = _position(index)
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [0.7, 0.7], 1.25
        _add_pixels(image, pixels)
        yield image


def radiograph(shape: tuple[int, int] = RADIOGRAPH) -> Dataset:
    """A DX image of noise, as a study of its own."""
    image = _image(DigitalXRayImageStorageForPresentation, "DX", generate_uid(), generate_uid())
    image.ImageType = ["ORIGINAL", "PRIMARY", ""]
    image.InstanceNumber, image.PatientOrientation = 1, ["L", "F"]
    image.BodyPartExamined, image.ViewPosition = "CHEST", "PA"
    image.PresentationIntentType, image.PresentationLUTShape = "FOR PRESENTATION", "IDENTITY"
    image.ImagerPixelSpacing = [0.14, 0.14]
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "US"
    _add_pixels(image, _noise(shape))
    return image


def enhanced(frames: int) -> Dataset:
    """A CT of noise as one multi-frame image."""
    image = _image(EnhancedCTImageStorage, "CT", generate_uid(), generate_uid())
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = generate_uid(), ""
    image.InstanceNumber, image.NumberOfFrames = 1, frames
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.SharedFunctionalGroupsSequence = [
        _of(
            PixelMeasuresSequence=[_of(PixelSpacing=[0.7, 0.7], SliceThickness=1.25)],
            PlaneOrientationSequence=[_of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelValueTransformationSequence=[
                _of(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
            ],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        _of(PlanePositionSequence=[_of(ImagePositionPatient=_position(index))])
        for index in range(frames)
    ]
    _add_pixels(image, _noise((PIXELS, PIXELS)), frames)
    return image


def _image(sop_class: UID, modality: str, study: UID, series: UID) -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = sop_class, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, series
    image.Modality, image.SeriesNumber = modality, 4
    image.PatientName, image.PatientID = "Bench^Mark", "1"
    image.PatientBirthDate, image.PatientSex = "19500101", "O"
    image.StudyDate, image.StudyTime, image.StudyID = "20260101", "101500", "1"
    image.AccessionNumber = image.ReferringPhysicianName = ""
    return image


def _add_pixels(image: Dataset, pixels: NDArray[np.int16], frames: int = 1) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 1
    image.PixelData = pixels.tobytes() * frames


def _noise(shape: tuple[int, int]) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(0, 2000, shape, np.int16)


def _position(index: int) -> list[float]:
    return [-180, -170, round(index * 1.25 - 250, 2)]


def _of(**elements: object) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made
