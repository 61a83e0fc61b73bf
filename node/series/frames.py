"""Reads from a header where each frame lies and what its numbers mean, classic or Enhanced.

Knows PS3.3 C.7.6.2 (single-frame) and the functional groups of C.7.6.16. Decodes no pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.series.geometry import ImagePlane, NoGeometry, NonlinearValues, UnreadableHeader
from node.series.source import Frame
from storage.header import values
from storage.header.values import Unknown

PROJECTIONS = frozenset({"CR", "DX", "RG", "IO", "PX"})
"""Modalities of single radiographs (PS3.3 C.7.3.1.1.1); not mammography, whose views differ."""

MOST_RESCALE = 1e25
"""Beyond it, or below its inverse, values overflow single precision or become 0."""


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
        values.text(dataset, "Modality") in PROJECTIONS
        and values.value(dataset, "ImagePositionPatient") is None
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
    if values.text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        slope = 1.0 if rescale.slope is None else rescale.slope
        intercept = rescale.intercept or 0.0
        brightest = 2 ** int(dataset.BitsStored) - 1 if dataset.PixelRepresentation == 0 else -1
        rescale = Rescale(-slope, slope * brightest + intercept)
    spacing = (1.0, 1.0)
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if values.value(dataset, keyword) is not None:
            rows, columns = _vector(dataset, keyword, 2)
            spacing = (rows, columns) if min(rows, columns) > 0 else spacing
            break
    plane = ImagePlane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), spacing, 1.0)
    return PlacedFrame(Frame(0), plane, rescale)


def frame_count(dataset: Dataset) -> int:
    """Number of Frames; 1 where it is absent."""
    number = values.whole(dataset, "NumberOfFrames")
    if isinstance(number, Unknown):
        if number.is_given:
            raise UnreadableHeader(f"NumberOfFrames {number.problem}")
        return 1
    if number < 1:
        raise UnreadableHeader("NumberOfFrames is less than 1")
    return number


def _enhanced_frames(dataset: Dataset, header: int) -> list[PlacedFrame]:
    groups = values.items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(groups) != frame_count(dataset):
        raise UnreadableHeader(f"{len(groups)} functional groups for {frame_count(dataset)} frames")
    shared = values.item(dataset, "SharedFunctionalGroupsSequence")
    return [_enhanced_frame(own, shared, header, i) for i, own in enumerate(groups, start=1)]


def _enhanced_frame(own: Dataset, shared: Dataset, header: int, number: int) -> PlacedFrame:
    def group(keyword: str) -> Dataset:
        """The functional group of this frame, else the one shared by all."""
        return values.item(own if values.items(own, keyword) else shared, keyword)

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
        thickness_mm=values.known(values.number(measures, "SliceThickness")),
    )


def _rescale(holder: Dataset) -> Rescale:
    slope, intercept = _number(holder, "RescaleSlope"), _number(holder, "RescaleIntercept")
    if slope == 0:
        raise UnreadableHeader("RescaleSlope is 0")
    if slope is not None and not 1 / MOST_RESCALE <= abs(slope) <= MOST_RESCALE:
        raise UnreadableHeader("RescaleSlope is out of all proportion")
    if intercept is not None and abs(intercept) > MOST_RESCALE:
        raise UnreadableHeader("RescaleIntercept is out of all proportion")
    return Rescale(
        slope=slope,
        intercept=intercept,
        kind=values.text(holder, "RescaleType").upper(),
    )


def _vector(holder: Dataset, keyword: str, length: int) -> tuple[float, ...]:
    numbers = values.numbers(holder, keyword)
    if isinstance(numbers, Unknown):
        if numbers.is_given:
            raise UnreadableHeader(f"{keyword} {numbers.problem}")
        raise NoGeometry(f"{keyword} is not given")
    if len(numbers) != length:
        raise NoGeometry(f"{keyword} has {len(numbers)} values instead of {length}")
    return numbers


def _number(holder: Dataset, keyword: str) -> float | None:
    number = values.number(holder, keyword)
    if isinstance(number, Unknown):
        if number.is_given:
            raise UnreadableHeader(f"{keyword} {number.problem}")
        return None
    return number
