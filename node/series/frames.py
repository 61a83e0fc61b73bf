"""Reads from a header where each frame lies and what its numbers mean, classic or Enhanced.

Knows PS3.3 C.7.6.2 (single-frame) and the functional groups of C.7.6.16. Decodes no pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.series.geometry import ImagePlane, NoGeometry, NonlinearValues, UnreadableHeader
from node.series.source import Frame

PROJECTIONS = frozenset({"CR", "DX", "RG", "IO", "PX"})
"""Modalities of single radiographs (PS3.3 C.7.3.1.1.1); not mammography, whose views differ."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """How stored numbers become values (PS3.3 C.11.1, C.7.6.16.2.9). None: not given."""

    slope: float | None
    intercept: float | None
    kind: str = ""
    """Rescale Type: HU, US (unspecified) …"""


@dataclass(frozen=True, slots=True)
class PlacedFrame:
    """One frame of one image."""

    frame: Frame
    plane: ImagePlane
    rescale: Rescale


def frames_of(dataset: Dataset, header: int) -> list[PlacedFrame]:
    """All frames of an image, in the order of its pixel data.

    Raises
    ------
    NoGeometry
        Position, orientation or pixel spacing is not given.
    NonlinearValues
        The values come from a Modality LUT.
    UnreadableHeader
        A number is none, or the functional groups are not one a frame.
    """
    if "ModalityLUTSequence" in dataset:
        raise NonlinearValues
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return _enhanced_frames(dataset, header)
    if frame_count(dataset) > 1:
        raise NoGeometry("a multi-frame image without functional groups")
    return [PlacedFrame(Frame(header), _plane([dataset] * 3), _rescale(dataset))]


def is_projection(dataset: Dataset) -> bool:
    """Whether this is a radiograph: one frame of X-ray absorption that has no place in space."""
    return (
        str(dataset.get("Modality") or "") in PROJECTIONS
        and not dataset.get("ImagePositionPatient")
        and frame_count(dataset) == 1
    )


def projected(dataset: Dataset) -> PlacedFrame:
    """A radiograph as the one slice of a volume: only its pixel spacing means anything.

    MONOCHROME1 is turned over, so that higher values are denser everywhere. The spacing is that of
    the anatomy where it was calibrated, else of the detector, else 1 mm (PS3.3 10.7.1.3).

    Raises
    ------
    NonlinearValues, UnreadableHeader
    """
    if "ModalityLUTSequence" in dataset:
        raise NonlinearValues
    rescale = _rescale(dataset)
    if str(dataset.get("PhotometricInterpretation")) == "MONOCHROME1":
        slope, intercept = rescale.slope or 1.0, rescale.intercept or 0.0
        brightest = 2 ** int(dataset.BitsStored) - 1 if dataset.PixelRepresentation == 0 else -1
        rescale = Rescale(-slope, slope * brightest + intercept)
    spacing = (1.0, 1.0)
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if dataset.get(keyword):
            rows, columns = _vector(dataset, keyword, 2)
            spacing = (rows, columns) if min(rows, columns) > 0 else spacing
            break
    plane = ImagePlane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), spacing, 1.0)
    return PlacedFrame(Frame(0), plane, rescale)


def frame_count(dataset: Dataset) -> int:
    """Number of Frames; 1 where it is absent."""
    number = dataset.get("NumberOfFrames")
    return 1 if number in (None, "") else int(_numbers(number, "NumberOfFrames")[0])


def _enhanced_frames(dataset: Dataset, header: int) -> list[PlacedFrame]:
    groups = dataset.PerFrameFunctionalGroupsSequence
    if len(groups) != frame_count(dataset):
        raise UnreadableHeader(f"{len(groups)} functional groups for {frame_count(dataset)} frames")
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    return [_enhanced_frame(own, shared[0], header, i) for i, own in enumerate(groups, start=1)]


def _enhanced_frame(own: Dataset, shared: Dataset, header: int, number: int) -> PlacedFrame:
    def group(keyword: str) -> Dataset:
        """The functional group of this frame, else the one shared by all."""
        items = own.get(keyword) or shared.get(keyword)
        return items[0] if items else Dataset()

    plane = _plane(
        [
            group("PlanePositionSequence"),
            group("PlaneOrientationSequence"),
            group("PixelMeasuresSequence"),
        ]
    )
    return PlacedFrame(
        Frame(header, number), plane, _rescale(group("PixelValueTransformationSequence"))
    )


def _plane(holders: Sequence[Dataset]) -> ImagePlane:
    """``holders`` have the position, the orientation and the pixel measures, in this order."""
    position, orientation, measures = holders
    return ImagePlane(
        position=_vector(position, "ImagePositionPatient", 3),
        orientation=_vector(orientation, "ImageOrientationPatient", 6),
        spacing=_vector(measures, "PixelSpacing", 2),
        thickness_mm=_number(measures, "SliceThickness"),
    )


def _rescale(holder: Dataset) -> Rescale:
    return Rescale(
        slope=_number(holder, "RescaleSlope"),
        intercept=_number(holder, "RescaleIntercept"),
        kind=str(holder.get("RescaleType") or ""),
    )


def _vector(holder: Dataset, keyword: str, length: int) -> tuple[float, ...]:
    value = holder.get(keyword)
    if value is None or value == "":
        raise NoGeometry(f"{keyword} is not given")
    numbers = _numbers(value, keyword)
    if len(numbers) != length:
        raise NoGeometry(f"{keyword} has {len(numbers)} values instead of {length}")
    return numbers


def _number(holder: Dataset, keyword: str) -> float | None:
    value = holder.get(keyword)
    return None if value is None or value == "" else _numbers(value, keyword)[0]


def _numbers(value: Any, keyword: str) -> tuple[float, ...]:
    parts = value if isinstance(value, (MultiValue, list)) else [value]
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise UnreadableHeader(f"{keyword} is not a number") from error
    if not numbers or not np.isfinite(numbers).all():
        raise UnreadableHeader(f"{keyword} is not a finite number")
    return numbers
